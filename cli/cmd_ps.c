/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table is made by the host's own ps, of which the lines of the container's processes are kept:
 * so any column that ps knows can be had.
 */
#include "cli/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

struct ps_opts {
	int format;
};

static const struct opt opts[] = {
	{ "format", 'f', OPT_CHOICE, .at = offsetof(struct ps_opts, format), "FORMAT",
	  "table (default) or json", .choices = &cmd_formats },
	{},
};

#define PS_OUTPUT_MAX ((size_t)64 << 20)

static int spawn_ps(char **argv, int out, pid_t *pid, struct err *e)
{
	posix_spawn_file_actions_t fa;
	int r;

	r = posix_spawn_file_actions_init(&fa);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
		if (r == 0)
			r = posix_spawnp(pid, "ps", &fa, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&fa);
	}
	return r ? err_sys(e, r, "run ps") : 0;
}

static int wait_ps(pid_t pid, struct err *e)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "wait for ps");
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "ps: killed by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		return err_set(e, EIO, "ps: exit status %d", WEXITSTATUS(status));
	return 0;
}

static int read_ps(char **argv, char **out, struct err *e)
{
	AUTO_CLOSE int reading = -1;
	AUTO_CLOSE int writing = -1;
	int p[2], r, w;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	reading = p[0];
	writing = p[1];
	r = spawn_ps(argv, writing, &pid, e);
	if (r < 0)
		return r;
	close(TAKE_FD(writing));
	r = io_read_all(reading, PS_OUTPUT_MAX, out, NULL);
	/* Before the wait: a ps that still writes gets SIGPIPE instead of waiting for us. */
	close(TAKE_FD(reading));
	w = wait_ps(pid, r < 0 ? NULL : e);
	return r < 0 ? err_sys(e, -r, "read the output of ps") : w;
}

/* The nth field (from 0) of a line, blanks between fields; its length is 0 when there is none. */
static const char *line_field(const char *line, size_t nth, size_t *len)
{
	for (;; nth--) {
		line += strspn(line, " \t");
		*len = strcspn(line, " \t\n");
		if (nth == 0 || *len == 0)
			return line;
		line += *len;
	}
}

static bool pid_column(const char *header, size_t *column)
{
	for (size_t i = 0;; i++) {
		size_t len;
		const char *f = line_field(header, i, &len);

		if (len == 0)
			return false;
		if (len == 3 && memcmp(f, "PID", 3) == 0) {
			*column = i;
			return true;
		}
	}
}

static bool line_of(const char *line, size_t column, const pid_t *pids, size_t n)
{
	char digits[16];
	uint64_t pid;
	size_t len;
	const char *f = line_field(line, column, &len);

	if (len == 0 || len >= sizeof(digits))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)len, f);
	if (str_to_u64(digits, INT32_MAX, &pid) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (pids[i] == (pid_t)pid)
			return true;
	return false;
}

static int filter(struct str_buf *b, const char *text, const pid_t *pids, size_t n, struct err *e)
{
	size_t column;

	if (!pid_column(text, &column))
		return err_set(e, EINVAL, "ps: its output has no PID column");
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		if (line == text || line_of(line, column, pids, n)) {
			str_buf_addn(b, line, len);
			str_buf_add(b, "\n");
		}
		line += len + (line[len] == '\n');
	}
	return 0;
}

static int print_table(char **words, size_t nwords, const pid_t *pids, size_t n, struct err *e)
{
	AUTO_FREE char **argv = calloc(nwords + 3, sizeof(*argv));
	AUTO(str_buf_free) struct str_buf b = {};
	AUTO_FREE char *text = NULL;
	int r;

	if (!argv)
		return err_sys(e, ENOMEM, "ps");
	argv[0] = "ps";
	argv[1] = "-ef";
	if (nwords)
		memcpy(argv + 1, words, nwords * sizeof(*argv));
	r = read_ps(argv, &text, e);
	if (r == 0)
		r = filter(&b, text, pids, n, e);
	return r < 0 ? r : cmd_print(&b, e);
}

static int print_json(const pid_t *pids, size_t n, struct err *e)
{
	AUTO(json_out_free) struct json_out j = {};

	json_out_array(&j);
	for (size_t i = 0; i < n; i++)
		json_out_i64(&j, pids[i]);
	json_out_end_array(&j);
	return cmd_print_json(&j, e);
}

/* Lines "PID PPID UID START TIME TTY CMD", one blank between them; the last may have more. */
static void add_guest_line(struct str_buf *b, const char *line, size_t len)
{
	static const int width[] = { 7, 7, 7, 5, 8, -7 };
	const char *end = line + len;

	for (size_t i = 0; i < ARRAY_SIZE(width); i++) {
		const char *blank = memchr(line, ' ', (size_t)(end - line));
		int n = (int)((blank ? blank : end) - line);

		str_buf_addf(b, "%*.*s ", width[i], n, line);
		line = blank ? blank + 1 : end;
	}
	str_buf_addn(b, line, (size_t)(end - line));
	str_buf_add(b, "\n");
}

static int print_guest(const char *table, struct err *e)
{
	static const char head[] = "PID PPID UID START TIME TTY CMD";
	AUTO(str_buf_free) struct str_buf b = {};

	add_guest_line(&b, head, strlen(head));
	while (*table) {
		size_t len = strcspn(table, "\n");

		add_guest_line(&b, table, len);
		table += len + (table[len] == '\n');
	}
	return cmd_print(&b, e);
}

static int run(const struct ctr_global *g, void *opt, const struct opt_words *w, int *status,
	       struct err *e)
{
	const struct ps_opts *o = opt;
	AUTO_FREE pid_t *pids = NULL;
	AUTO_FREE char *table = NULL;
	bool json = o->format == CMD_FORMAT_JSON;
	size_t n = 0;
	int r;

	(void)status;
	/* Who reads JSON is a program, which asks the host about these pids. */
	r = ctr_ps(g, w->v[0], &pids, &n, json ? NULL : &table, e);
	if (r < 0)
		return r;
	if (json)
		return print_json(pids, n, e);
	if (table && w->n > 1)
		return err_set(e, ENOTSUP, "ps %s: a micro-VM has no ps of the host's: %s", w->v[0],
			       w->v[1]);
	if (table)
		return print_guest(table, e);
	return print_table(w->v + 1, w->n - 1, pids, n, e);
}

const struct cmd cmd_ps = {
	.name = "ps",
	.words = "ID [PS OPTIONS]",
	.summary = "list the processes of a container",
	.more = "The words after ID go to the host's ps (default -ef); its output must have a PID column.",
	.opts = opts,
	.opts_size = sizeof(struct ps_opts),
	.order = OPT_FIRST,
	.min = 1,
	.max = CMD_ANY_WORDS,
	.word = CMD_WORD_ID,
	.run = run,
};
