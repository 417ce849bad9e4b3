/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"
#include "oci/names.h"

#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <cmocka.h>

static const struct {
	const struct name_table *table;
	size_t n;       /* rows */
	size_t aliases; /* of them, names of a value that an earlier row has */
} tables[] = {
	{ &names_capabilities, CAP_CHECKPOINT_RESTORE + 1, 0 },
	{ &names_rlimits, RLIM_NLIMITS, 0 },
	{ &names_namespaces, NS_KINDS, 0 },
	{ &names_hooks, HOOK_KINDS, 0 },
	{ &names_seccomp_actions, ACT_NOTIFY + 2, 1 },
	{ &names_seccomp_ops, OP_MASKED_EQ + 1, 0 },
	{ &names_seccomp_archs, 24, 0 },
	{ &names_seccomp_flags, 4, 0 },
	{ &names_sched_policies, 7, 0 },
	{ &names_sched_flags, 7, 0 },
	{ &names_ioprio_classes, 3, 0 },
	{ &names_mempolicy_modes, 7, 0 },
	{ &names_mempolicy_flags, 3, 0 },
	{ &names_personalities, 2, 0 },
	{ &names_propagation, 8, 0 },
	{ &names_signals, 31 + 4 + 31, 4 },
};

static void round_trip(void **state)
{
	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		const struct name_table *table = tables[t].table;
		size_t aliases = 0;

		assert_true(*table->what);
		if (table->n != tables[t].n)
			fail_msg("%s: %zu rows", table->what, table->n);
		for (size_t i = 0; i < table->n; i++) {
			const struct name_value *row = &table->rows[i];
			int64_t v = INT64_MIN;

			/* The first row with the name is this one: no name occurs twice. */
			assert_true(table_value(table, row->name, &v));
			assert_int_equal(v, row->value);
			for (size_t k = 0; k < i; k++)
				assert_string_not_equal(table->rows[k].name, row->name);
			aliases += !str_eq(table_name(table, v), row->name);
		}
		if (aliases != tables[t].aliases)
			fail_msg("%s: %zu aliases", table->what, aliases);
	}
}

static void unknown_names(void **state)
{
	int64_t v = 77;

	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		assert_false(table_value(tables[t].table, "", &v));
		assert_false(table_value(tables[t].table, "nonsense", &v));
	}
	assert_int_equal(v, 77);
}

