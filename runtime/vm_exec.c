/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec in a micro-VM. The process is in the guest; on the host a process of ours stands for it: the
 * command itself in the foreground, a child of it when detached. That one is what pid files and
 * pidfds name, passes signals and window sizes on, and ends as the other does. Stdio is given to
 * the VMM process, so that no byte goes through here.
 */
#include "vm_ops.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/sys.h"
#include "console.h"
#include "listen.h"
#include "microvm/agent_stream.h"
#include "proc.h"
#include "process.h"
#include "sync.h"
#include "vm_connect.h"
#include "vm_exec_opts.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

struct vm_exec {
	int dir;
	const char *id;
	struct exec_opts o; /* with the size of the terminal */
	struct spec_console_size size;
	char *process; /* text of the --process file, or NULL */
	bool tty;
	struct agent_client client;
	int console;  /* connection to the console socket, or -1 */
	int terminal; /* whose size the guest's follows, or -1 */
	int sigfd, endfd;
	sigset_t old_mask;
	struct console_raw raw;
};

/* ---- before ---- */

static int read_process(struct vm_exec *x, struct err *e)
{
	AUTO_SPEC struct spec *s = NULL;
	const char *path = x->o.process;
	size_t len;
	int r;

	x->tty = x->o.tty;
	if (!path)
		return 0;
	r = io_read_file(AT_FDCWD, path, SPEC_MAX_BYTES, &x->process, &len);
	if (r < 0)
		return err_sys(e, -r, "exec --process %s", path);
	r = spec_parse_process(x->process, len, &s, e);
	if (r < 0)
		return err_wrap(e, "exec --process %s", path);
	x->tty |= s->process->terminal;
	return 0;
}

static int check(const struct vm_exec *x, struct err *e)
{
	struct listen_fds listen;
	int r = listen_fds_get(&listen, e);

	if (r < 0)
		return r;
	if (listen.n)
		return err_set(e, ENOTSUP,
			       "LISTEN_FDS: descriptors of the host do not reach a micro-VM");
	if (x->o.preserve_fds)
		return err_set(
			e, ENOTSUP,
			"exec --preserve-fds: descriptors of the host do not reach a micro-VM");
	if (x->tty && x->o.detach && !x->o.console_socket)
		return err_set(
			e, EINVAL,
			"exec: cannot allocate tty if ctr will detach without setting console socket");
	if (x->o.console_socket && !(x->tty && x->o.detach))
		return err_set(
			e, EINVAL,
			"exec: cannot use console socket if ctr will not detach or allocate tty");
	return 0;
}

/* In the foreground for the rest of this program's life, as supervise_block does. */
static int block_signals(struct vm_exec *x, struct err *e)
{
	sigset_t set;

	sigfillset(&set);
	if (sigprocmask(SIG_BLOCK, &set, &x->old_mask) < 0)
		return err_sys(e, errno, "exec: block signals");
	x->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return x->sigfd < 0 ? err_sys(e, errno, "exec: signalfd") : 0;
}

/* ---- the process in the guest ---- */

static void take_size(struct vm_exec *x, int terminal)
{
	struct winsize ws;

	if (ioctl(terminal, TIOCGWINSZ, &ws) < 0 || (!ws.ws_row && !ws.ws_col))
		return;
	x->size = (struct spec_console_size){ .height = ws.ws_row, .width = ws.ws_col };
	x->o.console_size = &x->size;
}

