#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The network of a container that is an ordinary user's: pasta, its published ports, and its end with the container.

load network
load rootless

setup() {
    network_setup
    require_program pasta
    local in_host=$CTR
    CTR=$REAL
    rootless_setup
    # The user on the host of the test.
    local as_user=$CTR
    CTR=$BATS_TEST_TMPDIR/user-in-host
    printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s "%s" "$@"\n' "$HOSTNS" "$as_user" >"$CTR"
    chmod 755 "$CTR"
    rm -f "$in_host"
}

# serve_pasta ID OPTIONS...: says hello on ports 80 and 81.
serve_pasta() {
    local id=$1
    shift
    set_args /bin/sh -c 'for p in 80 81; do mkdir -p /tmp/$p; echo hello $p >/tmp/$p/index.html; httpd -p $p -h /tmp/$p; done; sleep 1000'
    ok run -d --bundle "$BUNDLE" --network pasta "$@" "$id"
}
# Not those that have ended and are not yet waited for by the machine's init.
pasta_pids() { ps -U "$ROOTLESS_ID" -o stat=,pid=,comm= | awk '$1 !~ /^Z/ && $3 ~ /^(pasta|passt)/ { print $2 }'; }
says() { [ "$("${@:2}" </dev/null 2>/dev/null)" = "$1" ]; }

@test "rootless network: addresses and routes as the host's; ports by TCP; nothing is left" {
    serve_pasta "$ID" -p 8080:80 -p 127.0.0.1:9000-9001:80-81
    ctr exec "$ID" ip addr show eth0
    [[ $output == *"inet 192.0.2.1/24"* ]] || fail "$output"
    ctr exec "$ID" ip route
    [[ $output == *"default via 192.0.2.2"* ]] || fail "$output"
    wait_for 10 says 'hello 80' remote curl -s -m 3 http://192.0.2.1:8080/
    wait_for 10 says 'hello 81' host curl -s -m 3 http://127.0.0.1:9001/
    ! remote curl -s -m 1 http://192.0.2.1:9001/ || fail "a port of the loopback address is seen from outside"
    [ "$(pasta_pids | wc -l)" -eq 1 ]
    ok delete --force "$ID"
    [ -z "$(pasta_pids)" ] || fail "pasta lives on"
    # at once again: the ports are free
    serve_pasta "$ID" -p 8080:80
    wait_for 10 says 'hello 80' remote curl -s -m 3 http://192.0.2.1:8080/
}

