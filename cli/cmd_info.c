/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroups/cg.h"
#include "namespaces/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct opt opts[] = { {} };

static void line(struct str_buf *b, const char *name, const char *value)
{
	str_buf_addf(b, "%-18s%s\n", name, value);
}

/* PRETTY_NAME of os-release, without its quotes; nothing is printed for a system without one. */
static void add_system(struct str_buf *b)
{
	char text[4096], *at, *end;

	if (io_read_small(AT_FDCWD, "/etc/os-release", text, sizeof(text)) <= 0)
		return;
	at = strstr(text, "PRETTY_NAME=");
	if (!at)
		return;
	at += strlen("PRETTY_NAME=");
	at += *at == '"';
	end = at + strcspn(at, "\"\n");
	*end = '\0';
	line(b, "Operating system", at);
}

static void add_machine(struct str_buf *b)
{
	struct utsname u;
	struct sysinfo s;

	if (uname(&u) == 0) {
		line(b, "Kernel release", u.release);
		line(b, "Kernel version", u.version);
		line(b, "Architecture", u.machine);
	}
	add_system(b);
	str_buf_addf(b, "%-18s%ld\n", "Cores", sysconf(_SC_NPROCESSORS_ONLN));
	if (sysinfo(&s) == 0)
		str_buf_addf(b, "%-18s%llu MiB\n", "Total memory",
			     (unsigned long long)s.totalram * s.mem_unit >> 20);
}

static int add_cgroups(struct str_buf *b, struct err *e)
{
	static const char *const layouts[] = {
		[CG_LAYOUT_NONE] = "none",
		[CG_LAYOUT_V1] = "legacy",
		[CG_LAYOUT_V2] = "unified",
		[CG_LAYOUT_HYBRID] = "hybrid",
	};
	struct cg_host h;
	int r;

	r = cg_host_probe(&h, e);
	if (r < 0)
		return r;
	line(b, "Cgroup setup", layouts[h.layout]);
	for (size_t i = 0; i < h.n; i++)
		str_buf_addf(b, "  %-16s%s\n", h.hier[i].v2 ? "unified" : h.hier[i].controllers,
			     h.hier[i].mount);
	return 0;
}

/* What the kernel has: a kind that it was built without has no file there. */
static void add_namespaces(struct str_buf *b)
{
	char path[64];

	str_buf_addf(b, "%-18s", "Namespaces");
	for (size_t i = 0, n = 0; i < NS_KINDS; i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_table[i].proc);
		if (access(path, F_OK) == 0)
			str_buf_addf(b, "%s%s", n++ ? " " : "", ns_table[i].name);
	}
	str_buf_add(b, "\n");
}

static int run(const struct ctr_global *g, void *o, const struct opt_words *w, int *status,
	       struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};
	int r;

	(void)g;
	(void)o;
	(void)w;
	(void)status;
	line(&b, "Version", ctr_version);
	line(&b, "Commit", ctr_commit);
	add_machine(&b);
	r = add_cgroups(&b, e);
	if (r < 0)
		return r;
	add_namespaces(&b);
	return cmd_print(&b, e);
}

const struct cmd cmd_info = {
	.name = "info",
	.words = "",
	.summary = "print what this machine has that containers need",
	.opts = opts,
	.run = run,
};
