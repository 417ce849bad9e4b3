/* SPDX-License-Identifier: Apache-2.0 */
/* What `update` does to a configuration: new resources are laid over those that are there. */
#ifndef CTR_OCI_SPEC_UPDATE_H
#define CTR_OCI_SPEC_UPDATE_H

#include "base/err.h"

#include <stddef.h>

enum spec_update_base {
	SPEC_UPDATE_CONFIG,    /* a config.json: the change goes to linux.resources */
	SPEC_UPDATE_RESOURCES, /* a linux.resources object by itself */
};

/*
 * The text of base with change (a linux.resources object) in it, malloc'ed, with a final newline.
 * What change does not mention stays: objects are merged member by member, lists with an entry a
 * device, page size or interface are merged entry by entry, a list of device rules is replaced.
 * Where the specification's writers mean "not given" by 0 or "" (limits, shares, cpu lists) such a
 * value changes nothing. No limit on memory takes the limit on memory and swap away too, unless
 * change has one. Pure. -EINVAL for a text that is no such object, -ENOMEM; the result must still
 * be parsed, which is what checks values.
 */
int spec_update_merge(enum spec_update_base kind, const char *base, size_t base_len,
		      const char *change, size_t change_len, char **out, size_t *len,
		      struct err *e);

/*
 * What engines send with each update: the rules for devices of the configuration as they know it,
 * beside all else; what others have opened for the container since (a wrapper that edited the
 * bundle, a hook) is not in it. 1 and resources without `devices` in *out, malloc'ed; 0: it has no
 * such member, or nothing else; -EINVAL, -ENOMEM.
 */
int spec_update_leave_devices(const char *resources, size_t resources_len, char **out, size_t *len,
			      struct err *e);

#endif
