/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of the specification arrives where spec.h says. What is refused: test_bad_corpus.c.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "oci/names.h"
#include "oci/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

#define BIT(n) (UINT64_C(1) << (n))
#define SET(opt, value) assert_true((opt).set && (opt).v == (value))

static struct spec *everything; /* tests/data/good/everything.json */

static int load_everything(void **state)
{
	AUTO_FREE char *dir = str_printf("%s/good", getenv("CTR_TEST_DATA") ?: "tests/data");
	AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FREE char *text = NULL;
	struct err e = { 0 };
	size_t len = 0;

	(void)state;
	if (spec_load(fd, "everything.json", false, &everything, &text, &len, &e) < 0) {
		print_error("%s\n", e.msg);
		return -1;
	}
	return strlen(text) == len ? 0 : -1;
}

static int free_everything(void **state)
{
	(void)state;
	spec_free(everything);
	return 0;
}

static void is_strings(const struct spec_strings *l, const char *joined)
{
	char buf[256] = "";

	for (size_t i = 0; i < l->n; i++) {
		if (i)
			strcat(buf, "|");
		strcat(buf, l->v[i]);
	}
	assert_string_equal(buf, joined);
	assert_null(l->v[l->n]);
}

static void top_level(void **state)
{
	const struct spec *s = everything;

	(void)state;
	assert_string_equal(s->oci_version, "1.3.0-dev+x");
	assert_string_equal(s->root->path, "rootfs");
	assert_true(s->root->readonly);
	assert_string_equal(s->hostname, "h");
	assert_string_equal(s->domainname, "d.example");
	assert_true(s->has_linux);
	assert_int_equal(s->annotations.n, 2);
	assert_string_equal(s->annotations.v[1].key, "k.2");
	assert_string_equal(spec_annotation(s, "k1"), "v1");
	assert_string_equal(spec_annotation(s, "k.2"), "");
	assert_null(spec_annotation(s, "k3"));
}

static void process(void **state)
{
	const struct spec_process *p = everything->process;

	(void)state;
	assert_true(p->terminal);
	assert_true(p->console_size->height == 24 && p->console_size->width == 80);
	assert_true(p->user.uid == 1 && p->user.gid == 2);
	SET(p->user.umask, 18);
	assert_int_equal(p->user.additional_gids.n, 2);
	assert_true(p->user.additional_gids.v[0] == 3 && p->user.additional_gids.v[1] == 4);
	assert_string_equal(p->user.username, "u");
	is_strings(&p->args, "sh|-c|");
	is_strings(&p->env, "A=b|E=");
	assert_string_equal(p->cwd, "/w");
	assert_true(p->no_new_privileges);
	assert_string_equal(p->apparmor_profile, "prof");
	assert_string_equal(p->selinux_label, "label");
	SET(p->oom_score_adj, -1000);
	assert_true(p->io_priority->class == 1 && p->io_priority->priority == 7);
	assert_string_equal(p->exec_cpu_affinity->initial, "0-3, 7");
	assert_string_equal(p->exec_cpu_affinity->final, "1");
}

static void process_limits(void **state)
{
	const struct spec_process *p = everything->process;

	(void)state;
	SET(p->capabilities->bounding, BIT(CAP_CHOWN) | BIT(CAP_CHECKPOINT_RESTORE));
	SET(p->capabilities->effective, BIT(CAP_KILL));
	SET(p->capabilities->inheritable, 0);
	SET(p->capabilities->permitted, BIT(CAP_KILL) | BIT(CAP_CHOWN));
	assert_false(p->capabilities->ambient.set);
	assert_int_equal(p->rlimits.n, 2);
	assert_int_equal(p->rlimits.v[0].type, RLIMIT_NOFILE);
	assert_true(p->rlimits.v[0].soft == 1 && p->rlimits.v[0].hard == UINT64_MAX);
	assert_int_equal(p->rlimits.v[1].type, RLIMIT_CORE);
	assert_int_equal(p->scheduler->policy, SCHED_DEADLINE);
	assert_int_equal(p->scheduler->flags, SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_RECLAIM);
	assert_false(p->scheduler->nice.set);
	assert_false(p->scheduler->priority.set);
	SET(p->scheduler->runtime, 1);
	SET(p->scheduler->deadline, 2);
	SET(p->scheduler->period, 3);
}

