/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server's own: what fuse_*.c share. See fuse_server.h for what it promises.
 *
 * fuse_server.c takes a request apart and dispatches it by a table; fuse_op_*.c are the operations,
 * one family a file; fuse_node.c remembers what the guest has looked up, fuse_handle.c what it has
 * opened; fuse_cred.c acts under the guest's ids; fuse_attr.c and fuse_init.c are pure.
 */
#ifndef CTR_FUSE_PRIV_H
#define CTR_FUSE_PRIV_H

#include "microvm/fuse_server.h"

#include <linux/capability.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

enum {
	FUSE_ARGS_MAX = 72 * 1024,  /* the longest arguments: an attribute of 64 KiB and its name */
	FUSE_REPLY_MAX = 68 * 1024, /* the longest answer that is not file data */
	FUSE_PAGES_MAX = 256,       /* of one read or write */
	FUSE_PIECES_MAX = 1024,     /* UIO_MAXIOV */
	FUSE_DIRBUFS = 8,
	FUSE_DIRBUF_SIZE = 8192,
	FUSE_PROC_NAME = 12, /* room for a descriptor's number */
};

/* ---- nodes: what the guest has looked up ---- */

/* A file's contents as its times and its size tell them, at an open. */
struct fuse_seen {
	int64_t mtime, ctime; /* ns */
	uint64_t size;
	bool settled; /* the times were old enough to tell what came after */
};

/*
 * An object of the tree. `fd` is an O_PATH descriptor, so the object is known for certain whatever
 * happens to its names, until there are too many: then the least used are closed and found again
 * by (parent, name), which must give the same object.
 */
struct fuse_node {
	struct fuse_node *next;   /* of its hash bucket */
	struct fuse_node *parent; /* where it was seen last; NULL: the root, or no name is known */
	char *name;
	uint64_t dev, ino, mnt;
	uint64_t nlookup; /* references that the guest holds; FORGET takes them back */
	uint64_t turn;    /* the request that used it last: not closed during it */
	uint32_t slot;
	uint32_t kids;  /* nodes whose parent this is */
	uint32_t opens; /* handles: what is open is not to be found again, but the same */
	uint32_t birth; /* time of birth when it was closed: an inode number may be used again */
	int fd;         /* -1: closed, to be found again */
	uint16_t type;  /* S_IFMT */
	bool submount;  /* a mount begins here */
	struct fuse_seen seen;
	bool used; /* since the clock's hand passed */
};

struct fuse_slot {
	struct fuse_node *node;
	uint32_t gen; /* counts the slot's users: an id is never used twice */
	uint32_t next_free;
};

struct fuse_nodes {
	struct fuse_slot *slots;
	uint32_t n_slots, first_free, hand;
	struct fuse_node **buckets;
	uint32_t n_buckets;
	uint32_t count, n_closed;
	struct fuse_node *pinned; /* not to be closed just now */
	struct fuse_node root;
};

/* ---- handles: what the guest has opened ---- */

struct fuse_handle {
	uint64_t nodeid;
	int fd; /* -1: free */
	uint32_t gen, next_free;
	bool dir, writable;
};

struct fuse_handles {
	struct fuse_handle *v;
	uint32_t n, first_free;
};

/* Directory entries that were read and not handed out yet. The buffers are lent, not owned. */
struct fuse_dirbuf {
	char *data;
	uint64_t fh; /* whose they are; 0: nobody's */
	uint64_t turn;
	uint64_t off; /* the position of the entry at `at` */
	uint32_t at, len;
};

/* ---- the server ---- */

struct fuse_cred {
	struct __user_cap_data_struct caps[2];
	uid_t uid;
	gid_t gid;
	mode_t mask;
	bool switches; /* may act under other ids */
	bool switched; /* does */
};

