/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys hold CMD...: a session keyring of its own with the user key "caller:secret" in it, for CMD.
 * keys join NAME CMD...: the session keyring of that name for CMD.
 * keys fill: hides the session keyring from who looks for its name, makes keys until there can be
 * no more, says "full" and waits.
 * keys show: the session keyring's serial number, its description as the kernel gives it, and
 * "secret" when that key can be found and read, else "none".
 */
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME "caller:secret"

static int hold(const char *name, char **argv)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 ||
	    (!name &&
	     syscall(SYS_add_key, "user", NAME, "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0)) {
		perror("keys");
		return 77;
	}
	execvp(argv[0], argv);
	perror(argv[0]);
	return 1;
}

static int fill(void)
{
	char name[32];
	int n = 0;

	if (syscall(SYS_keyctl, KEYCTL_SETPERM, KEY_SPEC_SESSION_KEYRING, 0x3f000000) < 0)
		return 1;
	do
		snprintf(name, sizeof(name), "k%d", n++);
	while (syscall(SYS_add_key, "user", name, "x", 1, KEY_SPEC_SESSION_KEYRING) >= 0);
	puts("full");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	char text[256] = "", secret[16] = "none";
	long key;

	if (argc > 2 && !strcmp(argv[1], "hold"))
		return hold(NULL, argv + 2);
	if (argc > 1 && !strcmp(argv[1], "fill"))
		return fill();
	if (argc > 3 && !strcmp(argv[1], "join"))
		return hold(argv[2], argv + 3);
	syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof(text) - 1);
	key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", NAME, 0);
	if (key >= 0)
		syscall(SYS_keyctl, KEYCTL_READ, key, secret, sizeof(secret) - 1);
	printf("%ld %s %s\n",
	       syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), text,
	       secret);
	return 0;
}
