/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/annotations.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/json.h"
#include "oci/spec_field.h"

#include <errno.h>
#include <sys/un.h>

/* What a row's reader works on. */
struct reader {
	struct arena *arena;
	struct annotations *out;
	const char *key, *value;
	struct err *e;
};

static int bad(const struct reader *r, int code, const char *why)
{
	struct json_path at = {};

	json_path_key(&at, "annotations");
	json_path_key(&at, r->key);
	return err_set(r->e, code, "%s: %s: \"%.80s\"", at.s, why, r->value);
}

static int read_switch(const struct reader *r, bool *out)
{
	static const struct {
		const char *word;
		bool on;
	} words[] = {
		{ "1", true }, { "true", true }, { "", false }, { "0", false }, { "false", false }
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(r->value, words[i].word)) {
			*out = words[i].on;
			return 0;
		}
	return bad(r, EINVAL, "neither \"1\" nor \"0\"");
}

static int read_path(const struct reader *r, const char **out)
{
	if (r->value[0] != '/')
		return bad(r, EINVAL, "not an absolute path");
	*out = r->value;
	return 0;
}

static int read_socket(const struct reader *r, const char **out)
{
	if (strlen(r->value) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return bad(r, EINVAL, "longer than the name of a socket can be");
	return read_path(r, out);
}

static int keep_groups(const struct reader *r)
{
	return read_switch(r, &r->out->keep_groups);
}

static int fail_unknown_syscall(const struct reader *r)
{
	return read_switch(r, &r->out->fail_unknown_syscall);
}

/* How long a micro-VM's kernel may take until ctr runs in the guest. */
static int boot_timeout(const struct reader *r)
{
	uint64_t s;

	if (str_to_u64(r->value, 86400, &s) < 0 || s == 0)
		return bad(r, EINVAL, "not a number of seconds");
	r->out->boot_timeout = (unsigned int)s;
	return 0;
}

static int hooks_stdout(const struct reader *r)
{
	return read_path(r, &r->out->hooks_stdout);
}

static int hooks_stderr(const struct reader *r)
{
	return read_path(r, &r->out->hooks_stderr);
}

static int pidfd_receiver(const struct reader *r)
{
	return read_socket(r, &r->out->pidfd_receiver);
}

static int seccomp_receiver(const struct reader *r)
{
	return read_socket(r, &r->out->seccomp_receiver);
}

static int mount_context(const struct reader *r)
{
	static const char *const types[] = { "context", "fscontext", "defcontext", "rootcontext" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_eq(r->value, types[i])) {
			r->out->mount_context = types[i];
			return 0;
		}
	return bad(r, EINVAL, "not a type of SELinux mount context");
}

static int digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Base64 of whole groups. The length, or -EINVAL. */
static ssize_t decode(const char *s, size_t n, unsigned char *out)
{
	size_t len = 0, pad = n && s[n - 1] == '=' ? 1 + (n > 1 && s[n - 2] == '=') : 0;

	for (size_t i = 0; i < n; i += 4) {
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = i + k >= n - pad ? 0 : digit(s[i + k]);

			if (d < 0)
				return -EINVAL;
			v = v << 6 | (uint32_t)d;
		}
		for (int shift = 16; shift >= 0; shift -= 8)
			out[len++] = (unsigned char)(v >> shift);
	}
	return (ssize_t)(len - pad);
}

static int bpf_data(const struct reader *r)
{
	size_t n = strlen(r->value);
	unsigned char *out = arena_alloc(r->arena, n / 4 * 3 + 1);
	ssize_t len;

	if (!out)
		return bad(r, ENOMEM, "out of memory");
	len = n && n % 4 == 0 ? decode(r->value, n, out) : -EINVAL;
	if (len < 0)
		return bad(r, EINVAL, "not base64");
	if (len % 8)
		return bad(r, EINVAL, "not whole BPF instructions");
	r->out->bpf = out;
	r->out->bpf_len = (size_t)len;
	return 0;
}

static const struct field landlock_rows[] = {
	{ "read", FIELD_STRINGS, .check = field_absolute,
	  .offset = offsetof(struct landlock_rules, read) },
	{ "write", FIELD_STRINGS, .check = field_absolute,
	  .offset = offsetof(struct landlock_rules, write) },
	{ "exec", FIELD_STRINGS, .check = field_absolute,
	  .offset = offsetof(struct landlock_rules, exec) },
};
static const struct field_table landlock_table = { FIELD_TABLE(struct landlock_rules,
							       landlock_rows) };

