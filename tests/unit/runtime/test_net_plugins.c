/* SPDX-License-Identifier: Apache-2.0 */
/* Name servers that plugins answered, as a resolv.conf. */
#include "net_plugins.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void resolv(void **state)
{
	const char *servers[] = { "192.0.2.1", "2001:db8::1" }, *search[] = { "a.b", "c" },
		   *options[] = { "ndots:1" };
	AUTO(str_buf_free) struct str_buf all = {}, domain = {}, none = {};
	struct cni_result r = { .nameservers = servers, .n_nameservers = 2, .domain = "a.b" };

	(void)state;
	assert_true(net_plugins_resolv(&domain, &r));
	assert_string_equal(domain.s, "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.b\n");
	r.search = search;
	r.n_search = 2;
	r.options = options;
	r.n_options = 1;
	assert_true(net_plugins_resolv(&all, &r));
	assert_string_equal(all.s, "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.b c\n"
				   "options ndots:1\n");
	assert_false(net_plugins_resolv(&none, &(struct cni_result){ .domain = "a.b" }));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(resolv) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
