/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { STATE_RUN, STATE_PAUSE, STATE_OVER };
enum { REASON_INTERRUPTED = VCPU_REASONS - 1, PAUSE_SECONDS = 5 };

/*
 * Threads of processors take it from whoever sends it to the process: it must be one that means
 * nothing to the guest's program. This one is passed on to none (agent_host.c).
 */
#define KICK SIGURG

static const char *const reasons[VCPU_REASONS] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_IO] = "io",
	[KVM_EXIT_HLT] = "hlt",
	[KVM_EXIT_MMIO] = "mmio",
	[KVM_EXIT_SHUTDOWN] = "shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "failed entry",
	[KVM_EXIT_INTR] = "signal",
	[KVM_EXIT_INTERNAL_ERROR] = "internal error",
	[KVM_EXIT_SYSTEM_EVENT] = "system event",
	[REASON_INTERRUPTED] = "interrupted",
};

void vcpus_exits(const struct vcpus *all, char *text, size_t size)
{
	size_t len = 0;

	snprintf(text, size, "none");
	for (unsigned int r = 0; r < VCPU_REASONS; r++) {
		unsigned long long sum = 0;
		int n;

		for (unsigned int i = 0; i < all->n; i++)
			sum += atomic_load(&all->v[i].exits[r]);
		if (!sum)
			continue;
		n = snprintf(text + len, size - len, "%s%s %llu", len ? ", " : "",
			     reasons[r] ? reasons[r] : "other", sum);
		if (n < 0 || (size_t)n >= size - len)
			return;
		len += (size_t)n;
	}
}

/* ---- what all of them obey ---- */

static void on_kick(int sig)
{
	/* Nothing: that it arrives ends KVM_RUN. */
	(void)sig;
}

/* Under the lock: each of them comes out of the guest, or does not go in again. */
static void kick_all(struct vcpus *all)
{
	for (unsigned int i = 0; i < all->n; i++) {
		if (!all->v[i].started)
			continue;
		__atomic_store_n(&all->v[i].run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(all->v[i].thread, KICK);
	}
}

void vcpus_end(struct vcpus *all, enum vm_end how, const char *fmt, ...)
{
	const uint64_t one = 1;
	va_list ap;

	pthread_mutex_lock(&all->lock);
	if (atomic_load(&all->state) != STATE_OVER) {
		all->how = how;
		va_start(ap, fmt);
		vsnprintf(all->text, sizeof(all->text), fmt, ap);
		va_end(ap);
		atomic_store(&all->state, STATE_OVER);
		kick_all(all);
		pthread_cond_broadcast(&all->changed);
		if (write(all->ended, &one, sizeof(one)) < 0)
			all->text[0] = '\0';
	}
	pthread_mutex_unlock(&all->lock);
}

/* Before each entry: false when it is over. Stays here while the machine is paused. */
static bool may_run(struct vcpu *v)
{
	struct vcpus *all = v->all;
	bool go;

	if (atomic_load(&all->state) == STATE_RUN &&
	    !__atomic_load_n(&v->run->immediate_exit, __ATOMIC_RELAXED))
		return true;
	pthread_mutex_lock(&all->lock);
	all->parked++;
	pthread_cond_broadcast(&all->changed);
	while (atomic_load(&all->state) == STATE_PAUSE)
		pthread_cond_wait(&all->changed, &all->lock);
	all->parked--;
	go = atomic_load(&all->state) == STATE_RUN;
	if (go)
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&all->lock);
	return go;
}

static void deadline_in(struct timespec *ts, time_t seconds)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += seconds;
}

