/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/str.h"
#include "oci/annotations.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int read_pair(const char *key, const char *value, struct arena *a, struct annotations *out,
		     struct err *e)
{
	struct spec_pair pair = { .key = (char *)key, .value = (char *)value };
	struct spec s = { .annotations = { .v = &pair, .n = 1 } };

	return annotations_read(&s, a, out, e);
}

static void good(const char *key, const char *value, struct arena *a, struct annotations *out)
{
	struct err e = {};

	if (read_pair(key, value, a, out, &e) < 0)
		fail_msg("%s=%s: %s", key, value, e.msg);
}

static void refused(const char *key, const char *value, int code, const char *text)
{
	AUTO(arena_free) struct arena a = {};
	struct annotations out;
	struct err e = {};

	assert_int_equal(read_pair(key, value, &a, &out, &e), -code);
	if (!strstr(e.msg, text) || !strstr(e.msg, key))
		fail_msg("%s=%s: \"%s\" does not say \"%s\"", key, value, e.msg, text);
}

static void switches(void **state)
{
	AUTO(arena_free) struct arena a = {};
	struct annotations out;

	(void)state;
	good("run.oci.keep_original_groups", "1", &a, &out);
	assert_true(out.keep_groups);
	good("run.oci.keep_original_groups", "0", &a, &out);
	assert_false(out.keep_groups);
	good("run.oci.seccomp_fail_unknown_syscall", "true", &a, &out);
	assert_true(out.fail_unknown_syscall);
	refused("run.oci.keep_original_groups", "yes", EINVAL, "neither");
}

static void paths(void **state)
{
	AUTO(arena_free) struct arena a = {};
	struct annotations out;
	char name[200];

	(void)state;
	good("run.oci.hooks.stdout", "/x", &a, &out);
	assert_string_equal(out.hooks_stdout, "/x");
	good("run.oci.hooks.stderr", "/y", &a, &out);
	assert_string_equal(out.hooks_stderr, "/y");
	good("run.oci.pidfd_receiver", "/s", &a, &out);
	assert_string_equal(out.pidfd_receiver, "/s");
	good("run.oci.seccomp.receiver", "/r", &a, &out);
	assert_string_equal(out.seccomp_receiver, "/r");
	refused("run.oci.hooks.stdout", "x", EINVAL, "absolute");
	refused("run.oci.seccomp.receiver", "r", EINVAL, "absolute");
	memset(name, '/', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	refused("run.oci.pidfd_receiver", name, EINVAL, "longer");
}

static void contexts(void **state)
{
	AUTO(arena_free) struct arena a = {};
	struct annotations out;

	(void)state;
	good("some.other", "x", &a, &out);
	assert_string_equal(out.mount_context, "context");
	good("run.oci.mount_context_type", "rootcontext", &a, &out);
	assert_string_equal(out.mount_context, "rootcontext");
	refused("run.oci.mount_context_type", "size", EINVAL, "SELinux");
}

static void bpf(void **state)
{
	static const unsigned char allow[] = { 6, 0, 0, 0, 0, 0, 0xff, 0x7f };
	AUTO(arena_free) struct arena a = {};
	struct annotations out;

	(void)state;
	good("run.oci.seccomp_bpf_data", "BgAAAAAA/38=", &a, &out);
	assert_int_equal(out.bpf_len, sizeof(allow));
	assert_memory_equal(out.bpf, allow, sizeof(allow));
	good("run.oci.seccomp_bpf_data", "BgAAAAAA/38GAAAAAAD/fw==", &a, &out);
	assert_int_equal(out.bpf_len, 2 * sizeof(allow));
	refused("run.oci.seccomp_bpf_data", "", EINVAL, "base64");
	refused("run.oci.seccomp_bpf_data", "BgAAAAAA/38", EINVAL, "base64");
	refused("run.oci.seccomp_bpf_data", "BgAA!AAA/38=", EINVAL, "base64");
	refused("run.oci.seccomp_bpf_data", "BgAA=AAA/38=", EINVAL, "base64");
	refused("run.oci.seccomp_bpf_data", "BgAA", EINVAL, "instructions");
}

static void landlock(void **state)
{
	AUTO(arena_free) struct arena a = {};
	struct annotations out;

	(void)state;
	good("org.ctr.landlock", "{\"read\": [\"/usr\", \"/etc\"], \"exec\": [\"/bin\"]}", &a,
	     &out);
	assert_non_null(out.landlock);
	assert_int_equal(out.landlock->read.n, 2);
	assert_string_equal(out.landlock->read.v[1], "/etc");
	assert_int_equal(out.landlock->write.n, 0);
	assert_string_equal(out.landlock->exec.v[0], "/bin");
	refused("org.ctr.landlock", "{\"read\": [\"usr\"]}", EINVAL, "read[0]");
	refused("org.ctr.landlock", "{\"read\": \"/usr\"}", EINVAL, "read");
	refused("org.ctr.landlock", "{\"reed\": [\"/usr\"]}", EINVAL, "reed: unknown");
	refused("org.ctr.landlock", "[]", EINVAL, "");
	refused("org.ctr.landlock", "read", EINVAL, "");
}

static void others(void **state)
{
	AUTO(arena_free) struct arena a = {};
	struct annotations out;

	(void)state;
	good("run.oci.handler", "", &a, &out);
	good("run.oci.systemd.subgroup", "", &a, &out);
	good("krun.cpus", "2", &a, &out);
	good("module.wasm.image/variant", "compat", &a, &out);
	good("org.ctr.vm.boot-timeout", "90", &a, &out);
	assert_int_equal(out.boot_timeout, 90);
	refused("org.ctr.vm.boot-timeout", "0", EINVAL, "not a number of seconds");
	refused("org.ctr.vm.boot-timeout", "1.5", EINVAL, "not a number of seconds");
	refused("run.oci.handler", "krun", ENOTSUP, "org.ctr.isolation");
	refused("run.oci.handler", "wasm", ENOTSUP, "handler");
	assert_null(out.unknown);
	/* what the specification says of keys that nobody knows */
	good("run.oci.new", "x", &a, &out);
	assert_string_equal(out.unknown, "run.oci.new");
	refused("run.oci.seccomp.plugins", "x.so", ENOTSUP, "not supported");
	refused("run.oci.delegate-cgroup", "x", ENOTSUP, "not supported");
	refused("run.oci.systemd.force_cgroup_v1", "/x", ENOTSUP, "not supported");
	refused("run.oci.systemd.subgroup", "x", ENOTSUP, "sub-cgroup");
	refused("org.ctr.landlok", "{}", ENOTSUP, "not supported");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switches), cmocka_unit_test(paths),    cmocka_unit_test(contexts),
		cmocka_unit_test(bpf),      cmocka_unit_test(landlock), cmocka_unit_test(others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
