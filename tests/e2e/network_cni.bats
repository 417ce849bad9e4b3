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

@test "cni: all addresses of one family are published, and no other's" {
    serve "$ID" --network cni:web -p 0.0.0.0:8080:80 -p '[::]:8081:80'
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    silent remote 'http://[2001:db8::1]:8080/'
    answers remote 'http://[2001:db8::1]:8081/' 2001:db8::2
    silent remote http://192.0.2.1:8081/
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

@test "cni: a taken port names who has it, whoever published it" {
    serve "$ID" --network cni:web -p 8080:80 -p 192.0.2.1:8090:80
    fails 125 "port 8080 of the host is taken by container $ID" run --clone --network cni:web -p 8080:80 "$ID-b" true
    fails 125 "port 8080 of the host is taken by container $ID" run --clone -p 8000-8100:8000-8100 "$ID-b" true
    fails 125 "port 8090 of the host is taken by container $ID" run --clone --network cni:web -p 8090:80 "$ID-b" true
    ok run --clone --network cni:web -p 8080:80/udp -p 127.0.0.1:8090:80 "$ID-b" true
    serve "$ID-c" -p 8081:80
    fails 125 "port 8081 of the host is taken by container $ID-c" run --clone --network cni:web -p 8081:80 "$ID-b" true
    in_background host python3 -c "$SERVER" 8082 &
    local server=$!
    wait_for 10 host sh -c "grep -qi ':1F92 .* 0A ' /proc/net/tcp6"
    fails 125 "port 8082/tcp of the host is taken by process $server (python3)" run --clone --network cni:web -p 8082:80 "$ID-b" true
    kill "$server"
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    answers remote http://192.0.2.1:8081/ 192.0.2.2
    ok delete --force "$ID"
    ok run --clone --network cni:web -p 8080:80 "$ID-b" true
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
    # what it writes there itself is its own affair
    in_ctr "$ID" sh -c 'echo registry.example.com >/etc/hostname'
    serve "$ID-b" --network cni:web -p 8081:80
    [ "$(in_ctr "$ID-b" grep -c registry /etc/hosts)" = 0 ] || fail "$(in_ctr "$ID-b" cat /etc/hosts)"
    answers remote http://192.0.2.1:8081/ 192.0.2.2
    [ "$(in_ctr "$ID" sh -c "curl -s -4 http://$ID-b/")" = "$(cni_address "$ID") 80" ]
    [ "$(in_ctr "$ID-b" sh -c "curl -s -4 http://$ID/")" = "$(cni_address "$ID-b") 80" ]
}

# held WHEN: the plugin bridge waits, before or after it has done its ADD, until somebody reads the file "held" away; "reached"
# says that it does.
held() {
    HELD=$BATS_TEST_TMPDIR/held
    rm -rf "$HELD"
    mkdir "$HELD"
    mkfifo "$HELD/gate"
    ln -s /usr/lib/cni/portmap /usr/lib/cni/host-local "$HELD"
    cat >"$HELD/bridge" <<END
#!/bin/sh
hold() { [ "\$CNI_COMMAND \$1" != "ADD $1" ] || { : >$HELD/reached; cat $HELD/gate >/dev/null; }; }
hold before
/usr/lib/cni/bridge
rc=\$?
hold after
exit \$rc
END
    chmod 755 "$HELD/bridge"
    export CNI_PATH=$HELD
}
# Lets those go that wait there still.
let_go() { timeout 5 sh -c ": >$HELD/gate" || true; }

@test "cni: a ctr that is killed in the middle of an ADD leaves nothing that delete --force does not undo" {
    local when pid
    for when in before after; do
        held "$when"
        "$CTR" --root "$ROOT" run -d --clone --network cni:web -p 8080:80 "$ID" sleep 1000 >/dev/null 2>&1 3>&- </dev/null &
        pid=$!
        wait_for 10 test -e "$HELD/reached"
        [ -e "$ROOT/$ID/cni.json" ]
        grep -q "net:.* $ROOT/$ID/netns .* nsfs" /proc/self/mountinfo || fail "its namespace is not kept"
        [ "$when" = before ] || [ -n "$(host ip -o link show type veth | grep -v up0)" ] || fail "no link yet"
        [ "$when" = before ] || [ -n "$(find "$LEASES" -name '10.*')" ] || fail "no lease yet"
        kill -9 "$pid"
        wait "$pid" || true
        ok delete --force "$ID"
        # what was started for it does nothing more
        let_go
        sleep 0.2
        cni_leak_free || fail "$when"
        [ ! -e "$ROOT/$ID" ]
        ! grep "$ROOT/" /proc/self/mountinfo || fail "a mount is left"
    done
    unset CNI_PATH
    ok run --clone --network cni:web -p 8080:80 "$ID" true
}

@test "cni: a plugin that hangs has a minute; nothing is left" {
    local begin=$SECONDS
    held after
    export DEADLINE=90
    fails 125 "network cni:web: CNI plugin bridge: run $HELD/bridge: no end within 60 s" run --clone --network cni:web "$ID" true
    ((SECONDS - begin >= 60 && SECONDS - begin < 85)) || fail "after $((SECONDS - begin)) s"
    let_go
    cni_leak_free
    [ ! -e "$ROOT/$ID" ]
}

@test "cni: network check asks the plugins whether the network of a container is still there" {
    # portmap's own CHECK (1.1.1) finds its rules of IPv6 only
    # and bridge forgets its own of masquerading when the link has gone before it
    local plain='.plugins[1].type = "tuning" | del(.plugins[1].capabilities) | .plugins[0].ipMasq = false'
    jq "$plain" "$CONF/10-web.conflist" >"$CONF/05-web.conflist"
    make_bundle
    set_args sleep 1000
    ok create --bundle "$BUNDLE" --network cni:web "$ID"
    ok network check "$ID"
    ok start "$ID"
    ok network check "$ID"
    [ -z "$output$stderr" ] || fail "$output$stderr"
    cut_cable
    fails 1 "network cni:web: CNI plugin bridge: " network check "$ID"
    ok delete --force "$ID"
    # where its own configuration says so nothing is asked; an old version has no such thing
    jq "$plain | .disableCheck = true" "$CONF/10-web.conflist" >"$CONF/05-web.conflist"
    ok run -d --bundle "$BUNDLE" --network cni:web "$ID"
    cut_cable
    ok network check "$ID"
    ok delete --force "$ID"
    jq "$plain | .cniVersion = \"0.3.1\"" "$CONF/10-web.conflist" >"$CONF/05-web.conflist"
    ok run -d --bundle "$BUNDLE" --network cni:web "$ID"
    fails 1 "network cni:web: CHECK is known from version 0.4.0" network check "$ID"
}
# Somebody takes the host's end of the container's link away.
cut_cable() { host ip link del "$(host ip -o link show type veth | sed -nE '/up0/d; s/^[0-9]+: ([^@]*)@.*/\1/p')"; }

@test "cni: an answer that is none, whatever it is, is one clear error; ADD is undone" {
    local answer
    mkdir "$BATS_TEST_TMPDIR/odd"
    ln -s /usr/lib/cni/portmap /usr/lib/cni/host-local "$BATS_TEST_TMPDIR/odd"
    for answer in '' '{' '[]' '7' 'null' '{"cniVersion": 1}' '{"ips": 7}' '{"ips": [{"address": "10.99.0.300/24"}]}' \
        '{"ips": [{"address": "10.99.0.3/99"}]}' \
        '{"dns": {"nameservers": ["a\nb"]}}' "$(head -c 2000 /dev/zero | tr '\0' '[')"; do
        # the real one makes everything; only what it says is another's
        # shellcheck disable=SC2016
        printf '#!/bin/sh\n/usr/lib/cni/bridge >/dev/null || exit\n[ "$CNI_COMMAND" != ADD ] || cat <<"END"\n%s\nEND\n' "$answer" \
            >"$BATS_TEST_TMPDIR/odd/bridge"
        chmod 755 "$BATS_TEST_TMPDIR/odd/bridge"
        CNI_PATH=$BATS_TEST_TMPDIR/odd fails 125 "network cni:web" run --clone --network cni:web "$ID" true
        [ "$(grep -c . <<<"$stderr")" -eq 1 ] || fail "$answer: $stderr"
        echo "# $answer: $stderr" | cut -c 1-200
        cni_leak_free
    done
}
