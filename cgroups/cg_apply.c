/* SPDX-License-Identifier: Apache-2.0 */
/* Executes what cg_plan and cg_device have worked out. */
#include "cgroups/cg_device.h"
#include "cgroups/cg_internal.h"
#include "cgroups/cg_systemd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int cg_where(const struct cg_host *h, const struct spec_resources *r, struct cg_where *w,
	     struct err *e)
{
	const struct cg_hier *v2 = cg_host_v2(h);
	unsigned int needs = r ? cg_plan_needs(r) : 0;
	int ret;

	*w = (struct cg_where){ .has_v2 = v2 != NULL };
	for (int c = 0; c < CG_CTL_COUNT; c++)
		if (cg_host_v1(h, cg_ctl_names[c].v1))
			w->v1 |= CG_BIT(c);
	/* Beside v1 hierarchies the v2 one is usually empty of controllers: asked only when it
	 * could help. */
	if (!v2 || (h->layout == CG_LAYOUT_HYBRID && !(needs & ~w->v1) && !(r && r->unified.n)))
		return 0;
	AUTO_CLOSE int fd = open(v2->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open %s", v2->mount);
	ret = cg_v2_controllers(fd, "cgroup.controllers", &w->v2);
	return ret < 0 ? err_sys(e, -ret, "read %s/cgroup.controllers", v2->mount) : 0;
}

/* ---- limits ---- */

static struct cg_dir *op_dir(struct cg *cg, const struct cg_op *op)
{
	return op->v2 ? cg_find_v2(cg) : cg_find_v1(cg, cg_ctl_names[op->ctl].v1);
}

static int op_failed(const struct cg_op *op, const struct cg_dir *d, int code, struct err *e)
{
	if (code == ENOENT)
		return err_set(e, ENOTSUP, "linux.resources.%s: this kernel has no %s", op->field,
			       op->file);
	if (code == EBUSY && strstr(op->file, "limit_in_bytes"))
		return err_set(e, code,
			       "linux.resources.%s: %s is less than the container uses now",
			       op->field, op->value);
	return err_sys(e, code, "linux.resources.%s: write \"%s\" to %s/%s", op->field, op->value,
		       d->dir, op->file);
}

static int check_usage(const struct cg_op *op, int fd, struct err *e)
{
	char buf[32];
	uint64_t now, want;
	ssize_t n = io_read_small(fd, op->v2 ? "memory.current" : "memory.usage_in_bytes", buf,
				  sizeof(buf));

	if (n < 0)
		return err_sys(e, (int)-n, "linux.resources.%s: read the memory in use", op->field);
	if (str_to_u64(buf, UINT64_MAX, &now) < 0 || str_to_u64(op->value, UINT64_MAX, &want) < 0 ||
	    now <= want)
		return 0;
	return err_set(e, EBUSY, "linux.resources.%s: %s is less than the container uses now (%s)",
		       op->field, op->value, buf);
}

/* A group that becomes idle loses its weight, and does not get it back when it no longer is. */
static int save_weight(const struct cg_dir *d, const char *file, struct cg_undo *undo)
{
	char idle[8];

	if (!str_eq(file, "cpu.idle") || io_read_small(d->fd, file, idle, sizeof(idle)) < 0 ||
	    !str_eq(idle, "0"))
		return 0;
	return cg_undo_save(undo, d->dir, d->hier->v2 ? "cpu.weight" : "cpu.shares", "");
}

/*
 * Returns the kernel's -errno as it is, so that a group can be tried in another order. With undo,
 * what was there before is in it when the write succeeds.
 */
static int write_file(const struct cg_dir *d, const char *file, const char *value,
		      struct cg_undo *undo)
{
	int r = undo ? save_weight(d, file, undo) : 0;

