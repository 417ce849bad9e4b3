/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes: what the guest has looked up and not forgotten.
 *
 * A guest of one gigabyte may remember a million objects. Holding a descriptor for each would pin
 * as many of the host's dentries and inodes, so beyond soft_fds the least used one is closed; it
 * is opened again by its name when the guest uses it, and must be the same object then. The guest
 * cannot be asked to forget: virtio-fs has no way for that.
 */
#include "microvm/fuse_priv.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>

#define STEP_FLAGS (O_PATH | O_NOFOLLOW | O_CLOEXEC)
#define STEP_RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)

enum { NO_SLOT = UINT32_MAX, FIRST_SLOTS = 64, SOFT_SCAN = 64, DEEPEST = 1024 };

/* ---- ids ---- */

uint64_t fuse_node_id(const struct fuse_server *s, const struct fuse_node *n)
{
	return (uint64_t)s->nodes.slots[n->slot].gen << 32 | (n->slot + 1);
}

struct fuse_node *fuse_node_get(struct fuse_server *s, uint64_t id)
{
	uint32_t slot = (uint32_t)id - 1;

	struct fuse_node *n;

	if (slot >= s->nodes.n_slots || s->nodes.slots[slot].gen != id >> 32)
		return NULL;
	n = s->nodes.slots[slot].node;
	/* kept for its children's names only: the guest has forgotten it */
	return n && (n->nlookup || n == &s->nodes.root) ? n : NULL;
}

