/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "oci/names.h"
#include "oci/spec_edit.h"

#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct spec *clone_spec(const char *id)
{
	AUTO_FREE char *text = NULL;
	struct spec *s = NULL;
	struct err e = {};
	size_t len = 0;

	assert_int_equal(spec_clone_text(id, &text, &len, &e), 0);
	assert_int_equal(len, strlen(text));
	if (spec_parse(text, len, &s, &e) < 0)
		fail_msg("%s", e.msg);
	return s;
}

static bool listed(const struct spec_strings *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], s))
			return true;
	return false;
}

static void test_process(void **state)
{
	AUTO_SPEC struct spec *s = NULL;
	const struct spec_capabilities *c;

	(void)state;
	setenv("TERM", "xterm-256color", 1);
	setenv("LANG", "evil value\n", 1);
	s = clone_spec("myclone");
	assert_string_equal(s->hostname, "myclone");
	assert_string_equal(s->root->path, "/");
	assert_false(s->root->readonly);
	assert_false(s->process->terminal);
	assert_int_equal(s->process->user.uid, 0);
	assert_int_equal(s->process->args.n, 1);
	assert_int_equal(s->process->args.v[0][0], '/');
	assert_true(listed(&s->process->env, "container=ctr"));
	assert_true(listed(&s->process->env, "TERM=xterm-256color"));
	for (size_t i = 0; i < s->process->env.n; i++)
		assert_null(str_after(s->process->env.v[i], "LANG="));
	assert_int_equal(s->process->rlimits.n, 0);
	c = s->process->capabilities;
	assert_int_equal(__builtin_popcountll(c->bounding.v), 14);
	assert_true(c->effective.v == c->bounding.v && c->permitted.v == c->bounding.v);
	assert_int_equal(c->inheritable.v | c->ambient.v, 0);
	assert_false(c->bounding.v & (1ULL << CAP_SYS_ADMIN | 1ULL << CAP_SYS_PTRACE |
				      1ULL << CAP_SYS_MODULE | 1ULL << CAP_NET_ADMIN));
}

static void test_isolation(void **state)
{
	static const char *const own[] = { "/proc",          "/dev",        "/dev/pts",
					   "/dev/shm",       "/dev/mqueue", "/sys",
					   "/sys/fs/cgroup", "/run",        "/tmp" };
	AUTO_SPEC struct spec *s = clone_spec("x");

	(void)state;
	for (int k = 0; k < NS_KINDS; k++) {
		assert_int_equal(s->linux_.ns[k].wanted, k != NS_USER && k != NS_TIME);
		assert_null(s->linux_.ns[k].path);
	}
	assert_int_equal(s->mounts.n, ARRAY_SIZE(own));
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		const struct spec_mount *m = &s->mounts.v[i];

		assert_string_equal(m->destination, own[i]);
		assert_true(listed(&m->options, "nosuid"));
		assert_int_equal(listed(&m->options, "ro"), str_after(own[i], "/sys") != NULL);
	}
	assert_true(listed(&s->linux_.masked_paths, "/proc/kcore"));
	assert_true(listed(&s->linux_.readonly_paths, "/proc/sys"));
	assert_int_equal(s->linux_.resources->devices.n, 1);
	assert_false(s->linux_.resources->devices.v[0].allow);
}

static const struct spec_syscall *rule_of(const struct spec *s, const char *name, size_t *count)
{
	const struct spec_syscall *found = NULL;

	*count = 0;
	for (size_t i = 0; i < s->linux_.seccomp->syscalls.n; i++) {
		if (!listed(&s->linux_.seccomp->syscalls.v[i].names, name))
			continue;
		found = &s->linux_.seccomp->syscalls.v[i];
		++*count;
	}
	return found;
}

static const char *const absent[] = { "clone3", "socketcall", "io_uring_setup", "io_uring_enter",
				      "io_uring_register" };

static void test_seccomp(void **state)
{
	static const char *const denied[] = {
		"mount",
		"umount2",
		"pivot_root",
		"bpf",
		"kexec_load",
		"kexec_file_load",
		"init_module",
		"finit_module",
		"delete_module",
		"keyctl",
		"add_key",
		"request_key",
		"userfaultfd",
		"perf_event_open",
		"open_by_handle_at",
		"unshare",
		"setns",
		"reboot",
		"swapon",
		"settimeofday",
		"clock_settime",
		"open_tree",
		"move_mount",
		"fsopen",
		"mount_setattr",
		"iopl",
		"ioperm",
		"acct",
		"quotactl",
		"syslog",
	};
	static const char *const needed[] = { "read",   "openat",      "execve",  "futex",
					      "ptrace", "epoll_wait",  "sendmsg", "rseq",
					      "statx",  "close_range", "chroot" };
	AUTO_SPEC struct spec *s = clone_spec("x");
	const struct spec_syscall *r;
	size_t n;

	(void)state;
	assert_int_equal(s->linux_.seccomp->default_action, ACT_ERRNO);
	assert_int_equal(s->linux_.seccomp->default_errno_ret.v, EPERM);
	assert_false(s->linux_.seccomp->flags.set);
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++)
		assert_null(rule_of(s, denied[i], &n));
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		r = rule_of(s, needed[i], &n);
		assert_non_null(r);
		assert_int_equal(n, 1);
		assert_int_equal(r->action, ACT_ALLOW);
		assert_int_equal(r->args.n, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		r = rule_of(s, absent[i], &n);
		assert_non_null(r);
		assert_int_equal(r->action, ACT_ERRNO);
		assert_int_equal(r->errno_ret.v, ENOSYS);
	}
}

