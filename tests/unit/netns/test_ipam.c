/* SPDX-License-Identifier: Apache-2.0 */
/* Address pools: small subnets from the first address to the last, and the file around them. */
#include "netns/ipam.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ip ip(const char *s)
{
	struct ip v = {};

	assert_int_equal(ip_parse(s, &v), 0);
	return v;
}

static struct ip_net net(const char *s)
{
	struct ip_net v = {};

	assert_int_equal(ip_net_parse(s, &v), 0);
	return v;
}

static void give(struct ipam_leases *l, const struct ip *v)
{
	l->v = reallocarray(l->v, l->n + 1, sizeof(*l->v));
	assert_non_null(l->v);
	l->v[l->n++] = (struct ipam_lease){ .ip = *v, .id = strdup("c") };
	l->last[v->family == AF_INET6] = *v;
}

static void take_back(struct ipam_leases *l, size_t i)
{
	free(l->v[i].id);
	l->v[i] = l->v[--l->n];
}

/* ---- the pure part ---- */

/*
 * Every address that somebody may have is given exactly once, in order, then none; and whichever
 * one comes back is what is given next.
 */
static void exhaust(const char *subnet, const char *gateway)
{
	AUTO(ipam_free) struct ipam_leases l = {};
	struct ipam_pool p = { .subnet = net(subnet) };
	size_t may = 0, n = 0;
	struct ip v, before = {};
	struct err e;

	if (gateway)
		p.gateway = ip(gateway);
	v = ip_net_first(&p.subnet);
	do
		may += ipam_may_have(&p, &v, &e) == 0;
	while (ip_next(&v) && ip_net_has(&p.subnet, &v));
	for (; ipam_next(&p, &l, &v) == 0; n++, before = v) {
		assert_int_equal(ipam_may_have(&p, &v, &e), 0);
		assert_null(ipam_holder(&l, &v));
		assert_true(n == 0 || ip_cmp(&before, &v) < 0);
		give(&l, &v);
	}
	assert_int_equal(n, may);
	assert_int_equal(ipam_next(&p, &l, &v), -ENOSPC);
	for (size_t i = 0; i < n; i++) {
		struct ip freed = l.v[i].ip;

		take_back(&l, i);
		assert_int_equal(ipam_next(&p, &l, &v), 0);
		assert_int_equal(ip_cmp(&v, &freed), 0);
		give(&l, &v);
	}
}

static void all_small_subnets(void **state)
{
	(void)state;
	for (unsigned int prefix = 22; prefix <= 32; prefix++) {
		char subnet[32];

		snprintf(subnet, sizeof(subnet), "10.1.0.0/%u", prefix);
		exhaust(subnet, NULL);
		if (prefix < 32)
			exhaust(subnet, "10.1.0.1");
		snprintf(subnet, sizeof(subnet), "fd00::/%u", prefix + 96);
		exhaust(subnet, NULL);
		if (prefix < 32)
			exhaust(subnet, "fd00::1");
	}
	/* at the very end of all addresses */
	exhaust("255.255.255.248/29", "255.255.255.254");
	exhaust("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125", NULL);
	exhaust("0.0.0.0/28", NULL);
}

static size_t count(const struct ipam_pool *p)
{
	AUTO(ipam_free) struct ipam_leases l = {};
	struct ip v;

	while (ipam_next(p, &l, &v) == 0)
		give(&l, &v);
	return l.n;
}

static void sizes(void **state)
{
	struct ip_net r[] = { net("10.0.0.0/29"), net("10.0.0.240/28"), net("10.0.0.100/32") };
	struct ipam_pool p = { .subnet = net("10.0.0.0/24"), .gateway = ip("10.0.0.1") };

	(void)state;
	assert_int_equal(count(&p), 253);
	p.reserved = r;
	p.n_reserved = ARRAY_SIZE(r);
	/* 256 - 8 - 16 - 1: the ends and the gateway are among the reserved */
	assert_int_equal(count(&p), 231);
	r[1] = net("10.0.0.128/25");
	assert_int_equal(count(&p), 119);
	r[0] = net("0.0.0.0/0");
	assert_int_equal(count(&p), 0);
	p = (struct ipam_pool){ .subnet = net("10.0.0.2/31"), .gateway = ip("10.0.0.2") };
	assert_int_equal(count(&p), 1);
	p = (struct ipam_pool){ .subnet = net("fd00::/126"), .gateway = ip("fd00::1") };
	assert_int_equal(count(&p), 2);
}

