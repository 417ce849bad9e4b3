/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/str.h"
#include "oci/state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct spec_pair annotations[] = { { "z\"", "1" }, { "a", "\n" } };

static struct state full = {
	.oci_version = "1.2.0",
	.id = "c1",
	.pid = 77,
	.pid_start = UINT64_MAX,
	.bundle = "/b",
	.rootfs = "/b/rootfs",
	.mode = "container",
	.created = "2026-01-02T03:04:05.000000006Z",
	.owner = 4294967294,
	.cgroup_driver = "systemd",
	.cgroup_path = "/x/ctr-c1.scope",
	.cgroup_unit = "ctr-c1.scope",
	.rootless_cgroup = true,
	.clone_dir = "/s/c1/clone",
	.clone_loop = "/dev/loop3",
	.rdt_clos = "/sys/fs/resctrl/c1",
	.rdt_mon = "/sys/fs/resctrl/c1/mon_groups/c1",
	.rdt_clos_made = true,
	.vm_memory = (uint64_t)1 << 33,
	.no_pivot = true,
	.no_new_keyring = true,
	.keep = true,
	.annotations = { annotations, 2 },
};

static struct state least = {
	.oci_version = "1.0.2",
	.id = "c",
	.bundle = "/b",
	.mode = "microvm",
	.created = "t",
	.cgroup_driver = "disabled",
};

static void same(const char *a, const char *b)
{
	if (!a || !b)
		assert_ptr_equal(a, b);
	else
		assert_string_equal(a, b);
}

static void round_trip_one(const struct state *in)
{
	AUTO_STATE struct state *out = NULL;
	AUTO_FREE char *text = NULL;
	struct err e = { 0 };
	size_t len = 0;

	assert_int_equal(state_format(in, &text, &len, &e), 0);
	assert_int_equal(strlen(text), len);
	if (state_parse(text, len, &out, &e) < 0)
		fail_msg("%s", e.msg);
	same(out->oci_version, in->oci_version);
	same(out->id, in->id);
	assert_int_equal(out->pid, in->pid);
	assert_true(out->pid_start == in->pid_start);
	same(out->bundle, in->bundle);
	same(out->rootfs, in->rootfs);
	same(out->mode, in->mode);
	same(out->created, in->created);
	assert_int_equal(out->owner, in->owner);
	same(out->cgroup_driver, in->cgroup_driver);
	assert_true(out->vm_memory == in->vm_memory);
	same(out->cgroup_path, in->cgroup_path);
	same(out->cgroup_unit, in->cgroup_unit);
	assert_int_equal(out->rootless_cgroup, in->rootless_cgroup);
	same(out->clone_dir, in->clone_dir);
	same(out->clone_loop, in->clone_loop);
	same(out->rdt_clos, in->rdt_clos);
	same(out->rdt_mon, in->rdt_mon);
	assert_int_equal(out->rdt_clos_made, in->rdt_clos_made);
	assert_int_equal(out->no_pivot, in->no_pivot);
	assert_int_equal(out->no_new_keyring, in->no_new_keyring);
	assert_int_equal(out->keep, in->keep);
	assert_int_equal(out->annotations.n, in->annotations.n);
	for (size_t i = 0; i < in->annotations.n; i++) {
		same(out->annotations.v[i].key, in->annotations.v[i].key);
		same(out->annotations.v[i].value, in->annotations.v[i].value);
	}
}

static void round_trip(void **state)
{
	(void)state;
	round_trip_one(&full);
	round_trip_one(&least);
}

static void broken_files(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "state.json:1:1: parse error: premature EOF" },
		{ "{}", "state.json: ociVersion: required field is missing" },
		{ "{\"ociVersion\": \"1\", \"id\": 5}",
		  "state.json: id: must be a string, not a number" },
		{ "{\"ociVersion\": \"1\", \"id\": \"c\", \"pid\": -1}",
		  "state.json: pid: out of range 0 to 2147483647: -1" },
	};
	AUTO_FREE char *text = NULL;
	struct state *s = NULL;
	struct err e = { 0 };
	size_t len = 0;
	char *at;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(state_parse(cases[i].text, strlen(cases[i].text), &s, &e),
				 -EINVAL);
		assert_string_equal(e.msg, cases[i].message);
	}
	assert_int_equal(state_format(&full, &text, &len, &e), 0);
	for (size_t n = 0; n < len - 2; n++)
		assert_int_equal(state_parse(text, n, &s, &e), -EINVAL);
	at = strstr(text, "\"container\"");
	memcpy(at, "\"something\"", 11);
	assert_int_equal(state_parse(text, len, &s, &e), -EINVAL);
	assert_string_equal(e.msg, "state.json: mode: unknown mode: \"something\"");
	assert_null(s);
	state_free(NULL);
}