/*
 * Unlike the specification's objects this one forgives no unknown key: it would be a right not
 * given.
 */
static int landlock_keys(const struct reader *r, struct arena *a)
{
	struct json *root;
	int rc = json_parse(a, "annotations[\"org.ctr.landlock\"]", r->value, strlen(r->value),
			    &root, r->e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; root->type == JSON_OBJECT && i < root->n; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_SIZE(landlock_rows); k++)
			known |= str_eq(root->keys[i], landlock_rows[k].name);
		if (!known)
			return err_set(r->e, EINVAL,
				       "annotations[\"org.ctr.landlock\"]: %.80s: unknown field",
				       root->keys[i]);
	}
	return 0;
}

static int landlock(const struct reader *r)
{
	struct landlock_rules *rules = arena_alloc(r->arena, sizeof(*rules));
	int rc;

	if (!rules)
		return bad(r, ENOMEM, "out of memory");
	rc = landlock_keys(r, r->arena);
	if (rc == 0)
		rc = field_document(r->arena, "annotations[\"org.ctr.landlock\"]", r->value,
				    strlen(r->value), &landlock_table, rules, r->e);
	r->out->landlock = rules;
	return rc;
}

/* The mode is chosen before (runtime/). */
static int isolation(const struct reader *r)
{
	(void)r;
	return 0;
}

static int handler(const struct reader *r)
{
	if (!*r->value || str_eq(r->value, "ctr"))
		return 0;
	if (str_eq(r->value, "krun"))
		return bad(r, ENOTSUP,
			   "another runtime's handler (for a micro-VM: org.ctr.isolation=vm)");
	return bad(r, ENOTSUP, "ctr has no such handler");
}

/* No sub-cgroup is made for init: only what asks for none is honoured. */
static int systemd_subgroup(const struct reader *r)
{
	return *r->value ? bad(r, ENOTSUP, "ctr makes no sub-cgroup for the container's init") : 0;
}

static const struct {
	const char *key;
	int (*read)(const struct reader *r);
} rows[] = {
	{ "run.oci.keep_original_groups", keep_groups },
	{ "run.oci.hooks.stdout", hooks_stdout },
	{ "run.oci.hooks.stderr", hooks_stderr },
	{ "run.oci.pidfd_receiver", pidfd_receiver },
	{ "run.oci.seccomp.receiver", seccomp_receiver },
	{ "run.oci.seccomp_fail_unknown_syscall", fail_unknown_syscall },
	{ "run.oci.seccomp_bpf_data", bpf_data },
	{ "run.oci.mount_context_type", mount_context },
	{ "run.oci.handler", handler },
	{ "run.oci.systemd.subgroup", systemd_subgroup },
	{ "org.ctr.landlock", landlock },
	{ "org.ctr.isolation", isolation },
	{ "org.ctr.vm.boot-timeout", boot_timeout },
};

/* What crun does with these changes how isolated a container is, or what it can do. */
static const char *const not_done[] = {
	"run.oci.seccomp.plugins",
	"run.oci.delegate-cgroup",
	"run.oci.systemd.force_cgroup_v1",
	"run.oci.timens_offset",
};

/* krun.*, module.wasm.* and whatever else belong to others, who alone know what they mean. */
static bool ours(const char *key)
{
	return str_after(key, "run.oci.") || str_after(key, "org.ctr.");
}

static int read_one(const struct reader *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_eq(rows[i].key, r->key))
			return rows[i].read(r);
	for (size_t i = 0; i < ARRAY_SIZE(not_done); i++)
		if (str_eq(not_done[i], r->key))
			return bad(r, ENOTSUP, "not supported by ctr");
	if (str_after(r->key, "org.ctr."))
		return bad(r, ENOTSUP, "not supported by ctr");
	r->out->unknown = r->key;
	return 0;
}

int annotations_read(const struct spec *s, struct arena *a, struct annotations *out, struct err *e)
{
	struct annotations found = { .mount_context = "context" };

	for (size_t i = 0; i < s->annotations.n; i++) {
		struct reader r = {
			.arena = a,
			.out = &found,
			.e = e,
			.key = s->annotations.v[i].key,
			.value = s->annotations.v[i].value,
		};
		int rc = ours(r.key) ? read_one(&r) : 0;

		if (rc < 0)
			return rc;
	}
	*out = found;
	return 0;
}
