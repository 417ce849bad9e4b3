/* SPDX-License-Identifier: Apache-2.0 */
#include "in_child.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "namespaces/sysctl.h"

#include <fcntl.h>

static void test_path(void **state)
{
	static const char *const t[][2] = {
		{ "net.ipv4.ip_forward", "net/ipv4/ip_forward" },
		{ "net/ipv4/ip_forward", "net/ipv4/ip_forward" },
		{ "net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding" },
		{ "net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding" },
		{ "kernel", "kernel" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		AUTO_FREE char *p = sysctl_path(t[i][0]);

		assert_string_equal(p, t[i][1]);
	}
}

static int apply(const char *key, const char *value, struct err *e)
{
	struct spec_pair p = { (char *)key, (char *)value };
	const struct spec_map m = { &p, 1 };

	return sysctl_apply(&m, e);
}

static int body_apply(void)
{
	const struct spec_map none = { 0 };
	struct err e = { 0 };
	char text[64];

	CHECK(sysctl_apply(&none, &e) == 0);
	CHECK_OK(apply("kernel.domainname", "test.example", &e), &e);
	CHECK(io_read_small(AT_FDCWD, "/proc/sys/kernel/domainname", text, sizeof(text)) > 0);
	CHECK(strcmp(text, "test.example") == 0);
	CHECK_OK(apply("kernel/msgmax", "4096", &e), &e);
	CHECK_FAILS(apply("kernel.no_such_thing", "1", &e), ENOENT, &e,
		    "linux.sysctl[\"kernel.no_such_thing\"]");
	CHECK_FAILS(apply("kernel.msgmax", "many", &e), EINVAL, &e, "\"many\"");
	CHECK_FAILS(apply("kernel/../vm/swappiness", "1", &e), EINVAL, &e, "not the name");
	CHECK(apply("kernel", "1", &e) < 0);
	/* a file put over a sysctl gets nothing of what was meant for it */
	CHECK(mount("tmpfs", "/proc/sys/kernel", "tmpfs", 0, NULL) == 0);
	CHECK(io_write_file(AT_FDCWD, "/proc/sys/kernel/domainname", "x") < 0);
	CHECK_OK(apply("kernel.domainname", "other", &e), &e);
	return 0;
}

static void test_apply(void **state)
{
	(void)state;
	in_child(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC, body_apply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_apply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
