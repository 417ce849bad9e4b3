/* SPDX-License-Identifier: Apache-2.0 */
/* Both halves of the agent, with containers of this host in place of those of a guest. */
#include "tests/unit/runtime/vm_rig.h"

static void exit_codes(void **state)
{
	static const struct {
		const char *script;
		int status;
	} t[] = {
		{ "exit 0", 0 }, { "exit 33", 33 }, { "kill -9 $$", 0 }, { "no-such-program", 127 }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct rig r = {};

		rig_run(&r, t[i].script);
		assert_int_equal(rig_end(&r), t[i].status);
	}
}

static void output_and_input(void **state)
{
	struct rig r = {};
	AUTO_FREE char *out = NULL, *err = NULL;

	(void)state;
	rig_run(&r, "cat; echo on-stderr >&2; exit 3");
	assert_int_equal(io_write_full(r.in, "through\n", 8), 0);
	close(TAKE_FD(r.in));
	out = rig_all(r.out);
	err = rig_all(r.err);
	assert_string_equal(out, "through\n");
	assert_string_equal(err, "on-stderr\n");
	assert_int_equal(rig_end(&r), 3);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(exit_codes),
	cmocka_unit_test(output_and_input),
};

int main(void)
{
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
