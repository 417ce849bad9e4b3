/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protection of ctr's own file (CVE-2019-5736): a process that enters a container must not be a way
 * to the host's binary. Its /proc/PID/exe, and a #!/proc/self/exe inside, then lead to a sealed
 * copy in memory.
 */
#ifndef CTR_SELFEXE_H
#define CTR_SELFEXE_H

#include "base/err.h"

/*
 * Goes on as a sealed copy of this program: returns 0 when that is what runs already, and otherwise
 * does not return but on failure. To be called before anything else is done: nothing but argv and
 * the environment crosses.
 */
int selfexe_seal(char *const argv[], struct err *e);

#endif
