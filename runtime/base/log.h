/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one sink for messages. cli sets it once, before anything else runs. Lower layers use
 * log_warn and log_debug only; errors travel as struct err and are written once, by cli.
 */
#ifndef CTR_BASE_LOG_H
#define CTR_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/*
 * fd: where records go besides stderr, or -1. It is borrowed and must be O_CLOEXEC | O_APPEND.
 * With a log fd, debug and warnings go there only; errors go there and to stderr as text.
 * Without one, everything goes to stderr, in the format given.
 */
void log_setup(int fd, enum log_format format, enum log_level level);

/*
 * Records also go, one datagram each, to the logger behind fd: a connected datagram socket,
 * borrowed, O_CLOEXEC. tag names the program there (syslog) or the field ID of the record
 * (journal); borrowed. To be called after log_setup.
 */
enum log_target { LOG_TARGET_NONE, LOG_TARGET_JOURNAL, LOG_TARGET_SYSLOG };

void log_setup_socket(int fd, enum log_target target, const char *tag);

/* True when debug records are wanted: lets a caller skip the work of making one. */
bool log_debugging(void);

/* The log fd of log_setup, or -1: a child that closes all it does not need keeps this one. */
int log_fd(void);
int log_socket(void); /* that of log_setup_socket, the same */

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
