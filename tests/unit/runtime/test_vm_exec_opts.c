/* SPDX-License-Identifier: Apache-2.0 */
/* The words of exec on their way to a guest. */
#include "runtime/vm_exec_opts.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void all_that_crosses(void **state)
{
	char *args[] = { "sh", "-c", "", NULL }, *env[] = { "A=1", "B=\xff\n", NULL };
	char *gids[] = { "7", NULL }, *caps[] = { "CAP_KILL", NULL }, *cg[] = { "memory:/x", NULL };
	struct spec_console_size size = { .height = 24, .width = 80 };
	struct exec_opts o = { .args = { args, 3 },
			       .env = { env, 2 },
			       .cwd = "/w",
			       .user = "1:2",
			       .additional_gids = { gids, 1 },
			       .caps = { caps, 1 },
			       .cgroups = { cg, 1 },
			       .process_label = "l",
			       .apparmor = "p",
			       .tty = true,
			       .no_new_privs = true,
			       .ignore_paused = true,
			       .console_size = &size,
			       /* of the host */
			       .detach = true,
			       .pid_file = "/h",
			       .console_socket = "/h",
			       .pidfd_socket = "/h",
			       .preserve_fds = 3 },
			 got;
	AUTO(str_buf_free) struct str_buf b = {};
	AUTO(arena_free) struct arena a = {};
	const char *process;
	struct err e = {};

	(void)state;
	assert_int_equal(vm_exec_opts_put(&o, "{\"args\":[]}", &b, &e), 0);
	assert_int_equal(vm_exec_opts_get(b.s, b.len, &a, &got, &process, &e), 0);
	assert_string_equal(process, "{\"args\":[]}");
	assert_int_equal(got.args.n, 3);
	assert_string_equal(got.args.v[1], "-c");
	assert_string_equal(got.args.v[2], "");
	assert_null(got.args.v[3]);
	assert_int_equal(got.env.n, 2);
	assert_string_equal(got.env.v[1], "B=\xff\n");
	assert_string_equal(got.cwd, "/w");
	assert_string_equal(got.user, "1:2");
	assert_string_equal(got.additional_gids.v[0], "7");
	assert_string_equal(got.caps.v[0], "CAP_KILL");
	assert_string_equal(got.cgroups.v[0], "memory:/x");
	assert_string_equal(got.process_label, "l");
	assert_string_equal(got.apparmor, "p");
	assert_true(got.tty && got.no_new_privs && got.ignore_paused);
	assert_int_equal(got.console_size->height, 24);
	assert_int_equal(got.console_size->width, 80);
	assert_false(got.detach);
	assert_null(got.pid_file);
	assert_null(got.console_socket);
	assert_null(got.pidfd_socket);
	assert_int_equal(got.preserve_fds, 0);
}

static void nothing_at_all(void **state)
{
	AUTO(str_buf_free) struct str_buf b = {};
	AUTO(arena_free) struct arena a = {};
	struct exec_opts o = {}, got;
	const char *process;
	struct err e = {};

	(void)state;
	assert_int_equal(vm_exec_opts_put(&o, NULL, &b, &e), 0);
	assert_int_equal(vm_exec_opts_get("", 0, &a, &got, &process, &e), 0);
	assert_null(process);
	assert_int_equal(got.args.n, 0);
	assert_null(got.console_size);
}

static void texts_that_are_none(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
		{ "ash", 3 }, { "Zx", 3 }, { "", 1 }, { "s24", 4 }, { "sx", 3 }, { "a\0b", 3 }
	};
	AUTO(arena_free) struct arena a = {};
	struct exec_opts got;
	const char *process;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = {};

		assert_int_equal(vm_exec_opts_get(bad[i].text, bad[i].len, &a, &got, &process, &e),
				 -EPROTO);
		assert_true(e.msg[0]);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(all_that_crosses),
	cmocka_unit_test(nothing_at_all),
	cmocka_unit_test(texts_that_are_none),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
