/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_device.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define R BPF_DEVCG_ACC_READ
#define W BPF_DEVCG_ACC_WRITE
#define M BPF_DEVCG_ACC_MKNOD
#define CHR BPF_DEVCG_DEV_CHAR
#define BLK BPF_DEVCG_DEV_BLOCK

#define NUM(x)                        \
	{                             \
		.set = true, .v = (x) \
	}
#define ANY                  \
	{                    \
		.set = false \
	}

/* Runs the few instructions that the generator uses; anything else, or a jump out of the program,
 * fails. */
static int emulate(const struct bpf_insn *v, size_t n, struct bpf_cgroup_dev_ctx ctx)
{
	uint64_t r[11] = { 0 };
	size_t pc = 0;

	for (size_t steps = 0; pc < n && steps < 10000; steps++) {
		const struct bpf_insn *i = &v[pc++];
		uint64_t k = (uint64_t)(int64_t)i->imm;

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			assert_int_equal(i->src_reg, 1);
			assert_in_range(i->off, 0, 8);
			r[i->dst_reg] = ((const uint32_t *)&ctx)[i->off / 4];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			r[i->dst_reg] = r[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = k;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			r[i->dst_reg] &= k;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			r[i->dst_reg] >>= k;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += r[i->dst_reg] != k ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += r[i->dst_reg] == k ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			fail_msg("unexpected instruction 0x%x", i->code);
		}
	}
	fail_msg("the program does not end");
	return -1;
}

struct question {
	uint32_t type, access, major, minor;
	int answer;
};

static void ask(struct spec_device_rule *rules, size_t n_rules, const struct question *q,
		size_t n_q)
{
	struct spec_device_rules list = { rules, n_rules };
	AUTO_FREE struct bpf_insn *insns = NULL;
	struct cg_devs devs;
	size_t n;

	assert_int_equal(cg_device_rules(&list, &devs, NULL), 0);
	assert_int_equal(cg_device_program(&devs, &insns, &n), 0);
	for (size_t i = 0; i < n_q; i++) {
		struct bpf_cgroup_dev_ctx ctx = { q[i].access << 16 | q[i].type, q[i].major,
						  q[i].minor };

		if (emulate(insns, n, ctx) != q[i].answer)
			fail_msg("question %zu: type %u access %u %u:%u is not %d", i, q[i].type,
				 q[i].access, q[i].major, q[i].minor, q[i].answer);
	}
	cg_device_free(&devs);
}

static void test_default(void **state)
{
	const struct question q[] = {
		{ CHR, R | W, 1, 3, 1 }, { CHR, R, 1, 9, 1 },        { CHR, R | W | M, 5, 2, 1 },
		{ CHR, R, 136, 77, 1 },  { CHR, R | W, 10, 200, 1 }, { CHR, M, 250, 3, 1 },
		{ BLK, M, 8, 0, 1 },     { BLK, R, 8, 0, 0 },        { CHR, R, 1, 1, 0 },
		{ BLK, R | M, 8, 0, 0 }, { BLK, R, 1, 3, 0 },        { CHR, W, 1, 11, 0 },
	};

	(void)state;
	ask(NULL, 0, q, ARRAY_SIZE(q));
	/* The deny-all that every configuration begins with changes nothing. */
	ask((struct spec_device_rule[]){ { .allow = false,
					   .type = 'a',
					   .access = (char[]){ "rwm" } } },
	    1, q, ARRAY_SIZE(q));
}

