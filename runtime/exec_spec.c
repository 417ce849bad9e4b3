/* SPDX-License-Identifier: Apache-2.0 */
#include "exec_spec.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "notify.h"
#include "oci/names.h"
#include "oci/spec_edit.h"
#include "oci/validate.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

/* CVE-2026-30892 was "-u 1" taken as 0: both numbers whole and in range, or an error. */
static int set_user(struct spec_user *u, const char *text, struct err *e)
{
	AUTO_FREE char *copy = strdup(text);
	char *colon;
	uint64_t uid, gid = u->gid;

	if (!copy)
		return err_sys(e, ENOMEM, "exec --user %s", text);
	colon = strchr(copy, ':');
	if (colon)
		*colon = '\0';
	if (str_to_u64(copy, UINT32_MAX - 1, &uid) < 0 ||
	    (colon && str_to_u64(colon + 1, UINT32_MAX - 1, &gid) < 0))
		return err_set(e, EINVAL, "exec --user %s: not UID or UID:GID", text);
	u->uid = (uid_t)uid;
	u->gid = (gid_t)gid;
	return 0;
}

static int set_groups(struct arena *a, struct spec_user *u, const struct spec_strings *gids,
		      struct err *e)
{
	gid_t *v;

	if (gids->n == 0)
		return 0;
	v = arena_array(a, u->additional_gids.n + gids->n, sizeof(*v));
	if (!v)
		return err_sys(e, ENOMEM, "exec --additional-gids");
	if (u->additional_gids.n)
		memcpy(v, u->additional_gids.v, u->additional_gids.n * sizeof(*v));
	for (size_t i = 0; i < gids->n; i++) {
		uint64_t gid;

		if (str_to_u64(gids->v[i], UINT32_MAX - 1, &gid) < 0)
			return err_set(e, EINVAL, "exec --additional-gids %s: not a group id",
				       gids->v[i]);
		v[u->additional_gids.n + i] = (gid_t)gid;
	}
	u->additional_gids.v = v;
	u->additional_gids.n += gids->n;
	return 0;
}

/* What ctr gave the container's first process to speak for the service is not for others. */
static void leave_out_notify(struct spec_process *p, int dir)
{
	size_t n = 0;

	if (faccessat(dir, NOTIFY_DIR, F_OK, 0) < 0)
		return;
	for (size_t i = 0; i < p->env.n; i++)
		if (!str_eq(p->env.v[i], "NOTIFY_SOCKET=" SPEC_NOTIFY_SOCKET))
			p->env.v[n++] = p->env.v[i];
	p->env.n = n;
}

static int set_env(struct arena *a, struct spec_process *p, const struct spec_strings *env,
		   struct err *e)
{
	char **v;

	if (env->n == 0)
		return 0;
	v = arena_array(a, p->env.n + env->n + 1, sizeof(*v));
	if (!v)
		return err_sys(e, ENOMEM, "exec --env");
	if (p->env.n)
		memcpy(v, p->env.v, p->env.n * sizeof(*v));
	for (size_t i = 0; i < env->n; i++) {
		if (!strchr(env->v[i], '=') || env->v[i][0] == '=')
			return err_set(e, EINVAL, "exec --env %s: not NAME=VALUE", env->v[i]);
		v[p->env.n + i] = env->v[i];
	}
	p->env.v = v;
	p->env.n += env->n;
	return 0;
}

/*
 * To every set but the inheritable one (CVE-2022-29162); ambient would need that one, so it stays
 * too.
 */
static int set_caps(struct exec_spec *x, const struct spec_strings *names, struct err *e)
{
	struct opt_u64 *sets[] = { &x->caps.bounding, &x->caps.effective, &x->caps.permitted };
	uint64_t add = 0;

	if (names->n == 0)
		return 0;
	for (size_t i = 0; i < names->n; i++) {
		char full[64];
		int64_t bit;

		snprintf(full, sizeof(full), "%s%s",
			 strncasecmp(names->v[i], "CAP_", 4) ? "CAP_" : "", names->v[i]);
		for (char *s = full; *s; s++)
			if (*s >= 'a' && *s <= 'z')
				*s -= 'a' - 'A';
		if (!table_value(&names_capabilities, full, &bit))
			return err_set(e, EINVAL, "exec --cap %s: unknown capability", names->v[i]);
		add |= UINT64_C(1) << bit;
	}
	if (x->own.capabilities)
		x->caps = *x->own.capabilities;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		sets[i]->set = true;
		sets[i]->v |= add;
	}
	x->own.capabilities = &x->caps;
	return 0;
}

static int from_options(struct exec_spec *x, int dir, const struct exec_opts *o, struct err *e)
{
	struct spec_process *p = &x->own;
	struct arena *a = &x->container->arena;
	int r = 0;

	*p = *x->container->process;
	leave_out_notify(p, dir);
	p->args = o->args;
	p->terminal = o->tty;
	p->console_size = (struct spec_console_size *)o->console_size;
	if (o->args.n == 0)
		return err_set(e, EINVAL, "exec: process args cannot be empty");
	if (o->cwd)
		p->cwd = (char *)o->cwd;
	if (o->process_label)
		p->selinux_label = (char *)o->process_label;
	if (o->apparmor)
		p->apparmor_profile = (char *)o->apparmor;
	if (o->no_new_privs)
		p->no_new_privileges = true;
	if (o->user)
		r = set_user(&p->user, o->user, e);
	if (r == 0)
		r = set_groups(a, &p->user, &o->additional_gids, e);
	if (r == 0)
		r = set_env(a, p, &o->env, e);
	if (r == 0)
		r = set_caps(x, &o->caps, e);
	if (r == 0)
		r = validate_process(p, e);
	x->process = p;
	return r;
}

static int from_file(struct exec_spec *x, const struct exec_opts *o, struct err *e)
{
	const char *path = o->process;
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = io_read_file(AT_FDCWD, path, SPEC_MAX_BYTES, &text, &len);

	if (r < 0)
		return err_sys(e, -r, "exec --process %s", path);
	r = spec_parse_process(text, len, &x->file, e);
	if (r < 0)
		return err_wrap(e, "exec --process %s", path);
	if (o->tty)
		x->file->process->terminal = true;
	if (o->console_size)
		x->file->process->console_size = (struct spec_console_size *)o->console_size;
	x->process = x->file->process;
	/* Who says nothing of confinement does not mean to lift it. */
	if (!x->process->apparmor_profile)
		x->file->process->apparmor_profile = x->container->process->apparmor_profile;
	if (!x->process->selinux_label)
		x->file->process->selinux_label = x->container->process->selinux_label;
	return 0;
}

int exec_spec_make(struct exec_spec *x, int dir, const struct exec_opts *o, struct err *e)
{
	int r = store_read_config(dir, &x->container, e);

	if (r < 0)
		return r;
	r = annotations_read(x->container, &x->container->arena, &x->notes, e);
	if (r < 0)
		return r;
	x->personality = x->container->linux_.personality;
	x->memory = x->container->linux_.memory_policy;
	return o->process ? from_file(x, o, e) : from_options(x, dir, o, e);
}

void exec_spec_free(struct exec_spec *x)
{
	spec_free(x->container);
	spec_free(x->file);
}
