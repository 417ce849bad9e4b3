/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.netDevices: links of the host that become the container's. They keep what somebody has
 * configured: permanent addresses of global scope, MTU, hardware address, alternative names.
 */
#ifndef CTR_NETNS_DEVICE_H
#define CTR_NETNS_DEVICE_H

#include "base/err.h"
#include "oci/spec.h"

#include <stddef.h>

struct device_moved;

/* What was moved, so that a creation that fails can give it back. Zero-initialise. */
struct devices {
	struct device_moved *v;
	size_t n;
};

/*
 * Moves each device from the caller's network namespace to that of netns_fd (borrowed), names it,
 * adds its addresses and sets it up. All names are looked at before the first is moved; on an error
 * everything is where it was. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN in both. Errors name the
 * device.
 */
int devices_move(const struct spec_net_devices *l, int netns_fd, struct devices *out,
		 struct err *e);

/* Back to the caller's network namespace, as they were. What cannot be done is logged. Frees. */
void devices_return(struct devices *d, int netns_fd);

void devices_free(struct devices *d);

#endif
