/* SPDX-License-Identifier: Apache-2.0 */
/* A process whose first thread ends while another one runs on: a zombie that lives. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *go_on(void *arg)
{
	(void)arg;
	sleep(1);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

int main(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, go_on, NULL) != 0)
		return 1;
	pthread_exit(NULL);
}
