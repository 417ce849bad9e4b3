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
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { KNOWN = 32, REQUEST = 8192, ANSWER = 8192, FILE_MAX = 1 << 20, FDS = 64 };

static struct fuse_server *server;
static char top[64];
static int root = -1, cwd = -1;
static uint64_t nodes[KNOWN], handles[KNOWN];
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

/* top/root is the tree: d/f, f, l, p. top/outside must stay empty. */
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
}

static size_t count_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void note(uint64_t *list, size_t *n, uint64_t id)
{
	if (id)
		list[(*n)++ % KNOWN] = id;
}

static uint64_t choose(const uint64_t *list, size_t n, unsigned char how, uint64_t other)
{
	size_t have = n < KNOWN ? n : KNOWN;

	return have && how < 240 ? list[how % have] : other;
}

/* The ids that an answer gives out are used by later requests. */
static void learn(uint32_t op, size_t len)
{
	const struct fuse_out_header *h = (const void *)answer;
	uint64_t first = 0;

	if (!len)
		return;
	if (len < sizeof(*h) || h->len != len || len > ANSWER || h->error > 0 || h->error < -4095)
		abort();
	if (h->error || len < sizeof(*h) + sizeof(first))
		return;
	memcpy(&first, answer + sizeof(*h), sizeof(first));
	switch (op) {
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		note(nodes, &n_nodes, first);
		memcpy(&first, answer + sizeof(*h) + sizeof(struct fuse_entry_out), sizeof(first));
		note(handles, &n_handles, first);
		break;
	case FUSE_LOOKUP:
	case FUSE_MKDIR:
	case FUSE_MKNOD:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		note(nodes, &n_nodes, first);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		note(handles, &n_handles, first);
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

/* The first eight bytes of the arguments name a node or a handle in most requests. */
static void put_first(uint32_t op, unsigned char how, char *args, size_t len)
{
	uint64_t id = 0;

	if (len < sizeof(id))
		return;
	memcpy(&id, args, sizeof(id));
	if (op == FUSE_RENAME || op == FUSE_RENAME2 || op == FUSE_LINK)
		id = choose(nodes, n_nodes, how, id);
	else if (op == FUSE_READ || op == FUSE_WRITE || op == FUSE_READDIR || op == FUSE_LSEEK ||
		 op == FUSE_READDIRPLUS || op == FUSE_RELEASE || op == FUSE_RELEASEDIR ||
		 op == FUSE_FSYNC || op == FUSE_FSYNCDIR || op == FUSE_FALLOCATE ||
		 op == FUSE_COPY_FILE_RANGE)
		id = choose(handles, n_handles, how, id);
	memcpy(args, &id, sizeof(id));
}

/* One request of the input: how many bytes it took. */
static size_t step(const unsigned char *p, size_t size)
{
	struct iovec in[64], out[64];
	struct fuse_in_header h = { .unique = 1 };
	size_t len, args, room;

	if (size < 6)
		return size;
	args = p[4] | (size_t)(p[5] & 15) << 8;
	if (args > size - 6)
		args = size - 6;
	h.opcode = p[0] < 200 ? p[0] % 53 : p[0] * 31U;
	h.nodeid = choose(nodes, n_nodes, p[1], p[1]);
	h.uid = p[5] & 16 ? 1000 : geteuid();
	h.gid = p[5] & 32 ? 1000 : getegid();
	h.len = (uint32_t)(sizeof(h) + args + (p[5] & 64 ? 1 : 0));
	memcpy(request, &h, sizeof(h));
	memcpy(request + sizeof(h), p + 6, args);
	/* most names should have an end */
	request[sizeof(h) + args] = '\0';
	put_first(h.opcode, p[2], request + sizeof(h), args);
	len = p[5] & 128 ? sizeof(h) + p[4] % 50 : h.len;
	if (len > REQUEST)
		len = REQUEST;
	room = p[3] & 128 ? p[3] & 127 : ANSWER;
	learn(h.opcode, fuse_server_handle(server, in, cut(request, len, p[3] & 15, in), out,
					   cut(answer, room, p[3] >> 4 & 7, out)));
	return 6 + args;
}

static void begin(unsigned char how)
{
	struct fuse_opts o = { .proc_fd = -1,
			       .read_only = (how & 7) == 7,
			       .writeback = how & 8,
			       .exclusive = how & 16 ? "." : NULL,
			       .max_fds = how & 32 ? 16 : FDS,
			       .max_inodes = 64 };
	struct fuse_init_in in = { .major = 7, .minor = 38, .flags = ~0U };
	struct fuse_in_header h = { .len = sizeof(h) + sizeof(in), .opcode = FUSE_INIT };
	struct iovec v[2] = { { &h, sizeof(h) }, { &in, sizeof(in) } }, a = { answer, ANSWER };
	struct err e = {};

	n_nodes = n_handles = 0;
	note(nodes, &n_nodes, 1);
	if (fuse_server_new(root, &o, &server, &e) < 0 || fuse_server_enter(server, &e) < 0)
		abort();
	if (how & 64)
		return;
	if (fuse_server_handle(server, v, 2, &a, 1) == 0)
		abort();
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