static void mounts(void **state)
{
	const struct spec_mount *m = everything->mounts.v;

	(void)state;
	assert_int_equal(everything->mounts.n, 2);
	assert_string_equal(m->destination, "/a");
	assert_string_equal(m->type, "bind");
	assert_string_equal(m->source, "/src");
	is_strings(&m->options, "rbind|ro|x=y");
	assert_int_equal(m->uid_mappings.n, 1);
	assert_true(m->uid_mappings.v[0].container == 0 && m->uid_mappings.v[0].host == 5 &&
		    m->uid_mappings.v[0].size == 6);
	assert_true(m->gid_mappings.v[0].container == 1 && m->gid_mappings.v[0].host == 7 &&
		    m->gid_mappings.v[0].size == 8);
	assert_string_equal(m[1].destination, "relative");
	assert_null(m[1].type);
	assert_null(m[1].source);
	assert_int_equal(m[1].options.n, 0);
}

static void hooks(void **state)
{
	const struct spec_hook_list *k = everything->hooks.kind;

	(void)state;
	for (int i = 0; i < HOOK_KINDS; i++) {
		char path[] = { '/', 'h', (char)('0' + i), '\0' };

		assert_int_equal(k[i].n, i == HOOK_POSTSTOP ? 2 : 1);
		assert_string_equal(k[i].v[0].path, path);
	}
	is_strings(&k[HOOK_PRESTART].v[0].args, "h0|x");
	is_strings(&k[HOOK_PRESTART].v[0].env, "H=1");
	SET(k[HOOK_PRESTART].v[0].timeout, 5);
	assert_false(k[HOOK_POSTSTOP].v[1].timeout.set);
}

static void linux_namespaces(void **state)
{
	const struct spec_linux *l = &everything->linux_;

	(void)state;
	for (int i = 0; i < NS_KINDS; i++)
		assert_true(l->ns[i].wanted);
	assert_string_equal(l->ns[NS_NETWORK].path, "/n");
	assert_null(l->ns[NS_TIME].path);
	assert_int_equal(l->uid_mappings.n, 1);
	assert_int_equal(l->gid_mappings.n, 2);
	assert_true(l->gid_mappings.v[1].container == 10 && l->gid_mappings.v[1].host == 2010 &&
		    l->gid_mappings.v[1].size == 1);
	assert_true(l->monotonic.set && l->monotonic.secs == -5 &&
		    l->monotonic.nanosecs == 999999999);
	assert_true(l->boottime.set && l->boottime.secs == 0);
}

static void linux_devices(void **state)
{
	const struct spec_device *d = everything->linux_.devices.v;
	const struct spec_net_device *n = everything->linux_.net_devices.v;

	(void)state;
	assert_int_equal(everything->linux_.devices.n, 3);
	assert_string_equal(d[0].path, "/dev/a");
	assert_true(d[0].type == 'c' && d[0].major == 1 && d[0].minor == 3);
	SET(d[0].file_mode, 0666);
	SET(d[0].uid, 5);
	SET(d[0].gid, 6);
	assert_true(d[1].type == 'b' && d[1].major == 8 && d[1].minor == 0);
	SET(d[1].file_mode, 0660); /* the type bits were those of a block device */
	assert_false(d[1].uid.set || d[1].gid.set);
	assert_true(d[2].type == 'p' && !d[2].file_mode.set);
	assert_int_equal(everything->linux_.net_devices.n, 2);
	assert_string_equal(n[0].host_name, "eth0");
	assert_string_equal(n[0].name, "c%d");
	assert_string_equal(n[1].host_name, "eth1");
	assert_null(n[1].name);
}

