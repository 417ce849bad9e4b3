/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char dir[] = "/tmp/ctr-io-XXXXXX";
static int dirfd_ = -1;

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ < 0;
}

static void remove_all(void)
{
	DIR *d = opendir(dir);
	struct dirent *ent;

	while ((ent = readdir(d)))
		if (unlinkat(dirfd_, ent->d_name, 0) < 0)
			unlinkat(dirfd_, ent->d_name, AT_REMOVEDIR);
	closedir(d);
}

static int teardown(void **state)
{
	(void)state;
	remove_all();
	close(dirfd_);
	return rmdir(dir);
}

/* Names in the directory, . and .. aside. */
static size_t count_files(void)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void put(const char *name, const char *text)
{
	AUTO_CLOSE int fd = openat(dirfd_, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void assert_file(const char *name, const char *want)
{
	AUTO_FREE char *text = NULL;
	size_t len = 0;

	assert_int_equal(io_read_file(dirfd_, name, 1 << 20, &text, &len), 0);
	assert_int_equal(len, strlen(want));
	assert_string_equal(text, want);
}

/* ---- whole buffers ---- */

#define MUCH ((size_t)300000) /* more than a pipe holds */

static char much[MUCH], back[MUCH];

static void *write_much(void *fd)
{
	/* in pieces, with pauses for the reader to run into */
	for (size_t at = 0; at < MUCH; at += 1000)
		if (io_write_full(*(int *)fd, much + at, 1000) < 0)
			break;
	close(*(int *)fd);
	return NULL;
}

static void test_pipe(void **state)
{
	pthread_t t;
	int p[2];

	(void)state;
	for (size_t i = 0; i < MUCH; i++)
		much[i] = (char)(i * 31);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&t, NULL, write_much, &p[1]), 0);
	assert_int_equal(io_read_full(p[0], back, MUCH), MUCH);
	assert_memory_equal(much, back, MUCH);
	assert_int_equal(io_read_full(p[0], back, 10), 0);
	pthread_join(t, NULL);
	close(p[0]);
}

static void test_short(void **state)
{
	char buf[10];
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(io_write_full(p[1], "abc", 3), 0);
	close(p[1]);
	assert_int_equal(io_read_full(p[0], buf, sizeof(buf)), 3);
	close(p[0]);
	assert_int_equal(io_read_full(-1, buf, 1), -EBADF);
	assert_int_equal(io_write_full(-1, buf, 1), -EBADF);
	assert_int_equal(io_write_full(-1, buf, 0), 0);
}

static void nothing(int sig)
{
	(void)sig;
}

struct poke {
	int pipe[2];
	pthread_t reader;
};

/* The reader is interrupted in its read many times, then served. */
static void *poke(void *arg)
{
	struct poke *p = arg;

	for (int i = 0; i < 50; i++) {
		pthread_kill(p->reader, SIGUSR1);
		usleep(500);
	}
	return write(p->pipe[1], "late", 4) == 4 ? p : NULL;
}

static void test_interrupted(void **state)
{
	struct sigaction act = { .sa_handler = nothing }, old; /* no SA_RESTART */
	struct poke p = { .reader = pthread_self() };
	pthread_t t;
	char buf[4];

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &act, &old), 0);
	assert_int_equal(pipe2(p.pipe, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&t, NULL, poke, &p), 0);
	assert_int_equal(io_read_full(p.pipe[0], buf, 4), 4);
	assert_memory_equal(buf, "late", 4);
	pthread_join(t, NULL);
	sigaction(SIGUSR1, &old, NULL);
	close(p.pipe[0]);
	close(p.pipe[1]);
}

/* ---- whole files ---- */

static void test_read_file(void **state)
{
	char *text = (char *)1;
	size_t len = 77;

	(void)state;
	put("file", "content\n");
	assert_file("file", "content\n");
	put("file", "");
	assert_file("file", "");
	assert_int_equal(io_read_file(dirfd_, "none", 10, &text, &len), -ENOENT);
	assert_int_equal(io_read_file(dirfd_, ".", 10, &text, &len), -EISDIR);
	/* on failure nothing is given out */
	assert_ptr_equal(text, (char *)1);
	assert_int_equal(len, 77);
	/* a file that does not tell its size */
	text = NULL;
	assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/status", 1 << 20, &text, NULL), 0);
	assert_non_null(strstr(text, "Name:"));
	free(text);
}

static void test_limits(void **state)
{
	char *text = NULL;
	size_t len;

	(void)state;
	put("file", "12345");
	assert_int_equal(io_read_file(dirfd_, "file", 4, &text, &len), -EFBIG);
	assert_int_equal(io_read_file(dirfd_, "file", 5, &text, &len), 0);
	assert_int_equal(len, 5);
	free(text);
	text = NULL;
	assert_int_equal(io_read_file(AT_FDCWD, "/dev/zero", 100000, &text, &len), -EFBIG);
	assert_null(text);
	assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/status", 10, &text, &len), -EFBIG);
	assert_int_equal(io_read_file(AT_FDCWD, "/dev/null", 0, &text, &len), 0);
	assert_int_equal(len, 0);
	free(text);
}

