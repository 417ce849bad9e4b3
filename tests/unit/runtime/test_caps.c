/* SPDX-License-Identifier: Apache-2.0 */
/* Each case runs in a child of its own, because what is dropped cannot be had again. Needs root. */
#include "runtime/caps.h"

#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define BIT(c) (1ULL << (c))
#define SET(x)                        \
	{                             \
		.set = true, .v = (x) \
	}

struct sets {
	uint64_t effective, permitted, inheritable, bounding, ambient;
};

static uint64_t line(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtoull(p + strlen(key), NULL, 16) : ~0ULL;
}

static struct sets current(void)
{
	static char text[8192];
	int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return (struct sets){
		.effective = line(text, "CapEff:"),
		.permitted = line(text, "CapPrm:"),
		.inheritable = line(text, "CapInh:"),
		.bounding = line(text, "CapBnd:"),
		.ambient = line(text, "CapAmb:"),
	};
}

static bool same(const struct sets *a, const struct sets *b)
{
	if (memcmp(a, b, sizeof(*a)) == 0)
		return true;
	fprintf(stderr, "have eff %llx prm %llx inh %llx bnd %llx amb %llx\n",
		(unsigned long long)a->effective, (unsigned long long)a->permitted,
		(unsigned long long)a->inheritable, (unsigned long long)a->bounding,
		(unsigned long long)a->ambient);
	return false;
}

/* Applies c with a change to uid between the steps; true when the sets are as wanted. */
static bool apply(const struct spec_capabilities *c, uid_t uid, int log, const struct sets *want)
{
	struct err e = {};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct sets got;

		log_setup(log, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
		if (caps_before_user(c, &e) < 0 || setresuid(uid, uid, uid) < 0 ||
		    caps_after_user(c, &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			_exit(2);
		}
		if (prctl(PR_GET_KEEPCAPS) != 0)
			_exit(3);
		got = current();
		_exit(same(&got, want) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void need_root(void)
{
	if (geteuid() != 0 || !(current().effective & BIT(CAP_SETPCAP)))
		skip();
}

static void all_sets_for_a_user(void **state)
{
	uint64_t kill_chown = BIT(CAP_KILL) | BIT(CAP_CHOWN);
	struct spec_capabilities c = {
		.bounding = SET(kill_chown | BIT(CAP_FOWNER)),
		.effective = SET(BIT(CAP_KILL)),
		.permitted = SET(kill_chown),
		.inheritable = SET(kill_chown),
		.ambient = SET(BIT(CAP_KILL)),
	};
	struct sets want = {
		.bounding = kill_chown | BIT(CAP_FOWNER),
		.effective = BIT(CAP_KILL),
		.permitted = kill_chown,
		.inheritable = kill_chown,
		.ambient = BIT(CAP_KILL),
	};

	(void)state;
	need_root();
	assert_true(apply(&c, 1000, -1, &want));
	assert_true(apply(&c, 0, -1, &want));
}

static void none_at_all(void **state)
{
	struct sets want = {};
	struct spec_capabilities unset = {};
	struct spec_capabilities empty = { .bounding = SET(0), .effective = SET(0) };

	(void)state;
	need_root();
	assert_true(apply(NULL, 1000, -1, &want));
	assert_true(apply(NULL, 0, -1, &want));
	assert_true(apply(&unset, 0, -1, &want));
	assert_true(apply(&empty, 1000, -1, &want));
}

/* What cannot be had: unknown to every kernel, outside of permitted. */
static void missing_ones_are_one_warning(void **state)
{
	FILE *f = tmpfile();
	char text[4096] = "";
	uint64_t unknown = BIT(63);
	struct spec_capabilities c = {
		.bounding = SET(BIT(CAP_KILL) | BIT(CAP_CHOWN) | unknown),
		.effective = SET(BIT(CAP_KILL) | BIT(CAP_CHOWN) | unknown),
		.permitted = SET(BIT(CAP_KILL) | unknown),
		.inheritable = SET(unknown),
		.ambient = SET(BIT(CAP_KILL)),
	};
	struct sets want = {
		.bounding = BIT(CAP_KILL) | BIT(CAP_CHOWN),
		.effective = BIT(CAP_KILL),
		.permitted = BIT(CAP_KILL),
	};
	size_t n;

	(void)state;
	need_root();
	assert_true(apply(&c, 1000, fileno(f), &want));
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	/* Ambient without inheritable is what `runc spec` writes: dropped without a word. */
	assert_null(strstr(text, "cap_kill"));
	assert_non_null(strstr(text, "cap_chown (effective)"));
	assert_non_null(strstr(text, "63 (bounding effective inheritable permitted)"));
	assert_ptr_equal(strchr(text, '\n'), text + n - 1);
}

/* Only what is missing is named, and nothing is said when nothing is. */
static void no_warning_without_need(void **state)
{
	FILE *f = tmpfile();
	struct spec_capabilities c = { .bounding = SET(BIT(CAP_KILL)) };
	struct sets want = { .bounding = BIT(CAP_KILL) };

	(void)state;
	need_root();
	assert_true(apply(&c, 0, fileno(f), &want));
	fseek(f, 0, SEEK_END);
	assert_int_equal(ftell(f), 0);
	fclose(f);
}

/*
 * Without CAP_SETPCAP a bounding set that must shrink is an error, one that is already so is not.
 */
static void unprivileged_bounding(void **state)
{
	struct spec_capabilities c = { .bounding = SET(current().bounding) };
	struct spec_capabilities less = { .bounding = SET(BIT(CAP_KILL)) };
	struct err e = {};
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		if (sys_capset(0, 0, 0) < 0)
			_exit(1);
		if (caps_before_user(&less, &e) != -EPERM || !strstr(e.msg, "bounding"))
			_exit(2);
		_exit(caps_before_user(&c, &e) == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void last_is_what_the_kernel_says(void **state)
{
	char text[16] = "";
	int fd = open("/proc/sys/kernel/cap_last_cap", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_int_equal(caps_last(), atoi(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sets_for_a_user),
		cmocka_unit_test(none_at_all),
		cmocka_unit_test(missing_ones_are_one_warning),
		cmocka_unit_test(no_warning_without_need),
		cmocka_unit_test(unprivileged_bounding),
		cmocka_unit_test(last_is_what_the_kernel_says),
	};

	return cmocka_run_group_tests_name("caps", tests, NULL, NULL);
}
