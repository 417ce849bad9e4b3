/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `update`: new limits for a container that lives. The configuration that is kept in the state
 * directory is what they are laid over, is checked as a whole, and is replaced when the kernel has
 * taken them all.
 */
#include "ctr.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "container.h"
#include "microvm/vm_plan.h"
#include "oci/spec_guest.h"
#include "oci/spec_update.h"
#include "transition.h"
#include "vm_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define NEW_CONFIG STORE_CONFIG ".new"

struct update {
	char *change; /* the resources that are asked for, as one text */
	char *config; /* the configuration with them */
	size_t change_len, config_len;
	struct spec *old, *now, *asked;
	struct spec *left; /* whose device rules are left out; may be NULL */
};

static void update_free(struct update *u)
{
	free(u->change);
	free(u->config);
	spec_free(u->old);
	spec_free(u->now);
	spec_free(u->asked);
	spec_free(u->left);
}

/* The file's resources with those of the options over them. */
static int join(struct update *u, const struct update_opts *o, struct err *e)
{
	static const char none[] = "{}";
	const char *base = o->resources ? o->resources : none;
	const char *over = o->options ? o->options : none;
	AUTO_FREE char *rest = NULL;
	size_t len = o->resources ? o->resources_len : strlen(none);
	int r = 0;

	if (o->resources)
		r = spec_update_leave_devices(base, len, &rest, &len, e);
	if (r > 0)
		r = spec_parse_resources(base, o->resources_len, &u->left, e);
	return r < 0 ? r
		     : spec_update_merge(SPEC_UPDATE_RESOURCES, rest ? rest : base, len, over,
					 strlen(over), &u->change, &u->change_len, e);
}

static int merge(struct update *u, int dir, struct err *e)
{
	AUTO_FREE char *kept = NULL;
	size_t len;
	int r = io_read_file(dir, STORE_CONFIG, SPEC_MAX_BYTES, &kept, &len);

	if (r < 0)
		return err_sys(e, -r, "read the kept copy of the configuration");
	r = spec_parse_own(kept, len, &u->old, e);
	if (r == 0)
		r = spec_parse_resources(u->change, u->change_len, &u->asked, e);
	if (r == 0)
		r = spec_update_merge(SPEC_UPDATE_CONFIG, kept, len, u->change, u->change_len,
				      &u->config, &u->config_len, e);
	return r < 0 ? r : spec_parse_own(u->config, u->config_len, &u->now, e);
}

/* What holds until now: without any resources there are no limits, and the default device rules. */
static const struct spec_resources *held(const struct update *u)
{
	static const struct spec_resources none;
	const struct spec_resources *r = u->old->linux_.resources;

	return r ? r : &none;
}

/* Whether a file of unified was asked for, or is of those that are written anew. */
static bool is_written(const struct spec_resources *asked, const char *key)
{
	for (size_t i = 0; i < asked->unified.n; i++)
		if (str_eq(asked->unified.v[i].key, key))
			return true;
	return (asked->memory && str_after(key, "memory.")) ||
	       (asked->cpu && str_after(key, "cpu."));
}

static bool same_number(const struct opt_i64 *a, const struct opt_i64 *b)
{
	return a->set == b->set && (!a->set || a->v == b->v);
}

static bool same_rules(const struct spec_device_rules *a, const struct spec_device_rules *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++) {
		const struct spec_device_rule *x = &a->v[i], *y = &b->v[i];

		if (x->allow != y->allow || x->type != y->type ||
		    !same_number(&x->major, &y->major) || !same_number(&x->minor, &y->minor) ||
		    !str_eq(x->access ?: "rwm", y->access ?: "rwm"))
			return false;
	}
	return a->n == b->n;
}

/*
 * What is written: of memory and processor time everything that holds from now on, as those
 * settings depend on one another (memory and swap, quota and period, idle and shares), of the rest
 * what was asked for: a processor or disk that has gone since must not be in the way of another
 * limit. What unified says of the files that are written anew comes after them, as it did when the
 * container was made. *cpu is what the result points to.
 */
static int effective(const struct update *u, struct spec_resources *r, struct spec_cpu *cpu,
		     struct err *e)
{
	const struct spec_resources *now = u->now->linux_.resources;
	const struct spec_map *kept = &now->unified;