struct fuse_server {
	int root_fd, proc_fd;
	bool read_only, writeback, has_exclusive; /* as the options say */
	bool inited, writes_back, setxattr_ext;   /* as agreed with the guest */
	uint64_t exclusive_mnt;
	uint32_t max_inodes;
	uint32_t max_fds, soft_fds, n_fds;
	uint64_t turn; /* counts requests */
	struct fuse_nodes nodes;
	struct fuse_handles handles;
	struct fuse_dirbuf dirbufs[FUSE_DIRBUFS];
	struct fuse_cred cred;
	struct iovec pieces[FUSE_PIECES_MAX];
	char args[FUSE_ARGS_MAX] __attribute__((aligned(8)));
	char reply[FUSE_REPLY_MAX] __attribute__((aligned(8)));
};

/* One request. `args` (n_args bytes, copied) begins after the header. */
struct fuse_req {
	struct fuse_in_header h;
	const char *args;
	size_t n_args;
	void *reply;      /* s->reply */
	size_t max_reply; /* what the guest has room for after the header */
	const struct iovec *in, *out;
	unsigned int n_in, n_out;
	size_t in_len;
	bool direct; /* the answer is in the guest's buffers already */
};

/* An operation: the bytes of the answer after its header, or -errno. */
typedef int fuse_op_fn(struct fuse_server *s, struct fuse_req *r);

fuse_op_fn fuse_op_lookup, fuse_op_forget, fuse_op_batch_forget, fuse_op_symlink, fuse_op_mknod,
	fuse_op_mkdir, fuse_op_unlink, fuse_op_rmdir, fuse_op_rename, fuse_op_rename2, fuse_op_link;
fuse_op_fn fuse_op_getattr, fuse_op_setattr, fuse_op_readlink, fuse_op_statfs, fuse_op_syncfs;
fuse_op_fn fuse_op_setxattr, fuse_op_getxattr, fuse_op_listxattr, fuse_op_removexattr;
fuse_op_fn fuse_op_open, fuse_op_create, fuse_op_tmpfile, fuse_op_flush, fuse_op_release,
	fuse_op_fsync, fuse_op_read, fuse_op_write, fuse_op_fallocate, fuse_op_lseek,
	fuse_op_copy_file_range;
fuse_op_fn fuse_op_opendir, fuse_op_readdir, fuse_op_readdirplus, fuse_op_releasedir;
fuse_op_fn fuse_op_init, fuse_op_destroy, fuse_op_refuse, fuse_op_enotty, fuse_op_ignore;

/* ---- fuse_attr.c ---- */

/* The name that starts at *p of the arguments; *p moves behind it. NULL when it does not end. */
const char *fuse_req_string(const struct fuse_req *r, const char **p);

/* May a guest use this as one step? 0, -EINVAL (empty, a dot name, a slash) or -ENAMETOOLONG. */
int fuse_name_check(const char *name);

/* A single name that fills the rest of the arguments. 0 or -errno. */
int fuse_req_name(const struct fuse_req *r, size_t skip, const char **name);
int fuse_req_names(const struct fuse_req *r, size_t skip, const char **one, const char **two);

void fuse_attr_fill(struct fuse_attr *a, const struct statx *x, bool submount);
void fuse_attr_entry(const struct fuse_server *s, const struct fuse_node *n, const struct statx *x,
		     struct fuse_entry_out *out);
void fuse_attr_out(const struct fuse_server *s, const struct fuse_node *n, const struct statx *x,
		   struct fuse_attr_out *out);

/*
 * Whether a file that is as in *x now is what it was when this was asked last, so that the guest
 * may keep what it has cached of it; *seen remembers it. now: as of time(2). Times that are
 * hardly older than that tell nothing: a later change can have the same.
 */
bool fuse_attr_unchanged(struct fuse_seen *seen, const struct statx *x, time_t now);

/* Is the object on the mount that nobody else changes? */
bool fuse_attr_exclusive(const struct fuse_server *s, const struct fuse_node *n);

/* "N": the name of a descriptor below proc_fd, which is the serving thread's directory. */
const char *fuse_proc_name(char buf[FUSE_PROC_NAME], int fd);

