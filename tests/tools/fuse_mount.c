/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse_mount [-r] [-w] [-x] [-f FDS] [-s] [-e] DIR MOUNTPOINT COMMAND [ARG...]
 *
 * Mounts DIR through the micro-VM's file server with this kernel as its client (/dev/fuse), runs
 * the command, unmounts, and ends with the command's status. The mount is seen by the command only.
 * -r read-only, -w cached writes, -x exclusive, -f at most so many descriptors, -s requests and
 * answers in pieces of odd sizes, as a guest may cut them, -e a full server far away, which says so
 * only when a file is closed that was opened to be written. What /dev/fuse lets through is what a
 * guest's kernel would send; the transport is the only difference.
 */
#include "base/cleanup.h"
#include "microvm/fuse_server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { REQUEST_MAX = (1 << 20) + 65536, PIECES = 256, ODD = 4999 };

static struct fuse_server *server;
static int device;
static bool scatter, full;
static char request[REQUEST_MAX], answer[REQUEST_MAX];

static size_t cut(char *buf, size_t len, struct iovec v[PIECES])
{
	size_t n = 0, first = scatter ? 7 : len;

	while (len) {
		size_t part = n ? ODD : first;

		if (part > len || n + 1 == PIECES)
			part = len;
		v[n++] = (struct iovec){ buf, part };
		buf += part;
		len -= part;
	}
	return n;
}

/* What the server would answer, or that it is full. */
static size_t answer_to(size_t n)
{
	struct iovec in[PIECES], out[PIECES];
	const struct fuse_in_header *h = (const void *)request;
	struct fuse_out_header *o = (void *)answer;
	size_t len;

	if (full && h->opcode == FUSE_FLUSH) {
		*o = (struct fuse_out_header){ sizeof(*o), -ENOSPC, h->unique };
		return sizeof(*o);
	}
	len = fuse_server_handle(server, in, cut(request, n, in), out,
				 cut(answer, sizeof(answer), out));
	if (full && len && h->opcode == FUSE_OPEN)
		((struct fuse_open_out *)(o + 1))->open_flags &= ~(uint32_t)FOPEN_NOFLUSH;
	return len;
}

static void *serve(void *arg)
{
	struct err e = {};

	if (fuse_server_enter(server, &e) < 0) {
		fprintf(stderr, "fuse_mount: %s\n", e.msg);
		_exit(125);
	}
	for (;;) {
		ssize_t n = read(device, request, sizeof(request));
		size_t len;

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < 0)
			break;
		len = answer_to((size_t)n);
		/* ENOENT: interrupted meanwhile. */
		if (len && write(device, answer, len) < 0 && errno != ENOENT)
			perror("fuse_mount: answer");
	}
	return arg;
}

static int command(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int mount_it(const char *dir)
{
	char text[128];

	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -errno;
	/* max_read: 1 MiB, as virtio-fs has it. */
	snprintf(text, sizeof(text),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other",
		 device);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("ctr", dir, "fuse", 0, text) < 0)
		return -errno;
	return 0;
}

static int run(const struct fuse_opts *o, char **argv)
{
	AUTO_CLOSE int root = open(argv[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = {};
	pthread_t thread;
	int r, status;

	if (root < 0 || fuse_server_new(root, o, &server, &e) < 0) {
		fprintf(stderr, "fuse_mount: %s: %s\n", argv[0], e.msg);
		return 125;
	}
	r = mount_it(argv[1]);
	if (r < 0) {
		fprintf(stderr, "fuse_mount: mount: %s\n", strerror(-r));
		return 125;
	}
	if (pthread_create(&thread, NULL, serve, NULL) != 0)
		return 125;
	status = command(argv + 2);
	umount2(argv[1], MNT_DETACH);
	pthread_join(thread, NULL);
	fuse_server_free(server);
	close(device);
	return status;
}

int main(int argc, char **argv)
{
	struct fuse_opts o = { .proc_fd = -1 };
	int c;

	while ((c = getopt(argc, argv, "+rwxsef:")) > 0) {
		switch (c) {
		case 'r':
			o.read_only = true;
			break;
		case 'w':
			o.writeback = true;
			break;
		case 'x':
			o.exclusive = ".";
			break;
		case 's':
			scatter = true;
			break;
		case 'e':
			full = true;
			break;
		case 'f':
			o.max_fds = strtoul(optarg, NULL, 10);
			break;
		default:
			return 125;
		}
	}
	if (argc - optind < 3) {
		fprintf(stderr, "usage: fuse_mount [-rwxse] [-f FDS] DIR MOUNTPOINT COMMAND...\n");
		return 125;
	}
	return run(&o, argv + optind);
}
