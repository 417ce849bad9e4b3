/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/vm_plan.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "oci/spec_guest.h"

#include <errno.h>

#define MIB ((uint64_t)1 << 20)
#define HUGE (2 * MIB)
#define MEMORY_MAX ((uint64_t)1 << 40)

#define CPUS_MAX 8192
#define LONG_BITS (8 * sizeof(unsigned long))

/* ---- sizes ---- */

static unsigned int cpus_of_list(const char *list)
{
	unsigned long mask[CPUS_MAX / LONG_BITS] = {};
	unsigned int n = 0;

	if (str_to_bits(list, mask, CPUS_MAX) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(mask); i++)
		n += (unsigned int)__builtin_popcountl(mask[i]);
	return n;
}

static uint64_t vcpus_of_limits(const struct spec_cpu *cpu)
{
	uint64_t period, n = 0;

	if (!cpu)
		return 1;
	period = cpu->period.set && cpu->period.v ? cpu->period.v : 100000;
	if (cpu->quota.set && cpu->quota.v > 0)
		n = ((uint64_t)cpu->quota.v + period - 1) / period;
	if (cpu->cpus && cpu->cpus[0]) {
		unsigned int set = cpus_of_list(cpu->cpus);

		if (set && (!n || set < n))
			n = set;
	}
	if (n > VM_MAX_VCPUS)
		n = VM_MAX_VCPUS;
	return n ? n : 1;
}

static int plan_vcpus(const struct spec *s, unsigned int given, struct vm_config *c, struct err *e)
{
	const struct spec_resources *r = s->linux_.resources;
	bool by_spec = s->vm && s->vm->vcpus.set;
	uint64_t n = given ? given : by_spec ? s->vm->vcpus.v : vcpus_of_limits(r ? r->cpu : NULL);

	if (n > VM_MAX_VCPUS)
		return err_set(e, ERANGE, "%s: %llu: a micro-VM has at most %d",
			       given ? "--vcpus" : "vm.hwConfig.vcpus", (unsigned long long)n,
			       VM_MAX_VCPUS);
	c->vcpus = (unsigned int)n;
	return 0;
}

static int plan_memory(const struct spec *s, uint64_t given, struct vm_config *c, struct err *e)
{
	const struct spec_resources *r = s->linux_.resources;
	const struct spec_memory *m = r ? r->memory : NULL;
	bool by_spec = s->vm && s->vm->memory.set;
	bool limited = m && m->limit.set && m->limit.v > 0;
	const char *who = given     ? "--vm-memory"
			  : by_spec ? "vm.hwConfig.memory"
				    : "linux.resources.memory.limit";
	uint64_t bytes = given     ? given
			 : by_spec ? s->vm->memory.v
			 : limited ? (uint64_t)m->limit.v
				   : VM_MEMORY_DEFAULT_MIB * MIB;

	if (bytes > MEMORY_MAX)
		return err_set(e, ERANGE, "%s: %llu bytes: a micro-VM has at most %llu", who,
			       (unsigned long long)bytes, (unsigned long long)MEMORY_MAX);
	if ((given || by_spec) && bytes < VM_MEMORY_MIN_MIB * MIB)
		return err_set(e, ERANGE, "%s: %llu bytes: no kernel boots with less than %d MiB",
			       who, (unsigned long long)bytes, VM_MEMORY_MIN_MIB);
	if (!given && !by_spec && limited)
		bytes += VM_GUEST_OVERHEAD_MIB * MIB;
	c->memory = (bytes + HUGE - 1) / HUGE * HUGE;
	return 0;
}

int vm_plan_sizes(const struct spec *s, const struct vm_sizes *given, struct vm_config *c,
		  struct err *e)
{
	int r = plan_vcpus(s, given->vcpus, c, e);

	return r < 0 ? r : plan_memory(s, given->memory, c, e);
}

/* ---- the kernel's command line ---- */

/*
 * A panic or a reboot ends the machine at once, by a triple fault. Devices of a PC that the machine
 * does not have are not waited for.
 */
