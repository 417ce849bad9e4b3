#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Networks of ctr: addresses, published ports, names, isolation; who may send what.

load network

# ---- the default network ----

@test "network: a clone has an address, routes, name servers and a name; nothing is left of it" {
    ctr run --clone "$ID" -- sh -c 'ip -o addr show eth0; ip route; ip -6 route; cat /etc/hosts; cat /etc/hostname; cat /etc/resolv.conf'
    [ "$status" -eq 0 ] || fail "$stderr"
    [[ $output == *"inet 10.144."*"/20"* ]] || fail "$output"
    [[ $output == *"inet6 fd63:7472:"*"/64 scope global"* ]] || fail "$output"
    [[ $output == *"default via 10.144."* ]] || fail "$output"
    [[ $output == *"default via fd63:7472:"* ]] || fail "$output"
    [[ $output == *$'127.0.0.1\tlocalhost'* ]] || fail "$output"
    [[ $output == *"10.144."*$'\t'"$ID"* ]] || fail "$output"
    [ "$(grep -cx "$ID" <<<"$output")" -eq 1 ] || fail "$output"
    [ -z "$(grep -E '^nameserver +127' <<<"$output")" ] || fail "$output"
}

@test "network: a bundle keeps what it says, and has a network when it is asked for" {
    make_bundle
    run_sh 'ls /sys/class/net'
    [ "$output" = lo ] || fail "$output"
    set_args sh -c 'ip addr show eth0; cat /etc/hosts; ls -l /etc/resolv.conf'
    ok run --bundle "$BUNDLE" --network bridge "$ID"
    [[ $output == *"inet 10.144."* && $output == *"$ID"* ]] || fail "$output"
}

@test "network: sysctls of the configuration find the links, and have the last word" {
    local i
    make_bundle
    edit_config '.linux.sysctl = {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv4.conf.eth0.arp_ignore": "1"}'
    set_args cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6 /proc/sys/net/ipv4/conf/eth0/arp_ignore
    for i in 1 2 3 4 5; do
        ok run --bundle "$BUNDLE" --network bridge "$ID"
        [ "$output" = "1"$'\n'"1" ] || fail "$output"
    done
}

@test "network: a container reaches the outside, with the host's address" {
    in_background remote python3 -c "$SERVER" 80 &
    local server=$!
    serve "$ID"
    wait_for 10 remote_listens 80
    [ "$(ask "$ID" http://192.0.2.2/)" = "192.0.2.1 80" ]
    [ "$(ask "$ID" 'http://[2001:db8::2]/')" = "2001:db8::1 80" ] || [ ! -e /proc/sys/net/ipv6/conf/all/force_forwarding ]
    kill "$server"
}

@test "network: --ip, --ip6, --mac, --dns; addresses that are taken or no good" {
    serve "$ID" --ip 10.144.3.7 --ip6 fd63:7472::99 --mac 02:00:00:00:00:07 --dns 198.51.100.1 --dns 2001:db8::53
    [ "$(in_ctr "$ID" cat /etc/resolv.conf | grep nameserver)" = $'nameserver 198.51.100.1\nnameserver 2001:db8::53' ]
    [ "$(in_ctr "$ID" cat /sys/class/net/eth0/address)" = 02:00:00:00:00:07 ]
    [ "$(ask host http://10.144.3.7/)" = "10.144.0.1 80" ]
    [ "$(ask host 'http://[fd63:7472::99]/')" = "fd63:7472::1 80" ]
    fails 125 "$ID" run --clone --ip 10.144.3.7 "$ID-b" true
    fails 125 "--mac: 02:00:00:00:00:07 is taken by container $ID" run --clone --mac 02:00:00:00:00:07 "$ID-b" true
    fails 125 "not in the subnet" run --clone --ip 10.1.1.1 "$ID-b" true
    fails 125 gateway run --clone --ip 10.144.0.1 "$ID-b" true
    fails 125 "not an IPv4 address" run --clone --ip fd63::1 "$ID-b" true
    fails 125 "of a group" run --clone --mac 01:00:00:00:00:07 "$ID-b" true
    fails 125 "not an address" run --clone --dns example.com "$ID-b" true
    make_bundle
    edit_config '.mounts += [{destination: "/etc/resolv.conf", type: "bind", source: "/etc/hosts", options: ["bind"]}]'
    fails 125 "--dns: the configuration has a mount at /etc/resolv.conf" \
        run --bundle "$BUNDLE" --network bridge --dns 198.51.100.1 "$ID-b"
}

