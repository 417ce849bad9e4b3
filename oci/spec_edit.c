/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/spec_edit.h"

#include "base/cleanup.h"
#include "oci/json_edit.h"
#include "oci/names.h"

#include <errno.h>
#include <limits.h>

struct editor {
	struct arena *a;
	struct json *root;
	const struct spec_edit *ed;
	struct err *e;
};

static int no_memory(struct editor *d)
{
	return err_sys(d->e, ENOMEM, "adjust config.json");
}

/* 0 when what an edit has made is there. */
static int made(struct editor *d, const void *what)
{
	return what ? 0 : no_memory(d);
}

/* JSON cannot hold any byte; a word must not reach the program as another one. */
static int check_text(struct editor *d, const char *option, const char *s)
{
	return !s || json_edit_is_text(s)
		       ? 0
		       : err_set(d->e, EILSEQ, "%s: not valid UTF-8, which JSON needs: %s", option,
				 s);
}

bool spec_edit_empty(const struct spec_edit *ed)
{
	return !ed->args.n && !ed->env.n && !ed->cwd && !ed->user && !ed->terminal.set &&
	       !ed->memory.set && !ed->cpus && !ed->pids_limit.set && !ed->volumes.n &&
	       !ed->read_only && !ed->hostname && !ed->net && !ed->notify;
}

/*
 * The member of that type, made when it is absent: *out. Only the type is checked here, because the
 * edited text is parsed in full afterwards.
 */
static int member(struct editor *d, struct json *o, const char *key, enum json_type type,
		  struct json **out)
{
	struct json *v = json_edit_get(o, key);

	if (v && v->type != type)
		return err_set(d->e, EINVAL, "config.json: %s: not an %s", key,
			       type == JSON_OBJECT ? "object" : "array");
	if (!v)
		v = json_edit_set(d->a, o, key, json_edit_new(d->a, type));
	*out = v;
	return made(d, v);
}

/* The process object; a configuration may be without, and a command on the command line makes one.
 */
static int process(struct editor *d, struct json **out)
{
	bool fresh = !json_edit_get(d->root, "process");
	int r = member(d, d->root, "process", JSON_OBJECT, out);

	if (r < 0 || !fresh)
		return r;
	return made(d, json_edit_set(d->a, *out, "cwd", json_edit_string(d->a, "/")));
}

static int edit_args(struct editor *d)
{
	struct json *p, *args = json_edit_new(d->a, JSON_ARRAY);
	int r = process(d, &p);

	if (r < 0)
		return r;
	for (size_t i = 0; i < d->ed->args.n; i++)
		if (!json_edit_push(d->a, args, json_edit_string(d->a, d->ed->args.v[i])))
			return no_memory(d);
	return made(d, json_edit_set(d->a, p, "args", args));
}

/* Puts KEY=VALUE (key: its first len bytes) at the place of the first of that name, the others go.
 */
static int put_env(struct editor *d, struct json *env, const char *pair, size_t len)
{
	struct json *v = json_edit_string(d->a, pair);
	bool there = false;

	if (!v)
		return no_memory(d);
	for (size_t i = 0; i < env->n;) {
		const struct json *old = env->items[i];

		if (old->type != JSON_STRING || strncmp(old->text, pair, len + 1) != 0) {
			i++;
		} else if (there) {
			json_edit_remove(env, i);
		} else {
			env->items[i++] = v;
			there = true;
		}
	}
	return there ? 0 : made(d, json_edit_push(d->a, env, v));
}

static int edit_env(struct editor *d)
{
	struct json *p, *env;
	int r = process(d, &p);

	if (r == 0)
		r = member(d, p, "env", JSON_ARRAY, &env);
	for (size_t i = 0; r == 0 && i < d->ed->env.n; i++) {
		const char *pair = d->ed->env.v[i], *value;
		size_t len = strcspn(pair, "=");

		if (len == 0)
			return err_set(d->e, EINVAL, "--env: not KEY=VALUE: %s", pair);
		if (!pair[len]) {
			value = getenv(pair);
			if (!value)
				continue;
			r = check_text(d, pair, value);
			if (r < 0)
				return r;
			pair = arena_printf(d->a, "%s=%s", pair, value);
			if (!pair)
				return no_memory(d);
		}
		r = put_env(d, env, pair, len);
	}
	return r;
}

static int edit_cwd(struct editor *d)
{
	struct json *p;
	int r = process(d, &p);

	if (r < 0)
		return r;
	if (d->ed->cwd[0] != '/')
		return err_set(d->e, EINVAL, "--workdir: not an absolute path: %s", d->ed->cwd);
	return made(d, json_edit_set(d->a, p, "cwd", json_edit_string(d->a, d->ed->cwd)));
}