/* What was just freed rests until the others have had their turn. */
static void rests(void **state)
{
	AUTO(ipam_free) struct ipam_leases l = {};
	const struct ipam_pool p = { .subnet = net("10.0.0.0/29") };
	struct ip v, want;

	(void)state;
	for (unsigned int i = 1; i <= 20; i++) {
		assert_int_equal(ipam_next(&p, &l, &v), 0);
		want = (struct ip){ AF_INET, { 10, 0, 0, (uint8_t)((i - 1) % 6 + 1) } };
		assert_int_equal(ip_cmp(&v, &want), 0);
		give(&l, &v);
		take_back(&l, 0);
	}
	/* a mark of another subnet is no mark */
	l.last[0] = ip("192.0.2.77");
	assert_int_equal(ipam_next(&p, &l, &v), 0);
	assert_int_equal(v.b[3], 1);
	l.last[0] = ip("10.0.0.7");
	assert_int_equal(ipam_next(&p, &l, &v), 0);
	assert_int_equal(v.b[3], 1);
}

static void refused_addresses(void **state)
{
	static const struct {
		const char *ip, *why;
	} bad[] = {
		{ "10.0.1.1", "not in the subnet 10.0.0.0/24" },
		{ "fd00::1", "not in the subnet" },
		{ "10.0.0.0", "the first of the subnet" },
		{ "10.0.0.255", "the last of the subnet" },
		{ "10.0.0.254", "the network's gateway" },
		{ "10.0.0.9", "reserved by the network" },
	};
	struct ip_net r = net("10.0.0.8/31");
	struct ipam_pool p = { net("10.0.0.0/24"), ip("10.0.0.254"), &r, 1 };
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct ip v = ip(bad[i].ip);

		assert_int_equal(ipam_may_have(&p, &v, &e), -EINVAL);
		assert_non_null(strstr(e.msg, bad[i].why));
		assert_non_null(strstr(e.msg, bad[i].ip));
	}
}

static void pools(void **state)
{
	static const struct {
		const char *subnet, *gateway, *why;
	} bad[] = {
		{ "10.0.0.1/24", NULL, "not the subnet's first, 10.0.0.0" },
		{ "10.0.0.1/32", NULL, "no room" },
		{ "fd00::1/128", NULL, "no room" },
		{ "10.0.0.0/24", "10.0.1.1", "no address of the subnet" },
		{ "10.0.0.0/24", "10.0.0.0", "no address of the subnet" },
		{ "10.0.0.0/24", "10.0.0.255", "no address of the subnet" },
		{ "10.0.0.0/24", "fd00::1", "no address of the subnet" },
	};
	struct ipam_pool p = { .subnet = net("10.0.0.0/31"), .gateway = ip("10.0.0.0") };
	struct ip v;
	struct err e;

	(void)state;
	assert_int_equal(ipam_check(&p, "network x", &e), 0);
	assert_int_equal(ipam_default_gateway(&p.subnet, &v), 0);
	assert_int_equal(v.b[3], 0);
	p = (struct ipam_pool){ .subnet = net("fd00::/64") };
	assert_int_equal(ipam_check(&p, "network x", &e), 0);
	assert_int_equal(ipam_default_gateway(&p.subnet, &v), 0);
	assert_int_equal(v.b[15], 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		p = (struct ipam_pool){ .subnet = net(bad[i].subnet) };
		if (bad[i].gateway)
			p.gateway = ip(bad[i].gateway);
		assert_int_equal(ipam_check(&p, "network x", &e), -EINVAL);
		assert_non_null(strstr(e.msg, bad[i].why));
		assert_non_null(str_after(e.msg, "network x: "));
	}
	p = (struct ipam_pool){};
	assert_int_equal(ipam_check(&p, "network x", &e), -EINVAL);
	p.subnet = net("10.0.0.0/32");
	assert_int_equal(ipam_default_gateway(&p.subnet, &v), -ENOSPC);
}

