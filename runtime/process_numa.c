/* SPDX-License-Identifier: Apache-2.0 */
/* Where the payload's memory comes from: linux.memoryPolicy. */
#include "runtime/process.h"

#include "oci/names.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODES_MAX 1024 /* the most that any Linux is configured for */

int process_memory_policy(const struct spec_memory_policy *p, struct err *e)
{
	unsigned long mask[NODES_MAX / 8 / sizeof(unsigned long)] = {};
	bool nodes = p->nodes && *p->nodes;
	int r = nodes ? str_to_bits(p->nodes, mask, NODES_MAX) : 0;

	if (r < 0)
		return err_set(e, -r, "linux.memoryPolicy.nodes: %s: %s", p->nodes,
			       r == -ERANGE ? "node number out of range" : "not a list of nodes");
	/* The kernel looks at one bit less than it is told. */
	if (syscall(SYS_set_mempolicy, p->mode | (int)p->flags, nodes ? mask : NULL,
		    nodes ? NODES_MAX + 1 : 0) < 0)
		return err_sys(e, errno, "linux.memoryPolicy: set %s%s%s%s",
			       table_name(&names_mempolicy_modes, p->mode) ?: "the mode",
			       p->flags ? " with flags" : "", nodes ? ", nodes " : "",
			       nodes ? p->nodes : "");
	return 0;
}
