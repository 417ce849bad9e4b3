/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CNI: documents, and whole runs with plugins that are shell scripts: each writes down how it was
 * called and then answers, or does not, as its file "behave" says.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "netns/cni_json.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define LIST(plugins) "{\"cniVersion\":\"1.0.0\",\"name\":\"web\",\"plugins\":[" plugins "]}"

/* ---- documents ---- */

static int parse(struct arena *a, const char *text, struct cni_list *out, struct err *e)
{
	return cni_list_parse(a, "x.conf", text, strlen(text), out, e);
}

static void lists(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "x.conf" },
		{ "[]", "not an object" },
		{ "{\"cniVersion\":\"1.0.0\"}", "no \"name\"" },
		{ "{\"name\":\"\",\"cniVersion\":\"1.0.0\"}", "no \"name\"" },
		{ "{\"name\":\"a\",\"type\":\"b\"}", "cniVersion (none given)" },
		{ "{\"name\":\"a\",\"type\":\"b\",\"cniVersion\":\"0.2.0\"}", "cniVersion 0.2.0" },
		{ "{\"name\":\"a\",\"type\":\"b\",\"cniVersion\":1}", "cniVersion (none given)" },
		{ "{\"name\":\"a\",\"cniVersion\":\"1.0.0\"}", "plugins[0]: no \"type\"" },
		{ LIST(""), "plugins: not a list of plugins" },
		{ LIST("1"), "plugins[0]: no \"type\"" },
		{ LIST("{\"type\":\"a\"},{\"type\":7}"), "plugins[1]: no \"type\"" },
		{ LIST("{\"type\":\"../sh\"}"), "not a program's name: ../sh" },
		{ LIST("{\"type\":\"..\"}"), "not a program's name" },
		{ LIST("{\"type\":\"a\",\"capabilities\":[]}"), "capabilities: not an object" },
		{ "{\"name\":\"a\",\"cniVersion\":\"1.0.0\",\"plugins\":{}}",
		  "plugins: not a list" },
	};
	AUTO(arena_free) struct arena a = {};
	struct cni_list l;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(parse(&a, bad[i].text, &l, &e) < 0);
		if (!strstr(e.msg, bad[i].why))
			fail_msg("%s: %s", bad[i].text, e.msg);
	}
	assert_int_equal(parse(&a, LIST("{\"type\":\"a\"},{\"type\":\"b\"}"), &l, &e), 0);
	assert_string_equal(cni_plugin_type(&l, 1), "b");
	assert_true(cni_has_check(&l));
	assert_int_equal(
		parse(&a, "{\"name\":\"a\",\"type\":\"b\",\"cniVersion\":\"0.3.1\"}", &l, &e), 0);
	assert_string_equal(cni_plugin_type(&l, 0), "b");
	assert_false(cni_has_check(&l));
}

static const struct ip_port ports[] = {
	{ .proto = IPPROTO_TCP, .count = 1, .host = 8080, .container = 80 },
	{ .ip = { AF_INET, { 127, 0, 0, 1 } },
	  .proto = IPPROTO_UDP,
	  .count = 2,
	  .host = 53,
	  .container = 1053 },
};

