#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Many runs in a row and side by side: no failure, and the machine afterwards is as it was.
# $STRESS_RUNS: how many (200).

load helpers

setup() {
    require_root
    common_setup
    if [ -z "${STRESS_RUNS:-}" ]; then
        STRESS_RUNS=200
        ! grep -qa __asan_init "$CTR" || STRESS_RUNS=40
    fi
    make_bundle
    set_args /bin/true
    # The first run makes the root and what is in it for all.
    ok run --bundle "$BUNDLE" "$ID"
    traces >"$BATS_TEST_TMPDIR/traces.before"
}

# What ctr could leave on the machine: its mounts, cgroups and state. Only of this test: others may be at work.
traces() {
    mounts
    cgroup_dirs "$TESTID"
    find "$ROOT" -mindepth 1
}

as_before() {
    traces | diff "$BATS_TEST_TMPDIR/traces.before" - || fail "left behind"
}

# loop NAME COUNT: run COUNT times, a line in failures.NAME for each one that fails.
loop() {
    local i
    for ((i = 0; i < $2; i++)); do
        timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID-$1" </dev/null \
            >>"$BATS_TEST_TMPDIR/said" 2>>"$BATS_TEST_TMPDIR/err.loop$1" 3>&- ||
            echo "run $i of loop $1: $?" >>"$BATS_TEST_TMPDIR/failures"
    done
}

no_failure() {
    [ ! -s "$BATS_TEST_TMPDIR/failures" ] || fail "$(cat "$BATS_TEST_TMPDIR/failures" "$BATS_TEST_TMPDIR"/err.loop*)"
    ! cat "$BATS_TEST_TMPDIR"/err.loop* 2>/dev/null | grep . || fail "something was said on stderr"
}

@test "stress: runs in a row" {
    loop a "$STRESS_RUNS"
    no_failure
    as_before
}

@test "stress: 8 loops side by side" {
    local l
    for l in 1 2 3 4 5 6 7 8; do
        loop "$l" $((STRESS_RUNS / 8)) &
    done
    wait
    no_failure
    as_before
}

@test "stress: create, start, exec, delete --force side by side" {
    set_args /bin/sleep 1000
    local l n=$((STRESS_RUNS / 20))
    cycle() {
        local i c=("$CTR" --root "$ROOT")
        for ((i = 0; i < n; i++)); do
            "${c[@]}" create --bundle "$BUNDLE" "$ID-$1" && "${c[@]}" start "$ID-$1" &&
                [ "$("${c[@]}" exec "$ID-$1" /bin/echo inside)" = inside ] &&
                "${c[@]}" delete --force "$ID-$1" || echo "round $i of $1" >>"$BATS_TEST_TMPDIR/failures"
        done </dev/null >>"$BATS_TEST_TMPDIR/said" 2>>"$BATS_TEST_TMPDIR/err.loop$1" 3>&-
    }
    for l in 1 2 3 4; do
        cycle "$l" &
    done
    wait
    no_failure
    as_before
}

@test "stress: list while containers come and go never fails" {
    local l i
    for l in 1 2; do
        loop "$l" $((STRESS_RUNS / 8)) &
    done
    for ((i = 0; i < STRESS_RUNS / 8; i++)); do
        ok list --format json
        jq -e 'type == "array"' "$OUT" >/dev/null
        [ -z "$stderr" ]
    done
    wait
    no_failure
}
