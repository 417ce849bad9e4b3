/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that are none, for the host's half of the agent: processes that speak as a test says. */
#ifndef CTR_TEST_AGENT_RIG_H
#define CTR_TEST_AGENT_RIG_H

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "microvm/agent_client.h"
#include "microvm/agent_host.h"
#include "microvm/agent_proto.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

struct guest {
	int port, console, ended;
};

static enum vm_end how;

static inline enum vm_end rig_end(struct vmm *v, const char **text)
{
	(void)v;
	*text = NULL;
	return how;
}

static const struct vmm_ops rig_ops = { .name = "rig", .end = rig_end };

static struct vmm vmm;
static pid_t guest_pid;

static inline void say(const struct guest *g, uint16_t type, uint32_t id, uint32_t arg,
		       const void *data, uint32_t len)
{
	uint8_t buf[AGENT_HEADER + 4096];
	struct agent_frame f = { .type = type, .id = id, .arg = arg, .len = len };

	agent_frame_header(buf, &f);
	if (len)
		memcpy(buf + AGENT_HEADER, data, len);
	io_write_full(g->port, buf, AGENT_HEADER + len);
}

static inline void hello(const struct guest *g, uint32_t version)
{
	uint8_t b[8] = {};

	agent_put_u32(b, version);
	say(g, AGENT_HELLO, 0, 0, b, 8);
}

static inline void print(const struct guest *g, const char *text)
{
	io_write_full(g->console, text, strlen(text));
}

static inline void end_machine(const struct guest *g)
{
	eventfd_write(g->ended, 1);
}

/* Until the host has sent what it sends in that phase. */
static inline void wait_for(const struct guest *g, uint16_t type)
{
	uint8_t head[AGENT_HEADER], rest[AGENT_FRAME_MAX];

	do {
		if (io_read_full(g->port, head, sizeof(head)) != (ssize_t)sizeof(head))
			_exit(1);
		io_read_full(g->port, rest, agent_get_u32(head));
	} while ((agent_get_u32(head + 4) & 0xffff) != type);
}

static inline void start_guest(void (*fn)(const struct guest *g))
{
	int s[2], console[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(pipe2(console, O_CLOEXEC), 0);
	fcntl(console[0], F_SETFL, O_NONBLOCK);
	vmm = (struct vmm){ .ops = &rig_ops,
			    .ctl = s[0],
			    .console = console[0],
			    .ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	how = VM_END_CRASH;
	guest_pid = fork();
	if (guest_pid == 0) {
		struct guest g = { .port = s[1], .console = console[1], .ended = vmm.ended };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(s[0]);
		fn(&g);
		_exit(0);
	}
	close(s[1]);
	close(console[1]);
}

static inline void stop_guest(void)
{
	kill(guest_pid, SIGKILL);
	waitpid(guest_pid, NULL, 0);
	close(vmm.ctl);
	close(vmm.ended);
	if (vmm.console >= 0)
		close(vmm.console);
}

static inline void come_up(const struct guest *g)
{
	hello(g, AGENT_VERSION);
	wait_for(g, AGENT_CONFIG);
	say(g, AGENT_DONE, 0, 0, NULL, 0);
}

static inline void start_up(const struct guest *g)
{
	come_up(g);
	wait_for(g, AGENT_START);
	say(g, AGENT_DONE, 0, 0, NULL, 0);
}

#endif
