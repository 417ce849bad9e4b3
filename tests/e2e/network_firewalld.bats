#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Networks of ctr beside a running firewalld, with a bus of its own, on the host of the test.

load network

setup() {
    network_setup
    FIREWALLD_PID='' BUS_PID=''
}

teardown() {
    local pid rc=0
    delete_all
    for pid in $FIREWALLD_PID $BUS_PID; do
        kill "$pid" 2>/dev/null && wait_for 20 gone "$pid"
    done
    # one that was killed
    host nft delete table inet firewalld 2>/dev/null || true
    network_teardown || rc=1
    return "$rc"
}
gone() { [ ! -e "/proc/$1/exe" ]; }

start_bus() {
    require_program firewalld
    require_program dbus-daemon
    FIREWALL=$BATS_TEST_TMPDIR/firewalld
    mkdir "$FIREWALL" "$FIREWALL/zones"
    export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$FIREWALL/bus
    cat >"$FIREWALL/bus.conf" <<END
<busconfig><type>system</type><listen>$DBUS_SYSTEM_BUS_ADDRESS</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy></busconfig>
END
    env -u CTR_TEST_ID dbus-daemon --config-file="$FIREWALL/bus.conf" --nofork --nopidfile >"$FIREWALL/bus.log" 2>&1 3>&- &
    BUS_PID=$!
    wait_for 10 test -S "$FIREWALL/bus"
}

start_firewalld() {
    [ -n "$BUS_PID" ] || start_bus
    env -u CTR_TEST_ID nsenter --net="/run/netns/$HOSTNS" firewalld --nofork --nopid --system-config "$FIREWALL" \
        --log-target console >"$FIREWALL/log" 2>&1 3>&- &
    FIREWALLD_PID=$!
    wait_for 60 firewalld_answers
    ! gone "$FIREWALLD_PID" || fail "firewalld does not start: $(tail -n 1 "$FIREWALL/log")"
    host nft list table inet firewalld | grep -q 'reject with icmpx admin-prohibited'
}
firewalld_answers() { firewall-cmd --state >/dev/null 2>&1 3>&- || gone "$FIREWALLD_PID"; }
stop_firewalld() {
    kill "$FIREWALLD_PID"
    wait_for 20 gone "$FIREWALLD_PID"
    FIREWALLD_PID=
}

# Out by both families as far as the host can, in by the published port, from the host too.
all_ways() {
    answers "$ID" http://192.0.2.2/ 192.0.2.1
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    answers host http://127.0.0.1:8080/ 10.144.0.1
    answers "$ID" "http://$ID-b/" "$(address_of "$ID" ip6)"
}
# What it does now, and will after a reload.
zones() {
    local text
    text=$(firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones)
    echo "$text"
}
zone_of() { firewall-cmd "${@:2}" --get-zone-of-interface="$1" 2>&1 3>&- || true; }

@test "firewalld: out, in and among each other; a reload, a restart and a new start of it lose nothing; nothing is left" {
    start_firewalld
    local before rules
    before=$(zones)
    rules=$(host nft -s list table inet firewalld)
    in_background remote python3 -c "$SERVER" 80 &
    local server=$!
    serve "$ID" -p 8080:80
    serve "$ID-b"
    all_ways
    [ "$(zone_of ctr0)" = trusted ]
    firewall-cmd -q --reload
    all_ways
    firewall-cmd -q --complete-reload
    all_ways
    stop_firewalld
    all_ways
    start_firewalld
    all_ways
    # what somebody took away comes back with the next container
    firewall-cmd -q --zone=trusted --remove-interface=ctr0
    silent "$ID" http://192.0.2.2/
    ok run --clone "$ID-c" true
    all_ways
    [ "$(grep -c firewalld "$ROOT/.networks/bridge/foreign")" -eq 1 ]
    ok delete --force "$ID"
    ok delete --force "$ID-b"
    diff <(echo "$before") <(zones) ||
        fail "firewalld's zones are not as before"
    [ -z "$(host nft list table inet firewalld | grep ctr0)" ]
    # the empty chains of a zone that has had a link are its own, till then
    firewall-cmd -q --reload
    diff <(echo "$rules") <(host nft -s list table inet firewalld) || fail "firewalld's rules are not as before"
    kill "$server"
}

@test "firewalld: one that starts after the network is asked by the next container; what it was told before a reboot goes too" {
    in_background remote python3 -c "$SERVER" 80 &
    local server=$!
    serve "$ID" -p 8080:80
    start_firewalld
    silent "$ID" http://192.0.2.2/
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    serve "$ID-b"
    all_ways
    # the books are lost, the zone on the disk is not
    rm "$ROOT/.networks/bridge/foreign"
    ok run --clone "$ID-c" true
    ok delete --force "$ID"
    ok delete --force "$ID-b"
    [ "$(zone_of ctr0)" = "no zone" ]
    [ "$(zone_of ctr0 --permanent)" = "no zone" ]
    kill "$server"
}

@test "firewalld: a zone that somebody has chosen for the bridge stays" {
    start_firewalld
    firewall-cmd -q --zone=home --add-interface=ctr0
    ok run --clone "$ID" true
    [ "$(zone_of ctr0)" = home ]
}

@test "firewalld: its rules without itself: one clear error, nothing left" {
    start_firewalld
    kill -9 "$FIREWALLD_PID"
    wait_for 20 gone "$FIREWALLD_PID"
    FIREWALLD_PID=
    fails 125 "network bridge: the host's firewall: firewall-cmd: " run --clone "$ID" true
    [ ! -e "$ROOT/.networks/bridge" ]
}