	*r = *u->asked->linux_.resources;
	if (same_rules(&r->devices, &held(u)->devices))
		r->devices.n = 0; /* what hooks have opened since stays open */
	if (u->left && !same_rules(&u->left->linux_.resources->devices, &held(u)->devices))
		log_warn("linux.resources.devices: the rules stay as they are: they are changed by "
			 "an update of nothing else");
	if (r->memory)
		r->memory = now->memory;
	if (r->cpu) {
		*cpu = *now->cpu;
		cpu->cpus = r->cpu->cpus;
		cpu->mems = r->cpu->mems;
		r->cpu = cpu;
	}
	if (!kept->n)
		return 0;
	r->unified = (struct spec_map){
		.v = arena_array(&u->asked->arena, kept->n, sizeof(*kept->v)),
	};
	if (!r->unified.v)
		return err_sys(e, ENOMEM, "update the configuration");
	for (size_t i = 0; i < kept->n; i++)
		if (is_written(u->asked->linux_.resources, kept->v[i].key))
			r->unified.v[r->unified.n++] = kept->v[i];
	return 0;
}

static int write_new(int dir, const struct update *u, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir, NEW_CONFIG,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : io_write_full(fd, u->config, u->config_len);

	return r < 0 ? err_sys(e, -r, "keep a copy of the configuration") : 0;
}

struct inside {
	const struct container_ref *c;
	char *text; /* the resources, as the guest is told */
	size_t len;
};

static int update_inside(void *arg, struct err *e)
{
	const struct inside *in = arg;

	return vm_update(in->c->dir, in->c->st->id, in->text, in->len, e);
}

/*
 * A machine's processor time and disks are limited around it, everything in its guest; its memory
 * has the size with which it was made. What its guest refuses is taken back around it.
 */
static int update_machine(const struct container_ref *c, struct cg *cg,
			  const struct spec_resources *r, const struct update *u, struct err *e)
{
	const struct spec_resources *asked = u->asked->linux_.resources;
	struct spec_resources around = { .cpu = r->cpu, .block_io = r->block_io };
	AUTO_FREE char *text = NULL;
	struct inside in = { .c = c };
	int ret;

	if (asked->memory && asked->memory->limit.set &&
	    asked->memory->limit.v > (int64_t)c->st->vm_memory)
		return err_set(e, ENOTSUP,
			       "linux.resources.memory.limit: %lld bytes: the micro-VM has been "
			       "made with %llu",
			       (long long)asked->memory->limit.v,
			       (unsigned long long)c->st->vm_memory);
	ret = vm_plan_host_unified(&around, r, &u->asked->arena, e);
	if (ret == 0)
		ret = spec_guest_resources(u->change, u->change_len, &text, &in.len, e);
	if (ret < 0)
		return ret;
	in.text = text;
	return cg_update_then(cg, &around, held(u), update_inside, &in, e);
}

/* The copy is on disk before the kernel is told, so that only its name can fail to follow. */
static int apply(struct container_ref *c, struct cg *cg, const struct update *u, struct err *e)
{
	struct spec_cpu cpu;
	struct spec_resources r;
	int ret = effective(u, &r, &cpu, e);

	if (ret == 0)
		ret = write_new(c->dir, u, e);
	if (ret == 0)
		ret = container_is_machine(c->st) ? update_machine(c, cg, &r, u, e)
						  : cg_update(cg, &r, held(u), e);
	if (ret == 0 && renameat(c->dir, NEW_CONFIG, c->dir, STORE_CONFIG) < 0)
		ret = err_sys(e, errno, "keep a copy of the configuration");
	if (ret < 0)
		unlinkat(c->dir, NEW_CONFIG, 0);
	return ret;
}

int ctr_update(const struct ctr_global *g, const char *id, const struct update_opts *o,
	       struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	AUTO(update_free) struct update u = {};
	AUTO_CG struct cg *cg = NULL;
	int r = container_open(&c, g, id, true, e);

	if (r == 0)
		r = transition_check(CMD_UPDATE, id, c.status, e);
	if (r == 0 && container_is_machine(c.st))
		r = vm_awake(c.status, "update", id, e);
	if (r < 0)
		return r;
	r = join(&u, o, e);
	if (r == 0)
		r = merge(&u, c.dir, e);
	if (r == 0)
		r = container_cgroup(c.st, &cg, e);
	if (r == 0 && !cg)
		r = err_set(e, ENOTSUP, "the container has no cgroup");
	if (r == 0)
		r = apply(&c, cg, &u, e);
	if (r < 0 && c.st && container_is_machine(c.st) && str_after(e->msg, "update "))
		return r; /* the guest's own words, which begin so */
	return r < 0 ? err_wrap(e, "update %s", id) : 0;
}
