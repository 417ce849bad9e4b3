/* SPDX-License-Identifier: Apache-2.0 */
/* Network links of the caller's network namespace. */
#ifndef CTR_NETNS_LINK_H
#define CTR_NETNS_LINK_H

#include "base/err.h"

/* Sets the loopback interface up. 0 or -errno with *e set. */
int link_loopback_up(struct err *e);

#endif