static void inputs(void **state)
{
	AUTO(arena_free) struct arena a = {};
	const struct cni_request q = { .network = "web",
				       .ports = ports,
				       .n_ports = 2,
				       .mac = "02:00:00:00:00:01",
				       .ip = { { AF_INET, { 10, 0, 0, 9 } } } };
	struct json *runtime = cni_runtime(&a, &q);
	AUTO_FREE char *one = NULL, *two = NULL;
	struct ip_port *read;
	struct cni_list l;
	size_t n;
	struct err e;
	size_t len;

	(void)state;
	assert_non_null(runtime);
	assert_int_equal(parse(&a,
			       LIST("{\"type\":\"a\",\"name\":\"x\",\"big\":1e3,"
				    "\"capabilities\":{\"mac\":true,\"ips\":true,\"other\":true}},"
				    "{\"type\":\"b\",\"capabilities\":"
				    "{\"portMappings\":true,\"mac\":false}}"),
			       &l, &e),
			 0);
	assert_int_equal(cni_runtime_ports(&a, runtime, &read, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_true(read[0].proto == IPPROTO_TCP && read[0].host == 8080 &&
		    read[0].container == 80 && read[0].ip.family == 0);
	assert_true(read[2].proto == IPPROTO_UDP && read[2].host == 54 &&
		    read[2].container == 1054 && read[2].ip.b[0] == 127);
	assert_int_equal(cni_runtime_ports(&a, l.plugins->items[0], &read, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(cni_check_capabilities(&l, runtime, &e), 0);
	assert_int_equal(cni_input(&a, &l, 0, runtime, NULL, &one, &len, &e), 0);
	assert_string_equal(one, "{\"type\":\"a\",\"name\":\"web\",\"big\":1e3,"
				 "\"cniVersion\":\"1.0.0\",\"runtimeConfig\":"
				 "{\"mac\":\"02:00:00:00:00:01\",\"ips\":[\"10.0.0.9\"]}}");
	assert_int_equal(len, strlen(one));
	assert_int_equal(cni_input(&a, &l, 1, runtime, runtime->items[0], &two, &len, &e), 0);
	assert_non_null(strstr(two, "{\"hostPort\":53,\"containerPort\":1053,\"protocol\":\"udp\","
				    "\"hostIP\":\"127.0.0.1\"},{\"hostPort\":54,"));
	assert_non_null(strstr(two, "\"prevResult\":[{\"hostPort\":8080"));
	assert_null(strstr(two, "mac"));
	assert_int_equal(
		parse(&a, LIST("{\"type\":\"a\",\"capabilities\":{\"mac\":true}}"), &l, &e), 0);
	assert_int_equal(cni_check_capabilities(&l, runtime, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "published ports: no plugin of it has the capability "
				      "\"portMappings\""));
}

static int read_result(struct arena *a, const char *text, struct cni_result *out, struct err *e)
{
	struct json *v;
	int r = cni_answer(a, "p", text, strlen(text), &v, e);

	return r < 0 ? r : cni_result_read(a, v, "eth0", out, e);
}

static void results(void **state)
{
	static const char whole[] =
		"{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"cni0\",\"mac\":\"aa\"},"
		"{\"name\":\"eth0\",\"mac\":\"bb\",\"sandbox\":\"/x\"}],\"ips\":["
		"{\"address\":\"10.0.0.1/24\",\"interface\":0},"
		"{\"address\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\",\"interface\":1},"
		"{\"address\":\"fd00::2/64\",\"interface\":1},"
		"{\"address\":\"10.0.0.3/24\",\"interface\":9}],"
		"\"dns\":{\"nameservers\":[\"9.9.9.9\"],\"domain\":\"a.b\",\"search\":[\"c\"],"
		"\"options\":[\"ndots:1\"]}}";
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "CNI plugin p: its answer is empty" },
		{ "x", "CNI plugin p: its answer" },
		{ "{\"ips\":[}", "CNI plugin p: its answer" },
		{ "[1]", "is an array, not an object" },
		{ "{\"ips\":{}}", "ips: not a list" },
		{ "{\"ips\":[1]}", "ips[0]: no address" },
		{ "{\"ips\":[{\"address\":\"10.0.0.1\"}]}", "ips[0]: no address" },
		{ "{\"ips\":[{\"address\":\"1.2.3.4/8\",\"gateway\":\"x\"}]}", "gateway" },
		{ "{\"interfaces\":1}", "interfaces: not a list" },
		{ "{\"interfaces\":[{}]}", "interfaces[0]: no name" },
		{ "{\"dns\":[]}", "dns: not an object" },
		{ "{\"dns\":{\"search\":\"x\"}}", "dns.search: not a list" },
		{ "{\"dns\":{\"search\":[1]}}", "dns.search[0]: not a word" },
		{ "{\"dns\":{\"options\":[\"a\\nnameserver 6.6.6.6\"]}}", "dns.options[0]" },
	};
	AUTO(arena_free) struct arena a = {};
	struct cni_result r;
	char text[IP_NET_TEXT];
	struct err e;

	(void)state;
	assert_int_equal(read_result(&a, whole, &r, &e), 0);
	assert_int_equal(r.n_ips, 2);
	assert_string_equal(ip_net_text(&r.ips[0].ip, text), "10.0.0.2/24");
	assert_int_equal(r.ips[0].gateway.b[3], 1);
	assert_int_equal(r.ips[1].gateway.family, 0);
	assert_string_equal(r.mac, "bb");
	assert_string_equal(r.nameservers[0], "9.9.9.9");
	assert_string_equal(r.domain, "a.b");
	assert_int_equal(r.n_search + r.n_options, 2);
	assert_int_equal(read_result(&a, "{}", &r, &e), 0);
	assert_int_equal(read_result(&a, "{\"ips\":[{\"address\":\"10.0.0.3/24\"}]}", &r, &e), 0);
	assert_int_equal(r.n_ips, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(read_result(&a, bad[i].text, &r, &e) < 0);
		if (!strstr(e.msg, bad[i].why))
			fail_msg("%s: %s", bad[i].text, e.msg);
	}
}

static void failures(void **state)
{
	static const struct {
		const char *out, *err, *msg;
	} v[] = {
		{ "{\"code\":7,\"msg\":\"no\\nway\",\"details\":\"a\\u001b[1mb\"}", "",
		  "CNI plugin p: no way: a [1mb" },
		{ "{\"code\":7,\"msg\":\"no\"}", "noise", "CNI plugin p: no" },
		{ "{\"code\":7}", "panic: x\n", "CNI plugin p: panic: x" },
		{ "text\n", "", "CNI plugin p: text" },
		{ "", "", "CNI plugin p failed and did not say why" },
	};
	char *large = malloc(100001);
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		assert_int_equal(cni_failure("p", v[i].out, strlen(v[i].out), v[i].err, &e), -EIO);
		assert_string_equal(e.msg, v[i].msg);
	}
	memset(large, 'y', 100000);
	strcpy(large + 99990, "the end");
	cni_failure("p", large, strlen(large), "", &e);
	assert_non_null(strstr(e.msg, "the end"));
	assert_true(strlen(e.msg) < 600);
	free(large);
}

static void caches(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"ifname\":\"e\",\"path\":\"p\",\"list\":{},\"runtime\":{}}",
		"{\"ifname\":\"e\",\"path\":\"p\",\"list\":[],\"runtime\":{}}",
		"{\"ifname\":\"e\",\"path\":\"p\",\"list\":{},\"runtime\":[]}",
	};
	AUTO(arena_free) struct arena a = {};
	AUTO_FREE char *text = NULL, *again = NULL;
	struct cni_cache c = { .ifname = "eth0", .path = "/a:/b" }, d;
	size_t len, n;
	struct err e;

	(void)state;
	assert_int_equal(parse(&a, LIST("{\"type\":\"a\"}"), &c.list, &e), 0);
	c.runtime = cni_runtime(&a, &(struct cni_request){ .mac = "x" });
	assert_int_equal(cni_cache_format(&a, &c, &text, &len, &e), 0);
	assert_int_equal(cni_cache_parse(&a, text, len, &d, &e), 0);
	assert_null(d.result);
	d.result = d.runtime;
	assert_int_equal(cni_cache_format(&a, &d, &again, &n, &e), 0);
	assert_int_equal(cni_cache_parse(&a, again, n, &d, &e), 0);
	assert_non_null(d.result);
	assert_string_equal(d.list.name, "web");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(cni_cache_parse(&a, bad[i], strlen(bad[i]), &d, &e) < 0);
}