static void test_small(void **state)
{
	char buf[8];

	(void)state;
	put("file", "abc\n");
	assert_int_equal(io_read_small(dirfd_, "file", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "abc");
	put("file", "abc\n\n");
	assert_int_equal(io_read_small(dirfd_, "file", buf, sizeof(buf)), 4);
	assert_string_equal(buf, "abc\n");
	put("file", "\n");
	assert_int_equal(io_read_small(dirfd_, "file", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	put("file", "longer than the buffer");
	assert_int_equal(io_read_small(dirfd_, "file", buf, sizeof(buf)), 7);
	assert_string_equal(buf, "longer ");
	assert_int_equal(io_read_small(dirfd_, "none", buf, sizeof(buf)), -ENOENT);
}

static void test_write_file(void **state)
{
	(void)state;
	put("file", "old");
	assert_int_equal(io_write_file(dirfd_, "file", "new"), 0);
	assert_file("file", "new");
	/* it makes no file */
	assert_int_equal(io_write_file(dirfd_, "none", "x"), -ENOENT);
	assert_int_equal(faccessat(dirfd_, "none", F_OK, 0), -1);
	assert_int_equal(io_write_file(AT_FDCWD, "/dev/full", "x"), -ENOSPC);
}

/* ---- replacing ---- */

static void test_atomic(void **state)
{
	struct stat st;

	(void)state;
	remove_all();
	assert_int_equal(io_write_atomic(dirfd_, "file", "one", 3, 0600), 0);
	assert_file("file", "one");
	assert_int_equal(fstatat(dirfd_, "file", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(io_write_atomic(dirfd_, "file", "second", 6, 0600), 0);
	assert_file("file", "second");
	assert_int_equal(io_write_atomic(dirfd_, "file", "", 0, 0600), 0);
	assert_file("file", "");
	assert_int_equal(count_files(), 1);
}

/* A link in the place is replaced, not followed. */
static void test_atomic_link(void **state)
{
	struct stat st;

	(void)state;
	remove_all();
	put("target", "untouched");
	assert_int_equal(symlinkat("target", dirfd_, "file"), 0);
	assert_int_equal(io_write_atomic(dirfd_, "file", "new", 3, 0600), 0);
	assert_file("target", "untouched");
	assert_int_equal(fstatat(dirfd_, "file", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void test_atomic_failures(void **state)
{
	char name[300];

	(void)state;
	remove_all();
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(io_write_atomic(dirfd_, name, "x", 1, 0600), -ENAMETOOLONG);
	assert_int_equal(io_write_atomic(-1, "file", "x", 1, 0600), -EBADF);
	/* the rename fails: a directory is in the place */
	assert_int_equal(mkdirat(dirfd_, "sub", 0700), 0);
	assert_int_equal(io_write_atomic(dirfd_, "sub", "x", 1, 0600), -EISDIR);
	assert_int_equal(count_files(), 1);
}

/* The file system is full in the middle: the old content is there, and nothing else. */
static void test_atomic_full(void **state)
{
	struct rlimit old, low;

	(void)state;
	remove_all();
	assert_int_equal(io_write_atomic(dirfd_, "file", "kept", 4, 0600), 0);
	/* a limit of the file size stands for a full disk: the write stops half way */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = (struct rlimit){ .rlim_cur = 1000, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(io_write_atomic(dirfd_, "file", much, 5000, 0600), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_file("file", "kept");
	assert_int_equal(count_files(), 1);
}

/* Readers see one of the contents, whole, at any time. */
static volatile int stop;

static void *replace(void *arg)
{
	static char a[4000], b[3000];

	(void)arg;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	while (!stop) {
		io_write_atomic(dirfd_, "raced", a, sizeof(a), 0600);
		io_write_atomic(dirfd_, "raced", b, sizeof(b), 0600);
	}
	return NULL;
}

static void test_atomic_race(void **state)
{
	pthread_t t;

	(void)state;
	assert_int_equal(io_write_atomic(dirfd_, "raced", "", 0, 0600), 0);
	assert_int_equal(pthread_create(&t, NULL, replace, NULL), 0);
	for (int i = 0; i < 500; i++) {
		AUTO_FREE char *text = NULL;
		size_t len;

		assert_int_equal(io_read_file(dirfd_, "raced", 1 << 20, &text, &len), 0);
		if (len > 0) {
			assert_int_equal(len, text[0] == 'a' ? 4000 : 3000);
			assert_int_equal(text[len - 1], text[0]);
		}
	}
	stop = 1;
	pthread_join(t, NULL);
	assert_int_equal(unlinkat(dirfd_, "raced", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipe),        cmocka_unit_test(test_short),
		cmocka_unit_test(test_interrupted), cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_limits),      cmocka_unit_test(test_small),
		cmocka_unit_test(test_write_file),  cmocka_unit_test(test_atomic),
		cmocka_unit_test(test_atomic_link), cmocka_unit_test(test_atomic_failures),
		cmocka_unit_test(test_atomic_full), cmocka_unit_test(test_atomic_race),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
