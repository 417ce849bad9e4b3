/* SPDX-License-Identifier: Apache-2.0 */
#include "init_ask.h"

#include "base/sys.h"
#include "hooks.h"
#include "terminal.h"

#include <fcntl.h>
#include <unistd.h>

int init_ask(struct create *c, enum sync_type what, int32_t value, const char *text, struct err *e)
{
	int fd = -1, r = sync_send(c->sync_child, what, value, text, -1);

	if (r < 0)
		return err_sys(e, -r, "ask the parent for %s", text ? text : "a mount");
	r = sync_expect(c->sync_child, SYNC_SOURCE_FD, "ctr", NULL, &fd, e);
	return r < 0 ? r : fd;
}

int init_ask_source(void *arg, const char *source, unsigned int flags, struct err *e)
{
	return init_ask(arg, SYNC_SOURCE, (int32_t)flags, source, e);
}

/* The child may not walk to a source that the caller may: it gets a detached clone of it. */
int init_serve_source(const struct sync_msg *m, struct err *e)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
			     ((unsigned int)m->value & (AT_RECURSIVE | AT_SYMLINK_NOFOLLOW));
	int fd = sys_open_tree(AT_FDCWD, m->text, flags);

	return fd < 0 ? err_sys(e, -fd, "open %s", m->text) : fd;
}

int init_hooks(struct create *c, struct err *e)
{
	const struct spec_hooks *h = &c->spec->hooks;
	struct json_out j = {};
	int r;

	if (h->kind[HOOK_PRESTART].n || h->kind[HOOK_CREATE_RUNTIME].n) {
		r = sync_send(c->sync_child, SYNC_HOOKS, 0, NULL, -1);
		if (r < 0)
			return err_sys(e, -r, "ask for the runtime hooks");
		r = sync_expect(c->sync_child, SYNC_GO, "ctr", NULL, NULL, e);
		if (r < 0)
			return r;
	}
	if (!h->kind[HOOK_CREATE_CONTAINER].n)
		return 0;
	c->st.pid = getpid();
	state_out_hook(&j, &c->st, STATUS_CREATING);
	r = hooks_run(h, HOOK_CREATE_CONTAINER, j.buf.s, NULL, -1, e);
	json_out_free(&j);
	return r;
}

int init_started(struct create *c, int reply, struct err *e)
{
	int r = sync_send(reply, SYNC_EXEC, 0, NULL, -1);

	if (r < 0)
		return err_sys(e, -r, "report the start");
	return c->wait_here ? 0 : sync_expect(reply, SYNC_GO, "ctr start", NULL, NULL, e);
}

int init_network(struct create *c, struct err *e)
{
	const struct spec_map *m = &c->spec->linux_.sysctl;
	bool asked = false;
	int r;

	for (size_t i = 0; i < m->n; i++)
		asked = asked || str_after(m->v[i].key, "net");
	if (!asked || !c->net.state)
		return 0;
	r = sync_send(c->sync_child, SYNC_NETWORK, 0, NULL, -1);
	if (r < 0)
		return err_sys(e, -r, "ask for the network");
	return sync_expect(c->sync_child, SYNC_GO, "ctr", NULL, NULL, e);
}

int init_terminal(struct create *c, int root_fd, bool foreign_dev, struct err *e)
{
	const struct terminal_opts o = {
		.root_fd = root_fd,
		/* In a mount namespace of others nobody would take the mount away again. */
		.bind_console = root_fd >= 0 && c->spec->linux_.ns[NS_MOUNT].wanted,
		.foreign_dev = foreign_dev,
		.console_sock = c->console,
		.sync_sock = c->sync_child,
		.process = c->spec->process,
	};
	int r = terminal_setup(&o, e);

	if (c->console >= 0)
		close(c->console);
	c->console = -1;
	return r;
}
