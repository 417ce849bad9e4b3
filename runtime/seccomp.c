/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "oci/names.h"
#include "runtime/seccomp_cache.h"
#include "runtime/seccomp_rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/*
 * libseccomp up to 2.5.4 makes a wrong program of a binary tree over few rules, and a short list
 * needs no tree.
 */
#define TREE_MIN_RULES 32

/* A flag that the kernel knows gets as far as reading the filter, which is not there. */
static bool kernel_has_flag(unsigned long flag)
{
	if (flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
		flag |= SECCOMP_FILTER_FLAG_NEW_LISTENER; /* means nothing alone */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}

unsigned int seccomp_flags_for(const struct spec_seccomp *s)
{
	if (s->flags.set)
		return (unsigned int)s->flags.v;
	return kernel_has_flag(SECCOMP_FILTER_FLAG_SPEC_ALLOW) ? SECCOMP_FILTER_FLAG_SPEC_ALLOW : 0;
}

static int check_flags(const struct spec_seccomp *s, struct err *e)
{
	uint64_t left = s->flags.set ? s->flags.v : 0;

	for (size_t i = 0; i < names_seccomp_flags.n; i++) {
		const struct name_value *row = &names_seccomp_flags.rows[i];

		if (!(left & (uint64_t)row->value))
			continue;
		left &= ~(uint64_t)row->value;
		if (!kernel_has_flag((unsigned long)row->value))
			return err_set(e, EOPNOTSUPP,
				       "linux.seccomp.flags: %s: not supported by this kernel",
				       row->name);
	}
	if (left)
		return err_set(e, EINVAL, "linux.seccomp.flags: unknown flag 0x%llx",
			       (unsigned long long)left);
	return 0;
}

static bool uses_notify(const struct spec_seccomp *s)
{
	for (size_t i = 0; i < s->syscalls.n; i++)
		if (s->syscalls.v[i].action == ACT_NOTIFY)
			return true;
	return false;
}

static void set_load_flags(const struct spec_seccomp *s, struct seccomp_prog *p)
{
	p->notify = uses_notify(s);
	p->flags = seccomp_flags_for(s);
	if (p->notify) {
		p->flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
		/*
		 * Both flags would share the return value; so the kernel wants another error for
		 * one.
		 */
		if (p->flags & SECCOMP_FILTER_FLAG_TSYNC)
			p->flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	} else {
		/*
		 * How to wait for an answer: without a listener there is none, and the kernel
		 * refuses it.
		 */
		p->flags &= ~(unsigned int)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	}
}

static int add_archs(scmp_filter_ctx ctx, const struct spec_seccomp *s, struct err *e)
{
	for (size_t i = 0; i < s->architectures.n; i++) {
		const char *name = s->architectures.v[i];
		uint32_t token = seccomp_rules_arch(name);
		int r;

		if (!token && !str_eq(name, "SCMP_ARCH_NATIVE"))
			return err_set(
				e, EOPNOTSUPP,
				"linux.seccomp.architectures[%zu]: %s: not known to libseccomp %s",
				i, name, seccomp_library_version());
		r = seccomp_arch_add(ctx, token);
		if (r == -EDOM)
			return err_set(e, EINVAL,
				       "linux.seccomp.architectures[%zu]: %s: other byte "
				       "order than this machine's",
				       i, name);
		if (r < 0 && r != -EEXIST)
			return err_sys(e, -r, "linux.seccomp.architectures[%zu]: %s", i, name);
	}
	return 0;
}

static size_t count_rules(const struct spec_seccomp *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->syscalls.n; i++)
		n += s->syscalls.v[i].action == s->default_action ? 0 : s->syscalls.v[i].names.n;
	return n;
}

/* A memfd, because libseccomp writes all at once and the length is not known before. */
static int export_program(scmp_filter_ctx ctx, struct seccomp_prog *p)
{
	AUTO_CLOSE int fd = memfd_create("bpf", MFD_CLOEXEC);
	char *bytes;
	size_t len;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = io_read_all(fd, (size_t)64 << 20, &bytes, &len);
	if (r < 0)
		return r;
	p->insns = (struct sock_filter *)bytes;
	p->n = len / sizeof(*p->insns);
	return 0;
}

