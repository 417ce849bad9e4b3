/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>

#include "namespaces/mount_plan.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"
#include "oci/names.h"

#include <errno.h>
#include <string.h>

/* What may be mounted over inside /proc though it is not a procfs: the files that lxcfs serves. */
static const char *const proc_files[] = {
	"cpuinfo",
	"diskstats",
	"meminfo",
	"stat",
	"swaps",
	"uptime",
	"loadavg",
	"slabinfo",
	"sys/kernel/ns_last_pid",
	"sys/crypto/fips_enabled",
	"net/dev",
};

/* The options of one mount while they are read. */
struct parse {
	const struct spec_mount *m;
	size_t index;
	bool bind, remount;
	const struct mount_option *
		*sb; /* SB_SET and SB_CLEAR rows that hold, the last of a kind wins */
	size_t n_sb;
};

char *mount_plan_clean(struct arena *a, const char *path)
{
	char *out = arena_alloc(a, strlen(path) + 2);
	size_t len = 0;

	if (!out)
		return NULL;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (len && out[--len] != '/')
				;
		} else if (n && !(n == 1 && path[0] == '.')) {
			out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n;
		path += strspn(path, "/");
	}
	if (!len)
		out[len++] = '/';
	out[len] = '\0';
	return out;
}

struct mount_op *mount_plan_add(struct arena *a, struct mount_plan *p, size_t index)
{
	/* Arrays of an arena do not grow in place: double at the powers of two. */
	if ((p->n & (p->n - 1)) == 0) {
		struct mount_op *v = arena_array(a, p->n ? 2 * p->n : 1, sizeof(*v));

		if (!v)
			return NULL;
		if (p->n)
			memcpy(v, p->v, p->n * sizeof(*v));
		p->v = v;
	}
	p->v[p->n].index = index;
	return &p->v[p->n++];
}

static int bad_option(const struct parse *p, size_t j, const char *why, struct err *e)
{
	return err_set(e, EINVAL, "mounts[%zu].options[%zu]: \"%s\": %s", p->index, j,
		       p->m->options.v[j], why);
}

static void apply_attr(uint64_t *set, uint64_t *clr, const struct mount_option *o)
{
	/* The kernel clears before it sets, so a bit in both is set: only `set` must forget. */
	*set = (*set & ~o->attr_clr) | o->attr_set;
	*clr |= o->attr_clr;
}

static void apply_sb(struct parse *p, const struct mount_option *o)
{
	for (size_t i = 0; i < p->n_sb; i++)
		if (p->sb[i]->value == o->value) {
			p->sb[i] = o;
			return;
		}
	p->sb[p->n_sb++] = o;
}

/* The value of a label in quotes, at the opening one; NULL for any other option. */
static const char *quoted_label(const char *text)
{
	static const char *const keys[] = { "context=", "fscontext=", "defcontext=",
					    "rootcontext=" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = str_after(text, keys[i]);

		if (value)
			return *value == '"' ? value : NULL;
	}
	return NULL;
}

static bool ends_quote(const char *s)
{
	size_t n = strlen(s);

	return n && s[n - 1] == '"';
}

/*
 * Podman and Buildah put a label into quotes, as mount(2) needs it for the commas in it, and then
 * split the options at every comma. The label is made whole again and loses the quotes, which the
 * kernel does not take away from an option by itself. *j is at its last part afterwards.
 */
static int join_label(struct arena *a, const struct parse *p, size_t *j, struct mount_op *op,
		      struct err *e)
{
	const struct spec_strings *l = &p->m->options;
	const char *value = quoted_label(l->v[*j]) + 1;
	size_t first = *j, size = strlen(l->v[first]) + 1;
	char *text, *at;

	for (const char *s = value; !ends_quote(s); s = l->v[*j], size += strlen(s) + 1)
		if (++*j == l->n)
			return bad_option(p, first, "its quote is not closed", e);
	text = arena_alloc(a, size);
	if (!text)
		return err_sys(e, ENOMEM, "mounts[%zu]", p->index);
	at = mempcpy(text, l->v[first], (size_t)(value - l->v[first]) - 1);
	at = stpcpy(at, value);
	for (size_t i = first + 1; i <= *j; i++) {
		*at++ = ',';
		at = stpcpy(at, l->v[i]);
	}
	at[-1] = '\0';
	op->data.v[op->data.n++] = text;
	return 0;
}

/* A path may hold anything, so behind one of an overlay only its other options are that. */
static bool has_path(const char *option)
{
	return str_after(option, "lowerdir=") || str_after(option, "upperdir=") ||
	       str_after(option, "workdir=");
}

