#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Networks of ctr beside a running Docker, with its rules and its policy: neither breaks the other. And networks of CNI
# plugins.

load network

load cni

setup() {
    network_setup
    DOCKERD_PID='' PLUGINS_LEAVE=
}

teardown() {
    delete_all
    if [ -n "$DOCKERD_PID" ]; then
        docker ps -aq 2>/dev/null | xargs -r timeout 20 docker rm -f >/dev/null 2>&1
        kill "$DOCKERD_PID" 2>/dev/null && wait_for 20 gone "$DOCKERD_PID"
        host nft flush ruleset
        host ip link del docker0 2>/dev/null || true
        host sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 || true
        grep -o "/run/netns/[^ ]* \|$BATS_TEST_TMPDIR/docker[^ ]*" /proc/self/mountinfo | grep docker | sort -r |
            xargs -r umount -l 2>/dev/null || true
    fi
    # the plugins leave a bridge, chains without rules and forwarding, on purpose
    [ -z "$PLUGINS_LEAVE" ] || BEFORE=
    network_teardown
}
gone() { [ ! -e "/proc/$1/exe" ]; }

docker() { command docker -H "unix://$BATS_TEST_TMPDIR/docker.sock" "$@" 3>&-; }

start_docker() {
    require_program dockerd
    local d=$BATS_TEST_TMPDIR/docker
    mkdir -p "$d"
    echo "{\"data-root\": \"$d/data\", \"exec-root\": \"$d/x\", \"pidfile\": \"$d/pid\", \"hosts\": [\"unix://$d.sock\"], \"log-level\": \"warn\"}" >"$d/daemon.json"
    env -u CTR_TEST_ID nsenter --net="/run/netns/$HOSTNS" dockerd --config-file "$d/daemon.json" >"$d/log" 2>&1 3>&- &
    DOCKERD_PID=$!
    wait_for 60 docker_answers
    gone "$DOCKERD_PID" && DOCKERD_PID='' && skip "dockerd does not start here: $(tail -n 1 "$d/log")"
    tar -C "$(base_rootfs)" -c . | docker import - bb >/dev/null
}
docker_answers() { docker version >/dev/null 2>&1 || gone "$DOCKERD_PID"; }

# from_docker NAME HOST PORT [SECONDS]
from_docker() {
    printf 'GET / HTTP/1.0\r\n\r\n' | timeout 30 "$(type -P docker)" -H "unix://$BATS_TEST_TMPDIR/docker.sock" exec -i "$1" \
        nc -w "${4:-10}" "$2" "$3" 2>/dev/null | tail -n 1
}

@test "docker: what is published and what leaves works on both sides, whoever comes first" {
    serve "$ID-first" -p 8080:80
    start_docker
    [ "$(host iptables -S FORWARD | head -n 1)" = "-P FORWARD DROP" ] || skip "this Docker does not drop what is forwarded"
    local before
    before=$(host nft -s list table ip filter)
    docker run -d --name "$TESTID-d" -p 7000:80 bb sh -c 'echo docker >/tmp/index.html; httpd -f -p 80 -h /tmp' >/dev/null
    # the first was there before Docker's policy: the next container of its network asks for it too
    serve "$ID" -p 8081:80
    in_background remote python3 -c "$SERVER" 80 &
    local server=$!
    wait_for 10 remote sh -c "grep -qi ':0050 .* 0A ' /proc/net/tcp6"
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    answers remote http://192.0.2.1:8081/ 192.0.2.2
    answers "$ID" http://192.0.2.2/ 192.0.2.1
    answers "$ID" "http://$ID-first/" "$(address_of "$ID" ip6)"
    [ "$(ask remote http://192.0.2.1:7000/)" = docker ]
    [ "$(ask "$ID" http://192.0.2.1:7000/)" = docker ]
    [ "$(from_docker "$TESTID-d" 192.0.2.1 8081)" = "10.144.0.1 80" ]
    [ "$(from_docker "$TESTID-d" 192.0.2.2 80)" = "192.0.2.1 80" ]
    # not by another way
    [ -z "$(from_docker "$TESTID-d" "$(address_of "$ID")" 80 2)" ]
    kill "$server"
    # iptables can still read its own tables
    host iptables -S DOCKER-USER | grep -q -- '-o ctr0 -j ACCEPT'
    ctr run --clone -p 7000:80 "$ID-c" true
    [ "$status" -eq 125 ] && [[ $stderr == *"port 7000"*"is taken by process"* ]] || fail "$stderr"
    ok delete --force "$ID"
    ok delete --force "$ID-first"
    # Docker has made the host a router, and is not to lose that with our last network
    [ "$(ask remote http://192.0.2.1:7000/)" = docker ]
    docker rm -f "$TESTID-d" >/dev/null
    diff <(echo "$before") <(host nft -s list table ip filter) || fail "Docker's rules are not as before"
    [ -z "$(host nft list tables | grep ctr)" ]
}

