/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include "base/cleanup.h"
#include "delegate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define U64(x)                        \
	{                             \
		.set = true, .v = (x) \
	}

/* Every key is there, also of a host that knows nothing. */
static void test_nothing(void **state)
{
	AUTO(json_out_free) struct json_out j = {};
	const struct cg_stat none = { 0 };
	const char *four = "{\"limit\":0,\"usage\":0,\"max\":0,\"failcnt\":0}";
	char want[4096];

	(void)state;
	stats_out(&j, &none, NULL);
	snprintf(
		want, sizeof(want),
		"{\"cpu\":{\"usage\":{\"total\":0,\"kernel\":0,\"user\":0},\"throttling\":{\"periods\":0,"
		"\"throttledPeriods\":0,\"throttledTime\":0}},\"cpuset\":{\"cpus\":[],\"cpu_exclusive\":0,"
		"\"mems\":[],\"mem_hardwall\":0,\"mem_exclusive\":0,\"memory_migrate\":0,"
		"\"memory_spread_page\":0,\"memory_spread_slab\":0,\"memory_pressure\":0,"
		"\"sched_load_balance\":0,\"sched_relax_domain_level\":0},\"memory\":{\"cache\":0,"
		"\"usage\":%s,\"swap\":%s,\"kernel\":%s,\"kernelTCP\":%s,\"raw\":{}},"
		"\"pids\":{\"current\":0,\"limit\":0},\"blkio\":{\"ioServiceBytesRecursive\":[],"
		"\"ioServicedRecursive\":[],\"ioQueueRecursive\":[],\"ioServiceTimeRecursive\":[],"
		"\"ioWaitTimeRecursive\":[],\"ioMergedRecursive\":[],\"ioTimeRecursive\":[],"
		"\"sectorsRecursive\":[]},\"hugetlb\":{},\"intel_rdt\":{},\"network_interfaces\":[]}",
		four, four, four, four);
	assert_string_equal(j.buf.s, want);
}

static void assert_has(const struct json_out *j, const char *want)
{
	if (!strstr(j->buf.s, want))
		fail_msg("no %s in %s", want, j->buf.s);
}

static void test_values(void **state)
{
	AUTO(json_out_free) struct json_out j = {};
	struct cg_stat_pair raw[] = { { "anon", 5 } };
	struct cg_blkio io[] = { { 8, 0, "Read", 4096 }, { 8, 16, "", 3 } };
	struct cg_hugetlb huge[] = { { "2MB",
				       { .usage = U64(1), .max = U64(2), .failcnt = U64(3) } } };
	uint64_t percpu[] = { 10, 20 };
	const struct cg_psi_line line = { "1.50", "0.00", "0.00", 9 };
	struct cg_stat st = {
		.cpu = { .usage = U64(30),
			 .throttled = U64(8),
			 .percpu = { percpu, 2 },
			 .psi = { true, line, line } },
		.cpuset = { .cpus = "0-2,7",
			    .mems = "0",
			    .sched_relax_domain_level = { .set = true, .v = -1 } },
		.memory = { .limit = U64(UINT64_MAX),
			    .swap = { .usage = U64(6) },
			    .raw = { raw, 1 } },
		.pids = { .current = U64(2), .limit = U64(UINT64_MAX) },
		.hugetlb = { huge, 1 },
	};

	(void)state;
	st.blkio.list[CG_BLKIO_BYTES] = (struct cg_blkio_list){ io, 2 };
	st.blkio.list[CG_BLKIO_COST_USAGE] = (struct cg_blkio_list){ io, 1 };
	stats_out(&j, &st,
		  "Inter-| Receive\n face |bytes\n    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n"
		  "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
	assert_has(&j, "\"total\":30,\"percpu\":[10,20],");
	assert_has(&j, "\"throttledTime\":8},\"psi\":{\"some\":{\"avg10\":1.50,\"avg60\":0.00,");
	assert_has(&j, "\"cpus\":[0,1,2,7]");
	assert_has(&j, "\"sched_relax_domain_level\":-1}");
	assert_has(&j, "\"usage\":{\"limit\":18446744073709551615,");
	assert_has(&j, "\"swap\":{\"limit\":0,\"usage\":6,");
	assert_has(&j, "\"raw\":{\"anon\":5}");
	assert_has(&j, "\"pids\":{\"current\":2,\"limit\":0}");
	assert_has(&j, "\"ioServiceBytesRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Read\","
		       "\"value\":4096},{\"major\":8,\"minor\":16,\"value\":3}]");
	assert_has(&j, "\"ioCostUsage\":[{");
	assert_has(&j, "\"hugetlb\":{\"2MB\":{\"usage\":1,\"max\":2,\"failcnt\":3}}");
	assert_has(&j,
		   "\"network_interfaces\":[{\"Name\":\"eth0\",\"RxBytes\":1,\"RxPackets\":2,"
		   "\"RxErrors\":3,\"RxDropped\":4,\"TxBytes\":9,\"TxPackets\":10,\"TxErrors\":11,"
		   "\"TxDropped\":12}]}");
}

/* ---- delegation ---- */

static int64_t owner(const char *linux_, const char *options)
{
	AUTO_SPEC struct spec *s = NULL;
	AUTO_FREE char *text = str_printf(
		"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":"
		"[\"x\"],\"user\":{\"uid\":7,\"gid\":0}},\"mounts\":[{\"destination\":\"/sys/fs/cgroup/\","
		"\"type\":\"cgroup\",\"source\":\"cgroup\",\"options\":[%s]}],\"linux\":{%s}}",
		options, linux_);
	struct err e = { 0 };
	uid_t uid = 0;

	if (spec_parse(text, strlen(text), &s, &e) < 0)
		fail_msg("%s", e.msg);
	return delegate_wanted(s, &uid) ? (int64_t)uid : -1;
}

#define NS_CG "{\"type\":\"cgroup\"},{\"type\":\"mount\"}"
#define MAPS                                                                                  \
	",\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":10}],\"gidMappings\":" \
	"[{\"containerID\":0,\"hostID\":1000,\"size\":10}]"

static void test_delegate(void **state)
{
	(void)state;
	assert_int_equal(owner("\"namespaces\":[" NS_CG "]", ""), 7);
	assert_int_equal(owner("\"namespaces\":[" NS_CG ",{\"type\":\"user\"}]" MAPS, "\"nosuid\""),
			 1007);
	assert_int_equal(owner("\"namespaces\":[" NS_CG "]", "\"ro\",\"rw\""), 7);
	assert_int_equal(owner("\"namespaces\":[" NS_CG "]", "\"ro\""), -1);
	assert_int_equal(owner("\"namespaces\":[{\"type\":\"mount\"}]", ""), -1);
	assert_int_equal(owner("\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"cgroup\","
			       "\"path\":\"/proc/1/ns/cgroup\"}]",
			       ""),
			 -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_delegate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
