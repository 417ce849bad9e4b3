/* SPDX-License-Identifier: Apache-2.0 */
#include "namespaces/idmap.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/path.h"
#include "namespaces/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

#define TOOL_SECONDS 30

char *idmap_text(const struct spec_idmaps *m)
{
	struct str_buf b = { 0 };

	str_buf_add(&b, "");
	for (size_t i = 0; i < m->n; i++)
		str_buf_addf(&b, "%u %u %u\n", m->v[i].container, m->v[i].host, m->v[i].size);
	if (!b.failed)
		return b.s ? b.s : strdup("");
	str_buf_free(&b);
	return NULL;
}

int64_t idmap_to_host(const struct spec_idmaps *m, uint32_t id)
{
	for (size_t i = 0; i < m->n; i++)
		if (id >= m->v[i].container && id - m->v[i].container < m->v[i].size)
			return (int64_t)m->v[i].host + (id - m->v[i].container);
	return -1;
}

/* ---- the maps of a process ---- */

/* newuidmap PID CONTAINER HOST SIZE ...: checks /etc/subuid and writes the map with its file
 * capability. */
static int run_helper(const char *tool, pid_t pid, const struct spec_idmaps *m, struct err *e)
{
	AUTO_FREE char **argv = calloc(3 * m->n + 3, sizeof(char *));
	AUTO_FREE char(*num)[16] = calloc(3 * m->n + 1, sizeof(*num));
	size_t n = 0;

	if (!argv || !num)
		return err_sys(e, ENOMEM, "run %s", tool);
	argv[n] = (char *)tool;
	snprintf(num[n++], sizeof(*num), "%d", pid);
	argv[n] = num[0];
	for (size_t i = 0; i < m->n; i++) {
		const uint32_t v[] = { m->v[i].container, m->v[i].host, m->v[i].size };

		for (size_t j = 0; j < ARRAY_SIZE(v); j++, n++) {
			snprintf(num[n], sizeof(*num), "%u", v[j]);
			argv[n + 1] = num[n];
		}
	}
	return tool_run(argv, TOOL_SECONDS, e);
}

/* The one map that the kernel takes from anybody: the writer's own id, alone. */
static bool is_own(const struct spec_idmaps *m, uint32_t id)
{
	return m->n == 1 && m->v[0].size == 1 && m->v[0].host == id;
}

static int write_map(int proc_fd, const char *file, const struct spec_idmaps *m)
{
	AUTO_FREE char *text = idmap_text(m);

	return text ? io_write_file(proc_fd, file, text) : -ENOMEM;
}

/* The two maps differ in names only. */
static int put_map(int proc_fd, pid_t pid, bool group, const struct spec_idmaps *m, struct err *e)
{
	const char *file = group ? "gid_map" : "uid_map", *tool = group ? "newgidmap" : "newuidmap";
	struct err why = { 0 };
	int r;

	if (!m->n)
		return 0;
	/* Whoever may not call setgroups for the outside may not map a group without giving it up
	 * inside. */
	if (group && geteuid() != 0 && is_own(m, getegid())) {
		r = io_write_file(proc_fd, "setgroups", "deny");
		if (r < 0 && r != -ENOENT)
			return err_sys(e, -r, "write setgroups of process %d", pid);
	}
	r = write_map(proc_fd, file, m);
	if (r == 0)
		return 0;
	if (r != -EPERM)
		return err_sys(e, -r, "write %s of process %d", file, pid);
	r = run_helper(tool, pid, m, &why);
	if (r == -ENOENT)
		return err_set(e, EPERM, "write %s of process %d: Operation not permitted, and %s",
			       file, pid, why.msg);
	return r < 0 ? err_set(e, -r, "write %s of process %d: %s", file, pid, why.msg) : 0;
}

static int write_maps(int proc_fd, pid_t pid, const struct spec_idmaps *uids,
		      const struct spec_idmaps *gids, struct err *e)
{
	int r = put_map(proc_fd, pid, false, uids, e);

	return r < 0 ? r : put_map(proc_fd, pid, true, gids, e);
}

int idmap_write(pid_t pid, const struct spec_idmaps *uids, const struct spec_idmaps *gids,
		struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open %s", path);
	return write_maps(fd, pid, uids, gids, e);
}

/* ---- a namespace for idmapped mounts ---- */

/* Lives until the other end of the pipe is closed, by whatever end of its parent. */
static pid_t start_holder(int wait_fd, int parent_fd)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	pid_t pid = sys_clone3(&args);
	char c;

	if (pid != 0)
		return pid;
	close(parent_fd);
	while (read(wait_fd, &c, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static int holder_ns(pid_t pid, const struct spec_idmaps *uids, const struct spec_idmaps *gids,
		     int *fd, struct err *e)
{
	/* In a new pid namespace only a procfs of that namespace knows the number. */
	AUTO_CLOSE int proc = path_procfs(e);
	AUTO_CLOSE int dir = -1;
	char name[16];
	int r;

	if (proc < 0)
		return proc;
	snprintf(name, sizeof(name), "%d", pid);
	dir = path_procfs_open(proc, name, O_PATH | O_DIRECTORY, e);
	if (dir < 0)
		return dir;
	r = write_maps(dir, pid, uids, gids, e);
	if (r < 0)
		return r;
	r = openat(dir, "ns/user", O_RDONLY | O_CLOEXEC);
	if (r < 0)
		return err_sys(e, errno, "open the user namespace of an id map");
	*fd = r;
	return 0;
}

int idmap_userns_fd(const struct spec_idmaps *uids, const struct spec_idmaps *gids, int *fd,
		    struct err *e)
{
	int p[2], r;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make an id map: pipe");
	pid = start_holder(p[0], p[1]);
	close(p[0]);
	if (pid < 0)
		r = err_sys(e, -pid, "make a user namespace for an id map");
	else
		r = holder_ns(pid, uids, gids, fd, e);
	close(p[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}