/* ---- runs ---- */

static char base[64];
static int base_fd = -1;

/* $0 is where it is; "behave" has a line "NAME COMMAND SHELL". */
static const char plugin_script[] =
	"#!/bin/sh\n"
	"name=${0##*/} dir=${0%/*}\n"
	"echo \"$CNI_COMMAND $name $CNI_CONTAINERID $CNI_IFNAME ${CNI_NETNS:+ns}\" >>$dir/calls\n"
	"cat >$dir/in.$name.$CNI_COMMAND\n"
	"eval \"$(sed -n \"s/^$name $CNI_COMMAND //p\" $dir/behave)\"\n"
	"[ $CNI_COMMAND != ADD ] || echo "
	"'{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.2/24\"}],\"by\":\"'$name'\"}'\n";

static void put(const char *name, const char *text, mode_t mode)
{
	assert_int_equal(io_write_atomic(base_fd, name, text, strlen(text), mode), 0);
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(base, sizeof(base), "%s/cniXXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(base))
		return -1;
	base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put("one", plugin_script, 0755);
	put("two", plugin_script, 0755);
	put("behave", "", 0644);
	put("10-web.conflist", LIST("{\"type\":\"one\"},{\"type\":\"two\"}"), 0644);
	put("20-old.conf", "{\"cniVersion\":\"0.3.1\",\"name\":\"old\",\"type\":\"one\"}", 0644);
	setenv("CNI_PATH", base, 1);
	setenv("NETCONFPATH", base, 1);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	close(base_fd);
	return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct cni_request request(const char *network)
{
	return (struct cni_request){ .network = network,
				     .id = "c1",
				     .netns_fd = base_fd,
				     .ifname = "eth0",
				     .dir = base_fd };
}

/* What was called since the last time. */
static char *calls(void)
{
	static char buf[4096];

	if (io_read_small(base_fd, "calls", buf, sizeof(buf)) < 0)
		return strcpy(buf, "");
	unlinkat(base_fd, "calls", 0);
	return buf;
}

static bool there(const char *name)
{
	return faccessat(base_fd, name, F_OK, 0) == 0;
}

static char *text_in(const char *name)
{
	static char buf[4096];

	assert_true(io_read_small(base_fd, name, buf, sizeof(buf)) >= 0);
	return buf;
}

static void life(void **state)
{
	AUTO(arena_free) struct arena a = {};
	struct cni_request q = request("web");
	struct cni_result res;
	struct err e;

	(void)state;
	assert_int_equal(cni_find(&q, &e), 0);
	assert_int_equal(cni_check("c1", base_fd, base_fd, &e), -ENOENT);
	assert_string_equal(calls(), "");
	assert_int_equal(cni_add(&q, &a, &res, &e), 0);
	assert_int_equal(res.n_ips, 1);
	assert_string_equal(calls(), "ADD one c1 eth0 ns\nADD two c1 eth0 ns");
	assert_null(strstr(text_in("in.one.ADD"), "prevResult"));
	assert_non_null(strstr(text_in("in.two.ADD"), "\"by\":\"one\""));
	assert_true(there(CNI_FILE));
	assert_int_equal(cni_check("c1", base_fd, base_fd, &e), 0);
	assert_string_equal(calls(), "CHECK one c1 eth0 ns\nCHECK two c1 eth0 ns");
	assert_non_null(strstr(text_in("in.one.CHECK"), "\"by\":\"two\""));
	put("behave", "two CHECK echo '{\"code\":9,\"msg\":\"gone\"}'; exit 1\n", 0644);
	assert_int_equal(cni_check("c1", base_fd, base_fd, &e), -EIO);
	assert_string_equal(e.msg, "network cni:web: CNI plugin two: gone");
	calls();
	/* the configuration may go: what was used is kept */
	unlinkat(base_fd, "10-web.conflist", 0);
	assert_int_equal(cni_del("c1", -1, base_fd, &e), 0);
	assert_string_equal(calls(), "DEL two c1 eth0 \nDEL one c1 eth0 ");
	assert_non_null(strstr(text_in("in.one.DEL"), "\"by\":\"two\""));
	assert_false(there(CNI_FILE));
	assert_int_equal(cni_del("c1", -1, base_fd, &e), 0);
	assert_string_equal(calls(), "");
}

/* Whatever a plugin does instead of answering: one error, DEL of all, nothing kept. */
static void bad_plugins(void **state)
{
	static const struct {
		const char *behave, *why;
	} v[] = {
		{ "two ADD echo '{\"code\":11,\"msg\":\"pool is full\"}'; exit 1\n",
		  "network cni:web: CNI plugin two: pool is full" },
		{ "two ADD echo garbage; exit 0\n", "network cni:web: CNI plugin two: its answer" },
		{ "two ADD exit 0\n", "CNI plugin two: its answer is empty" },
		{ "two ADD echo '{\"ips\":[{\"address\":\"x\"}]}'; exit 0\n", "ips[0]" },
		{ "two ADD kill -9 $$\n", "CNI plugin two failed and did not say why" },
		{ "two ADD echo '{\"a\":'; exit 0\n", "CNI plugin two: its answer" },
		{ "two ADD head -c 2000000 /dev/zero; exit 0\n", "CNI plugin two" },
		{ "one ADD echo '[]'; exit 0\n", "CNI plugin one: its answer is an array" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		AUTO(arena_free) struct arena a = {};
		struct cni_request q = request("web");
		struct cni_result res;
		struct err e;

		put("behave", v[i].behave, 0644);
		assert_true(cni_add(&q, &a, &res, &e) < 0);
		if (!strstr(e.msg, v[i].why) || strchr(e.msg, '\n'))
			fail_msg("%s: %s", v[i].behave, e.msg);
		assert_non_null(strstr(calls(), "DEL two c1 eth0 ns\nDEL one c1 eth0 ns"));
		assert_false(there(CNI_FILE));
	}
}

/* A DEL that fails does not keep the others from theirs, and can be tried again. */
static void bad_del(void **state)
{
	AUTO(arena_free) struct arena a = {};
	struct cni_request q = request("web");
	struct cni_result res;
	struct err e;

	(void)state;
	assert_int_equal(cni_add(&q, &a, &res, &e), 0);
	put("behave", "two DEL echo '{\"code\":11,\"msg\":\"busy\"}'; exit 1\n", 0644);
	calls();
	assert_int_equal(cni_del("c1", base_fd, base_fd, &e), -EIO);
	assert_string_equal(e.msg, "network cni:web: CNI plugin two: busy");
	assert_string_equal(calls(), "DEL two c1 eth0 ns\nDEL one c1 eth0 ns");
	assert_true(there(CNI_FILE));
	put("behave", "", 0644);
	assert_int_equal(cni_del("c1", base_fd, base_fd, &e), 0);
	assert_false(there(CNI_FILE));
}

static void not_there(void **state)
{
	struct cni_request q = request("none");
	struct err e;

	(void)state;
	assert_int_equal(cni_find(&q, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "network cni:none: no configuration in "));
	assert_non_null(strstr(e.msg, "(web, old)"));
	put("15-bad.conf", "{", 0644);
	assert_true(cni_find(&q, &e) < 0);
	assert_non_null(strstr(e.msg, "15-bad.conf"));
	q.network = "old";
	assert_int_equal(cni_find(&q, &e), 0);
	q.ports = ports;
	q.n_ports = 1;
	assert_int_equal(cni_find(&q, &e), -EOPNOTSUPP);
	q.n_ports = 0;
	unlinkat(base_fd, "one", 0);
	assert_int_equal(cni_find(&q, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "network cni:old: CNI plugin one: not installed in /"));
	setenv("NETCONFPATH", "/nonexistent", 1);
	assert_int_equal(cni_find(&q, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/nonexistent"));
}

/* Versions before 0.4.0 have no CHECK and no result in DEL. */
static void old_version(void **state)
{
	AUTO(arena_free) struct arena a = {};
	struct cni_request q = request("old");
	struct cni_result res;
	struct err e;

	(void)state;
	assert_int_equal(cni_add(&q, &a, &res, &e), 0);
	assert_int_equal(cni_check("c1", base_fd, base_fd, &e), -EOPNOTSUPP);
	assert_int_equal(cni_del("c1", base_fd, base_fd, &e), 0);
	assert_null(strstr(text_in("in.one.DEL"), "prevResult"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(inputs),
		cmocka_unit_test(results),
		cmocka_unit_test(failures),
		cmocka_unit_test(caches),
		cmocka_unit_test_setup_teardown(life, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_plugins, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_del, setup, teardown),
		cmocka_unit_test_setup_teardown(not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(old_version, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