static const char base_line[] =
	"console=hvc0 panic=-1 oops=panic reboot=t 8250.nr_uarts=1 i8042.noaux i8042.nokbd "
	"rcupdate.rcu_expedited=1 cryptomgr.notests random.trust_cpu=on";

int vm_plan_cmdline(const struct spec *s, bool debug, char **out, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};

	str_buf_add(&b, base_line);
	if (!debug)
		str_buf_add(&b, " quiet");
	for (size_t i = 0; s->vm && i < s->vm->kernel_parameters.n; i++) {
		const char *p = s->vm->kernel_parameters.v[i];

		if (strpbrk(p, "\n\r"))
			return err_set(e, EINVAL,
				       "vm.kernel.parameters[%zu]: a line break is no part of a "
				       "kernel parameter",
				       i);
		str_buf_addf(&b, " %s", p);
	}
	if (b.failed)
		return err_sys(e, ENOMEM, "command line of the guest kernel");
	if (b.len > 1800)
		return err_set(
			e, E2BIG,
			"vm.kernel.parameters: %zu bytes of command line: a kernel takes 2047",
			b.len);
	*out = TAKE_PTR(b.s);
	return 0;
}

const char *vm_plan_qemu(const struct spec *s)
{
	return s->vm ? s->vm->hypervisor_path : NULL;
}

/* ---- the host's cgroup ---- */

/* /dev/null and /dev/urandom: what else is needed is open before. */
static int host_devices(struct arena *a, struct spec_resources *r)
{
	struct spec_device_rule *v = arena_array(a, 3, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v[0] = (struct spec_device_rule){ .allow = false, .type = 'a' };
	v[1] = (struct spec_device_rule){
		.allow = true, .type = 'c', .major = { true, 1 }, .minor = { true, 3 }
	};
	v[2] = (struct spec_device_rule){
		.allow = true, .type = 'c', .major = { true, 1 }, .minor = { true, 9 }
	};
	r->devices = (struct spec_device_rules){ .v = v, .n = 3 };
	return 0;
}

int vm_plan_host_unified(struct spec_resources *out, const struct spec_resources *r,
			 struct arena *a, struct err *e)
{
	struct spec_pair *v;
	size_t n = 0;

	if (!r->unified.n)
		return 0;
	v = arena_array(a, r->unified.n, sizeof(*v));
	if (!v)
		return err_sys(e, ENOMEM, "limits of the micro-VM");
	for (size_t i = 0; i < r->unified.n; i++)
		if (spec_guest_unified_of_host(r->unified.v[i].key))
			v[n++] = r->unified.v[i];
	out->unified = (struct spec_map){ .v = v, .n = n };
	return 0;
}

const struct spec_resources *vm_plan_host_resources(struct spec *s, const struct vm_config *c,
						    bool limit_memory, bool limit_devices,
						    struct err *e)
{
	const struct spec_resources *own = s->linux_.resources;
	uint64_t more = (c->qemu ? VM_HOST_OVERHEAD_QEMU_MIB : VM_HOST_OVERHEAD_MIB) * MIB +
			c->memory / VM_HOST_OVERHEAD_PART;
	struct spec_resources *r = arena_array(&s->arena, 1, sizeof(*r));
	struct spec_memory *m = arena_array(&s->arena, 1, sizeof(*m));

	if (!r || !m || (limit_devices && host_devices(&s->arena, r) < 0)) {
		err_sys(e, ENOMEM, "limits of the micro-VM");
		return NULL;
	}
	if (own) {
		r->cpu = own->cpu;
		r->block_io = own->block_io;
		if (own->pids_limit.set)
			r->pids_limit = (struct opt_i64){ true, c->vcpus + 128 };
		if (vm_plan_host_unified(r, own, &s->arena, e) < 0)
			return NULL;
	}
	if (limit_memory) {
		m->limit = (struct opt_i64){ true, (int64_t)(c->memory + more) };
		if (own && own->memory)
			m->swappiness = own->memory->swappiness;
		r->memory = m;
	}
	return r;
}
