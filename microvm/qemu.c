/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's processes: the machine and, when there is a share, our file server behind it. Both are
 * children of the VMM process, inside its jail, and die with it (it is PID 1 of their namespace; a
 * parent-death signal says it again for a host namespace). The socket between them is made here and
 * inherited: nobody waits for a path to appear.
 */
#include "microvm/qemu.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "microvm/vhost_user.h"
#include "microvm/virtio_fs.h"
#include "microvm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct qemu {
	struct tsc_sample started;
	pid_t pid, fs_pid;
	int pidfd, fs_pidfd;
	int err, fs_err; /* read ends: what the two say on stderr */
	bool stopped;
	char text[512];
};

/* What one child inherits, and runs. */
struct child {
	const char *path;
	struct str_list args;
	int keep[8 + VM_MAX_DISKS];
	size_t n_keep;
};

static void child_free(struct child *c)
{
	str_list_free(&c->args);
}

static void keep(struct child *c, int fd)
{
	if (fd >= 0)
		c->keep[c->n_keep++] = fd;
}

/* What both begin with. */
static void child_begin(int null, int err)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int s = 1; s < NSIG; s++)
		sigaction(s, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(err, 2) < 0)
		_exit(127);
}

static _Noreturn void machine_main(const struct child *c, int null, int err)
{
	static char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

	child_begin(null, err);
	if (sys_capset(0, 0, 0) < 0)
		_exit(127);
	for (size_t i = 0; i < c->n_keep; i++)
		fcntl(c->keep[i], F_SETFD, 0);
	execve(c->path, c->args.v, env);
	dprintf(2, "execute %s: %s\n", c->path, strerrordesc_np(errno));
	_exit(127);
}

/* Nothing of what the VMM has open: the machine's console, the agent, /dev/kvm. */
static void close_but(int a, int b)
{
	const unsigned int lo = (unsigned int)(a < b ? a : b), hi = (unsigned int)(a < b ? b : a);

	if (lo > 3)
		sys_close_range(3, lo - 1, 0);
	if (hi > lo + 1)
		sys_close_range(lo + 1, hi - 1, 0);
	sys_close_range(hi + 1, ~0U, 0);
}

/* It keeps the capabilities that the jail has left: files are made for whom the guest names. */
static _Noreturn void files_main(const struct vm_config *c, int sock, int null, int err)
{
	/* /proc is there, and what the VMM opened of it is the VMM's own. */
	struct vm_config own = *c;
	struct virtio_dev *dev;
	struct err e = {};
	int r;

	child_begin(null, err);
	close_but(sock, c->share);
	prctl(PR_SET_NAME, "ctr-files");
	/* The guest is told EFBIG. */
	signal(SIGXFSZ, SIG_IGN);
	own.share_proc = -1;
	r = virtio_fs_new(&own, &dev, &e);
	if (r == 0)
		r = vhost_user_serve(dev, sock, &e);
	if (r < 0)
		dprintf(2, "%s\n", e.msg);
	_exit(r < 0);
}

/* 0 in the child. */
static int make_child(pid_t *pid, int *pidfd, const char *what, struct err *e)
{
	pid_t p = sys_clone_pidfd(pidfd); /* the filter has no clone3 */

	if (p < 0)
		return err_sys(e, -p, "make a process for %s", what);
	*pid = p;
	return p;
}

/* ours stays here, non-blocking; theirs is for a child. */
static int pair(int *ours, int *theirs, struct err *e)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, errno, "make a socket pair for QEMU");
	if (fcntl(sv[0], F_SETFL, O_NONBLOCK) < 0) {
		close(sv[0]);
		close(sv[1]);
		return err_sys(e, errno, "make a socket pair for QEMU");
	}
	*ours = sv[0];
	*theirs = sv[1];
	return 0;
}

static int start_fs(const struct vm_config *c, struct qemu *q, int null, int err, int *connected,
		    struct err *e)
{
	int sv[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, errno, "make the socket of the file server");
	r = make_child(&q->fs_pid, &q->fs_pidfd, "the file server", e);
	if (r == 0)
		files_main(c, sv[1], null, err);
	close(sv[1]);
	*connected = sv[0];
	return r < 0 ? r : 0;
}

static int start_machine(const struct vm_config *c, struct qemu *q, const struct qemu_fds *f,
			 int null, int err, struct err *e)
{
	AUTO(child_free) struct child m = { .path = c->qemu };
	unsigned int tsc_khz = c->accel == VM_ACCEL_KVM ? 0 : qemu_tsc_khz(&q->started);
	int r = qemu_args(c, f, tsc_khz, &m.args, e);

	if (r < 0)
		return r;
	keep(&m, f->ctl);
	keep(&m, f->console);
	keep(&m, f->serial);
	keep(&m, f->fs);
	keep(&m, c->kernel);
	keep(&m, c->initrd);
	for (size_t i = 0; i < c->n_disks; i++)
		keep(&m, c->disks[i].fd);
	r = make_child(&q->pid, &q->pidfd, c->qemu, e);
	if (r == 0)
		machine_main(&m, null, err);
	return r < 0 ? r : 0;
}

static int words_pipe(int *ours, int *theirs, struct err *e)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, errno, "make a pipe for QEMU");
	*ours = p[0];
	*theirs = p[1];
	return 0;
}