/* UID[:GID]. Strict: "1x", "", "01:" are no numbers, (uid_t)-1 is no ID. */
static int parse_ids(struct editor *d, uint64_t *uid, uint64_t *gid)
{
	const char *text = d->ed->user, *colon = strchr(text, ':');
	char first[16];
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	*gid = 0;
	if (len < sizeof(first)) {
		memcpy(first, text, len);
		first[len] = '\0';
		if (str_to_u64(first, UINT32_MAX - 1, uid) == 0 &&
		    (!colon || str_to_u64(colon + 1, UINT32_MAX - 1, gid) == 0))
			return 0;
	}
	return err_set(d->e, EINVAL, "--user: not UID[:GID]: %s", text);
}

static int edit_user(struct editor *d)
{
	struct json *p, *user = NULL, *groups = json_edit_new(d->a, JSON_ARRAY);
	uint64_t uid, gid;
	int r = parse_ids(d, &uid, &gid);

	if (r == 0)
		r = process(d, &p);
	if (r == 0)
		r = member(d, p, "user", JSON_OBJECT, &user);
	if (r < 0)
		return r;
	for (size_t i = 0; i < d->ed->groups.n; i++)
		if (!json_edit_push(d->a, groups, json_edit_number(d->a, d->ed->groups.v[i])))
			return no_memory(d);
	if (!json_edit_set(d->a, user, "uid", json_edit_number(d->a, (int64_t)uid)) ||
	    !json_edit_set(d->a, user, "gid", json_edit_number(d->a, (int64_t)gid)))
		return no_memory(d);
	return made(d, json_edit_set(d->a, user, "additionalGids", groups));
}

static int edit_terminal(struct editor *d)
{
	struct json *p;
	int r = process(d, &p);

	if (r < 0)
		return r;
	return made(d, json_edit_set(d->a, p, "terminal", json_edit_bool(d->a, d->ed->terminal.v)));
}

/* linux.resources.KIND */
static int resource(struct editor *d, const char *kind, struct json **out)
{
	struct json *linux_ = NULL, *resources = NULL;
	int r = member(d, d->root, "linux", JSON_OBJECT, &linux_);

	if (r == 0)
		r = member(d, linux_, "resources", JSON_OBJECT, &resources);
	return r < 0 ? r : member(d, resources, kind, JSON_OBJECT, out);
}

/* The configuration's limit on memory and swap together cannot be below the one on memory. */
static int lift_swap(struct editor *d, struct json *memory, int64_t limit)
{
	const struct json *swap = json_get(memory, "swap");
	long long v = swap && swap->type == JSON_NUMBER ? strtoll(swap->text, NULL, 10) : 0;

	if (v <= 0 || (limit != -1 && v >= limit))
		return 0;
	return made(d, json_edit_set(d->a, memory, "swap", json_edit_number(d->a, limit)));
}

static int edit_memory(struct editor *d)
{
	int64_t v = d->ed->memory.v;
	struct json *memory;
	int r = resource(d, "memory", &memory);

	if (r < 0)
		return r;
	if (v <= 0 && v != -1)
		return err_set(d->e, EINVAL, "--memory: more than 0, or -1 for no limit");
	r = made(d, json_edit_set(d->a, memory, "limit", json_edit_number(d->a, v)));
	return r < 0 ? r : lift_swap(d, memory, v);
}

#define CPU_PERIOD 100000
#define CPU_QUOTA_MIN 1000 /* the kernel's: 1 ms */
#define CPUS_MAX 100000

/* "1.5" to microseconds of a period; digits beyond what the period can tell are cut off. */
static int parse_cpus(struct editor *d, int64_t *quota)
{
	const char *text = d->ed->cpus, *dot = strchrnul(text, '.');
	size_t whole = (size_t)(dot - text), frac = strlen(dot);
	char digits[16] = "";
	uint64_t v, part = 0;
	uint64_t unit = CPU_PERIOD / 10;

	if (whole == 0 || whole >= sizeof(digits) || frac == 1 || frac > 10)
		goto bad;
	memcpy(digits, text, whole);
	if (str_to_u64(digits, CPUS_MAX, &v) < 0)
		goto bad;
	for (const char *s = *dot ? dot + 1 : dot; *s; s++, unit /= 10) {
		if (*s < '0' || *s > '9')
			goto bad;
		part += (uint64_t)(*s - '0') * unit;
	}
	*quota = (int64_t)(v * CPU_PERIOD + part);
	if (*quota < CPU_QUOTA_MIN)
		return err_set(d->e, EINVAL, "--cpus: at least 0.01: %s", text);
	return 0;
bad:
	return err_set(d->e, EINVAL, "--cpus: not a number of processors: %s", text);
}