# ---- published ports ----

@test "publish: from outside, from the host and its loopback, from other containers and itself; the source stays" {
    serve "$ID" -p 8080:80
    serve "$ID-b"
    local own
    own=$(address_of "$ID-b")
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    answers remote 'http://[2001:db8::1]:8080/' 2001:db8::2
    answers host http://192.0.2.1:8080/ 192.0.2.1
    answers host 'http://[2001:db8::1]:8080/' 2001:db8::1
    answers host http://127.0.0.1:8080/ 10.144.0.1
    # nothing hangs that tries ::1 first
    local rc=0
    host curl -sg -m 5 'http://[::1]:8080/' || rc=$?
    [ "$rc" -eq 7 ] || fail "::1: not refused: curl's $rc"
    answers "$ID-b" http://192.0.2.1:8080/ 10.144.0.1
    answers "$ID" http://192.0.2.1:8080/ 10.144.0.1
    answers "$ID-b" "http://$ID/" "$(address_of "$ID-b" ip6)"
    answers "$ID-b" "http://$(address_of "$ID")/" "$own"
}

@test "publish: ranges, udp, one address of the host" {
    serve "$ID" -p 9000-9002:80-82 -p 192.0.2.1:7000:81 -p '[2001:db8::1]:7001:82' -p 5353:53/udp -- 80 81 82
    answers remote http://192.0.2.1:9000/ 192.0.2.2 80
    answers remote http://192.0.2.1:9002/ 192.0.2.2 82
    silent remote http://192.0.2.1:9003/
    answers remote http://192.0.2.1:7000/ 192.0.2.2 81
    silent host http://127.0.0.1:7000/
    silent remote 'http://[2001:db8::1]:7000/'
    answers remote 'http://[2001:db8::1]:7001/' 2001:db8::2 82
    silent remote http://192.0.2.1:7001/
    ok exec -d "$ID" python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 53))
while True:
    data, who = s.recvfrom(100); s.sendto(who[0].encode(), who)'
    wait_for 10 udp_answers 192.0.2.2
}

@test "publish: 0.0.0.0 is IPv4 alone, [::] is IPv6 alone" {
    serve "$ID" -p 0.0.0.0:8080:80 -p '[::]:8081:80' -p 0.0.0.0:8082:80 -p '[::]:8082:81' -- 80 81
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    answers host http://127.0.0.1:8080/ 10.144.0.1
    silent remote 'http://[2001:db8::1]:8080/'
    answers remote 'http://[2001:db8::1]:8081/' 2001:db8::2
    silent remote http://192.0.2.1:8081/
    answers remote http://192.0.2.1:8082/ 192.0.2.2 80
    answers remote 'http://[2001:db8::1]:8082/' 2001:db8::2 81
    "$CTR" --root "$ROOT" network inspect bridge | jq -e '.containers[0].ports == ["0.0.0.0:8080:80/tcp", "[::]:8081:80/tcp",
        "0.0.0.0:8082:80/tcp", "[::]:8082:81/tcp"]' || fail "$("$CTR" --root "$ROOT" network inspect bridge)"
    # what the other family leaves free is free
    ok run --clone -p '[::]:8080:80' -p 192.0.2.1:8081:80 "$ID-b" true
    fails 125 "port 8080 of the host is taken by container $ID" run --clone -p 8080:80 "$ID-b" true
    timeout 60 "$CTR" --root "$ROOT-2" run --clone -p '[::]:8080:80' "$ID-b" true </dev/null 3>&- || fail "another root"
    timeout 60 "$CTR" --root "$ROOT-2" run --clone -p '192.0.2.1:8080:80' "$ID-b" true </dev/null 3>&- && fail "taken"
    rm -rf "$ROOT-2"
    ok network create six --subnet none --ipv6 fd00:66::/64
    fails 125 "has no IPv4" run --clone --network six -p 0.0.0.0:80:80 "$ID-b" true
}

@test "publish: on 127.0.0.1 it is for the host alone, whatever a neighbour sends" {
    local mac
    ok run -d --clone -p 127.0.0.1:5353:53/udp "$ID" -- python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 53)); print("ready", flush=True)
