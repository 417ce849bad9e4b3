/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "oci/json_edit.h"
#include "oci/spec_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <cmocka.h>

#define STRINGS(...)                                                  \
	((struct spec_strings){ .v = (char *[]){ __VA_ARGS__, NULL }, \
				.n = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *) })

/* Applies ed to text; the result must be exactly want. */
static void gives(const char *text, const struct spec_edit *ed, const char *want)
{
	AUTO_FREE char *out = NULL;
	struct err e = {};
	size_t len = 0;

	assert_int_equal(spec_edit_apply(text, strlen(text), ed, &out, &len, &e), 0);
	assert_string_equal(out, want);
	assert_int_equal(len, strlen(want));
}

static void refused(const char *text, const struct spec_edit *ed, const char *message)
{
	char *out = NULL;
	struct err e = {};

	assert_true(spec_edit_apply(text, strlen(text), ed, &out, NULL, &e) < 0);
	assert_string_equal(e.msg, message);
	assert_null(out);
}

static void test_untouched(void **state)
{
	static const char text[] =
		"{\"z\":1.50e3,\"a\":[null,true,{\"k\":[]},{}],\"s\":\"\\u0001\\\"\xc3\xa9\","
		"\"big\":18446744073709551616}";

	(void)state;
	gives(text, &(struct spec_edit){}, text);
	gives(" {\n\"a\" : [ ] } ", &(struct spec_edit){}, "{\"a\":[]}");
	assert_true(spec_edit_empty(&(struct spec_edit){}));
}

static void test_args(void **state)
{
	const struct spec_edit ed = { .args = STRINGS("a b", "\"") };

	(void)state;
	assert_false(spec_edit_empty(&ed));
	gives("{\"process\":{\"args\":[\"x\",\"y\"],\"cwd\":\"/w\"}}", &ed,
	      "{\"process\":{\"args\":[\"a b\",\"\\\"\"],\"cwd\":\"/w\"}}");
	gives("{}", &ed, "{\"process\":{\"cwd\":\"/\",\"args\":[\"a b\",\"\\\"\"]}}");
	gives("{\"process\":null}", &ed,
	      "{\"process\":{\"cwd\":\"/\",\"args\":[\"a b\",\"\\\"\"]}}");
	refused("{\"process\":[]}", &ed, "config.json: process: not an object");
	refused("{\"process\":7}", &ed, "config.json: process: not an object");
}

static void test_env(void **state)
{
	static const char text[] = "{\"process\":{\"env\":[\"A=1\",\"AB=2\",\"A=3\",\"C\"]}}";

	(void)state;
	gives(text, &(struct spec_edit){ .env = STRINGS("A=x=y") },
	      "{\"process\":{\"env\":[\"A=x=y\",\"AB=2\",\"C\"]}}");
	gives(text, &(struct spec_edit){ .env = STRINGS("D=", "D=2") },
	      "{\"process\":{\"env\":[\"A=1\",\"AB=2\",\"A=3\",\"C\",\"D=2\"]}}");
	setenv("CTR_TEST_SET", "v", 1);
	unsetenv("CTR_TEST_UNSET");
	gives(text, &(struct spec_edit){ .env = STRINGS("CTR_TEST_SET", "CTR_TEST_UNSET") },
	      "{\"process\":{\"env\":[\"A=1\",\"AB=2\",\"A=3\",\"C\",\"CTR_TEST_SET=v\"]}}");
	gives("{\"process\":{}}", &(struct spec_edit){ .env = STRINGS("A=1") },
	      "{\"process\":{\"env\":[\"A=1\"]}}");
	refused(text, &(struct spec_edit){ .env = STRINGS("=v") }, "--env: not KEY=VALUE: =v");
	refused(text, &(struct spec_edit){ .env = STRINGS("") }, "--env: not KEY=VALUE: ");
	refused("{\"process\":{\"env\":{}}}", &(struct spec_edit){ .env = STRINGS("A=1") },
		"config.json: env: not an array");
}