static void linux_rest(void **state)
{
	const struct spec_linux *l = &everything->linux_;

	(void)state;
	assert_string_equal(l->cgroups_path, "/cg");
	assert_string_equal(l->intel_rdt->clos_id, "c");
	is_strings(&l->intel_rdt->schemata, "L3:0=f|MB:0=20");
	assert_string_equal(l->intel_rdt->l3_cache_schema, "L3:0=3");
	assert_string_equal(l->intel_rdt->mem_bw_schema, "MB:0=50");
	assert_true(l->intel_rdt->enable_monitoring);
	assert_int_equal(l->memory_policy->mode, 3);
	assert_string_equal(l->memory_policy->nodes, "0-1");
	assert_int_equal(l->memory_policy->flags, 1 << 15);
	assert_int_equal(l->sysctl.n, 2);
	assert_string_equal(l->sysctl.v[0].key, "net.ipv4.ip_forward");
	assert_string_equal(l->sysctl.v[1].value, "2");
	assert_int_equal(l->rootfs_propagation, MS_SLAVE | MS_REC);
	is_strings(&l->masked_paths, "/m");
	is_strings(&l->readonly_paths, "/r1|/r2");
	assert_string_equal(l->mount_label, "ml");
	assert_int_equal(l->personality->domain, 8);
	assert_int_equal(l->personality->flags.n, 0);
}

static void resources(void **state)
{
	const struct spec_resources *r = everything->linux_.resources;

	(void)state;
	assert_int_equal(r->devices.n, 2);
	assert_true(!r->devices.v[0].allow && r->devices.v[0].type == 'a' &&
		    !r->devices.v[0].access);
	assert_true(r->devices.v[1].allow && r->devices.v[1].type == 'c');
	SET(r->devices.v[1].major, 10);
	assert_false(r->devices.v[1].minor.set); /* -1: any */
	assert_string_equal(r->devices.v[1].access, "rw");
	SET(r->pids_limit, 9);
	assert_string_equal(r->hugepage_limits.v[0].page_size, "2MB");
	assert_int_equal(r->hugepage_limits.v[0].limit, 11);
	SET(r->network->class_id, 12);
	assert_string_equal(r->network->priorities.v[0].name, "eth0");
	assert_int_equal(r->network->priorities.v[0].priority, 13);
	assert_int_equal(r->rdma.n, 2);
	assert_string_equal(r->rdma.v[0].device, "mlx5_1");
	SET(r->rdma.v[0].handles, 14);
	assert_false(r->rdma.v[0].objects.set);
	SET(r->rdma.v[1].objects, 15);
	assert_int_equal(r->unified.n, 2);
	assert_string_equal(r->unified.v[0].key, "memory.high");
	assert_string_equal(r->unified.v[1].value, "");
}

static void resources_memory_cpu(void **state)
{
	const struct spec_memory *m = everything->linux_.resources->memory;
	const struct spec_cpu *c = everything->linux_.resources->cpu;

	(void)state;
	SET(m->limit, 1);
	SET(m->reservation, 2);
	SET(m->swap, -1);
	SET(m->kernel, 4);
	SET(m->kernel_tcp, 5);
	SET(m->swappiness, 60);
	SET(m->disable_oom_killer, true);
	SET(m->use_hierarchy, false);
	SET(m->check_before_update, true);
	SET(c->shares, 1);
	SET(c->quota, -1);
	SET(c->burst, 3);
	SET(c->period, 4);
	SET(c->realtime_runtime, 5);
	SET(c->realtime_period, 6);
	SET(c->idle, 1);
	assert_string_equal(c->cpus, "0-1");
	assert_string_equal(c->mems, "0");
}

static void throttle(const struct spec_throttle_devices *l, int64_t minor, uint64_t rate)
{
	assert_int_equal(l->n, 1);
	assert_true(l->v[0].major == 8 && l->v[0].minor == minor && l->v[0].rate == rate);
}

static void resources_block_io(void **state)
{
	const struct spec_block_io *b = everything->linux_.resources->block_io;

	(void)state;
	SET(b->weight, 10);
	SET(b->leaf_weight, 1000);
	assert_int_equal(b->weight_device.n, 1);
	assert_true(b->weight_device.v[0].major == 8 && b->weight_device.v[0].minor == 1);
	SET(b->weight_device.v[0].weight, 20);
	SET(b->weight_device.v[0].leaf_weight, 30);
	throttle(&b->throttle_read_bps, 2, 1);
	throttle(&b->throttle_write_bps, 3, 2);
	throttle(&b->throttle_read_iops, 4, 3);
	throttle(&b->throttle_write_iops, 5, 4);
}

