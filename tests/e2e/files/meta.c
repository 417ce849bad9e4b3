/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of files: modes, owners, times, attributes. */
#include "files.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static mode_t mode_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) < 0 ? 0 : st.st_mode & 07777;
}

static bool owned(const char *name, uid_t uid, gid_t gid)
{
	struct stat st;

	return lstat(name, &st) == 0 && st.st_uid == uid && st.st_gid == gid;
}

static void t_chmod(void)
{
	static const mode_t modes[] = { 0, 0400, 0644, 0777, 01777, 02755, 04755, 06711, 07777 };

	CHECK(put("f", "") == 0 && mkdir("d", 0755) == 0 && mkfifo("p", 0600) == 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		CHECK(chmod("f", modes[i]) == 0 && mode_of("f") == modes[i]);
		CHECK(chmod("d", modes[i]) == 0 && mode_of("d") == modes[i]);
		CHECK(chmod("p", modes[i]) == 0 && mode_of("p") == modes[i]);
	}
	CHECK(symlink("f", "l") == 0 && chmod("l", 0600) == 0 && mode_of("f") == 0600);
	FAILS(ENOENT, chmod("none", 0600));
}

static void t_chown(void)
{
	CHECK(put("f", "") == 0 && symlink("f", "l") == 0 && mkdir("d", 0755) == 0);
	CHECK(chown("f", 1000, 1001) == 0 && owned("f", 1000, 1001));
	CHECK(chown("f", (uid_t)-1, 7) == 0 && owned("f", 1000, 7));
	CHECK(lchown("l", 5, 6) == 0 && owned("l", 5, 6) && owned("f", 1000, 7));
	CHECK(chown("d", 65534, 65534) == 0 && owned("d", 65534, 65534));
	CHECK(chmod("f", 06755) == 0 && chown("f", 1, 1) == 0 && mode_of("f") == 0755);
	CHECK(chmod("d", 02755) == 0 && chown("d", 2, 2) == 0 && mode_of("d") == 02755);
}

static int write_f(void)
{
	int fd = open("f", O_WRONLY);

	return fd < 0 || write(fd, "x", 1) != 1 || close(fd) < 0;
}

static int truncate_f(void)
{
	return truncate("f", 0) < 0;
}

static int open_trunc_f(void)
{
	int fd = open("f", O_WRONLY | O_TRUNC);

	return fd < 0 || close(fd) < 0;
}

/* Who is not root takes SUID and SGID away by changing the file. */
static void t_suid(void)
{
	int (*const changes[])(void) = { write_f, truncate_f, open_trunc_f };

	CHECK(put("f", "text") == 0 && chown("f", 0, 0) == 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		CHECK(put("f", "text") == 0 && chmod("f", 06777) == 0);
		CHECK(as_user(1000, 1000, -1, changes[i]) == 0 && mode_of("f") == 0777);
	}
	CHECK(chmod("f", 02767) == 0 && as_user(1000, 1000, -1, write_f) == 0);
	CHECK(mode_of("f") == 02767 || mode_of("f") == 0767);
	CHECK(chmod("f", 06777) == 0 && write_f() == 0 && mode_of("f") == 06777);
}

static int make_things(void)
{
	umask(027);
	if (put("user/f", "mine") < 0 || mkdir("user/d", 0777) < 0 || symlink("f", "user/l") < 0 ||
	    mkfifo("user/p", 0666) < 0)
		return 1;
	return 0;
}

static int write_group(void)
{
	return put("group/f", "by group") < 0;
}

static int denied(void)
{
	errno = 0;
	if (put("root/f", "x") == 0 || errno != EACCES)
		return 1;
	return open("root/secret", O_RDONLY) >= 0 || errno != EACCES;
}

