/* SPDX-License-Identifier: Apache-2.0 */
#include "in_child.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "oci/names.h"
#include "spec_text.h"

static const struct mount_cgroup v2[] = {
	{ .controllers = "", .mount = "/sys/fs/cgroup", .path = "/ctr/a", .v2 = true },
};

static const struct mount_cgroup v1[] = {
	{ .controllers = "cpu,cpuacct", .mount = "/sys/fs/cgroup/cpu,cpuacct", .path = "/ctr/a" },
	{ .controllers = "name=systemd", .mount = "/sys/fs/cgroup/systemd", .path = "/" },
	{ .controllers = "", .mount = "/sys/fs/cgroup/unified", .path = "/ctr/a", .v2 = true },
};

/* One plan at a time. */
static struct arena arena;
static struct spec *spec;
static struct mount_plan plan;
static struct err err;
static struct mount_plan_in in;

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	spec_free(spec);
	spec = NULL;
	return 0;
}

/* Straight structs, so that the plan is tested with what the parser itself would refuse, too. */
static int build(const char *dest, const char *type, const char *source, const char *options)
{
	static struct spec_mount m;
	static char text[512], *v[16];
	static struct spec s;
	char *save = NULL;
	size_t n = 0;

	arena_free(&arena);
	snprintf(text, sizeof(text), "%s", options);
	for (char *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save))
		v[n++] = t;
	m = (struct spec_mount){ .destination = (char *)dest,
				 .type = (char *)type,
				 .source = (char *)source };
	m.options.v = v;
	m.options.n = n;
	s.mounts.v = &m;
	s.mounts.n = 1;
	in.spec = &s;
	memset(&err, 0, sizeof(err));
	return mount_plan_build(&arena, &in, &plan, &err);
}

