#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The systemd cgroup driver where systemd does not answer. With a real systemd: tests/vm/jobs/systemd-driver.

load helpers

setup() {
    common_setup
    # the host's own systemd, when it has one, is left alone
    export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$BATS_TEST_TMPDIR/bus
    ldconfig -p | grep -q 'libsystemd\.so\.0' || skip "libsystemd is not installed"
    [ "$(id -u)" -eq 0 ] || skip "needs root"
}

# Never answers; $1 is "silent", or "closes" for one that hangs up at once.
fake_bus() {
    python3 - "$BATS_TEST_TMPDIR/bus" "$1" 3>&- <<'PY' &
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(8)
kept = []
while True:
    c = s.accept()[0]
    if sys.argv[2] == "silent":
        kept.append(c)
    else:
        c.close()
PY
    BUS_PID=$!
    wait_for 10 test -S "$BATS_TEST_TMPDIR/bus"
}

@test "systemd driver: no bus is an error, and nothing is left" {
    make_bundle
    fails 1 "cgroup manager systemd: connect to the system bus: No such file or directory" \
        --systemd-cgroup run --bundle "$BUNDLE" "$ID"
    fails 1 "cgroup manager systemd: connect to the system bus" \
        --cgroup-manager systemd create --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

@test "systemd driver: a bus that hangs up is an error, and nothing is left" {
    make_bundle
    fake_bus closes
    ctr --systemd-cgroup run --bundle "$BUNDLE" "$ID"
    kill "$BUS_PID"
    [ "$status" -eq 1 ]
    [[ $stderr == *"cgroup manager systemd: "* ]]
    assert_leak_free
}

@test "systemd driver: a bus that never answers is an error within the deadline, and nothing is left" {
    DEADLINE=60
    make_bundle
    fake_bus silent
    local from=$SECONDS
    ctr --systemd-cgroup run --bundle "$BUNDLE" "$ID"
    kill "$BUS_PID"
    [ "$status" -eq 1 ]
    [[ $stderr == *"no answer from systemd over the system bus within the deadline"* ]]
    [ $((SECONDS - from)) -le 35 ]
    assert_leak_free
}

@test "systemd driver: linux.cgroupsPath has three parts" {
    local path
    make_bundle
    for path in /a/b name a:b a.slice:b:c:d; do
        edit_config '.linux.cgroupsPath = $p' --arg p "$path"
        fails 1 "linux.cgroupsPath: $path: with the systemd cgroup manager it has the form SLICE:PREFIX:NAME" \
            --systemd-cgroup run --bundle "$BUNDLE" "$ID"
    done
    edit_config '.linux.cgroupsPath = "noslice:b:c"'
    fails 1 '"noslice" is not the name of a slice' --systemd-cgroup run --bundle "$BUNDLE" "$ID"
}

@test "systemd driver: features" {
    ok features
    [ "$(jq .linux.cgroup.systemd <<<"$output")" = true ]
}