while True: print(s.recv(9).decode(), flush=True)'
    wait_for 5 grep -q ready "$OUT"
    mac=$(host ip -j link show up0 | jq -r '.[0].address')
    remote python3 -c 'import socket, struct, sys
udp = struct.pack("!HHHH", 4000, 5353, 12, 0) + b"evil"
def summed(h):
    s = sum(struct.unpack("!10H", h)); s = (s >> 16) + (s & 0xffff); return h[:10] + struct.pack("!H", ~(s + (s >> 16)) & 0xffff) + h[12:]
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton("192.0.2.2"), socket.inet_aton("127.0.0.1"))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("up0", 0))
s.send(bytes.fromhex(sys.argv[1].replace(":", "")) + b"\x02\0\0\0\0\x09" + b"\x08\x00" + summed(ip) + udp)' "$mac"
    sleep 0.2
    host python3 -c 'import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"good", ("127.0.0.1", 5353))'
    wait_for 5 grep -q good "$OUT"
    [ "$(paste -sd' ' "$OUT")" = "ready good" ] || fail "$(cat "$OUT")"
}

@test "publish: a sender of UDP that never pauses is heard by whoever has the port now" {
    # flows are remembered while there is a network that needs them
    ok network create keep
    # twenty a second from one port, for as long as the test runs: one flow
    in_background remote python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 4000))
while True:
    try: s.sendto(b"x", ("192.0.2.1", 5353))
    except OSError: pass
    time.sleep(0.05)' &
    local sender=$! i
    wait_for 10 remote grep -q ':0FA0 ' /proc/net/udp
    sleep 0.3
    for i in 1 2; do
        ok run -d --clone --network keep -p 5353:53/udp "$ID-$i" -- python3 -c "$HEAR"
        wait_for 5 grep -q 192.0.2.2 "$OUT"
        ok delete --force "$ID-$i"
    done
    # when a whole network goes and comes again, the one with that address that has published nothing hears nothing
    ok run -d --clone -p 5353:53/udp "$ID-3" -- python3 -c "$HEAR"
    wait_for 5 grep -q 192.0.2.2 "$OUT"
    ok delete --force "$ID-3"
    ok run -d --clone --ip 10.144.16.2 "$ID-4" -- python3 -c "$HEAR"
    wait_for 5 in_ctr "$ID-4" grep -q ':0035 ' /proc/net/udp
    sleep 0.5
    [ -z "$(<"$OUT")" ] || fail "it heard $(<"$OUT")"
    kill "$sender"
}
HEAR='import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 53)); print(s.recvfrom(9)[1][0], flush=True)
import time; time.sleep(1000)'
udp_answers() {
    [ "$(remote python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.sendto(b"x", ("192.0.2.1", 5353)); print(s.recv(100).decode())' 2>/dev/null)" = "$1" ]
}

@test "publish: 3000 ports at once" {
    serve "$ID" -p 10000-12999:10000-12999 -- 10000 12999
    answers remote http://192.0.2.1:10000/ 192.0.2.2 10000
    answers remote http://192.0.2.1:12999/ 192.0.2.2 12999
}

@test "publish: only that; a container is not reached around it" {
    serve "$ID" -p 8080:80 -- 80 81
    remote ip route add 10.144.0.0/20 via 192.0.2.1
    remote ip -6 route add fd63:7472::/64 via 2001:db8::1
    silent remote "http://$(address_of "$ID"):81/"
    silent remote "http://$(address_of "$ID"):80/"
    silent remote "http://[$(address_of "$ID" ip6)]:81/"
    # route_localnet of the bridge is for the host alone
    in_background host python3 -c "$SERVER" 6000 &
    local server=$!
    wait_for 10 host sh -c "grep -qi ':1770 .* 0A ' /proc/net/tcp6"
    in_ctr "$ID" ip route get 192.0.2.1 >/dev/null
    answers "$ID" http://10.144.0.1:6000/ "$(address_of "$ID")" 6000
    kill "$server"
}

