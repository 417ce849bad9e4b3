/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the specification to what a machine looks like (vm_config.h). Pure: no file is opened, so
 * that every rule is tested without a machine.
 */
#ifndef CTR_MICROVM_VM_PLAN_H
#define CTR_MICROVM_VM_PLAN_H

#include "base/err.h"
#include "microvm/vm_config.h"
#include "oci/spec.h"

/* The sizes that the command line gives; 0: not given. */
struct vm_sizes {
	unsigned int vcpus;
	uint64_t memory; /* bytes */
};

enum {
	VM_MEMORY_MIN_MIB = 64,
	VM_MEMORY_DEFAULT_MIB = 512,
	/* What a kernel of any flavour, the agent and the file cache take beside the container. */
	VM_GUEST_OVERHEAD_MIB = 128,
	/* What a VMM takes on the host beside the guest's memory. */
	VM_HOST_OVERHEAD_MIB = 32,
	VM_HOST_OVERHEAD_QEMU_MIB = 320, /* with its translations and the file server */
	/* And this part of the memory: the file server remembers every file that the guest does. */
	VM_HOST_OVERHEAD_PART = 8,
};

/*
 * What a micro-VM cannot honour is refused with its JSON path: the host's own namespaces, devices
 * and labels, and what describes hardware that there is not. Nothing is ignored.
 */
int vm_plan_check(const struct spec *s, struct err *e);

/*
 * vcpus: given, else vm.hwConfig.vcpus, else as many as linux.resources.cpu.quota fills or .cpus
 * names, else 1. memory: given, else vm.hwConfig.memory, else linux.resources.memory.limit plus
 * VM_GUEST_OVERHEAD_MIB, else the default; rounded up to 2 MiB. Errors name what was too small or
 * too large.
 */
int vm_plan_sizes(const struct spec *s, const struct vm_sizes *given, struct vm_config *c,
		  struct err *e);

/*
 * The kernel's command line, malloc'ed: what every machine needs, then vm.kernel.parameters.
 * debug: the kernel tells all that it does.
 */
int vm_plan_cmdline(const struct spec *s, bool debug, char **out, struct err *e);

/* Names the QEMU of vm.hypervisor.path; NULL: the specification asks for none. */
const char *vm_plan_qemu(const struct spec *s);

/* The files of r->unified that are the host's (spec_guest_unified_of_host), in out->unified. */
int vm_plan_host_unified(struct spec_resources *out, const struct spec_resources *r,
			 struct arena *a, struct err *e);

/*
 * The limits of the host's cgroup around the VMM, in the arena of the spec: CPU and block I/O as
 * they are; memory (when limited or sized by the configuration) that of the machine plus overhead;
 * processes: a bound of our own; devices (when limited): none but those that do nothing. Everything
 * else limits the container and is applied in the guest. NULL with *e set without memory.
 */
const struct spec_resources *vm_plan_host_resources(struct spec *s, const struct vm_config *c,
						    bool limit_memory, bool limit_devices,
						    struct err *e);

#endif
