/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: files and directories that the guest has open. */
#include "microvm/fuse_priv.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>

enum { NO_SLOT = UINT32_MAX, FIRST_SLOTS = 32 };

static int grow(struct fuse_handles *t, uint32_t max)
{
	uint32_t n = t->n ? t->n * 2 : FIRST_SLOTS;
	struct fuse_handle *v;

	if (!t->n)
		t->first_free = NO_SLOT;
	if (n > max)
		n = max;
	if (n <= t->n)
		return -ENFILE;
	v = realloc(t->v, n * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (uint32_t i = t->n; i < n; i++)
		v[i] = (struct fuse_handle){ .fd = -1,
					     .next_free = i + 1 < n ? i + 1 : t->first_free };
	t->first_free = t->n;
	t->v = v;
	t->n = n;
	return 0;
}

/* A guest may forget what it has open: then nothing is there to count. */
static void count_open(struct fuse_server *s, uint64_t nodeid, int by)
{
	struct fuse_node *n = fuse_node_get(s, nodeid);

	if (n)
		n->opens += (uint32_t)by;
}

int fuse_handle_new(struct fuse_server *s, uint64_t nodeid, int *fd, bool dir, bool writable,
		    uint64_t *fh)
{
	struct fuse_handles *t = &s->handles;
	struct fuse_handle *h;

	if (!t->n || t->first_free == NO_SLOT) {
		int r = grow(t, s->max_fds);

		if (r < 0)
			return r;
	}
	*fh = t->first_free + 1;
	h = &t->v[t->first_free];
	t->first_free = h->next_free;
	h->fd = TAKE_FD(*fd);
	h->nodeid = nodeid;
	h->dir = dir;
	h->writable = writable;
	count_open(s, nodeid, 1);
	*fh |= (uint64_t)h->gen << 32;
	return 0;
}

/* The guest's kernel never mixes handles and nodes up, so a mismatch is no guest to be nice to. */
struct fuse_handle *fuse_handle_get(struct fuse_server *s, uint64_t fh, uint64_t nodeid, bool dir)
{
	uint32_t slot = (uint32_t)fh - 1;
	struct fuse_handle *h;

	if (slot >= s->handles.n)
		return NULL;
	h = &s->handles.v[slot];
	if (h->fd < 0 || h->gen != fh >> 32 || h->nodeid != nodeid || h->dir != dir)
		return NULL;
	return h;
}

static void release(struct fuse_server *s, uint32_t slot)
{
	struct fuse_handle *h = &s->handles.v[slot];

	fuse_handle_unopen(s, &h->fd);
	count_open(s, h->nodeid, -1);
	h->gen++;
	h->next_free = s->handles.first_free;
	s->handles.first_free = slot;
}

int fuse_handle_close(struct fuse_server *s, uint64_t fh, uint64_t nodeid, bool dir)
{
	if (!fuse_handle_get(s, fh, nodeid, dir))
		return -EBADF;
	release(s, (uint32_t)fh - 1);
	return 0;
}

void fuse_handle_drop_all(struct fuse_server *s)
{
	for (uint32_t i = 0; i < s->handles.n; i++)
		if (s->handles.v[i].fd >= 0)
			release(s, i);
	for (size_t i = 0; i < FUSE_DIRBUFS; i++)
		s->dirbufs[i].fh = 0;
}

/* By way of /proc/self/fd: the object that was looked up, whatever has its name by now. */
int fuse_handle_reopen(struct fuse_server *s, int fd, int flags)
{
	char name[FUSE_PROC_NAME];
	int r = fuse_node_room(s);

	if (r < 0)
		return r;
	r = openat(s->proc_fd, fuse_proc_name(name, fd), flags | O_CLOEXEC);
	if (r < 0)
		return -errno;
	s->n_fds++;
	return r;
}

void fuse_handle_unopen(struct fuse_server *s, int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	s->n_fds--;
}
