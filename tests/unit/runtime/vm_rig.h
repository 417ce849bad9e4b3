/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A micro-VM without a machine: the real guest agent in a process of its own, the real host half in
 * another (the "VMM"), a socket pair as the port between them. The test is the user: it has the
 * other ends of stdio, and connects to the VMM's socket as commands do.
 */
#ifndef CTR_TEST_VM_RIG_H
#define CTR_TEST_VM_RIG_H

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "base/sys.h"
#include "microvm/agent_client.h"
#include "microvm/agent_host.h"
#include "runtime/guest.h"
#include "runtime/vm_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

/* Exit statuses of the VMM process that no payload of these tests has. */
enum { RIG_FAILED = 201, RIG_NOT_STARTED = 202 };

struct rig {
	char dir[64], id[32];
	pid_t vmm;
	int state_dir;
	int in, out, err; /* the user's ends; the same master with a terminal */
	int go;           /* closing it starts the container */
	bool tty;
	const char *program; /* instead of the script, or NULL */
	const char *linux_;  /* more members of the configuration's linux object, or NULL */
};

static char rig_base[] = "/tmp/ctr-vm-XXXXXX";

static inline int rig_sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

static inline int rig_setup(void **state)
{
	(void)state;
	if (geteuid() != 0 || system("command -v busybox >/dev/null") != 0)
		return 0;
	if (!mkdtemp(rig_base))
		return -1;
	return rig_sh("mkdir -p %s/root/bin %s/root/proc %s/root/dev %s/root/tmp %s/root/sys && "
		      "cp $(command -v busybox) %s/root/bin && for i in sh cat echo sleep id head "
		      "true stty yes dd sha256sum wc tail kill ps; do ln -s busybox "
		      "%s/root/bin/$i; done",
		      rig_base, rig_base, rig_base, rig_base, rig_base, rig_base, rig_base);
}

static inline int rig_teardown(void **state)
{
	(void)state;
	return strstr(rig_base, "XXXXXX") ? 0 : rig_sh("rm -rf %s", rig_base);
}

static inline char *rig_config(const struct rig *r, const char *script)
{
	AUTO_FREE char *args = r->program ? str_printf("[\"%s\"]", r->program)
					  : str_printf("[\"/bin/sh\",\"-c\",\"%s\"]", script);

	return str_printf(
		"{\"ociVersion\":\"1.3.0\",\"process\":{\"terminal\":%s,\"user\":{\"uid\":0,\"gid\":0},"
		"\"args\":%s,\"env\":[\"PATH=/bin\",\"TERM=dumb\"],"
		"\"cwd\":\"/\",\"capabilities\":{\"bounding\":[\"CAP_KILL\"],"
		"\"effective\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"]}},"
		"\"root\":{\"path\":\"%s/root\"},\"hostname\":\"guest\",\"mounts\":["
		"{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
		"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
		"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
		"\"options\":[\"newinstance\",\"ptmxmode=0666\"]}],"
		"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
		"{\"type\":\"uts\"},{\"type\":\"ipc\"},{\"type\":\"network\"}]%s%s}}",
		r->tty ? "true" : "false", args, rig_base, r->linux_ ? "," : "",
		r->linux_ ? r->linux_ : "");
}

static inline enum vm_end rig_vm_end(struct vmm *v, const char **text)
{
	(void)v;
	*text = NULL;
	return VM_END_RESET;
}

static const struct vmm_ops rig_vmm_ops = { .name = "rig", .end = rig_vm_end };

/* The guest: what is PID 1 of a machine elsewhere. */
static inline _Noreturn void rig_guest(const struct rig *r, int port)
{
	struct ctr_global g = { .root_given = true };
	char root[128];
	struct err e = {};

	/* It ends when its port does, not before it has taken its container away. */
	alarm(60);
	snprintf(root, sizeof(root), "%s/g", r->dir);
	if (guest_serve(port, root, &e) < 0)
		fprintf(stderr, "guest: %s\n", e.msg);
	snprintf(root, sizeof(root), "%s/g/state", r->dir);
	g.root = root;
	if (ctr_delete(&g, r->id, true, &e) < 0)
		fprintf(stderr, "guest: %s\n", e.msg);
	_exit(0);
}