@test "publish: a taken port names who has it" {
    serve "$ID" -p 8080:80
    fails 125 "port 8080 of the host is taken by container $ID" run --clone -p 8000-8100:8000-8100 "$ID-b" true
    ok network create other
    fails 125 "port 8080 of the host is taken by container $ID" run --clone --network other -p 192.0.2.1:8080:80 "$ID-b" true
    in_background host python3 -c "$SERVER" 8081 &
    local server=$!
    wait_for 10 host sh -c "grep -qi ':1F91 .* 0A ' /proc/net/tcp6"
    fails 125 "port 8081/tcp of the host is taken by process $server (python3)" run --clone -p 8081:80 "$ID-b" true
    ok run --clone -p 8081:80/udp "$ID-b" true
    kill "$server"
    fails 125 "the host has no address 198.51.100.77" run --clone -p 198.51.100.77:80:80 "$ID-b" true
    ok delete --force "$ID"
    ok run --clone -p 8080:80 "$ID-b" true
}

@test "publish: text that is not a port" {
    for text in 80 :80 80: 0:80 80:0 65536:80 80:65536 a:80 80:80/sctp 80-79:80-79 80-81:80 1.2.3:80:80 \
        1.2.3.4.5:80:80 ::1:80:80 '[::1:80:80' '[1.2.3.4]:80:80' 80:80:80:80 +80:80 ' 80:80' 80:80/; do
        fails 125 --publish run --clone -p "$text" "$ID" true
    done
    fails 125 "given twice" run --clone -p 80-90:80-90 -p 85:85 "$ID" true
    fails 125 "nothing can be published on ::1 (the kernel routes nothing to it but from lo)" run --clone -p '[::1]:80:80' "$ID" true
    make_bundle
    fails 1 "--publish: needs --network" run --bundle "$BUNDLE" -p 80:80 "$ID"
}

# ---- names ----

@test "names: containers find each other by ID, and those that come and go are seen by all that run" {
    serve "$ID" --hostname web.example
    serve "$ID-b"
    answers "$ID-b" "http://$ID/" "$(address_of "$ID-b" ip6)"
    answers "$ID-b" "http://web.example/" "$(address_of "$ID-b" ip6)"
    serve "$ID-c"
    answers "$ID" "http://$ID-c/" "$(address_of "$ID" ip6)"
    answers "$ID-c" "http://$ID-b/" "$(address_of "$ID-c" ip6)"
    ok delete --force "$ID-b"
    [ -z "$(in_ctr "$ID" grep -F "$ID-b" /etc/hosts)" ] || fail "$ID-b is still known"
    # killed, made again: the same name, wherever it is now
    ok kill "$ID-c" KILL
    wait_state "$ID-c" stopped
    ok delete "$ID-c"
    serve "$ID-c"
    answers "$ID" "http://$ID-c/" "$(address_of "$ID" ip6)"
    [ "$(in_ctr "$ID" stat -c %a /etc/hosts)" = 644 ]
}

# ---- networks ----

@test "networks: two do not reach each other, except by published ports" {
    ok network create one
    ok network create two --subnet 172.31.7.0/24 --gateway 172.31.7.9
    serve "$ID" --network one
    serve "$ID-b" --network two -p 8080:80
    [ "$(address_of "$ID-b")" = 172.31.7.1 ]
    [ -z "$(in_ctr "$ID" grep -F "$ID-b" /etc/hosts)" ]
    silent "$ID" "http://$(address_of "$ID-b")/"
    silent "$ID-b" "http://$(address_of "$ID")/"
    silent "$ID-b" "http://[$(address_of "$ID" ip6)]/"
    [[ "$(ask "$ID" http://192.0.2.1:8080/)" == *" 80" ]]
    ok network list
    [[ $output == *one*two* ]]
    fails 1 "container $ID is in it" network remove one
}

@test "networks: an internal one reaches neither the outside nor the host, but itself" {
    ok network create deep --internal
    serve "$ID" --network deep
    serve "$ID-b" --network deep
    in_background remote python3 -c "$SERVER" 80 &
    local server=$! gateway
    in_background host python3 -c "$SERVER" 6000 &
    local server2=$!
    wait_for 10 remote_listens 80
    answers "$ID" "http://$ID-b/" "$(address_of "$ID" ip6)"
    gateway=$("$CTR" --root "$ROOT" network inspect deep | jq -r .gateway)
    silent "$ID" "http://192.0.2.2/"
    silent "$ID" "http://$gateway:6000/"
    [ -z "$(in_ctr "$ID" ip route show default)" ]
    # the host may ask
    answers host "http://$(address_of "$ID")/" "$gateway"
    fails 125 "network deep is internal" run --clone --network deep -p 80:80 "$ID-c" true
    kill "$server" "$server2"
}

