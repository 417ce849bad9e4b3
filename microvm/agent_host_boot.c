/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's console, of which the last lines are kept, and errors that quote them. */
#include "microvm/agent_host_internal.h"

#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
	READ_AT_ONCE = 4096,
	/* a turn of the loop: a guest that floods its console stops nothing else */
	READS_A_TURN = 8,
	QUOTE_LINES = 6,
	QUOTE_MAX = 1000,
};

static void keep(struct agent_host *h, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h->tail[h->tail_at++ % HOST_TAIL] = s[i];
}

/* --debug: a record of the log for each line, of which the log takes what a terminal would obey. */
static void tell(struct agent_host *h, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool end = s[i] == '\n' || h->line_len == sizeof(h->line) - 1;

		if (end) {
			h->line[h->line_len] = '\0';
			if (h->line_len)
				log_debug("guest: %s", h->line);
			h->line_len = 0;
		}
		if (s[i] != '\n' && s[i] != '\r' && s[i])
			h->line[h->line_len++] = s[i];
	}
}

void host_console_read(struct agent_host *h)
{
	char buf[READ_AT_ONCE];

	for (int i = 0; i < READS_A_TURN; i++) {
		ssize_t n = read(h->vmm->console, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) {
			h->vmm->console = -1;
			if (h->console_log)
				tell(h, "\n", 1);
		}
		if (n <= 0)
			return;
		keep(h, buf, (size_t)n);
		if (h->console_log)
			tell(h, buf, (size_t)n);
	}
}

/* The ring as a string. */
static size_t unroll(const struct agent_host *h, char out[HOST_TAIL + 1])
{
	size_t len = h->tail_at < HOST_TAIL ? h->tail_at : HOST_TAIL;

	for (size_t i = 0; i < len; i++) {
		out[i] = h->tail[(h->tail_at - len + i) % HOST_TAIL];
		if (out[i] == '\0')
			out[i] = '?';
	}
	out[len] = '\0';
	return len;
}

/* The last lines, joined, fit for one line of an error. */
static const char *quote(const struct agent_host *h, char out[HOST_TAIL + 1])
{
	size_t len = unroll(h, out), from, lines = 0;

	while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r'))
		out[--len] = '\0';
	for (from = len; from > 0; from--) {
		if (len - from >= QUOTE_MAX)
			break;
		if (out[from - 1] == '\n' && ++lines == QUOTE_LINES)
			break;
	}
	for (size_t i = from; i < len; i++)
		if (out[i] == '\n')
			out[i] = '|';
		else if (out[i] == '\r')
			out[i] = ' ';
	str_clean(out + from, len - from, '?');
	return out + from;
}

static bool panicked(const struct agent_host *h)
{
	char text[HOST_TAIL + 1];

	unroll(h, text);
	return strstr(text, "Kernel panic - ") != NULL;
}

static const char *const while_[] = {
	[HOST_BOOT] = "while it booted",
	[HOST_SETUP] = "while the container was set up",
	[HOST_CREATED] = "before the container was started",
	[HOST_STARTING] = "while the container was started",
	[HOST_RUNNING] = "while the container ran",
	[HOST_ENDED] = "at its end",
};

static const char *what_ended(enum vm_end how, bool panic)
{
	if (panic || how == VM_END_PANIC)
		return "the guest's kernel panicked";
	if (how == VM_END_RESET)
		return "the guest switched itself off";
	if (how == VM_END_STOPPED)
		return "the machine was stopped";
	return "the machine crashed";
}

static int why(struct agent_host *h, unsigned int ms, struct err *e)
{
	const char *text = NULL, *last, *when = while_[h->phase];
	char buf[HOST_TAIL + 1];
	enum vm_end how = VM_END_CRASH;

	if (h->machine_ended)
		how = h->vmm->ops->end(h->vmm, &text);
	if (h->vmm->console >= 0)
		host_console_read(h);
	last = quote(h, buf);
	if (!*last)
		last = "(nothing)";
	if (!h->machine_ended && panicked(h))
		return err_set(e, EIO, "the guest's kernel panicked %s; console: %s", when, last);
	if (!h->machine_ended && h->link_lost)
		return err_set(e, EIO, "the guest's agent hung up %s; console: %s", when, last);
	if (!h->machine_ended)
		return err_set(e, ETIMEDOUT, "the guest hangs: nothing for %u.%u s %s; console: %s",
			       ms / 1000, ms % 1000 / 100, when, last);
	return err_set(e, EIO, "%s %s%s%s; console: %s", what_ended(how, panicked(h)), when,
		       text ? ": " : "", text ? text : "", last);
}

int host_why(struct agent_host *h, unsigned int ms, struct err *e)
{
	int r = why(h, ms, e);

	return h->phase == HOST_BOOT && h->kernel ? err_wrap(e, "kernel %s", h->kernel) : r;
}
