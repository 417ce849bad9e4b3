/* SPDX-License-Identifier: Apache-2.0 */
/* What is in files: reading, writing, mapping, holes, syncing, locks. */
#include "files.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIB (1LL << 30)

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 2654435761U >> 13);
}

static void t_rw(void)
{
	enum { SIZE = (6 << 20) + 123 };
	unsigned char *buf = malloc(SIZE), part[5000];
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	size_t done = 0;

	CHECK(buf && fd >= 0);
	for (size_t i = 0; i < SIZE; i++)
		buf[i] = pattern(i);
	/* in pieces that end nowhere near a page */
	for (size_t n = 1; done < SIZE; n = n * 3 + 7) {
		size_t len = n < SIZE - done ? n : SIZE - done;

		CHECK(write(fd, buf + done, len) == (ssize_t)len);
		done += len;
	}
	memset(buf, 0, SIZE);
	CHECK(pread(fd, buf, SIZE, 0) == SIZE);
	for (size_t i = 0; i < SIZE; i++)
		CHECK(buf[i] == pattern(i));
	for (off_t at = 1; at < SIZE - 5000; at += 777777) {
		CHECK(pread(fd, part, 5000, at) == 5000);
		CHECK(memcmp(part, buf + at, 5000) == 0);
	}
	CHECK(pread(fd, part, 5000, SIZE - 10) == 10 && pread(fd, part, 10, SIZE) == 0);
	CHECK(pwrite(fd, "middle", 6, 4093) == 6 && pread(fd, part, 10, 4091) == 10);
	CHECK(part[0] == pattern(4091) && memcmp(part + 2, "middle", 6) == 0);
	CHECK(close(fd) == 0 && (fd = open("f", O_RDONLY)) >= 0);
	CHECK(pread(fd, part, 10, 4091) == 10 && memcmp(part + 2, "middle", 6) == 0);
	FAILS(EBADF, write(fd, "x", 1));
	CHECK(close(fd) == 0);
	free(buf);
}

static void t_vectors(void)
{
	struct iovec v[300];
	char out[600], in[600];
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	CHECK(fd >= 0);
	for (int i = 0; i < 300; i++) {
		out[2 * i] = (char)('a' + i % 26);
		out[2 * i + 1] = (char)('A' + i % 26);
		v[i] = (struct iovec){ out + 2 * i, 2 };
	}
	CHECK(pwritev(fd, v, 300, 3) == 600);
	for (int i = 0; i < 300; i++)
		v[i] = (struct iovec){ in + 2 * i, 2 };
	CHECK(preadv(fd, v, 300, 3) == 600 && memcmp(in, out, 600) == 0 && close(fd) == 0);
}

static void t_append(void)
{
	int a = open("f", O_WRONLY | O_CREAT | O_APPEND, 0644), b = open("f", O_WRONLY | O_APPEND);
	struct stat st;

	CHECK(a >= 0 && b >= 0);
	CHECK(write(a, "one ", 4) == 4 && write(b, "two ", 4) == 4 && write(a, "three", 5) == 5);
	CHECK(holds("f", "one two three"));
	CHECK(lseek(a, 0, SEEK_SET) == 0 && write(a, "!", 1) == 1 && holds("f", "one two three!"));
	CHECK(fcntl(a, F_SETFL, 0) == 0 && pwrite(a, "O", 1, 0) == 1);
	CHECK(holds("f", "One two three!") && fstat(b, &st) == 0 && st.st_size == 14);
	CHECK(fcntl(a, F_SETFL, O_APPEND) == 0 && write(a, "?", 1) == 1);
	CHECK(close(a) == 0 && close(b) == 0 && holds("f", "One two three!?"));
}

static void t_truncate(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char buf[20];
	struct stat st;

	CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10);
	CHECK(ftruncate(fd, 4) == 0 && fstat(fd, &st) == 0 && st.st_size == 4);
	CHECK(ftruncate(fd, 12) == 0 && pread(fd, buf, 20, 0) == 12);
	CHECK(memcmp(buf, "0123\0\0\0\0\0\0\0\0", 12) == 0 && truncate("f", 2) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 2 && pread(fd, buf, 20, 0) == 2);
	FAILS(EINVAL, ftruncate(fd, -1));
	FAILS(EISDIR, truncate(".", 0));
	CHECK(close(fd) == 0 && chmod("f", 0444) == 0 && (fd = open("f", O_RDONLY)) >= 0);
	FAILS(EINVAL, ftruncate(fd, 0));
	CHECK(close(fd) == 0);
}