@test "networks: create, list, inspect, remove, and what is refused" {
    ok network create web --subnet 10.77.0.0/24 --ipv6 fd00:77::/64 --mtu 1400 --bridge web0
    ok network inspect web
    jq -e '. == {name: "web", bridge: "web0", subnet: "10.77.0.0/24", gateway: "10.77.0.1", subnet6: "fd00:77::/64",
        gateway6: "fd00:77::1", mtu: 1400, internal: false, automatic: false, containers: []}' <<<"$output" || fail "$output"
    ok run --clone --network web "$ID" cat /sys/class/net/eth0/mtu
    [ "$output" = 1400 ]
    [ "$(host ip -j link show web0 | jq '.[0].mtu')" = 1400 ]
    fails 1 "exists already" network create web
    fails 1 "overlaps network web" network create x --subnet 10.77.0.128/25
    fails 1 "overlaps the host's link up0" network create x --subnet 192.0.2.128/25
    fails 1 "overlaps" network create x --subnet 192.0.0.0/16
    fails 1 "overlaps" network create x --ipv6 2001:db8::/96
    fails 1 "bits behind the length" network create x --subnet 10.1.2.3/24
    fails 1 "is taken by a link (veth)" network create x --bridge up0
    fails 1 "belongs to network web" network create x --bridge web0
    host ip link add ctr9 type bridge
    fails 1 "is taken by a link (bridge)" network create x --bridge ctr9
    host ip link del ctr9
    for name in none host a/b .x 'a b' '' "$(printf 'x%.0s' {1..64})"; do fails 1 "network name" network create "$name"; done
    for args in '--subnet x' '--subnet 10.1.0.0/33' '--subnet 10.1.0.0/32' '--gateway 10.1.0.1' '--mtu 10' '--mtu 99999' \
        '--subnet 10.1.0.0/16 --gateway 10.2.0.1' '--subnet 10.1.0.0/16 --gateway 10.1.0.0' '--ipv6 10.1.0.0/16' \
        '--subnet fd00::/64' '--bridge toolong' '--bridge a/b'; do
        # shellcheck disable=SC2086
        fails 1 -- network create x $args
    done
    fails 1 "does not exist" network inspect nosuch
    fails 1 "does not exist" network remove nosuch
    fails 125 "does not exist" run --clone --network nosuch "$ID" true
    ok network remove web
    ok network list -q
    [ -z "$output" ]
}

@test "networks: an MTU that is too small for IPv6 is one for IPv4" {
    local opts
    for opts in '--subnet 10.79.0.0/24' ''; do
        # shellcheck disable=SC2086
        ok network create small --mtu 1000 $opts
        "$CTR" --root "$ROOT" network inspect small | jq -e '.subnet6 == null' || fail "an IPv6 subnet"
        serve "$ID" --network small -p 8080:80
        answers remote http://192.0.2.1:8080/ 192.0.2.2
        ok exec "$ID" cat /sys/class/net/eth0/mtu
        [ "$output" = 1000 ]
        ok delete --force "$ID"
        ok network remove small
    done
    fails 1 "--mtu: 1280 to 65535" network create small --mtu 1000 --ipv6 fd00:79::/64
}

@test "networks: a default route in two halves is in nobody's way" {
    host ip route add 0.0.0.0/1 via 192.0.2.2
    host ip route add 128.0.0.0/1 via 192.0.2.2
    host ip -6 route add ::/1 via 2001:db8::2
    host ip -6 route add 8000::/1 via 2001:db8::2
    BEFORE=$(network_state)
    serve "$ID" -p 8080:80
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    answers remote 'http://[2001:db8::1]:8080/' 2001:db8::2
    ok network create web --subnet 10.79.0.0/24 --ipv6 fd00:79::/64
}

