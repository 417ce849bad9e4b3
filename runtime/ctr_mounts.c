/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of a container that runs. The sources are opened by the caller, on the host; a child
 * enters the container's mount namespace and attaches them there, below a root that it cannot
 * leave.
 */
#include "ctr.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "base/sys.h"
#include "container.h"
#include "namespaces/mount_exec.h"
#include "namespaces/mount_plan.h"
#include "namespaces/path.h"
#include "oci/spec.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
/* <sys/mount.h>, which has it, and <linux/mount.h> exclude each other. */
int umount2(const char *target, int flags);

#define RECORD "mounts"
#define RECORD_MAX ((size_t)1 << 20)

struct job {
	struct mount_plan plan;
	int *fds; /* one an operation: what add attaches */
	/* one an operation: the mount's id (0: not known); what its source is now (0: none) */
	uint64_t *ids;
	struct stat *sources;
	int own_fds; /* the directory of this process's descriptors, on the host's /proc */
	int pidfd;
	bool add;
};

static void job_close(struct job *j)
{
	for (size_t i = 0; j->fds && i < j->plan.n; i++)
		cleanup_close(&j->fds[i]);
	free(j->fds);
	free(j->ids);
	free(j->sources);
	cleanup_close(&j->pidfd);
}

/* The list as the mounts of a configuration that has nothing else. */
static int parse(const char *text, size_t len, struct spec **spec, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};

	str_buf_addf(&b,
		     "{\"ociVersion\":\"1.0.0\",\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]},"
		     "\"mounts\":%.*s}",
		     (int)len, text);
	if (b.failed)
		return err_sys(e, ENOMEM, "mounts");
	return spec_parse(b.s, b.len, spec, e);
}

static int open_source(struct job *j, size_t i, struct err *e)
{
	const struct mount_op *op = &j->plan.v[i];
	int r;

	if (op->kind != MOUNT_OP_BIND || op->idmap || op->copy_up || op->links)
		return err_set(e, ENOTSUP, "mounts[%zu]: only plain bind mounts can be added: %s", i,
			       op->target);
	j->fds[i] = mount_source_open(op, -1, e);
	if (j->fds[i] < 0)
		return j->fds[i];
	/* What is mounted on the host later stays there, unless the options say otherwise. */
	r = mount_propagation_fd(j->fds[i], MS_REC | MS_PRIVATE);
	if (r == 0)
		r = mount_attr_fd(j->fds[i], false, op->attr_set, op->attr_clr);
	if (r == 0 && (op->rec_attr_set || op->rec_attr_clr))
		r = mount_attr_fd(j->fds[i], true, op->rec_attr_set, op->rec_attr_clr);
	for (size_t p = 0; r == 0 && p < op->n_propagation; p++)
		r = mount_propagation_fd(j->fds[i], op->propagation[p]);
	return r < 0 ? err_sys(e, -r, "mounts[%zu]: set options of %s", i, op->target) : 0;
}

static int open_sources(struct job *j, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < j->plan.n; i++) {
		r = open_source(j, i, e);
		if (r == 0 && path_mount_id(j->fds[i], &j->ids[i]) < 0)
			j->ids[i] = 0;
	}
	return r;
}

static void look_at_sources(struct job *j)
{
	for (size_t i = 0; i < j->plan.n; i++)
		if (j->plan.v[i].kind != MOUNT_OP_BIND ||
		    stat(j->plan.v[i].source, &j->sources[i]) < 0)
			j->sources[i].st_ino = 0;
}

static int job_init(struct job *j, struct err *e)
{
	const size_t n = j->plan.n ? j->plan.n : 1;

	j->fds = malloc(n * sizeof(*j->fds));
	j->ids = calloc(n, sizeof(*j->ids));
	j->sources = calloc(n, sizeof(*j->sources));
	for (size_t i = 0; j->fds && i < j->plan.n; i++)
		j->fds[i] = -1;
	return j->fds && j->ids && j->sources ? 0 : err_sys(e, ENOMEM, "mounts");
}

