#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# linux.netDevices: links move from the host's network namespace, which is one of the test's own here, into the
# container's, with what was configured on them.

load helpers

setup() {
    common_setup
    require_root
    require_program ip
    require_program nsenter
    NS=$TESTID
    ip netns add "$NS"
    host ip link set lo up
    host ip link add nd0 type veth peer name peer0 2>/dev/null || skip "no veth here"
    host ip link set peer0 up
    make_bundle
    REAL=$CTR
    printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s "%s" "$@"\n' "$NS" "$REAL" >"$BATS_TEST_TMPDIR/in-ns"
    chmod 755 "$BATS_TEST_TMPDIR/in-ns"
    CTR=$BATS_TEST_TMPDIR/in-ns
}

teardown() {
    delete_all
    ip netns del "$NS" 2>/dev/null || true
    ip netns del "$NS-b" 2>/dev/null || true
    CTR=${REAL:-$CTR}
    common_teardown
}

# In the network namespace of the test.
host() { nsenter --net="/run/netns/$NS" "$@"; }

# devices JSON: linux.netDevices.
devices() { edit_config ".linux.netDevices = $1"; }

# started: a container that stays; inside COMMAND...: in its network namespace, with the host's programs.
started() {
    set_args sleep 1000
    ok run -d --bundle "$BUNDLE" "$ID"
    PID=$(state_of "$ID" pid)
}
inside() { nsenter --net="/proc/$PID/ns/net" "$@"; }
links() { inside ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | paste -sd' '; }

@test "netDevices: a link moves, keeps its name, and is up; it is seen inside and gone outside" {
    devices '{nd0: {}}'
    run_sh 'for i in $(seq 200); do grep -q up /sys/class/net/nd0/operstate && break; sleep 0.05; done
        cat /sys/class/net/nd0/operstate; ls /sys/class/net'
    [ "$status" -eq 0 ] || fail "$stderr"
    [ "$output" = $'up\nlo\nnd0' ] || fail "$output"
    # not moved back: with the namespace the link ends
    wait_for 10 gone peer0
}
gone() { ! host ip link show "$1" 2>/dev/null; }

@test "netDevices: permanent addresses of global scope, MTU, MAC and alternative names are kept" {
    host ip link set nd0 mtu 1400 address 02:00:00:11:22:33
    host ip link property add dev nd0 altname netdevice-with-a-long-name 2>/dev/null || true
    host ip addr add 192.0.2.1/24 brd 192.0.2.255 dev nd0
    host ip addr add 192.0.2.7/32 dev nd0 label nd0:one
    host ip addr add 10.1.1.1 peer 10.1.1.2/32 dev nd0
    host ip addr add 169.254.7.7/16 scope link dev nd0
    host ip addr add 198.51.100.9/24 dev nd0 valid_lft 1000 preferred_lft 1000
    host ip -6 addr add 2001:db8::5/64 nodad dev nd0
    local altnames
    altnames=$(host ip -j link show nd0 | jq -c '.[0].altnames')
    devices '{nd0: {name: "eth7"}}'
    started
    [ "$(links)" = "eth7 lo" ]
    inside ip -j -d link show eth7 | jq -e --argjson a "$altnames" '.[0] | .mtu == 1400 and .address == "02:00:00:11:22:33" and
        .altnames == $a and (.flags | index("UP"))' || fail "$(inside ip link show eth7)"
    local addrs
    addrs=$(inside ip -j addr show eth7 | jq -c '[.[0].addr_info[] | select(.scope == "global") |
        [.local, .prefixlen, .address // "", .broadcast // "", .label // ""]] | sort')
    [ "$addrs" = '[["10.1.1.1",32,"10.1.1.2","","eth7"],["192.0.2.1",24,"","192.0.2.255","eth7"],["192.0.2.7",32,"","","eth7:one"],["2001:db8::5",64,"","",""]]' ] ||
        fail "$addrs"
    [ -z "$(inside ip addr show eth7 | grep 169.254.7.7)" ]
    inside ip route | grep -q '192.0.2.0/24'
}

@test "netDevices: several, with templates for their names" {
    host ip link add nd1 type veth peer name peer1
    host ip link add nd2 type veth peer name peer2
    devices '{nd0: {name: "eth%d"}, nd1: {name: "eth%d"}, nd2: {name: "data0"}}'
    started
    [ "$(links)" = "data0 eth0 eth1 lo" ]
    ok delete --force "$ID"
    # a bridge belongs to its namespace: the kernel says so, and what was moved before is back
    host ip link add nd1 type veth peer name peer3
    host ip link add nd3 type bridge
    devices '{nd1: {}, nd3: {}}'
    fails 1 'linux.netDevices["nd3"]: move into the container: Invalid argument' run --bundle "$BUNDLE" "$ID"
    host ip link show nd1
}

@test "netDevices: into a namespace given by path, also one where its index is taken" {
    ip netns add "$NS-b"
    local index
    index=$(host cat /sys/class/net/nd0/ifindex 2>/dev/null || host ip -j link show nd0 | jq '.[0].ifindex')
    nsenter --net="/run/netns/$NS-b" ip link add other index "$index" type bridge
    edit_config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)' --arg p "/run/netns/$NS-b"
    devices '{nd0: {name: "eth0"}}'
    started
    [ "$(links)" = "eth0 lo other" ]
    ok delete --force "$ID"
    # never moved back, and the namespace is not ctr's
    nsenter --net="/run/netns/$NS-b" ip link show eth0
    gone nd0
}

@test "netDevices: a name that is taken is an error, and nothing has moved" {
    ip netns add "$NS-b"
    nsenter --net="/run/netns/$NS-b" ip link add eth0 type bridge
    edit_config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)' --arg p "/run/netns/$NS-b"
    host ip link add nd1 type veth peer name peer1
    devices '{nd1: {}, nd0: {name: "eth0"}}'
    set_args true
    fails 1 'linux.netDevices["nd0"]: the name "eth0" is taken in the container' run --bundle "$BUNDLE" "$ID"
    host ip link show nd0
    host ip link show nd1
    devices '{nd0: {name: "lo"}}'
    fails 1 'the name "lo" is taken' run --bundle "$BUNDLE" "$ID"
}

