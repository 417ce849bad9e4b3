#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What a bridge keeps for itself (01:80:c2:00:00:0X) passes no rule of the bridge, and reaches the host by the port; subnets
# beside routes of the host.

load network

# python: packets of IPv6 to a hardware address that bridges keep; own addresses are the container's.
SENDER='
import socket, struct, sys, time
own = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
def ip6(text): return socket.inet_pton(socket.AF_INET6, text)
def checked(source, to, kind, body, at):
    text = source + to + struct.pack("!II", len(body), kind) + body + b"\0" * (len(body) % 2)
    s = sum(struct.unpack("!%dH" % (len(text) // 2), text))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return body[:at] + struct.pack("!H", ~s & 0xffff) + body[at + 2:]
def packet(source, to, kind, body, at, hops):
    return struct.pack("!IHBB", 0x60000000, len(body), kind, hops) + source + to + checked(source, to, kind, body, at)
def advert():
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    return packet(ip6("fe80::bad"), ip6("ff02::1"), 58, body, 2, 255)
def udp(source, to, port):
    return packet(ip6(source), ip6(to), 17, struct.pack("!HHHH", 9, port, 12, 0) + b"evil", 6, 64)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
for last in 0x0e, 0x02, 0x03:
    s.send(b"\x01\x80\xc2\0\0" + bytes([last]) + own + b"\x86\xdd" + eval(sys.argv[1]))
    time.sleep(0.1)
'

@test "guard: a router advertisement past the bridge gives the host no route" {
    serve "$ID"
    local port
    port=$(address_of "$ID" link)
    [ "$(host sysctl -n "net.ipv6.conf.$port.forwarding")" = 0 ]
    in_ctr "$ID" python3 -c "$SENDER" 'advert()'
    [ -z "$(host ip -6 route show dev "$port" default)" ] || fail "$(host ip -6 route)"
}

@test "guard: an internal network does not reach the host's services past the bridge" {
    ok network create deep --internal
    serve "$ID" --network deep
    local heard=$BATS_TEST_TMPDIR/heard
    in_background host python3 -c 'import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 7000)); print("ready", flush=True)
while True: print(s.recv(9).decode(), flush=True)' >"$heard" &
    local server=$!
    wait_for 10 grep -q ready "$heard"
    in_ctr "$ID" python3 -c "$SENDER" "udp('$(address_of "$ID" ip6)', '2001:db8::1', 7000)"
    host python3 -c 'import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"good", ("2001:db8::1", 7000))'
    wait_for 10 grep -q good "$heard"
    kill "$server"
    ! grep evil "$heard"
}

@test "subnets: a route of the host that covers the pool, or the subnet that was named" {
    host ip route add 10.0.0.0/8 via 192.0.2.2
    serve "$ID"
    [[ $(address_of "$ID") == 172.16.* ]] || fail "$(address_of "$ID")"
    in_background remote python3 -c "$SERVER" 80 &
    local server=$!
    wait_for 10 remote_listens 80
    answers "$ID" http://192.0.2.2/ 192.0.2.1
    ok network create back --subnet 10.5.0.0/24
    serve "$ID-b" --network back
    answers host "http://$(address_of "$ID-b")/" 10.5.0.1
    # what is as long, or longer, would be lost
    host ip route add 10.6.0.0/25 via 192.0.2.2
    fails 1 "subnet 10.6.0.0/24 overlaps the host's route to 10.6.0.0/25" network create more --subnet 10.6.0.0/24
    fails 1 "network name: pasta means something else" network create pasta
    host ip route del 10.6.0.0/25
    host ip route del 10.0.0.0/8
    kill "$server"
}
