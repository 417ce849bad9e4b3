/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_device.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ACC_M BPF_DEVCG_ACC_MKNOD
#define ACC_R BPF_DEVCG_ACC_READ
#define ACC_W BPF_DEVCG_ACC_WRITE
#define ACC_ALL (ACC_M | ACC_R | ACC_W)

/* What a container may always use; the order has no meaning. */
static const struct cg_dev defaults[] = {
	{ 'c', CG_DEV_ANY, CG_DEV_ANY, ACC_M, true, 0, true },
	{ 'b', CG_DEV_ANY, CG_DEV_ANY, ACC_M, true, 0, true },
	{ 'c', 1, 3, ACC_ALL, true, 0, true },            /* null */
	{ 'c', 1, 5, ACC_ALL, true, 0, true },            /* zero */
	{ 'c', 1, 7, ACC_ALL, true, 0, true },            /* full */
	{ 'c', 1, 8, ACC_ALL, true, 0, true },            /* random */
	{ 'c', 1, 9, ACC_ALL, true, 0, true },            /* urandom */
	{ 'c', 5, 0, ACC_ALL, true, 0, true },            /* tty */
	{ 'c', 5, 1, ACC_ALL, true, 0, true },            /* console */
	{ 'c', 5, 2, ACC_ALL, true, 0, true },            /* ptmx */
	{ 'c', 136, CG_DEV_ANY, ACC_ALL, true, 0, true }, /* pts/N */
	{ 'c', 10, 200, ACC_ALL, true, 0, true },         /* net/tun */
};

void cg_device_free(struct cg_devs *d)
{
	free(d->v);
	*d = (struct cg_devs){ 0 };
}

static int add(struct cg_devs *l, struct cg_dev d)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 32;
		struct cg_dev *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = d;
	return 0;
}

/* ---- the ordered list ---- */

static int parse_access(const char *s, unsigned int *out)
{
	unsigned int a = 0;

	if (!s || !*s) {
		*out = ACC_ALL;
		return 0;
	}
	for (; *s; s++) {
		switch (*s) {
		case 'r':
			a |= ACC_R;
			break;
		case 'w':
			a |= ACC_W;
			break;
		case 'm':
			a |= ACC_M;
			break;
		default:
			return -EINVAL;
		}
	}
	*out = a;
	return 0;
}

/* Absent and -1 both mean every number. */
static int parse_number(const struct opt_i64 *o, int64_t *out)
{
	*out = o->set && o->v != -1 ? o->v : CG_DEV_ANY;
	return *out < CG_DEV_ANY || *out > INT32_MAX ? -EINVAL : 0;
}

static int add_rule(struct cg_devs *l, const struct spec_device_rule *r, size_t i, struct err *e)
{
	struct cg_dev d = { .type = r->type, .allow = r->allow, .index = i };
	bool both = r->type == 'a' || r->type == '\0';
	int ret;

	if (parse_access(r->access, &d.access) < 0)
		return err_set(e, EINVAL,
			       "linux.resources.devices[%zu].access: \"%s\" is not of r, w, m", i,
			       r->access);
	if (parse_number(&r->major, &d.major) < 0 || parse_number(&r->minor, &d.minor) < 0)
		return err_set(e, EINVAL,
			       "linux.resources.devices[%zu]: device number out of range", i);
	if (!both && r->type != 'b' && r->type != 'c')
		return err_set(e, EINVAL,
			       "linux.resources.devices[%zu].type: '%c' is not a, b or c", i,
			       r->type);
	if (both && d.major == CG_DEV_ANY && d.minor == CG_DEV_ANY && d.access == ACC_ALL) {
		l->n = 0; /* decides about everything: what came before has no effect */
		l->allow_default = r->allow;
		return 0;
	}
	d.type = both ? 'b' : r->type;
	ret = add(l, d);
	if (ret == 0 && both) {
		d.type = 'c';
		ret = add(l, d);
	}
	return ret < 0 ? err_sys(e, -ret, "plan device rules") : 0;
}

