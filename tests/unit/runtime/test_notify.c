/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/notify.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void filtered(void **state)
{
	static const struct {
		const char *said, *passed;
		bool ready;
	} cases[] = {
		{ "READY=1", "READY=1", true },
		{ "READY=1\n", "READY=1", true },
		{ "STATUS=a b\nREADY=1\nERRNO=2", "STATUS=a b\nREADY=1\nERRNO=2", true },
		{ "READY=0", "READY=0", false },
		{ "READY=11", "READY=11", false },
		{ "READY", "", false },
		{ " READY=1", "", false },
		{ "STATUS=READY=1", "STATUS=READY=1", false },
		{ "MAINPID=1\nSTATUS=x", "STATUS=x", false },
		{ "STATUS=x\nMAINPID=1\nREADY=1", "STATUS=x\nREADY=1", true },
		{ "RELOADING=1\nMONOTONIC_USEC=5", "RELOADING=1\nMONOTONIC_USEC=5", false },
		{ "STOPPING=1\nEXIT_STATUS=3\nBUSERROR=a\nVARLINKERROR=b",
		  "STOPPING=1\nEXIT_STATUS=3\nBUSERROR=a\nVARLINKERROR=b", false },
		{ "WATCHDOG=1\nWATCHDOG_USEC=7\nEXTEND_TIMEOUT_USEC=9\nX_MINE=1",
		  "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=9\nX_MINE=1", false },
		{ "MAINPIDFDID=1\nMAINPIDFD=1\nFDSTORE=1\nFDSTOREREMOVE=1\nFDNAME=a\nFDPOLL=0\n"
		  "NOTIFYACCESS=all\nBARRIER=1\nNEW=1",
		  "", false },
		{ "\n\n\nSTATUS=x\n\n", "STATUS=x", false },
		{ "", "", false },
		{ "\n", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char msg[256];
		bool ready = !cases[i].ready;
		size_t n;

		strcpy(msg, cases[i].said);
		n = notify_filter(msg, strlen(msg), &ready);
		assert_int_equal(n, strlen(cases[i].passed));
		assert_memory_equal(msg, cases[i].passed, n);
		assert_int_equal(ready, cases[i].ready);
	}
}

/* As the manager takes it: one at the end is fine. */
static void with_nul(void **state)
{
	static const struct {
		const char *said;
		size_t len, left;
	} cases[] = {
		{ "READY=1", sizeof("READY=1"), 7 },
		{ "READY=1\0", sizeof("READY=1\0"), 0 },
		{ "STATUS=a\0b\nREADY=1", sizeof("STATUS=a\0b\nREADY=1") - 1, 0 },
		{ "\0READY=1", 8, 0 },
		{ "", 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char msg[64];
		bool ready;

		memcpy(msg, cases[i].said, cases[i].len);
		assert_int_equal(notify_filter(msg, cases[i].len, &ready), cases[i].left);
		assert_int_equal(ready, cases[i].left > 0);
	}
}

/* No further than said. */
static void length(void **state)
{
	char msg[] = "STATUS=a\nREADY=1";
	bool ready;

	(void)state;
	assert_int_equal(notify_filter(msg, sizeof(msg) - 2, &ready), sizeof(msg) - 2);
	assert_false(ready);
}

static void names(void **state)
{
	char longest[109], *too_long = longest;
	const char *name = "x";
	struct err e = {};

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_manager(&name, &e), 0);
	assert_null(name);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_manager(&name, &e), 0);
	assert_null(name);
	setenv("NOTIFY_SOCKET", "@a", 1);
	assert_int_equal(notify_manager(&name, &e), 0);
	assert_string_equal(name, "@a");
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[107] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	assert_int_equal(notify_manager(&name, &e), 0);
	assert_string_equal(name, longest);
	longest[107] = 'x';
	longest[108] = '\0';
	setenv("NOTIFY_SOCKET", too_long, 1);
	assert_int_equal(notify_manager(&name, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "longer than 107 bytes"));
	for (size_t i = 0; i < 4; i++) {
		static const char *const bad[] = { "a", "/", "@", "vsock:2:1" };

		setenv("NOTIFY_SOCKET", bad[i], 1);
		assert_int_equal(notify_manager(&name, &e), -EINVAL);
		assert_null(name);
		assert_non_null(strstr(e.msg, bad[i]));
	}
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filtered),
		cmocka_unit_test(with_nul),
		cmocka_unit_test(length),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
