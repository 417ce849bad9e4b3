/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files test DIR [-h HOSTDIR] [NAME...]   runs the tests, each in DIR/NAME
 * files list DIR                           prints all that is below DIR and what is known of it
 *
 * HOSTDIR is DIR seen from the other side of the mount, for tests that act there. The lists of both
 * sides must be the same.
 */
#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

char host_dir[4096];
static bool failed, skipped;

void check_failed(const char *file, int line, const char *what, int err)
{
	failed = true;
	printf("# %s:%d: %s: %s\n", file, line, what, strerror(err));
}

void test_skip(const char *why)
{
	skipped = true;
	printf("# skipped: %s\n", why);
}

int put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	size_t n = strlen(text);
	int r = fd < 0 || write(fd, text, n) != (ssize_t)n ? -1 : 0;

	if (fd >= 0 && close(fd) < 0)
		r = -1;
	return r;
}

bool holds(const char *name, const char *text)
{
	static char buf[65536];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

bool is_there(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

char *in_host(const char *name)
{
	static char path[sizeof(host_dir) + 512];

	snprintf(path, sizeof(path), "%s/%s", host_dir, name);
	return path;
}

int as_user(int uid, int gid, int extra, int (*fn)(void))
{
	gid_t groups[1] = { (gid_t)extra };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setgroups(extra >= 0, groups) < 0 || setgid((gid_t)gid) < 0 ||
		    setuid((uid_t)uid) < 0)
			_exit(99);
		_exit(fn());
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* ---- list ---- */

static void print_quoted(const char *s)
{
	for (; *s; s++) {
		if (*s > ' ' && *s < 127 && *s != '\\')
			putchar(*s);
		else
			printf("\\%03o", (unsigned char)*s);
	}
}

static uint64_t content(const char *path)
{
	static unsigned char buf[65536];
	uint64_t h = 0xcbf29ce484222325ULL;
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	ssize_t n;

	/* Holes of gigabytes are not read: what begins after the first 16 MiB is left out. */
	for (int i = 0; fd >= 0 && i < 256 && (n = read(fd, buf, sizeof(buf))) > 0; i++)
		for (ssize_t k = 0; k < n; k++)
			h = (h ^ buf[k]) * 0x100000001b3ULL;
	if (fd >= 0)
		close(fd);
	return fd < 0 ? 0 : h;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_xattrs(const char *path)
{
	static char names[65536], value[65536];
	ssize_t n = llistxattr(path, names, sizeof(names));
	char *sorted[64];
	size_t count = 0;

	for (char *p = names; p < names + n && count < 64; p += strlen(p) + 1)
		if (strncmp(p, "user.", 5) == 0 || strncmp(p, "system.posix", 12) == 0)
			sorted[count++] = p;
	qsort(sorted, count, sizeof(*sorted), by_name);
	for (size_t i = 0; i < count; i++) {
		ssize_t len = lgetxattr(path, sorted[i], value, sizeof(value));

		printf(" %s=", sorted[i]);
		for (ssize_t k = 0; k < len; k++)
			printf("%02x", (unsigned char)value[k]);
	}
}

static void print_one(const char *path, const char *shown)
{
	char target[4096];
	struct stat st;
	ssize_t n;

	if (lstat(path, &st) < 0) {
		printf("? %s\n", strerror(errno));
		return;
	}
	print_quoted(shown);
	printf(" %06o %u %u", st.st_mode, st.st_uid, st.st_gid);
	if (!S_ISDIR(st.st_mode))
		printf(" %lu %lld", (unsigned long)st.st_nlink, (long long)st.st_size);
	printf(" %lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (S_ISREG(st.st_mode))
		printf(" %016llx", (unsigned long long)content(path));
	n = S_ISLNK(st.st_mode) ? readlink(path, target, sizeof(target) - 1) : -1;
	if (n >= 0) {
		target[n] = '\0';
		printf(" -> ");
		print_quoted(target);
	}
	print_xattrs(path);
	putchar('\n');
}

static int list(const char *path, size_t skip)
{
	struct dirent **v = NULL;
	int n = scandir(path, &v, NULL, alphasort), bad = n < 0;

	for (int i = 0; i < n; i++) {
		char *p = NULL;

		if (strcmp(v[i]->d_name, ".") != 0 && strcmp(v[i]->d_name, "..") != 0 &&
		    asprintf(&p, "%s/%s", path, v[i]->d_name) > 0) {
			struct stat st;

			print_one(p, p + skip);
			if (lstat(p, &st) == 0 && S_ISDIR(st.st_mode))
				bad |= list(p, skip);
			free(p);
		}
		free(v[i]);
	}
	free(v);
	return bad;
}

/* ---- test ---- */

static bool wanted(const char *name, char **only)
{
	if (!*only)
		return true;
	for (; *only; only++)
		if (strcmp(*only, name) == 0)
			return true;
	return false;
}

/* false: it failed. */
static bool run_one(const struct test *t, const char *dir, const char *host)
{
	failed = skipped = false;
	if (t->host && !host) {
		printf("skip %s: no other side here\n", t->name);
		return true;
	}
	if (host)
		snprintf(host_dir, sizeof(host_dir), "%s/%s", host, t->name);
	if (chdir(dir) < 0 || mkdir(t->name, 0755) < 0 || chdir(t->name) < 0) {
		printf("FAILED %s: its directory: %s\n", t->name, strerror(errno));
		return false;
	}
	umask(022);
	t->run();
	printf("%s %s\n", failed ? "FAILED" : skipped ? "skip" : "ok", t->name);
	fflush(stdout);
	return !failed;
}

int main(int argc, char **argv)
{
	const struct test *const tables[] = { tests_names, tests_data, tests_meta, tests_host };
	const char *host = NULL, *dir;
	int bad = 0, first = 3;

	if (argc == 3 && strcmp(argv[1], "list") == 0)
		return list(argv[2], strlen(argv[2]) + 1);
	if (argc < 3 || strcmp(argv[1], "test") != 0) {
		fprintf(stderr, "usage: files test DIR [-h HOSTDIR] [NAME...] | files list DIR\n");
		return 2;
	}
	if (argc >= 5 && strcmp(argv[3], "-h") == 0) {
		host = argv[4];
		first = 5;
	}
	dir = realpath(argv[2], NULL);
	if (!dir || (host && !(host = realpath(host, NULL)))) {
		perror(argv[2]);
		return 2;
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct test *t = tables[i]; t->name; t++)
			if (wanted(t->name, argv + first))
				bad |= !run_one(t, dir, host);
	return bad;
}