int cg_device_rules(const struct spec_device_rules *r, struct cg_devs *out, struct err *e)
{
	struct cg_devs l = { 0 };
	int ret = 0;

	for (size_t i = 0; r && i < r->n && ret == 0; i++)
		ret = add_rule(&l, &r->v[i], i, e);
	for (size_t i = 0; i < ARRAY_SIZE(defaults) && ret == 0; i++) {
		if (l.allow_default && l.n == 0)
			break; /* allowed already */
		ret = add(&l, defaults[i]);
		if (ret < 0)
			err_sys(e, -ret, "plan device rules");
		else
			l.v[l.n - 1].index = r ? r->n : 0; /* after the last of them */
	}
	if (ret < 0)
		cg_device_free(&l);
	else
		*out = l;
	return ret;
}

/* ---- exceptions for v1 ---- */

static bool covers(int64_t wide, int64_t narrow)
{
	return wide == CG_DEV_ANY || wide == narrow;
}

static bool dev_covers(const struct cg_dev *wide, const struct cg_dev *narrow)
{
	return wide->type == narrow->type && covers(wide->major, narrow->major) &&
	       covers(wide->minor, narrow->minor);
}

static bool overlap(const struct cg_dev *a, const struct cg_dev *b)
{
	return a->type == b->type && (covers(a->major, b->major) || covers(b->major, a->major)) &&
	       (covers(a->minor, b->minor) || covers(b->minor, a->minor));
}

/* A rule against the default: joins the exception for the same devices, or is a new one. */
static int except(struct cg_devs *l, const struct cg_dev *d)
{
	for (size_t i = 0; i < l->n; i++) {
		struct cg_dev *x = &l->v[i];

		if (dev_covers(x, d) && dev_covers(d, x)) {
			x->access |= d->access;
			x->builtin = x->builtin && d->builtin;
			return 0;
		}
	}
	return add(l, *d);
}

/* A rule that repeats the default takes access away from the exceptions that it covers. */
static int unexcept(struct cg_devs *l, const struct cg_dev *d, struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct cg_dev *x = &l->v[i];

		if (overlap(x, d) && (x->access & d->access)) {
			if (!dev_covers(d, x))
				return err_set(
					e, ENOTSUP,
					"linux.resources.devices[%zu]: cgroup v1 cannot hold a rule "
					"for a part of the devices of an earlier rule (devices[%zu])",
					d->index, x->index);
			x->access &= ~d->access;
		}
		if (x->access)
			l->v[kept++] = *x;
	}
	l->n = kept;
	return 0;
}

int cg_device_exceptions(const struct cg_devs *rules, struct cg_devs *out, struct err *e)
{
	struct cg_devs l = { .allow_default = rules->allow_default };
	int r = 0;

	for (size_t i = 0; i < rules->n && r == 0; i++) {
		const struct cg_dev *d = &rules->v[i];

		if (d->allow == rules->allow_default) {
			r = unexcept(&l, d, e);
		} else {
			r = except(&l, d);
			if (r < 0)
				err_sys(e, -r, "plan device rules");
		}
	}
	if (r < 0)
		cg_device_free(&l);
	else
		*out = l;
	return r;
}

static int parse_part(const char *s, int64_t *out)
{
	if (str_eq(s, "*")) {
		*out = CG_DEV_ANY;
		return 0;
	}
	return str_to_i64(s, 0, INT32_MAX, out);
}

int cg_device_parse(const char *line, struct cg_devs *out)
{
	char type, major[16], minor[16], access[8];
	struct cg_dev d = { 0 };

	if (sscanf(line, "%c %15[0-9*]:%15[0-9*] %7[rwm]", &type, major, minor, access) != 4)
		return -EBADMSG;
	d.type = type;
	if (type == 'a') {
		out->allow_default = true;
		return 0;
	}
	if (parse_part(major, &d.major) < 0 || parse_part(minor, &d.minor) < 0 ||
	    parse_access(access, &d.access) < 0)
		return -EBADMSG;
	return add(out, d);
}

static void format_part(int64_t v, char *buf, size_t size)
{
	if (v == CG_DEV_ANY)
		snprintf(buf, size, "*");
	else
		snprintf(buf, size, "%" PRId64, v);
}

void cg_device_format(const struct cg_dev *d, char *buf, size_t size)
{
	char major[24], minor[24];

	format_part(d->major, major, sizeof(major));
	format_part(d->minor, minor, sizeof(minor));
	snprintf(buf, size, "%c %s:%s %s%s%s", d->type, major, minor, d->access & ACC_R ? "r" : "",
		 d->access & ACC_W ? "w" : "", d->access & ACC_M ? "m" : "");
}