/* ---- what add has made: the ids and destinations, each with a NUL behind it, in the state ---- */

/* Takes the records of the operations' destinations out of text; of several the last counts. */
static void forget(struct job *j, char *text, size_t *len)
{
	size_t kept = 0, n;

	for (size_t at = 0; at < *len; at += n) {
		char *line = text + at, *where;
		const uint64_t id = strtoull(line, &where, 10);
		bool ours = false;

		n = strlen(line) + 1;
		for (size_t i = 0; *where == ' ' && i < j->plan.n; i++)
			if (str_eq(where + 1, j->plan.v[i].target)) {
				ours = true;
				if (!j->add)
					j->ids[i] = id;
			}
		if (ours && !j->add)
			continue;
		memmove(text + kept, line, n);
		kept += n;
	}
	*len = kept;
}

/*
 * The record as it is to be: with what is added, or without what is removed, whose ids are taken
 * from it.
 */
static int update_record(struct job *j, int dir, struct str_buf *out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	int r = io_read_file(dir, RECORD, RECORD_MAX, &text, &len);

	if (r < 0 && r != -ENOENT)
		return err_sys(e, -r, "mounts: read what was added before");
	if (len && text[len - 1])
		len = 0; /* not ours */
	forget(j, text, &len);
	str_buf_addn(out, text ? text : "", len);
	for (size_t i = 0; j->add && i < j->plan.n; i++) {
		str_buf_addf(out, "%llu %s", (unsigned long long)j->ids[i], j->plan.v[i].target);
		str_buf_addn(out, "", 1);
	}
	if (out->failed)
		return err_sys(e, ENOMEM, "mounts");
	return 0;
}

static int write_record(int dir, const struct str_buf *b, struct err *e)
{
	int r = io_write_atomic(dir, RECORD, b->s ? b->s : "", b->len, 0600);

	return r < 0 ? err_sys(e, -r, "mounts: write what was added") : 0;
}

/* ---- in the container's mount namespace ---- */

static int attach(const struct job *j, int root, size_t i, struct err *e)
{
	const struct mount_op *op = &j->plan.v[i];
	AUTO_CLOSE int target = -1;
	struct stat st;
	int r;

	if (fstat(j->fds[i], &st) < 0)
		return err_sys(e, errno, "mounts[%zu]: %s", i, op->source);
	target = path_make(root, op->target, S_ISDIR(st.st_mode), 0755, e);
	if (target < 0)
		return target;
	r = mount_attach(j->fds[i], target);
	return r < 0 ? err_sys(e, -r, "mounts[%zu]: mount %s on %s", i, op->source, op->target) : 0;
}

/* The one mount that fd refers to, by a name that the container has no hand in. */
static int unmount(const struct job *j, int fd)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	return fchdir(j->own_fds) < 0 || umount2(name, MNT_DETACH) < 0 ? -errno : 0;
}

/* What was added, or (not known) what shows the source; the container may have moved its paths. */
static int detach(const struct job *j, int root, size_t i, struct err *e)
{
	const char *target = j->plan.v[i].target;
	AUTO_CLOSE int fd = path_open(root, target, O_PATH);
	struct stat st;
	uint64_t id;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, fd < 0 ? -fd : errno, "mounts[%zu]: unmount %s", i, target);
	if (j->ids[i] && path_mount_id(fd, &id) == 0 ? id != j->ids[i]
						     : st.st_dev != j->sources[i].st_dev ||
							       st.st_ino != j->sources[i].st_ino)
		return err_set(e, EINVAL, "mounts[%zu]: unmount %s: another mount is there", i,
			       target);
	r = unmount(j, fd);
	return r < 0 ? err_sys(e, -r, "mounts[%zu]: unmount %s", i, target) : 0;
}

