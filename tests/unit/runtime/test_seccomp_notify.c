/* SPDX-License-Identifier: Apache-2.0 */
/* Loads filters into child processes and answers their notifications. */
#include "base/cleanup.h"
#include "base/fdpass.h"
#include "oci/names.h"
#include "runtime/seccomp_notify.h"
#include "runtime/sync.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ANSWER 87 /* what the listener lets mkdir say */

static char *mkdir_name[] = { (char *)"mkdir", (char *)"mkdirat", NULL };
static struct spec_syscall rules[] = {
	{ .names = { .v = mkdir_name, .n = 2 }, .action = ACT_NOTIFY },
};
static const struct spec_seccomp profile = {
	.default_action = ACT_ALLOW,
	.syscalls = { .v = rules, .n = 1 },
	.listener_path = (char *)"/nowhere",
};
static const struct annotations none;

static void compile(struct seccomp_prog *p)
{
	struct err e = {};

	if (seccomp_plan(&profile, &none, -1, p, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(p->notify);
}

/* userfaultfd(2) fails, as under an outer container's filter. */
static void refuse_userfaultfd(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(f), .filter = f };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		_exit(99);
}

/* The child's exit status is the errno of its mkdir; 98 when the filter could not be loaded. */
static pid_t child(const struct seccomp_prog *p, int sock, const char *state, int report, bool spin)
{
	struct seccomp_receiver r = { .sock = sock, .state = (char *)state };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(99);
	if (spin)
		refuse_userfaultfd();
	if (seccomp_notify_install(p, &r, report, NULL) < 0)
		_exit(98);
	_exit(mkdir("/", 0700) < 0 ? errno : 0);
}

static void answer(int listener)
{
	struct seccomp_notif ask = {};
	struct seccomp_notif_resp resp = { .error = -ANSWER };

	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask), 0);
	resp.id = ask.id;
	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp), 0);
}

static int exit_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void hand_over(bool spin, size_t state_len)
{
	__attribute__((cleanup(seccomp_free))) struct seccomp_prog p = {};
	AUTO_FREE char *state = malloc(state_len + 1), *got = malloc(state_len + 1);
	AUTO_CLOSE int listener = -1;
	size_t n = 1, len;
	int sv[2];
	pid_t pid;

	memset(state, 'x', state_len);
	state[state_len] = '\0';
	compile(&p);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	pid = child(&p, sv[1], state, -1, spin);
	close(sv[1]);
	len = (size_t)fdpass_recv(sv[0], got, state_len, &listener, &n);
	assert_int_equal(n, 1);
	while (len < state_len) {
		ssize_t more = read(sv[0], got + len, state_len - len);

		assert_true(more > 0);
		len += (size_t)more;
	}
	assert_memory_equal(got, state, state_len);
	/* The end of the connection, though the process lives. */
	assert_int_equal(read(sv[0], got, 1), 0);
	close(sv[0]);
	answer(listener);
	assert_int_equal(exit_status(pid), ANSWER);
}

static void by_fault(void **state)
{
	(void)state;
	hand_over(false, 20);
}

static void by_memory(void **state)
{
	(void)state;
	hand_over(true, 20);
}

static void long_state(void **state)
{
	(void)state;
	hand_over(false, (size_t)1 << 20);
}

static void receiver_gone(void **state)
{
	__attribute__((cleanup(seccomp_free))) struct seccomp_prog p = {};
	AUTO_CLOSE int parent = -1, report = -1;
	struct err e = {};
	int sv[2];
	pid_t pid;

	(void)state;
	compile(&p);
	assert_int_equal(sync_pair(&parent, &report, &e), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	close(sv[0]);
	pid = child(&p, sv[1], "{}", report, false);
	close(sv[1]);
	assert_int_equal(sync_expect(parent, SYNC_READY, "the child", NULL, NULL, &e), -EPIPE);
	assert_non_null(strstr(e.msg, "linux.seccomp.listenerPath: send the listener"));
	assert_int_equal(exit_status(pid), 1);
}

static void bad_program(void **state)
{
	struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0) }; /* returns nothing */
	struct seccomp_prog p = { .insns = f, .n = 1, .flags = SECCOMP_FILTER_FLAG_NEW_LISTENER };
	int sv[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	pid = child(&p, sv[1], "{}", -1, false);
	close(sv[1]);
	assert_int_equal(exit_status(pid), 98);
	close(sv[0]);
}

static void plan_raw(void **state)
{
	static const unsigned char allow[] = { 6, 0, 0, 0, 0, 0, 0xff, 0x7f };
	const struct annotations raw = { .bpf = allow, .bpf_len = sizeof(allow) };
	const struct annotations heard = { .bpf = allow,
					   .bpf_len = sizeof(allow),
					   .seccomp_receiver = "/x" };
	__attribute__((cleanup(seccomp_free))) struct seccomp_prog p = {}, q = {}, r = {};
	struct err e = {};

	(void)state;
	assert_int_equal(seccomp_plan(NULL, &raw, -1, &p, &e), 0);
	assert_int_equal(p.n, 1);
	assert_memory_equal(p.insns, allow, sizeof(allow));
	assert_false(p.notify);
	assert_int_equal(seccomp_plan(NULL, &heard, -1, &q, &e), 0);
	assert_true(q.notify && q.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER);
	assert_int_equal(seccomp_plan(NULL, &none, -1, &r, &e), 0);
	assert_null(r.insns);
}

static void plan_unknown(void **state)
{
	static char *names[] = { (char *)"mkdir", (char *)"no_such_call", NULL };
	struct spec_syscall rule = { .names = { .v = names, .n = 2 }, .action = ACT_ERRNO };
	const struct spec_seccomp s = { .default_action = ACT_ALLOW,
					.syscalls = { .v = &rule, .n = 1 } };
	const struct annotations strict = { .fail_unknown_syscall = true };
	__attribute__((cleanup(seccomp_free))) struct seccomp_prog p = {};
	struct err e = {};

	(void)state;
	assert_int_equal(seccomp_plan(&s, &none, -1, &p, &e), 0);
	assert_int_equal(seccomp_plan(&s, &strict, -1, &p, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.seccomp.syscalls[0].names[1]: no_such_call"));
}

static void connect_errors(void **state)
{
	const struct seccomp_prog p = { .notify = true };
	struct seccomp_receiver r = SECCOMP_RECEIVER_INIT;
	struct spec_seccomp s = profile;
	struct err e = {};

	(void)state;
	assert_int_equal(seccomp_receiver_connect(&r, &s, &none, &p, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "linux.seccomp.listenerPath: connect to /nowhere"));
	s.listener_path = NULL;
	assert_int_equal(seccomp_receiver_connect(&r, &s, &none, &p, &e), -EINVAL);
	assert_int_equal(r.sock, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_fault),     cmocka_unit_test(by_memory),
		cmocka_unit_test(long_state),   cmocka_unit_test(receiver_gone),
		cmocka_unit_test(bad_program),  cmocka_unit_test(plan_raw),
		cmocka_unit_test(plan_unknown), cmocka_unit_test(connect_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
