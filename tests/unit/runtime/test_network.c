/* SPDX-License-Identifier: Apache-2.0 */
/* What --network means, the members of a network, and the files of a container: pure. */
#include "base/cleanup.h"
#include "net_files.h"
#include "net_members.h"
#include "net_opts.h"
#include "oci/network.h"
#include "oci/spec_edit.h"

#include <errno.h>
#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- options ---- */

static void modes(void **state)
{
	static const struct {
		const char *text;
		enum network_mode mode;
		const char *name;
	} rows[] = {
		{ "none", NETWORK_NONE, "" },
		{ "host", NETWORK_HOST, "" },
		{ "pasta", NETWORK_PASTA, "" },
		{ "bridge", NETWORK_OURS, "bridge" },
		{ "web", NETWORK_OURS, "web" },
		{ "nonesuch", NETWORK_OURS, "nonesuch" },
		{ "container:x", NETWORK_CONTAINER, "x" },
		{ "ns:/run/netns/x", NETWORK_PATH, "/run/netns/x" },
		{ "cni:web", NETWORK_CNI, "web" },
	};
	struct network_plan p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct network_opts o = { .network = rows[i].text };

		assert_int_equal(network_plan(&o, false, false, &p, NULL), 0);
		assert_int_equal(p.mode, rows[i].mode);
		assert_string_equal(p.name, rows[i].name);
		network_plan_free(&p);
	}
}

static void defaults(void **state)
{
	struct network_opts o = {};
	struct network_plan p;
	struct err e = {};

	(void)state;
	assert_int_equal(network_plan(&o, false, false, &p, &e), 0);
	assert_int_equal(p.mode, NETWORK_KEEP);
	assert_int_equal(network_plan(&o, true, false, &p, &e), 0);
	assert_int_equal(p.mode, NETWORK_OURS);
	assert_int_equal(network_plan(&o, true, true, &p, &e), 0);
	assert_int_equal(p.mode, NETWORK_PASTA);
	o.network = "web";
	assert_int_equal(network_plan(&o, true, true, &p, &e), -EPERM);
}

static void wrong(void **state)
{
	static const struct {
		struct network_opts o;
		const char *says;
	} rows[] = {
		{ { .network = "container:" }, "container:" },
		{ { .network = "ns:" }, "ns:" },
		{ { .network = "ns:x" }, "not an absolute path" },
		{ { .network = "a/b" }, "--network: " },
		{ { .network = "" }, "--network: " },
		{ { .network = "web", .ip = "fd00::1" }, "--ip: not an IPv4" },
		{ { .network = "web", .ip6 = "10.0.0.1" }, "--ip6: not an IPv6" },
		{ { .network = "web", .mac = "1:2:3:4:5:6" }, "--mac: not six bytes" },
		{ { .network = "web", .mac = "00:00:00:00:00:00" },
		  "--mac: the address of nobody" },
		{ { .network = "web", .mac = "01:00:00:00:00:00" },
		  "--mac: the address of a group" },
		{ { .network = "web", .mac = "02:00:00:00:00:0x" }, "--mac: not six bytes" },
		{ { .network = "web", .rate = "x" }, "--net-rate" },
		{ { .network = "cni:x", .rate = "1mbit" }, "--net-rate: has no effect" },
		{ { .network = "none", .ip = "10.0.0.1" },
		  "--ip: has no effect with --network none" },
		{ { .mac = "02:00:00:00:00:01" }, "--mac: needs --network" },
	};
	struct network_plan p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = {};

		assert_int_equal(network_plan(&rows[i].o, false, false, &p, &e), -EINVAL);
		if (!strstr(e.msg, rows[i].says))
			fail_msg("%s does not say: %s", e.msg, rows[i].says);
	}
}

/* ---- members ---- */

static const char lines[] =
	"web ctr0_2 0a:63:0a:01:00:02 10.1.0.2 fd00::2 www.example - 8080:80/tcp 53:53/udp\n"
	"db ctr0_3 0a:63:0a:01:00:03 10.1.0.3 - - limited\n";

static void members_text(void **state)
{
	AUTO_MEMBERS struct members l = {};
	AUTO(str_buf_free) struct str_buf b = {};
	char name[IFNAMSIZ];

	(void)state;
	assert_int_equal(members_parse(lines, &l, NULL), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0].hostname, "www.example");
	assert_int_equal(l.v[0].net.n_ports, 2);
	assert_int_equal(l.v[0].net.ports[1].proto, IPPROTO_UDP);
	assert_true(l.v[1].limited && !l.v[0].limited);
	assert_null(l.v[1].hostname);
	members_format(&l, &b);
	assert_string_equal(b.s, lines);
	member_ifb(&l.v[1].net, name);
	assert_string_equal(name, "ctr0^3");
	assert_ptr_equal(members_find(&l, "db"), &l.v[1]);
	members_remove(&l, &l.v[0]);
	assert_null(members_find(&l, "web"));
	assert_string_equal(l.v[0].id, "db");
}

