#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What a network leaves: nothing, also after kill -9, after a reboot, after a thousand containers (CTR_CYCLES=1000; fewer
# by default), beside other people's rules; and who may send what.

load network

# ---- undone ----

@test "undo: cycles of add and remove leave rules and links as they were, and no address" {
    local i n=${CTR_CYCLES:-15} before
    serve "$ID" -p 8080:80
    before=$(network_state)
    for ((i = 0; i < n; i++)); do
        ok run --clone -p 9000:80 "$ID-b" true
    done
    diff <(echo "$before") <(network_state) || fail "not as before"
    [ "$("$CTR" --root "$ROOT" network inspect bridge | jq '.containers | length')" -eq 1 ]
    [ "$(wc -l <"$ROOT/.networks/bridge/members")" -eq 1 ]
    answers remote http://192.0.2.1:8080/ 192.0.2.2
}

@test "undo: a ctr that is killed anywhere in create leaves nothing that delete --force does not find" {
    local i left
    make_bundle
    set_args sleep 1000
    serve "$ID-s"
    for i in 1 3 5 8 12 16 20 25 30 40; do
        timeout -s KILL "0.0$(printf %02d "$i")" "$CTR" --root "$ROOT" create --bundle "$BUNDLE" --network bridge \
            -p 9000:80 "$ID-$i" >/dev/null 2>&1 3>&- </dev/null || true
        ok delete --force "$ID-$i"
    done
    left=$("$CTR" --root "$ROOT" network inspect bridge | jq -c '[.containers[].id]')
    [ "$left" = "[\"$ID-s\"]" ] || fail "$left"
    [ "$(host ip -o link | grep -c ctr0_)" -eq 1 ]
    [ -z "$(host nft list map inet ctr0 any4 | grep 9000)" ]
}

# killed_at CALL N ARGUMENTS...: ctr, killed at its Nth system call of that name. Fails when it has no so many. "sendto" is a request
# to the kernel's network.
killed_at() {
    local call=$1 n=$2 rc=0
    shift 2
    timeout -k 5 "$DEADLINE" strace -qq -o /dev/null -e trace="$call" -e inject="$call:signal=SIGKILL:when=$n" \
        "$CTR" --root "$ROOT" "$@" </dev/null >/dev/null 2>&1 3>&- || rc=$?
    [ "$rc" -eq 137 ]
}

@test "undo: a network that was half made when ctr was killed is made whole by the next container" {
    require_program strace
    local n
    make_bundle
    for ((n = 1; n < 60; n++)); do
        killed_at sendto "$n" create --bundle "$BUNDLE" --network bridge "$ID-k" || break
        serve "$ID" -p 8080:80
        answers remote http://192.0.2.1:8080/ 192.0.2.2
        ok delete --force "$ID"
        ok delete --force "$ID-k"
        diff <(echo "$BEFORE") <(network_state) || fail "killed at $n: not as before"
    done
    [ "$n" -gt 10 ]
}

@test "undo: delete --force does all that a create or a delete that was killed has left to do" {
    require_program strace
    local n call
    make_bundle
    set_args sleep 1000
    for ((n = 1; n < 60; n++)); do
        killed_at sendto "$n" create --bundle "$BUNDLE" --network bridge "$ID" || break
        ok delete --force "$ID"
        diff <(echo "$BEFORE") <(network_state) || fail "create killed at $n: not as before"
        [ ! -e "$ROOT/.networks/.opened" ] && [ ! -e "$ROOT/.networks/bridge" ] || fail "create killed at $n: books"
    done
    [ "$n" -gt 10 ]
    ok delete --force "$ID"
    for call in sendto unlinkat; do
        for ((n = 1; n < 60; n++)); do
            ok create --bundle "$BUNDLE" --network bridge "$ID"
            killed_at "$call" "$n" delete --force "$ID" || break
            ok delete --force "$ID"
            diff <(echo "$BEFORE") <(network_state) || fail "delete killed at $call $n: not as before"
            [ ! -e "$ROOT/.networks/.opened" ] && [ ! -e "$ROOT/.networks/bridge" ] || fail "delete killed at $call $n: books"
        done
        [ "$n" -gt 3 ]
    done
}