	if (r == 0 && undo)
		r = cg_undo_save(undo, d->dir, file, value);
	if (r < 0)
		return r;
	r = io_write_file(d->fd, file, value);
	if (r < 0 && undo)
		cg_undo_drop(undo);
	return r;
}

static int one_op(struct cg *cg, const struct cg_op *op, struct cg_undo *undo, struct err *e)
{
	struct cg_dir *d = op_dir(cg, op);
	int fd, r;

	if (!d)
		return err_set(
			e, EPERM,
			"linux.resources.%s: the container has no cgroup with the %s controller",
			op->field, op->ctl < CG_CTL_COUNT ? cg_ctl_names[op->ctl].v1 : "v2");
	fd = cg_dir_fd(d);
	if (fd < 0)
		return err_sys(e, -fd, "open %s", d->dir);
	if (op->check_usage) {
		r = check_usage(op, fd, e);
		if (r < 0)
			return r;
	}
	r = write_file(d, op->file, op->value, undo);
	if (r == -ENOENT && op->alt_file)
		r = write_file(d, op->alt_file, op->alt_value, undo);
	if (r == -ENOENT && op->optional)
		r = 0;
	return r < 0 ? op_failed(op, d, -r, e) : 0;
}

/*
 * Settings that bound one another (a memory limit and the sum of memory and swap, a quota, its
 * period and its burst) are valid in one order when they grow and in the other when they shrink.
 * What the kernel calls invalid is tried again once its neighbours are written, as long as that
 * gets anywhere.
 */
static int one_group(struct cg *cg, const struct cg_op *op, size_t n, struct cg_undo *undo,
		     struct err *e)
{
	bool written[8] = { false };
	size_t left = n;

	while (left > 0) {
		size_t before = left;
		int r = 0;

		for (size_t i = 0; i < n && i < ARRAY_SIZE(written); i++) {
			int one;

			if (written[i])
				continue;
			one = one_op(cg, &op[i], undo, e);
			if (one < 0 && one != -EINVAL)
				return one;
			if (one < 0) {
				r = one;
				continue;
			}
			written[i] = true;
			left--;
		}
		if (left == before)
			return r;
	}
	return 0;
}

int cg_apply_plan(struct cg *cg, const struct cg_plan *p, struct cg_undo *undo, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < p->n && r == 0;) {
		const struct cg_op *op = &p->v[i];
		size_t n = 1;

		while (op->group && i + n < p->n && op[n].group == op->group)
			n++;
		r = one_group(cg, op, n, undo, e);
		if (r == -EINVAL && cg_is_realtime(op)) {
			r = cg_realtime_budget(cg, op, n, undo, e);
			if (r == 0)
				r = one_group(cg, op, n, undo, e);
		}
		i += n;
	}
	return r;
}

/* ---- devices ---- */

static int write_devs(struct cg_dir *d, const char *file, const struct cg_devs *l,
		      unsigned int mask_of, const struct cg_devs *minus, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	for (size_t i = 0; i < l->n; i++) {
		struct cg_dev dev = l->v[i];
		char text[64];

		dev.access &= mask_of;
		for (size_t j = 0; minus && j < minus->n; j++)
			if (minus->v[j].type == dev.type && minus->v[j].major == dev.major &&
			    minus->v[j].minor == dev.minor)
				dev.access &= ~minus->v[j].access;
		if (!dev.access)
			continue;
		if (fd < 0)
			fd = openat(cg_dir_fd(d), file, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, errno, "open %s/%s", d->dir, file);
		cg_device_format(&dev, text, sizeof(text));
		if (write(fd, text, strlen(text)) >= 0)
			continue;
		/* An outer container's rules bind us too; what nobody asked for may be missing
		 * then. */
		if (errno == EPERM && dev.builtin)
			log_debug("%s: \"%s\": not allowed by the cgroup above", d->dir, text);
		else
			return err_sys(e, errno, "linux.resources.devices: write \"%s\" to %s/%s",
				       text, d->dir, file);
	}
	return 0;
}

static int read_devs(struct cg_dir *d, struct cg_devs *out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	char *save = NULL;
	int r = io_read_file(cg_dir_fd(d), "devices.list", (size_t)1 << 20, &text, NULL);

	for (char *l = r < 0 ? NULL : strtok_r(text, "\n", &save); l && r == 0;
	     l = strtok_r(NULL, "\n", &save))
		r = cg_device_parse(l, out);
	return r < 0 ? err_sys(e, -r, "read %s/devices.list", d->dir) : 0;
}

