# SPDX-License-Identifier: Apache-2.0
#
# For network*.bats: a host and a remote machine, each a network namespace of the test's own, joined by a cable. ctr runs
# in the host's, so that the real host's network is not touched and the files can run at the same time.
#
#     host COMMAND...    remote COMMAND...    in the one or the other
#     192.0.2.1, 2001:db8::1 (host, link up0); 192.0.2.2, 2001:db8::2 (remote)

load helpers

setup() { network_setup; }
teardown() { network_teardown; }

network_setup() {
    common_setup
    require_root
    require_program ip
    require_program nsenter
    require_program nft
    require_program curl
    HOSTNS=$TESTID-h REMOTENS=$TESTID-r
    ip netns add "$HOSTNS"
    ip netns add "$REMOTENS"
    host ip link set lo up
    remote ip link set lo up
    ip link add name up0 netns "$HOSTNS" type veth peer name up0 netns "$REMOTENS" 2>/dev/null || skip "no veth here"
    cable host 1
    cable remote 2
    host ip route add default via 192.0.2.2
    host ip -6 route add default via 2001:db8::2
    REAL=$CTR
    CTR=$BATS_TEST_TMPDIR/ctr-in-host
    printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s "%s" "$@"\n' "$HOSTNS" "$REAL" >"$CTR"
    chmod 755 "$CTR"
    BEFORE=$(network_state)
}

cable() {
    "$1" ip addr add "192.0.2.$2/24" dev up0
    "$1" ip addr add "2001:db8::$2/64" dev up0 nodad
    "$1" ip link set up0 up
}

host() { nsenter --net="/run/netns/$HOSTNS" "$@"; }
remote() { nsenter --net="/run/netns/$REMOTENS" "$@"; }

# in_background WHO COMMAND...: $! is the program itself.
in_background() {
    local ns=$HOSTNS
    [ "$1" = host ] || ns=$REMOTENS
    shift
    exec nsenter --net="/run/netns/$ns" "$@" 3>&-
}

# remote_listens PORT
remote_listens() { remote sh -c "grep -qi ':$(printf %04X "$1") .* 0A ' /proc/net/tcp6"; }

# Everything that ctr may change of the host: must be the same after all containers are gone. The carrier of a new link is
# seen a moment after it was set up, and the kernel's own link-local address comes with it.
network_state() {
    host nft list ruleset
    host ip -o link | sed -E 's/^[0-9]+: //; s/ state [A-Z]+//; s/NO-CARRIER,//; s/,LOWER_UP//'
    host ip -o addr | sed -E '/inet6 fe80:/d; s/^[0-9]+: //; s/ tentative//'
    host ip route | sed 's/ linkdown//'
    host ip -6 route | sed '/^fe80::\/64/d; s/ linkdown//'
    host sh -c 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding
        cat /proc/sys/net/ipv6/conf/all/forwarding; cat /proc/sys/net/ipv6/conf/*/force_forwarding 2>/dev/null'
}

network_teardown() {
    local rc=0 name
    if [ -n "${HOSTNS:-}" ] && [ -n "${BEFORE:-}" ]; then
        delete_all
        for name in $("$CTR" --root "$ROOT" network list -q 2>/dev/null); do
            "$CTR" --root "$ROOT" network remove "$name" || rc=1
        done
        if [ -n "${BATS_TEST_COMPLETED:-}" ]; then
            diff <(echo "$BEFORE") <(network_state) >&2 || { echo "left on the host"; rc=1; }
            diff <(echo "$(cd "$ROOT/.networks" 2>/dev/null && find . -mindepth 1 ! -name .lock)") <(echo) >&2 ||
                { echo "left in .networks"; rc=1; }
        fi
    fi
    ip netns del "$HOSTNS" 2>/dev/null || true
    ip netns del "$REMOTENS" 2>/dev/null || true
    CTR=${REAL:-$CTR}
    common_teardown || rc=1
    return "$rc"
}

# A web server that answers with the address of who asks; ports behind it.
# shellcheck disable=SC2034 # used by the files
SERVER='
import http.server, socket, sys, threading
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (self.client_address[0].replace("::ffff:", "") + " " + str(self.server.server_address[1]) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
for port in sys.argv[1:]:
    threading.Thread(target=Server(("::", int(port)), Handler).serve_forever).start()
'

# serve ID [OPTIONS...] [-- PORT...]: a clone with that server (port 80), ready.
serve() {
    local id=$1 opts=() ports=(80)
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        opts+=("$1")
        shift
    done
    [ $# -lt 2 ] || ports=("${@:2}")
    ok run -d --clone "${opts[@]}" "$id" -- python3 -c "$SERVER" "${ports[@]}"
    wait_for 10 listens "$id" "${ports[-1]}"
}
listens() { in_ctr "$1" sh -c "grep -qi ':$(printf %04X "$2") .* 0A ' /proc/net/tcp6"; }

# in_ctr ID COMMAND...: inside, without $status and $output.
in_ctr() {
    local id=$1
    shift
    timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" exec "$id" "$@" </dev/null 3>&-
}

# ask WHO URL: what the server says. Nothing and failure when nobody does. WHO: host, remote, or the ID of a container.
ask() {
    local who=$1
    shift
    case $who in
    host | remote) "$who" curl -sg -m 5 "$@" ;;
    *) in_ctr "$who" curl -sg -m 5 "$@" ;;
    esac
}
# answers WHO URL ADDRESS [PORT]: that the server has seen the address, on its port.
answers() {
    local got
    got=$(ask "$1" "$2") || fail "$1: no answer from $2"
    [[ $got == "$3 ${4:-80}" ]] || fail "$1: $2 answered \"$got\", not \"$3 ${4:-80}\""
}
silent() {
    local got
    ! got=$(ask "$1" -m 1 "$2") || fail "$1: $2 answered \"$got\""
}

# address_of ID [ip|ip6|mac|link]
address_of() {
    "$CTR" --root "$ROOT" network inspect | jq -r --arg id "$1" --arg key "${2:-ip}" \
        '.[].containers[] | select(.id == $id) | .[$key]'
}