int fuse_statx(int fd, const char *name, struct statx *x); /* never follows; "" is fd itself */

/* ---- fuse_init.c ---- */

/* What is answered to a guest's INIT: 0, or -EPROTO for a guest that is too old. */
int fuse_init_negotiate(bool writeback, const struct fuse_init_in *in, struct fuse_init_out *out);

/* ---- fuse_node.c ---- */

int fuse_node_init(struct fuse_server *s, struct err *e);
void fuse_node_drop_all(struct fuse_server *s);
uint64_t fuse_node_id(const struct fuse_server *s, const struct fuse_node *n);

/* The node of an id and its descriptor: the descriptor (borrowed, valid for this request), or
 * -ESTALE, -ENFILE … */
int fuse_node_open(struct fuse_server *s, uint64_t id, struct fuse_node **out);
struct fuse_node *fuse_node_get(struct fuse_server *s, uint64_t id);

/* Looks a name up in a directory; the guest has one reference more. */
int fuse_node_lookup(struct fuse_server *s, struct fuse_node *dir, const char *name,
		     struct statx *x, struct fuse_node **out);

/*
 * The same for an object that *fd (O_PATH, taken) is. dir and name may be NULL: it has no name.
 */
int fuse_node_adopt(struct fuse_server *s, struct fuse_node *dir, const char *name, int *fd,
		    struct statx *x, struct fuse_node **out);

/* The node that a name stands for, if the guest knows it; its descriptor is open afterwards. */
struct fuse_node *fuse_node_at(struct fuse_server *s, struct fuse_node *dir, const char *name);

/* The node is seen under another name from now on. */
void fuse_node_moved(struct fuse_server *s, struct fuse_node *n, struct fuse_node *dir,
		     const char *name);

/* The name is gone; if it was the one the node was known by, it has none now. */
void fuse_node_unnamed(struct fuse_server *s, struct fuse_node *n, const struct fuse_node *dir,
		       const char *name);

void fuse_node_forget(struct fuse_server *s, uint64_t id, uint64_t n);

/* Makes room for one descriptor more: 0 or -ENFILE. The caller counts it in n_fds. */
int fuse_node_room(struct fuse_server *s);

/* ---- fuse_handle.c ---- */

/* Takes *fd on success, which is counted already. */
int fuse_handle_new(struct fuse_server *s, uint64_t nodeid, int *fd, bool dir, bool writable,
		    uint64_t *fh);
struct fuse_handle *fuse_handle_get(struct fuse_server *s, uint64_t fh, uint64_t nodeid, bool dir);
int fuse_handle_close(struct fuse_server *s, uint64_t fh, uint64_t nodeid, bool dir);
void fuse_handle_drop_all(struct fuse_server *s);

/* Opens a node anew by its descriptor, counted; `flags` of open(2). */
int fuse_handle_reopen(struct fuse_server *s, int fd, int flags);
void fuse_handle_unopen(struct fuse_server *s, int *fd); /* the way back; -1 is fine */

/* ---- fuse_cred.c ---- */

int fuse_cred_enter(struct fuse_cred *c, struct err *e);

/* Acts under the guest's ids, with its umask and our capabilities, until fuse_cred_back. */
int fuse_cred_as(struct fuse_cred *c, uid_t uid, gid_t gid, mode_t mask);
void fuse_cred_back(struct fuse_cred *c);

/*
 * Around a change of a file's data: whether SUID and SGID go is the guest's word. Where it wants
 * that (kill), we are without CAP_FSETID meanwhile; where not, the bits are set again, since in a
 * user namespace no capability of ours counts for them. The descriptors are of one file: that of
 * the beginning may be O_PATH, that of the end is -1 after a failure.
 */
struct fuse_setid {
	bool kill;
	mode_t mode; /* to be set again, or 0 */
};
struct fuse_setid fuse_setid_begin(const struct fuse_cred *c, int fd, bool kill);
void fuse_setid_end(const struct fuse_cred *c, int fd, const struct fuse_setid *is);

#endif
