/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: ROOT/ID/ with state.json, config.json (the configuration as it was created,
 * which later commands use), and `start` (the socket on which a created container waits). A
 * directory's own flock is the lock of that container.
 */
#ifndef CTR_STORE_H
#define CTR_STORE_H

#include "base/err.h"
#include "oci/spec.h"
#include "oci/state.h"

#define STORE_DEFAULT "/run/ctr" /* of root */
#define STORE_STATE "state.json"
#define STORE_CONFIG "config.json"
#define STORE_START "start"

struct store {
	char *path; /* of the root, absolute */
	int fd;     /* -1: the root does not exist (only with make == false) */
};

#define STORE_INIT       \
	{                \
		.fd = -1 \
	}

/*
 * Opens the state root: path, or the default for the caller when NULL. make: it is made (0700) when
 * missing; otherwise a missing root leaves fd at -1 and is no error.
 */
int store_open(struct store *s, const char *path, bool make, struct err *e);
void store_close(struct store *s);
#define AUTO_STORE __attribute__((cleanup(store_close)))

/*
 * A directory for compiled seccomp programs below the root (0700), made when missing. The fd or -1.
 */
int store_cache(const struct store *s);

/*
 * Makes ID's directory, locked. The fd, or -errno (-EEXIST: "container with given ID already
 * exists").
 */
int store_make(const struct store *s, const char *id, struct err *e);

/* Opens ID's directory. The fd, or -errno (ERR_NO_CONTAINER: "container does not exist"). */
int store_get(const struct store *s, const char *id, struct err *e);

/*
 * True while dir is ID's directory. One that its owner has removed is no container any more, even
 * when another of the same name has come since.
 */
bool store_has(const struct store *s, const char *id, int dir);

/* Whether somebody has ID's open directory locked. */
bool store_is_locked(int dir);

/*
 * The lock of an open directory of ID: given up, and taken, which waits at most 30 s for whoever
 * has it. ERR_NO_CONTAINER: it was deleted meanwhile, even when there is another of the same name.
 */
void store_unlock(int dir);
int store_lock(const struct store *s, const char *id, int dir, struct err *e);

/* Removes ID's directory and everything in it. Missing is fine. */
int store_remove(const struct store *s, const char *id, struct err *e);

int store_write_state(int dir, const struct state *st, struct err *e);
int store_read_state(int dir, struct state **out, struct err *e);

/* Writes the configuration as it is used; reads it back as a spec. */
int store_write_config(int dir, const char *text, size_t len, struct err *e);
int store_read_config(int dir, struct spec **out, struct err *e);

/* Listening socket `start` in the directory (0600), and a connection to it. The fd or -errno. */
int store_start_listen(int dir, struct err *e);
int store_start_connect(int dir, struct err *e);

#endif