@test "undo: a state directory that somebody removed is cleaned up at the next use" {
    serve "$ID" -p 8080:80
    local pid link
    pid=$(state_of "$ID" pid)
    link=$(address_of "$ID" link)
    serve "$ID-b"
    rm -rf "${ROOT:?}/$ID"
    kill -9 "$pid"
    ok run --clone -p 8080:80 --ip 10.144.0.2 "$ID-c" true
    [ -z "$(in_ctr "$ID-b" grep -F "$ID " /etc/hosts)" ]
    [ -z "$(host ip -o link show "$link" 2>/dev/null)" ]
    # only the cgroup of it is left, which nobody knows any more
    cgroup_dirs "$ID" | grep -v -- -b | sort -r | while read -r dir; do rmdir "$dir"; done
}

@test "undo: after a reboot, addresses and rules of before are gone, networks come back" {
    ok network create web --subnet 10.77.0.0/24
    serve "$ID" --network web -p 8080:80
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    # what a reboot does to a host, when the state was on a disk
    host nft flush ruleset
    host ip link del ctr0
    rm -rf "${ROOT:?}/$ID"
    cgroup_dirs "$ID" | sort -r | while read -r dir; do rmdir "$dir"; done
    serve "$ID-b" --network web -p 8080:80
    [ "$("$CTR" --root "$ROOT" network inspect web | jq '.containers | length')" -eq 1 ]
    answers remote http://192.0.2.1:8080/ 192.0.2.2
}

@test "undo: a ruleset that was flushed comes back with the next container, for all" {
    serve "$ID" -p 8080:80
    host nft flush ruleset
    silent remote http://192.0.2.1:8080/
    ok run --clone "$ID-b" true
    answers remote http://192.0.2.1:8080/ 192.0.2.2
}

@test "network check: says what of a container's network is missing" {
    serve "$ID" -p 8080:80
    ok network check "$ID"
    [ -z "$output$stderr" ] || fail "$output$stderr"
    host nft delete table bridge ctr0
    fails 1 "network bridge: its rules are gone" network check "$ID"
    ok run --clone "$ID-b" true
    ok network check "$ID"
    host ip link del "$(address_of "$ID" link)"
    fails 1 "of container $ID is gone" network check "$ID"
    host ip link del ctr0
    fails 1 "its bridge ctr0 is gone" network check "$ID"
    ok run -d --clone --network host "$ID-b" sleep 1000
    fails 1 "container $ID-b: ctr has made no network for it" network check "$ID-b"
    fails 1 "does not exist" network check nosuch
    fails 1 "a name is missing" network check
    ok kill "$ID-b" KILL
    wait_state "$ID-b" stopped
    fails 1 "container $ID-b is not running" network check "$ID-b"
}

@test "undo: a create that fails after its network leaves nothing" {
    fails 127 "" run --clone -p 8080:80 "$ID" /no/such/program
    make_bundle
    edit_config '.hooks.createRuntime = [{path: "/bin/false"}]'
    ctr run --bundle "$BUNDLE" --network bridge -p 8080:80 "$ID"
    [ "$status" -ne 0 ]
    [ -z "$(containers)" ]
}

@test "undo: other people's rules stay as they are" {
    host nft -f - <<'END'
table inet mine {
    chain forward {
        type filter hook forward priority 0; policy accept;
        counter
    }
}
table ip filter {
    chain FORWARD {
        type filter hook forward priority 0; policy accept;
        ip daddr 203.0.113.1 drop
    }
}
END
    local before
    before=$(host nft -s list ruleset)
    serve "$ID" -p 8080:80
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    ok delete --force "$ID"
    diff <(echo "$before") <(host nft -s list ruleset)
    host nft flush ruleset
}

# ---- forwarding ----

@test "forwarding: only what containers need; the host becomes no router" {
    ip link add name up1 netns "$HOSTNS" type veth peer name up1 netns "$REMOTENS"
    host ip addr add 198.51.100.1/24 dev up1
    host ip link set up1 up
    remote ip addr add 198.51.100.2/24 dev up1
    remote ip link set up1 up
    BEFORE=$(network_state)
    serve "$ID" -p 8080:80
    [ "$(host cat /proc/sys/net/ipv4/ip_forward)" = 0 ]
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    answers remote http://198.51.100.1:8080/ 198.51.100.2
    # from one cable to the other by way of the host: somebody behind it is asked
    two_cables
    ok run --clone "$ID-b" true
    [ "$(host cat /proc/sys/net/ipv4/conf/up2/forwarding)" = 1 ]
    silent remote http://203.0.113.2/
    [[ "$(ask "$ID" http://203.0.113.2/)" == "203.0.113.1 80" ]]
    no_cables
}

