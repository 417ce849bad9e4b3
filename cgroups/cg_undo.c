/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_undo.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>

#define FILE_MAX ((size_t)1 << 20)

/* Files of many lines: what stands for a line that is not there. The first match counts. */
static const struct {
	const char *file; /* its beginning */
	const char *absent;
} keyed[] = {
	{ "blkio.throttle.", "0" },
	{ "blkio.", "default" }, /* weights */
	{ "io.weight", "default" },
	{ "io.bfq.weight", "default" },
	{ "io.max", "rbps=max wbps=max riops=max wiops=max" },
	{ "io.latency", "target=0" },
	{ "rdma.max", "hca_handle=max hca_object=max" },
	{ "misc.max", "max" },
	{ "dmem.max", "max" },
	{ "dmem.low", "0" },
	{ "dmem.min", "0" },
	{ "net_prio.ifpriomap", "0" },
};

static const char *absent_line(const char *file)
{
	for (size_t i = 0; i < ARRAY_SIZE(keyed); i++)
		if (str_after(file, keyed[i].file))
			return keyed[i].absent;
	return NULL;
}

/* The line that begins with the word key (len bytes), or NULL. */
static const char *find_line(const char *text, const char *key, size_t len)
{
	while (*text) {
		if (strncmp(text, key, len) == 0 && text[len] == ' ')
			return text;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return NULL;
}

static char *copy_line(const char *line)
{
	return strndup(line, strcspn(line, "\n"));
}

char *cg_undo_text(const char *file, const char *now, const char *value)
{
	size_t len = strcspn(value, " ");
	const char *absent = absent_line(file), *line;

	if (str_eq(file, "memory.oom_control")) {
		line = str_after(now, "oom_kill_disable ");
		return line ? copy_line(line) : NULL;
	}
	if (absent && value[len]) {
		line = find_line(now, value, len);
		return line ? copy_line(line) : str_printf("%.*s %s", (int)len, value, absent);
	}
	if (absent) {
		line = find_line(now, "default", strlen("default"));
		return copy_line(line ? line : now);
	}
	/* An empty list of processors or nodes is a value: that of the cgroup above. */
	if (!*now)
		return str_after(file, "cpuset.") ? strdup("\n") : NULL;
	line = strchr(now, '\n');
	return line && line[1] ? NULL : copy_line(now);
}

int cg_undo_save(struct cg_undo *u, const char *dir, const char *file, const char *value)
{
	AUTO_FREE char *path = str_printf("%s/%s", dir, file);
	AUTO_FREE char *now = NULL;

	if (u->n == u->cap) {
		size_t cap = u->cap ? u->cap * 2 : 16;
		struct cg_undo_one *v = reallocarray(u->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		u->v = v;
		u->cap = cap;
	}
	if (!path)
		return -ENOMEM;
	if (io_read_file(AT_FDCWD, path, FILE_MAX, &now, NULL) < 0)
		TAKE_PTR(now);
	u->v[u->n++] = (struct cg_undo_one){
		.value = now ? cg_undo_text(file, now, value) : NULL,
		.path = TAKE_PTR(path),
	};
	return 0;
}

void cg_undo_drop(struct cg_undo *u)
{
	u->n--;
	free(u->v[u->n].path);
	free(u->v[u->n].value);
}

void cg_undo_run(const struct cg_undo *u)
{
	for (size_t i = u->n; i > 0; i--) {
		const struct cg_undo_one *o = &u->v[i - 1];
		int r = o->value ? io_write_file(AT_FDCWD, o->path, o->value) : -ENODATA;

		if (r < 0)
			log_warn("put back %s in %s: %s", o->value ? o->value : "what was", o->path,
				 strerrordesc_np(-r));
	}
}

void cg_undo_free(struct cg_undo *u)
{
	while (u->n > 0)
		cg_undo_drop(u);
	free(u->v);
	*u = (struct cg_undo){ 0 };
}
