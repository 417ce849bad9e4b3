/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_boot [OPTIONS] KERNEL [INITRD]: boots a kernel with the VMM alone, copies what it prints to
 * stdout and what its port VM_CTL_PORT says to stderr, and tells how it ended. For tests.
 *
 * -v debug, -s serial port, -c CPUS, -m MIB, -a KERNEL WORDS, -d DISK, -t SECONDS; -p: probe only
 */
#include "base/log.h"
#include "microvm/kvm_probe.h"
#include "microvm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int copy(int from, int to)
{
	char buf[65536];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n > 0 && write(to, buf, (size_t)n) != n)
		return -1;
	return n == 0 ? -1 : 0;
}

static int serve(struct vmm *v, double deadline)
{
	struct pollfd p[] = {
		{ .fd = v->ended, .events = POLLIN },
		{ .fd = v->console, .events = POLLIN },
		{ .fd = v->ctl, .events = POLLIN },
	};
	static const char *const names[] = { "reset", "panic", "crash", "stopped" };
	const double start = now();
	const char *text = NULL;
	bool said = false;
	enum vm_end how;

	for (;;) {
		int left = (int)((start + deadline - now()) * 1000);

		if (left <= 0) {
			fprintf(stderr, "vm_boot: deadline\n");
			return 3;
		}
		poll(p, 3, left);
		if (p[1].revents)
			copy(p[1].fd, 1);
		if (p[2].revents) {
			if (!said && v->ops->report)
				v->ops->report(v, "first word");
			said = true;
			if (copy(p[2].fd, 2) < 0)
				p[2].fd = -1;
		}
		if (p[0].revents && !p[1].revents)
			break;
	}
	how = v->ops->end(v, &text);
	if (v->ops->report)
		v->ops->report(v, "end");
	fprintf(stderr, "vm_boot: %s: %s after %.3f s\n", names[how], text ? text : "",
		now() - start);
	return (int)how;
}

int main(int argc, char **argv)
{
	struct vm_config c = {
		.vcpus = 1, .memory = 256ULL << 20, .share = -1, .tap = -1, .cmdline = ""
	};
	struct vmm v;
	struct err e = {};
	double deadline = 60;
	int r, opt;

	while ((opt = getopt(argc, argv, "vpsc:m:a:d:t:")) != -1) {
		switch (opt) {
		case 'v':
			log_setup(-1, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
			break;
		case 's':
			c.serial = true;
			break;
		case 'c':
			c.vcpus = (unsigned int)atoi(optarg);
			break;
		case 'm':
			c.memory = (uint64_t)atoi(optarg) << 20;
			break;
		case 'a':
			c.cmdline = optarg;
			break;
		case 'd':
			c.disks[c.n_disks++] =
				(struct vm_disk){ .fd = open(optarg, O_RDWR | O_CLOEXEC) };
			break;
		case 't':
			deadline = atof(optarg);
			break;
		case 'p': {
			const double from = now();

			c.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
			r = kvm_probe(c.kvm, &e);
			fprintf(stderr, "vm_boot: probe: %s (%.1f ms)\n", r < 0 ? e.msg : "fine",
				(now() - from) * 1e3);
			return r < 0;
		}
		default:
			return 2;
		}
	}
	if (argc - optind < 1)
		return 2;
	c.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	c.kernel = open(argv[optind], O_RDONLY | O_CLOEXEC);
	c.initrd = argc - optind > 1 ? open(argv[optind + 1], O_RDONLY | O_CLOEXEC) : -1;
	r = vmm_kvm.start(&c, &v, &e);
	if (r < 0) {
		fprintf(stderr, "vm_boot: %s\n", e.msg);
		return 125;
	}
	r = serve(&v, deadline);
	v.ops->stop(&v);
	return r;
}