static void test_user(void **state)
{
	gid_t groups[] = { 5, 4294967294u };
	static const char *const bad[] = { "1x",
					   "",
					   ":1",
					   "1:",
					   "-1",
					   "1:2:3",
					   "4294967295",
					   " 1",
					   "0x1",
					   "root",
					   "1:wheel",
					   "+1",
					   "99999999999999999999" };
	char message[128];

	(void)state;
	gives("{\"process\":{\"user\":{\"uid\":9,\"umask\":18,\"additionalGids\":[1]}}}",
	      &(struct spec_edit){ .user = "1:2", .groups = { groups, 2 } },
	      "{\"process\":{\"user\":{\"uid\":1,\"umask\":18,\"additionalGids\":[5,4294967294],"
	      "\"gid\":2}}}");
	gives("{\"process\":{}}", &(struct spec_edit){ .user = "1" },
	      "{\"process\":{\"user\":{\"uid\":1,\"gid\":0,\"additionalGids\":[]}}}");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(message, sizeof(message), "--user: not UID[:GID]: %s", bad[i]);
		refused("{}", &(struct spec_edit){ .user = bad[i] }, message);
	}
}

static void test_process(void **state)
{
	(void)state;
	gives("{\"process\":{\"cwd\":\"/a\"}}", &(struct spec_edit){ .cwd = "/b" },
	      "{\"process\":{\"cwd\":\"/b\"}}");
	refused("{}", &(struct spec_edit){ .cwd = "b" }, "--workdir: not an absolute path: b");
	gives("{\"process\":{\"terminal\":true}}",
	      &(struct spec_edit){ .terminal = { .set = true, .v = false } },
	      "{\"process\":{\"terminal\":false}}");
	gives("{\"process\":{}}", &(struct spec_edit){ .terminal = { .set = true, .v = true } },
	      "{\"process\":{\"terminal\":true}}");
}

static void test_resources(void **state)
{
	static const struct {
		const char *cpus;
		long quota;
	} cpus[] = { { "1.5", 150000 },        { "2", 200000 },  { "0.01", 1000 },
		     { "0.123456789", 12345 }, { "0.5", 50000 }, { "100000", 10000000000 },
		     { "12.34567", 1234567 } };
	static const char *const bad[] = { "",    "1.",  ".5",           "x",      "1.x",  "-1",
					   "1e3", "1,5", "1.0000000001", "100001", "1.2.3" };
	char text[160];

	(void)state;
	gives("{\"linux\":{\"resources\":{\"memory\":{\"limit\":1,\"swap\":2}}}}",
	      &(struct spec_edit){ .memory = { true, 1 << 20 } },
	      "{\"linux\":{\"resources\":{\"memory\":{\"limit\":1048576,\"swap\":1048576}}}}");
	gives("{\"linux\":{\"resources\":{\"memory\":{\"swap\":1048577}}}}",
	      &(struct spec_edit){ .memory = { true, 1048576 } },
	      "{\"linux\":{\"resources\":{\"memory\":{\"swap\":1048577,\"limit\":1048576}}}}");
	gives("{\"linux\":{\"resources\":{\"memory\":{\"swap\":-1}}}}",
	      &(struct spec_edit){ .memory = { true, 1048576 } },
	      "{\"linux\":{\"resources\":{\"memory\":{\"swap\":-1,\"limit\":1048576}}}}");
	gives("{\"linux\":{\"resources\":{\"memory\":{\"swap\":7}}}}",
	      &(struct spec_edit){ .memory = { true, -1 } },
	      "{\"linux\":{\"resources\":{\"memory\":{\"swap\":-1,\"limit\":-1}}}}");
	gives("{}", &(struct spec_edit){ .memory = { true, -1 } },
	      "{\"linux\":{\"resources\":{\"memory\":{\"limit\":-1}}}}");
	refused("{}", &(struct spec_edit){ .memory = { true, 0 } },
		"--memory: more than 0, or -1 for no limit");
	gives("{}", &(struct spec_edit){ .pids_limit = { true, 7 } },
	      "{\"linux\":{\"resources\":{\"pids\":{\"limit\":7}}}}");
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		snprintf(text, sizeof(text),
			 "{\"linux\":{\"resources\":{\"cpu\":{\"quota\":%ld,\"period\":100000}}}}",
			 cpus[i].quota);
		gives("{}", &(struct spec_edit){ .cpus = cpus[i].cpus }, text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "--cpus: not a number of processors: %s", bad[i]);
		refused("{}", &(struct spec_edit){ .cpus = bad[i] }, text);
	}
	refused("{}", &(struct spec_edit){ .cpus = "0" }, "--cpus: at least 0.01: 0");
	refused("{\"linux\":{\"resources\":[]}}", &(struct spec_edit){ .cpus = "1" },
		"config.json: resources: not an object");
}

