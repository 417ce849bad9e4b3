/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include "base/cleanup.h"
#include "console.h"
#include "namespaces/dev.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static int give_master(const struct terminal_opts *o, int master, struct err *e)
{
	char name[32];
	unsigned int n;
	int r;

	if (ioctl(master, TIOCGPTN, &n) < 0)
		return err_sys(e, errno, "number of the terminal");
	snprintf(name, sizeof(name), "/dev/pts/%u", n);
	if (o->console_sock >= 0)
		return console_send(o->console_sock, master, name, e);
	r = sync_send(o->sync_sock, SYNC_MASTER, 0, name, master);
	return r < 0 ? err_sys(e, -r, "hand over the terminal") : 0;
}

static int open_host_pty(int *master, int *slave, struct err *e)
{
	AUTO_CLOSE int m = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int s;

	if (m < 0 || unlockpt(m) < 0)
		return err_sys(e, errno, "open a pty");
	s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s < 0)
		return err_sys(e, errno, "open the slave of a pty");
	*master = TAKE_FD(m);
	*slave = s;
	return 0;
}

int terminal_setup(const struct terminal_opts *o, struct err *e)
{
	const struct spec_process *p = o->process;
	AUTO_CLOSE int master = -1;
	AUTO_CLOSE int slave = -1;
	int r;

	if (!p->terminal)
		return 0;
	r = o->root_fd < 0 ? open_host_pty(&master, &slave, e)
			   : dev_open_pty(o->root_fd, &master, &slave, e);
	if (r == 0 && o->bind_console)
		r = dev_console(o->root_fd, slave, o->foreign_dev, e);
	if (r == 0)
		r = give_master(o, master, e);
	if (r == 0)
		r = console_adopt(slave, p->console_size, o->root_fd < 0 ? geteuid() : p->user.uid,
				  e);
	return r;
}