/* Whether "key=" is there; behind: the option in front of it. */
static bool begins_option(const char *s, const char *behind)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz_");

	return n && s[n] == '=' && (!has_path(behind) || has_path(s));
}

/*
 * Several in one string, as mount(8) takes them: mount(2) splits it at the commas, the kernel's new
 * calls do not. A comma that no option follows belongs to the value (of a path, of a label).
 */
static int put_data(struct arena *a, struct mount_op *op, const char *text)
{
	for (const char *s = text;; s++) {
		s = strchrnul(s, ',');
		if (*s && !(s > text && s[-1] != '\\' && begins_option(s + 1, text)))
			continue;
		op->data.v[op->data.n] = arena_strndup(a, text, (size_t)(s - text));
		if (!op->data.v[op->data.n++])
			return -ENOMEM;
		if (!*s)
			return 0;
		text = s + 1;
	}
}

/* No more than so many strings come out of the options. */
static size_t data_max(const struct spec_strings *options)
{
	size_t n = options->n;

	for (size_t i = 0; i < options->n; i++)
		for (const char *s = options->v[i]; (s = strchr(s, ',')); s++)
			n++;
	return n;
}

static int parse_option(struct arena *a, struct parse *p, size_t j, struct mount_op *op,
			struct err *e)
{
	const char *text = p->m->options.v[j];
	const struct mount_option *o = names_mount_option(text);

	if (!o)
		return put_data(a, op, text) < 0 ? err_sys(e, ENOMEM, "mounts[%zu]", p->index) : 0;
	switch (o->kind) {
	case MOPT_SB_SET:
	case MOPT_SB_CLEAR:
		apply_sb(p, o);
		return 0;
	case MOPT_ATTR:
		apply_attr(&op->attr_set, &op->attr_clr, o);
		return 0;
	case MOPT_ATTR_REC:
		apply_attr(&op->rec_attr_set, &op->rec_attr_clr, o);
		return 0;
	case MOPT_PROPAGATION:
		if (op->n_propagation == ARRAY_SIZE(op->propagation))
			return bad_option(p, j, "too many propagation options", e);
		op->propagation[op->n_propagation++] = o->value;
		return 0;
	case MOPT_BIND:
		p->bind = true;
		op->recursive |= (o->value & MS_REC) != 0;
		return 0;
	case MOPT_REMOUNT:
		p->remount = true;
		return 0;
	case MOPT_IDMAP:
		op->idmap = true;
		op->ridmap |= o->value == 1;
		return 0;
	case MOPT_TMPCOPYUP:
		op->copy_up = true;
		return 0;
	case MOPT_LINKS:
		op->links |= (unsigned int)o->value;
		return 0;
	case MOPT_IGNORED:
		return 0;
	}
	return bad_option(p, j, "unknown kind of option", e);
}

/* The super block options that hold, as fsconfig flags or as what only mount(2) takes. */
static int place_sb(struct arena *a, const struct parse *p, struct mount_op *op, struct err *e)
{
	/* One more for the "ro" of a disk. */
	op->sb_set.v = arena_array(a, p->n_sb + 2, sizeof(char *));
	op->sb_clear.v = arena_array(a, p->n_sb + 2, sizeof(char *));
	if (!op->sb_set.v || !op->sb_clear.v)
		return err_sys(e, ENOMEM, "mounts[%zu]", p->index);
	for (size_t i = 0; i < p->n_sb; i++) {
		const struct mount_option *o = p->sb[i];

		/* How loud the kernel's log is has no effect on the mount. */
		if (o->value == MS_SILENT)
			continue;
		if (o->kind == MOPT_SB_CLEAR) {
			if (op->kind == MOUNT_OP_REMOUNT && o->flag)
				op->sb_clear.v[op->sb_clear.n++] = (char *)o->flag;
			continue;
		}
		if (op->kind == MOUNT_OP_BIND)
			return err_set(
				e, EINVAL,
				"mounts[%zu].options: \"%s\": a bind cannot change the file system's own options",
				p->index, o->name);
		if (!o->flag) {
			op->ms_flags |= o->value;
			continue;
		}
		op->sb_set.v[op->sb_set.n++] = (char *)o->flag;
	}
	return 0;
}

static int check_idmap(const struct parse *p, const struct mount_plan_in *in, struct mount_op *op,
		       struct err *e)
{
	const struct spec_mount *m = p->m;

