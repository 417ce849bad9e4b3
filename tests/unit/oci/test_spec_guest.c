/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest sees of a configuration, and what stays on the host. */
#include "oci/spec_guest.h"
#include "oci/json_text.h"
#include "oci/spec.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const char *sources[] = { NULL, "/s/volumes/0" };

static int guest(const char *text, size_t n_sources, char **out, struct err *e)
{
	struct spec_guest_in in = { .text = text,
				    .len = strlen(text),
				    .rootfs = "/s/rootfs",
				    .sources = sources,
				    .n_sources = n_sources };
	size_t len;

	return spec_guest(&in, out, &len, e);
}

static void becomes(const char *text, const char *want)
{
	AUTO_FREE char *out = NULL;
	struct err e = {};

	if (guest(text, 0, &out, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(out, want);
}

#define ROOT "\"root\":{\"path\":\"/s/rootfs\"}"
#define MOUNT_NS "\"namespaces\":[{\"type\":\"mount\"}]"

static void what_is_made(void **state)
{
	(void)state;
	becomes("{}", "{" ROOT ",\"linux\":{" MOUNT_NS "}}");
	becomes("{\"root\":{\"path\":\"r\",\"readonly\":true},\"linux\":{}}",
		"{\"root\":{\"path\":\"/s/rootfs\",\"readonly\":true},\"linux\":{" MOUNT_NS "}}");
	/* clocks have offsets in a namespace only */
	becomes("{" ROOT ",\"linux\":{\"timeOffsets\":{\"boottime\":{\"secs\":1}}}}",
		"{" ROOT ",\"linux\":{\"timeOffsets\":{\"boottime\":{\"secs\":1}},"
		"\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"time\"}]}}");
	becomes("{" ROOT ",\"linux\":{\"timeOffsets\":{}," MOUNT_NS "}}",
		"{" ROOT ",\"linux\":{\"timeOffsets\":{}," MOUNT_NS "}}");
	becomes("{" ROOT ",\"linux\":{\"timeOffsets\":{\"boottime\":{}},\"namespaces\":["
		"{\"type\":\"time\"},{\"type\":\"mount\"}]}}",
		"{" ROOT ",\"linux\":{\"timeOffsets\":{\"boottime\":{}},\"namespaces\":["
		"{\"type\":\"time\"},{\"type\":\"mount\"}]}}");
}

static void what_belongs_to_the_host(void **state)
{
	(void)state;
	becomes("{" ROOT ",\"vm\":{},\"process\":{\"cwd\":\"/\",\"apparmorProfile\":\"a\","
		"\"selinuxLabel\":\"s\",\"execCPUAffinity\":{}},"
		"\"hooks\":{\"prestart\":[],\"createRuntime\":[],\"createContainer\":[],"
		"\"startContainer\":[1],\"poststart\":[],\"poststop\":[]},"
		"\"annotations\":{\"run.oci.hooks.stdout\":\"/x\",\"org.ctr.landlock\":\"l\","
		"\"any\":\"thing\"},\"linux\":{\"cgroupsPath\":\"/c\",\"uidMappings\":[],"
		"\"gidMappings\":[],\"intelRdt\":{},\"memoryPolicy\":{},\"netDevices\":{},"
		"\"mountLabel\":\"m\",\"sysctl\":{\"a\":\"b\"},\"resources\":{\"cpu\":{\"cpus\":\"5\",\"quota\":9},"
		"\"blockIO\":{},\"pids\":{\"limit\":3},\"unified\":{\"cpu.max\":\"1\",\"io.max\":\"1\","
		"\"cpuset.cpus\":\"1\",\"memory.high\":\"1\"}},\"namespaces\":["
		"{\"type\":\"user\"},{\"type\":\"network\",\"path\":\"/n\"},{\"type\":\"mount\"},"
		"{\"type\":\"user\",\"path\":\"/u\"}]}}",
		"{" ROOT ",\"process\":{\"cwd\":\"/\"},\"hooks\":{\"startContainer\":[1]},"
		"\"annotations\":{\"org.ctr.landlock\":\"l\",\"any\":\"thing\"},"
		"\"linux\":{\"sysctl\":{\"a\":\"b\"},\"resources\":{\"cpu\":{\"quota\":9},"
		"\"pids\":{\"limit\":3},\"unified\":{\"cpu.max\":\"1\",\"memory.high\":\"1\"}},"
		"\"namespaces\":[{\"type\":\"network\"},{\"type\":\"mount\"}]}}");
}

static void sources_of_mounts(void **state)
{
	static const char text[] = "{\"mounts\":[{\"destination\":\"/a\",\"source\":\"proc\"},"
				   "{\"destination\":\"/b\",\"source\":\"/host/b\"}]}";
	AUTO_FREE char *out = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(guest(text, 2, &out, &e), 0);
	assert_non_null(strstr(out, "{\"destination\":\"/a\",\"source\":\"proc\"}"));
	assert_non_null(strstr(out, "{\"destination\":\"/b\",\"source\":\"/s/volumes/0\"}"));
	free(TAKE_PTR(out));
	assert_int_equal(guest("{}", 2, &out, &e), -EINVAL);
	assert_string_equal(e.msg, "mounts[1]: there is no such mount");
}

static void the_bundle(void **state)
{
	const struct spec_guest_in in = {
		.text = "{}", .len = 2, .rootfs = "/s/rootfs", .bundle = "/b"
	};
	AUTO_FREE char *out = NULL;
	struct err e = {};
	size_t len;

	(void)state;
	assert_int_equal(spec_guest(&in, &out, &len, &e), 0);
	assert_non_null(strstr(out, "\"" SPEC_GUEST_BUNDLE "\":\"/b\""));
	assert_int_equal(strlen(out), len);
}

static void resources_of_an_update(void **state)
{
	static const char text[] = "{\"cpu\":{\"cpus\":\"0\",\"shares\":5},\"blockIO\":{},"
				   "\"unified\":{\"io.max\":\"x\"},\"pids\":{\"limit\":1}}";
	AUTO_FREE char *out = NULL;
	struct err e = {};
	size_t len;

	(void)state;
	assert_int_equal(spec_guest_resources(text, strlen(text), &out, &len, &e), 0);
	assert_string_equal(out, "{\"cpu\":{\"shares\":5},\"unified\":{},\"pids\":{\"limit\":1}}");
	assert_int_equal(spec_guest_resources("{", 1, &out, &len, &e), -EINVAL);
}

static void bad_texts(void **state)
{
	static const char *const bad[] = { "", "[]", "7", "{", "{\"a\":1,\"a\":2}" };
	AUTO_FREE char *out = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = {};

		assert_int_equal(guest(bad[i], 0, &out, &e), -EINVAL);
		assert_true(e.msg[0]);
		assert_null(out);
	}
}

/* The default configuration stays one that is accepted. */
static void the_default(void **state)
{
	AUTO_FREE char *text = NULL, *out = NULL;
	AUTO_SPEC struct spec *s = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(spec_default_text(true, 1000, 1000, &text, &e), 0);
	assert_int_equal(guest(text, 0, &out, &e), 0);
	if (spec_parse(out, strlen(out), &s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(s->linux_.ns[NS_USER].wanted);
	assert_true(s->linux_.ns[NS_MOUNT].wanted);
	assert_string_equal(s->root->path, "/s/rootfs");
}

static void json_of_a_stranger(void **state)
{
	AUTO(json_out_free) struct json_out j = {}, bad = {};
	struct err e = {};
	const char *text = " {\"id\": \"x\", \"a\" : [1.50, \"\\u001b[2J\", null, true]} ";

	(void)state;
	assert_int_equal(json_text_member(&j, "numbers", text, strlen(text), "a", &e), 0);
	assert_string_equal(j.buf.s, "[1.50,\"\\u001b[2J\",null,true]");
	assert_int_equal(json_text_member(&bad, "numbers", text, strlen(text), "b", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "numbers: no \"b\""));
	assert_int_equal(json_text_member(&bad, "numbers", "[1]", 3, "a", &e), -EINVAL);
	assert_int_equal(json_text_member(&bad, "numbers", "{\"a\":\033[2J}", 9, "a", &e),
			 -EINVAL);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_made),
	cmocka_unit_test(what_belongs_to_the_host),
	cmocka_unit_test(sources_of_mounts),
	cmocka_unit_test(the_bundle),
	cmocka_unit_test(resources_of_an_update),
	cmocka_unit_test(bad_texts),
	cmocka_unit_test(the_default),
	cmocka_unit_test(json_of_a_stranger),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