static int work_inside(struct job *j, struct err *e)
{
	AUTO_CLOSE int root = -1;
	int r = 0;

	j->own_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (j->own_fds < 0)
		return err_sys(e, errno, "mounts: open /proc/self/fd");
	if (setns(j->pidfd, CLONE_NEWNS) < 0)
		return err_sys(e, errno, "mounts: enter the container's mount namespace");
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, errno, "mounts: open the container's root");
	for (size_t i = 0; r == 0 && i < j->plan.n; i++) {
		r = j->add ? attach(j, root, i, e) : detach(j, root, i, e);
		while (r < 0 && j->add && i-- > 0)
			unmount(j, j->fds[i]);
		if (r < 0)
			break;
	}
	return r;
}

/* The child's error comes back as it is: a code and its text. */
static int run_inside(struct job *j, struct err *e)
{
	int pipefd[2], status = 0;
	struct err got = {};
	ssize_t n;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(e, errno, "mounts: pipe");
	pid = fork();
	if (pid == 0) {
		if (work_inside(j, &got) < 0)
			(void)io_write_full(pipefd[1], &got, sizeof(got));
		_exit(0);
	}
	close(pipefd[1]);
	n = pid < 0 ? 0 : io_read_full(pipefd[0], &got, sizeof(got));
	close(pipefd[0]);
	if (pid < 0)
		return err_sys(e, EAGAIN, "mounts: fork");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == (ssize_t)sizeof(got)) {
		*e = got;
		return got.code < 0 ? got.code : -got.code;
	}
	return status == 0 ? 0 : err_set(e, EIO, "mounts: the child ended by itself");
}

static int check_container(const struct container_ref *c, const char *id, bool *userns,
			   struct err *e)
{
	AUTO_SPEC struct spec *spec = NULL;
	int r;

	if (container_is_machine(c->st))
		return err_set(e, ENOTSUP,
			       "mounts %s: what a micro-VM is given of the host is fixed when it is "
			       "made",
			       id);
	if (c->status != STATUS_RUNNING && c->status != STATUS_PAUSED)
		return err_set(e, EINVAL, "mounts %s: container not running", id);
	r = store_read_config(c->dir, &spec, e);
	if (r < 0)
		return r;
	if (!spec->linux_.ns[NS_MOUNT].wanted || spec->linux_.ns[NS_MOUNT].path)
		return err_set(e, EINVAL, "mounts %s: it has no mount namespace of its own", id);
	*userns = spec->linux_.ns[NS_USER].wanted;
	return 0;
}

int ctr_mounts(const struct ctr_global *g, const char *id, bool add, const char *text, size_t len,
	       struct err *e)
{
	AUTO_CONTAINER struct container_ref c = CONTAINER_REF_INIT;
	AUTO(job_close) struct job j = { .pidfd = -1, .add = add };
	AUTO(arena_free) struct arena a = {};
	AUTO(str_buf_free) struct str_buf record = {};
	AUTO_SPEC struct spec *spec = NULL;
	struct mount_plan_in in = {};
	int r = container_open(&c, g, id, true, e);

	if (r == 0)
		r = check_container(&c, id, &in.userns, e);
	if (r == 0)
		r = parse(text, len, &spec, e);
	if (r < 0)
		return r;
	in.spec = spec;
	r = mount_plan_build(&a, &in, &j.plan, e);
	if (r == 0)
		r = job_init(&j, e);
	if (r == 0 && add)
		r = open_sources(&j, e);
	if (r == 0 && !add)
		look_at_sources(&j);
	if (r == 0)
		r = update_record(&j, c.dir, &record, e);
	if (r < 0)
		return r;
	j.pidfd = proc_pidfd(c.st->pid, c.st->pid_start);
	if (j.pidfd < 0)
		return err_sys(e, -j.pidfd, "mounts %s: open pidfd of process %d", id, c.st->pid);
	r = run_inside(&j, e);
	return r < 0 ? r : write_record(c.dir, &record, e);
}