/* Allowing first: a running container never misses a device that it may keep. */
static int write_difference(struct cg_dir *d, const struct cg_devs *want,
			    const struct cg_devs *have, struct err *e)
{
	bool all = want->allow_default;
	const struct cg_devs *allow = all ? have : want, *deny = all ? want : have;
	int r = write_devs(d, "devices.allow", allow, ~0U, deny, e);

	return r < 0 ? r : write_devs(d, "devices.deny", deny, ~0U, all ? NULL : allow, e);
}

/*
 * "a" sets the default and forgets the exceptions, which the kernel refuses once the container has
 * cgroups below its own. With the same default as before the difference alone is written. What is
 * denied where all is allowed cannot be read, so had says it: what was applied last, or NULL.
 */
static int devices_v1(struct cg_dir *d, const struct cg_devs *want, const struct cg_devs *had,
		      bool live, struct err *e)
{
	const char *except = want->allow_default ? "devices.deny" : "devices.allow";
	const char *clear = want->allow_default ? "devices.allow" : "devices.deny";
	struct cg_devs have = { 0 };
	bool same = false;
	int r = 0;

	if (live) {
		r = read_devs(d, &have, e);
		same = have.allow_default == want->allow_default;
		if (same && have.allow_default)
			same = had && had->allow_default;
		if (r == 0 && same)
			r = write_difference(d, want, want->allow_default ? had : &have, e);
		cg_device_free(&have);
	}
	if (r < 0 || same)
		return r;
	r = io_write_file(cg_dir_fd(d), clear, "a");
	if (r < 0)
		return err_sys(e, -r, "linux.resources.devices: write \"a\" to %s/%s", d->dir,
			       clear);
	return write_devs(d, except, want, ~0U, NULL, e);
}

static int devices_v2(struct cg_dir *d, const struct cg_devs *rules, struct err *e)
{
	AUTO_FREE struct bpf_insn *insns = NULL;
	int fd = cg_dir_fd(d), r;
	size_t n;

	if (fd < 0)
		return err_sys(e, -fd, "open %s", d->dir);
	if (rules->allow_default && rules->n == 0) {
		r = cg_device_detach(fd);
		/* What cannot have such programs (an old kernel, a test's directory) restricts
		 * nothing. */
		r = r == -EINVAL || r == -ENOSYS || r == -EBADF ? 0 : r;
	} else {
		r = cg_device_program(rules, &insns, &n);
		if (r == 0)
			r = cg_device_attach(fd, insns, n);
	}
	return r < 0 ? err_sys(e, -r, "linux.resources.devices: attach the device program to %s",
			       d->dir)
		     : 0;
}

static int exceptions(const struct spec_device_rules *list, struct cg_devs *out, struct err *e)
{
	struct cg_devs rules = { 0 };
	int r = cg_device_rules(list, &rules, e);

	if (r == 0)
		r = cg_device_exceptions(&rules, out, e);
	cg_device_free(&rules);
	return r;
}

static int devices_to(struct cg *cg, const struct cg_devs *rules, const struct spec_resources *old,
		      bool live, struct err *e)
{
	struct cg_dir *v1 = cg_find_v1(cg, "devices"), *v2 = v1 ? NULL : cg_find_v2(cg);
	struct cg_devs want = { 0 }, had = { 0 };
	int r;

	if (v1) {
		if (cg_dir_fd(v1) < 0)
			return err_sys(e, errno, "open %s", v1->dir);
		r = old ? exceptions(&old->devices, &had, e) : 0;
		if (r == 0)
			r = cg_device_exceptions(rules, &want, e);
		if (r == 0)
			r = devices_v1(v1, &want, old ? &had : NULL, live, e);
		cg_device_free(&want);
		cg_device_free(&had);
		return r;
	}
	return v2 ? devices_v2(v2, rules, e)
		  : err_set(e, ENOTSUP,
			    "linux.resources.devices: the devices controller is not available");
}