@test "docker: the same with plugins of CNI, of which \"firewall\" asks Docker's policy" {
    cni_setup
    jq '.plugins += [{type: "firewall"}]' "$CONF/10-web.conflist" >"$CONF/05-web.conflist"
    PLUGINS_LEAVE=1
    serve "$ID-first" --network cni:web -p 8080:80
    # who switches forwarding on decides about the policy: plugins do not, Docker does
    host sysctl -qw net.ipv4.ip_forward=0
    start_docker
    [ "$(host iptables -S FORWARD | head -n 1)" = "-P FORWARD DROP" ] || skip "this Docker does not drop what is forwarded"
    # that plugin lets out, and in what was asked for; what docs/networking.md says for published ports
    silent remote http://192.0.2.1:8080/
    host iptables -I DOCKER-USER -o cni-t0 -j ACCEPT
    local before
    before=$(docker_rules)
    docker run -d --name "$TESTID-d" -p 7000:80 bb sh -c 'echo docker >/tmp/index.html; httpd -f -p 80 -h /tmp' >/dev/null
    serve "$ID" --network cni:web -p 8081:80
    in_background remote python3 -c "$SERVER" 80 &
    local server=$!
    wait_for 10 remote sh -c "grep -qi ':0050 .* 0A ' /proc/net/tcp6"
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    answers remote http://192.0.2.1:8081/ 192.0.2.2
    answers host http://192.0.2.1:8081/ 192.0.2.1
    answers "$ID" http://192.0.2.2/ 192.0.2.1
    answers "$ID-first" http://192.0.2.2/ 192.0.2.1
    answers "$ID" "http://$(cni_address "$ID-first")/" "$(cni_address "$ID")"
    [ "$(ask remote http://192.0.2.1:7000/)" = docker ]
    [ "$(ask "$ID" http://192.0.2.1:7000/)" = docker ]
    [[ "$(from_docker "$TESTID-d" 192.0.2.1 8081)" == *" 80" ]]
    [ "$(from_docker "$TESTID-d" 192.0.2.2 80)" = "192.0.2.1 80" ]
    fails 125 "port 7000/tcp of the host is taken by process" run --clone --network cni:web -p 7000:80 "$ID-c" true
    # and networks of ctr, of plugins and of Docker at once
    serve "$ID-own" -p 8082:80
    answers remote http://192.0.2.1:8082/ 192.0.2.2
    answers "$ID-own" http://192.0.2.2/ 192.0.2.1
    [[ "$(ask "$ID" http://192.0.2.1:8082/)" == *" 80" ]]
    [ "$(ask "$ID-own" http://192.0.2.1:7000/)" = docker ]
    kill "$server"
    for id in "$ID" "$ID-first" "$ID-own"; do ok delete --force "$id"; done
    silent remote http://192.0.2.1:8081/
    [ "$(ask remote http://192.0.2.1:7000/)" = docker ]
    docker rm -f "$TESTID-d" >/dev/null
    diff <(echo "$before") <(docker_rules) || fail "Docker's rules are not as before"
    cni_leak_free
    [ -z "$(host nft list tables | grep ctr)" ]
    [ -z "$(host iptables-save -t filter | grep -E '10\.99\.')" ]
}
# Those of Docker's own, and what it has put into others' chains.
docker_rules() { host iptables-save | grep -i docker | sed 's/ \[[0-9:]*\]$//'; }

@test "docker: what was asked of its chain and is not there is asked again, once" {
    require_program iptables
    host iptables -P FORWARD DROP
    host iptables -N DOCKER-USER
    host iptables -I FORWARD -j DOCKER-USER
    host iptables -A DOCKER-USER -s 203.0.113.1 -o ctr0 -j ACCEPT
    serve "$ID" -p 8080:80
    local rules
    rules=$(host iptables -S DOCKER-USER)
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    ok run --clone "$ID-b" true
    diff <(echo "$rules") <(host iptables -S DOCKER-USER) || fail "asked twice"
    # as it is when ctr was killed before it could ask, or somebody flushed it
    host iptables -F DOCKER-USER
    silent remote http://192.0.2.1:8080/
    ok run --clone "$ID-b" true
    answers remote http://192.0.2.1:8080/ 192.0.2.2
    ok delete --force "$ID"
    [ "$(host iptables -S DOCKER-USER)" = "-N DOCKER-USER" ] || fail "$(host iptables -S DOCKER-USER)"
    host nft flush ruleset
}

@test "a policy that drops what is forwarded, of somebody who has no place for us, is told" {
    require_program iptables
    host iptables -P FORWARD DROP
    ctr run --clone "$ID" true
    [ "$status" -eq 0 ]
    [[ $stderr == *"iptables -I FORWARD -i ctr0 -j ACCEPT"* ]] || fail "$stderr"
    host nft flush ruleset
}

@test "cni: bridge, portmap, host-local: address, published port, and all undone" {
    [ -x /usr/lib/cni/bridge ] || skip "containernetworking-plugins is not installed"
    export NETCONFPATH=$BATS_TEST_TMPDIR/net.d
    mkdir -p "$NETCONFPATH"
    cat >"$NETCONFPATH/10-web.conflist" <<END
{"cniVersion": "0.4.0", "name": "web", "plugins": [
  {"type": "bridge", "bridge": "cni-web", "isGateway": true, "ipMasq": true,
   "ipam": {"type": "host-local", "dataDir": "$BATS_TEST_TMPDIR/ipam", "ranges": [[{"subnet": "10.66.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
    host sysctl -qw net.ipv4.ip_forward=1
    serve "$ID" --network cni:web -p 8080:80
    in_ctr "$ID" ip -o addr show eth0 | grep -q 'inet 10.66.0.' || fail "$(in_ctr "$ID" ip addr)"
    [[ "$(ask remote http://192.0.2.1:8080/)" == "192.0.2.2 80" ]]
    [ "$("$CTR" --root "$ROOT" network list -q)" = "" ]
    ok delete --force "$ID"
    silent remote http://192.0.2.1:8080/
    [ -z "$(find "$BATS_TEST_TMPDIR/ipam" -name '10.66.0.*')" ]
    [ -z "$(host ip -o link | grep veth)" ]
    fails 125 "no configuration" run --clone --network cni:nosuch "$ID" true
    host ip link del cni-web
    host nft flush ruleset
    host sysctl -qw net.ipv4.ip_forward=0
}