	if (m->uid_mappings.n || m->gid_mappings.n) {
		if (!m->uid_mappings.n || !m->gid_mappings.n)
			return err_set(
				e, EINVAL,
				"mounts[%zu]: uidMappings and gidMappings must be given together",
				p->index);
		op->idmap = true;
		op->uid_mappings = &m->uid_mappings;
		op->gid_mappings = &m->gid_mappings;
	}
	if (!op->idmap)
		return 0;
	if (op->kind == MOUNT_OP_REMOUNT)
		return err_set(e, EINVAL, "mounts[%zu]: a remount cannot be id-mapped", p->index);
	/* The owner of a new file system is whoever maps it: its own maps would change nothing. */
	if (op->kind == MOUNT_OP_FS && !op->uid_mappings)
		return err_set(
			e, EINVAL,
			"mounts[%zu]: idmap of a new file system needs uidMappings and gidMappings",
			p->index);
	if (!op->uid_mappings && !in->userns)
		return err_set(e, EINVAL,
			       "mounts[%zu]: idmap without mappings and without a user namespace",
			       p->index);
	return 0;
}

/*
 * Where things may be mounted. /proc must be a real procfs, or writes to LSM attributes and sysctls
 * would go nowhere; mount_exec.c checks the file system itself.
 */
static int check_target(const struct parse *p, const struct mount_op *op, struct err *e)
{
	const char *rest;

	if (str_eq(op->target, "/") && op->kind != MOUNT_OP_REMOUNT)
		return err_set(
			e, EINVAL,
			"mounts[%zu].destination: \"%s\": the root itself cannot be mounted over",
			p->index, p->m->destination);
	rest = str_after(op->target, "/proc/");
	if (!rest || op->kind == MOUNT_OP_REMOUNT)
		return 0;
	if (op->fstype && str_eq(op->fstype, "proc"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(proc_files); i++)
		if (str_eq(rest, proc_files[i]))
			return 0;
	return err_set(e, EPERM, "mounts[%zu].destination: \"%s\": is inside /proc", p->index,
		       p->m->destination);
}

static int check_links(const struct parse *p, const struct mount_op *op, struct err *e)
{
	const char *text = NULL;

	if (op->links & MOUNT_LINK_COPY && op->links & ~(unsigned int)MOUNT_LINK_COPY)
		text = "\"copy-symlink\" excludes \"src-nofollow\" and \"dest-nofollow\"";
	else if (op->links & MOUNT_LINK_COPY && op->kind != MOUNT_OP_BIND)
		text = "\"copy-symlink\" is for binds only";
	else if (op->links & MOUNT_LINK_SRC && op->kind != MOUNT_OP_BIND)
		text = "\"src-nofollow\" is for binds only";
	else if (op->links && (op->kind == MOUNT_OP_REMOUNT ||
			       (op->kind == MOUNT_OP_FS && str_eq(p->m->type, "cgroup"))))
		text = "\"dest-nofollow\" is for new mounts of one file system";
	return text ? err_set(e, EINVAL, "mounts[%zu].options: %s", p->index, text) : 0;
}

static int check_kind(const struct parse *p, const struct mount_op *op, struct err *e)
{
	const struct spec_mount *m = p->m;

	if (op->kind == MOUNT_OP_BIND && op->data.n)
		return err_set(
			e, EINVAL,
			"mounts[%zu].options: \"%s\": not a mount option, and a bind has no file system data",
			p->index, op->data.v[0]);
	if (op->kind == MOUNT_OP_BIND && (!m->source || !*m->source))
		return err_set(e, EINVAL, "mounts[%zu].source: missing for a bind mount", p->index);
	if (op->kind == MOUNT_OP_FS && (!m->type || !*m->type || str_eq(m->type, "none")))
		return err_set(e, EINVAL, "mounts[%zu].type: missing", p->index);
	if (op->copy_up && !(op->kind == MOUNT_OP_FS && str_eq(m->type, "tmpfs")))
		return err_set(e, EINVAL, "mounts[%zu].options: \"tmpcopyup\" is for tmpfs only",
			       p->index);
	return check_links(p, op, e);
}

/*
 * Nothing is below a new file system yet, so a recursive option is a plain one. It prevails over
 * the plain ones, as on a bind that has both.
 */
static void settle_recursive(struct mount_op *op)
{
	if (op->kind != MOUNT_OP_FS)
		return;
	op->attr_set = (op->attr_set & ~op->rec_attr_clr) | op->rec_attr_set;
	op->attr_clr |= op->rec_attr_clr;
	op->rec_attr_set = op->rec_attr_clr = 0;
}

/*
 * A tmpfs and whatever is on /dev get files, mount points or nodes put into them during the set-up:
 * they become read-only afterwards. A disk that is read-only by nature must be opened read-only.
 */
static void settle_ro(struct mount_op *op)
{
	if (op->kind != MOUNT_OP_FS || !(op->attr_set & MOUNT_ATTR_RDONLY))
		return;
	if (str_eq(op->fstype, "tmpfs") || str_eq(op->target, "/dev")) {
		op->attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
		op->late_ro = true;
	} else if (op->source && op->source[0] == '/') {
		op->sb_set.v[op->sb_set.n++] = (char *)"ro";
	}
}

/*
 * `ctr spec --rootless` and its like bind the host's /sys with "rbind" and "ro". Plain "ro" would
 * leave the cgroups below it writable for whom the host lets write, and without a cgroup namespace
 * those are the host's (CVE-2023-25809).
 */
static void close_cgroups(const struct mount_plan_in *in, struct mount_op *op)
{
	if (op->kind == MOUNT_OP_BIND && op->recursive && in->userns &&
	    op->attr_set & MOUNT_ATTR_RDONLY && str_eq(op->target, "/sys"))
		op->rec_attr_set |= MOUNT_ATTR_RDONLY;
}

/*
 * SELinux has labels of its own for what is in these, and one super block of theirs serves many
 * mounts; the others get the container's, unless the mount says something itself.
 */
static bool takes_context(const struct mount_op *op)
{
	static const char *const own[] = { "proc", "sysfs", "cgroup", "cgroup2", "mqueue" };

	if (op->kind != MOUNT_OP_FS)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (str_eq(op->fstype, own[i]))
			return false;
	for (size_t i = 0; i < op->data.n; i++) {
		const char *at = strstr(op->data.v[i], "context=");

		if (at && memchr(op->data.v[i], '=', (size_t)(at - op->data.v[i])) == NULL)
			return false;
	}
	return true;
}

static int build_one(struct arena *a, const struct mount_plan_in *in, size_t i,
		     struct mount_plan *out, struct err *e)
{
	const struct spec_mount *m = &in->spec->mounts.v[i];
	struct parse p = { .m = m, .index = i };
	struct mount_op op = { .index = i, .source = m->source, .fstype = m->type }, *slot;
	int r;

	op.target = mount_plan_clean(a, m->destination ? m->destination : "");
	op.data.v = arena_array(a, data_max(&m->options) + 2, sizeof(char *));
	p.sb = arena_array(a, m->options.n + 1, sizeof(*p.sb));
	if (!op.target || !op.data.v || !p.sb)
		return err_sys(e, ENOMEM, "mounts[%zu]", i);
	for (size_t j = 0; j < m->options.n; j++) {
		r = quoted_label(m->options.v[j]) ? join_label(a, &p, &j, &op, e)
						  : parse_option(a, &p, j, &op, e);
		if (r < 0)
			return r;
	}
	if (m->type && str_eq(m->type, "bind"))
		p.bind = true;
	op.kind = p.remount ? MOUNT_OP_REMOUNT : p.bind ? MOUNT_OP_BIND : MOUNT_OP_FS;
	/* The type of a bind says nothing: what is at the source has one. */
	if (op.kind == MOUNT_OP_BIND)
		op.fstype = NULL;
	if ((r = check_kind(&p, &op, e)) < 0 || (r = place_sb(a, &p, &op, e)) < 0 ||
	    (r = check_idmap(&p, in, &op, e)) < 0 || (r = check_target(&p, &op, e)) < 0)
		return r;
	if (op.kind == MOUNT_OP_BIND && in->bundle && m->source[0] != '/') {
		op.source = arena_printf(a, "%s/%s", in->bundle, m->source);
		if (!op.source)
			return err_sys(e, ENOMEM, "mounts[%zu]", i);
	}
	if (in->context && takes_context(&op))
		op.data.v[op.data.n++] = (char *)in->context;
	if (op.kind == MOUNT_OP_FS && str_eq(m->type, "cgroup"))
		return mount_cgroup_expand(a, in, &op, out, e);
	settle_recursive(&op);
	settle_ro(&op);
	close_cgroups(in, &op);
	slot = mount_plan_add(a, out, i);
	if (!slot)
		return err_sys(e, ENOMEM, "mounts[%zu]", i);
	*slot = op;
	return 0;
}

int mount_plan_build(struct arena *a, const struct mount_plan_in *in, struct mount_plan *out,
		     struct err *e)
{
	struct mount_plan p = { 0 };

	for (size_t i = 0; i < in->spec->mounts.n; i++) {
		int r = build_one(a, in, i, &p, e);

		if (r < 0)
			return r;
	}
	*out = p;
	return 0;
}
