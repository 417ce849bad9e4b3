/* SPDX-License-Identifier: Apache-2.0 */
/* A file's flock, with a deadline. */
#ifndef CTR_BASE_LOCK_H
#define CTR_BASE_LOCK_H

#define LOCK_SECONDS 30 /* how long a command waits for another */

/*
 * Takes the exclusive flock of fd, waiting at most that many seconds for whoever has it. 0, -EBUSY
 * after that, or -errno. Uses SIGALRM for the time of the wait.
 */
int lock_wait(int fd, int seconds);

#endif
