/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: requests of a hostile guest to the file server, over a small tree of a temporary
 * directory. The input is a list of requests: operation, node, handle, how buffers are cut,
 * arguments. Node and handle mostly choose among those that earlier answers have given out, so that
 * deep states are reached; the rest is as it comes. What is checked besides the sanitizers: answers
 * that are well-formed, nothing outside the tree touched, no descriptor left.
 */
#include "base/cleanup.h"
#include "microvm/fuse_server.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { KNOWN = 32, REQUEST = 8192, ANSWER = 8192, FILE_MAX = 1 << 20, FDS = 64 };

static struct fuse_server *server;
static char top[64];
static int root = -1, cwd = -1;
/* handles[i] was opened on owners[i] */
static uint64_t nodes[KNOWN], handles[KNOWN], owners[KNOWN];
static size_t n_nodes, n_handles;
static char request[REQUEST], answer[ANSWER];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	return f->level == 0 ? 0 : remove(path);
}

static void clean(void)
{
	nftw(top, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static void clean_up(void)
{
	clean();
	rmdir(top);
}

static void set_up(void)
{
	struct rlimit size = { FILE_MAX, FILE_MAX };
	const char *tmp = getenv("TMPDIR");

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &size);
	snprintf(top, sizeof(top), "%s/ctr-fuzz-XXXXXX",
		 tmp && strlen(tmp) < 40 ? tmp : "/dev/shm");
	cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cwd < 0 || !mkdtemp(top))
		abort();
	atexit(clean_up);
}

static void touch(int dir, const char *name, const char *text)
{
	AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
}

/* top/root is the tree: d/f, f, l, p, a … t. top/outside must stay empty. */
static void make_tree(void)
{
	AUTO_CLOSE int dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (mkdirat(dir, "root", 0755) < 0 || mkdirat(dir, "outside", 0755) < 0)
		abort();
	root = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || mkdirat(root, "d", 0755) < 0 || symlinkat("../outside", root, "l") < 0 ||
	    mkfifoat(root, "p", 0644) < 0)
		abort();
	touch(root, "f", "some text");
	touch(root, "d/f", "more");
	for (char name[2] = "a"; name[0] < 'd'; name[0]++)
		touch(root, name, "");
	for (char name[2] = "g"; name[0] < 'u'; name[0]++)
		if (name[0] != 'l' && name[0] != 'p')
			touch(root, name, "");
}

static size_t count_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void note_node(uint64_t id)
{
	if (id)
		nodes[n_nodes++ % KNOWN] = id;
}

static void note_handle(uint64_t fh, uint64_t owner)
{
	handles[n_handles % KNOWN] = fh;
	owners[n_handles++ % KNOWN] = owner;
}

/* The ids that an answer gives out are used by later requests. */
static void learn(const struct fuse_in_header *asked, size_t len)
{
	const struct fuse_out_header *h = (const void *)answer;
	uint64_t first = 0, fh = 0;

	if (!len)
		return;
	if (len < sizeof(*h) || h->len != len || len > ANSWER || h->error > 0 || h->error < -4095)
		abort();
	if (h->error || len < sizeof(*h) + sizeof(first))
		return;
	memcpy(&first, answer + sizeof(*h), sizeof(first));
	switch (asked->opcode) {
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		memcpy(&fh, answer + sizeof(*h) + sizeof(struct fuse_entry_out), sizeof(fh));
		note_node(first);
		note_handle(fh, first);
		break;
	case FUSE_LOOKUP:
	case FUSE_MKDIR:
	case FUSE_MKNOD:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		note_node(first);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		note_handle(first, asked->nodeid);
		break;
	}
}

static unsigned int cut(char *buf, size_t len, size_t piece, struct iovec *v)
{
	unsigned int n = 0;

	while (len) {
		size_t part = piece && n < 62 && piece < len ? piece : len;

		v[n++] = (struct iovec){ buf, part };
		buf += part;
		len -= part;
	}
	return n;
}

/* The fixed arguments of an operation whose first eight bytes are a handle or a node. */
static size_t starts_with_id(uint32_t op, bool *handle)
{
	*handle = true;
	switch (op) {
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		return sizeof(struct fuse_read_in);
	case FUSE_WRITE:
		return sizeof(struct fuse_write_in);
	case FUSE_LSEEK:
		return sizeof(struct fuse_lseek_in);
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		return sizeof(struct fuse_release_in);
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
		return sizeof(struct fuse_fsync_in);
	case FUSE_FALLOCATE:
		return sizeof(struct fuse_fallocate_in);
	case FUSE_COPY_FILE_RANGE:
		return sizeof(struct fuse_copy_file_range_in);
	}
	*handle = false;
	switch (op) {
	case FUSE_RENAME:
	case FUSE_LINK:
		return sizeof(struct fuse_link_in);
	case FUSE_RENAME2:
		return sizeof(struct fuse_rename2_in);
	}
	return 0;
}