@test "forwarding: a host that is a router already is left alone" {
    host sysctl -qw net.ipv4.ip_forward=1
    BEFORE=$(network_state)
    serve "$ID" -p 8080:80
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    [ ! -e "$ROOT/.networks/.opened" ] || [ -z "$(grep ^4 "$ROOT/.networks/.opened")" ]
}

# two_cables: 203.0.113.1 of the host (up2), 203.0.113.2 of a machine behind it (namespace $TESTID-x) that serves port 80; the
# remote machine would reach it by way of the host.
two_cables() {
    ip netns add "$TESTID-x"
    ip link add name up2 netns "$HOSTNS" type veth peer name up0 netns "$TESTID-x"
    host ip addr add 203.0.113.1/24 dev up2
    host ip link set up2 up
    ip -n "$TESTID-x" addr add 203.0.113.2/24 dev up0
    ip -n "$TESTID-x" link set up0 up
    ip -n "$TESTID-x" route add default via 203.0.113.1
    remote ip route add 203.0.113.0/24 via 192.0.2.1
    nsenter --net="/run/netns/$TESTID-x" python3 -c "$SERVER" 80 3>&- &
    FAR=$!
    wait_for 10 nsenter --net="/run/netns/$TESTID-x" sh -c "grep -qi ':0050 .* 0A ' /proc/net/tcp6"
}
no_cables() {
    kill "$FAR"
    host ip link del up2
    ip netns del "$TESTID-x"
}

@test "forwarding: a link that comes later is no way out for the host's neighbours" {
    serve "$ID" -p 8080:80
    two_cables
    # answers have no way back, so what counts is what arrives
    nsenter --net="/run/netns/$TESTID-x" nft -f - <<'END'
table ip count {
    counter came { }
    chain in { type filter hook input priority 0; policy accept; ip saddr 192.0.2.2 counter name "came"; }
}
END
    silent remote http://203.0.113.2/
    nsenter --net="/run/netns/$TESTID-x" nft list counter ip count came | grep -q 'packets 0 ' || fail "something came"
    ok run --clone "$ID-b" true
    # with the link known, who is behind it reaches what is published
    [ "$(nsenter --net="/run/netns/$TESTID-x" curl -sg -m 5 http://203.0.113.1:8080/)" = "203.0.113.2 80" ]
    no_cables
}

@test "forwarding: what a bridge of the host carries between its ports is left alone" {
    host test -e /proc/sys/net/bridge/bridge-nf-call-iptables || skip "no br_netfilter here"
    host ip link add br0 type bridge
    host ip link set br0 up
    host ip addr add 203.0.113.1/24 dev br0
    ip netns add "$TESTID-x"
    ip netns add "$TESTID-y"
    local end n=2
    for end in x y; do
        ip link add name "port$end" netns "$HOSTNS" type veth peer name up0 netns "$TESTID-$end"
        host ip link set "port$end" master br0 up
        ip -n "$TESTID-$end" addr add "203.0.113.$n/24" dev up0
        ip -n "$TESTID-$end" link set up0 up
        n=$((n + 1))
    done
    nsenter --net="/run/netns/$TESTID-y" python3 -c "$SERVER" 80 3>&- &
    local server=$!
    wait_for 10 nsenter --net="/run/netns/$TESTID-y" sh -c "grep -qi ':0050 .* 0A ' /proc/net/tcp6"
    ok run -d --clone "$ID" sleep 1000
    [ "$(host cat /proc/sys/net/ipv4/conf/br0/forwarding)" = 1 ]
    [ "$(nsenter --net="/run/netns/$TESTID-x" curl -sg -m 5 http://203.0.113.3/)" = "203.0.113.2 80" ]
    kill "$server"
    ip netns del "$TESTID-x"
    ip netns del "$TESTID-y"
    wait_for 10 no_port
    host ip link del br0
}
no_port() { [ -z "$(host ip -o link show master br0)" ]; }

