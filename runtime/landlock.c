/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that this kernel can forbid is forbidden, and then given back path by path: an access
 * that a later version of Landlock learns to control is refused there too, unless it belongs to a
 * right below.
 */
#include "runtime/landlock.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME "annotations[\"org.ctr.landlock\"]"
#define ABI_MIN 3 /* truncation can be forbidden: without that, "may not write" is not true */

/* The kernel's interface (linux/landlock.h, which older systems lack in part). */
#define FS_EXECUTE (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_REMOVE_DIR (1ULL << 4)
#define FS_MAKE_SYM (1ULL << 12) /* the last of the first version */
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15) /* version 5 */

#define RIGHTS_READ (FS_READ_FILE | FS_READ_DIR)
#define RIGHTS_EXEC (RIGHTS_READ | FS_EXECUTE)
/* Making and removing: all bits from REMOVE_DIR to MAKE_SYM. */
#define RIGHTS_MAKE (((FS_MAKE_SYM << 1) - 1) & ~(FS_REMOVE_DIR - 1))
#define RIGHTS_WRITE (FS_WRITE_FILE | RIGHTS_MAKE | FS_REFER | FS_TRUNCATE | FS_IOCTL_DEV)
#define RIGHTS_FILE (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define CREATE_VERSION 1U
#define RULE_PATH_BENEATH 1

struct ruleset_attr {
	uint64_t fs;
};

struct path_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* What this kernel can forbid; -EOPNOTSUPP when that is not enough. */
static int handled_rights(uint64_t *all, struct err *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return err_set(e, EOPNOTSUPP, NAME ": this kernel runs without Landlock");
	if (abi < 0)
		return err_sys(e, errno, NAME ": ask the kernel for its version");
	if (abi < ABI_MIN)
		return err_set(
			e, EOPNOTSUPP,
			NAME
			": this kernel's Landlock (version %ld) cannot forbid truncation, version %d can",
			abi, ABI_MIN);
	*all = RIGHTS_EXEC | RIGHTS_WRITE;
	if (abi < 5)
		*all &= ~FS_IOCTL_DEV;
	return 0;
}

static int allow(int rules, const char *field, size_t i, const char *path, uint64_t rights,
		 struct err *e)
{
	struct path_beneath rule = { .allowed = rights };
	AUTO_CLOSE int fd =
		sys_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);
	struct stat st;

	if (fd < 0)
		return err_sys(e, -fd, NAME ": %s[%zu]: %s", field, i, path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, NAME ": %s[%zu]: %s", field, i, path);
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= RIGHTS_FILE;
	rule.fd = fd;
	if (syscall(SYS_landlock_add_rule, rules, RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_sys(e, errno, NAME ": %s[%zu]: %s", field, i, path);
	return 0;
}

int landlock_apply(const struct landlock_rules *r, struct err *e)
{
	const struct {
		const char *field;
		const struct spec_strings *paths;
		uint64_t rights;
	} lists[] = {
		{ "read", &r->read, RIGHTS_READ },
		{ "write", &r->write, RIGHTS_WRITE },
		{ "exec", &r->exec, RIGHTS_EXEC },
	};
	struct ruleset_attr attr = {};
	AUTO_CLOSE int rules = -1;
	int rc = handled_rights(&attr.fs, e);

	if (rc < 0)
		return rc;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return err_sys(e, errno, NAME ": make the rules");
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		for (size_t i = 0; i < lists[k].paths->n; i++) {
			rc = allow(rules, lists[k].field, i, lists[k].paths->v[i],
				   lists[k].rights & attr.fs, e);
			if (rc < 0)
				return rc;
		}
	if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return err_sys(e, errno, NAME ": apply the rules");
	return 0;
}