static void members_wrong(void **state)
{
	static const char *const texts[] = {
		"web\n",
		"web ctr0_2 0a:63:0a:01:00 10.1.0.2 - - -\n",
		"web ctr0_2 0a:63:0a:01:00:02 x - - -\n",
		"web ctr0_2 0a:63:0a:01:00:02 fd00::1 - - -\n",
		"web ctr0_2 0a:63:0a:01:00:02 - 10.1.0.2 - -\n",
		"web a-name-too-long-for-it 0a:63:0a:01:00:02 10.1.0.2 - - -\n",
		"web ctr0_2 0a:63:0a:01:00:02 10.1.0.2 - - - 80\n",
	};
	struct members l;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(members_parse(texts[i], &l, NULL), -EINVAL);
	assert_int_equal(members_parse("", &l, NULL), 0);
}

/* ---- files ---- */

static void hosts(void **state)
{
	AUTO_MEMBERS struct members l = {};
	AUTO(str_buf_free) struct str_buf b = {}, none = {};

	(void)state;
	assert_int_equal(members_parse(lines, &l, NULL), 0);
	net_hosts_text(&b, &l, &l.v[1], NULL);
	assert_non_null(strstr(b.s, "127.0.0.1\tlocalhost\n"));
	assert_non_null(strstr(b.s, "\n10.1.0.3\tdb\n10.1.0.2\tweb www.example\n"
				    "fd00::2\tweb www.example\n"));
	net_hosts_text(&none, NULL, NULL, "box");
	assert_non_null(strstr(none.s, "\n127.0.1.1\tbox\n"));
	assert_false(member_name_ok("a b") || member_name_ok("") || member_name_ok("-x") ||
		     member_name_ok("a\nb"));
}

static void resolv(void **state)
{
	static const char host[] = "# made by hand\nsearch example.com\nnameserver 127.0.0.53\n"
				   "nameserver ::1\nnameserver fe80::1%eth0\n"
				   "nameserver\t192.0.2.53 # ours\noptions edns0\n"
				   "nameserver 2001:db8::53";
	char *v[] = { "198.51.100.1", NULL };
	struct spec_strings dns = { .v = v, .n = 1 }, no = {};
	AUTO(str_buf_free) struct str_buf b = {}, own = {};
	size_t servers;

	(void)state;
	net_resolv_text(&b, host, &no, &servers);
	assert_string_equal(b.s, "search example.com\nnameserver 192.0.2.53\noptions edns0\n"
				 "nameserver 2001:db8::53\n");
	assert_int_equal(servers, 2);
	net_resolv_text(&own, host, &dns, &servers);
	assert_string_equal(own.s, "nameserver 198.51.100.1\nsearch example.com\noptions edns0\n");
	net_resolv_text(&own, "nameserver 127.0.0.53\n", &no, &servers);
	assert_int_equal(servers, 0);
}

/* ---- network.json and the configuration ---- */

static void network_file(void **state)
{
	static const char text[] =
		"{\"name\":\"web\",\"bridge\":\"ctr0\",\"subnet\":\"10.1.0.0/16\","
		"\"gateway\":\"10.1.0.1\",\"mtu\":1400,\"internal\":true,\"automatic\":false}";
	AUTO_NETWORK struct network_file *f = NULL, *broken = NULL;
	AUTO(json_out_free) struct json_out j = {};
	struct err e;

	(void)state;
	assert_int_equal(network_parse(text, sizeof(text) - 1, &f, &e), 0);
	json_out_object(&j);
	network_out(&j, f);
	json_out_end_object(&j);
	assert_string_equal(j.buf.s, text);
	assert_int_equal(network_parse("{\"name\":\"web\"}", 14, &broken, &e), -EINVAL);
}

static void configuration(void **state)
{
	static const char text[] =
		"{\"mounts\":[{\"destination\":\"/etc/hosts\",\"source\":\"/mine\"}],"
		"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/x\"}]}}";
	struct spec_edit_net net = { .set = true,
				     .source = "/run/ctr/a",
				     .mounts = { { "/etc/hosts", "hosts" },
						 { "/etc/resolv.conf", "resolv.conf" } },
				     .n_mounts = 2 };
	struct spec_edit ed = { .net = &net };
	AUTO_FREE char *out = NULL, *host = NULL;
	struct err e;

	(void)state;
	assert_false(spec_edit_empty(&ed));
	assert_int_equal(spec_edit_apply(text, sizeof(text) - 1, &ed, &out, NULL, &e), 0);
	assert_non_null(strstr(out, "[{\"type\":\"pid\"},{\"type\":\"network\"}]"));
	assert_non_null(strstr(out, "\"source\":\"/mine\""));
	assert_null(strstr(out, "/run/ctr/a/hosts"));
	assert_non_null(strstr(out, "{\"destination\":\"/etc/resolv.conf\",\"type\":\"bind\","
				    "\"source\":\"/run/ctr/a/resolv.conf\""));
	net.host = true;
	net.n_mounts = 0;
	assert_int_equal(spec_edit_apply(text, sizeof(text) - 1, &ed, &host, NULL, &e), 0);
	assert_non_null(strstr(host, "\"namespaces\":[{\"type\":\"pid\"}]"));
	assert_int_equal(spec_edit_apply("{\"linux\":[]}", 12, &ed, &host, NULL, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),         cmocka_unit_test(defaults),
		cmocka_unit_test(wrong),         cmocka_unit_test(members_text),
		cmocka_unit_test(members_wrong), cmocka_unit_test(hosts),
		cmocka_unit_test(resolv),        cmocka_unit_test(network_file),
		cmocka_unit_test(configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
