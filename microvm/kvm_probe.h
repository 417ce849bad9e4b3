/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether /dev/kvm can run a kernel. There are software ones (on hosts that are virtual machines
 * themselves) that run user code at full speed and emulate the kernel's, some instructions not at
 * all: they look like the real thing until a guest hangs in them.
 */
#ifndef CTR_MICROVM_KVM_PROBE_H
#define CTR_MICROVM_KVM_PROBE_H

#include "base/err.h"

/*
 * Runs a guest of some thousand instructions in a child process: some milliseconds where KVM is
 * real, some tens where it is not, never for longer than ten seconds. kvm: /dev/kvm, opened for
 * reading and writing. 0: usable. -errno: not, and *e says what was found.
 */
int kvm_probe(int kvm, struct err *e);

#endif