static void t_mmap_shared(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char *m, *again, buf[8];

	CHECK(fd >= 0 && ftruncate(fd, 3 * 4096) == 0);
	m = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	memcpy(m + 4094, "edge", 4);
	CHECK(pread(fd, buf, 4, 4094) == 4 && memcmp(buf, "edge", 4) == 0);
	CHECK(pwrite(fd, "write", 5, 8000) == 5 && memcmp(m + 8000, "write", 5) == 0);
	CHECK(msync(m, 3 * 4096, MS_SYNC) == 0);
	again = mmap(NULL, 3 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(again != MAP_FAILED && memcmp(m, again, 3 * 4096) == 0);
	m[0] = 'm';
	CHECK(again[0] == 'm' && munmap(m, 3 * 4096) == 0 && munmap(again, 3 * 4096) == 0);
	CHECK(close(fd) == 0 && (fd = open("f", O_RDONLY)) >= 0);
	CHECK(pread(fd, buf, 1, 0) == 1 && buf[0] == 'm' && close(fd) == 0);
}

static void t_mmap_private(void)
{
	int fd;
	char *m;

	CHECK(put("f", "original") == 0 && (fd = open("f", O_RDONLY)) >= 0);
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(m != MAP_FAILED && memcmp(m, "original", 9) == 0);
	memcpy(m, "scribble", 8);
	CHECK(holds("f", "original") && munmap(m, 4096) == 0 && close(fd) == 0);
}

static void t_tmpfile(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0640), other;
	char name[64], buf[8];
	struct stat st;

	if (fd < 0 && errno == EOPNOTSUPP) {
		test_skip("this kernel's FUSE has no O_TMPFILE (Linux 6.1)");
		return;
	}
	CHECK(fd >= 0 && write(fd, "hidden", 6) == 6 && fstat(fd, &st) == 0);
	CHECK(st.st_nlink == 0 && st.st_size == 6 && (st.st_mode & 07777) == 0640);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK(linkat(AT_FDCWD, name, AT_FDCWD, "shown", AT_SYMLINK_FOLLOW) == 0);
	CHECK(holds("shown", "hidden") && fstat(fd, &st) == 0 && st.st_nlink == 1);
	CHECK((other = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600)) >= 0);
	CHECK(write(other, "x", 1) == 1 && pread(other, buf, 8, 0) == 1);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", other);
	FAILS(ENOENT, linkat(AT_FDCWD, name, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
	CHECK(close(other) == 0 && close(fd) == 0);
}

static void t_sync(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644), dir = open(".", O_RDONLY);
	int slow = open("s", O_WRONLY | O_CREAT | O_SYNC, 0644);

	CHECK(fd >= 0 && dir >= 0 && slow >= 0 && write(fd, "data", 4) == 4);
	CHECK(fdatasync(fd) == 0 && fsync(fd) == 0 && fsync(dir) == 0);
	CHECK(write(slow, "sync", 4) == 4 && sync_file_range(fd, 0, 0, 2) == 0);
	CHECK(syncfs(dir) == 0 && close(fd) == 0 && close(dir) == 0 && close(slow) == 0);
}

static void t_sparse(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	struct stat st;
	char buf[8];

	CHECK(fd >= 0 && pwrite(fd, "begin", 5, 0) == 5 && pwrite(fd, "end", 3, 5 * GIB) == 3);
	CHECK(fsync(fd) == 0 && fstat(fd, &st) == 0 && st.st_size == 5 * GIB + 3);
	CHECK(st.st_blocks < 2048);
	CHECK(pread(fd, buf, 8, 5 * GIB) == 3 && memcmp(buf, "end", 3) == 0);
	CHECK(pread(fd, buf, 8, 3 * GIB) == 8 && memcmp(buf, "\0\0\0\0\0\0\0\0", 8) == 0);
	CHECK(lseek(fd, 0, SEEK_HOLE) > 0 && lseek(fd, 0, SEEK_HOLE) <= 1 << 20);
	CHECK(lseek(fd, 1 << 20, SEEK_DATA) > 4 * GIB && lseek(fd, 0, SEEK_END) == 5 * GIB + 3);
	FAILS(ENXIO, lseek(fd, 6 * GIB, SEEK_DATA));
	CHECK(ftruncate(fd, 7 * GIB) == 0 && fstat(fd, &st) == 0 && st.st_size == 7 * GIB);
	CHECK(close(fd) == 0);
}

