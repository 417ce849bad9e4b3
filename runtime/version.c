/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr.h"

#ifndef CTR_VERSION
#define CTR_VERSION "0.1.0"
#endif
#ifndef CTR_COMMIT
#define CTR_COMMIT "unknown"
#endif

const char ctr_version[] = CTR_VERSION;
const char ctr_commit[] = CTR_COMMIT;
