/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules as a BPF program for cgroup v2. The rules are tried last to first; a register holds
 * the accesses that no rule has decided yet. An allowing rule takes its accesses out of it and the
 * program says yes when none is left; a denying rule that meets an undecided one says no.
 */
#include "cgroups/cg_device.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define ACC_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define MAX_PER_RULE 8
#define MAX_ATTACHED 64

enum { R_RESULT = BPF_REG_0, R_CTX, R_TYPE, R_ACCESS, R_MAJOR, R_MINOR };

struct code {
	struct bpf_insn *v;
	size_t n;
};

static void emit(struct code *c, uint8_t op, int dst, int src, int16_t off, int32_t imm)
{
	c->v[c->n++] = (struct bpf_insn){
		.code = op,
		.dst_reg = (uint8_t)dst & 15,
		.src_reg = (uint8_t)src & 15,
		.off = off,
		.imm = imm,
	};
}

static void load(struct code *c, int reg, size_t off)
{
	emit(c, BPF_LDX | BPF_MEM | BPF_W, reg, R_CTX, (int16_t)off, 0);
}

static void ret(struct code *c, bool allow)
{
	emit(c, BPF_ALU64 | BPF_MOV | BPF_K, R_RESULT, 0, 0, allow);
	emit(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void prologue(struct code *c)
{
	load(c, R_TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	emit(c, BPF_ALU64 | BPF_MOV | BPF_X, R_ACCESS, R_TYPE, 0, 0);
	emit(c, BPF_ALU64 | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
	emit(c, BPF_ALU64 | BPF_RSH | BPF_K, R_ACCESS, 0, 0, 16);
	load(c, R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	load(c, R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
}

static void rule(struct code *c, const struct cg_dev *d)
{
	size_t to_next[4], n = 0;

	to_next[n++] = c->n;
	emit(c, BPF_JMP | BPF_JNE | BPF_K, R_TYPE, 0, 0,
	     d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (d->major != CG_DEV_ANY) {
		to_next[n++] = c->n;
		emit(c, BPF_JMP | BPF_JNE | BPF_K, R_MAJOR, 0, 0, (int32_t)d->major);
	}
	if (d->minor != CG_DEV_ANY) {
		to_next[n++] = c->n;
		emit(c, BPF_JMP | BPF_JNE | BPF_K, R_MINOR, 0, 0, (int32_t)d->minor);
	}
	if (d->access != ACC_ALL && d->allow) {
		emit(c, BPF_ALU64 | BPF_AND | BPF_K, R_ACCESS, 0, 0,
		     (int32_t)(ACC_ALL & ~d->access));
		to_next[n++] = c->n;
		emit(c, BPF_JMP | BPF_JNE | BPF_K, R_ACCESS, 0, 0, 0);
	} else if (d->access != ACC_ALL) {
		emit(c, BPF_ALU64 | BPF_MOV | BPF_X, R_RESULT, R_ACCESS, 0, 0);
		emit(c, BPF_ALU64 | BPF_AND | BPF_K, R_RESULT, 0, 0, (int32_t)d->access);
		to_next[n++] = c->n;
		emit(c, BPF_JMP | BPF_JEQ | BPF_K, R_RESULT, 0, 0, 0);
	}
	ret(c, d->allow);
	for (size_t i = 0; i < n; i++)
		c->v[to_next[i]].off = (int16_t)(c->n - to_next[i] - 1);
}

int cg_device_program(const struct cg_devs *rules, struct bpf_insn **out, size_t *n)
{
	struct code c = { 0 };

	c.v = calloc(rules->n * MAX_PER_RULE + MAX_PER_RULE, sizeof(*c.v));
	if (!c.v)
		return -ENOMEM;
	prologue(&c);
	for (size_t i = rules->n; i > 0; i--)
		rule(&c, &rules->v[i - 1]);
	ret(&c, rules->allow_default);
	*out = c.v;
	*n = c.n;
	return 0;
}

/* ---- the kernel's side ---- */

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int prog_load(const struct bpf_insn *insns, size_t n)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

/* Kernels before 5.11 charge programs to RLIMIT_MEMLOCK, which is small by default. */
static int prog_load_locked(const struct bpf_insn *insns, size_t n)
{
	const struct rlimit inf = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };
	struct rlimit old;
	int r = prog_load(insns, n);

	if (r != -EPERM || getrlimit(RLIMIT_MEMLOCK, &old) < 0 ||
	    setrlimit(RLIMIT_MEMLOCK, &inf) < 0)
		return r;
	r = prog_load(insns, n);
	setrlimit(RLIMIT_MEMLOCK, &old);
	return r;
}

static int prog_attach(int cgroup_fd, int prog_fd, int replace_fd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (replace_fd >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)replace_fd;
	}
	return sys_bpf(BPF_PROG_ATTACH, &attr);
}

static int prog_detach(int cgroup_fd, int prog_fd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	return sys_bpf(BPF_PROG_DETACH, &attr);
}

static int prog_query(int cgroup_fd, uint32_t *ids, size_t *n)
{
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = MAX_ATTACHED;
	r = sys_bpf(BPF_PROG_QUERY, &attr);
	*n = r < 0 ? 0 : attr.query.prog_cnt;
	return r;
}

static int prog_by_id(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

/* Detaches the n programs. One that has gone by itself is fine. */
static int detach_ids(int cgroup_fd, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		AUTO_CLOSE int fd = prog_by_id(ids[i]);
		int r = fd < 0 ? fd : prog_detach(cgroup_fd, fd);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/*
 * One old program is replaced in one step. Otherwise the new one is added first: for a moment both
 * must agree, which is stricter, never laxer, than either.
 */
int cg_device_attach(int cgroup_fd, const struct bpf_insn *insns, size_t n)
{
	AUTO_CLOSE int prog = prog_load_locked(insns, n);
	uint32_t ids[MAX_ATTACHED];
	size_t old;
	int r;

	if (prog < 0)
		return prog;
	r = prog_query(cgroup_fd, ids, &old);
	if (r < 0)
		return r;
	if (old == 1) {
		AUTO_CLOSE int fd = prog_by_id(ids[0]);

		if (fd >= 0 && prog_attach(cgroup_fd, prog, fd) == 0)
			return 0;
	}
	r = prog_attach(cgroup_fd, prog, -1);
	return r < 0 ? r : detach_ids(cgroup_fd, ids, old);
}

int cg_device_detach(int cgroup_fd)
{
	uint32_t ids[MAX_ATTACHED];
	size_t n;
	int r = prog_query(cgroup_fd, ids, &n);

	return r < 0 ? r : detach_ids(cgroup_fd, ids, n);
}
