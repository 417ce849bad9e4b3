/* SPDX-License-Identifier: Apache-2.0 */
/* One message of vhost-user as QEMU sends it, for the tests and the fuzzer of the back end. */
#ifndef CTR_TEST_MICROVM_VHOST_SEND_H
#define CTR_TEST_MICROVM_VHOST_SEND_H

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* header: request, flags, length of the payload. fd: sent along, or -1. As sendmsg(2). */
static inline ssize_t vhost_send(int sock, const uint32_t header[3], const void *payload,
				 size_t len, int fd, int flags)
{
	struct iovec io[2] = { { (void *)(uintptr_t)header, 12 },
			       { (void *)(uintptr_t)payload, len } };
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {};
	struct msghdr m = { .msg_iov = io, .msg_iovlen = 2 };

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &m, flags | MSG_NOSIGNAL);
}

#endif
