/* SPDX-License-Identifier: Apache-2.0 */
#include "sync.h"

#include "base/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD offsetof(struct sync_msg, text)

static const char *const type_names[] = {
	[SYNC_ERROR] = "error",       [SYNC_PID] = "its process id",  [SYNC_GO] = "leave to go on",
	[SYNC_SOURCE] = "a source",   [SYNC_SOURCE_FD] = "a source",  [SYNC_HOOKS] = "hooks",
	[SYNC_IDMAPPED] = "a source", [SYNC_MASTER] = "the terminal", [SYNC_READY] = "readiness",
	[SYNC_START] = "start",       [SYNC_EXEC] = "execution",
};

int sync_pair(int *parent, int *child, struct err *e)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, errno, "make the sync socket");
	*parent = sv[0];
	*child = sv[1];
	return 0;
}

int sync_send(int sock, enum sync_type type, int32_t value, const char *text, int fd)
{
	struct sync_msg m = { .type = type, .value = value };
	size_t len = 0;

	if (text) {
		len = strlen(text) + 1;
		if (len > sizeof(m.text))
			return -ENAMETOOLONG;
		memcpy(m.text, text, len);
	}
	return fdpass_send(sock, &m, HEAD + len, &fd, fd >= 0 ? 1 : 0);
}

int sync_send_err(int sock, const struct err *err)
{
	struct sync_msg m = { .type = SYNC_ERROR };

	m.err = *err;
	return fdpass_send(sock, &m, HEAD + sizeof(m.err), NULL, 0);
}

int sync_recv(int sock, struct sync_msg *m, int *fd)
{
	int got = -1;
	size_t nfds = 1;
	ssize_t n = fdpass_recv(sock, m, sizeof(*m), &got, &nfds);

	if (nfds == 0 || n < 0)
		got = -1;
	if (fd)
		*fd = got;
	else if (got >= 0)
		close(got);
	if (n == -ECONNRESET || n == 0)
		return 0;
	if (n < 0)
		return (int)n;
	if ((size_t)n < HEAD || (m->type == SYNC_ERROR && (size_t)n < HEAD + sizeof(m->err)))
		return -EBADMSG;
	if ((size_t)n == HEAD)
		m->text[0] = '\0';
	if (m->type != SYNC_ERROR) {
		m->text[sizeof(m->text) - 1] = '\0';
		return 1;
	}
	m->err.msg[sizeof(m->err.msg) - 1] = '\0';
	if (m->err.code <= 0)
		m->err.code = EIO; /* no success by way of an error */
	return 1;
}

int sync_expect(int sock, enum sync_type type, const char *who, struct sync_msg *m, int *fd,
		struct err *e)
{
	struct sync_msg local;
	int r;

	if (!m)
		m = &local;
	r = sync_recv(sock, m, fd);
	if (r < 0)
		return err_sys(e, -r, "await %s from %s", type_names[type], who);
	if (r == 0)
		return err_set(e, EPIPE, "%s ended unexpectedly (while %s was awaited)", who,
			       type_names[type]);
	if (m->type == SYNC_ERROR) {
		if (e)
			*e = m->err;
		return -m->err.code;
	}
	if (m->type != (uint32_t)type)
		return err_set(e, EPROTO, "%s sent message %u while %s was awaited", who, m->type,
			       type_names[type]);
	return 0;
}