static int edit_cpus(struct editor *d)
{
	struct json *cpu;
	int64_t quota = 0;
	int r = parse_cpus(d, &quota);

	if (r == 0)
		r = resource(d, "cpu", &cpu);
	if (r < 0)
		return r;
	if (!json_edit_set(d->a, cpu, "quota", json_edit_number(d->a, quota)))
		return no_memory(d);
	return made(d, json_edit_set(d->a, cpu, "period", json_edit_number(d->a, CPU_PERIOD)));
}

static int edit_pids(struct editor *d)
{
	struct json *pids;
	int r = resource(d, "pids", &pids);

	if (r < 0)
		return r;
	return made(d, json_edit_set(d->a, pids, "limit",
				     json_edit_number(d->a, d->ed->pids_limit.v)));
}

static int edit_read_only(struct editor *d)
{
	struct json *root;
	int r = member(d, d->root, "root", JSON_OBJECT, &root);

	return r < 0 ? r
		     : made(d, json_edit_set(d->a, root, "readonly", json_edit_bool(d->a, true)));
}

static int edit_hostname(struct editor *d)
{
	if (!*d->ed->hostname)
		return err_set(d->e, EINVAL, "--hostname: the name is empty");
	return made(d, json_edit_set(d->a, d->root, "hostname",
				     json_edit_string(d->a, d->ed->hostname)));
}

/* The pieces of SRC:DST[:OPTIONS]; cut in place. */
struct volume {
	const char *source, *destination;
	char *options;
};

static int split_volume(struct editor *d, const char *text, struct volume *v)
{
	char *s = arena_strdup(d->a, text), *dst, *options;

	if (!s)
		return no_memory(d);
	dst = strchr(s, ':');
	if (!dst || dst == s)
		return err_set(d->e, EINVAL, "--volume: not SRC:DST[:OPTIONS]: %s", text);
	*dst++ = '\0';
	options = strchr(dst, ':');
	if (options) {
		*options++ = '\0';
		if (strchr(options, ':'))
			return err_set(d->e, EINVAL, "--volume: not SRC:DST[:OPTIONS]: %s", text);
	}
	if (dst[0] != '/' || dst[strspn(dst, "/.")] == '\0')
		return err_set(d->e, EINVAL, "--volume: not an absolute path below /: %s", dst);
	*v = (struct volume){ .source = s, .destination = dst, .options = options };
	if (s[0] != '/') {
		char cwd[PATH_MAX];

		if (!getcwd(cwd, sizeof(cwd)))
			return err_sys(d->e, errno, "--volume: current directory");
		v->source = arena_printf(d->a, "%s/%s", cwd, s);
	}
	return made(d, v->source);
}

/* z and Z ask for a new SELinux label: nothing to do where there is no SELinux. */
static int relabel(struct editor *d, const char *option)
{
	if (access("/sys/fs/selinux/enforce", F_OK) == 0)
		return err_set(d->e, ENOTSUP, "--volume: relabelling is not supported: %s", option);
	return 0;
}

static int volume_options(struct editor *d, struct volume *v, struct json *list)
{
	bool bind = false, propagation = false;
	char *save = NULL;

	for (char *s = strtok_r(v->options ? v->options : "", ",", &save); s;
	     s = strtok_r(NULL, ",", &save)) {
		const struct mount_option *m;

		if (str_eq(s, "z") || str_eq(s, "Z")) {
			int r = relabel(d, s);

			if (r < 0)
				return r;
			continue;
		}
		m = names_mount_option(s);
		if (!m || m->kind == MOPT_REMOUNT)
			return err_set(d->e, EINVAL, "--volume: unknown option: %s", s);
		bind = bind || m->kind == MOPT_BIND;
		propagation = propagation || m->kind == MOPT_PROPAGATION;
		if (!json_edit_push(d->a, list, json_edit_string(d->a, s)))
			return no_memory(d);
	}
	if (!bind && !json_edit_push(d->a, list, json_edit_string(d->a, "rbind")))
		return no_memory(d);
	return propagation
		       ? 0
		       : made(d, json_edit_push(d->a, list, json_edit_string(d->a, "rprivate")));
}

