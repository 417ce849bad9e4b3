/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sc [-t] [-32] NUMBER [ARG...]: makes one system call, prints "ok" or "errno N". -32: by the
 * 32-bit entry of x86. -t: with a handler for SIGSYS, which prints "trap NUMBER".
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_sigsys(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)context;
	printf("trap %d\n", si->si_syscall);
	fflush(stdout);
	_exit(0);
}

static long call32(const unsigned long *a)
{
	long r = -ENOSYS;

#ifdef __x86_64__
	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(a[0]), "b"(a[1]), "c"(a[2]), "d"(a[3])
			 : "memory", "r8", "r9", "r10", "r11");
	r = (int)r;
#else
	(void)a;
#endif
	return r;
}

int main(int argc, char **argv)
{
	unsigned long a[7] = { 0 };
	int wide = 1, i = 1, n = 0;
	long r;

	setvbuf(stdout, NULL, _IONBF, 0);
	for (; i < argc && argv[i][0] == '-' && argv[i][1] > '9'; i++) {
		struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

		if (strcmp(argv[i], "-t") == 0)
			sigaction(SIGSYS, &sa, NULL);
	}
	if (i < argc && strcmp(argv[i], "-32") == 0) {
		wide = 0;
		i++;
	}
	for (; i < argc && n < 7; i++)
		a[n++] = strtoul(argv[i], NULL, 0);
	if (wide) {
		r = syscall((long)a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
		r = r == -1 ? -errno : r;
	} else {
		r = call32(a);
	}
	if (r < 0 && r > -4096)
		printf("errno %ld\n", -r);
	else
		printf("ok\n");
	return 0;
}
