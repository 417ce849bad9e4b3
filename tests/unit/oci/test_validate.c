/* SPDX-License-Identifier: Apache-2.0 */
/* The rules across fields that let something through; what they refuse: test_bad_corpus.c. */
#include "base/cleanup.h"
#include "base/str.h"
#include "oci/spec.h"
#include "oci/validate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void accepted(const char *text)
{
	AUTO_SPEC struct spec *s = NULL;
	struct err e = { 0 };

	if (spec_parse(text, strlen(text), &s, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
}

static void accepted_documents(void **state)
{
	(void)state;
	/* nothing but the version */
	accepted("{\"ociVersion\": \"1.0.2\"}");
	/* a newer version */
	accepted("{\"ociVersion\": \"1.99.0-rc.1\", \"process\": null, \"linux\": {}}");
	/* an old version, null for absent */
	accepted("{\"ociVersion\": \"0.5.0-dev\", \"linux\": null}");
	/* consoleSize is ignored without a terminal, whatever its numbers */
	accepted("{\"ociVersion\": \"1.2.0\", \"process\": {\"args\": [\"a\"], \"cwd\": \"/\","
		 " \"consoleSize\": {\"height\": 99999, \"width\": 0}}}");
	/* the same device twice is one device */
	accepted("{\"ociVersion\": \"1.2.0\", \"linux\": {\"devices\": ["
		 "{\"path\": \"/dev/x\", \"type\": \"c\", \"major\": 1, \"minor\": 3},"
		 " {\"path\": \"/dev/x\", \"type\": \"c\", \"major\": 1, \"minor\": 3}]}}");
	/* a user namespace that is joined brings its own maps */
	accepted(
		"{\"ociVersion\": \"1.2.0\", \"process\": {\"args\": [\"a\"], \"cwd\": \"/\", \"user\": {\"uid\": 9}},"
		" \"linux\": {\"namespaces\": [{\"type\": \"user\", \"path\": \"/u\"}]}}");
	/* with a kernel of one's own: what would change the host changes the guest */
	accepted(
		"{\"ociVersion\": \"1.2.0\", \"hostname\": \"h\", \"mounts\": [{\"destination\": \"/a\"}],"
		" \"vm\": {\"kernel\": {\"path\": \"/k\"}}, \"linux\": {\"sysctl\": {\"vm.swappiness\": \"1\"}}}");
	/* the same by annotation */
	accepted("{\"ociVersion\": \"1.2.0\", \"hostname\": \"h\","
		 " \"annotations\": {\"org.ctr.isolation\": \"vm\"}}");
	/* 0 is how callers say that a weight is not set */
	accepted(
		"{\"ociVersion\": \"1.2.0\", \"linux\": {\"resources\": {\"blockIO\": {\"weight\": 0}}}}");
	/* a handler named by an annotation takes the place of listenerPath */
	accepted(
		"{\"ociVersion\": \"1.2.0\", \"annotations\": {\"run.oci.seccomp.receiver\": \"/s\"},"
		" \"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": ["
		"{\"names\": [\"mount\"], \"action\": \"SCMP_ACT_NOTIFY\"}]}}}");
	/* the host name by sysctl, in its namespace */
	accepted("{\"ociVersion\": \"1.2.0\", \"linux\": {\"namespaces\": [{\"type\": \"uts\"}],"
		 " \"sysctl\": {\"kernel.hostname\": \"x\"}}}");
	/* ipc sysctls, both forms */
	accepted(
		"{\"ociVersion\": \"1.2.0\", \"linux\": {\"namespaces\": [{\"type\": \"ipc\"}],"
		" \"sysctl\": {\"kernel.msgmax\": \"1\", \"kernel/sem\": \"1\", \"fs/mqueue/msg_max\": \"1\"}}}");
	/* the widest id map */
	accepted("{\"ociVersion\": \"1.2.0\", \"linux\": {\"namespaces\": [{\"type\": \"user\"}],"
		 " \"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 4294967295}],"
		 " \"gidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 4294967295}]}}");
	/* neighbouring id ranges */
	accepted("{\"ociVersion\": \"1.2.0\", \"linux\": {\"namespaces\": [{\"type\": \"user\"}],"
		 " \"uidMappings\": [{\"containerID\": 0, \"hostID\": 10, \"size\": 5},"
		 " {\"containerID\": 5, \"hostID\": 5, \"size\": 5}],"
		 " \"gidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 1}]}}");
	/* idmap with the maps of the user namespace */
	accepted(
		"{\"ociVersion\": \"1.2.0\", \"mounts\": [{\"destination\": \"/a\", \"source\": \"/s\","
		" \"options\": [\"bind\", \"idmap\"]}], \"linux\": {\"namespaces\": [{\"type\": \"mount\"},"
		" {\"type\": \"user\", \"path\": \"/u\"}]}}");
}

/* The same text, with the word of who reads it that it has a kernel of its own and without. */
static void own_kernel_by_word(const char *text, const char *refused)
{
	AUTO_SPEC struct spec *s = NULL, *own = NULL;
	struct err e = { 0 };

	assert_int_equal(spec_parse(text, strlen(text), &s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, refused));
	if (spec_parse_own(text, strlen(text), &own, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	assert_true(own->own_kernel);
}

static void own_kernel(void **state)
{
	static const char map[] = "{\"ociVersion\": \"1.2.0\", \"linux\": {\"uidMappings\": ["
				  "{\"containerID\": 0, \"hostID\": 1, \"size\": 1}]}}";
	AUTO_SPEC struct spec *s = NULL;
	struct err e = { 0 };

	(void)state;
	own_kernel_by_word("{\"ociVersion\": \"1.2.0\", \"hostname\": \"h\"}",
			   "hostname: needs the namespace \"uts\"");
	own_kernel_by_word("{\"ociVersion\": \"1.2.0\", \"domainname\": \"h\"}",
			   "domainname: needs the namespace \"uts\"");
	own_kernel_by_word(
		"{\"ociVersion\": \"1.2.0\", \"linux\": {\"sysctl\": {\"vm.swappiness\": \"1\"}}}",
		"belongs to no namespace");
	own_kernel_by_word(
		"{\"ociVersion\": \"1.2.0\", \"linux\": {\"sysctl\": {\"kernel.msgmax\": \"1\"}}}",
		"needs the namespace \"ipc\"");
	own_kernel_by_word("{\"ociVersion\": \"1.2.0\", \"linux\": {\"timeOffsets\":"
			   " {\"boottime\": {\"secs\": 1}}}}",
			   "linux.timeOffsets: needs the namespace \"time\"");
	/* What asks for ids of the host does so with any kernel. */
	assert_int_equal(spec_parse_own(map, strlen(map), &s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.uidMappings: needs the namespace \"user\""));
}

static void ids(void **state)
{
	static const char *const good[] = { "a", "A-b_c.d+9", "-x", "+", "_", "a..b" };
	static const char *const bad[] = { "",    ".",        "..",  ".a",   "a/b", "a b",
					   "a\n", "\xc3\xa9", "a:b", "../x", "a\\b" };
	char longest[1026];
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(validate_id(good[i], &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(validate_id(bad[i], &e), -EINVAL);
		assert_non_null(str_after(e.msg, "invalid container ID format: "));
	}
	memset(longest, 'a', sizeof(longest));
	longest[1025] = '\0';
	assert_int_equal(validate_id(longest, &e), -EINVAL);
	longest[1024] = '\0';
	assert_int_equal(validate_id(longest, &e), 0);
}

static void sysctl_paths(void **state)
{
	static const struct {
		const char *key, *path; /* NULL: refused */
	} cases[] = {
		{ "net.ipv4.ip_forward", "net/ipv4/ip_forward" },
		{ "net/ipv4/ip_forward", "net/ipv4/ip_forward" },
		{ "net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding" },
		{ "net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding" },
		{ "single", "single" },
		{ "", NULL },
		{ ".", NULL },
		{ "a.", NULL },
		{ ".a", NULL },
		{ "a..b", NULL },
		{ "/a", NULL },
		{ "a/", NULL },
		{ "a//b", NULL },
		{ "a/../b", NULL },
		{ "a/./b", NULL },
		{ "a/..", NULL },
		{ "a.//.b", NULL },
		{ "a./.b", NULL },
		{ "a b", NULL },
		{ "a\nb", NULL },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = validate_sysctl_path(cases[i].key, out, sizeof(out));

		if (r != (cases[i].path ? 0 : -EINVAL))
			fail_msg("\"%s\": %d", cases[i].key, r);
		if (cases[i].path)
			assert_string_equal(out, cases[i].path);
	}
	assert_int_equal(validate_sysctl_path("net.ipv4", out, 8), -ENAMETOOLONG);
	assert_int_equal(validate_sysctl_path("net.ipv4", out, 9), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_documents),
		cmocka_unit_test(own_kernel),
		cmocka_unit_test(ids),
		cmocka_unit_test(sysctl_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