@test "forwarding: a host that becomes a router meanwhile is left one" {
    two_cables
    serve "$ID"
    silent remote http://203.0.113.2/
    host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ok run --clone "$ID-b" true
    # it is not ours to keep it from being one
    answers remote http://203.0.113.2/ 192.0.2.2
    [ ! -e "$ROOT/.networks/.opened" ]
    ok delete --force "$ID"
    answers remote http://203.0.113.2/ 192.0.2.2
    host sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
    # and without anything of ours in between
    serve "$ID"
    host sysctl -qw net.ipv4.ip_forward=1
    ok delete --force "$ID"
    answers remote http://203.0.113.2/ 192.0.2.2
    host sysctl -qw net.ipv4.ip_forward=0
    no_cables
}

# ---- who may send what ----

# Sends frames from a container by a raw socket; the first argument makes the frame of: mac (own), ip (own), gw.
SENDER='
import socket, struct, sys, time
own = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
def ip4(text): return socket.inet_aton(text)
def arp(sender_mac, sender_ip, target_ip, frame_mac=own):
    return b"\xff" * 6 + frame_mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + sender_mac + ip4(sender_ip) + b"\xff" * 6 + ip4(target_ip)
def udp(source, to, to_mac, frame_mac=own, data=b"x"):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 1, 0, 64, 17, 0, ip4(source), ip4(to))
    s = sum(struct.unpack("!10H", head)); s = (s & 0xffff) + (s >> 16); s = ~(s + (s >> 16)) & 0xffff
    head = head[:10] + struct.pack("!H", s) + head[12:]
    return to_mac + frame_mac + b"\x08\x00" + head + struct.pack("!HHHH", 9, 9, 8 + len(data), 0) + data
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
for frame in sys.argv[1:]:
    s.send(eval(frame))
    time.sleep(0.1)
'
# What comes to a container first: "SOURCE DATA" of UDP to port 9.
listen_udp() {
    in_ctr "$1" python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 9)); s.settimeout(20)
print("ready", flush=True)
data, source = s.recvfrom(10)
print(source[0], data.decode())'
}
# heard EXPRESSION: what $ID-b, with the hardware address $mac, hears first when $ID sends that, and a lawful frame after it.
heard() {
    listen_udp "$ID-b" >"$BATS_TEST_TMPDIR/heard" &
    local pid=$!
    wait_for 10 grep -q ready "$BATS_TEST_TMPDIR/heard"
    in_ctr "$ID" python3 -c "$SENDER" "$1" "udp('10.144.0.2', '10.144.0.3', $mac, data=b'lawful')"
    wait "$pid"
    tail -n 1 "$BATS_TEST_TMPDIR/heard"
}

@test "spoofing: source addresses of others, hardware addresses of others, ARP for others are dropped" {
    local mac
    serve "$ID"
    serve "$ID-b"
    mac=$(address_of "$ID-b" mac)
    mac="bytes.fromhex('${mac//:/}')"
    [ "$(heard "udp('10.144.0.2', '10.144.0.3', $mac)")" = '10.144.0.2 x' ]
    [ "$(heard "udp('10.144.0.9', '10.144.0.3', $mac)")" = '10.144.0.2 lawful' ]
    [ "$(heard "udp('192.0.2.2', '10.144.0.3', $mac)")" = '10.144.0.2 lawful' ]
    [ "$(heard "udp('10.144.0.2', '10.144.0.3', $mac, b'\\x0a\\x63\\x0a\\x90\\x00\\x09')")" = '10.144.0.2 lawful' ]
    # out of the network with the address of another
    host nft -f - <<'END'
table ip count {
    chain forward {
        type filter hook forward priority -200; policy accept;
        ip saddr 10.144.0.9 counter name "spoofed"
    }
    counter spoofed { }
}
END
    in_ctr "$ID" python3 -c "$SENDER" "udp('10.144.0.9', '192.0.2.2', b'\\x0a\\x63\\x0a\\x90\\x00\\x01')"
    host nft list counter ip count spoofed | grep -q 'packets 0 ' || fail "$(host nft list counter ip count spoofed)"
    host nft delete table ip count
    # the gateway's address, as told by somebody else
    answers "$ID-b" "http://$ID/" "$(address_of "$ID-b" ip6)"
    in_ctr "$ID-b" python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("10.144.0.1", 9))'
    wait_for 5 in_ctr "$ID-b" grep -q '10.144.0.1 .*0a:63:0a:90:00:01' /proc/net/arp
    in_ctr "$ID" python3 -c "$SENDER" "arp(own, '10.144.0.1', '10.144.0.3')"
    in_ctr "$ID" python3 -c "$SENDER" "arp(b'\\x02' * 6, '10.144.0.2', '10.144.0.3')"
    in_ctr "$ID" python3 -c "$SENDER" "arp(own, '10.144.0.1', '10.144.0.3', b'\\x02' * 6)"
    sleep 0.1
    in_ctr "$ID-b" grep -q '10.144.0.1 .*0a:63:0a:90:00:01' /proc/net/arp || fail "$(in_ctr "$ID-b" cat /proc/net/arp)"
    [ -z "$(in_ctr "$ID-b" grep 02:02:02 /proc/net/arp)" ]
}