static void t_users(void)
{
	CHECK(mkdir("user", 0755) == 0 && chown("user", 1000, 1000) == 0);
	CHECK(as_user(1000, 1000, -1, make_things) == 0);
	CHECK(owned("user/f", 1000, 1000) && owned("user/d", 1000, 1000));
	CHECK(owned("user/l", 1000, 1000) && owned("user/p", 1000, 1000));
	CHECK(mode_of("user/f") == 0640 && mode_of("user/d") == 0750 && mode_of("user/p") == 0640);
	/* a supplementary group may write, and the new file is the user's */
	CHECK(mkdir("group", 0755) == 0 && chmod("group", 0775) == 0);
	CHECK(chown("group", 0, 50) == 0);
	CHECK(as_user(1000, 1000, 50, write_group) == 0 && owned("group/f", 1000, 1000));
	CHECK(as_user(1000, 1000, -1, write_group) == 0 && unlink("group/f") == 0);
	CHECK(as_user(1000, 1000, -1, write_group) == 1);
	CHECK(mkdir("root", 0755) == 0 && put("root/secret", "s") == 0);
	CHECK(chmod("root/secret", 0600) == 0 && as_user(1000, 1000, -1, denied) == 0);
}

static int make_in_setgid(void)
{
	return put("shared/f", "") < 0 || mkdir("shared/d", 0755) < 0;
}

static void t_setgid_dir(void)
{
	CHECK(mkdir("shared", 0755) == 0 && chown("shared", 1000, 50) == 0);
	CHECK(chmod("shared", 02775) == 0 && as_user(1000, 1000, -1, make_in_setgid) == 0);
	CHECK(owned("shared/f", 1000, 50) && owned("shared/d", 1000, 50));
	CHECK(mode_of("shared/d") == 02755);
	CHECK(put("shared/r", "") == 0 && owned("shared/r", 0, 50));
}

static int replace_other(void)
{
	errno = 0;
	return unlink("tmp/f") == 0 || errno != EPERM || rename("tmp/f", "tmp/g") == 0;
}

static void t_sticky(void)
{
	CHECK(mkdir("tmp", 0755) == 0 && chmod("tmp", 01777) == 0 && put("tmp/f", "") == 0);
	CHECK(as_user(1000, 1000, -1, replace_other) == 0 && is_there("tmp/f"));
}

static void t_times(void)
{
	struct timespec t[2] = { { 1000000000, 123456789 }, { 1234567890, 987654321 } };
	struct timespec omit[2] = { { 0, UTIME_OMIT }, { 5, 0 } },
			now[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };
	struct stat st;

	CHECK(put("f", "x") == 0 && symlink("f", "l") == 0);
	CHECK(utimensat(AT_FDCWD, "f", t, 0) == 0 && stat("f", &st) == 0);
	CHECK(st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 123456789);
	CHECK(st.st_mtim.tv_sec == 1234567890 && st.st_mtim.tv_nsec == 987654321);
	CHECK(utimensat(AT_FDCWD, "f", omit, 0) == 0 && stat("f", &st) == 0);
	CHECK(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec == 5);
	CHECK(utimensat(AT_FDCWD, "f", now, 0) == 0 && stat("f", &st) == 0);
	CHECK(st.st_atim.tv_sec > 1500000000 && st.st_mtim.tv_sec == 5);
	CHECK(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW) == 0 && lstat("l", &st) == 0);
	CHECK(st.st_mtim.tv_sec == 1234567890 && stat("f", &st) == 0 && st.st_mtim.tv_sec == 5);
	t[1].tv_sec = -100;
	CHECK(utimensat(AT_FDCWD, "f", t, 0) == 0 && stat("f", &st) == 0);
	CHECK(st.st_mtim.tv_sec == -100);
	CHECK(write_f() == 0 && stat("f", &st) == 0 && st.st_mtim.tv_sec > 1500000000);
}