@test "rootless network: ports by UDP, of one address and of all, and TCP on ::1" {
    # with the host's python3: busybox has nothing for UDP
    edit_config '.mounts += [("/usr", "/lib", "/lib64") | {destination: ., type: "bind", source: ., options: ["rbind", "ro"]}]'
    set_args /usr/bin/python3 -c 'import http.server, socket, threading
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nhello six\n")
threading.Thread(target=Server(("::", 80), Handler).serve_forever).start()
def echo(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", port))
    while True:
        data, who = s.recvfrom(100)
        s.sendto(b"udp %s %s" % (data.strip(), who[0].encode()), who)
for port in 53, 5354: threading.Thread(target=echo, args=(port,)).start()'
    ok run -d --bundle "$BUNDLE" --network pasta -p 5353:53/udp -p 127.0.0.1:5354:5354/udp -p '[::1]:8080:80' \
        -p 0.0.0.0:8090:80 -p '[::]:8091:80' "$ID"
    wait_for 10 udp_says 'udp hi 192.0.2.2' remote 192.0.2.1 5353
    # from the host itself pasta of Debian 12 finds its way back from the port of the same number only
    wait_for 10 udp_says 'udp hi ' host 127.0.0.1 5354
    ! udp_says 'udp hi ' remote 192.0.2.1 5354 || fail "a port of the loopback address is seen from outside"
    wait_for 10 says 'hello six' host curl -sg -m 3 'http://[::1]:8080/'
    ! remote curl -sg -m 1 'http://[2001:db8::1]:8080/' || fail "a port of ::1 is seen from outside"
    wait_for 10 says 'hello six' remote curl -sg -m 3 http://192.0.2.1:8090/
    ! remote curl -sg -m 1 'http://[2001:db8::1]:8090/' || fail "0.0.0.0 is seen by IPv6"
    wait_for 10 says 'hello six' remote curl -sg -m 3 'http://[2001:db8::1]:8091/'
    ! remote curl -sg -m 1 http://192.0.2.1:8091/ || fail "[::] is seen by IPv4"
    # the same port by TCP is free, by UDP it is not
    fails 125 "port 5353/udp" run --bundle "$BUNDLE" --network pasta -p 5353:53/udp "$ID-b"
    set_args true
    ok run --bundle "$BUNDLE" --network pasta -p 5353:53 "$ID-b"
    fails 125 "pasta serves port 54/udp of a container at one port of the host only" run --bundle "$BUNDLE" --network pasta \
        -p 6000-6002:53-55/udp -p 6003:53 -p 6010:54/udp "$ID-b"
    ok delete --force "$ID"
    [ -z "$(pasta_pids)" ] || fail "pasta lives on"
    ok run --bundle "$BUNDLE" --network pasta -p 5353:53/udp "$ID-b"
}
# udp_says TEXT WHO ADDRESS PORT: what is answered to "hi" begins with it.
udp_says() {
    [[ "$("$2" python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.sendto(b"hi\n", (sys.argv[1], int(sys.argv[2]))); print(s.recv(100).decode())' "$3" "$4" 2>/dev/null)" == "$1"* ]]
}

@test "rootless network: the container reaches outside, and not the user's own loopback address" {
    in_background remote python3 -c "$SERVER" 7000 &
    local server=$!
    in_background host python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 7001))
while True:
    c = s.accept()[0]
    c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nloopback\n")
    c.close()' &
    local inner=$!
    wait_for 10 host curl -s -m 2 -o /dev/null http://127.0.0.1:7001/
    wait_for 10 remote curl -s -m 2 -o /dev/null http://192.0.2.2:7000/
    set_args /bin/sh -c 'get() { printf "GET / HTTP/1.0\r\n\r\n" | timeout "$1" nc "$2" "$3" | tail -n 1; }
        get 10 192.0.2.2 7000; for a in 127.0.0.1 192.0.2.2 192.0.2.1; do get 2 $a 7001; done; true'
    ok run --bundle "$BUNDLE" --network pasta "$ID"
    kill "$server" "$inner"
    [ "$output" = "192.0.2.1 7000" ] || fail "$output"
    [ -z "$(pasta_pids)" ] || fail "pasta lives on"
}

@test "rootless network: a taken port, one below 1024, no way out: one clear error, nothing left" {
    serve_pasta "$ID" -p 8080:80
    set_args true
    fails 125 "port 8080" run --bundle "$BUNDLE" --network pasta -p 8079-8080:80-81 "$ID-b"
    fails 125 "port 80" run --bundle "$BUNDLE" --network pasta -p 80:80 "$ID-b"
    ok delete --force "$ID"
    host ip route del default
    host ip -6 route del default
    fails 125 "pasta: " run --bundle "$BUNDLE" --network pasta "$ID-b"
    [ -z "$(pasta_pids)" ] || fail "pasta lives on"
    host ip route add default via 192.0.2.2
    host ip -6 route add default via 2001:db8::2
    chmod 600 "$BATS_TEST_TMPDIR/tun"
    fails 125 "/dev/net/tun: Permission denied" run --bundle "$BUNDLE" --network pasta "$ID-b"
}

@test "rootless network: pasta for a container without a user namespace is refused" {
    edit_config '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
    fails 125 '--network pasta: for containers with a user namespace of their own' run --bundle "$BUNDLE" --network pasta "$ID"
}