static void test_root_and_hostname(void **state)
{
	(void)state;
	gives("{\"root\":{\"path\":\"r\",\"readonly\":false}}",
	      &(struct spec_edit){ .read_only = true },
	      "{\"root\":{\"path\":\"r\",\"readonly\":true}}");
	gives("{\"hostname\":\"a\"}", &(struct spec_edit){ .hostname = "b" },
	      "{\"hostname\":\"b\"}");
	gives("{}", &(struct spec_edit){ .hostname = "b" }, "{\"hostname\":\"b\"}");
	refused("{}", &(struct spec_edit){ .hostname = "" }, "--hostname: the name is empty");
}

static void volume_gives(const char *volume, const char *mount)
{
	char want[PATH_MAX + 256];

	snprintf(want, sizeof(want), "{\"mounts\":[1,%s]}", mount);
	gives("{\"mounts\":[1]}",
	      &(struct spec_edit){ .volumes = STRINGS((char *)(uintptr_t)volume) }, want);
}

static void volume_refused(const char *volume, const char *message)
{
	refused("{}", &(struct spec_edit){ .volumes = STRINGS((char *)(uintptr_t)volume) },
		message);
}

static void test_volumes(void **state)
{
	char cwd[PATH_MAX], want[PATH_MAX + 200];

	(void)state;
	volume_gives("/a:/b", "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\","
			      "\"options\":[\"rbind\",\"rprivate\"]}");
	volume_gives("/a:/b:ro,rslave",
		     "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\","
		     "\"options\":[\"ro\",\"rslave\",\"rbind\"]}");
	volume_gives("/a:/b:bind,rw,noexec",
		     "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\","
		     "\"options\":[\"bind\",\"rw\",\"noexec\",\"rprivate\"]}");
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want),
		 "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"%s/a/c\","
		 "\"options\":[\"rbind\",\"rprivate\"]}",
		 cwd);
	volume_gives("a/c:/b", want);
	gives("{}", &(struct spec_edit){ .volumes = STRINGS("/a:/b", "/c:/d") },
	      "{\"mounts\":[{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\",\"options\":"
	      "[\"rbind\",\"rprivate\"]},{\"destination\":\"/d\",\"type\":\"bind\",\"source\":\"/c\","
	      "\"options\":[\"rbind\",\"rprivate\"]}]}");
	volume_refused("/a", "--volume: not SRC:DST[:OPTIONS]: /a");
	volume_refused(":/b", "--volume: not SRC:DST[:OPTIONS]: :/b");
	volume_refused("", "--volume: not SRC:DST[:OPTIONS]: ");
	volume_refused("/a:/b:ro:rw", "--volume: not SRC:DST[:OPTIONS]: /a:/b:ro:rw");
	volume_refused("/a:b", "--volume: not an absolute path below /: b");
	volume_refused("/a:/", "--volume: not an absolute path below /: /");
	volume_refused("/a:/./..", "--volume: not an absolute path below /: /./..");
	volume_refused("/a:", "--volume: not an absolute path below /: ");
	volume_refused("/a:/b:bogus", "--volume: unknown option: bogus");
	volume_refused("/a:/b:size=1m", "--volume: unknown option: size=1m");
	volume_refused("/a:/b:remount", "--volume: unknown option: remount");
}

