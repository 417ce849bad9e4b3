/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the moment a filter is loaded, no system call of ours may be needed: any of them can be one
 * that the filter kills, fails, or holds until the listener answers, which nobody has yet. So a
 * second thread, which the filter does not cover, shares our descriptors and hands the listener
 * over, and we say and hear everything without system calls: by touching a page that is not there.
 * The fault puts us to sleep and tells the thread (userfaultfd); it wakes us when the listener is
 * gone to where it belongs. Its end leaves nothing behind, neither a zombie nor an entry in the
 * container's processes.
 *
 * Where userfaultfd is refused (an outer container's filter), both sides look at a word in memory
 * instead: for as long as one seccomp(2) and one sendmsg(2) take.
 */
#include "runtime/seccomp_notify.h"

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define STACK_SIZE ((size_t)256 << 10)
#define STATE_FIRST 4096 /* of the state's bytes, with the descriptor */

struct handover {
	struct seccomp_receiver *receiver;
	int report;
	int uffd;   /* -1: by the words below */
	char *gate; /* the page that is not there */
	size_t page;
	int listener; /* or -errno of seccomp(2) */
	atomic_int loaded, done;
};

static int send_all(int sock, const char *text, int listener)
{
	size_t len = strlen(text), first = len < STATE_FIRST ? len : STATE_FIRST;
	int r = fdpass_send(sock, text, first, &listener, 1);

	for (size_t sent = first; r == 0 && sent < len;) {
		ssize_t n = send(sock, text + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		sent += (size_t)n;
	}
	return r;
}

/* ---- the thread that the filter does not cover ---- */

static void await_load(struct handover *h)
{
	struct uffd_msg m;

	if (h->uffd >= 0) {
		while (read(h->uffd, &m, sizeof(m)) < 0 && errno == EINTR)
			;
		return;
	}
	while (!atomic_load_explicit(&h->loaded, memory_order_acquire))
		sched_yield();
}

static void wake(struct handover *h)
{
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)h->gate, .len = h->page } };

	atomic_store_explicit(&h->done, 1, memory_order_release);
	if (h->uffd >= 0)
		ioctl(h->uffd, UFFDIO_ZEROPAGE, &zero);
}

static int helper(void *arg)
{
	struct handover *h = arg;
	int r;

	await_load(h);
	if (h->listener >= 0) {
		r = send_all(h->receiver->sock, h->receiver->state, h->listener);
		if (r < 0) {
			struct err e;

			err_sys(&e, -r, "linux.seccomp.listenerPath: send the listener");
			sync_send_err(h->report, &e);
			syscall(SYS_exit_group, 1);
		}
		close(h->listener);
	}
	close(h->receiver->sock);
	wake(h);
	syscall(SYS_exit, 0);
	return 0;
}

/* ---- the thread that becomes the payload ---- */

/* MAP_FAILED without memory. The descriptor means nothing with MAP_ANONYMOUS. */
static void *fresh_pages(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0);
}

/* -errno where this kernel, or who confines us, has no such faults for us. */
static int make_gate(struct handover *h)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	AUTO_CLOSE int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd < 0)
		return -errno;
	h->page = (size_t)sysconf(_SC_PAGESIZE);
	h->gate = fresh_pages(h->page);
	if (h->gate == MAP_FAILED)
		return -errno;
	reg.range.start = (uintptr_t)h->gate;
	reg.range.len = h->page;
	if (ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &reg) < 0)
		return -errno;
	h->uffd = TAKE_FD(fd);
	return 0;
}

static void pass_gate(struct handover *h)
{
	atomic_store_explicit(&h->loaded, 1, memory_order_release);
	if (h->uffd >= 0)
		(void)*(volatile char *)h->gate;
	while (!atomic_load_explicit(&h->done, memory_order_acquire))
		;
}

static int start_helper(struct handover *h)
{
	char *stack = fresh_pages(STACK_SIZE);
	int flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

	if (stack == MAP_FAILED)
		return -errno;
	return clone(helper, stack + STACK_SIZE, flags, h) < 0 ? -errno : 0;
}

int seccomp_notify_install(const struct seccomp_prog *prog, struct seccomp_receiver *r, int report,
			   struct err *e)
{
	/* The helper may still be on its last instructions when we return. */
	static struct handover h;
	struct seccomp_prog alone = *prog;
	int rc;

	h = (struct handover){ .receiver = r, .report = report, .uffd = -1 };
	/* All threads would be the helper too; of ours no other is left after execve. */
	alone.flags &= ~(unsigned int)(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
	make_gate(&h);
	rc = start_helper(&h);
	if (rc < 0)
		return err_sys(e, -rc, "make a thread for the seccomp listener");
	rc = seccomp_install(&alone, &h.listener);
	if (rc < 0)
		h.listener = rc;
	pass_gate(&h);
	r->sock = -1;
	return rc < 0 ? err_sys(e, -rc, "load the seccomp filter") : 0;
}