static void test_clean(void **state)
{
	static const char *const t[][2] = {
		{ "/a/b", "/a/b" },
		{ "a//b/", "/a/b" },
		{ "/a/./b/../c", "/a/c" },
		{ "/../../x", "/x" },
		{ "/", "/" },
		{ "", "/" },
		{ "..", "/" },
		{ "/a/..", "/" },
		{ "...", "/..." },
		{ "/a/.b/..c", "/a/.b/..c" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_string_equal(mount_plan_clean(&arena, t[i][0]), t[i][1]);
}

static void test_fs(void **state)
{
	const struct mount_op *op;

	(void)state;
	assert_int_equal(
		build("dev/x", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=64k sync"), 0);
	assert_int_equal(plan.n, 1);
	op = &plan.v[0];
	assert_int_equal(op->kind, MOUNT_OP_FS);
	assert_string_equal(op->target, "/dev/x");
	assert_int_equal(op->attr_set, MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME);
	assert_int_equal(op->data.n, 2);
	assert_string_equal(op->data.v[1], "size=64k");
	assert_int_equal(op->sb_set.n, 1);
	assert_string_equal(op->sb_set.v[0], "sync");
	/* the last of a kind wins */
	assert_int_equal(build("/x", "ext4", "/dev/sda", "ro rw sync async noatime relatime"), 0);
	assert_int_equal(plan.v[0].attr_set, 0);
	assert_int_equal(plan.v[0].sb_set.n, 0);
	/* a disk that is read-only by nature is opened so */
	assert_int_equal(build("/x", "ext4", "/dev/sda", "ro"), 0);
	assert_int_equal(plan.v[0].attr_set, MOUNT_ATTR_RDONLY);
	assert_string_equal(plan.v[0].sb_set.v[0], "ro");
	/* what is still to be filled becomes read-only later */
	assert_int_equal(build("/x", "tmpfs", "tmpfs", "ro"), 0);
	assert_int_equal(plan.v[0].attr_set, 0);
	assert_true(plan.v[0].late_ro);
	assert_int_equal(build("/x", "ext4", "/dev/sda", "iversion silent"), 0);
	assert_int_equal(plan.v[0].ms_flags, MS_I_VERSION);
	assert_int_equal(build("/x", "tmpfs", "tmpfs", "tmpcopyup rro"), 0);
	assert_true(plan.v[0].copy_up);
	/* nothing is below yet: as "ro" */
	assert_true(plan.v[0].late_ro);
	assert_int_equal(plan.v[0].rec_attr_set, 0);
	assert_int_equal(plan.v[0].attr_set, 0);
	assert_int_equal(build("/x", "ext4", "/dev/sda", "rro rnoatime nosuid rsuid"), 0);
	assert_int_equal(plan.v[0].attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME);
	assert_int_equal(plan.v[0].rec_attr_set | plan.v[0].rec_attr_clr, 0);
	assert_string_equal(plan.v[0].sb_set.v[0], "ro");
}

static void test_bind(void **state)
{
	const struct mount_op *op;

	(void)state;
	assert_int_equal(build("/x", "none", "/src", "rbind ro rprivate"), 0);
	op = &plan.v[0];
	assert_int_equal(op->kind, MOUNT_OP_BIND);
	assert_true(op->recursive);
	assert_null(op->fstype);
	assert_int_equal(op->attr_set, MOUNT_ATTR_RDONLY);
	assert_int_equal(op->n_propagation, 1);
	assert_int_equal(op->propagation[0], MS_PRIVATE | MS_REC);
	assert_int_equal(build("/x", "bind", "/src", ""), 0);
	assert_int_equal(plan.v[0].kind, MOUNT_OP_BIND);
	assert_false(plan.v[0].recursive);
	assert_int_equal(build("/x", NULL, NULL, "remount bind ro"), 0);
	assert_int_equal(plan.v[0].kind, MOUNT_OP_REMOUNT);
	/* a relative source is the bundle's */
	in.bundle = "/b";
	assert_int_equal(build("/x", "bind", "src/x", ""), 0);
	assert_string_equal(plan.v[0].source, "/b/src/x");
	assert_int_equal(build("/x", "bind", "/src", ""), 0);
	assert_string_equal(plan.v[0].source, "/src");
	in.bundle = NULL;
	/* lxcfs */
	assert_int_equal(build("/proc/meminfo", "bind", "/src", ""), 0);
	assert_int_equal(build("/proc/sys/kernel/ns_last_pid", "bind", "/src", ""), 0);
	assert_int_equal(build("/proc/x", "proc", "proc", ""), 0);
}

static void test_idmap_options(void **state)
{
	(void)state;
	in.userns = true;
	assert_int_equal(build("/x", "bind", "/src", "ridmap"), 0);
	assert_true(plan.v[0].idmap && plan.v[0].ridmap);
	assert_null(plan.v[0].uid_mappings);
	in.userns = false;
	assert_int_equal(build("/x", "bind", "/src", "idmap"), -EINVAL);
	in.userns = true;
	assert_int_equal(build("/x", "tmpfs", "tmpfs", "idmap"), -EINVAL);
	in.userns = false;
}

static void test_refused(void **state)
{
	static const struct {
		const char *dest, *type, *source, *options, *text;
		int code;
	} t[] = {
		{ "/x", "bind", "/s", "bind size=4k", "size=4k", EINVAL },
		{ "/x", "bind", "/s", "sync", "sync", EINVAL },
		{ "/x", "bind", NULL, "", "mounts[0].source", EINVAL },
		{ "/x", NULL, "s", "ro", "mounts[0].type", EINVAL },
		{ "/x", "none", "s", "ro", "mounts[0].type", EINVAL },
		{ "/", "tmpfs", "tmpfs", "", "mounts[0].destination", EINVAL },
		{ "/a/..", "bind", "/s", "", "mounts[0].destination", EINVAL },
		{ "/proc/self/attr", "tmpfs", "tmpfs", "", "inside /proc", EPERM },
		{ "/proc/../proc//sys", "bind", "/s", "", "inside /proc", EPERM },
		{ "/x", "ext4", "/s", "tmpcopyup", "tmpcopyup", EINVAL },
		{ "/x", "bind", "/s", "shared slave private shared unbindable", "options[4]",
		  EINVAL },
		{ "/x", "tmpfs", "s", "copy-symlink", "copy-symlink", EINVAL },
		{ "/x", "tmpfs", "s", "src-nofollow", "src-nofollow", EINVAL },
		{ "/x", "bind", "/s", "copy-symlink src-nofollow", "copy-symlink", EINVAL },
		{ "/x", "bind", "/s", "copy-symlink dest-nofollow", "copy-symlink", EINVAL },
		{ "/x", "none", NULL, "remount dest-nofollow", "dest-nofollow", EINVAL },
		{ "/x", "cgroup", "c", "dest-nofollow", "dest-nofollow", EINVAL },
		{ "/x", "cgroup", "c", "size=1", "size=1", EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_int_equal(build(t[i].dest, t[i].type, t[i].source, t[i].options),
				 -t[i].code);
		assert_non_null(strstr(err.msg, t[i].text));
	}
}

/* Every row of the vocabulary does something definite: it is honoured by a plan or refused by name.
 */
static void test_every_option(void **state)
{
	(void)state;
	in.userns = true;
	for (size_t i = 0; i < names_mount_options_n; i++) {
		const struct mount_option *o = &names_mount_options[i];
		bool bind = o->kind == MOPT_IDMAP || o->kind == MOPT_BIND ||
			    o->kind == MOPT_ATTR_REC || o->kind == MOPT_LINKS;
		const struct mount_op *op;

		assert_int_equal(build("/x", bind ? "bind" : "tmpfs", "src", o->name), 0);
		assert_int_equal(plan.n, 1);
		op = &plan.v[0];
		assert_int_equal(op->data.n, 0);
		if (o->kind == MOPT_ATTR)
			assert_int_equal(op->attr_clr & o->attr_clr, o->attr_clr);
		if (o->kind == MOPT_ATTR_REC)
			assert_int_equal(op->rec_attr_set, o->attr_set);
		if (o->kind == MOPT_LINKS)
			assert_int_equal(op->links, o->value);
		if (o->kind == MOPT_PROPAGATION)
			assert_int_equal(op->propagation[0], o->value);
		if (o->kind == MOPT_SB_SET && o->flag)
			assert_string_equal(op->sb_set.v[0], o->flag);
	}
	in.userns = false;
}

static void set_cgroups(const struct mount_cgroup *c, size_t n, bool ns)
{
	in.cgroups = c;
	in.n_cgroups = n;
	in.cgroup_ns = ns;
}

static void test_cgroup_v2(void **state)
{
	(void)state;
	set_cgroups(v2, 1, true);
	assert_int_equal(build("/sys/fs/cgroup", "cgroup", "cgroup", "ro nosuid"), 0);
	assert_int_equal(plan.n, 1);
	assert_string_equal(plan.v[0].fstype, "cgroup2");
	assert_string_equal(plan.v[0].fallback, "/sys/fs/cgroup/ctr/a");
	assert_int_equal(plan.v[0].attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
	set_cgroups(v2, 1, false);
	assert_int_equal(build("/sys/fs/cgroup", "cgroup", "cgroup", "ro"), 0);
	assert_int_equal(plan.v[0].kind, MOUNT_OP_BIND);
	assert_string_equal(plan.v[0].source, "/sys/fs/cgroup/ctr/a");
}

static void test_cgroup_v1(void **state)
{
	(void)state;
	set_cgroups(v1, 3, true);
	assert_int_equal(build("/sys/fs/cgroup/", "cgroup", "cgroup", "ro"), 0);
	assert_int_equal(plan.n, 7);
	assert_string_equal(plan.v[0].fstype, "tmpfs");
	assert_int_equal(plan.v[0].attr_set, 0);
	assert_string_equal(plan.v[1].target, "/sys/fs/cgroup/cpu,cpuacct");
	assert_int_equal(plan.v[1].data.n, 2);
	assert_string_equal(plan.v[1].data.v[1], "cpuacct");
	assert_int_equal(plan.v[2].kind, MOUNT_OP_SYMLINK);
	assert_string_equal(plan.v[2].target, "/sys/fs/cgroup/cpu");
	assert_string_equal(plan.v[2].source, "cpu,cpuacct");
	assert_string_equal(plan.v[3].target, "/sys/fs/cgroup/cpuacct");
	assert_string_equal(plan.v[4].data.v[0], "name=systemd");
	assert_string_equal(plan.v[5].fstype, "cgroup2");
	assert_int_equal(plan.v[6].kind, MOUNT_OP_REMOUNT);
	assert_int_equal(plan.v[6].attr_set, MOUNT_ATTR_RDONLY);
	set_cgroups(v1, 3, false);
	assert_int_equal(build("/sys/fs/cgroup", "cgroup", "cgroup", ""), 0);
	assert_int_equal(plan.n, 6);
	assert_int_equal(plan.v[1].kind, MOUNT_OP_BIND);
	assert_string_equal(plan.v[1].source, "/sys/fs/cgroup/cpu,cpuacct/ctr/a");
	/* the whole hierarchy is never writable from a user namespace */
	in.userns = true;
	assert_int_equal(build("/sys/fs/cgroup", "cgroup", "cgroup", ""), 0);
	assert_int_equal(plan.v[4].attr_set, MOUNT_ATTR_RDONLY);
	assert_int_equal(plan.v[1].attr_set, 0);
	in.userns = false;
	set_cgroups(NULL, 0, false);
}

static void test_many(void **state)
{
	(void)state;
	spec = spec_text("{'destination':'/a','type':'tmpfs','source':'t'},"
			 "{'destination':'/b','type':'tmpfs','source':'t'},"
			 "{'destination':'/c','type':'bind','source':'/s','options':['bind'],"
			 "'uidMappings':[{'containerID':0,'hostID':1,'size':2}],"
			 "'gidMappings':[{'containerID':0,'hostID':1,'size':2}]}",
			 "", NULL);
	assert_non_null(spec);
	in.spec = spec;
	assert_int_equal(mount_plan_build(&arena, &in, &plan, &err), 0);
	assert_int_equal(plan.n, 3);
	for (size_t i = 0; i < plan.n; i++)
		assert_int_equal(plan.v[i].index, i);
	assert_true(plan.v[2].idmap);
	assert_int_equal(plan.v[2].uid_mappings->v[0].size, 2);
	spec->mounts.v[2].gid_mappings.n = 0;
	assert_int_equal(mount_plan_build(&arena, &in, &plan, &err), -EINVAL);
}

/*
 * linux.mountLabel: on new file systems that have no labels of their own, unless the mount says
 * something.
 */
static void test_context(void **state)
{
	static const char *const without[] = { "proc", "sysfs", "cgroup2", "mqueue" };

	(void)state;
	in = (struct mount_plan_in){ .context = "context=u:r:t:s0:c1,c2" };
	assert_int_equal(build("/x", "tmpfs", "tmpfs", "size=1m"), 0);
	assert_int_equal(plan.v[0].data.n, 2);
	assert_string_equal(plan.v[0].data.v[1], "context=u:r:t:s0:c1,c2");
	assert_int_equal(build("/x", "tmpfs", "tmpfs", "rootcontext=a:b:c"), 0);
	assert_int_equal(plan.v[0].data.n, 1);
	assert_int_equal(build("/x", "bind", "/src", "bind"), 0);
	assert_int_equal(plan.v[0].data.n, 0);
	for (size_t i = 0; i < ARRAY_SIZE(without); i++) {
		assert_int_equal(build("/x", without[i], without[i], ""), 0);
		assert_int_equal(plan.v[0].data.n, 0);
	}
	in = (struct mount_plan_in){};
}

/*
 * Podman and Buildah put a label into quotes and split the options at all commas, also at those of
 * the label. The kernel's new calls take the whole as it is, without quotes.
 */
static void test_quoted_context(void **state)
{
	static const struct {
		const char *options, *data[3];
	} t[] = {
		{ "context=\"u:r:t:s0:c1 c2\"", { "context=u:r:t:s0:c1,c2" } },
		{ "size=1m context=\"u:r:t:s0:c1 c2 ro\" mode=700",
		  { "size=1m", "context=u:r:t:s0:c1,c2,ro", "mode=700" } },
		{ "rootcontext=\"u:r:t:s0\" fscontext=\"a b\" defcontext=\"a:b\"",
		  { "rootcontext=u:r:t:s0", "fscontext=a,b", "defcontext=a:b" } },
		{ "context=u:r:t:s0 context=\"\"", { "context=u:r:t:s0", "context=" } },
		/* nothing else is in quotes */
		{ "name=\"a b\"", { "name=\"a", "b\"" } },
		/* several in one string; what is no option belongs to the value */
		{ "size=64k,mode=755 nr_inodes=9", { "size=64k", "mode=755", "nr_inodes=9" } },
		{ "lowerdir=/a,b:/c\\,x=d,upperdir=/e",
		  { "lowerdir=/a,b:/c\\,x=d", "upperdir=/e" } },
		{ "lowerdir=/l,a=b:/m,workdir=/w", { "lowerdir=/l,a=b:/m", "workdir=/w" } },
		{ "size=1m,", { "size=1m," } },
		{ "sub=context=\"a b\"", { "sub=context=\"a", "b\"" } },
	};
	static const char *const open[] = {
		"size=1m context=\"",
		"size=1m context=\"u:r:t:s0:c1 c2",
		"size=1m fscontext=\"u:r:t:s0:c1 c2\"x ro",
	};

	(void)state;
	in = (struct mount_plan_in){ .context = "context=u:r:t:s0:c7,c8" };
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		size_t n = 0;

		assert_int_equal(build("/x", "tmpfs", "tmpfs", t[i].options), 0);
		for (; n < 3 && t[i].data[n]; n++)
			assert_string_equal(plan.v[0].data.v[n], t[i].data[n]);
		/* the container's own label where the mount says none */
		assert_int_equal(plan.v[0].data.n, i < 4 ? n : n + 1);
		assert_false(plan.v[0].late_ro);
	}
	for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
		assert_int_equal(build("/x", "tmpfs", "tmpfs", open[i]), -EINVAL);
		assert_non_null(strstr(err.msg, "mounts[0].options[1]: "));
		assert_non_null(strstr(err.msg, "quote"));
	}
	in.context = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_clean, teardown),
		cmocka_unit_test_teardown(test_fs, teardown),
		cmocka_unit_test_teardown(test_bind, teardown),
		cmocka_unit_test_teardown(test_idmap_options, teardown),
		cmocka_unit_test_teardown(test_context, teardown),
		cmocka_unit_test_teardown(test_quoted_context, teardown),
		cmocka_unit_test_teardown(test_refused, teardown),
		cmocka_unit_test_teardown(test_every_option, teardown),
		cmocka_unit_test_teardown(test_cgroup_v2, teardown),
		cmocka_unit_test_teardown(test_cgroup_v1, teardown),
		cmocka_unit_test_teardown(test_many, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