@test "networks: tables of others are left alone, whatever their names" {
    local family
    for family in inet bridge; do
        host nft -f - <<END
table $family filter { chain input { type filter hook input priority 0; policy accept; }; }
table $family ctr0 { chain own { accept; }; }
END
    done
    BEFORE=$(network_state)
    fails 1 "is taken by somebody's table of nf_tables (inet filter)" network create x --bridge filter
    host nft delete table inet filter
    BEFORE=$(network_state)
    fails 1 "is taken by somebody's table of nf_tables (bridge filter)" network create x --bridge filter
    diff <(echo "$BEFORE") <(network_state) || fail "changed"
    ok run -d --clone "$ID" sleep 1000
    [ "$(host ip -j link show type bridge | jq -r '.[].ifname')" = ctr1 ] || fail "$(host ip link)"
    ok delete --force "$ID"
    # what is left of a network of ours, without its bridge, is not in the way
    ok network create mine --bridge mine0
    host ip link del mine0
    serve "$ID" --network mine -p 8080:80
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    # the name of one that is down may become somebody's: it is not brought up, and goes without that table
    ok delete --force "$ID"
    host ip link del mine0
    host nft delete table inet mine0
    host nft add table inet mine0
    fails 125 "(inet mine0)" run --clone --network mine "$ID" true
    ok network remove mine
    host nft list table inet mine0
    host nft delete table inet mine0
    host nft delete table bridge mine0
}

@test "networks: two containers have never one link or one hardware address" {
    ok network create six --subnet none --ipv6 fd00:66::/64
    ok run -d --clone --network six --ip6 fd00:66::5 "$ID" sleep 1000
    fails 125 "end in the same four bytes as those of container $ID" run --clone --network six --ip6 fd00:66::1:0:0:5 "$ID-b" true
    fails 125 "end in the same four bytes as those of container $ID" run --clone --network six --ip6 fd00:66::1:0:0:5 \
        --mac 02:00:00:00:00:05 "$ID-b" true
    host ip link show "$(address_of "$ID" link)"
    ok exec "$ID" ip -6 addr show dev eth0
    [[ $output == *fd00:66::5/64* ]]
    # what ctr makes of an address, given to another
    ok run -d --clone --network six --mac 0a:63:00:00:00:09 "$ID-c" sleep 1000
    fails 125 "0a:63:00:00:00:09 is taken by container $ID-c" run --clone --network six --ip6 fd00:66::9 "$ID-b" true
    ok run --clone --network six --ip6 fd00:66::9 --mac 02:00:00:00:00:09 "$ID-b" true
    ok run --clone --network six --ip6 fd00:66::1:0:0:6 "$ID-b" true
}

@test "networks: a pool that is exhausted says so, and an address is free again" {
    ok network create tiny --subnet 10.78.0.0/29
    local i
    for i in 1 2 3 4 5; do ok run -d --clone --network tiny "$ID-$i" sleep 1000; done
    fails 125 "tiny" run --clone --network tiny "$ID-x" true
    ok delete --force "$ID-3"
    ok run --clone --network tiny "$ID-x" true
}

@test "network: none, host, container:ID, ns:PATH" {
    ok run --clone --network none "$ID" ls /sys/class/net
    [ "$output" = lo ]
    ok run --clone --network host "$ID" ls /sys/class/net
    [[ $output == *up0* ]]
    serve "$ID" -p 8080:80
    ok run -d --clone --network "container:$ID" "$ID-b" sleep 1000
    [ "$(in_ctr "$ID-b" cat /etc/hosts)" = "$(in_ctr "$ID" cat /etc/hosts)" ]
    answers "$ID-b" http://127.0.0.1/ 127.0.0.1
    ok run --clone --network "ns:/run/netns/$REMOTENS" "$ID-c" curl -sg http://192.0.2.1:8080/
    [ "$output" = "192.0.2.2 80" ]
    fails 125 "does not exist" run --clone --network container:nosuch "$ID-c" true
    fails 125 "not an absolute path" run --clone --network ns:x "$ID-c" true
    fails 125 /etc/passwd run --clone --network ns:/etc/passwd "$ID-c" true
    for option in '-p 80:80' '--ip 10.144.0.9' '--mac 02:00:00:00:00:01' '--dns 1.1.1.1' '--net-rate 1mbit:1mbit'; do
        # shellcheck disable=SC2086
        fails 125 "has no effect with --network host" run --clone --network host $option "$ID-c" true
    done
}
