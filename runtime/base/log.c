/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/err.h"
#include "base/io.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct {
	int fd;
	enum log_format format;
	enum log_level level;
	int sock;
	enum log_target target;
	const char *tag;
} sink = { .fd = -1, .sock = -1, .format = LOG_FORMAT_TEXT, .level = LOG_LEVEL_WARNING };

static const char *const level_names[] = { "error", "warning", "debug" };

void log_setup(int fd, enum log_format format, enum log_level level)
{
	sink.fd = fd;
	sink.format = format;
	sink.level = level;
}

void log_setup_socket(int fd, enum log_target target, const char *tag)
{
	sink.sock = target == LOG_TARGET_NONE ? -1 : fd;
	sink.target = target;
	sink.tag = tag;
}

bool log_debugging(void)
{
	return sink.level >= LOG_LEVEL_DEBUG;
}

int log_fd(void)
{
	return sink.fd;
}

int log_socket(void)
{
	return sink.sock;
}

/*
 * Escapes for JSON. Bytes above 0x7f pass when they form UTF-8 and become U+FFFD when not: the
 * readers of the log reject a record that is not valid.
 */
static void put_escaped(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t n = str_utf8((const char *)s);

		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(f, "\\u%04x", *s);
		else if (n == 2 && *s == 0xc2 && s[1] < 0xa0)
			fprintf(f, "\\u%04x", s[1]);
		else if (n == 0)
			fputs("\\ufffd", f);
		else
			fwrite(s, 1, n, f);
		s += n ? n : 1;
	}
}

static void put_json(FILE *f, enum log_level level, const char *msg)
{
	struct timespec ts;
	struct tm tm;
	char when[32];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(f, "{\"level\":\"%s\",\"msg\":\"", level_names[level]);
	put_escaped(f, msg);
	fprintf(f, "\",\"time\":\"%s.%09ldZ\"}\n", when, ts.tv_nsec);
}

/*
 * One record is one line, whatever it quotes; in the journal a newline would begin another field.
 */
static void put_line(FILE *f, const char *msg)
{
	char line[ERR_MSG_MAX];

	snprintf(line, sizeof(line), "%s", msg);
	str_clean(line, strlen(line), ' ');
	fputs(line, f);
}

static void put_text(FILE *f, enum log_level level, const char *msg)
{
	fputs("ctr: ", f);
	if (level != LOG_LEVEL_ERROR)
		fprintf(f, "%s: ", level_names[level]);
	put_line(f, msg);
	putc('\n', f);
}

/* A record is written with one write(2), so that records of several processes do not mix. */
static void emit(int fd, enum log_format format, enum log_level level, const char *msg)
{
	char buf[6 * ERR_MSG_MAX + 128];
	FILE *f = fmemopen(buf, sizeof(buf), "w");
	long n;

	if (!f)
		return;
	if (format == LOG_FORMAT_JSON)
		put_json(f, level, msg);
	else
		put_text(f, level, msg);
	fflush(f);
	n = ftell(f);
	fclose(f);
	if (n > 0)
		(void)io_write_full(fd, buf, (size_t)n);
}

static void put_syslog(FILE *f, int priority, const char *msg)
{
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	fprintf(f, "<%d>%s %s[%d]: ", LOG_USER | priority, when, sink.tag, getpid());
	put_line(f, msg);
}

static void put_journal(FILE *f, int priority, const char *msg)
{
	fprintf(f, "PRIORITY=%d\nSYSLOG_IDENTIFIER=ctr\nID=%s\nMESSAGE=", priority, sink.tag);
	put_line(f, msg);
	putc('\n', f);
}

/* A logger that does not take the record at once goes without it: nothing waits for a log. */
static void emit_socket(enum log_level level, const char *msg)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_DEBUG };
	char buf[2 * ERR_MSG_MAX];
	FILE *f = fmemopen(buf, sizeof(buf), "w");
	long n;

	if (!f)
		return;
	if (sink.target == LOG_TARGET_JOURNAL)
		put_journal(f, priorities[level], msg);
	else
		put_syslog(f, priorities[level], msg);
	fflush(f);
	n = ftell(f);
	fclose(f);
	if (n > 0)
		(void)send(sink.sock, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void vlog(enum log_level level, const char *fmt, va_list ap)
{
	char msg[ERR_MSG_MAX];

	if (level > sink.level)
		return;
	vsnprintf(msg, sizeof(msg), fmt, ap);
	if (sink.fd >= 0)
		emit(sink.fd, sink.format, level, msg);
	if (sink.sock >= 0)
		emit_socket(level, msg);
	if (sink.fd < 0 && sink.sock < 0)
		emit(STDERR_FILENO, sink.format, level, msg);
	else if (level == LOG_LEVEL_ERROR)
		emit(STDERR_FILENO, LOG_FORMAT_TEXT, level, msg);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LEVEL_WARNING, fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}
