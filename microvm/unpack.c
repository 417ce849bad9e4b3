/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every library has the same shape: something that is given input and room for output, and says
 * when its data has ended. Their structures are declared here as their ABIs fix them.
 */
#include "microvm/unpack.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_SIZE = 256 << 10, LZ4_BLOCK = 8 << 20 };

struct z_stream {
	const uint8_t *next_in;
	unsigned int avail_in;
	unsigned long total_in;
	uint8_t *next_out;
	unsigned int avail_out;
	unsigned long total_out;
	const char *msg;
	void *state, *zalloc, *zfree, *opaque;
	int data_type;
	unsigned long adler, reserved;
};

struct bz_stream {
	const uint8_t *next_in;
	unsigned int avail_in, total_in[2];
	uint8_t *next_out;
	unsigned int avail_out, total_out[2];
	void *state, *bzalloc, *bzfree, *opaque;
};

struct lzma_stream {
	const uint8_t *next_in;
	size_t avail_in;
	uint64_t total_in;
	uint8_t *next_out;
	size_t avail_out;
	uint64_t total_out;
	void *allocator, *internal, *reserved_ptr[4];
	uint64_t reserved_u64[2];
	size_t reserved_size[2];
	int reserved_enum[2];
};

struct zstd_in {
	const void *p;
	size_t size, pos;
};

struct zstd_out {
	void *p;
	size_t size, pos;
};

/* What a step works on: it moves in and out forward. */
struct span {
	const uint8_t *in;
	size_t n_in;
	uint8_t *out;
	size_t n_out;
};

enum step { STEP_BAD = -1, STEP_MORE = 0, STEP_END = 1 };

struct sink {
	int fd;
	uint64_t left;
};

static int sink_put(struct sink *s, const void *p, size_t n, struct err *e)
{
	int r;

	if (n > s->left)
		return err_set(e, ENOEXEC, "corrupt: more comes out of it than it says");
	r = io_write_full(s->fd, p, n);
	if (r < 0)
		return err_sys(e, -r, "write what was unpacked");
	s->left -= n;
	return 0;
}

struct symbol {
	const char *name;
	void **to;
};

/* Never unloaded: the process that needs one goes on to run a machine or ends. */
static int load(const char *soname, const struct symbol *syms, size_t n, struct err *e)
{
	void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return err_set(e, ENOTSUP, "needs the library %s to unpack it: %s", soname,
			       dlerror());
	for (size_t i = 0; i < n; i++) {
		*syms[i].to = dlsym(handle, syms[i].name);
		if (!*syms[i].to)
			return err_set(e, ENOTSUP, "the library %s has no %s", soname,
				       syms[i].name);
	}
	return 0;
}

/* ---- gzip ---- */
static struct {
	int (*init)(struct z_stream *, int, const char *, int);
	int (*run)(struct z_stream *, int);
	int (*end)(struct z_stream *);
} gz;

static int gzip_load(struct err *e)
{
	const struct symbol syms[] = {
		{ "inflateInit2_", (void **)&gz.init },
		{ "inflate", (void **)&gz.run },
		{ "inflateEnd", (void **)&gz.end },
	};

	return load("libz.so.1", syms, ARRAY_SIZE(syms), e);
}

