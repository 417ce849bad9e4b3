#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# --network cni:NAME with the plugins of Debian's containernetworking-plugins.

load network

load cni

setup() {
    network_setup
    cni_setup
}

teardown() { cni_teardown; }

@test "cni: bridge, host-local, portmap: addresses, the outside, published ports; all undone" {
    serve "$ID" --network cni:web -p 8080:80
    serve "$ID-b" --network cni:web --ip 10.99.0.77 --mac 02:00:00:00:00:77
    [[ $(cni_address "$ID") == 10.99.0.* ]]
    [ "$(cni_address "$ID-b")" = 10.99.0.77 ]
    [ "$(in_ctr "$ID-b" cat /sys/class/net/eth0/address)" = 02:00:00:00:00:77 ]
    [[ $(in_ctr "$ID" ip -6 addr show eth0) == *fd99::* ]]
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    [[ $(ask host http://127.0.0.1:8080/) == *" 80" ]]
    answers "$ID-b" "http://$(cni_address "$ID")/" 10.99.0.77
    in_background remote python3 -c "$SERVER" 80 &
    local server=$!
    wait_for 10 remote sh -c "grep -qi ':0050 .* 0A ' /proc/net/tcp6"
    [ "$(ask "$ID" http://192.0.2.2/)" = "192.0.2.1 80" ]
    kill "$server"
}

@test "cni: undone when the container was killed, when ctr was, and by delete --force" {
    serve "$ID" --network cni:web -p 8080:80
    [ -e "$ROOT/$ID/cni.json" ]
    kill -9 "$(state_of "$ID" pid)"
    wait_state "$ID" stopped
    ok delete "$ID"
    serve "$ID" --network cni:web -p 8080:80
    ok delete --force "$ID"
    ok run --clone --network cni:web -p 8080:80 "$ID" true
}

@test "cni: what is wrong is one clear error, before or after: nothing is left" {
    fails 125 "network cni:none: no configuration in $CONF has this name (web, alone)" run --clone --network cni:none "$ID" true
    fails 125 'no plugin of it has the capability "portMappings"' run --clone --network cni:alone -p 80:80 "$ID" true
    serve "$ID" --network cni:web --ip 10.99.0.5
    fails 125 "network cni:web: CNI plugin bridge: " run --clone --network cni:web --ip 10.99.0.5 "$ID-b" true
    CNI_PATH=/nonexistent fails 125 "CNI plugin bridge: not installed in /nonexistent" run --clone --network cni:web "$ID-b" true
    mkdir "$BATS_TEST_TMPDIR/bad"
    printf '#!/bin/sh\necho "{"\n' >"$BATS_TEST_TMPDIR/bad/bridge"
    printf '#!/bin/sh\necho "{}"\n' >"$BATS_TEST_TMPDIR/bad/portmap"
    chmod 755 "$BATS_TEST_TMPDIR"/bad/*
    CNI_PATH=$BATS_TEST_TMPDIR/bad fails 125 "network cni:web: CNI plugin bridge: its answer" run --clone --network cni:web "$ID-b" true
    echo '{' >"$CONF/05-broken.conf"
    ok run --clone --network cni:web "$ID-b" true
    fails 125 05-broken.conf run --clone --network cni:none "$ID-b" true
}

@test "cni: names and name servers; one goes, one comes again" {
    local conf=$CONF/10-web.conflist
    jq '.plugins[0].dns = {nameservers: ["198.51.100.53"], search: ["example.org"]}' "$conf" >"$conf.new"
    mv "$conf.new" "$conf"
    serve "$ID" --network cni:web -p 8080:80
    serve "$ID-b" --network cni:web -p 8081:80 --dns 198.51.100.54
    [[ $(in_ctr "$ID" cat /etc/resolv.conf) == $'nameserver 198.51.100.53\nsearch example.org' ]]
    [[ $(in_ctr "$ID-b" cat /etc/resolv.conf) == "nameserver 198.51.100.54"* ]]
    answers "$ID" "http://$ID-b/" "$(in_ctr "$ID" ip -o -6 addr show eth0 scope global | awk '{ sub("/.*", "", $4); print $4 }')"
    ok delete --force "$ID-b"
    [ "$(in_ctr "$ID" grep -c "$ID-b" /etc/hosts)" = 0 ]
    serve "$ID-b" --network cni:web -p 8081:80
    answers remote http://192.0.2.1:8081/ 192.0.2.2
    [ "$(in_ctr "$ID" sh -c "curl -s -4 http://$ID-b/")" = "$(cni_address "$ID") 80" ]
    [ "$(in_ctr "$ID-b" sh -c "curl -s -4 http://$ID/")" = "$(cni_address "$ID-b") 80" ]
}
