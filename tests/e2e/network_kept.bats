#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Named networks of the default state root outlive a reboot: what it does to a host is done here to one with a /run and
# a /var/lib of its own.

load network

setup() {
    network_setup
    unshare --mount --propagation private sh -c 'mount -t tmpfs none /run && mount -t tmpfs none /var/lib && : >"$1" && exec sleep 1000' \
        sh "$BATS_TEST_TMPDIR/mounted" >/dev/null 2>&1 3>&- &
    HOLDER=$!
    wait_for 10 test -e "$BATS_TEST_TMPDIR/mounted"
    KEPT=/var/lib/ctr/networks
}

teardown() {
    local id
    if [ -n "${HOLDER:-}" ]; then
        for id in $(there "$REAL" list -q); do there "$REAL" delete --force "$id"; done
        for id in $(there "$REAL" network list -q); do there "$REAL" network remove "$id"; done
        kill "$HOLDER"
        wait "$HOLDER" || true
    fi
    network_teardown
}

there() { timeout -k 5 "$DEADLINE" nsenter --net="/run/netns/$HOSTNS" --mount="/proc/$HOLDER/ns/mnt" "$@" </dev/null 3>&-; }
# kept ARGS...: ctr with its own default, as the helpers' ctr.
kept() {
    OUT=$BATS_TEST_TMPDIR/kept.out
    status=0
    there "$REAL" "$@" >"$OUT" 2>"$OUT.err" || status=$?
    output=$(cat "$OUT") stderr=$(cat "$OUT.err")
}
kept_ok() {
    kept "$@"
    [ "$status" -eq 0 ] || fail "ctr $*: status $status: $stderr"
}
kept_fails() {
    kept "${@:2}"
    [ "$status" -ne 0 ] && [[ $stderr == *"$1"* ]] || fail "ctr ${*:2}: status $status: $stderr"
}

reboot() {
    local id link
    for id in $(there "$REAL" list -q); do there "$REAL" kill "$id" KILL; done
    for id in $(there "$REAL" list -q); do wait_for 10 is_over "$id"; done
    host nft flush ruleset
    for link in $(host ip -o link show type bridge | sed -E 's/^[0-9]+: ([^:]*):.*/\1/'); do host ip link del "$link"; done
    for id in $(there "$REAL" list -q); do cgroup_dirs "$id" | sort -r | while read -r d; do rmdir "$d"; done; done
    host sh -c 'for f in /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv6/conf/*/force_forwarding; do
        [ ! -e "$f" ] || echo 0 >"$f"; done'
    there rm -rf /run/ctr
    # the kernel takes the links of ended containers some time after them
    wait_for 10 no_veth
}
no_veth() { ! host ip -o link show type veth | grep -v up0; }
is_over() { [ "$(there "$REAL" state "$1" | jq -r .status)" = stopped ]; }

@test "kept: a named network is there after a reboot, with all it had, and serves; the default one is not" {
    kept_ok network create back --subnet 10.77.0.0/24 --ipv6 fd00:77::/64 --mtu 1400
    kept_ok network create deep --internal
    kept_ok network inspect
    local before=$output
    kept_ok run -d --clone --network back -p 8080:80 "$ID" -- python3 -c "$SERVER" 80
    kept_ok run -d --clone "$ID-b" sleep 1000
    reboot
    kept_ok network inspect
    [ "$(jq -c 'map(del(.containers))' <<<"$output")" = "$(jq -c 'map(del(.containers))' <<<"$before")" ] || fail "$output"
    # the first of all that starts takes neither bridge nor subnet of those that are not up yet
    kept_ok run -d --clone "$ID-b" sleep 1000
    kept_ok network inspect bridge
    [ "$(jq -r .bridge <<<"$output")" = ctr2 ] || fail "$output"
    kept_ok run -d --clone --network back -p 8080:80 "$ID" -- python3 -c "$SERVER" 80
    wait_for 10 answered http://192.0.2.1:8080/
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    there "$REAL" network check "$ID"
    kept_ok delete --force "$ID"
    kept_ok network remove back
    [ "$(there ls $KEPT)" = deep.json ]
    reboot
    kept_ok network list -q
    [ "$output" = deep ] || fail "$output"
    kept_ok network remove deep
    [ -z "$(there ls $KEPT)" ]
    reboot
    kept_ok network list -q
    [ -z "$output" ]
}
answered() { ask remote "$1" >/dev/null; }

@test "kept: a subnet that the host uses now, a file that is broken, one of another name: said, the others work" {
    kept_ok network create back --subnet 10.77.0.0/24
    kept_ok network create web
    reboot
    host ip addr add 10.77.0.9/25 dev up0
    kept_fails "network back: subnet 10.77.0.0/24 overlaps the host's " run --clone --network back "$ID" true
    kept_ok run --clone --network web "$ID" true
    host ip addr del 10.77.0.9/25 dev up0
    kept_ok run --clone --network back "$ID" true
    reboot
    there sh -c "echo '{' >$KEPT/broken.json; cp $KEPT/web.json $KEPT/other.json; echo x >$KEPT/none.json"
    kept network list -q
    [ "$status" -eq 0 ] && [ "$output" = $'back\nweb' ] || fail "$output$stderr"
    [[ $stderr == *"broken.json: network broken"* && $stderr == *"other.json: is of network web"* &&
        $stderr == *"none.json: network name: none means something else"* ]] || fail "$stderr"
    # told once
    kept_ok network list -q
    [ -z "$stderr" ] || fail "$stderr"
}

@test "kept: what cannot be written is one error, nothing is made; of another state root nothing is kept" {
    there sh -c ': >/var/lib/ctr'
    kept_fails "make $KEPT" network create back
    [ -z "$(there ls -A /run/ctr/.networks | grep back)" ]
    [ -z "$(host nft list tables)" ]
    there rm /var/lib/ctr
    there "$REAL" --root /run/other network create back
    [ ! -e "$(there ls -d /var/lib/ctr 2>/dev/null)" ]
    there "$REAL" --root /run/other network remove back
}