static void picks(void **state)
{
	const struct ip_net from = net("10.64.0.0/14"), end = net("255.255.255.0/24");
	struct ip_net used[] = { net("10.64.0.0/24"), net("10.64.1.128/25"), net("10.64.2.0/23"),
				 net("fd00::/8"), net("192.168.0.0/16") };
	struct ip_net v;
	char text[IP_NET_TEXT];

	(void)state;
	assert_int_equal(ipam_pick_subnet(&from, 24, used, 0, &v), 0);
	assert_string_equal(ip_net_text(&v, text), "10.64.0.0/24");
	assert_int_equal(ipam_pick_subnet(&from, 24, used, ARRAY_SIZE(used), &v), 0);
	assert_string_equal(ip_net_text(&v, text), "10.64.4.0/24");
	assert_int_equal(ipam_pick_subnet(&from, 25, used, ARRAY_SIZE(used), &v), 0);
	assert_string_equal(ip_net_text(&v, text), "10.64.1.0/25");
	assert_int_equal(ipam_pick_subnet(&from, 16, used, ARRAY_SIZE(used), &v), 0);
	assert_string_equal(ip_net_text(&v, text), "10.65.0.0/16");
	used[0] = net("0.0.0.0/0");
	assert_int_equal(ipam_pick_subnet(&from, 24, used, 1, &v), -ENOSPC);
	used[0] = net("10.64.0.0/14");
	assert_int_equal(ipam_pick_subnet(&from, 24, used, 1, &v), -ENOSPC);
	assert_int_equal(ipam_pick_subnet(&from, 13, used, 0, &v), -ENOSPC);
	assert_int_equal(ipam_pick_subnet(&from, 33, used, 0, &v), -ENOSPC);
	used[0] = net("255.255.255.0/25");
	used[1] = net("255.255.255.128/25");
	assert_int_equal(ipam_pick_subnet(&end, 25, used, 1, &v), 0);
	assert_int_equal(ipam_pick_subnet(&end, 25, used, 2, &v), -ENOSPC);
}

static void texts(void **state)
{
	static const char *const bad[] = { "10.0.0.1",    "10.0.0.1 ",    "x y\n",   "10.0.0.1\n",
					   "10.0.0.1 \n", "last x\n",     "last \n", " a\n",
					   "\n",          "10.0.0.1 a\nx" };
	static const char good[] = "last 10.0.0.2\nlast fd00::2\n10.0.0.2 web\nfd00::2 web\n";
	AUTO(ipam_free) struct ipam_leases l = {}, none = {};
	AUTO_FREE char *text = NULL, *empty = NULL;
	size_t len;
	struct err e;

	(void)state;
	assert_int_equal(ipam_parse(good, &l, &e), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[1].id, "web");
	assert_int_equal(ipam_format(&l, &text, &len, &e), 0);
	assert_string_equal(text, good);
	assert_int_equal(len, strlen(good));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct ipam_leases x = {};

		assert_int_equal(ipam_parse(bad[i], &x, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "line "));
	}
	assert_int_equal(ipam_parse("", &none, &e), 0);
	assert_int_equal(ipam_format(&none, &empty, &len, &e), 0);
	assert_string_equal(empty, "");
}

/* ---- the file ---- */

static char dir_path[64];
static int dir = -1;

static int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir_path, sizeof(dir_path), "%s/ipamXXXXXX",
		 tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(dir_path))
		return -1;
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
	static const char *const files[] = { "n.leases", "n.lock" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(dir, files[i], 0);
	close(dir);
	return rmdir(dir_path);
}

static bool alive(void *arg, const char *id)
{
	return !strstr(arg, id);
}

static struct ipam_pool two[2];

static struct ipam_request request(const char *id, const char *dead)
{
	two[0] = (struct ipam_pool){ .subnet = net("10.0.0.0/29"), .gateway = ip("10.0.0.1") };
	two[1] = (struct ipam_pool){ .subnet = net("fd00::/64"), .gateway = ip("fd00::1") };
	return (struct ipam_request){ .dir = dir,
				      .network = "n",
				      .pools = two,
				      .n_pools = 2,
				      .id = id,
				      .alive = alive,
				      .arg = (void *)(uintptr_t)dead };
}

