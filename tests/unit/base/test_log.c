/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_MAX (8 * ERR_MSG_MAX)

/* Two files take what goes to the log and to stderr. */
struct sinks {
	int log, err, saved;
	char text[TEXT_MAX], stderr_text[TEXT_MAX];
};

static void begin(struct sinks *s, bool with_log, enum log_format format, enum log_level level)
{
	s->log = memfd_create("log", MFD_CLOEXEC);
	s->err = memfd_create("err", MFD_CLOEXEC);
	s->saved = dup(STDERR_FILENO);
	assert_true(s->log >= 0 && s->err >= 0 && s->saved >= 0);
	assert_true(dup2(s->err, STDERR_FILENO) >= 0);
	log_setup(with_log ? s->log : -1, format, level);
}

static void take(int fd, char *text)
{
	ssize_t n = pread(fd, text, TEXT_MAX - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

static void end(struct sinks *s)
{
	dup2(s->saved, STDERR_FILENO);
	close(s->saved);
	log_setup(-1, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	take(s->log, s->text);
	take(s->err, s->stderr_text);
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("\"%s\" does not match \"%s\"", text, pattern);
	regfree(&re);
}

static void test_text(void **state)
{
	struct sinks s;

	(void)state;
	begin(&s, false, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
	assert_true(log_debugging());
	assert_int_equal(log_fd(), -1);
	log_error("open %s: %s", "/x", "gone");
	log_warn("odd: %d", 7);
	log_debug("detail");
	end(&s);
	assert_string_equal(s.stderr_text,
			    "ctr: open /x: gone\nctr: warning: odd: 7\nctr: debug: detail\n");
	assert_string_equal(s.text, "");
}

static void test_levels(void **state)
{
	struct sinks s;

	(void)state;
	begin(&s, false, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	assert_false(log_debugging());
	log_debug("detail");
	log_warn("shown");
	end(&s);
	assert_string_equal(s.stderr_text, "ctr: warning: shown\n");

	begin(&s, false, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	log_debug("detail");
	log_warn("odd");
	log_error("bad");
	end(&s);
	assert_string_equal(s.stderr_text, "ctr: bad\n");
}

/* With a log: errors in both, each in its form; the rest in the log alone. */
static void test_both(void **state)
{
	struct sinks s;

	(void)state;
	begin(&s, true, LOG_FORMAT_JSON, LOG_LEVEL_DEBUG);
	assert_int_equal(log_fd(), s.log);
	log_error("bad");
	log_warn("odd");
	log_debug("detail");
	end(&s);
	assert_string_equal(s.stderr_text, "ctr: bad\n");
	assert_matches(
		s.text,
		"^\\{\"level\":\"error\",\"msg\":\"bad\",\"time\":\"[0-9]{4}-[0-9]{2}-[0-9]{2}T"
		"[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z\"\\}\n"
		"\\{\"level\":\"warning\",\"msg\":\"odd\",\"time\":\"[^\"]+\"\\}\n"
		"\\{\"level\":\"debug\",\"msg\":\"detail\",\"time\":\"[^\"]+\"\\}\n$");
}

static void test_json_to_stderr(void **state)
{
	struct sinks s;

	(void)state;
	begin(&s, false, LOG_FORMAT_JSON, LOG_LEVEL_WARNING);
	log_error("bad");
	end(&s);
	assert_matches(s.stderr_text,
		       "^\\{\"level\":\"error\",\"msg\":\"bad\",\"time\":\"[^\"]+\"\\}\n$");
}

static const struct {
	const char *in, *out;
} escapes[] = {
	{ "plain", "plain" },
	{ "a \"b\" \\c", "a \\\"b\\\" \\\\c" },
	{ "\n\t\r\x01\x1f", "\\u000a\\u0009\\u000d\\u0001\\u001f" },
	{ "\x7f\xc2\x9b\xc2\xa0", "\\u007f\\u009b\xc2\xa0" },
	{ "%s%n", "%s%n" },
	/* two, three and four bytes */
	{ "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb3", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb3" },
	{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
	{ "\xee\x80\x80 \xed\x9f\xbf", "\xee\x80\x80 \xed\x9f\xbf" },
	/* a tail alone, a head alone, a head before something else, and at the end */
	{ "\x80x", "\\ufffdx" },
	{ "\xc3", "\\ufffd" },
	{ "\xc3(", "\\ufffd(" },
	{ "\xe2\x82", "\\ufffd\\ufffd" },
	{ "\xf0\x9f\x90!", "\\ufffd\\ufffd\\ufffd!" },
	/* longer than needed */
	{ "\xc0\xaf", "\\ufffd\\ufffd" },
	{ "\xc1\xbf", "\\ufffd\\ufffd" },
	{ "\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd" },
	{ "\xe0\x9f\xbf", "\\ufffd\\ufffd\\ufffd" },
	{ "\xf0\x80\x80\xaf", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "\xf0\x8f\xbf\xbf", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	/* halves of UTF-16 pairs, and what is beyond Unicode */
	{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },
	{ "\xed\xbf\xbf", "\\ufffd\\ufffd\\ufffd" },
	{ "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "\xf5\x80\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "\xfe\xff", "\\ufffd\\ufffd" },
};

static void test_json_escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		char want[256];
		struct sinks s;
		char *msg;

		begin(&s, true, LOG_FORMAT_JSON, LOG_LEVEL_WARNING);
		log_warn("%s", escapes[i].in);
		end(&s);
		snprintf(want, sizeof(want), "{\"level\":\"warning\",\"msg\":\"%s\",\"time\":\"",
			 escapes[i].out);
		msg = strstr(s.text, "\",\"time\":\"");
		assert_non_null(msg);
		msg[strlen("\",\"time\":\"")] = '\0';
		assert_string_equal(s.text, want);
	}
}

/* The longest message, where each byte becomes six, is still one whole record. */
static void test_longest(void **state)
{
	char text[ERR_MSG_MAX + 100];
	struct sinks s;
	size_t n = 0;

	(void)state;
	memset(text, '\xff', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	begin(&s, true, LOG_FORMAT_JSON, LOG_LEVEL_WARNING);
	log_error("%s", text);
	end(&s);
	for (const char *p = s.text; (p = strstr(p, "\\ufffd")); p += 6)
		n++;
	assert_int_equal(n, ERR_MSG_MAX - 1);
	assert_matches(s.text, "\",\"time\":\"[^\"]+\"\\}\n$");
	assert_int_equal(strlen(s.stderr_text), strlen("ctr: ") + ERR_MSG_MAX - 1 + 1);
}

/* A text record is one line too: what it quotes cannot begin another. */
static void test_text_one_line(void **state)
{
	struct sinks s;

	(void)state;
	begin(&s, false, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	log_warn("name: %s", "a\nctr: error\x1b[2J");
	end(&s);
	assert_string_equal(s.stderr_text, "ctr: warning: name: a ctr: error [2J\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),          cmocka_unit_test(test_levels),
		cmocka_unit_test(test_both),          cmocka_unit_test(test_json_to_stderr),
		cmocka_unit_test(test_json_escapes),  cmocka_unit_test(test_longest),
		cmocka_unit_test(test_text_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