static void t_xattr(void)
{
	static char big[4000], buf[8192];
	ssize_t n;
	int fd;

	CHECK(put("f", "") == 0 && mkdir("d", 0755) == 0 && symlink("f", "l") == 0);
	if (setxattr("f", "user.one", "1", 1, 0) < 0 && errno == EOPNOTSUPP) {
		test_skip("no user attributes on this file system");
		return;
	}
	CHECK(getxattr("f", "user.one", buf, 10) == 1 && buf[0] == '1');
	FAILS(EEXIST, setxattr("f", "user.one", "2", 1, XATTR_CREATE));
	FAILS(ENODATA, setxattr("f", "user.two", "2", 1, XATTR_REPLACE));
	CHECK(setxattr("f", "user.one", "new", 3, XATTR_REPLACE) == 0);
	CHECK(getxattr("f", "user.one", NULL, 0) == 3);
	FAILS(ERANGE, getxattr("f", "user.one", buf, 2));
	FAILS(ENODATA, getxattr("f", "user.none", buf, 10));
	CHECK(setxattr("f", "user.empty", "", 0, 0) == 0);
	CHECK(getxattr("f", "user.empty", buf, 10) == 0);
	CHECK(listxattr("f", NULL, 0) == 20 && (n = listxattr("f", buf, sizeof(buf))) == 20);
	CHECK(memmem(buf, (size_t)n, "user.one", 9) && memmem(buf, (size_t)n, "user.empty", 11));
	FAILS(ERANGE, listxattr("f", buf, 5));
	memset(big, 'x', sizeof(big));
	CHECK(setxattr("d", "user.big", big, sizeof(big) - 100, 0) == 0);
	CHECK(getxattr("d", "user.big", buf, sizeof(buf)) == sizeof(big) - 100);
	CHECK(removexattr("f", "user.empty") == 0 && listxattr("f", NULL, 0) == 9);
	FAILS(ENODATA, removexattr("f", "user.empty"));
	CHECK(lsetxattr("l", "user.on-link", "x", 1, 0) < 0 && errno == EPERM);
	CHECK((fd = open("f", O_RDWR)) >= 0 && fsetxattr(fd, "user.fd", "f", 1, 0) == 0);
	CHECK(unlink("l") == 0 && fgetxattr(fd, "user.fd", buf, 5) == 1 && close(fd) == 0);
}

/* An ACL as the kernel keeps it: version 2, then tag, permissions, id. */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[5];
};

static int read_f(void)
{
	return open("d/f", O_RDONLY) < 0;
}

static void t_acl(void)
{
	struct acl a = {
		2,
		{ { 1, 7, -1U }, { 2, 5, 1000 }, { 4, 0, -1U }, { 0x10, 5, -1U }, { 0x20, 0, -1U } }
	};
	struct acl got;

	CHECK(mkdir("d", 0700) == 0);
	if (setxattr("d", "system.posix_acl_access", &a, sizeof(a), 0) < 0 && errno == EOPNOTSUPP) {
		test_skip("no ACLs on this file system");
		return;
	}
	CHECK(mode_of("d") == 0750);
	CHECK(setxattr("d", "system.posix_acl_default", &a, sizeof(a), 0) == 0);
	CHECK(getxattr("d", "system.posix_acl_default", &got, sizeof(got)) == sizeof(a));
	CHECK(memcmp(&a, &got, sizeof(a)) == 0);
	/* inherited, in place of the mask of the process */
	umask(077);
	CHECK(put("d/f", "text") == 0 && mode_of("d/f") == 0640);
	CHECK(getxattr("d/f", "system.posix_acl_access", &got, sizeof(got)) == sizeof(a));
	umask(022);
	CHECK(as_user(1000, 1000, -1, read_f) == 0 && as_user(1001, 1001, -1, read_f) == 1);
	CHECK(chmod("d/f", 0600) == 0 && as_user(1000, 1000, -1, read_f) == 1);
}

/* The host's own attributes are nobody's business on the other side. */
static void t_xattr_refused(void)
{
	CHECK(put("f", "") == 0);
	if (!host_dir[0] && setxattr("f", "trusted.t", "x", 1, 0) == 0) {
		test_skip("trusted attributes can be set here");
		return;
	}
	CHECK(setxattr("f", "trusted.overlay.redirect", "/", 1, 0) < 0);
	CHECK(setxattr("f", "security.selinux", "x", 2, 0) < 0);
	CHECK(getxattr("f", "trusted.t", NULL, 0) < 0);
}

const struct test tests_meta[] = {
	{ "chmod", t_chmod, false },
	{ "chown", t_chown, false },
	{ "suid", t_suid, false },
	{ "users", t_users, false },
	{ "setgid_dir", t_setgid_dir, false },
	{ "sticky", t_sticky, false },
	{ "times", t_times, false },
	{ "xattr", t_xattr, false },
	{ "acl", t_acl, false },
	{ "xattr_refused", t_xattr_refused, false },
	{},
};