int vcpus_pause(struct vcpus *all, bool on, struct err *e)
{
	struct timespec until;
	int r = 0;

	deadline_in(&until, PAUSE_SECONDS);
	pthread_mutex_lock(&all->lock);
	if (atomic_load(&all->state) != STATE_OVER)
		atomic_store(&all->state, on ? STATE_PAUSE : STATE_RUN);
	if (on)
		kick_all(all);
	else
		pthread_cond_broadcast(&all->changed);
	while (on && r == 0 && all->parked < all->n && atomic_load(&all->state) == STATE_PAUSE)
		r = pthread_cond_clockwait(&all->changed, &all->lock, CLOCK_MONOTONIC, &until);
	pthread_mutex_unlock(&all->lock);
	if (r)
		return err_sys(e, r, "pause the virtual machine");
	/* The guest's watchdog is told that time stood still. EINVAL: it has no such clock. */
	for (unsigned int i = 0; on && i < all->n; i++)
		ioctl(all->v[i].fd, KVM_KVMCLOCK_CTRL, 0);
	return 0;
}

/* ---- one of them ---- */

static void io(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(v->all->ports, run->io.port, data, run->io.size);
		else
			bus_write(v->all->ports, run->io.port, data, run->io.size);
	}
}

static void mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	if (run->mmio.len > sizeof(run->mmio.data))
		return;
	if (run->mmio.is_write)
		bus_write(v->all->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	else
		bus_read(v->all->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
}

/* What KVM says besides, in an order of each kernel's own: the bytes of an instruction first. */
static void internal_data(const struct kvm_run *run, char *text, size_t size)
{
	uint32_t n = run->internal.ndata;
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < n && i < 16 && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%llx", i ? " " : "; data ",
					(unsigned long long)run->internal.data[i]);
}

static void internal_error(struct vcpu *v)
{
	static const char *const kinds[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "it cannot emulate an instruction",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions at once",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "an exit while it delivered an event",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an exit it does not know",
	};
	const uint32_t sub = v->run->internal.suberror;
	char regs[VCPU_TEXT - 384], data[256]; /* and 128 for the words around them */

	cpu_x86_describe(v->fd, regs, sizeof(regs));
	internal_data(v->run, data, sizeof(data));
	vcpus_end(v->all, VM_END_CRASH, "KVM gave up on processor %u: %s (%u); %s%s", v->id,
		  sub < sizeof(kinds) / sizeof(kinds[0]) && kinds[sub] ? kinds[sub] : "?", sub,
		  regs, data);
}

static void other(struct vcpu *v, uint32_t reason)
{
	char regs[VCPU_TEXT - 128];

	cpu_x86_describe(v->fd, regs, sizeof(regs));
	if (reason == KVM_EXIT_SHUTDOWN)
		vcpus_end(v->all, VM_END_CRASH, "triple fault on processor %u", v->id);
	else if (reason == KVM_EXIT_FAIL_ENTRY)
		vcpus_end(v->all, VM_END_CRASH,
			  "the hardware refused to enter the guest (0x%llx) on processor %u; %s",
			  (unsigned long long)v->run->fail_entry.hardware_entry_failure_reason,
			  v->id, regs);
	else
		vcpus_end(v->all, VM_END_CRASH, "KVM exit %u on processor %u; %s", reason, v->id,
			  regs);
}

static void handle(struct vcpu *v)
{
	const uint32_t reason = v->run->exit_reason;

	atomic_fetch_add_explicit(&v->exits[reason < REASON_INTERRUPTED ? reason : 0], 1,
				  memory_order_relaxed);
	switch (reason) {
	case KVM_EXIT_IO:
		io(v);
		break;
	case KVM_EXIT_MMIO:
		mmio(v);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		if (!cpu_x86_cpuid_done(v->run) || cpu_x86_step_cpuid(v->fd) < 0)
			internal_error(v);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		vcpus_end(v->all, VM_END_RESET, "system event %u", v->run->system_event.type);
		break;
	default:
		other(v, reason);
	}
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	struct timespec now;
	char name[16];

	/* By this thread itself: for another one it takes /proc, which a jail does not have. */
	snprintf(name, sizeof(name), "vcpu %u", v->id);
	prctl(PR_SET_NAME, name);

	if (v->id == 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		atomic_store(&v->all->first_run, (unsigned long long)now.tv_sec * 1000000000ULL +
							 (unsigned long)now.tv_nsec);
	}
	while (may_run(v)) {
		if (ioctl(v->fd, KVM_RUN, 0) == 0) {
			handle(v);
			continue;
		}
		if (errno != EINTR && errno != EAGAIN)
			vcpus_end(v->all, VM_END_CRASH, "KVM_RUN on processor %u: %s", v->id,
				  strerror(errno));
		atomic_fetch_add_explicit(&v->exits[REASON_INTERRUPTED], 1, memory_order_relaxed);
	}
	return NULL;
}

