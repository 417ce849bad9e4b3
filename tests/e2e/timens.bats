#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# linux.timeOffsets together with a user namespace: the file that takes them is not that of who has become another
# user, or has joined the user namespace of others.

load helpers
load rootless

USERNS='.linux.uidMappings = [{containerID: 0, hostID: 200000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'

setup() {
    common_setup
    [ -e /proc/self/timens_offsets ] || skip 'no time namespaces'
}

# ns_add TYPE [PATH]: a namespace entry, in place of one of that type.
ns_add() {
    edit_config '.linux.namespaces |= map(select(.type != $t))
        + [{type: $t} + (if $p == "" then {} else {path: $p} end)]' --arg t "$1" --arg p "${2:-}"
}

offsets() {
    ns_add time
    edit_config '.linux.timeOffsets = {monotonic: {secs: 5, nanosecs: 6}, boottime: {secs: 10}}'
}

# The container runs with the offsets, in the time namespace that they are of and in that user namespace.
shows_offsets() {
    run_sh 'while read -r a b c; do echo "$a $b $c"; done </proc/self/timens_offsets; readlink /proc/self/ns/user
        [ $(readlink /proc/self/ns/time) = $(readlink /proc/self/ns/time_for_children) ] && readlink /proc/self/ns/time'
    [ "$status" -eq 0 ] || fail "status $status: $stderr"
    local -a line
    mapfile -t line <<<"$output"
    [ "${line[0]}" = 'monotonic 5 6' ] && [ "${line[1]}" = 'boottime 10 0' ] || fail "$output"
    [ -z "${1:-}" ] || [ "${line[2]}" = "$1" ] || fail "user namespace ${line[2]}, not $1"
    [ -n "${line[3]}" ] && [ "${line[3]}" != "$(readlink /proc/self/ns/time)" ] || fail "no time namespace of its own"
}

# A container with a user namespace to join: $DONOR is its init, the configuration is no longer its own.
donor() {
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID-donor"
    DONOR=$(state_of "$ID-donor" pid)
    edit_config 'del(.linux.uidMappings, .linux.gidMappings)'
    ns_add user "/proc/$DONOR/ns/user"
}

with_userns() {
    require_root
    make_bundle
    ns_add user
    edit_config "$USERNS"
    chown -R 200000:200000 "$BUNDLE/rootfs"
    reachable "$BATS_TEST_TMPDIR"
}

@test "timeOffsets: with a user namespace of its own" {
    with_userns
    offsets
    shows_offsets
    ok run --detach --bundle "$BUNDLE" "$ID-b"
    ok delete --force "$ID-b"
}

@test "timeOffsets: with a user namespace of its own, another namespace joined by path" {
    with_userns
    donor
    ns_add user
    edit_config "$USERNS"
    ns_add network "/proc/self/ns/net"
    edit_config '.mounts |= map(select(.type != "sysfs"))'
    offsets
    shows_offsets
    ok delete --force "$ID-donor"
}

@test "timeOffsets: in a user namespace joined by path, with and without other new namespaces" {
    with_userns
    donor
    offsets
    shows_offsets "$(readlink "/proc/$DONOR/ns/user")"
    # exec finds them, too
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID-b"
    ok exec "$ID-b" cat /proc/self/timens_offsets
    [[ $output == *boottime*10* ]]
    ok delete --force "$ID-b"
    edit_config '.linux.namespaces |= map(select(.type == "user" or .type == "time"))
        | .mounts = [] | del(.hostname, .linux.maskedPaths, .linux.readonlyPaths)'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    grep -qE '^boottime +10 +0$' "/proc/$(state_of "$ID" pid)/timens_offsets"
    [ "$(readlink "/proc/$(state_of "$ID" pid)/ns/user")" = "$(readlink "/proc/$DONOR/ns/user")" ]
    ok delete --force "$ID"
    ok delete --force "$ID-donor"
}

@test "timeOffsets: rootless, with a user namespace of its own and with one joined by path" {
    rootless_setup
    offsets
    shows_offsets
    donor
    shows_offsets "$(readlink "/proc/$DONOR/ns/user")"
    ok delete --force "$ID-donor"
}