@test "spoofing: neighbour and router advertisements for others are dropped" {
    serve "$ID"
    serve "$ID-b"
    # counters in front of ours see them come; behind ours nobody does
    host nft -f - <<'END'
table bridge count {
    counter came { }
    counter passed { }
    chain first { type filter hook prerouting priority -310; policy accept; icmpv6 type { nd-router-advert, nd-neighbor-advert, nd-redirect } ip6 hoplimit 77 counter name "came"; }
    chain last { type filter hook prerouting priority -290; policy accept; icmpv6 type { nd-router-advert, nd-neighbor-advert, nd-redirect } ip6 hoplimit 77 counter name "passed"; }
}
END
    in_ctr "$ID" python3 -c 'import socket, struct
own = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
source = socket.inet_pton(socket.AF_INET6, "fd63:7472::2")
target = socket.inet_pton(socket.AF_INET6, "ff02::1")
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
def send(body, source=source):
    s.send(b"\x33\x33\0\0\0\x01" + own + b"\x86\xdd" + struct.pack("!IHBB", 0x60000000, len(body), 58, 77) + source + target + body)
send(struct.pack("!BBHI", 136, 0, 0, 0x20000000) + socket.inet_pton(socket.AF_INET6, "fd63:7472::1"))
send(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0))
send(struct.pack("!BBHI", 137, 0, 0, 0) + source + source)
send(struct.pack("!BBHI", 136, 0, 0, 0x20000000) + source, socket.inet_pton(socket.AF_INET6, "fd63:7472::9"))
send(struct.pack("!BBHI", 136, 0, 0, 0x20000000) + source)'
    host nft list counter bridge count came | grep -q 'packets 5 ' || fail "$(host nft list table bridge count)"
    host nft list counter bridge count passed | grep -q 'packets 1 ' || fail "$(host nft list table bridge count)"
    host nft delete table bridge count
}

@test "spoofing: a frame that bridges keep for themselves does not steal a neighbour's" {
    local mac port
    serve "$ID"
    serve "$ID-b"
    mac=$(address_of "$ID-b" mac)
    port=$(address_of "$ID-b" link)
    answers "$ID-b" "http://10.144.0.2/" 10.144.0.3
    host bridge fdb show br ctr0 | grep -q "^$mac dev $port " || fail "$(host bridge fdb show br ctr0)"
    in_ctr "$ID" python3 -c 'import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
for last in 0x0e, 0x03, 0x00, 0x02:
    s.send(b"\x01\x80\xc2\0\0" + bytes([last]) + bytes.fromhex(sys.argv[1].replace(":", "")) + b"\x88\xcc" + bytes(60))' "$mac"
    sleep 0.1
    host bridge fdb show br ctr0 | grep -q "^$mac dev $port " || fail "$(host bridge fdb show br ctr0)"
}

# ---- many, and others ----

@test "many at once: each has its own address, and all are gone after" {
    local i pids=() n=12
    for ((i = 0; i < n; i++)); do
        timeout 60 "$CTR" --root "$ROOT" run -d --clone -p "$((9000 + i)):80" "$ID-$i" sleep 1000 >/dev/null 2>&1 </dev/null 3>&- &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || fail "one did not start"; done
    [ "$("$CTR" --root "$ROOT" network inspect bridge | jq '[.containers[].ip] | unique | length')" -eq "$n" ]
    [ "$(in_ctr "$ID-0" grep -c "$ID" /etc/hosts)" -eq $((2 * n)) ]
    pids=()
    for ((i = 0; i < n; i++)); do
        timeout 60 "$CTR" --root "$ROOT" delete --force "$ID-$i" >/dev/null 2>&1 </dev/null 3>&- &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || fail "one was not deleted"; done
}

