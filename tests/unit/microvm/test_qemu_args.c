/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/qemu.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct str_list words_of(const struct vm_config *c, const struct qemu_fds *f,
				unsigned int tsc_khz)
{
	struct str_list l = {};
	struct err e = {};

	if (qemu_args(c, f, tsc_khz, &l, &e) < 0)
		fail_msg("%s", e.msg);
	return l;
}

/* The word behind `option` that starts with `start`, or NULL. */
static const char *value(const struct str_list *l, const char *option, const char *start)
{
	for (size_t i = 0; i + 1 < l->n; i++)
		if (str_eq(l->v[i], option) && str_after(l->v[i + 1], start))
			return l->v[i + 1];
	return NULL;
}

static void test_machine(void **state)
{
	static const char *const params[] = { "-cpu", "max,-la57" };
	const struct vm_config c = {
		.accel = VM_ACCEL_TCG,
		.vcpus = 3,
		.memory = (uint64_t)192 << 20,
		.kernel = 20,
		.initrd = 21,
		.cmdline = "a b",
		.disks = { { .fd = 30, .ro = true }, { .fd = 31, .device = true } },
		.n_disks = 2,
		.qemu_params = params,
		.n_qemu_params = 2,
	};
	const struct qemu_fds f = { .ctl = 10, .console = 11, .serial = 12, .fs = 13 };
	AUTO(str_list_free) struct str_list l = words_of(&c, &f, 2600000);

	(void)state;
	assert_string_equal(value(&l, "-m", ""), "192M");
	assert_string_equal(value(&l, "-smp", ""), "3");
	assert_non_null(value(&l, "-object", "memory-backend-memfd,id=ram,size=192M,share=on"));
	assert_non_null(value(&l, "-accel", "tcg"));
	assert_non_null(value(&l, "-cpu", "max,-la57"));
	assert_string_equal(value(&l, "-kernel", ""), "/proc/self/fd/20");
	assert_string_equal(value(&l, "-initrd", ""), "/proc/self/fd/21");
	assert_true(str_ends(value(&l, "-append", ""), " a b"));
	assert_non_null(strstr(value(&l, "-append", ""), "tsc_early_khz=2600000 tsc=reliable"));
	assert_string_equal(value(&l, "-chardev", "socket,id=ctl"), "socket,id=ctl,fd=10");
	assert_string_equal(value(&l, "-device", "virtserialport"),
			    "virtserialport,chardev=ctl,name=" VM_CTL_PORT);
	assert_non_null(value(&l, "-device", "vhost-user-fs-device,chardev=fs,tag=" VM_SHARE_TAG));
	assert_string_equal(value(&l, "-add-fd", "fd=30"), "fd=30,set=1");
	assert_true(str_ends(value(&l, "-drive", "if=none,id=disk0"), ",readonly=on"));
	assert_non_null(strstr(value(&l, "-drive", "if=none,id=disk0"),
			       ",file.driver=file,file.filename=/dev/fdset/1,format=raw,"));
	assert_non_null(strstr(value(&l, "-drive", "if=none,id=disk1"),
			       ",file.driver=host_device,file.filename=/dev/fdset/2,format=raw,"));
	assert_null(strstr(value(&l, "-drive", "if=none,id=disk1"), "readonly"));
}

/* With the host's processor the guest has a clock of the hypervisor's. */
static void test_kvm(void **state)
{
	const struct vm_config c = {
		.accel = VM_ACCEL_KVM, .vcpus = 1, .memory = 1 << 28, .initrd = -1, .cmdline = "x"
	};
	const struct qemu_fds f = { .ctl = 10, .console = 11, .serial = 12, .fs = -1 };
	AUTO(str_list_free) struct str_list l = words_of(&c, &f, 0);

	(void)state;
	assert_non_null(value(&l, "-accel", "kvm"));
	assert_non_null(value(&l, "-cpu", "host"));
	assert_null(strstr(value(&l, "-append", ""), "tsc"));
	assert_null(value(&l, "-initrd", ""));
	assert_null(value(&l, "-device", "vhost-user-fs"));
}

static void test_parameters(void **state)
{
	static const struct {
		const char *v[4];
		size_t n;
		int result;
	} rows[] = {
		{ { "-cpu", "max" }, 2, 0 },
		{ { "-cpu", "max,-la57", "-accel", "tcg,thread=single" }, 4, 0 },
		{ { NULL }, 0, 0 },
		{ { "-cpu" }, 1, -EINVAL },
		{ { "-cpu", "" }, 2, -EINVAL },
		{ { "-cpu", "a/b" }, 2, -EINVAL },
		{ { "-cpu", "max", "-monitor", "stdio" }, 4, -EINVAL },
		{ { "-drive", "file=x" }, 2, -EINVAL },
		{ { "max", "-cpu" }, 2, -EINVAL },
		{ { "-icount", "shift=auto,sleep=off,align=off" }, 2, 0 },
		{ { "-icount", "shift=auto,rr=record,rrfile=x" }, 2, -EINVAL },
		{ { "-icount", "auto,rrsnapshot=x" }, 2, -EINVAL },
		{ { "-icount", "rr=replay" }, 2, -EINVAL },
		{ { "-accel", "kvm,device=x" }, 2, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = {};

		if (qemu_check_parameters(rows[i].v, rows[i].n, &e) != rows[i].result)
			fail_msg("row %zu: %s", i, e.msg);
	}
}

static void test_tsc(void **state)
{
	struct tsc_sample s;
	unsigned int a, b;

	(void)state;
	qemu_tsc_sample(&s);
	a = qemu_tsc_khz(&s);
	b = qemu_tsc_khz(&s);
	/* The same clock both times, to a thousandth. */
	assert_in_range(b, a - a / 1000, a + a / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_kvm),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_tsc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