@test "netDevices: a creation that fails later gives them back as they were" {
    host ip link set nd0 mtu 1400 up
    host ip addr add 192.0.2.1/24 dev nd0
    devices '{nd0: {name: "eth0"}}'
    set_args /no/such/program
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -ne 0 ]
    host ip -j addr show nd0 | jq -e '.[0] | .mtu == 1400 and (.flags | index("UP")) and .addr_info[0].local == "192.0.2.1"' ||
        fail "$stderr $(host ip addr)"
    # a bad template is refused by the kernel, after the move
    devices '{nd0: {name: "e%s"}}'
    set_args true
    fails 1 'linux.netDevices["nd0"]: rename: ' run --bundle "$BUNDLE" "$ID"
    host ip link show nd0
}

@test "netDevices: a missing link, and no namespace to move to, are refused" {
    set_args true
    devices '{nosuch: {}}'
    fails 1 'linux.netDevices["nosuch"]: find on the host: No such device' run --bundle "$BUNDLE" "$ID"
    devices '{nd0: {}}'
    edit_config '.linux.namespaces |= map(select(.type != "network"))'
    fails 1 'linux.netDevices: needs the namespace "network"' run --bundle "$BUNDLE" "$ID"
    edit_config '.linux.namespaces += [{type: "network", path: $p}]' --arg p "/run/netns/$NS"
    fails 1 "linux.netDevices: the container's network namespace is the host's" run --bundle "$BUNDLE" "$ID"
    host ip link show nd0
}

@test "netDevices: with a user namespace, before any hook runs" {
    chmod -R a+rwX "$BUNDLE/rootfs"
    chmod o+x "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR"
    edit_config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
        | .linux.gidMappings = .linux.uidMappings
        | .hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "nsenter --net=/proc/$(jq .pid)/ns/net ip link show eth0 >$0/hook", $d],
            env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]' --arg d "$BATS_TEST_TMPDIR"
    devices '{nd0: {name: "eth0"}}'
    run_sh 'ip link show eth0 | head -n 1'
    [ "$status" -eq 0 ] || fail "$stderr"
    [[ $output == *"eth0"*"UP"* ]] || fail "$output"
    grep -q eth0 "$BATS_TEST_TMPDIR/hook"
}