static int push_bind(struct editor *d, struct json *mounts, const char *destination,
		     const char *source, struct json *options)
{
	struct json *m = json_edit_new(d->a, JSON_OBJECT);

	if (!json_edit_set(d->a, m, "destination", json_edit_string(d->a, destination)) ||
	    !json_edit_set(d->a, m, "type", json_edit_string(d->a, "bind")) ||
	    !json_edit_set(d->a, m, "source", json_edit_string(d->a, source)) ||
	    !json_edit_set(d->a, m, "options", options))
		return no_memory(d);
	return made(d, json_edit_push(d->a, mounts, m));
}

static int add_volume(struct editor *d, struct json *mounts, const char *text)
{
	struct json *options = json_edit_new(d->a, JSON_ARRAY);
	struct volume v;
	int r = split_volume(d, text, &v);

	if (r == 0)
		r = made(d, options);
	if (r == 0)
		r = volume_options(d, &v, options);
	return r < 0 ? r : push_bind(d, mounts, v.destination, v.source, options);
}

static int edit_volumes(struct editor *d)
{
	struct json *mounts;
	int r = member(d, d->root, "mounts", JSON_ARRAY, &mounts);

	for (size_t i = 0; r == 0 && i < d->ed->volumes.n; i++)
		r = add_volume(d, mounts, d->ed->volumes.v[i]);
	return r;
}

/* Last, so that nothing else is mounted over it. */
static int edit_notify(struct editor *d)
{
	static const char *const words[] = {
		"bind", "rprivate", "ro", "nosuid", "nodev", "noexec"
	};
	const char *pair = "NOTIFY_SOCKET=" SPEC_NOTIFY_SOCKET;
	struct json *p, *env, *mounts, *options = json_edit_new(d->a, JSON_ARRAY);
	int r = process(d, &p);

	if (r == 0)
		r = member(d, p, "env", JSON_ARRAY, &env);
	if (r == 0)
		r = put_env(d, env, pair, strcspn(pair, "="));
	if (r == 0)
		r = member(d, d->root, "mounts", JSON_ARRAY, &mounts);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!json_edit_push(d->a, options, json_edit_string(d->a, words[i])))
			return no_memory(d);
	return push_bind(d, mounts, SPEC_NOTIFY_DIR, d->ed->notify, options);
}

static int check_texts(struct editor *d, const char *option, const struct spec_strings *l)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = check_text(d, option, l->v[i]);
	return r;
}

static int check_all(struct editor *d)
{
	int r = check_texts(d, "COMMAND", &d->ed->args);

	if (r == 0)
		r = check_texts(d, "--env", &d->ed->env);
	if (r == 0)
		r = check_texts(d, "--volume", &d->ed->volumes);
	if (r == 0)
		r = check_text(d, "--workdir", d->ed->cwd);
	return r < 0 ? r : check_text(d, "--hostname", d->ed->hostname);
}

static int apply(struct editor *d)
{
	const struct spec_edit *ed = d->ed;
	const struct {
		bool wanted;
		int (*edit)(struct editor *d);
	} edits[] = {
		{ ed->args.n > 0, edit_args },
		{ ed->env.n > 0, edit_env },
		{ ed->cwd, edit_cwd },
		{ ed->user, edit_user },
		{ ed->terminal.set, edit_terminal },
		{ ed->memory.set, edit_memory },
		{ ed->cpus, edit_cpus },
		{ ed->pids_limit.set, edit_pids },
		{ ed->volumes.n > 0, edit_volumes },
		{ ed->read_only, edit_read_only },
		{ ed->hostname, edit_hostname },
		{ ed->notify, edit_notify },
	};
	int r = check_all(d);

	if (r == 0 && ed->net)
		r = spec_edit_network(d->a, d->root, ed->net, d->e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(edits); i++)
		if (edits[i].wanted)
			r = edits[i].edit(d);
	return r;
}

int spec_edit_apply(const char *text, size_t len, const struct spec_edit *ed, char **out,
		    size_t *outlen, struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	AUTO(json_out_free) struct json_out j = {};
	struct editor d = { .a = &a, .ed = ed, .e = e };
	int r = json_parse(&a, "config.json", text, len, &d.root, e);

	if (r < 0)
		return r;
	if (d.root->type != JSON_OBJECT)
		return err_set(e, EINVAL, "config.json: not an object");
	r = apply(&d);
	if (r < 0)
		return r;
	r = json_edit_emit(&j, d.root, e);
	if (r < 0)
		return err_wrap(e, "config.json");
	if (j.buf.failed)
		return no_memory(&d);
	if (outlen)
		*outlen = j.buf.len;
	*out = TAKE_PTR(j.buf.s);
	return 0;
}