static void no_driver(void **state)
{
	struct state bad = least;
	AUTO_FREE char *text = NULL;
	struct state *s = NULL;
	struct err e = { 0 };
	size_t len = 0;

	(void)state;
	bad.cgroup_driver = "magic";
	assert_int_equal(state_format(&bad, &text, &len, &e), 0);
	assert_int_equal(state_parse(text, len, &s, &e), -EINVAL);
	assert_string_equal(e.msg, "state.json: cgroupDriver: unknown cgroup driver: \"magic\"");
}

/* Callers match this as a raw string. */
static void oci_state(void **state)
{
	AUTO(json_out_free) struct json_out j = { 0 };
	AUTO(json_out_free) struct json_out pretty = { .indent = 2 };
	AUTO(json_out_free) struct json_out bare = { 0 };

	(void)state;
	state_out(&j, &full, STATUS_RUNNING, "root");
	assert_string_equal(
		j.buf.s,
		"{\"ociVersion\":\"1.2.0\",\"id\":\"c1\",\"pid\":77,\"status\":\"running\","
		"\"bundle\":\"/b\",\"rootfs\":\"/b/rootfs\",\"created\":\"2026-01-02T03:04:05.000000006Z\","
		"\"annotations\":{\"z\\\"\":\"1\",\"a\":\"\\n\"},\"owner\":\"root\"}");
	state_out(&bare, &least, STATUS_CREATING, NULL);
	assert_string_equal(
		bare.buf.s,
		"{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"pid\":0,\"status\":\"creating\",\"bundle\":\"/b\","
		"\"rootfs\":\"\",\"created\":\"t\",\"owner\":\"\"}");
	state_out(&pretty, &least, STATUS_PAUSED, "u");
	assert_string_equal(pretty.buf.s, "{\n"
					  "  \"ociVersion\": \"1.0.2\",\n"
					  "  \"id\": \"c\",\n"
					  "  \"pid\": 0,\n"
					  "  \"status\": \"paused\",\n"
					  "  \"bundle\": \"/b\",\n"
					  "  \"rootfs\": \"\",\n"
					  "  \"created\": \"t\",\n"
					  "  \"owner\": \"u\"\n"
					  "}");
}

static void stopped_has_no_pid(void **state)
{
	AUTO(json_out_free) struct json_out j = { 0 };

	(void)state;
	state_out(&j, &full, STATUS_STOPPED, "root");
	assert_non_null(strstr(j.buf.s, "\"pid\":0,\"status\":\"stopped\""));
}

static void hook_state(void **state)
{
	AUTO(json_out_free) struct json_out j = { 0 };
	AUTO(json_out_free) struct json_out stopped = { 0 };
	AUTO(json_out_free) struct json_out bare = { 0 };

	(void)state;
	state_out_hook(&j, &full, STATUS_CREATED);
	assert_string_equal(
		j.buf.s,
		"{\"ociVersion\":\"1.2.0\",\"id\":\"c1\",\"status\":\"created\",\"pid\":77,"
		"\"bundle\":\"/b\",\"annotations\":{\"z\\\"\":\"1\",\"a\":\"\\n\"}}");
	state_out_hook(&stopped, &full, STATUS_STOPPED);
	assert_null(strstr(stopped.buf.s, "pid"));
	state_out_hook(&bare, &least, STATUS_CREATING);
	assert_string_equal(
		bare.buf.s,
		"{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"status\":\"creating\",\"bundle\":\"/b\"}");
}

static void status_words(void **state)
{
	static const char *const words[] = { "creating", "created", "running", "paused",
					     "stopped" };

	(void)state;
	assert_int_equal(ARRAY_SIZE(words), STATUS_COUNT);
	for (int i = 0; i < STATUS_COUNT; i++)
		assert_string_equal(status_names[i], words[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),         cmocka_unit_test(broken_files),
		cmocka_unit_test(no_driver),          cmocka_unit_test(oci_state),
		cmocka_unit_test(stopped_has_no_pid), cmocka_unit_test(hook_state),
		cmocka_unit_test(status_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
