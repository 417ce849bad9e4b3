/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides at once: what one does, the other sees. */
#include "files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

static void t_seen(void)
{
	struct stat a, b;

	CHECK(put("f", "from here") == 0 && holds(in_host("f"), "from here"));
	CHECK(chmod("f", 0604) == 0 && chown("f", 3, 4) == 0);
	CHECK(stat("f", &a) == 0 && stat(in_host("f"), &b) == 0);
	CHECK(a.st_mode == b.st_mode && a.st_uid == 3 && b.st_uid == 3 && b.st_gid == 4);
	CHECK(a.st_size == b.st_size && a.st_ino == b.st_ino && a.st_blocks == b.st_blocks);
	CHECK(link("f", "g") == 0 && stat(in_host("g"), &b) == 0 && b.st_nlink == 2);
	CHECK(rename("g", "h") == 0 && is_there(in_host("h")) && !is_there(in_host("g")));
	CHECK(unlink("h") == 0 && !is_there(in_host("h")));
	CHECK(setxattr("f", "user.a", "b", 1, 0) < 0 ||
	      getxattr(in_host("f"), "user.a", NULL, 0) == 1);
	CHECK(put(in_host("other"), "from there") == 0 && holds("other", "from there"));
}

static void t_mmap_seen(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char *m;

	CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	memcpy(m, "mapped", 6);
	CHECK(msync(m, 4096, MS_SYNC) == 0 && (close(fd), munmap(m, 4096)) == 0);
	CHECK(truncate("f", 6) == 0 && holds(in_host("f"), "mapped"));
}

/* What is open or looked up stays itself, whatever the host calls it. */
static void t_host_rename(void)
{
	char from[4600], buf[16];
	struct stat st;
	int fd, dir;

	CHECK(mkdir("d", 0755) == 0 && put("d/f", "kept") == 0);
	CHECK((dir = open("d", O_RDONLY)) >= 0 && (fd = open("d/f", O_RDWR)) >= 0);
	snprintf(from, sizeof(from), "%s", in_host("d"));
	CHECK(rename(from, in_host("moved")) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 4 && fstat(dir, &st) == 0);
	CHECK(pread(fd, buf, 16, 0) == 4 && memcmp(buf, "kept", 4) == 0);
	CHECK(pwrite(fd, "KEPT", 4, 0) == 4 && fchmod(fd, 0600) == 0);
	CHECK(fchmodat(dir, "f", 0640, 0) == 0 && fstatat(dir, "f", &st, 0) == 0);
	CHECK(close(fd) == 0 && (fd = openat(dir, "new", O_CREAT | O_WRONLY, 0644)) >= 0);
	CHECK(holds(in_host("moved/f"), "KEPT") && is_there(in_host("moved/new")));
	CHECK(close(fd) == 0 && close(dir) == 0);
}

/* A second later everything that the host has changed is seen. */
static void t_host_change(void)
{
	CHECK(put("f", "old") == 0 && holds("f", "old") && !is_there("new"));
	CHECK(put(in_host("f"), "newer text") == 0 && put(in_host("new"), "new") == 0);
	CHECK(unlink(in_host("f")) == 0 && put(in_host("f"), "another file") == 0);
	CHECK(usleep(1200000) == 0);
	CHECK(holds("f", "another file") && holds("new", "new"));
	CHECK(put(in_host("f"), "the same file, rewritten") == 0 && usleep(1200000) == 0);
	CHECK(holds("f", "the same file, rewritten"));
}

static void t_statfs_same(void)
{
	struct statfs a, b;

	CHECK(statfs(".", &a) == 0 && statfs(in_host("."), &b) == 0);
	CHECK(a.f_blocks == b.f_blocks && a.f_bsize == b.f_bsize && a.f_files == b.f_files);
}

const struct test tests_host[] = {
	{ "seen", t_seen, true },
	{ "mmap_seen", t_mmap_seen, true },
	{ "host_rename", t_host_rename, true },
	{ "host_change", t_host_change, true },
	{ "statfs_same", t_statfs_same, true },
	{},
};