static int start_all(const struct vm_config *c, struct vmm *v, struct err *e)
{
	struct qemu *q = v->data;
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int ctl = -1, console = -1, serial = -1, fs = -1, err_w = -1, fs_err_w = -1;
	struct qemu_fds f;
	int r;

	if (null < 0)
		return err_sys(e, errno, "open /dev/null");
	r = words_pipe(&q->err, &err_w, e);
	if (r == 0)
		r = words_pipe(&q->fs_err, &fs_err_w, e);
	if (r == 0)
		r = pair(&v->ctl, &ctl, e);
	if (r == 0)
		r = pair(&v->console, &console, e);
	if (r < 0)
		return r;
	/* Two front ends, one stream: the serial port ends where the virtio console begins. */
	serial = fcntl(console, F_DUPFD_CLOEXEC, 3);
	if (serial < 0)
		return err_sys(e, errno, "make a socket pair for QEMU");
	if (c->share >= 0) {
		r = start_fs(c, q, null, fs_err_w, &fs, e);
		if (r < 0)
			return r;
	}
	f = (struct qemu_fds){ .ctl = ctl, .console = console, .serial = serial, .fs = fs };
	return start_machine(c, q, &f, null, err_w, e);
}

/* Readable when one of the two has ended: without its files a machine is of no use either. */
static int watch(struct vmm *v, struct err *e)
{
	struct qemu *q = v->data;
	struct epoll_event ev = { .events = EPOLLIN };

	v->ended = epoll_create1(EPOLL_CLOEXEC);
	if (v->ended < 0 || epoll_ctl(v->ended, EPOLL_CTL_ADD, q->pidfd, &ev) < 0 ||
	    (q->fs_pidfd >= 0 && epoll_ctl(v->ended, EPOLL_CTL_ADD, q->fs_pidfd, &ev) < 0))
		return err_sys(e, errno, "watch QEMU");
	return 0;
}

static void qemu_stop(struct vmm *v);

static int qemu_start(const struct vm_config *c, struct vmm *v, struct err *e)
{
	struct qemu *q = calloc(1, sizeof(*q));
	int r;

	*v = (struct vmm){ .ops = &vmm_qemu, .data = q, .ctl = -1, .console = -1, .ended = -1 };
	if (!q)
		return err_sys(e, ENOMEM, "start QEMU");
	q->pidfd = q->fs_pidfd = q->err = q->fs_err = -1;
	qemu_tsc_sample(&q->started);
	r = start_all(c, v, e);
	if (r == 0)
		r = watch(v, e);
	if (r < 0)
		qemu_stop(v);
	return r;
}

static bool has_ended(int pidfd, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&p, 1, ms) > 0;
}

/* The last line on stderr. */
static void last_words(struct qemu *q, int fd)
{
	char buf[4096], *line = buf, *nl;
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return;
	buf[n] = '\0';
	while ((nl = strchr(line, '\n')) && nl[1])
		line = nl + 1;
	line[strcspn(line, "\n")] = '\0';
	snprintf(q->text, sizeof(q->text), "%.500s", line);
}

static enum vm_end qemu_end(struct vmm *v, const char **text)
{
	struct qemu *q = v->data;
	siginfo_t si = {};
	bool ended;

	*text = NULL;
	if (q->stopped)
		return VM_END_STOPPED;
	/* A machine that ends takes its file server along, which may be gone first. */
	ended = has_ended(q->pidfd, 1000);
	last_words(q, ended ? q->err : q->fs_err);
	if (ended && waitid(P_PIDFD, (id_t)q->pidfd, &si, WEXITED | WNOWAIT) == 0 &&
	    si.si_code == CLD_EXITED && si.si_status == 0)
		return VM_END_RESET;
	if (!q->text[0] && si.si_code == CLD_EXITED)
		snprintf(q->text, sizeof(q->text), "QEMU: exit status %d", si.si_status);
	else if (!q->text[0] && si.si_pid)
		snprintf(q->text, sizeof(q->text), "QEMU: killed by signal %d", si.si_status);
	else if (!q->text[0])
		snprintf(q->text, sizeof(q->text), "the file server has ended");
	*text = q->text;
	return VM_END_CRASH;
}

/* Between two instructions of the guest: neither process can be in the middle of anything. */
static int qemu_pause(struct vmm *v, bool on, struct err *e)
{
	struct qemu *q = v->data;
	int r = sys_pidfd_send_signal(q->pidfd, on ? SIGSTOP : SIGCONT, NULL, 0);

	return r < 0 ? err_sys(e, -r, "%s QEMU", on ? "stop" : "continue") : 0;
}

static void end_child(pid_t pid, int *pidfd)
{
	if (*pidfd < 0)
		return;
	sys_pidfd_send_signal(*pidfd, SIGKILL, NULL, 0);
	waitpid(pid, NULL, 0);
	close(TAKE_FD(*pidfd));
}

static void qemu_stop(struct vmm *v)
{
	struct qemu *q = v->data;
	int *fds[] = { &v->ctl, &v->console, &v->ended };

	if (!q)
		return;
	q->stopped = true;
	end_child(q->pid, &q->pidfd);
	end_child(q->fs_pid, &q->fs_pidfd);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(TAKE_FD(*fds[i]));
	if (q->err >= 0)
		close(q->err);
	if (q->fs_err >= 0)
		close(q->fs_err);
	free(q);
	v->data = NULL;
}

const struct vmm_ops vmm_qemu = {
	.name = "qemu",
	.start = qemu_start,
	.end = qemu_end,
	.pause = qemu_pause,
	.stop = qemu_stop,
};
