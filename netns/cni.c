/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni.json is there before the first plugin runs: whatever ends ctr in between, a DEL later finds
 * what may have been made. DEL is what every plugin has to bear at any time, also when it has done
 * nothing yet.
 */
#include "netns/cni.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "netns/cni_json.h"
#include "netns/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define CONF_DIR "/etc/cni/net.d"
#define PLUGIN_PATH "/usr/lib/cni:/opt/cni/bin"
#define CONF_MAX ((size_t)1 << 20)
#define ANSWER_MAX ((size_t)1 << 20)
#define CACHE_MAX ((size_t)4 << 20)
#define PLUGIN_SECONDS 60

/* One run of all plugins. */
struct session {
	struct arena *a;
	const char *id;
	int netns_fd, dir;
	char netns[PATH_MAX]; /* CNI_NETNS; "": there is none any more */
	struct cni_cache c;
};

/* The variable, unless it is empty. */
static const char *setting(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

/* ---- the configuration ---- */

static bool is_conf(const char *name)
{
	return name[0] != '.' &&
	       (str_ends(name, ".conf") || str_ends(name, ".conflist") || str_ends(name, ".json"));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int conf_names(const char *path, struct str_list *out, struct err *e)
{
	AUTO_CLOSEDIR DIR *d = opendir(path);
	struct dirent *de;

	if (!d)
		return err_sys(e, errno, "CNI configurations in %s", path);
	while ((de = readdir(d)) != NULL)
		if (is_conf(de->d_name) && str_list_add(out, de->d_name) < 0)
			return err_sys(e, ENOMEM, "CNI configurations");
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
	return 0;
}

static int read_conf(struct arena *a, const char *dir, const char *name, struct cni_list *out,
		     struct err *e)
{
	AUTO_FREE char *path = str_printf("%s/%s", dir, name), *text = NULL;
	size_t len;
	int r = path ? io_read_file(AT_FDCWD, path, CONF_MAX, &text, &len) : -ENOMEM;

	if (r < 0)
		return err_sys(e, -r, "CNI configuration %s/%s", dir, name);
	return cni_list_parse(a, path, text, len, out, e);
}

/* A file that is broken is an error only when the network is nowhere else. */
static int find_conf(struct arena *a, const char *network, struct cni_list *out, struct err *e)
{
	const char *dir = setting("NETCONFPATH", CONF_DIR);
	AUTO(str_list_free) struct str_list names = {};
	AUTO(str_buf_free) struct str_buf others = {};
	struct err broken = {}, one;
	struct cni_list l;
	int r = conf_names(dir, &names, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < names.n; i++) {
		if (read_conf(a, dir, names.v[i], &l, &one) < 0) {
			if (!broken.code)
				broken = one;
			continue;
		}
		if (str_eq(l.name, network)) {
			*out = l;
			return 0;
		}
		str_buf_addf(&others, "%s%s", others.len ? ", " : "", l.name);
	}
	if (broken.code) {
		*e = broken;
		return err_wrap(e, "network cni:%s", network);
	}
	return err_set(e, ENOENT, "network cni:%s: no configuration in %s has this name (%s)",
		       network, dir, others.len && !others.failed ? others.s : "there is none");
}

/* ---- plugins ---- */

/* Where the plugin is, malloc'ed. */
static int find_plugin(const char *search, const char *type, char **out, struct err *e)
{
	AUTO_FREE char *list = strdup(search);
	char *save = NULL;

	if (!list)
		return err_sys(e, ENOMEM, "CNI plugin %s", type);
	for (char *d = strtok_r(list, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
		AUTO_FREE char *path = str_printf("%s/%s", d, type);

		if (path && access(path, X_OK) == 0) {
			*out = TAKE_PTR(path);
			return 0;
		}
	}
	return err_set(e, ENOENT, "CNI plugin %s: not installed in %s", type, search);
}

static int plugin_env(const struct session *s, const char *command, struct str_list *env,
		      struct err *e)
{
	const struct {
		const char *name, *value;
	} all[] = {
		{ "CNI_COMMAND", command },
		{ "CNI_CONTAINERID", s->id },
		{ "CNI_IFNAME", s->c.ifname },
		{ "CNI_NETNS", s->netns },
		{ "CNI_PATH", s->c.path },
		{ "CNI_ARGS", "IgnoreUnknown=1" },
		{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all) && r == 0; i++) {
		AUTO_FREE char *pair = str_printf("%s=%s", all[i].name, all[i].value);

		r = pair ? str_list_add(env, pair) : -ENOMEM;
	}
	return r < 0 ? err_sys(e, ENOMEM, "CNI") : 0;
}

/* One plugin; *answer is what it wrote when it succeeded. */
static int plugin_run(const struct session *s, size_t i, const char *command, struct json *prev,
		      struct run_result *answer, struct err *e)
{
	const char *type = cni_plugin_type(&s->c.list, i);
	AUTO_FREE char *path = NULL, *in = NULL;
	AUTO(str_list_free) struct str_list env = {};
	char *argv[] = { (char *)(uintptr_t)type, NULL };
	size_t len;
	int r = find_plugin(s->c.path, type, &path, e);

	if (r == 0)
		r = cni_input(s->a, &s->c.list, i, s->c.runtime, prev, &in, &len, e);
	if (r == 0)
		r = plugin_env(s, command, &env, e);
	if (r == 0) {
		const struct run_request q = { .path = path,
					       .argv = argv,
					       .envp = env.v,
					       .in = in,
					       .in_len = len,
					       .out_max = ANSWER_MAX,
					       .seconds = PLUGIN_SECONDS };

		r = run_program(&q, answer, e);
		if (r < 0)
			err_wrap(e, "CNI plugin %s", type);
	}
	if (r == 0 && answer->status)
		r = cni_failure(type, answer->out ? answer->out : "", answer->len, answer->err, e);
	log_debug("CNI %s %s: %s", command, type, r < 0 ? e->msg : "done");
	return r;
}

/* ---- cni.json ---- */

static int save(const struct session *s, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = cni_cache_format(s->a, &s->c, &text, &len, e);

	if (r < 0)
		return r;
	r = io_write_atomic(s->dir, CNI_FILE, text, len, 0600);
	return r < 0 ? err_sys(e, -r, "write " CNI_FILE) : 0;
}

/* 1: there is none. */
static int load(struct session *s, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = io_read_file(s->dir, CNI_FILE, CACHE_MAX, &text, &len);

	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return err_sys(e, -r, "read " CNI_FILE);
	return cni_cache_parse(s->a, text, len, &s->c, e);
}

/* ---- the network namespace ---- */

static void kept_path(char path[48], int dir)
{
	snprintf(path, 48, "/proc/self/fd/%d/" CNI_NETNS, dir);
}

/* Where it cannot be mounted, DEL is without it, which CNI allows. */
static void keep_netns(const struct session *s)
{
	AUTO_CLOSE int fd = openat(s->dir, CNI_NETNS, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char from[32], to[48];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", s->netns_fd);
	kept_path(to, s->dir);
	if (fd < 0 || mount(from, to, NULL, MS_BIND, NULL) < 0) {
		log_debug("network cni:%s: keep the network namespace: %m", s->c.list.name);
		if (fd >= 0)
			unlinkat(s->dir, CNI_NETNS, 0);
	}
}

static bool is_kept(int dir)
{
	AUTO_CLOSE int fd = openat(dir, CNI_NETNS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

/*
 * The same name from ADD to DEL: plugins write it into their answers, and CHECK compares. Where the
 * namespace is not kept it is a descriptor of this process, which waits for them.
 */
static void name_netns(struct session *s)
{
	char link[32], dir[PATH_MAX - sizeof("/" CNI_NETNS)];
	ssize_t n = -1;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", s->dir);
	if (is_kept(s->dir))
		n = readlink(link, dir, sizeof(dir) - 1);
	if (n > 0)
		snprintf(s->netns, sizeof(s->netns), "%.*s/" CNI_NETNS, (int)n, dir);
	else if (s->netns_fd >= 0)
		snprintf(s->netns, sizeof(s->netns), "/proc/%d/fd/%d", (int)getpid(), s->netns_fd);
}

static void drop_netns(int dir)
{
	char path[48];

	kept_path(path, dir);
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	unlinkat(dir, CNI_NETNS, 0);
}

/* ---- the three commands ---- */

/* Finds everything that is needed before something is made. */
static int prepare(struct session *s, const struct cni_request *q, struct err *e)
{
	int r;

	s->id = q->id;
	s->netns_fd = q->netns_fd;
	s->dir = q->dir;
	s->c.ifname = q->ifname;
	s->c.path = setting("CNI_PATH", PLUGIN_PATH);
	s->c.runtime = cni_runtime(s->a, q);
	r = s->c.runtime ? find_conf(s->a, q->network, &s->c.list, e)
			 : err_sys(e, ENOMEM, "network cni:%s", q->network);
	if (r == 0)
		r = cni_check_capabilities(&s->c.list, s->c.runtime, e);
	for (size_t i = 0; r == 0 && i < s->c.list.plugins->n; i++) {
		AUTO_FREE char *path = NULL;

		r = find_plugin(s->c.path, cni_plugin_type(&s->c.list, i), &path, e);
		if (r < 0)
			err_wrap(e, "network cni:%s", q->network);
	}
	return r;
}

int cni_find(const struct cni_request *q, struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	struct session s = { .a = &a };

	return prepare(&s, q, e);
}

/* All, last first, whatever fails; the first failure is the result. */
static int del_all(const struct session *s, struct err *e)
{
	int first = 0;

	for (size_t i = s->c.list.plugins->n; i-- > 0;) {
		AUTO(run_result_free) struct run_result answer = {};
		struct json *prev = cni_has_check(&s->c.list) ? s->c.result : NULL;
		struct err one = {};
		int r = plugin_run(s, i, "DEL", prev, &answer, &one);

		if (r < 0 && first == 0) {
			first = r;
			*e = one;
		}
	}
	if (first == 0)
		drop_netns(s->dir);
	if (first == 0 && unlinkat(s->dir, CNI_FILE, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove " CNI_FILE);
	return first;
}

static int add_all(struct session *s, struct err *e)
{
	struct json *prev = NULL;

	for (size_t i = 0; i < s->c.list.plugins->n; i++) {
		AUTO(run_result_free) struct run_result answer = {};
		int r = plugin_run(s, i, "ADD", prev, &answer, e);

		if (r == 0)
			r = cni_answer(s->a, cni_plugin_type(&s->c.list, i), answer.out, answer.len,
				       &prev, e);
		if (r < 0)
			return r;
	}
	s->c.result = prev;
	return 0;
}

int cni_add(const struct cni_request *q, struct arena *a, struct cni_result *out, struct err *e)
{
	struct session s = { .a = a };
	struct err undo = {};
	int r = prepare(&s, q, e);

	if (r == 0)
		r = save(&s, e);
	if (r < 0)
		return r;
	keep_netns(&s);
	name_netns(&s);
	r = add_all(&s, e);
	if (r == 0)
		r = cni_result_read(a, s.c.result, q->ifname, out, e);
	if (r == 0)
		r = save(&s, e);
	if (r == 0)
		return 0;
	err_wrap(e, "network cni:%s", q->network);
	if (del_all(&s, &undo) < 0)
		log_warn("network cni:%s: undo: %s", q->network, undo.msg);
	/* The container is not made: nobody would come back for it. */
	drop_netns(q->dir);
	unlinkat(q->dir, CNI_FILE, 0);
	return r;
}

int cni_known(int dir, struct arena *a, const char **network, struct cni_result *out, struct err *e)
{
	struct session s = { .a = a, .dir = dir };
	int r = load(&s, e);

	if (r > 0 || (r == 0 && !s.c.result))
		return err_set(e, ENOENT, CNI_FILE ": no network was made");
	if (r == 0)
		r = cni_result_read(a, s.c.result, s.c.ifname, out, e);
	if (r == 0)
		*network = s.c.list.name;
	return r;
}

int cni_ports(int dir, struct arena *a, struct ip_port **out, size_t *n, struct err *e)
{
	struct session s = { .a = a, .dir = dir };
	int r = load(&s, e);

	*n = 0;
	return r == 0 ? cni_runtime_ports(a, s.c.runtime, out, n, e) : r < 0 ? r : 0;
}

int cni_check(const char *id, int netns_fd, int dir, struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	struct session s = { .a = &a, .id = id, .netns_fd = netns_fd, .dir = dir };
	int r = load(&s, e);

	if (r > 0 || (r == 0 && !s.c.result))
		return err_set(e, ENOENT, "container %s: no network of CNI was made for it", id);
	if (r < 0 || s.c.list.disable_check)
		return r;
	if (!cni_has_check(&s.c.list))
		return err_set(e, EOPNOTSUPP, "network cni:%s: CHECK is known from version 0.4.0",
			       s.c.list.name);
	name_netns(&s);
	if (!s.netns[0])
		return err_set(e, EOPNOTSUPP,
			       "network cni:%s: CHECK: its network namespace could not be kept",
			       s.c.list.name);
	for (size_t i = 0; i < s.c.list.plugins->n && r == 0; i++) {
		AUTO(run_result_free) struct run_result answer = {};

		r = plugin_run(&s, i, "CHECK", s.c.result, &answer, e);
	}
	return r < 0 ? err_wrap(e, "network cni:%s", s.c.list.name) : 0;
}

int cni_del(const char *id, int netns_fd, int dir, struct err *e)
{
	AUTO(arena_free) struct arena a = {};
	struct session s = { .a = &a, .id = id, .netns_fd = netns_fd, .dir = dir };
	int r = load(&s, e);

	if (r != 0)
		return r < 0 ? r : 0;
	name_netns(&s);
	r = del_all(&s, e);
	return r < 0 ? err_wrap(e, "network cni:%s", s.c.list.name) : 0;
}
