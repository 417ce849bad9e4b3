/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_sd.h"

#include "base/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY "libsystemd.so.0"

int cg_sd_load(struct cg_sd *sd, struct err *e)
{
	static const struct {
		const char *symbol;
		size_t at;
	} table[] = {
#define ROW(type, name, args) { "sd_bus_" #name, offsetof(struct cg_sd, name) },
		CG_SD_FUNCTIONS(ROW)
#undef ROW
	};
	/* Never unloaded: it may have started what cannot be stopped, and it is needed until the
	 * end. */
	void *handle = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);

	if (!handle)
		return err_set(e, ENOENT, "cgroup manager systemd: cannot load %s: %s", LIBRARY,
			       dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		void *f = dlsym(handle, table[i].symbol);

		if (!f)
			return err_set(e, ENOTSUP,
				       "cgroup manager systemd: %s is too old: it has no %s",
				       LIBRARY, table[i].symbol);
		memcpy((char *)sd + table[i].at, &f, sizeof(f));
	}
	return 0;
}
