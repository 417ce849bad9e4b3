/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile written before a system call existed cannot name it, so the default action answers it
 * with EPERM or kills, and a C library that would fall back on ENOSYS to the older call fails
 * instead. As runc does: numbers above the highest one that the profile names for an architecture
 * get ENOSYS, unless the default action lets calls pass, or (TRACE) leaves them to a tracer.
 */
#include "runtime/seccomp_rules.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/names.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#define X32_BIT 0x40000000U
#define STUB_ARCHS 24
#define STUB_MAX (8 * STUB_ARCHS)

/* The highest number of a call of the profile on that architecture, or -1. */
static int last_syscall(const struct spec_seccomp *s, uint32_t arch)
{
	int last = -1;

	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct spec_strings *names = &s->syscalls.v[i].names;

		for (size_t k = 0; k < names->n; k++) {
			int nr = seccomp_syscall_resolve_name_arch(arch, names->v[k]);

			/*
			 * negative: not on this architecture, or one of a multiplexed call's parts
			 */
			if (nr > last)
				last = nr;
		}
	}
	return last;
}

struct stub {
	struct sock_filter code[STUB_MAX];
	size_t n;
};

static void emit(struct stub *b, uint16_t op, uint8_t jt, uint8_t jf, uint32_t k)
{
	b->code[b->n++] = (struct sock_filter){ op, jt, jf, k };
}

/*
 * if (arch == token) { if (from <= nr && nr < to && nr > last) return ENOSYS; }: the accumulator
 * holds the architecture before and after.
 */
static void emit_arch(struct stub *b, uint32_t token, uint32_t from, uint32_t to, uint32_t last)
{
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, 6, token);
	emit(b, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	emit(b, BPF_JMP | BPF_JGE | BPF_K, 0, 3, from);
	emit(b, BPF_JMP | BPF_JGT | BPF_K, 2, 0, to);
	emit(b, BPF_JMP | BPF_JGT | BPF_K, 0, 1, last);
	emit(b, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
	emit(b, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
}

/* x86-64 and x32 share the audit architecture and are told apart by a bit of the number. */
static void stub_for(struct stub *b, const struct spec_seccomp *s, uint32_t token)
{
	int last = last_syscall(s, token);

	if (last < 0 || b->n + 8 > STUB_MAX)
		return;
	if (token == SCMP_ARCH_X32)
		emit_arch(b, SCMP_ARCH_X86_64, X32_BIT, 2 * X32_BIT - 1, (uint32_t)last);
	else if (token == SCMP_ARCH_X86_64)
		emit_arch(b, token, 0, X32_BIT - 1, (uint32_t)last);
	else
		emit_arch(b, token, 0, UINT32_MAX, (uint32_t)last);
}

int seccomp_enosys_stub(const struct spec_seccomp *s, struct seccomp_prog *p)
{
	uint32_t native = seccomp_arch_native(), done[STUB_ARCHS];
	size_t n_done = 0;
	struct stub b = {};
	struct sock_filter *grown;

	if (s->default_action == ACT_ALLOW || s->default_action == ACT_LOG ||
	    s->default_action == ACT_TRACE ||
	    (s->default_action == ACT_ERRNO && s->default_errno_ret.set &&
	     s->default_errno_ret.v == ENOSYS))
		return 0;
	emit(&b, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	stub_for(&b, s, native);
	done[n_done++] = native;
	for (size_t i = 0; i < s->architectures.n; i++) {
		uint32_t token = seccomp_rules_arch(s->architectures.v[i]);
		bool again = !token || n_done == STUB_ARCHS;

		for (size_t k = 0; k < n_done && !again; k++)
			again = done[k] == token;
		if (again)
			continue;
		stub_for(&b, s, token);
		done[n_done++] = token;
	}
	if (b.n == 1)
		return 0;
	grown = realloc(p->insns, (p->n + b.n) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memmove(grown + b.n, grown, p->n * sizeof(*grown));
	memcpy(grown, b.code, b.n * sizeof(*grown));
	p->insns = grown;
	p->n += b.n;
	return 0;
}
