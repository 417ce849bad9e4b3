/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "caps.h"
#include "landlock.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What restricts the process's own doings: Landlock first, the filter may forbid its calls. */
static int load_filter(struct payload *p, struct err *e)
{
	int listener = -1, r = p->landlock ? landlock_apply(p->landlock, e) : 0;

	if (r < 0)
		return r;
	if (!p->seccomp || !p->seccomp->insns)
		return 0;
	if (p->receiver && p->receiver->sock >= 0)
		return seccomp_notify_install(p->seccomp, p->receiver, p->report, e);
	r = seccomp_install(p->seccomp, &listener);
	if (r < 0)
		return err_sys(e, -r, "load the seccomp filter");
	if (listener >= 0)
		close(listener);
	return 0;
}

/*
 * Pipes and files given as stdio belong to the caller; the payload's user must be able to open
 * /dev/stdout again. Terminals have their owner set by whoever made them.
 */
static void own_stdio(uid_t uid)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &st) < 0 || st.st_uid == uid || S_ISCHR(st.st_mode))
			continue;
		if (fchown(fd, uid, (gid_t)-1) < 0)
			log_debug("change owner of stdio %d: %s", fd, strerrordesc_np(errno));
	}
}

static int settle_privileged(struct payload *p, struct err *e)
{
	const struct spec_process *q = p->process;
	int r = process_lsm(q, e);

	if (r == 0 && q->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_sys(e, errno, "process.noNewPrivileges");
	if (r == 0)
		r = process_scheduling(q, e);
	if (r == 0 && p->personality)
		r = process_personality(p->personality, e);
	if (r == 0 && p->memory)
		r = process_memory_policy(p->memory, e);
	return r;
}

static int enter_cwd(const struct payload *p, struct err *e)
{
	const char *cwd = p->process->cwd;

	if (p->cwd_must_exist && faccessat(AT_FDCWD, cwd, F_OK, 0) < 0)
		return err_sys(e, errno, "process.cwd: chdir to %s", cwd);
	return process_cwd(cwd, e);
}

/*
 * The working directory is made and entered with root's rights, as callers expect of `-w`; once
 * more as the user where root has none (a network file system that maps root to nobody).
 */
static int early_cwd(const struct payload *p, bool *again, struct err *e)
{
	int r = enter_cwd(p, e);

	*again = r == -EACCES || r == -EPERM;
	return *again ? 0 : r;
}

int payload_settle(struct payload *p, struct err *e)
{
	const struct spec_process *q = p->process;
	bool cwd_again = false;
	int r = settle_privileged(p, e);

	if (r == 0)
		r = process_env(q, &p->env, e);
	if (r == 0)
		r = listen_fds_env(&p->listen, &p->env, e);
	if (r == 0)
		r = early_cwd(p, &cwd_again, e);
	/* Late, because they are not for what is done here; as root, who may raise them. */
	if (r == 0 && !p->limits_set)
		r = process_rlimits(0, &q->rlimits, e);
	if (r < 0)
		return r;
	if (q->user.uid != 0)
		own_stdio(q->user.uid);
	/* Without no_new_privs only a privileged process may load a filter. */
	if (!q->no_new_privileges) {
		r = load_filter(p, e);
		if (r < 0)
			return r;
	}
	r = caps_before_user(q->capabilities, e);
	if (r == 0)
		r = process_user(&q->user, p->keep_groups, e);
	if (r == 0)
		r = caps_after_user(q->capabilities, e);
	if (r == 0 && cwd_again)
		r = enter_cwd(p, e);
	if (r == 0)
		r = process_find(q->args.v[0], &p->env, &p->path, e);
	return r;
}

unsigned int payload_first_fd(const struct payload *p)
{
	return 3 + p->listen.n + (unsigned int)p->preserve_fds;
}

/* Nothing but execve comes after the filter. */
int payload_exec(struct payload *p, struct err *e)
{
	int r = process_cloexec_from(payload_first_fd(p));

	if (r < 0)
		return err_sys(e, -r, "close descriptors");
	process_reset_signals();
	if (p->process->no_new_privileges) {
		r = load_filter(p, e);
		if (r < 0)
			return r;
	}
	execve(p->path, p->process->args.v, p->env.v);
	r = errno;
	if (r == ENOENT)
		return err_kind(e, ERR_NOT_FOUND_PROGRAM, r,
				"exec %s: no such file or directory (its interpreter is missing)",
				p->path);
	return err_kind(e, ERR_CANNOT_EXECUTE, r, "exec %s: %s", p->path,
			r == EACCES ? "permission denied" : strerrordesc_np(r));
}
