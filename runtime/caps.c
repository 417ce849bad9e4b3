/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why two steps: the bounding set can be changed only with CAP_SETPCAP, which a change of user
 * takes away; the other sets are lost or reset by the change of user itself, so they are set after.
 */
#include "runtime/caps.h"

#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

enum set { BOUNDING, EFFECTIVE, INHERITABLE, PERMITTED, AMBIENT, SETS };

static const char *const set_names[SETS] = {
	[BOUNDING] = "bounding",   [EFFECTIVE] = "effective", [INHERITABLE] = "inheritable",
	[PERMITTED] = "permitted", [AMBIENT] = "ambient",
};

static bool known(int cap)
{
	return prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0;
}

int caps_last(void)
{
	static int last = -1;

	if (last >= 0)
		return last;
	last = CAP_LAST_CAP;
	while (last < 63 && known(last + 1))
		last++;
	while (last > 0 && !known(last))
		last--;
	return last;
}

/* Those of mask that the bounding set of the calling thread has. */
static uint64_t bounding_of(uint64_t mask)
{
	uint64_t have = 0;

	for (int cap = 0; cap < 64; cap++)
		if (mask >> cap & 1 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			have |= 1ULL << cap;
	return have;
}

static uint64_t wanted(const struct opt_u64 *set)
{
	return set->set ? set->v : 0;
}

static void want_all(const struct spec_capabilities *c, uint64_t want[SETS])
{
	static const struct spec_capabilities none;

	if (!c)
		c = &none;
	want[BOUNDING] = wanted(&c->bounding);
	want[EFFECTIVE] = wanted(&c->effective);
	want[INHERITABLE] = wanted(&c->inheritable);
	want[PERMITTED] = wanted(&c->permitted);
	want[AMBIENT] = wanted(&c->ambient);
}

/* One line for all that the specification asks for and cannot be had. */
static void warn_missing(const uint64_t missing[SETS])
{
	struct str_buf line = {};
	uint64_t all = 0;

	for (int s = 0; s < SETS; s++)
		all |= missing[s];
	if (!all)
		return;
	for (int cap = 0; cap < 64; cap++) {
		char *name;
		bool first = true;

		if (!(all >> cap & 1))
			continue;
		name = cap_to_name(cap);
		str_buf_addf(&line, "%s%s (", line.len ? ", " : "", name ? name : "?");
		cap_free(name);
		for (int s = 0; s < SETS; s++) {
			if (!(missing[s] >> cap & 1))
				continue;
			str_buf_addf(&line, "%s%s", first ? "" : " ", set_names[s]);
			first = false;
		}
		str_buf_add(&line, ")");
	}
	if (!line.failed)
		log_warn("process.capabilities: not available here: %s", line.s);
	str_buf_free(&line);
}

int caps_before_user(const struct spec_capabilities *c, struct err *e)
{
	uint64_t want[SETS];

	want_all(c, want);
	for (int cap = 0; cap <= caps_last(); cap++) {
		if (want[BOUNDING] >> cap & 1)
			continue;
		/*
		 * Without CAP_SETPCAP nothing can be dropped; that only matters for what is there.
		 */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && bounding_of(1ULL << cap))
			return err_sys(e, errno, "drop capability %d from the bounding set", cap);
	}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "keep capabilities over the change of user");
	return 0;
}

static int get_sets(uint64_t *permitted, uint64_t *inheritable)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (capget(&h, d) < 0)
		return -errno;
	*permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	*inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	return 0;
}

/* Clears the ambient set and raises mask; the mask of those that could be raised. */
static uint64_t raise_ambient(uint64_t mask)
{
	uint64_t got = 0;

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap < 64; cap++)
		if (mask >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) == 0)
			got |= 1ULL << cap;
	return got;
}

int caps_after_user(const struct spec_capabilities *c, struct err *e)
{
	uint64_t want[SETS], got[SETS], missing[SETS];
	uint64_t permitted = 0, inheritable = 0;
	int r;

	want_all(c, want);
	r = get_sets(&permitted, &inheritable);
	if (r < 0)
		return err_sys(e, -r, "read capabilities");
	got[BOUNDING] = bounding_of(want[BOUNDING]);
	got[PERMITTED] = want[PERMITTED] & permitted;
	got[EFFECTIVE] = want[EFFECTIVE] & got[PERMITTED];
	/*
	 * What the kernel lets a thread without CAP_SETPCAP add: permitted and still in the
	 * bounding set.
	 */
	got[INHERITABLE] =
		want[INHERITABLE] & (inheritable | bounding_of(want[INHERITABLE] & permitted));
	r = sys_capset(got[EFFECTIVE], got[PERMITTED], got[INHERITABLE]);
	if (r < 0)
		return err_sys(e, -r, "set capabilities");
	got[AMBIENT] = raise_ambient(want[AMBIENT] & got[PERMITTED] & got[INHERITABLE]);
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_sys(e, errno, "forget to keep capabilities");
	for (int s = 0; s < SETS; s++)
		missing[s] = want[s] & ~got[s];
	/*
	 * Ambient but not inheritable contradicts itself, and is what older engines write by
	 * default: no warning.
	 */
	missing[AMBIENT] &= want[INHERITABLE] & want[PERMITTED];
	warn_missing(missing);
	return 0;
}
