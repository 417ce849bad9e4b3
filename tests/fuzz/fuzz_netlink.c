/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: datagrams that claim to be the kernel's answer. The first byte chooses who reads them;
 * sequence numbers and ports are made to fit, so that the readers get to see more than headers.
 */
#include "netns/addr.h"
#include "netns/conntrack.h"
#include "netns/foreign.h"
#include "netns/link.h"
#include "netns/nft.h"
#include "netns/route.h"

#include <stdlib.h>
#include <string.h>

#define SEQ 7
#define PORT 9

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int use_addr(int index, const struct ip_net *a, void *arg)
{
	char buf[IP_NET_TEXT];

	(void)index;
	*(size_t *)arg += strlen(ip_net_text(a, buf));
	return 0;
}

static int use_route(const struct route *r, void *arg)
{
	return use_addr(r->link, &r->to, arg);
}

static int use_element(const struct nft_element *el, void *arg)
{
	for (uint32_t i = 0; i < el->key_len; i++)
		*(size_t *)arg += el->key[i];
	for (uint32_t i = 0; i < el->data_len; i++)
		*(size_t *)arg += el->data[i];
	return 0;
}

static void make_fit(char *buf, size_t size)
{
	struct nlmsghdr *m = (struct nlmsghdr *)buf;
	int left = (int)size;

	for (; nl_message_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		m->nlmsg_seq = SEQ;
		m->nlmsg_pid = PORT;
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	size_t sum = 0;
	struct link link;
	struct flow flow;
	struct foreign_rule rule;
	int policy;
	struct addr_reader addrs = { .fn = use_addr, .arg = &sum };
	struct route_reader routes = { .fn = use_route, .arg = &sum };
	struct nft_element_reader elements = { .fn = use_element, .arg = &sum };
	const struct {
		nl_fn fn;
		void *arg;
	} readers[] = {
		{ link_read, &link },
		{ addr_read, &addrs },
		{ route_read, &routes },
		{ nft_read_policy, &policy },
		{ flow_read, &flow },
		{ NULL, NULL },
		{ nft_read_elements, &elements },
		{ foreign_read_rule, &rule },
	};
	bool torn = false;
	char *buf;
	int r;

	if (size == 0)
		return 0;
	/* malloc aligns, and the sanitizer sees its end. */
	buf = malloc(size);
	memcpy(buf, data + 1, size - 1);
	make_fit(buf, size - 1);
	r = nl_read(buf, size - 1, SEQ, PORT, &torn,
		    readers[data[0] % (sizeof(readers) / sizeof(readers[0]))].fn,
		    readers[data[0] % (sizeof(readers) / sizeof(readers[0]))].arg);
	free(buf);
	if (r > 1)
		abort();
	return 0;
}