int cg_apply_devices(struct cg *cg, const struct spec_resources *r,
		     const struct spec_resources *old, bool live, struct err *e)
{
	const struct spec_device_rules *list = r ? &r->devices : NULL;
	struct cg_devs rules = { 0 };
	int ret = cg_device_rules(list, &rules, e);

	if (ret < 0)
		return ret;
	ret = devices_to(cg, &rules, old, live, e);
	cg_device_free(&rules);
	/* A user namespace cannot make device nodes, so nothing is lost without the rules. */
	if (ret < 0 && cg->rootless && (ret == -EPERM || ret == -EACCES || ret == -ENOTSUP)) {
		if (list && list->n)
			log_warn(
				"linux.resources.devices: not applied: no right to do so without root");
		ret = 0;
	}
	return ret;
}

/* ---- update ---- */

/*
 * The rules are the last thing that an update writes: only they themselves need to be put back
 * here.
 */
static int update_devices(struct cg *cg, const struct spec_resources *r,
			  const struct spec_resources *old, struct err *e)
{
	struct err again = { 0 };
	int ret;

	/* Without a list the rules stay as they are. */
	if (!r->devices.n)
		return 0;
	ret = cg_apply_devices(cg, r, old, true, e);
	if (ret < 0 && old && cg_apply_devices(cg, old, r, true, &again) < 0)
		log_warn("put the device rules back: %s", again.msg);
	return ret;
}

/*
 * systemd writes what it believes whenever it realizes the unit again, so it must believe the same.
 * It rounds, and writes at once: the plan is written once more after it.
 */
static int update_unit(struct cg *cg, const struct cg_plan *p, const struct spec_resources *r,
		       const struct spec_resources *old, struct err *e)
{
	int ret = cg_systemd_update(cg, r, old, e);

	return ret < 0 ? ret : cg_apply_plan(cg, p, NULL, e);
}

/*
 * The files have their old values back in a moment. Device rules that v1 knows and systemd does not
 * ("everything but") are written over what it has made of them.
 */
static void restore_unit(struct cg *cg, const struct spec_resources *r,
			 const struct spec_resources *old)
{
	struct err again = { 0 };
	int ret = old ? cg_systemd_restore(cg, r, old, &again) : 0;

	if (ret == 0 && old && r->devices.n)
		ret = cg_apply_devices(cg, old, r, true, &again);
	if (ret < 0)
		log_warn("%s", again.msg);
}

int cg_update_then(struct cg *cg, const struct spec_resources *r, const struct spec_resources *old,
		   int (*then)(void *arg, struct err *e), void *arg, struct err *e)
{
	struct cg_plan plan = { 0 };
	struct cg_undo undo = { 0 };
	struct cg_dir *v2 = cg_find_v2(cg);
	struct cg_where w;
	bool told = false;
	int ret;

	if (!cg->path)
		return err_set(e, ENOTSUP, "the container has no cgroup to limit");
	ret = cg_where(&cg->host, r, &w, e);
	w.live = true;
	if (ret == 0)
		ret = cg_plan_make(r, &w, &plan, e);
	if (ret == 0 && v2 && plan.need_v2)
		ret = cg_v2_enable_path(v2, cg->path, plan.need_v2, e);
	if (ret == 0)
		ret = cg_apply_plan(cg, &plan, &undo, e);
	if (ret == 0 && cg->unit) {
		told = true;
		ret = update_unit(cg, &plan, r, old, e);
	}
	if (ret == 0)
		ret = update_devices(cg, r, old, e);
	if (ret == 0 && then)
		ret = then(arg, e);
	if (ret < 0 && told)
		restore_unit(cg, r, old);
	if (ret < 0)
		cg_undo_run(&undo);
	cg_undo_free(&undo);
	cg_plan_free(&plan);
	return ret;
}

int cg_update(struct cg *cg, const struct spec_resources *r, const struct spec_resources *old,
	      struct err *e)
{
	return r ? cg_update_then(cg, r, old, NULL, NULL, e) : 0;
}

int cg_apply(struct cg *cg, const struct spec_resources *r, struct err *e)
{
	return cg_update(cg, r, NULL, e);
}
