/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks: one after the other, the state on stdin, a deadline each, the end of their stderr in the
 * error.
 */
#ifndef CTR_HOOKS_H
#define CTR_HOOKS_H

#include "base/err.h"
#include "oci/annotations.h"
#include "oci/spec.h"

/*
 * Runs the hooks of a kind, in h->dir (startContainer, or NULL: the caller's working directory) and
 * a process group of their own, with all signals at their defaults and no descriptor but 0, 1, 2.
 * state_json is written to each one's stdin. env: the environment of a hook that has none of its
 * own (NULL: empty, as the specification says; startContainer hooks inherit process.env).
 *
 * A hook that exits non-zero, is killed or outlives its timeout stops the sequence: `error running
 * createRuntime hook #1: /path: exit status 1: <the end of its stderr, or of its stdout when that
 * is empty>`. No zombie, no fd stays; a hook past its deadline is killed with its process group.
 * What a hook leaves running is not waited for. SIGCHLD is set to its default when the caller
 * ignores it.
 *
 * A signal that asks ctr to end (ending.h) ends the hook as its deadline does: -EINTR. Not those
 * that run in the container: it is who waits for the container that looks at signals then. And
 * -EPIPE when init, a pidfd or -1, tells the end of that process meanwhile. A hook dies with the
 * process that runs it; what it has started does not.
 */
int hooks_run(const struct spec_hooks *h, enum hook_kind kind, const char *state_json,
	      char *const *env, int init, struct err *e);

/*
 * Opens what run.oci.hooks.stdout and .stderr name, to be appended to, in the caller's mount
 * namespace; hooks_close_output closes it. Errors name the annotation.
 */
int hooks_open_output(struct spec_hooks *h, const struct annotations *n, struct err *e);
void hooks_close_output(struct spec_hooks *h); /* idempotent */

/*
 * hooks_run for poststop: failures are warnings, all hooks run. Signals that came before the first
 * one are taken: they asked for the end of what has ended by now.
 */
void hooks_run_all(const struct spec_hooks *h, enum hook_kind kind, const char *state_json);

#endif
