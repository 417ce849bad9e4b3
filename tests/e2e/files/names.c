/* SPDX-License-Identifier: Apache-2.0 */
/* Names: making, linking, renaming, removing, listing. */
#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void t_create(void)
{
	struct stat st;
	int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0640);

	CHECK(fd >= 0);
	CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
	CHECK((st.st_mode & 07777) == 0640 && st.st_nlink == 1 && st.st_size == 0);
	CHECK(write(fd, "abc", 3) == 3 && close(fd) == 0 && holds("f", "abc"));
	FAILS(EEXIST, open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
	FAILS(ENOENT, open("none", O_RDONLY));
	FAILS(ENOTDIR, open("f/g", O_RDONLY));
	FAILS(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
	CHECK((fd = open("f", O_WRONLY | O_TRUNC)) >= 0 && close(fd) == 0 && holds("f", ""));
	CHECK(mkdir("d", 0751) == 0 && stat("d", &st) == 0 && (st.st_mode & 07777) == 0751);
	FAILS(EEXIST, mkdir("d", 0755));
	FAILS(EISDIR, open("d", O_WRONLY));
	FAILS(EISDIR, unlink("d"));
	FAILS(ENOTDIR, rmdir("f"));
	CHECK(put("d/x", "1") == 0);
	FAILS(ENOTEMPTY, rmdir("d"));
	CHECK(unlink("d/x") == 0 && rmdir("d") == 0 && !is_there("d"));
	FAILS(ENOENT, unlink("d"));
}

static void t_rename(void)
{
	CHECK(put("a", "A") == 0 && put("b", "B") == 0 && mkdir("d", 0755) == 0);
	CHECK(rename("a", "c") == 0 && !is_there("a") && holds("c", "A"));
	CHECK(rename("c", "b") == 0 && !is_there("c") && holds("b", "A"));
	CHECK(rename("b", "d/e") == 0 && holds("d/e", "A"));
	CHECK(mkdir("d/sub", 0755) == 0 && put("d/sub/x", "X") == 0);
	CHECK(rename("d", "moved") == 0 && holds("moved/sub/x", "X"));
	FAILS(EINVAL, rename("moved", "moved/sub/y"));
	CHECK(mkdir("full", 0755) == 0 && put("full/x", "") == 0 && mkdir("empty", 0755) == 0);
	FAILS(ENOTEMPTY, rename("empty", "full"));
	CHECK(rename("full", "empty") == 0 && is_there("empty/x"));
	CHECK(put("f", "F") == 0);
	FAILS(EISDIR, rename("f", "empty"));
	FAILS(ENOTDIR, rename("empty", "f"));
	FAILS(ENOENT, rename("none", "f"));
	CHECK(rename("moved/sub/x", "f") == 0 && holds("f", "X"));
}

static void t_rename_flags(void)
{
	struct stat a, b;

	CHECK(put("a", "A") == 0 && put("b", "B") == 0 && mkdir("d", 0755) == 0);
	FAILS(EEXIST, renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
	CHECK(renameat2(AT_FDCWD, "a", AT_FDCWD, "n", RENAME_NOREPLACE) == 0 && holds("n", "A"));
	CHECK(renameat2(AT_FDCWD, "n", AT_FDCWD, "b", RENAME_EXCHANGE) == 0);
	CHECK(holds("n", "B") && holds("b", "A"));
	CHECK(renameat2(AT_FDCWD, "d", AT_FDCWD, "b", RENAME_EXCHANGE) == 0);
	CHECK(stat("b", &b) == 0 && S_ISDIR(b.st_mode) && holds("d", "A"));
	FAILS(ENOENT, renameat2(AT_FDCWD, "n", AT_FDCWD, "none", RENAME_EXCHANGE));
	FAILS(EINVAL, renameat2(AT_FDCWD, "n", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
	CHECK(renameat2(AT_FDCWD, "n", AT_FDCWD, "w", RENAME_WHITEOUT) == 0 && holds("w", "B"));
	CHECK(lstat("n", &a) == 0 && S_ISCHR(a.st_mode) && a.st_rdev == makedev(0, 0));
}

static void t_link(void)
{
	struct stat a, b;

	CHECK(put("a", "one") == 0 && link("a", "b") == 0 && mkdir("d", 0755) == 0);
	CHECK(stat("a", &a) == 0 && stat("b", &b) == 0);
	CHECK(a.st_ino == b.st_ino && a.st_nlink == 2 && b.st_nlink == 2);
	CHECK(put("b", "two") == 0 && holds("a", "two"));
	CHECK(link("b", "d/c") == 0 && unlink("a") == 0 && stat("b", &b) == 0 && b.st_nlink == 2);
	FAILS(EEXIST, link("b", "d/c"));
	FAILS(EPERM, link("d", "e"));
	CHECK(symlink("nowhere", "s") == 0 && link("s", "t") == 0);
	CHECK(lstat("t", &b) == 0 && S_ISLNK(b.st_mode) && b.st_nlink == 2);
}

static void t_symlink(void)
{
	static char longest[4096], buf[4096];
	struct stat st;

	memset(longest, 'x', 4095);
	CHECK(put("f", "text") == 0 && symlink("f", "l") == 0 && holds("l", "text"));
	CHECK(readlink("l", buf, sizeof(buf)) == 1 && buf[0] == 'f');
	CHECK(lstat("l", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 1);
	CHECK(symlink(longest, "long") == 0 && readlink("long", buf, sizeof(buf)) == 4095);
	CHECK(memcmp(buf, longest, 4095) == 0);
	CHECK(symlink("../symlink/./l", "two") == 0 && holds("two", "text"));
	CHECK(symlink("loop", "loop") == 0);
	FAILS(ELOOP, open("loop", O_RDONLY));
	FAILS(ELOOP, open("l", O_RDONLY | O_NOFOLLOW));
	FAILS(EINVAL, readlink("f", buf, sizeof(buf)));
	FAILS(EEXIST, symlink("f", "l"));
	CHECK(lchown("loop", 12, 13) == 0 && lstat("loop", &st) == 0 && st.st_uid == 12);
	CHECK(symlink("/absolute/nowhere", "dangling") == 0);
	FAILS(ENOENT, open("dangling", O_RDONLY));
}

static void t_unlink_open(void)
{
	char buf[16] = "";
	struct stat st;
	int fd, dir;

	CHECK((fd = open("f", O_RDWR | O_CREAT, 0644)) >= 0 && write(fd, "before", 6) == 6);
	CHECK(unlink("f") == 0 && !is_there("f"));
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 6);
	CHECK(pwrite(fd, "after", 5, 6) == 5 && pread(fd, buf, 16, 0) == 11);
	CHECK(memcmp(buf, "beforeafter", 11) == 0 && ftruncate(fd, 3) == 0);
	CHECK(fchmod(fd, 0600) == 0 && fstat(fd, &st) == 0 && st.st_size == 3);
	CHECK(put("f", "another") == 0 && fstat(fd, &st) == 0 && st.st_size == 3);
	CHECK(close(fd) == 0 && holds("f", "another"));
	CHECK((fd = open("g", O_RDWR | O_CREAT, 0644)) >= 0 && write(fd, "old", 3) == 3);
	CHECK(rename("f", "g") == 0 && pread(fd, buf, 16, 0) == 3 && buf[0] == 'o');
	CHECK(close(fd) == 0 && mkdir("d", 0755) == 0 && (dir = open("d", O_RDONLY)) >= 0);
	CHECK(rmdir("d") == 0 && fstat(dir, &st) == 0);
	FAILS(ENOENT, openat(dir, "x", O_CREAT | O_WRONLY, 0644));
	CHECK(close(dir) == 0);
}

static void t_names(void)
{
	static const char *const odd[] = {
		"gr\xc3\xbc\xc3\x9f dich",
		"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		"\xff\xfe\x80",
		"new\nline",
		" lead",
		"-x",
		"tab\t",
		"...",
		"a\\b",
	};
	static char name[257];
	struct dirent *d;
	size_t seen = 0;
	DIR *dir;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		CHECK(put(odd[i], odd[i]) == 0 && holds(odd[i], odd[i]));
	CHECK((dir = opendir(".")) != NULL);
	while ((d = readdir(dir)))
		for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
			seen += strcmp(odd[i], d->d_name) == 0;
	closedir(dir);
	CHECK(seen == sizeof(odd) / sizeof(odd[0]));
	memset(name, 'n', 255);
	CHECK(put(name, "255") == 0 && holds(name, "255"));
	memset(name, 'n', 256);
	FAILS(ENAMETOOLONG, open(name, O_CREAT | O_WRONLY, 0644));
	FAILS(ENAMETOOLONG, mkdir(name, 0755));
	FAILS(ENAMETOOLONG, rename("...", name));
	FAILS(ENAMETOOLONG, symlink("x", name));
}

enum { MANY = 10000 };

/* Every one of the files once; *extra counts what else there is. */
static bool all_there(char *seen, int *extra)
{
	DIR *dir = opendir("many");
	struct dirent *d;
	int n = 0, k;
	char end;

	memset(seen, 0, MANY);
	*extra = 0;
	while (dir && (d = readdir(dir))) {
		if (sscanf(d->d_name, "file-with-a-name-%d%c", &k, &end) == 1 && k >= 0 &&
		    k < MANY && !seen[k]++)
			n++;
		else
			(*extra)++;
	}
	if (dir)
		closedir(dir);
	return n == MANY;
}

static void t_readdir(void)
{
	static char seen[MANY], name[64];
	struct dirent *d;
	int fd, extra;
	long half = 0;
	char at[256];
	DIR *dir;

	CHECK(mkdir("many", 0755) == 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many/file-with-a-name-%d", i);
		CHECK((fd = open(name, O_CREAT | O_WRONLY, 0644)) >= 0 && close(fd) == 0);
	}
	CHECK(all_there(seen, &extra) && extra == 2);
	CHECK((dir = opendir("many")) != NULL);
	for (int i = 0; i < MANY / 2; i++)
		CHECK(readdir(dir) != NULL);
	half = telldir(dir);
	CHECK((d = readdir(dir)) != NULL);
	snprintf(at, sizeof(at), "%s", d->d_name);
	for (int i = 0; i < 1000; i++)
		CHECK(readdir(dir) != NULL);
	seekdir(dir, half);
	CHECK((d = readdir(dir)) != NULL && strcmp(at, d->d_name) == 0);
	rewinddir(dir);
	CHECK(readdir(dir) != NULL && closedir(dir) == 0);
	/* removed while it is read: each is seen at most once, and all are gone afterwards */
	CHECK((dir = opendir("many")) != NULL);
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			CHECK(unlinkat(dirfd(dir), d->d_name, 0) == 0);
	CHECK(closedir(dir) == 0 && rmdir("many") == 0);
}

static void t_readdir_facts(void)
{
	struct dirent *d;
	struct stat st;
	DIR *dir;
	int n = 0;

	CHECK(put("f", "") == 0 && mkdir("d", 0755) == 0 && symlink("f", "l") == 0);
	CHECK(mkfifo("p", 0644) == 0 && (dir = opendir(".")) != NULL);
	while ((d = readdir(dir))) {
		CHECK(lstat(d->d_name, &st) == 0);
		if (strcmp(d->d_name, "..") != 0)
			CHECK(d->d_ino == st.st_ino);
		CHECK(d->d_type == IFTODT(st.st_mode));
		n++;
	}
	CHECK(n == 6 && closedir(dir) == 0);
}

static void t_deep(void)
{
	enum { DEPTH = 200 };
	int top = open(".", O_RDONLY);

	CHECK(top >= 0);
	for (int i = 0; i < DEPTH; i++)
		CHECK(mkdir("level", 0755) == 0 && chdir("level") == 0);
	CHECK(put("bottom", "deep") == 0);
	for (int i = 0; i < DEPTH; i++)
		CHECK(chdir("..") == 0);
	CHECK(is_there("level"));
	for (int i = 0; i < DEPTH; i++)
		CHECK(chdir("level") == 0);
	CHECK(holds("bottom", "deep") && fchdir(top) == 0 && close(top) == 0);
}

static void t_special(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int s, c, w, r;
	struct stat st;
	char b;

	CHECK(mkfifo("fifo", 0600) == 0 && lstat("fifo", &st) == 0 && S_ISFIFO(st.st_mode));
	CHECK((r = open("fifo", O_RDONLY | O_NONBLOCK)) >= 0 && (w = open("fifo", O_WRONLY)) >= 0);
	CHECK(write(w, "x", 1) == 1 && read(r, &b, 1) == 1 && b == 'x');
	CHECK(close(r) == 0 && close(w) == 0);
	CHECK((s = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	CHECK(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 1) == 0);
	CHECK((c = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(lstat("sock", &st) == 0 && S_ISSOCK(st.st_mode) && close(s) == 0 && close(c) == 0);
	CHECK(mknod("reg", S_IFREG | 0600, 0) == 0 && lstat("reg", &st) == 0);
	CHECK(S_ISREG(st.st_mode));
}

/*
 * A guest makes no device nodes in what it shares with the host; a whiteout is none. The host's own
 * root makes them, of course.
 */
static void t_device(void)
{
	struct stat st;

	if (!host_dir[0] && mknod("null", S_IFCHR | 0600, makedev(1, 3)) == 0) {
		test_skip("devices can be made here");
		CHECK(unlink("null") == 0);
		return;
	}

	CHECK(mknod("white", S_IFCHR | 0600, makedev(0, 0)) == 0);
	CHECK(lstat("white", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
	FAILS(EPERM, mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	FAILS(EPERM, mknod("disk", S_IFBLK | 0600, makedev(8, 0)));
	CHECK(!is_there("null") && !is_there("disk"));
}

const struct test tests_names[] = {
	{ "create", t_create, false },
	{ "rename", t_rename, false },
	{ "rename_flags", t_rename_flags, false },
	{ "link", t_link, false },
	{ "symlink", t_symlink, false },
	{ "unlink_open", t_unlink_open, false },
	{ "names", t_names, false },
	{ "readdir", t_readdir, false },
	{ "readdir_facts", t_readdir_facts, false },
	{ "deep", t_deep, false },
	{ "special", t_special, false },
	{ "device", t_device, false },
	{},
};
