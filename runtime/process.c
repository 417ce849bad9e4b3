/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "namespaces/path.h"
#include "oci/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_UMASK 0022

int process_rlimits(pid_t pid, const struct spec_rlimits *r, struct err *e)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct spec_rlimit *l = &r->v[i];
		struct rlimit rl = { .rlim_cur = l->soft, .rlim_max = l->hard };

		if (prlimit(pid, (enum __rlimit_resource)l->type, &rl, NULL) < 0)
			return err_sys(e, errno,
				       "process.rlimits[%zu].type: %s: set soft %llu, hard %llu", i,
				       table_name(&names_rlimits, l->type) ?: "?",
				       (unsigned long long)l->soft, (unsigned long long)l->hard);
	}
	return 0;
}

int process_oom_score_adj(pid_t pid, const struct spec_process *p, struct err *e)
{
	char file[48], text[24], now[24];
	int r;

	if (!p->oom_score_adj.set)
		return 0;
	snprintf(file, sizeof(file), "/proc/%d/oom_score_adj", pid);
	snprintf(text, sizeof(text), "%lld", (long long)p->oom_score_adj.v);
	r = io_write_file(AT_FDCWD, file, text);
	/*
	 * Below what a privileged one has set, without privilege; what is so already is no failure.
	 */
	if (r == -EACCES && io_read_small(AT_FDCWD, file, now, sizeof(now)) > 0 &&
	    str_eq(now, text))
		return 0;
	return r < 0 ? err_sys(e, -r, "process.oomScoreAdj: set to %s", text) : 0;
}

int process_user(const struct spec_user *u, bool keep_groups, struct err *e)
{
	/* The kernel would leave it as it is: root's. */
	if (u->uid == (uid_t)-1 || u->gid == (gid_t)-1)
		return err_set(e, EINVAL, "process.user: %u is no user and no group", (uid_t)-1);
	if (keep_groups && u->additional_gids.n)
		return err_set(e, EPERM,
			       "process.user.additionalGids: groups cannot be set: this user "
			       "namespace forbids it, or run.oci.keep_original_groups");
	if (!keep_groups && setgroups(u->additional_gids.n, u->additional_gids.v) < 0)
		return err_sys(e, errno, "process.user.additionalGids: set groups");
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return err_sys(e, errno, "process.user.gid: change to group %u", u->gid);
	if (setresuid(u->uid, u->uid, u->uid) < 0)
		return err_sys(e, errno, "process.user.uid: change to user %u", u->uid);
	umask(u->umask.set ? (mode_t)u->umask.v : DEFAULT_UMASK);
	return 0;
}

/*
 * Opens or makes the directory; links through /proc to what the set-up has open are not followed.
 */
static int open_cwd(const char *cwd, struct err *e)
{
	int fd = sys_openat2(AT_FDCWD, cwd, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
			     RESOLVE_NO_MAGICLINKS);

	if (fd == -ENOENT) {
		AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (root < 0)
			return err_sys(e, errno, "open /");
		fd = path_make(root, cwd, true, 0755, e);
		return fd < 0 ? err_wrap(e, "process.cwd: %s", cwd) : fd;
	}
	return fd < 0 ? err_sys(e, -fd, "process.cwd: chdir to %s", cwd) : fd;
}

int process_cwd(const char *cwd, struct err *e)
{
	AUTO_CLOSE int fd = open_cwd(cwd, e);
	char now[PATH_MAX];
	long n;

	if (fd < 0)
		return fd;
	if (fchdir(fd) < 0)
		return err_sys(e, errno, "process.cwd: chdir to %s", cwd);
	/*
	 * The system call itself: the C library would search for a name where the kernel has none.
	 */
	n = syscall(SYS_getcwd, now, sizeof(now));
	if (n < 0 && errno != ENOENT)
		return err_sys(e, errno, "process.cwd: %s: find out where it is", cwd);
	if (n <= 0 || now[0] != '/')
		return err_set(e, EXDEV,
			       "process.cwd: %s: current working directory is outside of "
			       "container mount namespace root",
			       cwd);
	return 0;
}

void process_reset_signals(void)
{
	/*
	 * All zero is SIG_DFL for the kernel on every architecture. The C library keeps 32 and 33
	 * for itself.
	 */
	static const char kernel_default[128];
	sigset_t none;

	for (int sig = 1; sig < _NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			syscall(SYS_rt_sigaction, sig, kernel_default, NULL, _NSIG / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Before Linux 5.11: one by one, as the directory of the process lists them. */
static int each_listed(unsigned int first, unsigned int last, bool close_it)
{
	AUTO_CLOSEDIR DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;

	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		uint64_t fd;

		if (str_to_u64(d->d_name, INT_MAX, &fd) < 0 || fd < first || fd > last ||
		    (int)fd == dirfd(dir))
			continue;
		if (close_it)
			close((int)fd);
		else if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			return -errno;
	}
	return 0;
}

int process_cloexec_from(unsigned int first)
{
	int r = sys_close_range(first, ~0U, CLOSE_RANGE_CLOEXEC);

	return r == -ENOSYS || r == -EINVAL ? each_listed(first, ~0U, false) : r;
}

static int close_range_of(unsigned int first, unsigned int last)
{
	int r = first <= last ? sys_close_range(first, last, 0) : 0;

	return r == -ENOSYS ? each_listed(first, last, true) : r;
}

static int by_number(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

/* Of what is passed on, the numbers that the caller had nothing open as. */
static void close_ours_below(unsigned int first, const int *keep, size_t n)
{
	struct rlimit files;

	if (first > 3 && getrlimit(RLIMIT_NOFILE, &files) == 0 && first > files.rlim_cur)
		first = (unsigned int)files.rlim_cur;
	for (int fd = 3; fd < (int)first; fd++) {
		int flags = bsearch(&fd, keep, n, sizeof(fd), by_number) ? -1 : fcntl(fd, F_GETFD);

		if (flags >= 0 && flags & FD_CLOEXEC)
			close(fd);
	}
}

int process_close_but(unsigned int first, int *keep, size_t n)
{
	int r = 0;

	qsort(keep, n, sizeof(keep[0]), by_number);
	close_ours_below(first, keep, n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (keep[i] < 0 || (unsigned int)keep[i] < first)
			continue;
		if ((unsigned int)keep[i] > first)
			r = close_range_of(first, (unsigned int)keep[i] - 1);
		first = (unsigned int)keep[i] + 1;
	}
	return r < 0 ? r : close_range_of(first, ~0U);
}