/* Descriptors that do not block, where there can be such; the caller closes them. */
static int share_stdio(const int from[3], int fds[3], struct err *e)
{
	for (int i = 0; i < 3; i++) {
		fds[i] = from[i] < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
				     : fcntl(from[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			return err_sys(e, errno, "exec: descriptor %d", i);
		fds[i] = agent_fd_reopen(fds[i], i ? O_WRONLY : O_RDONLY);
	}
	return 0;
}

static int begin(struct vm_exec *x, const int stdio[3], struct err *e)
{
	AUTO(str_buf_free) struct str_buf text = {};
	int fds[3] = { -1, -1, -1 }, r;

	r = vm_exec_opts_put(&x->o, x->process, &text, e);
	if (r == 0)
		r = share_stdio(stdio, fds, e);
	if (r == 0)
		r = agent_client_exec(&x->client, text.s ? text.s : "", text.len, fds, x->tty, e);
	for (int i = 0; i < 3; i++)
		cleanup_close(&fds[i]);
	x->client.stop = -1;
	return r < 0 ? r : 0;
}

/* Before anything runs that could get them, what asks us to end is for us. */
static int watch_for_end(struct vm_exec *x, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	x->endfd = x->client.stop = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return x->endfd < 0 ? err_sys(e, errno, "exec: signalfd") : 0;
}

/* Keys that a raw terminal only passes on make signals for as long as there is nobody else. */
static void keys_are_signals(const struct vm_exec *x, bool on)
{
	struct termios t;

	if (x->raw.fd < 0 || tcgetattr(x->raw.fd, &t) < 0)
		return;
	t.c_lflag = on ? t.c_lflag | ISIG : t.c_lflag & ~(tcflag_t)ISIG;
	tcsetattr(x->raw.fd, TCSANOW, &t);
}

static int finish(struct vm_exec *x, int *status, struct err *e)
{
	int r = agent_client_wait(&x->client, x->sigfd, x->terminal, status, e);

	/* Everything in the guest dies with it. */
	if (r == -ECONNRESET) {
		*status = SIGKILL;
		r = 0;
	}
	return r;
}

/* ---- in the foreground ---- */

static int user_terminal(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (isatty(fd))
			return fd;
	return -1;
}

static int foreground(struct vm_exec *x, int *status, struct err *e)
{
	/* The machine reads it, which no job control holds back. */
	const bool ours = x->tty ? !console_in_background(STDIN_FILENO) : vm_stdin_is_ours(false);
	const int in = ours ? STDIN_FILENO : -1;
	const int stdio[3] = { in, STDOUT_FILENO, STDERR_FILENO };
	int r = block_signals(x, e);

	if (r == 0 && x->tty) {
		x->terminal = user_terminal();
		take_size(x, x->terminal);
		if (isatty(STDIN_FILENO))
			r = console_raw_enter(&x->raw, STDIN_FILENO, e);
	}
	keys_are_signals(x, true);
	if (r == 0)
		r = watch_for_end(x, e);
	if (r == 0)
		r = begin(x, stdio, e);
	keys_are_signals(x, false);
	if (r == 0 && x->o.pidfd_socket) {
		AUTO_CLOSE int pidfd = sys_pidfd_open(getpid(), 0);

		r = proc_send_pidfd(x->o.pidfd_socket, pidfd, e);
	}
	if (r == 0 && x->o.pid_file) {
		r = proc_write_pid_file(x->o.pid_file, getpid());
		if (r < 0)
			err_sys(e, -r, "write pid file %s", x->o.pid_file);
	}
	if (r == 0)
		r = finish(x, status, e);
	console_raw_restore(&x->raw);
	if (r == 0)
		*status = WIFSIGNALED(*status) ? 128 + WTERMSIG(*status) : WEXITSTATUS(*status);
	return r;
}

/* ---- detached ---- */

/* A pty of the host between the console socket's owner and the guest's own. */
static int make_terminal(struct vm_exec *x, int stdio[3], struct err *e)
{
	AUTO_CLOSE int master = -1;
	struct termios t;
	char name[64] = "";
	int slave = -1;

	if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
		return err_sys(e, errno, "exec: make a terminal");
	x->terminal = slave;
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	if (tcgetattr(slave, &t) < 0)
		return err_sys(e, errno, "exec: terminal");
	cfmakeraw(&t);
	/* Ours from here on: its changes of size come to us as signals. */
	if (tcsetattr(slave, TCSANOW, &t) < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_sys(e, errno, "exec: terminal");
	stdio[0] = stdio[1] = stdio[2] = slave;
	if (ttyname_r(slave, name, sizeof(name)) != 0)
		return err_sys(e, errno, "exec: terminal");
	return console_send(x->console, master, name, e);
}

/* Readers of our stdio shall see its end when the guest's process closes it. */
static void let_stdio_go(void)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
}

/* What the caller had open, and the container's lock: this process lives as long as the other. */
static int close_the_rest(const struct vm_exec *x, int sync, struct err *e)
{
	int keep[] = { sync, x->client.link.fd, x->sigfd, x->terminal, log_fd(), log_socket() };
	int r = process_close_but(3, keep, ARRAY_SIZE(keep));

	return r < 0 ? err_sys(e, -r, "exec: close descriptors") : 0;
}

/* As the other did, for whoever waits for us. */
static _Noreturn void end_like(int status)
{
	const struct rlimit no_core = {};
	sigset_t set;

	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

static _Noreturn void stand_in(struct vm_exec *x, int sync)
{
	int stdio[3] = { vm_stdin_is_ours(true) ? STDIN_FILENO : -1, STDOUT_FILENO, STDERR_FILENO };
	int status = 0, r;
	struct err e = {};

	setsid();
	/* The command is gone. */
	x->client.stop = sync;
	r = x->console >= 0 ? make_terminal(x, stdio, &e) : 0;
	if (r == 0)
		r = begin(x, stdio, &e);
	cleanup_close(&x->console);
	if (r == 0)
		r = close_the_rest(x, sync, &e);
	if (r < 0) {
		sync_send_err(sync, &e);
		_exit(255);
	}
	let_stdio_go();
	r = sync_send(sync, SYNC_READY, 0, NULL, -1);
	if (r == 0)
		r = sync_expect(sync, SYNC_GO, "ctr", NULL, NULL, &e);
	close(sync);
	if (r == 0)
		r = finish(x, &status, &e);
	end_like(r < 0 ? SIGKILL : status);
}

static int announce(const struct vm_exec *x, pid_t pid, int sync, struct err *e)
{
	struct sync_msg m;
	int r = sync_expect(sync, SYNC_READY, "the process that stands for it", &m, NULL, e);

	if (r == 0 && x->o.pidfd_socket) {
		AUTO_CLOSE int pidfd = sys_pidfd_open(pid, 0);

		r = proc_send_pidfd(x->o.pidfd_socket, pidfd, e);
	}
	if (r == 0 && x->o.pid_file) {
		r = proc_write_pid_file(x->o.pid_file, pid);
		if (r < 0)
			err_sys(e, -r, "write pid file %s", x->o.pid_file);
	}
	if (r < 0)
		return r;
	r = sync_send(sync, SYNC_GO, 0, NULL, -1);
	return r < 0 ? err_sys(e, -r, "exec: let the process go on") : 0;
}

static int detached(struct vm_exec *x, struct err *e)
{
	AUTO_CLOSE int parent = -1;
	int child, r = 0;
	pid_t pid;

	if (x->o.console_socket) {
		x->console = console_connect(x->o.console_socket, e);
		r = x->console < 0 ? x->console : 0;
	}
	if (r == 0)
		r = sync_pair(&parent, &child, e);
	if (r < 0)
		return r;
	r = block_signals(x, e);
	pid = r < 0 ? -1 : fork();
	if (pid == 0) {
		close(parent);
		stand_in(x, child);
	}
	close(child);
	if (pid < 0)
		return r < 0 ? r : err_sys(e, errno, "exec: fork");
	/* From here on the other has the connection, and gets the signals. */
	agent_client_close(&x->client);
	sigprocmask(SIG_SETMASK, &x->old_mask, NULL);
	cleanup_close(&x->sigfd);
	r = announce(x, pid, parent, e);
	if (r < 0) {
		/* The guest's process dies when the connection does. */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return r;
}

static void release(struct vm_exec *x)
{
	cleanup_close(&x->sigfd);
	agent_client_close(&x->client);
	cleanup_close(&x->console);
	cleanup_close(&x->endfd);
	free(x->process);
}

int vm_exec(int dir, const char *id, const struct exec_opts *o, int *status, struct err *e)
{
	struct vm_exec x = {
		.dir = dir,
		.id = id,
		.o = *o,
		.client = AGENT_CLIENT_INIT,
		.console = -1,
		.terminal = -1,
		.sigfd = -1,
		.endfd = -1,
		.raw.fd = -1,
	};
	int r = read_process(&x, e);

	*status = 0;
	if (r == 0)
		r = check(&x, e);
	/* While signals still end us: a machine that takes no commands makes it wait. */
	if (r == 0)
		r = vm_connect(dir, "exec", id, AGENT_CLIENT_MS, &x.client, e);
	if (r == 0)
		r = x.o.detach ? detached(&x, e) : foreground(&x, status, e);
	release(&x);
	return r;
}