/* READ, WRITE and READDIR have their numbers at the same places. */
static void set_size(uint32_t op, struct fuse_read_in *in, size_t data)
{
	if (op == FUSE_WRITE)
		in->size = (uint32_t)data;
	else if (op == FUSE_READ || op == FUSE_READDIR || op == FUSE_READDIRPLUS)
		in->size = ANSWER;
	else
		return;
	in->offset &= 0xfffff;
}

/* Most of what is sent should get beyond the first checks. The length of the arguments. */
static size_t help(struct fuse_in_header *h, const unsigned char *p, char *args, size_t len)
{
	bool handle;
	size_t fixed = starts_with_id(h->opcode, &handle);
	size_t n = handle ? n_handles : n_nodes, i = n ? p[2] % (n < KNOWN ? n : KNOWN) : 0;

	if (p[2] >= 240)
		return len;
	if (h->opcode == FUSE_SETATTR)
		fixed = sizeof(struct fuse_setattr_in);
	else if (!fixed || !n)
		return len;
	else
		memcpy(args, handle ? &handles[i] : &nodes[i], sizeof(uint64_t));
	if (fixed && n && handle)
		h->nodeid = owners[i];
	if (h->opcode == FUSE_COPY_FILE_RANGE) {
		struct fuse_copy_file_range_in *c = (void *)args;

		i = (size_t)p[3] % (n < KNOWN ? n : KNOWN);
		c->fh_out = handles[i];
		c->nodeid_out = owners[i];
	}
	if (len < fixed)
		len = fixed;
	if (p[2] < 200)
		set_size(h->opcode, (void *)args, len - fixed);
	return len;
}

/* One request of the input: how many bytes it took. */
static size_t step(const unsigned char *p, size_t size)
{
	struct iovec in[64], out[64];
	struct fuse_in_header h = { .unique = 1 };
	size_t len, given, args, room;

	if (size < 6)
		return size;
	given = p[4] | (size_t)(p[5] & 15) << 8;
	if (given > size - 6)
		given = size - 6;
	h.opcode = p[0] < 212 ? p[0] % 53 : p[0] * 31U;
	h.nodeid = n_nodes && p[1] < 240 ? nodes[p[1] % (n_nodes < KNOWN ? n_nodes : KNOWN)] : p[1];
	h.uid = p[5] & 16 ? 1000 : geteuid();
	h.gid = p[5] & 32 ? 1000 : getegid();
	memset(request, 0, sizeof(request));
	memcpy(request + sizeof(h), p + 6, given);
	args = help(&h, p, request + sizeof(h), given);
	len = p[5] & 128 ? sizeof(h) + p[4] % 50 : sizeof(h) + args;
	/* a length that is not the request's */
	h.len = (uint32_t)len + (p[5] & 64 ? 1 : 0);
	memcpy(request, &h, sizeof(h));
	room = p[3] & 128 ? p[3] & 127 : ANSWER;
	learn(&h, fuse_server_handle(server, in, cut(request, len, p[3] & 15, in), out,
				     cut(answer, room, p[3] >> 4 & 7, out)));
	return 6 + given;
}

static void send(uint32_t op, uint64_t node, const void *arg, size_t len)
{
	struct fuse_in_header h = { .len = (uint32_t)(sizeof(h) + len),
				    .opcode = op,
				    .nodeid = node };
	struct iovec in[2] = { { &h, sizeof(h) }, { (void *)arg, len } }, out = { answer, ANSWER };

	learn(&h, fuse_server_handle(server, in, 2, &out, 1));
}

/* A guest that has looked around: it knows the root, a file and a directory, and has them open. */
static void begin(unsigned char how)
{
	struct fuse_opts o = { .proc_fd = -1,
			       .read_only = (how & 7) == 7,
			       .writeback = how & 8,
			       .exclusive = how & 16 ? "." : NULL,
			       .max_fds = how & 32 ? 16 : FDS,
			       .max_inodes = 64 };
	const struct fuse_init_in in = { .major = 7, .minor = 38, .flags = ~0U };
	const struct fuse_open_in open_in = { .flags = how & 128 ? O_RDONLY : O_RDWR };
	struct err e = {};

	n_nodes = n_handles = 0;
	note_node(1);
	if (fuse_server_new(root, &o, &server, &e) < 0 || fuse_server_enter(server, &e) < 0)
		abort();
	if (how & 64)
		return;
	send(FUSE_INIT, 0, &in, sizeof(in));
	send(FUSE_LOOKUP, 1, "f", 2);
	send(FUSE_LOOKUP, 1, "d", 2);
	send(FUSE_OPEN, nodes[1], &open_in, sizeof(open_in));
	send(FUSE_OPENDIR, 1, &open_in, sizeof(open_in));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	size_t before, at = 1;
	char outside[80];

	if (root < 0 && !top[0])
		set_up();
	if (size < 2)
		return 0;
	make_tree();
	before = count_fds();
	begin(data[0]);
	while (at < size)
		at += step(data + at, size - at);
	fuse_server_free(server);
	if (count_fds() != before)
		abort();
	close(root);
	if (fchdir(cwd) < 0)
		abort();
	snprintf(outside, sizeof(outside), "%s/outside", top);
	if (rmdir(outside) < 0)
		abort();
	clean();
	return 0;
}
