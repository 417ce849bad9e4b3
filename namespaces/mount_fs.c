/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>

#include "namespaces/mount_exec.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* fsconfig takes strings of less than this. */
#define FSCONFIG_MAX 256

/*
 * The messages that the kernel keeps for a file system context, one a read, "e tmpfs: Bad value"
 * (the letter is the severity), joined.
 */
static void read_log(int fs, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	while (len + 4 < size) {
		char line[256];
		ssize_t n = read(fs, line, sizeof(line) - 1);
		const char *s = line;

		if (n <= 0)
			return;
		while (n && line[n - 1] == '\n')
			n--;
		line[n] = '\0';
		if (n > 2 && line[1] == ' ')
			s += 2;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? "; " : "", s);
	}
}

static int fs_error(int fs, int r, const char *what, const char *fstype, struct err *e)
{
	char log[512] = "";

	if (fs >= 0)
		read_log(fs, log, sizeof(log));
	if (log[0])
		return err_sys(e, -r, "%s %s: %s", what, fstype, log);
	return err_sys(e, -r, "%s %s", what, fstype);
}

/* "key=value" or "key". -E2BIG for a value that only mount(2) can take. */
static int set_option(int fs, const char *opt)
{
	const char *eq = strchr(opt, '=');
	char key[FSCONFIG_MAX];

	if (!eq)
		return sys_fsconfig(fs, FSCONFIG_SET_FLAG, opt, NULL, 0);
	if ((size_t)(eq - opt) >= sizeof(key) || strlen(eq + 1) >= FSCONFIG_MAX)
		return -E2BIG;
	memcpy(key, opt, (size_t)(eq - opt));
	key[eq - opt] = '\0';
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, eq + 1, 0);
}

static int set_all(int fs, const struct spec_strings *l, const char *fstype, struct err *e)
{
	for (size_t i = 0; l && i < l->n; i++) {
		int r = set_option(fs, l->v[i]);

		if (r < 0) {
			char what[320];

			snprintf(what, sizeof(what), "set option \"%.256s\" of", l->v[i]);
			return fs_error(fs, r, what, fstype, e);
		}
	}
	return 0;
}

static int set_flags(int fs, const struct spec_strings *l, const char *fstype, struct err *e)
{
	for (size_t i = 0; l && i < l->n; i++) {
		int r = sys_fsconfig(fs, FSCONFIG_SET_FLAG, l->v[i], NULL, 0);

		if (r < 0)
			return fs_error(fs, r, "set flags of", fstype, e);
	}
	return 0;
}

static bool not_to_be_had(int r)
{
	return r == -ENOSYS || r == -EPERM;
}

int mount_fs_new(const struct mount_fs *f, bool *refused, struct err *e)
{
	AUTO_CLOSE int fs = sys_fsopen(f->fstype, FSOPEN_CLOEXEC);
	int r;

	if (refused)
		*refused = not_to_be_had(fs);
	if (fs < 0)
		return err_sys(e, -fs, "mount %s", f->fstype);
	if (f->source) {
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", f->source, 0);
		if (r < 0)
			return fs_error(fs, r, "set source of", f->fstype, e);
	}
	if (f->mode) {
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", f->mode, 0);
		if (r < 0)
			return fs_error(fs, r, "set mode of", f->fstype, e);
	}
	r = set_all(fs, f->data, f->fstype, e);
	if (r == -E2BIG && refused)
		*refused = true;
	if (r < 0 || (r = set_flags(fs, f->flags, f->fstype, e)) < 0)
		return r;
	r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r < 0)
		return fs_error(fs, r, "mount", f->fstype, e);
	r = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)f->attrs);
	if (r < 0)
		return fs_error(fs, r, "mount", f->fstype, e);
	return r;
}

int mount_fs_reconfigure(int fd, const struct mount_op *op, struct err *e)
{
	AUTO_CLOSE int fs = sys_fspick(fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	int r;

	if (fs < 0)
		return err_sys(e, -fs, "remount %s", op->target);
	if ((r = set_all(fs, &op->data, op->target, e)) < 0 ||
	    (r = set_flags(fs, &op->sb_set, op->target, e)) < 0 ||
	    (r = set_flags(fs, &op->sb_clear, op->target, e)) < 0)
		return r;
	r = sys_fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	return r < 0 ? fs_error(fs, r, "remount", op->target, e) : 0;
}
