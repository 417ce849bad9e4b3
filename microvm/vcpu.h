/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual processors: one thread each. They run, are paused and end together; what one of them
 * finds (the guest ended, KVM gave up) ends all.
 */
#ifndef CTR_MICROVM_VCPU_H
#define CTR_MICROVM_VCPU_H

#include "microvm/bus.h"
#include "microvm/cpu_x86.h"
#include "microvm/vmm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { VCPU_REASONS = 64, VCPU_TEXT = 768 };

struct vcpu {
	struct vcpus *all;
	unsigned int id;
	int fd;
	struct kvm_run *run; /* shared with KVM */
	pthread_t thread;
	bool started;
	atomic_ullong exits[VCPU_REASONS]; /* by KVM_EXIT_*; the last one: signals and the like */
};

struct vcpus {
	/* Set by the caller of vcpus_create. */
	int kvm, vm;
	struct bus *ports, *mmio;
	int ended; /* eventfd, borrowed: written once, at the end */

	struct vcpu *v;
	unsigned int n;
	size_t run_size;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_int state; /* enum in vcpu.c */
	unsigned int parked;
	enum vm_end how;
	char text[VCPU_TEXT];
	atomic_ullong first_run; /* nanoseconds of CLOCK_MONOTONIC */
};

/* Makes n of them, ready to run kernel k. After a failure vcpus_free is still to be called. */
int vcpus_create(struct vcpus *all, unsigned int n, const struct mem *m,
		 const struct load_kernel *k, struct err *e);

/* Starts the threads. */
int vcpus_start(struct vcpus *all, struct err *e);

/* Ends the machine for a reason; only the first one counts. From any thread. */
void vcpus_end(struct vcpus *all, enum vm_end how, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* On return none of them runs (or all may again). -ETIMEDOUT after some seconds. */
int vcpus_pause(struct vcpus *all, bool on, struct err *e);

/* Waits for the threads, after vcpus_end. -ETIMEDOUT. */
int vcpus_join(struct vcpus *all, const struct timespec *deadline);

void vcpus_free(struct vcpus *all); /* after vcpus_join; idempotent */

/* "io 12, mmio 400, ..." of all processors together. */
void vcpus_exits(const struct vcpus *all, char *text, size_t size);

#endif