static void t_fallocate(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	struct stat st;
	char buf[4];

	CHECK(fd >= 0);
	if (fallocate(fd, 0, 0, 1 << 20) < 0 && errno == EOPNOTSUPP) {
		test_skip("no fallocate on this file system");
		return;
	}
	CHECK(fstat(fd, &st) == 0 && st.st_size == 1 << 20 && st.st_blocks >= 2048);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 4096) == 0 && fstat(fd, &st) == 0);
	CHECK(st.st_size == 1 << 20 && pwrite(fd, "abcd", 4, 8192) == 4);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096) == 0);
	CHECK(pread(fd, buf, 4, 8192) == 4 && memcmp(buf, "\0\0\0\0", 4) == 0);
	CHECK(close(fd) == 0);
}

static void t_copy_range(void)
{
	int from, to;
	loff_t a = 4, b = 0;

	CHECK(put("from", "0123456789") == 0 && (from = open("from", O_RDONLY)) >= 0);
	CHECK((to = open("to", O_RDWR | O_CREAT, 0644)) >= 0);
	CHECK(copy_file_range(from, &a, to, &b, 100, 0) == 6 && a == 10 && b == 6);
	CHECK(holds("to", "456789") && close(from) == 0 && close(to) == 0);
}

/* In a child: can somebody else have the lock? 0 yes, 1 no. */
static int other_flock(const char *name)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(name, O_RDWR);

		_exit(fd < 0 ? 9 : flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int other_setlk(const char *name, off_t start)
{
	struct flock l = { .l_type = F_WRLCK, .l_start = start, .l_len = 10 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(name, O_RDWR);

		_exit(fd < 0 ? 9 : fcntl(fd, F_SETLK, &l) == 0 ? 0 : errno == EAGAIN);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void t_locks(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_start = 100, .l_len = 50 };
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	CHECK(fd >= 0 && other_flock("f") == 0);
	CHECK(flock(fd, LOCK_EX) == 0 && other_flock("f") == 1);
	CHECK(flock(fd, LOCK_UN) == 0 && other_flock("f") == 0);
	CHECK(fcntl(fd, F_SETLK, &l) == 0 && other_setlk("f", 120) == 1);
	CHECK(other_setlk("f", 0) == 0 && other_setlk("f", 145) == 1);
	l.l_type = F_UNLCK;
	CHECK(fcntl(fd, F_SETLK, &l) == 0 && other_setlk("f", 120) == 0 && close(fd) == 0);
}

static void t_statfs(void)
{
	struct statfs fs;
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	CHECK(statfs(".", &fs) == 0 && fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks);
	CHECK(fs.f_bsize > 0 && fs.f_namelen == 255 && fstatfs(fd, &fs) == 0 && close(fd) == 0);
}

static void t_many_open(void)
{
	enum { N = 500 };
	static int fds[N];
	char name[32], buf[32];

	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		CHECK((fds[i] = open(name, O_RDWR | O_CREAT, 0644)) >= 0);
		CHECK(write(fds[i], name, strlen(name)) == (ssize_t)strlen(name));
	}
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		CHECK(pread(fds[i], buf, 32, 0) == (ssize_t)strlen(name));
		CHECK(memcmp(buf, name, strlen(name)) == 0 && close(fds[i]) == 0);
	}
}

static void t_exec(void)
{
	int from = open("/proc/self/exe", O_RDONLY), to, status;
	char buf[65536];
	ssize_t n;
	pid_t pid;

	CHECK(from >= 0 && (to = open("prog", O_WRONLY | O_CREAT, 0755)) >= 0);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		CHECK(write(to, buf, (size_t)n) == n);
	CHECK(close(to) == 0 && close(from) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		freopen("/dev/null", "w", stderr);
		execl("./prog", "prog", NULL);
		_exit(99);
	}
	/* without arguments it says how it is used */
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

const struct test tests_data[] = {
	{ "rw", t_rw, false },
	{ "vectors", t_vectors, false },
	{ "append", t_append, false },
	{ "truncate", t_truncate, false },
	{ "mmap_shared", t_mmap_shared, false },
	{ "mmap_private", t_mmap_private, false },
	{ "tmpfile", t_tmpfile, false },
	{ "sync", t_sync, false },
	{ "sparse", t_sparse, false },
	{ "fallocate", t_fallocate, false },
	{ "copy_range", t_copy_range, false },
	{ "locks", t_locks, false },
	{ "statfs", t_statfs, false },
	{ "many_open", t_many_open, false },
	{ "exec", t_exec, false },
	{},
};