static void life(void **state)
{
	struct ipam_request q = request("a", "");
	AUTO(ipam_free) struct ipam_leases l = {}, after = {};
	struct ip v[2], w[2];
	struct err e;

	(void)state;
	assert_int_equal(ipam_take(&q, v, &e), 0);
	assert_int_equal(v[0].b[3], 2);
	assert_int_equal(v[1].b[15], 2);
	/* made anew: others, and those of before are free */
	assert_int_equal(ipam_take(&q, v, &e), 0);
	assert_int_equal(v[0].b[3], 3);
	assert_int_equal(ipam_list(dir, "n", &l, &e), 0);
	assert_int_equal(l.n, 2);
	q.id = "b";
	q.want[0] = v[0];
	assert_int_equal(ipam_take(&q, w, &e), -EADDRINUSE);
	assert_non_null(strstr(e.msg, "10.0.0.3: container a has it"));
	q.want[0] = ip("10.0.0.2");
	q.want[1] = ip("fd00::77");
	assert_int_equal(ipam_take(&q, w, &e), 0);
	assert_int_equal(w[1].b[15], 0x77);
	assert_int_equal(ipam_remove(dir, "n", alive, (void *)(uintptr_t) "", &e), -EBUSY);
	assert_int_equal(ipam_release(dir, "n", "a", &e), 0);
	assert_int_equal(ipam_release(dir, "n", "a", &e), 0);
	assert_int_equal(ipam_release(dir, "none", "a", &e), 0);
	assert_int_equal(faccessat(dir, "none.lock", F_OK, 0), -1);
	assert_int_equal(ipam_remove(dir, "n", alive, (void *)(uintptr_t) "b", &e), 0);
	assert_int_equal(ipam_list(dir, "n", &after, &e), 0);
	assert_int_equal(after.n, 0);
	assert_int_equal(faccessat(dir, "n.lock", F_OK, 0), -1);
}

/* Both or none; and what dead containers have is taken only when it is needed. */
static void exhausted(void **state)
{
	static const char *const ids[] = { "a", "b", "c", "d", "e" };
	AUTO(ipam_free) struct ipam_leases l = {};
	struct ipam_request q;
	struct ip v[2];
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		q = request(ids[i], "b");
		assert_int_equal(ipam_take(&q, v, &e), 0);
	}
	q = request("f", "");
	assert_int_equal(ipam_take(&q, v, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "all addresses of the subnet 10.0.0.0/29 are taken"));
	assert_int_equal(ipam_list(dir, "n", &l, &e), 0);
	assert_int_equal(l.n, 10);
	q = request("f", "b");
	assert_int_equal(ipam_take(&q, v, &e), 0);
	assert_int_equal(v[0].b[3], 3);
	q = request("g", "c");
	q.want[0] = ip("10.0.0.4");
	assert_int_equal(ipam_take(&q, v, &e), 0);
	assert_int_equal(v[0].b[3], 4);
}

static void bad_files(void **state)
{
	static const char *const bad[] = { "10.0.0.1 a", "rubbish\n" };
	struct ipam_request q = request("a", "");
	struct ip v[2];
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(io_write_atomic(dir, "n.leases", bad[i], strlen(bad[i]), 0600), 0);
		assert_int_equal(ipam_take(&q, v, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "n.leases: leases: line 1"));
	}
	assert_int_equal(io_write_atomic(dir, "n.leases", "a\0b\n", 4, 0600), 0);
	assert_int_equal(ipam_take(&q, v, &e), -EINVAL);
	q.network = "a/b";
	assert_int_equal(ipam_take(&q, v, &e), -EINVAL);
	q.network = "";
	assert_int_equal(ipam_take(&q, v, &e), -EINVAL);
}

/* Many at once: no address twice, none lost. */
static void together(void **state)
{
	enum { WORKERS = 8, ROUNDS = 20 };
	AUTO(ipam_free) struct ipam_leases l = {};
	struct err e;
	int status, bad = 0;

	(void)state;
	for (int i = 0; i < WORKERS; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			char id[32];
			struct ipam_request q = request(id, "");
			struct ip v[2];
			int r = 0;

			two[0].subnet = net("10.0.0.0/24");
			for (int k = 0; k < ROUNDS && r == 0; k++) {
				snprintf(id, sizeof(id), "w%d-%d", i, k);
				r = ipam_take(&q, v, &e);
				if (r == 0 && k % 2)
					r = ipam_release(dir, "n", id, &e);
			}
			_exit(r == 0 ? 0 : 1);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		bad |= wait(&status) < 0 || status;
	assert_false(bad);
	assert_int_equal(ipam_list(dir, "n", &l, &e), 0);
	assert_int_equal(l.n, 2 * WORKERS * ROUNDS / 2);
	for (size_t i = 0; i < l.n; i++)
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(ip_cmp(&l.v[i].ip, &l.v[k].ip), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_small_subnets),
		cmocka_unit_test(sizes),
		cmocka_unit_test(rests),
		cmocka_unit_test(refused_addresses),
		cmocka_unit_test(pools),
		cmocka_unit_test(picks),
		cmocka_unit_test(texts),
		cmocka_unit_test_setup_teardown(life, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(exhausted, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(bad_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(together, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