static void test_order(void **state)
{
	struct spec_device_rule rules[] = {
		{ .allow = true,
		  .type = 'c',
		  .major = NUM(10),
		  .minor = NUM(229) }, /* void: deny all follows */
		{ .allow = false, .type = 'a' },
		{ .allow = true,
		  .type = 'b',
		  .major = NUM(8),
		  .minor = ANY,
		  .access = (char[]){ "rw" } },
		{ .allow = false,
		  .type = 'b',
		  .major = NUM(8),
		  .minor = NUM(1),
		  .access = (char[]){ "w" } },
		{ .allow = true,
		  .type = 'c',
		  .major = NUM(7),
		  .minor = NUM(-1),
		  .access = (char[]){ "r" } },
		{ .allow = true,
		  .type = 'c',
		  .major = NUM(7),
		  .minor = NUM(2),
		  .access = (char[]){ "w" } },
		{ .allow = false,
		  .type = 'c',
		  .major = NUM(1),
		  .minor = NUM(3) }, /* a default: stays allowed */
	};
	const struct question q[] = {
		{ CHR, R, 10, 229, 0 },  { BLK, R | W, 8, 0, 1 }, { BLK, R | W, 8, 1, 0 },
		{ BLK, R, 8, 1, 1 },     { BLK, W, 8, 1, 0 },     { CHR, R, 7, 9, 1 },
		{ CHR, R | W, 7, 9, 0 }, { CHR, R | W, 7, 2, 1 }, { CHR, W, 7, 2, 1 },
		{ CHR, R | W, 1, 3, 1 }, { BLK, R, 9, 0, 0 },
	};

	(void)state;
	ask(rules, ARRAY_SIZE(rules), q, ARRAY_SIZE(q));
}

static void test_allow_all(void **state)
{
	struct spec_device_rule rules[] = {
		{ .allow = true, .type = 'a' },
		{ .allow = false, .type = 'a', .major = NUM(8), .access = (char[]){ "w" } },
	};
	const struct question q[] = { { CHR, R | W, 250, 1, 1 },
				      { BLK, R, 8, 3, 1 },
				      { BLK, R | W, 8, 3, 0 },
				      { CHR, W, 8, 3, 0 } };
	struct spec_device_rules one = { rules, 1 };
	struct cg_devs devs;

	(void)state;
	ask(rules, 2, q, ARRAY_SIZE(q));
	assert_int_equal(cg_device_rules(&one, &devs, NULL), 0);
	assert_true(devs.allow_default);
	assert_int_equal(devs.n, 0);
	cg_device_free(&devs);
}

static void test_bad_rules(void **state)
{
	struct spec_device_rule bad[] = {
		{ .type = 'c', .access = (char[]){ "rx" } },
		{ .type = 'x' },
		{ .type = 'c', .major = NUM(-2) },
		{ .type = 'c', .minor = NUM(1LL << 40) },
	};
	const char *const why[] = {
		"linux.resources.devices[0].access: \"rx\" is not of r, w, m",
		"linux.resources.devices[0].type: 'x' is not a, b or c",
		"linux.resources.devices[0]: device number out of range",
		"linux.resources.devices[0]: device number out of range",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct spec_device_rules l = { &bad[i], 1 };
		struct cg_devs devs;
		struct err e;

		assert_int_equal(cg_device_rules(&l, &devs, &e), -EINVAL);
		assert_string_equal(e.msg, why[i]);
	}
}

static void exceptions(struct spec_device_rule *rules, size_t n, const char *want)
{
	struct spec_device_rules list = { rules, n };
	struct cg_devs devs, ex;
	char text[2048] = "";
	struct err e;

	assert_int_equal(cg_device_rules(&list, &devs, NULL), 0);
	if (cg_device_exceptions(&devs, &ex, &e) < 0) {
		snprintf(text, sizeof(text), "ERROR %s", e.msg);
	} else {
		strcpy(text, ex.allow_default ? "allow" : "deny");
		for (size_t i = 0; i < ex.n; i++) {
			strcat(text, ";");
			cg_device_format(&ex.v[i], text + strlen(text), 64);
		}
		cg_device_free(&ex);
	}
	cg_device_free(&devs);
	assert_string_equal(text, want);
}

#define DEFAULTS                                                                                            \
	";c *:* m;b *:* m;c 1:3 rwm;c 1:5 rwm;c 1:7 rwm;c 1:8 rwm;c 1:9 rwm;c 5:0 rwm;c 5:1 rwm;c 5:2 rwm;" \
	"c 136:* rwm;c 10:200 rwm"

