/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Release by scope: every owning local carries a cleanup attribute at its declaration, and
 * every escape from the scope is written as a TAKE.
 */
#ifndef CTR_BASE_CLEANUP_H
#define CTR_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define AUTO(fn) __attribute__((cleanup(fn)))
#define AUTO_CLOSE AUTO(cleanup_close)
#define AUTO_FREE AUTO(cleanup_free)
#define AUTO_FCLOSE AUTO(cleanup_fclose)
#define AUTO_CLOSEDIR AUTO(cleanup_closedir)

/* Moves a descriptor out of its owner, which is left at -1. */
#define TAKE_FD(fd)                  \
	({                           \
		int take_fd_ = (fd); \
		(fd) = -1;           \
		take_fd_;            \
	})

/* Moves a pointer out of its owner, which is left at NULL. */
#define TAKE_PTR(p)                          \
	({                                   \
		__typeof__(p) take_p_ = (p); \
		(p) = NULL;                  \
		take_p_;                     \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
