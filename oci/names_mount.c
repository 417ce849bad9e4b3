/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access-time options: MOUNT_ATTR__ATIME is one field of two bits and the kernel wants all of it
 * cleared by whoever sets it. Zero in it means relatime, the kernel's default; that is why
 * "relatime", "atime" and "nostrictatime" only clear, and why "norelatime" changes nothing.
 */
#include "oci/names.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

/* From <sys/mount.h>, which cannot be had together with <linux/mount.h> everywhere. */
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

#define SB_SET(n, ms, fs)                                                     \
	{                                                                     \
		.name = (n), .kind = MOPT_SB_SET, .value = (ms), .flag = (fs) \
	}
#define SB_CLEAR(n, ms, fs)                                                     \
	{                                                                       \
		.name = (n), .kind = MOPT_SB_CLEAR, .value = (ms), .flag = (fs) \
	}

/* An attribute of one mount, and its recursive form. */
#define ATTR(n, ms, set, clr)                                                                    \
	{ .name = (n), .kind = MOPT_ATTR, .value = (ms), .attr_set = (set), .attr_clr = (clr) }, \
	{                                                                                        \
		.name = "r" n, .kind = MOPT_ATTR_REC, .value = (ms), .attr_set = (set),          \
		.attr_clr = (clr)                                                                \
	}
#define SET(n, ms, attr) ATTR(n, ms, attr, 0)
#define CLEAR(n, ms, attr) ATTR(n, ms, 0, attr)

#define PROPAGATION(n, ms)                                                      \
	{ .name = (n), .kind = MOPT_PROPAGATION, .value = (ms) },               \
	{                                                                       \
		.name = "r" n, .kind = MOPT_PROPAGATION, .value = (ms) | MS_REC \
	}

const struct mount_option names_mount_options[] = {
	SET("ro", MS_RDONLY, MOUNT_ATTR_RDONLY),
	CLEAR("rw", MS_RDONLY, MOUNT_ATTR_RDONLY),
	SET("nosuid", MS_NOSUID, MOUNT_ATTR_NOSUID),
	CLEAR("suid", MS_NOSUID, MOUNT_ATTR_NOSUID),
	SET("nodev", MS_NODEV, MOUNT_ATTR_NODEV),
	CLEAR("dev", MS_NODEV, MOUNT_ATTR_NODEV),
	SET("noexec", MS_NOEXEC, MOUNT_ATTR_NOEXEC),
	CLEAR("exec", MS_NOEXEC, MOUNT_ATTR_NOEXEC),
	SET("nodiratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
	CLEAR("diratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
	SET("nosymfollow", MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
	CLEAR("symfollow", MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
	ATTR("noatime", MS_NOATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME),
	ATTR("atime", MS_NOATIME, 0, MOUNT_ATTR__ATIME),
	ATTR("strictatime", MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME),
	ATTR("nostrictatime", MS_STRICTATIME, 0, MOUNT_ATTR__ATIME),
	ATTR("relatime", MS_RELATIME, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME),
	ATTR("norelatime", MS_RELATIME, 0, 0),

	SB_SET("sync", MS_SYNCHRONOUS, "sync"),
	SB_CLEAR("async", MS_SYNCHRONOUS, "async"),
	SB_SET("dirsync", MS_DIRSYNC, "dirsync"),
	SB_SET("lazytime", MS_LAZYTIME, "lazytime"),
	SB_CLEAR("nolazytime", MS_LAZYTIME, "nolazytime"),
	SB_SET("mand", MS_MANDLOCK, "mand"),
	SB_CLEAR("nomand", MS_MANDLOCK, "nomand"),
	/* mount(2) knows these as bits; fsconfig(2) has no flag of theirs that every file system
	   takes. */
	SB_SET("iversion", MS_I_VERSION, NULL),
	SB_CLEAR("noiversion", MS_I_VERSION, NULL),
	SB_SET("silent", MS_SILENT, NULL),
	SB_CLEAR("loud", MS_SILENT, NULL),

	PROPAGATION("private", MS_PRIVATE),
	PROPAGATION("shared", MS_SHARED),
	PROPAGATION("slave", MS_SLAVE),
	PROPAGATION("unbindable", MS_UNBINDABLE),

	{ .name = "bind", .kind = MOPT_BIND, .value = 0 },
	{ .name = "rbind", .kind = MOPT_BIND, .value = MS_REC },
	{ .name = "remount", .kind = MOPT_REMOUNT },
	{ .name = "idmap", .kind = MOPT_IDMAP, .value = 0 },
	{ .name = "ridmap", .kind = MOPT_IDMAP, .value = 1 },
	{ .name = "tmpcopyup", .kind = MOPT_TMPCOPYUP },
	{ .name = "copy-symlink", .kind = MOPT_LINKS, .value = MOUNT_LINK_COPY },
	{ .name = "src-nofollow", .kind = MOPT_LINKS, .value = MOUNT_LINK_SRC },
	{ .name = "dest-nofollow", .kind = MOPT_LINKS, .value = MOUNT_LINK_DEST },
	{ .name = "defaults", .kind = MOPT_IGNORED },
};
const size_t names_mount_options_n = ARRAY_SIZE(names_mount_options);

const struct mount_option *names_mount_option(const char *name)
{
	for (size_t i = 0; i < names_mount_options_n; i++) {
		const struct mount_option *o = &names_mount_options[i];

		if (o->name[0] == name[0] && str_eq(o->name, name))
			return o;
	}
	return NULL;
}
