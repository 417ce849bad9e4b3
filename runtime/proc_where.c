/* SPDX-License-Identifier: Apache-2.0 */
/* Where a process is that should have ended: for the message that says so. */
#include "proc.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OTHERS = 3 };

struct look {
	char name[32], state;
	int parent;
};

static int look_at(pid_t pid, struct look *l)
{
	char path[32], buf[512], *name, *end;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = io_read_small(AT_FDCWD, path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	/* "pid (comm) state ppid ...": comm may hold anything, ')' included */
	name = strchr(buf, '(');
	end = strrchr(buf, ')');
	if (!name || !end || sscanf(end + 1, " %c %d", &l->state, &l->parent) != 2)
		return -EIO;
	*end = '\0';
	snprintf(l->name, sizeof(l->name), "%s", name + 1);
	return 0;
}

/* 0: not known. */
static ino_t pid_ns_of(const char *pid)
{
	char path[NAME_MAX + 32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/pid", pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* The first process of a pid namespace ends when all the others have been reaped. */
static void add_others(pid_t pid, struct str_buf *out)
{
	AUTO_CLOSEDIR DIR *d = opendir("/proc");
	struct dirent *de;
	char text[16];
	ino_t ns;
	int n = 0;

	snprintf(text, sizeof(text), "%d", (int)pid);
	ns = pid_ns_of(text);
	if (!ns || ns == pid_ns_of("self"))
		return;
	while (d && n < OTHERS && (de = readdir(d))) {
		int other = atoi(de->d_name);
		struct look l;

		if (other <= 0 || other == pid || pid_ns_of(de->d_name) != ns ||
		    look_at(other, &l) < 0)
			continue;
		str_buf_addf(out, ", with process %d (%s, state %c, parent %d)", other, l.name,
			     l.state, l.parent);
		n++;
	}
}

void proc_where(pid_t pid, struct str_buf *out)
{
	char path[32], place[64] = "";
	struct look l;

	if (look_at(pid, &l) < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)pid);
	str_buf_addf(out, ": state %c", l.state);
	if (io_read_small(AT_FDCWD, path, place, sizeof(place)) > 0 && !str_eq(place, "0"))
		str_buf_addf(out, " in %s", place);
	add_others(pid, out);
}