static void seccomp(void **state)
{
	const struct spec_seccomp *s = everything->linux_.seccomp;
	const struct spec_syscall *c = s->syscalls.v;

	(void)state;
	assert_int_equal(s->default_action, ACT_ERRNO);
	SET(s->default_errno_ret, 38);
	is_strings(&s->architectures, "SCMP_ARCH_X86_64|SCMP_ARCH_NATIVE");
	SET(s->flags, 3);
	assert_string_equal(s->listener_path, "/l");
	assert_string_equal(s->listener_metadata, "m");
	assert_int_equal(s->syscalls.n, 3);
	is_strings(&c[0].names, "read|write");
	assert_true(c[0].action == ACT_ALLOW && !c[0].errno_ret.set && !c[0].args.n);
	assert_int_equal(c[1].action, ACT_NOTIFY);
	assert_int_equal(c[1].args.n, 1);
	assert_true(c[1].args.v[0].index == 5 && c[1].args.v[0].value == UINT64_MAX &&
		    c[1].args.v[0].value_two == 2 && c[1].args.v[0].op == OP_MASKED_EQ);
	assert_int_equal(c[2].action, ACT_TRACE);
	SET(c[2].errno_ret, 65535);
}

static void vm(void **state)
{
	const struct spec_vm *v = everything->vm;

	(void)state;
	assert_string_equal(v->hypervisor_path, "/hyp");
	is_strings(&v->hypervisor_parameters, "p1");
	assert_string_equal(v->kernel_path, "/k");
	is_strings(&v->kernel_parameters, "k1|k2");
	assert_string_equal(v->initrd, "/i");
	assert_string_equal(v->image_path, "/img");
	assert_string_equal(v->image_format, "qcow2");
	assert_string_equal(v->device_tree, "/dt");
	SET(v->vcpus, 2);
	SET(v->memory, 1024);
	is_strings(&v->dtdevs, "x");
	assert_int_equal(v->iomems.n, 2);
	SET(v->iomems.v[0].first_gfn, 1);
	assert_true(v->iomems.v[0].first_mfn == 2 && v->iomems.v[0].nr_mfns == 3);
	assert_false(v->iomems.v[1].first_gfn.set);
	assert_true(v->irqs.n == 2 && v->irqs.v[0] == 6 && v->irqs.v[1] == 7);
}

static void console_size_is_dropped(void **state)
{
	static const char text[] =
		"{\"cwd\": \"/\", \"args\": [\"a\"], \"consoleSize\": {\"height\": 1, \"width\": 2}}";
	AUTO_SPEC struct spec *s = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(spec_parse_process(text, strlen(text), &s, &e), 0);
	assert_null(s->process->console_size);
}

static void parts_alone(void **state)
{
	static const char process_text[] = "{\"cwd\": \"/\", \"args\": [\"a\"]}";
	static const char resources_text[] =
		"{\"pids\": {\"limit\": 5}, \"memory\": {\"limit\": -1}}";
	AUTO_SPEC struct spec *p = NULL;
	AUTO_SPEC struct spec *r = NULL;
	struct spec *none = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(spec_parse_process(process_text, strlen(process_text), &p, &e), 0);
	assert_string_equal(p->process->args.v[0], "a");
	assert_int_equal(spec_parse_process("{\"cwd\": \"/\"}", 12, &none, &e), -EINVAL);
	assert_string_equal(e.msg, "process: args: must name a program");
	assert_int_equal(spec_parse_process("{\"cwd\": 1}", 10, &none, &e), -EINVAL);
	assert_string_equal(e.msg, "process: cwd: must be a string, not a number");

	assert_int_equal(spec_parse_resources(resources_text, strlen(resources_text), &r, &e), 0);
	SET(r->linux_.resources->pids_limit, 5);
	SET(r->linux_.resources->memory->limit, -1);
	assert_int_equal(spec_parse_resources("{\"pids\": 1}", 11, &none, &e), -EINVAL);
	assert_string_equal(e.msg, "resources: pids: must be an object, not a number");
	assert_null(none);
}

