/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cg_check.h"

#include "base/cleanup.h"
#include "cgroups/cg_internal.h"

int cg_check(const struct cg_host *h, const struct spec_resources *r, struct err *e)
{
	AUTO(cg_plan_free) struct cg_plan plan = {};
	struct cg_where w;
	int ret = cg_where(h, r, &w, e);

	return ret < 0 ? ret : cg_plan_make(r, &w, &plan, e);
}