# second_address ROOT: of the container there that was made last.
second_address() {
    timeout 60 "$CTR" --root "$1" network inspect bridge </dev/null 3>&- | jq -r '.containers[-1].ip'
}

@test "two state directories on one host do not meet" {
    local second=$BATS_TEST_TMPDIR/second
    serve "$ID" -p 8080:80
    timeout 60 "$CTR" --root "$second" run -d --clone "$ID-b" -- sleep 1000 </dev/null >/dev/null 2>&1 3>&- || fail "second root"
    [ "$(host ip -o link show type bridge | grep -oE 'ctr[0-9]+' | sort -u | paste -sd' ')" = "ctr0 ctr1" ]
    # a port is one of the host: who has it is said
    local taken out port
    for taken in '8080:80' '192.0.2.1:8080:80' '[2001:db8::1]:8080:80' '8000-8100:8000-8100'; do
        out=$(timeout 60 "$CTR" --root "$second" run --clone -p "$taken" "$ID-c" true 2>&1 </dev/null 3>&-) && fail "port 8080 twice"
        [[ $out == *"port 8080 of the host is taken by "*" in network bridge of $ROOT" ]] || fail "$out"
    done
    for port in 8081:80 8080:80/udp; do
        timeout 60 "$CTR" --root "$second" run --clone -p "$port" "$ID-c" true </dev/null 3>&- || fail "$port is not taken"
    done
    timeout 60 "$CTR" --root "$second" run -d --clone -p 192.0.2.1:9000:80 -p '[2001:db8::1]:9001:80' "$ID-c" sleep 1000 </dev/null \
        >/dev/null 2>&1 3>&-
    fails 125 "port 9000 of the host is taken by $(second_address "$second") in network bridge of $second" run --clone -p 9000:80 "$ID-d" true
    fails 125 "port 9001 of the host is taken by fd63:7472:" run --clone -p 9001:80 "$ID-d" true
    ok run --clone -p 127.0.0.1:9000:80 "$ID-d" true
    timeout 60 "$CTR" --root "$second" delete --force "$ID-c" </dev/null 3>&-
    ok run --clone -p 9000:80 "$ID-d" true
    ok delete --force "$ID"
    [ "$(host nft list tables | paste -sd' ')" = "table inet ctr1 table bridge ctr1" ]
    timeout 60 "$CTR" --root "$second" delete --force "$ID-b" </dev/null 3>&-
}

# in_second COMMAND...: ctr with another state directory.
in_second() { timeout 60 "$CTR" --root "$BATS_TEST_TMPDIR/second" "$@" </dev/null >/dev/null 2>&1 3>&-; }

@test "two state directories that begin at the same moment have each their own bridge and subnet" {
    local i pid
    for i in 1 2 3 4 5 6; do
        in_second run -d --clone "$ID-b" -- sleep 1000 &
        pid=$!
        ok run -d --clone "$ID" -- sleep 1000
        wait "$pid" || fail "the second did not begin"
        [ "$(host ip -o -4 addr show | grep -oE 'inet 10\.144\.[0-9.]+' | sort -u | wc -l)" -eq 2 ] || fail "$(host ip addr)"
        in_second delete --force "$ID-b" &
        pid=$!
        ok delete --force "$ID"
        wait "$pid" || fail "the second did not end"
        diff <(echo "$BEFORE") <(network_state) || fail "not as before"
    done
}

@test "two state directories: what one remembers of before a reboot does not touch the other" {
    ok network create web --subnet 10.77.0.0/24
    serve "$ID" --network web
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    # what a reboot does to a host, when the state was on a disk
    host nft flush ruleset
    host ip link del ctr0
    host sysctl -qw net.ipv4.conf.up0.forwarding=0
    rm -rf "${ROOT:?}/$ID"
    cgroup_dirs "$ID" | sort -r | while read -r dir; do rmdir "$dir"; done
    # the other comes first, with the same bridge and the same first container
    in_second network create other --subnet 10.78.0.0/24
    in_second run -d --clone --network other "$ID-b" -- sleep 1000
    local before
    before=$(network_state)
    fails 125 "the bridge ctr0 belongs to network other of" run --clone --network web "$ID-c" true
    diff <(echo "$before") <(network_state) || fail "not as before"
    ok network remove web
    diff <(echo "$before") <(network_state) || fail "not as before"
    in_second delete --force "$ID-b"
    in_second network remove other
}