static int create_one(struct vcpus *all, struct vcpu *v, struct err *e)
{
	v->fd = ioctl(all->vm, KVM_CREATE_VCPU, (unsigned long)v->id);
	if (v->fd < 0)
		return err_sys(e, errno, "KVM: create processor %u", v->id);
	v->run = mmap(NULL, all->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return err_sys(e, errno, "KVM: map processor %u", v->id);
	}
	return 0;
}

int vcpus_create(struct vcpus *all, unsigned int n, const struct mem *m,
		 const struct load_kernel *k, struct err *e)
{
	const int deadline = ioctl(all->kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER);
	struct cpu_x86_cpuid supported;
	const int size = ioctl(all->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	int r = cpu_x86_supported(all->kvm, &supported, e);

	if (r < 0)
		return r;
	if (size < (int)sizeof(struct kvm_run))
		return err_sys(e, errno, "KVM: KVM_GET_VCPU_MMAP_SIZE");
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	atomic_store(&all->state, STATE_RUN);
	all->run_size = (size_t)size;
	all->v = calloc(n, sizeof(*all->v));
	if (!all->v)
		return err_sys(e, ENOMEM, "virtual processors");
	all->n = n;
	for (unsigned int i = 0; i < n; i++)
		all->v[i] = (struct vcpu){ .all = all, .id = i, .fd = -1 };
	for (unsigned int i = 0; r == 0 && i < n; i++)
		r = create_one(all, &all->v[i], e);
	for (unsigned int i = 0; r == 0 && i < n; i++) {
		const struct cpu_x86 cpu = { .id = i, .n = n, .tsc_deadline = deadline > 0 };

		r = cpu_x86_setup(all->v[i].fd, &cpu, &supported, m, k, e);
	}
	return r;
}

static int start_one(struct vcpu *v, struct err *e)
{
	int r = pthread_create(&v->thread, NULL, vcpu_main, v);

	if (r)
		return err_sys(e, r, "create the thread of processor %u", v->id);
	v->started = true;
	return 0;
}

int vcpus_start(struct vcpus *all, struct err *e)
{
	const struct sigaction sa = { .sa_handler = on_kick };
	sigset_t mask, old;
	int r = 0;

	if (sigaction(KICK, &sa, NULL) < 0)
		return err_sys(e, errno, "signal %d", KICK);
	sigfillset(&mask);
	sigdelset(&mask, KICK);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	/* With the lock: who ends the machine meanwhile finds all threads or none. */
	pthread_mutex_lock(&all->lock);
	for (unsigned int i = 0; r == 0 && i < all->n; i++)
		r = start_one(&all->v[i], e);
	pthread_mutex_unlock(&all->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int vcpus_join(struct vcpus *all, const struct timespec *deadline)
{
	for (unsigned int i = 0; i < all->n; i++) {
		struct vcpu *v = &all->v[i];

		if (v->started &&
		    pthread_clockjoin_np(v->thread, NULL, CLOCK_MONOTONIC, deadline) != 0)
			return -ETIMEDOUT;
		v->started = false;
	}
	return 0;
}

void vcpus_free(struct vcpus *all)
{
	for (unsigned int i = 0; i < all->n; i++) {
		if (all->v[i].run)
			munmap(all->v[i].run, all->run_size);
		if (all->v[i].fd >= 0)
			close(all->v[i].fd);
	}
	free(all->v);
	all->v = NULL;
	all->n = 0;
}
