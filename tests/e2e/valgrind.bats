#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# No leak and no descriptor left open, with containers in every state present.

load helpers

setup() {
    common_setup
    require_root
    require_program valgrind
    # Two tools that both replace malloc.
    ! grep -qa __asan_init "$CTR" || skip "not with a sanitizer"
    make_bundle
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID-created"
    ok run --detach --bundle "$BUNDLE" "$ID-running"
    ok run --detach --bundle "$BUNDLE" "$ID-stopped"
    ok kill "$ID-stopped" KILL
    wait_state "$ID-stopped" stopped
}

teardown() {
    delete_all
    common_teardown
}

# checked STATUS ARGS...: ctr under valgrind.
checked() {
    local want=$1 log=$BATS_TEST_TMPDIR/valgrind
    shift
    status=0
    timeout -k 5 60 valgrind --quiet --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
        --track-fds=yes --error-exitcode=77 --log-file="$log" "$CTR" --root "$ROOT" "$@" \
        </dev/null >"$BATS_TEST_TMPDIR/vout" 2>"$BATS_TEST_TMPDIR/verr" 3>&- 4>&- 251>&- || status=$?
    [ "$status" -eq "$want" ] || fail "ctr $*: $status: $(cat "$log" "$BATS_TEST_TMPDIR/verr")"
    ! grep -A3 -E 'Open (file descriptor|AF_)' "$log" | grep -vE 'inherited from parent|^--$' |
        grep -E 'at 0x|by 0x' || fail "ctr $*: descriptors left open: $(cat "$log")"
    ! grep -E 'definitely lost|indirectly lost|possibly lost|still reachable|Invalid|uninitialised' "$log" ||
        fail "ctr $*: $(cat "$log")"
}

@test "valgrind: list in its three forms" {
    checked 0 list
    [ "$(wc -l <"$BATS_TEST_TMPDIR/vout")" -eq 4 ]
    checked 0 list --format json
    [ "$(jq length "$BATS_TEST_TMPDIR/vout")" -eq 3 ]
    checked 0 list -q
}

@test "valgrind: state of a created, a running and a stopped container, and of none" {
    checked 0 state "$ID-created"
    checked 0 state "$ID-running"
    checked 0 state "$ID-stopped"
    [ "$(jq -r .status "$BATS_TEST_TMPDIR/vout")" = stopped ]
    checked 1 state "$ID-none"
}

@test "valgrind: spec, features, version, help, completion" {
    mkdir "$BATS_TEST_TMPDIR/new"
    checked 0 spec --bundle "$BATS_TEST_TMPDIR/new"
    jq -e .root "$BATS_TEST_TMPDIR/new/config.json"
    checked 0 features
    checked 0 --version
    checked 0 run --help
    checked 0 completion bash
}

# Not kill: this valgrind does not know pidfds.
@test "valgrind: pause, resume, ps, delete" {
    checked 0 pause "$ID-running"
    checked 0 resume "$ID-running"
    checked 0 ps --format json "$ID-running"
    checked 1 delete "$ID-running"
    checked 0 delete "$ID-stopped"
    checked 1 delete "$ID-stopped"
}