static void test_seccomp_arguments(void **state)
{
	AUTO_SPEC struct spec *s = clone_spec("x");
	const struct spec_syscall *r;
	size_t n;

	(void)state;
	r = rule_of(s, "clone", &n);
	assert_non_null(r);
	assert_int_equal(r->args.n, 1);
	assert_int_equal(r->args.v[0].op, OP_MASKED_EQ);
	/* Every CLONE_NEW* that clone(2) has. */
	assert_int_equal(r->args.v[0].value, 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 |
						     0x20000000 | 0x40000000 | 0x00020000);
	assert_int_equal(r->args.v[0].value_two, 0);
	assert_non_null(rule_of(s, "personality", &n));
	assert_int_equal(n, 5);
	assert_non_null(rule_of(s, "socket", &n));
	assert_int_equal(n, 5);
	/* Exact values only: a comparison could be passed by with bits that the kernel drops. */
	for (size_t i = 0; i < s->linux_.seccomp->syscalls.n; i++) {
		r = &s->linux_.seccomp->syscalls.v[i];
		for (size_t k = 0; k < r->args.n; k++)
			assert_true(r->args.v[k].op == OP_EQ || r->args.v[k].op == OP_MASKED_EQ);
	}
}

/* No name stands twice in the allow-list. */
static void test_seccomp_unique(void **state)
{
	AUTO_SPEC struct spec *s = clone_spec("x");
	const struct spec_strings *l = &s->linux_.seccomp->syscalls.v[0].names;

	(void)state;
	assert_true(l->n >= 350 && l->n <= 400);
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(l->v[i], l->v[k]);
}

static void test_hostname(void **state)
{
	char id[1025];
	AUTO_SPEC struct spec *s = NULL;

	(void)state;
	memset(id, 'a', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	s = clone_spec(id);
	assert_int_equal(strlen(s->hostname), 64);
}

/* What `ctr run --clone` makes of it with every option. */
static void test_edited(void **state)
{
	char *args[] = { "/bin/true", NULL }, *volumes[] = { "/srv:/srv:ro", NULL };
	const struct spec_edit ed = {
		.args = { args, 1 },
		.volumes = { volumes, 1 },
		.user = "1:2",
		.memory = { true, 1 << 26 },
		.cpus = "1.5",
		.pids_limit = { true, 100 },
		.terminal = { true, true },
		.read_only = true,
		.hostname = "other",
		.cwd = "/",
	};
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *edited = NULL;
	AUTO_SPEC struct spec *s = NULL;
	struct err e = {};
	size_t len;

	(void)state;
	assert_int_equal(spec_clone_text("x", &text, &len, &e), 0);
	assert_int_equal(spec_edit_apply(text, len, &ed, &edited, &len, &e), 0);
	if (spec_parse(edited, len, &s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(s->process->args.v[0], "/bin/true");
	assert_true(s->process->terminal);
	assert_true(s->process->user.uid == 1 && s->process->user.gid == 2);
	assert_int_equal(s->linux_.resources->memory->limit.v, 1 << 26);
	assert_false(s->linux_.resources->memory->swap.set);
	assert_int_equal(s->linux_.resources->cpu->quota.v, 150000);
	assert_int_equal(s->linux_.resources->cpu->period.v, 100000);
	assert_int_equal(s->linux_.resources->pids_limit.v, 100);
	assert_int_equal(s->linux_.resources->devices.n, 1);
	assert_true(s->root->readonly);
	assert_string_equal(s->hostname, "other");
	assert_string_equal(s->mounts.v[s->mounts.n - 1].destination, "/srv");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process),        cmocka_unit_test(test_isolation),
		cmocka_unit_test(test_seccomp),        cmocka_unit_test(test_seccomp_arguments),
		cmocka_unit_test(test_seccomp_unique), cmocka_unit_test(test_hostname),
		cmocka_unit_test(test_edited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
