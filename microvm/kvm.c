/* SPDX-License-Identifier: Apache-2.0 */
/* Our own VMM, as vmm.h wants one. */
#include "base/cleanup.h"
#include "base/log.h"
#include "microvm/kvm_vm.h"
#include "microvm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* Bytes of console output that wait for a reader before the rest is lost. */
enum { CONSOLE_PIPE = 256 << 10 };

static int make_channels(struct kvm_vm *m, struct vmm *v, struct err *e)
{
	int p[2], s[2];

	v->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->ended < 0)
		return err_sys(e, errno, "virtual machine: eventfd");
	m->vcpus.ended = v->ended;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, errno, "virtual machine: console pipe");
	v->console = p[0];
	m->console_in = p[1];
	/* A wish: a user may have used up what he may have of pipes. */
	fcntl(p[1], F_SETPIPE_SZ, CONSOLE_PIPE);
	m->serial_out = fcntl(p[1], F_DUPFD_CLOEXEC, 0);
	if (m->serial_out < 0)
		return err_sys(e, errno, "virtual machine: console pipe");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s) < 0)
		return err_sys(e, errno, "virtual machine: control socket");
	v->ctl = s[0];
	m->ctl_in = s[1];
	return 0;
}

static void kvm_stop(struct vmm *v)
{
	struct kvm_vm *m = v->data;

	if (!m)
		return;
	if (m->vcpus.n)
		vcpus_end(&m->vcpus, VM_END_STOPPED, "stopped");
	if (kvm_vm_free(m))
		free(m);
	else
		log_warn("virtual machine: its threads wait for the host and are left behind");
	v->data = NULL;
	cleanup_close(&v->ctl);
	cleanup_close(&v->console);
	cleanup_close(&v->ended);
	v->ctl = v->console = v->ended = -1;
}

static int kvm_start(const struct vm_config *c, struct vmm *v, struct err *e)
{
	struct kvm_vm *m = calloc(1, sizeof(*m));
	struct timespec now;
	int r;

	*v = (struct vmm){ .ops = &vmm_kvm, .data = m, .ctl = -1, .console = -1, .ended = -1 };
	if (!m)
		return err_sys(e, ENOMEM, "virtual machine");
	clock_gettime(CLOCK_MONOTONIC, &now);
	m->born = (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long)now.tv_nsec;
	m->vm = m->console_in = m->serial_out = m->ctl_in = m->serial_irq = -1;
	m->io = m->fs = (struct loop)LOOP_INIT;
	if (c->vcpus < 1 || c->vcpus > VM_MAX_VCPUS)
		r = err_set(e, EINVAL, "virtual machine: %u processors", c->vcpus);
	else
		r = make_channels(m, v, e);
	if (r == 0)
		r = kvm_vm_make(m, c, e);
	if (r == 0)
		r = kvm_vm_start(m, e);
	if (r < 0)
		kvm_stop(v);
	return r;
}

static enum vm_end kvm_end(struct vmm *v, const char **text)
{
	struct kvm_vm *m = v->data;
	enum vm_end how;

	pthread_mutex_lock(&m->vcpus.lock);
	how = m->vcpus.how;
	*text = m->vcpus.text;
	pthread_mutex_unlock(&m->vcpus.lock);
	return how;
}

static int kvm_pause(struct vmm *v, bool on, struct err *e)
{
	struct kvm_vm *m = v->data;

	return vcpus_pause(&m->vcpus, on, e);
}

/* Microseconds between the machine's birth and another moment. */
static unsigned long long since(const struct kvm_vm *m, unsigned long long t)
{
	return t > m->born ? (t - m->born) / 1000 : 0;
}

static void kvm_report(struct vmm *v, const char *when)
{
	struct kvm_vm *m = v->data;
	struct timespec now;
	char text[256];

	if (!m || !log_debugging())
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	log_debug("vm: %s at %llu us; first instruction at %llu us", when,
		  since(m, (unsigned long long)now.tv_sec * 1000000000ULL +
				   (unsigned long)now.tv_nsec),
		  since(m, atomic_load(&m->vcpus.first_run)));
	for (unsigned int i = 0; i < m->n_slots; i++)
		if (atomic_load(&m->slots[i].ready_at))
			log_debug("vm: driver of %s ready at %llu us", m->slots[i].dev->ops->name,
				  since(m, atomic_load(&m->slots[i].ready_at)));
	vcpus_exits(&m->vcpus, text, sizeof(text));
	log_debug("vm: exits to %s: %s", when, text);
}

const struct vmm_ops vmm_kvm = {
	.name = "kvm",
	.start = kvm_start,
	.end = kvm_end,
	.pause = kvm_pause,
	.report = kvm_report,
	.stop = kvm_stop,
};