static int grow_slots(struct fuse_nodes *t, uint32_t max)
{
	uint32_t n = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS;
	struct fuse_slot *v;

	if (n > max)
		n = max;
	if (n <= t->n_slots)
		return -ENFILE;
	v = realloc(t->slots, n * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (uint32_t i = t->n_slots; i < n; i++)
		v[i] = (struct fuse_slot){ .next_free = i + 1 < n ? i + 1 : t->first_free };
	t->first_free = t->n_slots;
	t->slots = v;
	t->n_slots = n;
	return 0;
}

/* ---- the hash table of (device, inode, mount) ---- */

static uint32_t hash(uint64_t dev, uint64_t ino, uint64_t mnt)
{
	uint64_t h = ino * 0x9e3779b97f4a7c15ULL ^ (dev << 17 | mnt);

	h *= 0xff51afd7ed558ccdULL;
	return (uint32_t)(h >> 32);
}

static uint64_t dev_of(const struct statx *x)
{
	return (uint64_t)x->stx_dev_major << 32 | x->stx_dev_minor;
}

static struct fuse_node **bucket(struct fuse_nodes *t, uint64_t dev, uint64_t ino, uint64_t mnt)
{
	return &t->buckets[hash(dev, ino, mnt) & (t->n_buckets - 1)];
}

static int grow_buckets(struct fuse_nodes *t)
{
	uint32_t n = t->n_buckets ? t->n_buckets * 2 : FIRST_SLOTS;
	struct fuse_node **v = calloc(n, sizeof(*v)), **old = t->buckets;
	uint32_t n_old = t->n_buckets;

	if (!v)
		return -ENOMEM;
	t->buckets = v;
	t->n_buckets = n;
	for (uint32_t i = 0; i < n_old; i++) {
		for (struct fuse_node *p = old[i], *next; p; p = next) {
			struct fuse_node **b = bucket(t, p->dev, p->ino, p->mnt);

			next = p->next;
			p->next = *b;
			*b = p;
		}
	}
	free(old);
	return 0;
}

static struct fuse_node *find(struct fuse_nodes *t, const struct statx *x)
{
	struct fuse_node *n = *bucket(t, dev_of(x), x->stx_ino, x->stx_mnt_id);

	while (n && (n->ino != x->stx_ino || n->mnt != x->stx_mnt_id || n->dev != dev_of(x)))
		n = n->next;
	return n;
}

/* ---- life ---- */

static void hash_in(struct fuse_nodes *t, struct fuse_node *n)
{
	struct fuse_node **b = bucket(t, n->dev, n->ino, n->mnt);

	n->next = *b;
	*b = n;
}

static void hash_out(struct fuse_nodes *t, const struct fuse_node *n)
{
	struct fuse_node **p = bucket(t, n->dev, n->ino, n->mnt);

	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
}

static void release(struct fuse_server *s, struct fuse_node *n)
{
	struct fuse_nodes *t = &s->nodes;

	hash_out(t, n);
	if (n->fd >= 0) {
		close(n->fd);
		s->n_fds--;
	} else {
		t->n_closed--;
	}
	t->slots[n->slot].node = NULL;
	t->slots[n->slot].gen++;
	t->slots[n->slot].next_free = t->first_free;
	t->first_free = n->slot;
	t->count--;
	free(n->name);
	free(n);
}

/* Loses its name; the parent may have been waiting for that. */
static void drop_name(struct fuse_server *s, struct fuse_node *n)
{
	struct fuse_node *up = n->parent;

	free(TAKE_PTR(n->name));
	n->parent = NULL;
	while (up && --up->kids == 0 && !up->nlookup && up != &s->nodes.root) {
		struct fuse_node *above = up->parent;

		release(s, up);
		up = above;
	}
}

static void unhold(struct fuse_server *s, struct fuse_node *n, uint64_t count)
{
	n->nlookup -= count < n->nlookup ? count : n->nlookup;
	if (n->nlookup || n->kids)
		return;
	drop_name(s, n);
	release(s, n);
}

void fuse_node_forget(struct fuse_server *s, uint64_t id, uint64_t count)
{
	struct fuse_node *n = fuse_node_get(s, id);

	if (n && n != &s->nodes.root)
		unhold(s, n, count);
}

/*
 * The host may have moved directories so that what we remember is a ring: dir would be below n. The
 * link of the ring that leads to n is forgotten.
 */
static void cut_ring(struct fuse_server *s, struct fuse_node *n, struct fuse_node *dir)
{
	struct fuse_node *p = dir;

	while (p && p->parent != n)
		p = p->parent;
	if (p)
		drop_name(s, p);
}

void fuse_node_moved(struct fuse_server *s, struct fuse_node *n, struct fuse_node *dir,
		     const char *name)
{
	char *copy;

	if (n == &s->nodes.root || n == dir ||
	    (n->parent == dir && n->name && name && str_eq(n->name, name)))
		return;
	copy = dir ? strdup(name) : NULL;
	if (copy)
		dir->kids++;
	n->nlookup++;
	if (n->kids && copy)
		cut_ring(s, n, dir);
	drop_name(s, n);
	if (copy) {
		n->parent = dir;
		n->name = copy;
	}
	unhold(s, n, 1);
}

void fuse_node_unnamed(struct fuse_server *s, struct fuse_node *n, const struct fuse_node *dir,
		       const char *name)
{
	if (n->parent == dir && str_eq(n->name, name))
		drop_name(s, n);
}

static int new_node(struct fuse_server *s, const struct statx *x, int *fd, struct fuse_node **out)
{
	struct fuse_nodes *t = &s->nodes;
	struct fuse_node *n;
	int r;

	if (t->count >= t->n_buckets) {
		r = grow_buckets(t);
		if (r < 0)
			return r;
	}
	if (t->first_free == NO_SLOT) {
		r = grow_slots(t, s->max_inodes);
		if (r < 0)
			return r;
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->dev = dev_of(x);
	n->ino = x->stx_ino;
	n->mnt = x->stx_mnt_id;
	n->type = x->stx_mode & S_IFMT;
	n->slot = t->first_free;
	n->fd = TAKE_FD(*fd);
	s->n_fds++;
	t->first_free = t->slots[n->slot].next_free;
	t->slots[n->slot].node = n;
	hash_in(t, n);
	t->count++;
	*out = n;
	return 0;
}

int fuse_node_init(struct fuse_server *s, struct err *e)
{
	struct fuse_nodes *t = &s->nodes;
	struct statx x;
	int r;

	t->first_free = NO_SLOT;
	r = grow_buckets(t);
	if (r == 0)
		r = grow_slots(t, s->max_inodes);
	if (r < 0)
		return err_sys(e, -r, "file server");
	r = fuse_statx(s->root_fd, "", &x);
	if (r < 0)
		return err_sys(e, -r, "root of the file server");
	if (!S_ISDIR(x.stx_mode))
		return err_sys(e, ENOTDIR, "root of the file server");
	if (!(x.stx_mask & STATX_MNT_ID))
		return err_set(
			e, ENOSYS,
			"file server: this kernel does not name mounts in statx (Linux 5.8)");
	t->first_free = t->slots[0].next_free;
	t->slots[0].node = &t->root;
	t->root = (struct fuse_node){
		.dev = dev_of(&x),
		.ino = x.stx_ino,
		.mnt = x.stx_mnt_id,
		.type = S_IFDIR,
		.fd = s->root_fd,
	};
	hash_in(t, &t->root);
	t->count = 1;
	return 0;
}

void fuse_node_drop_all(struct fuse_server *s)
{
	struct fuse_nodes *t = &s->nodes;

	for (uint32_t i = 1; i < t->n_slots; i++) {
		struct fuse_node *n = t->slots[i].node;

		if (!n)
			continue;
		n->parent = NULL;
		release(s, n);
	}
	t->root.kids = 0;
	t->hand = 0;
}

/* ---- descriptors ---- */

/*
 * It tells two objects apart that have had one number. Not directories: what an overlay shows for
 * one changes when something below it is written.
 */
static uint32_t birth_of(const struct statx *x)
{
	if (S_ISDIR(x->stx_mode))
		return 0;
	return (uint32_t)x->stx_btime.tv_sec * 31 + x->stx_btime.tv_nsec;
}

static bool same(const struct fuse_node *n, const struct statx *x)
{
	return n->ino == x->stx_ino && n->mnt == x->stx_mnt_id && n->dev == dev_of(x) &&
	       n->type == (x->stx_mode & S_IFMT);
}

/*
 * Is its name still its name? The guest's own changes are followed; those of others are seen where
 * the parent is at hand.
 */
static bool still_there(const struct fuse_node *n, struct statx *x)
{
	if (n->parent->fd >= 0)
		return fuse_statx(n->parent->fd, n->name, x) == 0 && same(n, x);
	return fuse_statx(n->fd, "", x) == 0 && x->stx_nlink > 0;
}

/* Closes a node when it can be found again. */
static bool close_node(struct fuse_server *s, struct fuse_node *n)
{
	struct statx x;

	if (n->fd < 0 || !n->parent || n->opens || n->turn == s->turn || n == s->nodes.pinned)
		return false;
	if (n->used) {
		n->used = false;
		return false;
	}
	if (!still_there(n, &x)) {
		drop_name(s, n);
		return false;
	}
	n->birth = birth_of(&x);
	close(n->fd);
	n->fd = -1;
	s->n_fds--;
	s->nodes.n_closed++;
	return true;
}

/* Closes one node, looking at up to `scan` slots from where the last search ended. */
static bool close_one(struct fuse_server *s, uint32_t scan)
{
	struct fuse_nodes *t = &s->nodes;

	for (uint32_t i = 0; i < scan; i++) {
		struct fuse_node *n = t->slots[t->hand].node;

		t->hand = t->hand + 1 < t->n_slots ? t->hand + 1 : 0;
		if (n && n != &t->root && close_node(s, n))
			return true;
	}
	return false;
}

int fuse_node_room(struct fuse_server *s)
{
	if (s->n_fds < s->soft_fds || close_one(s, SOFT_SCAN) || s->n_fds < s->max_fds)
		return 0;
	/* twice around: the first time only takes the marks away */
	return close_one(s, 2 * s->nodes.n_slots) ? 0 : -ENFILE;
}

/* Opens a name below a directory whose descriptor is open. */
static int step(struct fuse_server *s, const struct fuse_node *dir, const char *name)
{
	int r = fuse_node_room(s);

	if (r < 0)
		return r;
	return sys_openat2(dir->fd, name, STEP_FLAGS, 0, STEP_RESOLVE);
}

static void opened(struct fuse_server *s, struct fuse_node *n, int *fd)
{
	n->fd = TAKE_FD(*fd);
	s->n_fds++;
	s->nodes.n_closed--;
}

/* Opens a node whose parent is open. */
static int find_below(struct fuse_server *s, struct fuse_node *n)
{
	AUTO_CLOSE int fd = -1;
	struct statx x;
	int r;

	s->nodes.pinned = n->parent;
	fd = step(s, n->parent, n->name);
	s->nodes.pinned = NULL;
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	r = fuse_statx(fd, "", &x);
	if (r < 0)
		return r;
	if (!same(n, &x) || n->birth != birth_of(&x))
		return -ESTALE;
	opened(s, n, &fd);
	return 0;
}

/* The same wherever it is: from the nearest ancestor that is open, down again. */
static int find_again(struct fuse_server *s, struct fuse_node *n)
{
	for (int i = 0; i < DEEPEST; i++) {
		struct fuse_node *p = n;
		int r;

		while (p->parent && p->parent->fd < 0)
			p = p->parent;
		r = p->parent ? find_below(s, p) : -ESTALE;
		if (r < 0 || p == n)
			return r;
	}
	return -ESTALE;
}

int fuse_node_open(struct fuse_server *s, uint64_t id, struct fuse_node **out)
{
	struct fuse_node *n = fuse_node_get(s, id);
	int r = n ? 0 : -ESTALE;

	if (r == 0 && n->fd < 0)
		r = find_again(s, n);
	if (r < 0)
		return r;
	n->turn = s->turn;
	n->used = true;
	*out = n;
	return n->fd;
}

/* ---- names ---- */

/*
 * The node that the guest knows the object by. One that is closed may be another object with the
 * same number, long gone: nothing finds it from then on.
 */
static struct fuse_node *known(struct fuse_server *s, const struct statx *x)
{
	struct fuse_node *n = find(&s->nodes, x);

	if (!n || n->fd >= 0 || (same(n, x) && n->birth == birth_of(x)))
		return n;
	hash_out(&s->nodes, n);
	n->mnt = UINT64_MAX;
	hash_in(&s->nodes, n);
	drop_name(s, n);
	return NULL;
}

int fuse_node_adopt(struct fuse_server *s, struct fuse_node *dir, const char *name, int *fd,
		    struct statx *x, struct fuse_node **out)
{
	struct fuse_node *n;
	int r = fuse_statx(*fd, "", x);

	if (r < 0)
		return r;
	n = known(s, x);
	if (!n)
		r = new_node(s, x, fd, &n);
	else if (n->fd < 0)
		opened(s, n, fd);
	if (r < 0)
		return r;
	n->used = true;
	/* referenced before the old name goes, which may be its last hold */
	n->nlookup++;
	fuse_node_moved(s, n, dir, name);
	n->submount = dir && n->type == S_IFDIR && n->mnt != dir->mnt;
	*out = n;
	return 0;
}

int fuse_node_lookup(struct fuse_server *s, struct fuse_node *dir, const char *name,
		     struct statx *x, struct fuse_node **out)
{
	AUTO_CLOSE int fd = step(s, dir, name);

	return fd < 0 ? fd : fuse_node_adopt(s, dir, name, &fd, x, out);
}

struct fuse_node *fuse_node_at(struct fuse_server *s, struct fuse_node *dir, const char *name)
{
	struct fuse_node *n;
	struct statx x, y;

	if (fuse_statx(dir->fd, name, &x) < 0)
		return NULL;
	n = known(s, &x);
	/* One that is only waiting for its children goes with them, in the middle of a step. */
	if (!n || !n->nlookup)
		return NULL;
	if (n->fd < 0) {
		AUTO_CLOSE int fd = step(s, dir, name);

		if (fd >= 0 && fuse_statx(fd, "", &y) == 0 && same(n, &y) &&
		    n->birth == birth_of(&y))
			opened(s, n, &fd);
	}
	return n;
}
