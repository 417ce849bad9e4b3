/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify [-q | -n COUNT | -N COUNT] MESSAGE: sends it to NOTIFY_SOCKET as sd_notify(3) does, so
 * many times, with \n for a newline; then (without -q and -N) a barrier, which is over when its
 * descriptor is closed. Status 1: an error; 2: nobody closed it within 5 s.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "notify: %s: %s\n", what, strerror(errno));
	return 1;
}

static int barrier(int s)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c = {};
	struct iovec v = { .iov_base = "BARRIER=1", .iov_len = 9 };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)
	};
	struct pollfd p = {};
	int ends[2];

	if (pipe(ends) < 0)
		return fail("pipe");
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.h), &ends[1], sizeof(int));
	if (sendmsg(s, &m, 0) < 0)
		return fail("barrier");
	close(ends[1]);
	p.fd = ends[0];
	return poll(&p, 1, 5000) == 1 ? 0 : 2;
}

static void newlines(char *s)
{
	char *to = s;

	for (; *s; s++, to++)
		if (s[0] == '\\' && s[1] == 'n')
			*to = '\n', s++;
		else
			*to = *s;
	*to = '\0';
}

int main(int argc, char **argv)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_DGRAM, 0), quick = argc > 2 && !strcmp(argv[1], "-q");
	int at = 1 + quick;
	long count = 1;

	if (argc > 3 && strcasecmp(argv[1], "-n") == 0) {
		quick = argv[1][1] == 'N';
		count = atol(argv[2]);
		at = 3;
	}
	if (!name || at >= argc)
		return fprintf(stderr, "notify: no NOTIFY_SOCKET, or no message\n"), 1;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", name);
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0)
		return fail("connect");
	newlines(argv[at]);
	while (count-- > 0)
		if (send(s, argv[at], strlen(argv[at]), 0) < 0)
			return fail("send");
	return quick ? 0 : barrier(s);
}