static void load_errors(void **state)
{
	char dir[] = "/tmp/test_spec.XXXXXX";
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *big = NULL;
	struct spec *s = NULL;
	struct err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(spec_load(fd, "config.json", false, &s, NULL, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "read config.json: No such file or directory");
	assert_int_equal(mkdirat(fd, "config.json", 0700), 0);
	assert_int_equal(spec_load(fd, "config.json", false, &s, NULL, NULL, &e), -EISDIR);
	assert_int_equal(unlinkat(fd, "config.json", AT_REMOVEDIR), 0);
	assert_int_equal(io_write_atomic(fd, "c.json", "{]", 2, 0600), 0);
	assert_int_equal(spec_load(fd, "c.json", false, &s, NULL, NULL, &e), -EINVAL);
	assert_non_null(str_after(e.msg, "c.json:1:2: "));
	big = calloc(1, SPEC_MAX_BYTES + 1);
	memset(big, ' ', SPEC_MAX_BYTES + 1);
	assert_int_equal(io_write_atomic(fd, "c.json", big, SPEC_MAX_BYTES + 1, 0600), 0);
	assert_int_equal(spec_load(fd, "c.json", false, &s, NULL, NULL, &e), -EFBIG);
	assert_string_equal(e.msg, "c.json: larger than 16777216 bytes");
	assert_int_equal(spec_parse(big, SPEC_MAX_BYTES + 1, &s, &e), -EFBIG);
	assert_int_equal(unlinkat(fd, "c.json", 0), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_null(s);
	spec_free(NULL);
}

static void long_values_leave_room_for_the_reason(void **state)
{
	char *text = malloc(100000);
	struct spec *s = NULL;
	struct err e = { 0 };
	int n = sprintf(text,
			"{\"ociVersion\": \"1.2.0\", \"linux\": {\"namespaces\": [{\"type\": \"");

	(void)state;
	memset(text + n, 'x', 60000);
	strcpy(text + n + 60000, "\"}]}}");
	assert_int_equal(spec_parse(text, strlen(text), &s, &e), -EINVAL);
	assert_non_null(
		str_after(e.msg, "config.json: linux.namespaces[0].type: unknown namespace \"xxx"));
	assert_true(strlen(e.msg) < 200);
	free(text);
}

static void default_text(void **state)
{
	(void)state;
	for (int rootless = 0; rootless < 2; rootless++) {
		AUTO_SPEC struct spec *s = NULL;
		AUTO_FREE char *text = NULL;
		struct err e = { 0 };

		assert_int_equal(spec_default_text(rootless, 1234, 5678, &text, &e), 0);
		assert_true(str_ends(text, "}\n"));
		assert_int_equal(spec_parse(text, strlen(text), &s, &e), 0);
		is_strings(&s->process->args, "sh");
		assert_true(s->process->terminal && s->process->no_new_privileges &&
			    s->root->readonly);
		assert_string_equal(s->root->path, "rootfs");
		assert_true(s->linux_.ns[NS_PID].wanted && s->linux_.ns[NS_MOUNT].wanted);
		assert_int_equal(s->linux_.ns[NS_NETWORK].wanted, !rootless);
		assert_int_equal(s->linux_.ns[NS_USER].wanted, rootless);
		assert_int_equal(s->linux_.resources != NULL, !rootless);
		assert_int_equal(s->mounts.n, rootless ? 6 : 7);
		assert_int_equal(strstr(text, "\"gid=5\"") != NULL, !rootless);
		if (rootless) {
			assert_int_equal(s->linux_.uid_mappings.v[0].host, 1234);
			assert_int_equal(s->linux_.gid_mappings.v[0].host, 5678);
			assert_string_equal(s->mounts.v[5].source, "/sys");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(top_level),
		cmocka_unit_test(process),
		cmocka_unit_test(process_limits),
		cmocka_unit_test(mounts),
		cmocka_unit_test(hooks),
		cmocka_unit_test(linux_namespaces),
		cmocka_unit_test(linux_devices),
		cmocka_unit_test(linux_rest),
		cmocka_unit_test(resources),
		cmocka_unit_test(resources_memory_cpu),
		cmocka_unit_test(resources_block_io),
		cmocka_unit_test(seccomp),
		cmocka_unit_test(vm),
		cmocka_unit_test(console_size_is_dropped),
		cmocka_unit_test(parts_alone),
		cmocka_unit_test(load_errors),
		cmocka_unit_test(long_values_leave_room_for_the_reason),
		cmocka_unit_test(default_text),
	};

	return cmocka_run_group_tests(tests, load_everything, free_everything);
}