static void test_relabel(void **state)
{
	(void)state;
	if (access("/sys/fs/selinux/enforce", F_OK) == 0)
		volume_refused("/a:/b:z", "--volume: relabelling is not supported: z");
	else
		volume_gives("/a:/b:Z",
			     "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"/a\","
			     "\"options\":[\"rbind\",\"rprivate\"]}");
}

static void test_bad_documents(void **state)
{
	char deep[160] = "";
	const struct spec_edit ed = { .hostname = "x" };
	char *out = NULL;
	struct err e = {};

	(void)state;
	refused("[]", &ed, "config.json: not an object");
	refused("7", &ed, "config.json: not an object");
	assert_true(spec_edit_apply("{\"a\":", 5, &ed, &out, NULL, &e) < 0);
	assert_non_null(strstr(e.msg, "config.json"));
	/* As deep as the parser takes it. */
	strcpy(deep, "{\"a\":");
	memset(deep + 5, '[', 60);
	memset(deep + 65, ']', 60);
	strcpy(deep + 125, "}");
	assert_int_equal(spec_edit_apply(deep, strlen(deep), &ed, &out, NULL, &e), 0);
	free(out);
}

static void test_invalid_text(void **state)
{
	(void)state;
	refused("{}", &(struct spec_edit){ .args = STRINGS("a", "\xff") },
		"COMMAND: not valid UTF-8, which JSON needs: \xff");
	refused("{}", &(struct spec_edit){ .env = STRINGS("A=\xc0\x80") },
		"--env: not valid UTF-8, which JSON needs: A=\xc0 ");
	assert_true(json_edit_is_text("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
	assert_false(json_edit_is_text("\xed\xa0\x80"));     /* a surrogate */
	assert_false(json_edit_is_text("\xe0\x80\x80"));     /* overlong */
	assert_false(json_edit_is_text("\xf4\x90\x80\x80")); /* beyond U+10FFFF */
	assert_false(json_edit_is_text("\xe2\x82"));         /* cut off */
	assert_false(json_edit_is_text("\x80"));
}

/* ---- spec_edit_user ---- */

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "broken line\n"
			     ":x:1:1::/:\n"
			     "bad:x:1x:1::/:\n"
			     "big:x:4294967295:1::/:\n"
			     "web:x:33:34:www:/var/www:/usr/sbin/nologin\n"
			     "77:x:5:5::/:/bin/sh\n"
			     "last:x:90:91::/:/bin/sh";
static const char group[] = "root:x:0:\nweb:x:34:\nssl:x:100:other,web\nnot:x:101:webx,we\n"
			    "adm:x:102:web,other\nbroken:x\n";

static void put_file(int root, const char *name, const char *text)
{
	AUTO_CLOSE int fd = openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int make_root(void **state)
{
	char dir[] = "/tmp/ctr-test-user-XXXXXX";
	static int root;

	if (!mkdtemp(dir))
		return -1;
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || mkdirat(root, "etc", 0755) < 0)
		return -1;
	put_file(root, "etc/passwd", passwd);
	put_file(root, "etc/group", group);
	*state = &root;
	return 0;
}

static int remove_root(void **state)
{
	int root = *(int *)*state;
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -1;
	path[n] = '\0';
	unlinkat(root, "etc/passwd", 0);
	unlinkat(root, "etc/group", 0);
	unlinkat(root, "etc", AT_REMOVEDIR);
	close(root);
	return rmdir(path);
}

static void user_is(int root, const char *user, uid_t uid, gid_t gid, size_t groups)
{
	struct spec_edit_user u = {};
	struct err e = {};

	assert_int_equal(spec_edit_user(user, root, &u, &e), 0);
	assert_int_equal(u.uid, uid);
	assert_int_equal(u.gid, gid);
	assert_int_equal(u.groups.n, groups);
	if (groups == 2) {
		assert_int_equal(u.groups.v[0], 100);
		assert_int_equal(u.groups.v[1], 102);
	}
	free(u.groups.v);
}

static void user_refused(int root, const char *user, const char *message)
{
	struct spec_edit_user u = {};
	struct err e = {};

	assert_true(spec_edit_user(user, root, &u, &e) < 0);
	assert_string_equal(e.msg, message);
	assert_null(u.groups.v);
}

static void test_user_lookup(void **state)
{
	int root = *(int *)*state;

	user_is(root, "root", 0, 0, 0);
	user_is(root, "web", 33, 34, 2);
	user_is(root, "33", 33, 34, 2);
	user_is(root, "last", 90, 91, 0);
	user_is(root, "web:ssl", 33, 100, 0);
	user_is(root, "web:7", 33, 7, 0);
	user_is(root, "1234", 1234, 0, 0);
	user_is(root, "77", 77, 0, 0);
	user_is(root, "4294967294:4294967294", 4294967294u, 4294967294u, 0);
	user_refused(root, "nobody", "--user: no such user in /etc/passwd of the root: nobody");
	user_refused(root, "", "--user: no such user in /etc/passwd of the root: ");
	user_refused(root, ":5", "--user: no such user in /etc/passwd of the root: ");
	user_refused(root, "bad", "--user: no such user in /etc/passwd of the root: bad");
	user_refused(root, "big", "--user: no such user in /etc/passwd of the root: big");
	user_refused(root, "4294967295",
		     "--user: no such user in /etc/passwd of the root: 4294967295");
	user_refused(root, "web:", "--user: no such group in /etc/group of the root: ");
	user_refused(root, "web:bogus", "--user: no such group in /etc/group of the root: bogus");
}

/* A link that points out of the root is followed inside of it; what is no file is refused. */
static void test_user_hostile(void **state)
{
	int root = *(int *)*state;

	/* The machine itself has no such file. */
	assert_int_equal(renameat(root, "etc/passwd", root, "etc/inside-of-the-root"), 0);
	assert_int_equal(symlinkat("/../../../etc/inside-of-the-root", root, "etc/passwd"), 0);
	user_is(root, "web", 33, 34, 2);
	assert_int_equal(unlinkat(root, "etc/inside-of-the-root", 0), 0);
	user_refused(root, "web", "--user: no such user in /etc/passwd of the root: web");
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	assert_int_equal(mkfifoat(root, "etc/passwd", 0644), 0);
	user_refused(root, "root", "--user: etc/passwd of the root is not a file");
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	user_is(root, "5", 5, 0, 0);
	user_refused(root, "root", "--user: no such user in /etc/passwd of the root: root");
}

static void test_notify(void **state)
{
	const struct spec_edit ed = { .notify = "/s/n" };
	static const char mount[] =
		"{\"destination\":\"/run/notify\",\"type\":\"bind\",\"source\":\"/s/n\","
		"\"options\":[\"bind\",\"rprivate\",\"ro\",\"nosuid\",\"nodev\",\"noexec\"]}";
	char want[512];

	(void)state;
	assert_false(spec_edit_empty(&ed));
	snprintf(want, sizeof(want),
		 "{\"process\":{\"env\":[\"A=1\",\"NOTIFY_SOCKET=/run/notify/notify.sock\"]},"
		 "\"mounts\":[{\"destination\":\"/run\"},%s]}",
		 mount);
	gives("{\"process\":{\"env\":[\"A=1\"]},\"mounts\":[{\"destination\":\"/run\"}]}", &ed,
	      want);
	snprintf(
		want, sizeof(want),
		"{\"process\":{\"env\":[\"NOTIFY_SOCKET=/run/notify/notify.sock\"]},\"mounts\":[%s]}",
		mount);
	gives("{\"process\":{}}", &ed, want);
	refused("{\"process\":{},\"mounts\":{}}", &ed, "config.json: mounts: not an array");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_root_and_hostname),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_relabel),
		cmocka_unit_test(test_bad_documents),
		cmocka_unit_test(test_invalid_text),
		cmocka_unit_test(test_notify),
		cmocka_unit_test_setup_teardown(test_user_lookup, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_user_hostile, make_root, remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