static void *gzip_open(void)
{
	struct z_stream *s = calloc(1, sizeof(*s));

	/* 15 bits of window, and 16 for a gzip header around them */
	if (s && gz.init(s, 15 + 16, "1.2.11", (int)sizeof(*s)) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

static enum step gzip_step(void *state, struct span *w)
{
	struct z_stream *s = state;
	int r;

	s->next_in = w->in;
	s->avail_in = (unsigned int)w->n_in;
	s->next_out = w->out;
	s->avail_out = (unsigned int)w->n_out;
	r = gz.run(s, 0);
	*w = (struct span){ s->next_in, s->avail_in, s->next_out, s->avail_out };
	return r == 1 ? STEP_END : r == 0 ? STEP_MORE : STEP_BAD;
}

static void gzip_close(void *state)
{
	gz.end(state);
	free(state);
}

/* ---- bzip2 ---- */
static struct {
	int (*init)(struct bz_stream *, int, int);
	int (*run)(struct bz_stream *);
	int (*end)(struct bz_stream *);
} bz;

static int bzip2_load(struct err *e)
{
	const struct symbol syms[] = {
		{ "BZ2_bzDecompressInit", (void **)&bz.init },
		{ "BZ2_bzDecompress", (void **)&bz.run },
		{ "BZ2_bzDecompressEnd", (void **)&bz.end },
	};

	return load("libbz2.so.1.0", syms, ARRAY_SIZE(syms), e);
}

static void *bzip2_open(void)
{
	struct bz_stream *s = calloc(1, sizeof(*s));

	if (s && bz.init(s, 0, 0) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

static enum step bzip2_step(void *state, struct span *w)
{
	struct bz_stream *s = state;
	int r;

	s->next_in = w->in;
	s->avail_in = (unsigned int)w->n_in;
	s->next_out = w->out;
	s->avail_out = (unsigned int)w->n_out;
	r = bz.run(s);
	*w = (struct span){ s->next_in, s->avail_in, s->next_out, s->avail_out };
	return r == 4 ? STEP_END : r == 0 ? STEP_MORE : STEP_BAD;
}

static void bzip2_close(void *state)
{
	bz.end(state);
	free(state);
}

/* ---- xz, and lzma before it ---- */
static struct {
	int (*init_xz)(struct lzma_stream *, uint64_t, uint32_t);
	int (*init_alone)(struct lzma_stream *, uint64_t);
	int (*run)(struct lzma_stream *, int);
	void (*end)(struct lzma_stream *);
} lz;

/* The most memory that a header may ask for: kernels use windows up to 128 MiB. */
#define LZMA_MEMORY (256ULL << 20)

static int lzma_load(struct err *e)
{
	const struct symbol syms[] = {
		{ "lzma_stream_decoder", (void **)&lz.init_xz },
		{ "lzma_alone_decoder", (void **)&lz.init_alone },
		{ "lzma_code", (void **)&lz.run },
		{ "lzma_end", (void **)&lz.end },
	};

	return load("liblzma.so.5", syms, ARRAY_SIZE(syms), e);
}

static void *xz_open(void)
{
	struct lzma_stream *s = calloc(1, sizeof(*s));

	if (s && lz.init_xz(s, LZMA_MEMORY, 0) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

static void *lzma_open(void)
{
	struct lzma_stream *s = calloc(1, sizeof(*s));

	if (s && lz.init_alone(s, LZMA_MEMORY) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

static enum step lzma_step(void *state, struct span *w)
{
	struct lzma_stream *s = state;
	int r;

	s->next_in = w->in;
	s->avail_in = w->n_in;
	s->next_out = w->out;
	s->avail_out = w->n_out;
	r = lz.run(s, 0);
	*w = (struct span){ s->next_in, s->avail_in, s->next_out, s->avail_out };
	return r == 1 ? STEP_END : r == 0 ? STEP_MORE : STEP_BAD;
}

static void lzma_close(void *state)
{
	lz.end(state);
	free(state);
}

/* ---- zstd ---- */
static struct {
	void *(*make)(void);
	size_t (*run)(void *, struct zstd_out *, struct zstd_in *);
	unsigned int (*is_error)(size_t);
	size_t (*end)(void *);
} zs;

static int zstd_load(struct err *e)
{
	const struct symbol syms[] = {
		{ "ZSTD_createDStream", (void **)&zs.make },
		{ "ZSTD_decompressStream", (void **)&zs.run },
		{ "ZSTD_isError", (void **)&zs.is_error },
		{ "ZSTD_freeDStream", (void **)&zs.end },
	};

	return load("libzstd.so.1", syms, ARRAY_SIZE(syms), e);
}

static void *zstd_open(void)
{
	return zs.make();
}

static enum step zstd_step(void *state, struct span *w)
{
	struct zstd_in in = { w->in, w->n_in, 0 };
	struct zstd_out out = { w->out, w->n_out, 0 };
	size_t r = zs.run(state, &out, &in);

	w->in += in.pos;
	w->n_in -= in.pos;
	w->out += out.pos;
	w->n_out -= out.pos;
	return zs.is_error(r) ? STEP_BAD : r == 0 ? STEP_END : STEP_MORE;
}

static void zstd_close(void *state)
{
	zs.end(state);
}

struct codec {
	int (*load)(struct err *);
	void *(*open)(void);
	enum step (*step)(void *state, struct span *w);
	void (*close)(void *state);
};

static const struct codec codecs[KERNEL_PACKINGS] = {
	[KERNEL_GZIP] = { gzip_load, gzip_open, gzip_step, gzip_close },
	[KERNEL_BZIP2] = { bzip2_load, bzip2_open, bzip2_step, bzip2_close },
	[KERNEL_LZMA] = { lzma_load, lzma_open, lzma_step, lzma_close },
	[KERNEL_XZ] = { lzma_load, xz_open, lzma_step, lzma_close },
	[KERNEL_ZSTD] = { zstd_load, zstd_open, zstd_step, zstd_close },
};

static int stream(const struct codec *c, void *state, const uint8_t *p, size_t n, uint8_t *buf,
		  struct sink *to, struct err *e)
{
	struct span w = { .in = p, .n_in = n };
	enum step s;

	do {
		size_t before = w.n_in;
		int r;

		w.out = buf;
		w.n_out = OUT_SIZE;
		s = c->step(state, &w);
		if (s == STEP_BAD)
			return err_set(e, ENOEXEC, "corrupt: it cannot be unpacked");
		r = sink_put(to, buf, (size_t)(w.out - buf), e);
		if (r < 0)
			return r;
		if (s == STEP_MORE && w.n_in == before && w.out == buf)
			return err_set(e, ENOEXEC, "truncated: its packed data has no end");
	} while (s != STEP_END);
	return 0;
}

/*
 * The kernel's lz4 is the format of the first lz4 program: the magic, then blocks with their length
 * before them, each full but the last, without an end: the last four bytes may be the size of all.
 */
static int unpack_lz4(const uint8_t *p, size_t n, struct sink *to, struct err *e)
{
	int (*run)(const char *, char *, int, int);
	const struct symbol syms[] = { { "LZ4_decompress_safe", (void **)&run } };
	AUTO_FREE char *buf = NULL;
	int r = load("liblz4.so.1", syms, ARRAY_SIZE(syms), e);

	if (r < 0)
		return r;
	buf = malloc(LZ4_BLOCK);
	if (!buf)
		return err_sys(e, ENOMEM, "unpack");
	for (p += 4, n -= 4; n > 4;) {
		uint32_t len = p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
		int out;

		p += 4;
		n -= 4;
		if (len > n)
			return err_set(e, ENOEXEC, "truncated: its packed data has no end");
		out = run((const char *)p, buf, (int)len, LZ4_BLOCK);
		p += len;
		n -= len;
		/* nothing else would tell: the format has no checksum */
		if (out <= 0 || (n > 4 && out != LZ4_BLOCK))
			return err_set(e, ENOEXEC, "corrupt: it cannot be unpacked");
		r = sink_put(to, buf, (size_t)out, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int unpack(enum kernel_packing how, const uint8_t *p, size_t n, int fd, uint64_t max, struct err *e)
{
	const struct codec *c = &codecs[how];
	struct sink to = { .fd = fd, .left = max };
	AUTO_FREE uint8_t *buf = NULL;
	void *state;
	int r;

	if (how == KERNEL_PLAIN)
		return sink_put(&to, p, n, e);
	if (how == KERNEL_LZ4)
		return unpack_lz4(p, n, &to, e);
	if (!c->load)
		return err_set(e, ENOTSUP, "packed with %s, which ctr cannot undo",
			       kernel_packing_name(how));
	r = c->load(e);
	if (r < 0)
		return r;
	buf = malloc(OUT_SIZE);
	state = buf ? c->open() : NULL;
	if (!state)
		return err_sys(e, ENOMEM, "unpack");
	r = stream(c, state, p, n, buf, &to, e);
	c->close(state);
	return r;
}