static inline int rig_vmm(const struct rig *r, const char *config, const int stdio[3], int go,
			  int ready)
{
	struct agent_host_opts o = { .id = r->id,
				     .config = config,
				     .config_len = strlen(config),
				     .tty = r->tty,
				     .boot_ms = 10000,
				     .setup_ms = 10000 };
	struct agent_host *h = NULL;
	struct vmm v = { .ops = &rig_vmm_ops };
	int p[2], console[2], status = 0, rc;
	struct err e = {};
	pid_t guest;

	memcpy(o.stdio, stdio, sizeof(o.stdio));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) < 0 ||
	    pipe2(console, O_CLOEXEC | O_NONBLOCK) < 0)
		return RIG_FAILED;
	guest = fork();
	if (guest == 0) {
		sys_close_range(3, (unsigned int)p[1] - 1, 0);
		sys_close_range((unsigned int)p[1] + 1, ~0U, 0);
		rig_guest(r, p[1]);
	}
	close(p[1]);
	v.ctl = p[0];
	v.console = console[0];
	v.ended = sys_pidfd_open(guest, 0);
	o.vmm = &v;
	o.listen = vm_listen(r->state_dir, &e);
	if (o.listen < 0)
		return RIG_FAILED;
	rc = agent_host_create(&h, &o, &e);
	close(ready);
	if (rc == 0)
		rc = agent_host_wait(h, go, &e);
	if (rc == 0 && (rc = agent_host_start(h, &e)) < 0)
		status = RIG_NOT_STARTED;
	if (rc == 0)
		rc = agent_host_run(h, &status, &e);
	if (rc < 0) {
		dprintf(stdio[2] >= 0 ? stdio[2] : 2, "%s", e.msg);
		status = (status ? status : RIG_FAILED) << 8;
	}
	agent_host_free(h);
	close(p[0]);
	/* It takes the container away. */
	waitpid(guest, NULL, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* created only: rig_go starts it. */
static inline void rig_create(struct rig *r, const char *script)
{
	static int nr;
	AUTO_FREE char *config = NULL;
	int in[2], out[2], err[2], go[2], ready[2], slave = -1;
	char c;

	if (strstr(rig_base, "XXXXXX")) {
		print_message("needs root and busybox\n");
		skip();
	}
	snprintf(r->id, sizeof(r->id), "vmrig-%d-%d", (int)getpid(), nr++);
	snprintf(r->dir, sizeof(r->dir), "%s/%d", rig_base, nr);
	assert_int_equal(mkdir(r->dir, 0700), 0);
	r->state_dir = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	config = rig_config(r, script);
	assert_int_equal(pipe2(go, O_CLOEXEC) | pipe2(ready, O_CLOEXEC), 0);
	if (r->tty) {
		struct winsize ws = { .ws_row = 11, .ws_col = 77 };

		assert_int_equal(openpty(&r->in, &slave, NULL, NULL, &ws), 0);
		r->out = r->err = r->in;
		fcntl(r->in, F_SETFD, FD_CLOEXEC);
	} else {
		assert_int_equal(
			pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
		r->in = in[1];
		r->out = out[0];
		r->err = err[0];
	}
	r->vmm = fork();
	if (r->vmm == 0) {
		int stdio[3] = { r->tty ? slave : in[0], r->tty ? slave : out[1],
				 r->tty ? slave : err[1] };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(r->in);
		if (!r->tty) {
			close(r->out);
			close(r->err);
		} else {
			setsid();
			ioctl(slave, TIOCSCTTY, 0);
		}
		close(go[1]);
		close(ready[0]);
		_exit(rig_vmm(r, config, stdio, go[0], ready[1]));
	}
	close(go[0]);
	r->go = go[1];
	if (r->tty) {
		close(slave);
	} else {
		close(in[0]);
		close(out[1]);
		close(err[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 0);
	close(ready[0]);
}

static inline void rig_run(struct rig *r, const char *script)
{
	rig_create(r, script);
	close(TAKE_FD(r->go));
}

/* Waits for what the user sees; -1: nothing came within the time. */
static inline ssize_t rig_read(int fd, char *buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, 20000) <= 0)
		return -1;
	return read(fd, buf, len);
}

/* Reads until the text is there. */
static inline void rig_expect(int fd, const char *text)
{
	char buf[4096] = "";
	size_t n = 0;

	while (!strstr(buf, text)) {
		ssize_t got = rig_read(fd, buf + n, sizeof(buf) - 1 - n);

		if (got <= 0)
			fail_msg("waited for \"%s\", got \"%s\"", text, buf);
		n += (size_t)got;
		buf[n] = '\0';
	}
}

static inline char *rig_all(int fd)
{
	AUTO(str_buf_free) struct str_buf b = {};
	char buf[4096];
	ssize_t n;

	while ((n = rig_read(fd, buf, sizeof(buf))) > 0)
		str_buf_addn(&b, buf, (size_t)n);
	str_buf_add(&b, "");
	return TAKE_PTR(b.s);
}

static inline int rig_end(struct rig *r)
{
	AUTO_CLOSE int pidfd = sys_pidfd_open(r->vmm, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int status;

	if (poll(&p, 1, 20000) <= 0) {
		kill(r->vmm, SIGKILL);
		waitpid(r->vmm, &status, 0);
		fail_msg("the VMM process does not end");
	}
	waitpid(r->vmm, &status, 0);
	if (r->in >= 0)
		close(r->in);
	if (!r->tty) {
		close(r->out);
		close(r->err);
	}
	close(r->state_dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif
