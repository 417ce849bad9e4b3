/* SPDX-License-Identifier: Apache-2.0 */
/* The first request: what both sides can. */
#include "microvm/fuse_priv.h"

#include <errno.h>

/*
 * Not asked for, and why: POSIX_LOCKS, FLOCK_LOCKS (locks stay in the guest: a blocking one would
 * hold up every other request), EXPORT_SUPPORT (looks up ".."), SPLICE_* (there is no pipe here),
 * NO_OPEN_SUPPORT (a file that is open must stay open), HANDLE_KILLPRIV (its second version is
 * right), SECURITY_CTX (labels are the guest's own business), MAP_ALIGNMENT (no DAX window).
 */
static const uint32_t wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
			       FUSE_DONT_MASK | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |
			       FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
			       FUSE_POSIX_ACL | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |
			       FUSE_SUBMOUNTS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT;

enum {
	OLDEST_MINOR = 31, /* Linux 5.4, the first with virtio-fs */
	PAGE = 4096,
	OLD_PAGES = 32, /* of a request for guests that cannot be told a number */
	BACKGROUND = 64,
};

int fuse_init_negotiate(bool writeback, const struct fuse_init_in *in, struct fuse_init_out *out)
{
	uint32_t pages;

	*out = (struct fuse_init_out){ .major = FUSE_KERNEL_VERSION,
				       .minor = FUSE_KERNEL_MINOR_VERSION };
	if (in->major < FUSE_KERNEL_VERSION ||
	    (in->major == FUSE_KERNEL_VERSION && in->minor < OLDEST_MINOR))
		return -EPROTO;
	/* A newer one asks again with our major number. */
	if (in->major > FUSE_KERNEL_VERSION)
		return 0;
	if (in->minor < out->minor)
		out->minor = in->minor;
	out->flags = in->flags & (wanted | (writeback ? FUSE_WRITEBACK_CACHE : 0));
	pages = out->flags & FUSE_MAX_PAGES ? FUSE_PAGES_MAX : OLD_PAGES;
	out->max_readahead = in->max_readahead;
	out->max_background = BACKGROUND;
	out->congestion_threshold = BACKGROUND * 3 / 4;
	out->max_write = pages * PAGE;
	out->time_gran = 1;
	out->max_pages = out->flags & FUSE_MAX_PAGES ? FUSE_PAGES_MAX : 0;
	return 0;
}

int fuse_op_init(struct fuse_server *s, struct fuse_req *r)
{
	struct fuse_init_out *out = r->reply;
	struct fuse_init_in in = {};
	size_t n = r->n_args < sizeof(in) ? r->n_args : sizeof(in);
	int ret;

	__builtin_memcpy(&in, r->args, n);
	fuse_server_reset(s);
	ret = fuse_init_negotiate(s->writeback, &in, out);
	if (ret < 0)
		return ret;
	s->inited = in.major == FUSE_KERNEL_VERSION;
	s->setxattr_ext = out->flags & FUSE_SETXATTR_EXT;
	s->writes_back = out->flags & FUSE_WRITEBACK_CACHE;
	return sizeof(*out);
}

int fuse_op_destroy(struct fuse_server *s, struct fuse_req *r)
{
	(void)r;
	fuse_server_reset(s);
	return 0;
}