static void cleanup_ctx(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

static int build(const struct spec_seccomp *s, struct seccomp_prog *p, struct err *e)
{
	uint32_t action;
	int r = seccomp_rules_default(s, &action, e);

	if (r < 0)
		return r;

	__attribute__((cleanup(cleanup_ctx))) scmp_filter_ctx ctx = seccomp_init(action);

	if (!ctx)
		return err_set(e, EINVAL, "linux.seccomp.defaultAction: %s: refused by libseccomp",
			       table_name(&names_seccomp_actions, s->default_action));
	r = add_archs(ctx, s, e);
	if (r < 0)
		return r;
	/* no_new_privs is the caller's decision, not the filter's. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0 && count_rules(s) > TREE_MIN_RULES)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r < 0)
		return err_sys(e, -r, "linux.seccomp: set up the filter");
	r = seccomp_rules_add(ctx, s, action, e);
	if (r < 0)
		return r;
	r = export_program(ctx, p);
	if (r == 0)
		r = seccomp_enosys_stub(s, p);
	if (r < 0)
		return err_sys(e, -r, "linux.seccomp: compile the filter");
	if (p->n > BPF_MAXINSNS)
		return err_set(e, E2BIG,
			       "linux.seccomp: the filter has %zu instructions, more than %d", p->n,
			       BPF_MAXINSNS);
	return 0;
}

static void cleanup_prog(struct seccomp_prog *p)
{
	seccomp_free(p);
}

int seccomp_compile(const struct spec_seccomp *s, int cache_fd, struct seccomp_prog *out,
		    struct err *e)
{
	__attribute__((cleanup(cleanup_prog))) struct seccomp_prog p = {};
	AUTO(str_buf_free) struct str_buf key = {};
	bool cached = cache_fd >= 0;
	int r = check_flags(s, e);

	if (r < 0)
		return r;
	if (cached && seccomp_cache_key(s, &key) < 0)
		cached = false;
	if (!cached || seccomp_cache_get(cache_fd, &key, &p) < 0) {
		r = build(s, &p, e);
		if (r < 0)
			return r;
		r = cached ? seccomp_cache_put(cache_fd, &key, &p) : 0;
		if (r < 0)
			log_debug("seccomp cache: %s", strerrordesc_np(-r));
	}
	set_load_flags(s, &p);
	*out = p;
	p.insns = NULL;
	return 0;
}

int seccomp_install(const struct seccomp_prog *p, int *listener)
{
	struct sock_fprog prog = { .len = (unsigned short)p->n, .filter = p->insns };
	long r;

	*listener = -1;
	if (!p->insns)
		return 0;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned long)p->flags, &prog);
	if (r < 0)
		return -errno;
	if (p->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		*listener = (int)r;
	else if (r > 0)
		return -ESRCH; /* TSYNC: the id of a thread that could not follow */
	return 0;
}

void seccomp_free(struct seccomp_prog *p)
{
	free(p->insns);
	*p = (struct seccomp_prog){};
}

const char *const *seccomp_archs(void)
{
	static const char *names[32];
	size_t n = 0;

	for (size_t i = 0; i < names_seccomp_archs.n && n + 1 < ARRAY_SIZE(names); i++)
		if (seccomp_rules_arch(names_seccomp_archs.rows[i].name))
			names[n++] = names_seccomp_archs.rows[i].name;
	names[n] = NULL;
	return names;
}

const char *const *seccomp_flags(void)
{
	static const char *names[16];
	size_t n = 0;

	for (size_t i = 0; i < names_seccomp_flags.n && n + 1 < ARRAY_SIZE(names); i++)
		if (kernel_has_flag((unsigned long)names_seccomp_flags.rows[i].value))
			names[n++] = names_seccomp_flags.rows[i].name;
	names[n] = NULL;
	return names;
}

const char *seccomp_library_version(void)
{
	static char text[48];
	const struct scmp_version *v;

	if (!*text) {
		v = seccomp_version();
		snprintf(text, sizeof(text), "%u.%u.%u", v->major, v->minor, v->micro);
	}
	return text;
}