static void test_v1(void **state)
{
	struct spec_device_rule rules[] = {
		{ .allow = false, .type = 'a' },
		{ .allow = true,
		  .type = 'b',
		  .major = NUM(8),
		  .minor = NUM(0),
		  .access = (char[]){ "r" } },
		{ .allow = true,
		  .type = 'b',
		  .major = NUM(8),
		  .minor = NUM(0),
		  .access = (char[]){ "w" } },
		{ .allow = false, .type = 'b', .major = NUM(8), .access = (char[]){ "w" } },
	};
	struct spec_device_rule part[] = {
		{ .allow = true, .type = 'b', .major = NUM(8), .access = (char[]){ "rw" } },
		{ .allow = false,
		  .type = 'b',
		  .major = NUM(8),
		  .minor = NUM(1),
		  .access = (char[]){ "w" } },
	};
	struct spec_device_rule open[] = {
		{ .allow = true, .type = 'a' },
		{ .allow = false, .type = 'b', .major = NUM(8) },
	};

	(void)state;
	exceptions(rules, 1, "deny" DEFAULTS);
	exceptions(rules, 3, "deny;b 8:0 rw" DEFAULTS);
	exceptions(rules, 4, "deny;b 8:0 r" DEFAULTS);
	exceptions(
		part, 2,
		"ERROR linux.resources.devices[1]: cgroup v1 cannot hold a rule for a part of the devices "
		"of an earlier rule (devices[0])");
	exceptions(open, 1, "allow");
	/* mknod of any block device is a default, so that much of the exception goes. */
	exceptions(open, 2, "allow;b 8:* rw");
}

static void test_parse(void **state)
{
	struct cg_devs d = { 0 };
	char text[64];

	(void)state;
	assert_int_equal(cg_device_parse("c 1:* rm", &d), 0);
	assert_int_equal(d.n, 1);
	cg_device_format(&d.v[0], text, sizeof(text));
	assert_string_equal(text, "c 1:* rm");
	assert_int_equal(cg_device_parse("c 1 rm", &d), -EBADMSG);
	assert_int_equal(cg_device_parse("", &d), -EBADMSG);
	assert_int_equal(cg_device_parse("a *:* rwm", &d), 0);
	assert_true(d.allow_default);
	cg_device_free(&d);
}

/* The kernel's verifier takes every shape of program, and a replaced one is in force alone. */
static void test_kernel(void **state)
{
	struct spec_device_rule rules[] = {
		{ .allow = true, .type = 'b', .major = NUM(8), .access = (char[]){ "rw" } },
		{ .allow = false,
		  .type = 'b',
		  .major = NUM(8),
		  .minor = NUM(1),
		  .access = (char[]){ "w" } },
		{ .allow = true, .type = 'a', .major = NUM(3) },
	};
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char dir[128] = "";
	int r = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mounts) && r < 0; i++) {
		snprintf(dir, sizeof(dir), "%s/cgroup.procs", mounts[i]);
		if (access(dir, F_OK) < 0)
			continue;
		snprintf(dir, sizeof(dir), "%s/ctr-test-device-%d", mounts[i], (int)getpid());
		r = mkdir(dir, 0755);
	}
	if (r < 0) {
		print_message("needs root and cgroup v2\n");
		skip();
	}
	AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t n = 0; n <= ARRAY_SIZE(rules) && r == 0; n++) {
		struct spec_device_rules list = { rules, n };
		AUTO_FREE struct bpf_insn *insns = NULL;
		struct cg_devs devs;
		size_t len;

		assert_int_equal(cg_device_rules(&list, &devs, NULL), 0);
		assert_int_equal(cg_device_program(&devs, &insns, &len), 0);
		cg_device_free(&devs);
		r = cg_device_attach(fd, insns, len);
	}
	if (r == 0)
		r = cg_device_detach(fd);
	rmdir(dir);
	assert_int_equal(r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),   cmocka_unit_test(test_order),
		cmocka_unit_test(test_allow_all), cmocka_unit_test(test_bad_rules),
		cmocka_unit_test(test_v1),        cmocka_unit_test(test_parse),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
