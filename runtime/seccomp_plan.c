/* SPDX-License-Identifier: Apache-2.0 */
/* Which filter a process gets, and who hears of it. */
#include "runtime/seccomp_notify.h"

#include "base/cleanup.h"
#include "oci/json_out.h"
#include "runtime/seccomp_rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SEND_SECONDS 10

static const char *listener_path(const struct spec_seccomp *s, const struct annotations *n,
				 const char **field)
{
	*field = "linux.seccomp.listenerPath";
	if (s && s->listener_path)
		return s->listener_path;
	*field = "annotations[\"run.oci.seccomp.receiver\"]";
	return n->seccomp_receiver;
}

static int raw_program(const struct spec_seccomp *s, const struct annotations *n,
		       struct seccomp_prog *out, struct err *e)
{
	const char *field;

	if (n->bpf_len / sizeof(*out->insns) > BPF_MAXINSNS)
		return err_set(
			e, E2BIG,
			"annotations[\"run.oci.seccomp_bpf_data\"]: more than %d instructions",
			BPF_MAXINSNS);
	out->insns = malloc(n->bpf_len);
	if (!out->insns)
		return err_sys(e, ENOMEM, "annotations[\"run.oci.seccomp_bpf_data\"]");
	memcpy(out->insns, n->bpf, n->bpf_len);
	out->n = n->bpf_len / sizeof(*out->insns);
	out->flags = s ? seccomp_flags_for(s) : 0;
	/* What it returns only the kernel could tell; who names a receiver wants it told. */
	out->notify = listener_path(s, n, &field) != NULL;
	if (out->notify)
		out->flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	return 0;
}

int seccomp_plan(const struct spec_seccomp *s, const struct annotations *n, int cache_fd,
		 struct seccomp_prog *out, struct err *e)
{
	int r = 0;

	if (n->bpf)
		return raw_program(s, n, out, e);
	if (!s)
		return 0;
	if (n->fail_unknown_syscall)
		r = seccomp_rules_known(s, e);
	return r < 0 ? r : seccomp_compile(s, cache_fd, out, e);
}

int seccomp_receiver_connect(struct seccomp_receiver *r, const struct spec_seccomp *s,
			     const struct annotations *n, const struct seccomp_prog *prog,
			     struct err *e)
{
	const struct timeval limit = { .tv_sec = SEND_SECONDS };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *field, *path = listener_path(s, n, &field);
	AUTO_CLOSE int sock = -1;

	if (!prog->notify)
		return 0;
	if (!path)
		return err_set(
			e, EINVAL,
			"linux.seccomp: the filter notifies, and linux.seccomp.listenerPath is missing");
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(e, ENAMETOOLONG, "%s: %s: longer than the name of a socket can be",
			       field, path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_sys(e, errno, "%s: make a socket", field);
	if (connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(e, errno, "%s: connect to %s", field, path);
	r->sock = TAKE_FD(sock);
	return 0;
}

/* In a new pid namespace getpid() would give the number that only the container knows. */
static pid_t own_pid(void)
{
	char link[24];
	ssize_t n = readlink("/proc/self", link, sizeof(link) - 1);
	uint64_t pid;

	if (n <= 0)
		return getpid();
	link[n] = '\0';
	return str_to_u64(link, INT32_MAX, &pid) < 0 ? getpid() : (pid_t)pid;
}

int seccomp_receiver_state(struct seccomp_receiver *r, const struct spec_seccomp *s,
			   const struct state *st, enum status status, struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};
	struct state now = *st;
	pid_t pid;

	if (r->sock < 0)
		return 0;
	pid = own_pid();
	if (now.pid <= 0)
		now.pid = pid;
	json_out_object(&j);
	json_out_kstr(&j, "ociVersion", st->oci_version);
	json_out_key(&j, "fds");
	json_out_array(&j);
	json_out_str(&j, "seccompFd");
	json_out_end_array(&j);
	json_out_ki64(&j, "pid", pid);
	if (s && s->listener_metadata)
		json_out_kstr(&j, "metadata", s->listener_metadata);
	json_out_key(&j, "state");
	state_out_hook(&j, &now, status);
	json_out_end_object(&j);
	if (j.buf.failed)
		return err_sys(e, ENOMEM, "container process state");
	r->state = TAKE_PTR(j.buf.s);
	return 0;
}

void seccomp_receiver_close(struct seccomp_receiver *r)
{
	if (r->sock >= 0)
		close(r->sock);
	free(r->state);
	*r = (struct seccomp_receiver)SECCOMP_RECEIVER_INIT;
}