@test "forwarding: the last of two state directories ends it, whoever began; until then the host is no router" {
    local state
    two_cables
    host ip link set up2 down
    serve "$ID"
    state=$(host cat /proc/sys/net/ipv4/conf/{up0,up2}/forwarding | paste -sd' ')
    [ "$state" = "1 1" ] || fail "$state"
    in_second run -d --clone "$ID-b" -- sleep 1000
    # one more link, of which the first knows only
    ip link add name up3 netns "$HOSTNS" type veth peer name up3 netns "$REMOTENS"
    host ip addr add 198.51.100.1/24 dev up3
    host ip link set up3 up
    host ip link set up2 up
    ok run --clone "$ID-c" true
    silent remote http://203.0.113.2/
    ok delete --force "$ID"
    silent remote http://203.0.113.2/
    [ "$(host cat /proc/sys/net/ipv4/conf/up3/forwarding)" = 1 ]
    in_second delete --force "$ID-b"
    state=$(host cat /proc/sys/net/ipv4/conf/{up0,up2,up3}/forwarding | paste -sd' ')
    [ "$state" = "0 0 0" ] || fail "$state"
    host ip link del up3
    no_cables
}

@test "IPv6 off: networks of IPv4 alone; what asks for IPv6 is refused" {
    host sysctl -qw net.ipv6.conf.all.disable_ipv6=1
    BEFORE=$(network_state)
    serve "$ID" -p 8080:80
    [ "$("$CTR" --root "$ROOT" network inspect bridge | jq -r .subnet6)" = null ]
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    fails 125 "has no IPv6" run --clone --ip6 fd63:7472::9 "$ID-b" true
    fails 1 "IPv6 is off on this host" network create six --ipv6 fd00:5::/64
}

@test "IPv6 off: a network from before has IPv4 still, and says so" {
    local off='net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1'
    # shellcheck disable=SC2086
    host sysctl -qw $off
    BEFORE=$(network_state)
    # shellcheck disable=SC2086
    host sysctl -qw ${off//=1/=0}
    ok network create both --subnet 10.9.0.0/24 --ipv6 fd00:9::/64
    ok network create six --subnet none --ipv6 fd00:66::/64
    # a reboot, and the host has none any more
    host nft flush ruleset
    host ip link del "$("$CTR" --root "$ROOT" network inspect both | jq -r .bridge)"
    host ip link del "$("$CTR" --root "$ROOT" network inspect six | jq -r .bridge)"
    # shellcheck disable=SC2086
    host sysctl -qw $off
    serve "$ID" --network both -p 8080:80
    [[ $stderr == *"network both: IPv6 is off on this host"* ]] || fail "$stderr"
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    fails 125 "has no IPv6" run --clone --network both --ip6 fd00:9::9 "$ID-b" true
    fails 125 "network six: it has no IPv4, and IPv6 is off" run --clone --network six "$ID-b" true
}

@test "a network of IPv6 alone" {
    ok network create six --subnet none --ipv6 fd00:66::/64
    serve "$ID" --network six -p 8080:80
    answers remote 'http://[2001:db8::1]:8080/' 2001:db8::2
    silent remote http://192.0.2.1:8080/
    fails 125 "has no IPv4" run --clone --network six --ip 10.1.1.1 "$ID-b" true
}

@test "without the rights: one error, nothing left" {
    require_program setpriv
    local real=$CTR
    CTR=$BATS_TEST_TMPDIR/weak
    printf '#!/bin/sh\nexec setpriv --bounding-set=-net_admin --inh-caps=-net_admin "%s" "$@"\n' "$real" >"$CTR"
    chmod 755 "$CTR"
    fails 125 "network bridge" run --clone "$ID" true
    [ "$(grep -c . <<<"$stderr")" -eq 1 ] || fail "$stderr"
    CTR=$real
}

@test "limit: --net-rate" {
    ok run -d --clone --net-rate 8mbit:80mbit "$ID" sleep 1000
    host tc qdisc show dev "$(address_of "$ID" link)" | grep -q 'tbf.*rate 80Mbit' || fail "$(host tc qdisc show)"
    fails 125 --net-rate run --clone --net-rate x "$ID-b" true
}