/* Spot checks against the numbers of the kernel's interface, which the tables take from headers. */
static void kernel_values(void **state)
{
	int64_t v;

	(void)state;
	assert_true(table_value(&names_capabilities, "CAP_SYS_ADMIN", &v) && v == 21);
	assert_true(table_value(&names_capabilities, "CAP_CHECKPOINT_RESTORE", &v) && v == 40);
	assert_true(table_value(&names_rlimits, "RLIMIT_NOFILE", &v) && v == 7);
	assert_true(
		table_value(&names_seccomp_flags, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", &v) &&
		v == 32);
	assert_true(table_value(&names_sched_policies, "SCHED_DEADLINE", &v) && v == 6);
	assert_true(table_value(&names_mempolicy_modes, "MPOL_WEIGHTED_INTERLEAVE", &v) && v == 6);
	assert_true(table_value(&names_mempolicy_modes, "MPOL_BIND", &v) && v == 2);
	assert_true(table_value(&names_personalities, "LINUX32", &v) && v == 8);
	assert_true(table_value(&names_ioprio_classes, "IOPRIO_CLASS_IDLE", &v) && v == 3);
	assert_true(table_value(&names_propagation, "rslave", &v) && v == (1 << 19 | 16384));
}

static void signals(void **state)
{
	const struct { /* SIGRTMIN is a call: no static initialiser */
		const char *text;
		int number;
	} cases[] = {
		{ "9", 9 },
		{ "0", 0 },
		{ "64", 64 },
		{ "KILL", SIGKILL },
		{ "SIGKILL", SIGKILL },
		{ "sigterm", SIGTERM },
		{ "Hup", SIGHUP },
		{ "RTMIN", SIGRTMIN },
		{ "SIGRTMIN+3", SIGRTMIN + 3 },
		{ "rtmin+30", SIGRTMAX },
		{ "RTMIN+25", SIGRTMIN + 25 },
		{ "RTMAX", SIGRTMAX },
		{ "SIGRTMAX-14", SIGRTMAX - 14 },
		{ "RTMAX-30", SIGRTMIN },
		{ "CLD", SIGCHLD },
		{ "IOT", SIGABRT },
		{ "POLL", SIGIO },
		{ "", -EINVAL },
		{ "SIG", -EINVAL },
		{ "65", -EINVAL },
		{ "-1", -EINVAL },
		{ "+9", -EINVAL },
		{ "9x", -EINVAL },
		{ " 9", -EINVAL },
		{ "00", -EINVAL },
		{ "SIGSIGTERM", -EINVAL },
		{ "RTMIN+31", -EINVAL },
		{ "RTMAX-31", -EINVAL },
		{ "RTMIN+", -EINVAL },
		{ "RTMIN-1", -EINVAL },
		{ "RTMAX+1", -EINVAL },
		{ "NOSUCH", -EINVAL },
		{ "99999999999999999999", -EINVAL },
		{ "A-VERY-LONG-NAME-OF-A-SIGNAL", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (names_signal(cases[i].text) != cases[i].number)
			fail_msg("\"%s\": %d", cases[i].text, names_signal(cases[i].text));
	for (size_t i = 0; i < names_signals.n; i++)
		assert_int_equal(names_signal(names_signals.rows[i].name),
				 names_signals.rows[i].value);
}

/* The table of options in the specification's config.md, and the recursive ones beside it. */
static const char *const specified[] = {
	"async",          "atime",      "bind",         "defaults",    "dev",
	"diratime",       "dirsync",    "exec",         "iversion",    "lazytime",
	"loud",           "mand",       "noatime",      "nodev",       "nodiratime",
	"noexec",         "noiversion", "nolazytime",   "nomand",      "norelatime",
	"nostrictatime",  "nosuid",     "nosymfollow",  "private",     "ratime",
	"rbind",          "rdev",       "rdiratime",    "relatime",    "remount",
	"rexec",          "rnoatime",   "rnodiratime",  "rnoexec",     "rnorelatime",
	"rnostrictatime", "rnosuid",    "rnosymfollow", "ro",          "rprivate",
	"rrelatime",      "rro",        "rrw",          "rshared",     "rslave",
	"rstrictatime",   "rsuid",      "rsymfollow",   "runbindable", "rw",
	"shared",         "silent",     "slave",        "strictatime", "suid",
	"symfollow",      "sync",       "tmpcopyup",    "unbindable",  "idmap",
	"ridmap",         "rnodev",
	/* crun's */
	"copy-symlink",   "src-nofollow", "dest-nofollow",
};

static void mount_options(void **state)
{
	(void)state;
	assert_int_equal(names_mount_options_n, ARRAY_SIZE(specified));
	for (size_t i = 0; i < ARRAY_SIZE(specified); i++)
		if (!names_mount_option(specified[i]))
			fail_msg("no option %s", specified[i]);
	for (size_t i = 0; i < names_mount_options_n; i++)
		assert_ptr_equal(names_mount_option(names_mount_options[i].name),
				 &names_mount_options[i]);
	assert_null(names_mount_option("size=64k"));
	assert_null(names_mount_option(""));
	assert_null(names_mount_option("RO"));
}

static void mount_option_values(void **state)
{
	const struct mount_option *o = names_mount_option("rro");

	(void)state;
	assert_true(o->kind == MOPT_ATTR_REC && o->attr_set == MOUNT_ATTR_RDONLY && !o->attr_clr);
	o = names_mount_option("exec");
	assert_true(o->kind == MOPT_ATTR && !o->attr_set && o->attr_clr == MOUNT_ATTR_NOEXEC);
	o = names_mount_option("strictatime");
	assert_true(o->attr_set == MOUNT_ATTR_STRICTATIME && o->attr_clr == MOUNT_ATTR__ATIME);
	o = names_mount_option("dirsync");
	assert_true(o->kind == MOPT_SB_SET && o->value == 128);
	assert_string_equal(o->flag, "dirsync");
	o = names_mount_option("async");
	assert_true(o->kind == MOPT_SB_CLEAR && o->value == 16);
	o = names_mount_option("rbind");
	assert_true(o->kind == MOPT_BIND && o->value == 16384);
	o = names_mount_option("ridmap");
	assert_true(o->kind == MOPT_IDMAP && o->value == 1);
	o = names_mount_option("runbindable");
	assert_true(o->kind == MOPT_PROPAGATION && o->value == (1 << 17 | 16384));
	o = names_mount_option("remount");
	assert_int_equal(o->kind, MOPT_REMOUNT);
	o = names_mount_option("tmpcopyup");
	assert_int_equal(o->kind, MOPT_TMPCOPYUP);
	o = names_mount_option("defaults");
	assert_int_equal(o->kind, MOPT_IGNORED);
}

/* An access-time option either leaves the field alone or clears all of it: the kernel wants that.
 */
static void access_time_is_one_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < names_mount_options_n; i++) {
		const struct mount_option *o = &names_mount_options[i];

		if ((o->attr_set | o->attr_clr) & MOUNT_ATTR__ATIME)
			assert_int_equal(o->attr_clr & MOUNT_ATTR__ATIME, MOUNT_ATTR__ATIME);
		if (o->kind != MOPT_ATTR && o->kind != MOPT_ATTR_REC)
			assert_true(!o->attr_set && !o->attr_clr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(unknown_names),
		cmocka_unit_test(kernel_values),
		cmocka_unit_test(signals),
		cmocka_unit_test(mount_options),
		cmocka_unit_test(mount_option_values),
		cmocka_unit_test(access_time_is_one_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
