/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of an OS clone. The root is a copy-on-write view of this machine's own, made by
 * the caller; what is said here keeps the clone off the machine's devices, processes and kernel
 * settings. It is root inside, without a user namespace: what holds it are the capabilities, the
 * masked paths and the system call filter (spec_clone_seccomp.c).
 */
#include "oci/spec_default.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/features.h"
#include "oci/json_out.h"
#include "oci/passwd.h"
#include "oci/spec_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* What programs of a server need to change users, serve on low ports and own files; nothing that
 * reaches the kernel's settings, devices or other containers. */
static const char *const capabilities[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
	"CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
	"CAP_KILL",    "CAP_AUDIT_WRITE",
};

/* Files that tell about or act on the whole machine. */
static const char *const masked_paths[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/sys/devices/virtual/powercap",
	"/sys/firmware",
};

static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static const char *const namespaces[] = { "pid", "network", "ipc", "uts", "mount", "cgroup" };

static const struct clone_mount {
	const char *destination, *type, *source;
	const char *options[8];
} mounts[] = {
	{ "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" } },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
	{ "/dev/pts",
	  "devpts",
	  "devpts",
	  { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
	{ "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime", "ro" } },
	{ "/run", "tmpfs", "tmpfs", { "nosuid", "nodev", "mode=755" } },
	{ "/tmp", "tmpfs", "tmpfs", { "nosuid", "nodev", "mode=1777" } },
};

static void put_strings(struct json_out *j, const char *key, const char *const *v, size_t n)
{
	json_out_key(j, key);
	json_out_array(j);
	for (size_t i = 0; i < n; i++)
		json_out_str(j, v[i]);
	json_out_end_array(j);
}

static void put_capabilities(struct json_out *j)
{
	/* Neither inheritable nor ambient: another user than root has none. */
	static const char *const sets[] = { "bounding", "effective", "permitted" };

	json_out_key(j, "capabilities");
	json_out_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		put_strings(j, sets[i], capabilities, ARRAY_SIZE(capabilities));
	json_out_end_object(j);
}

#define PASSWD_MAX ((size_t)4 << 20)

/*
 * The program: somebody at a terminal gets root's login shell, a script gets the plain one. *shell
 * is malloc'ed or NULL: then /bin/sh.
 */
static int find_shell(char **shell)
{
	AUTO_FREE char *passwd = NULL;
	struct passwd_entry p;

	*shell = NULL;
	if (!isatty(STDIN_FILENO))
		return 0;
	if (io_read_file(AT_FDCWD, "/etc/passwd", PASSWD_MAX, &passwd, NULL) == 0 &&
	    passwd_by_uid(passwd, 0, &p) && p.shell_len && p.shell[0] == '/') {
		*shell = strndup(p.shell, p.shell_len);
		if (!*shell)
			return -ENOMEM;
		if (access(*shell, X_OK) == 0 && !str_ends(*shell, "/nologin") &&
		    !str_ends(*shell, "/false"))
			return 0;
		free(TAKE_PTR(*shell));
	}
	if (access("/bin/bash", X_OK) < 0)
		return 0;
	*shell = strdup("/bin/bash");
	return *shell ? 0 : -ENOMEM;
}

/* A variable of the caller that the clone gets too, when it is plain enough to mean the same there.
 */
static void put_inherited(struct json_out *j, const char *name)
{
	const char *value = getenv(name);
	char pair[128];

	if (!value || !*value ||
	    strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			  "0123456789._-+@") != strlen(value))
		return;
	if (snprintf(pair, sizeof(pair), "%s=%s", name, value) < (int)sizeof(pair))
		json_out_str(j, pair);
}

static void put_process(struct json_out *j, const char *shell)
{
	const char *args[] = { shell ? shell : "/bin/sh" };
	struct stat st;

	json_out_key(j, "process");
	json_out_object(j);
	json_out_kbool(j, "terminal", false);
	json_out_key(j, "user");
	json_out_object(j);
	json_out_ki64(j, "uid", 0);
	json_out_ki64(j, "gid", 0);
	json_out_end_object(j);
	put_strings(j, "args", args, 1);
	/* HOME is left out: the runtime takes it from the passwd entry of whatever user it becomes.
	 */
	json_out_key(j, "env");
	json_out_array(j);
	json_out_str(j, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	json_out_str(j, "container=ctr");
	put_inherited(j, "TERM");
	put_inherited(j, "LANG");
	json_out_end_array(j);
	json_out_kstr(j, "cwd", stat("/root", &st) == 0 && S_ISDIR(st.st_mode) ? "/root" : "/");
	put_capabilities(j);
	json_out_end_object(j);
}

static void put_mounts(struct json_out *j)
{
	json_out_key(j, "mounts");
	json_out_array(j);
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		const struct clone_mount *m = &mounts[i];
		size_t n = 0;

		while (n < ARRAY_SIZE(m->options) && m->options[n])
			n++;
		json_out_object(j);
		json_out_kstr(j, "destination", m->destination);
		json_out_kstr(j, "type", m->type);
		json_out_kstr(j, "source", m->source);
		put_strings(j, "options", m->options, n);
		json_out_end_object(j);
	}
	json_out_end_array(j);
}

static void put_linux(struct json_out *j)
{
	json_out_key(j, "linux");
	json_out_object(j);
	json_out_key(j, "namespaces");
	json_out_array(j);
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		spec_default_namespace(j, namespaces[i]);
	json_out_end_array(j);
	spec_default_resources(j);
	put_strings(j, "maskedPaths", masked_paths, ARRAY_SIZE(masked_paths));
	put_strings(j, "readonlyPaths", readonly_paths, ARRAY_SIZE(readonly_paths));
	spec_clone_seccomp(j);
	json_out_end_object(j);
}

#define HOSTNAME_MAX 64 /* the kernel's */

int spec_clone_text(const char *id, char **out, size_t *len, struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};
	AUTO_FREE char *shell = NULL;
	char hostname[HOSTNAME_MAX + 1];

	if (find_shell(&shell) < 0)
		return err_sys(e, ENOMEM, "configuration of the clone: %s", id);
	snprintf(hostname, sizeof(hostname), "%.*s", HOSTNAME_MAX, id);
	json_out_object(&j);
	json_out_kstr(&j, "ociVersion", OCI_VERSION_MAX);
	json_out_key(&j, "root");
	json_out_object(&j);
	json_out_kstr(&j, "path", "/");
	json_out_kbool(&j, "readonly", false);
	json_out_end_object(&j);
	json_out_kstr(&j, "hostname", hostname);
	put_process(&j, shell);
	put_mounts(&j);
	put_linux(&j);
	json_out_end_object(&j);
	if (j.buf.failed)
		return err_sys(e, ENOMEM, "configuration of the clone: %s", id);
	if (len)
		*len = j.buf.len;
	*out = TAKE_PTR(j.buf.s);
	return 0;
}
