# SPDX-License-Identifier: Apache-2.0
#
# A network "web" of CNI plugins on the host of the test. For files that have loaded network; theirs is network_setup.

cni_setup() {
    local plugins=/usr/lib/cni
    [ -x "$plugins/bridge" ] && [ -x "$plugins/portmap" ] || skip "containernetworking-plugins is not installed"
    require_program iptables
    CONF=$BATS_TEST_TMPDIR/net.d
    LEASES=$BATS_TEST_TMPDIR/leases
    mkdir "$CONF"
    jq -n --arg leases "$LEASES" '{cniVersion: "1.0.0", name: "web", plugins: [
        {type: "bridge", bridge: "cni-t0", isGateway: true, ipMasq: true, hairpinMode: true,
         capabilities: {mac: true, ips: true},
         ipam: {type: "host-local", dataDir: $leases, ranges: [[{subnet: "10.99.0.0/24"}], [{subnet: "fd99::/64"}]],
                routes: [{dst: "0.0.0.0/0"}, {dst: "::/0"}]}},
        {type: "portmap", capabilities: {portMappings: true}}]}' >"$CONF/10-web.conflist"
    jq -n '{cniVersion: "0.4.0", name: "alone", type: "loopback"}' >"$CONF/20-alone.conf"
    export NETCONFPATH=$CONF
}

# The plugins leave a bridge, chains without rules and forwarding, on purpose. Nothing of a container may be left.
cni_teardown() {
    local rc=0
    delete_all
    [ -z "${BATS_TEST_COMPLETED:-}" ] || [ -z "${LEASES:-}" ] || cni_leak_free || rc=1
    BEFORE=
    network_teardown || rc=1
    return "$rc"
}

cni_leak_free() {
    local left
    left=$(find "$LEASES" -name '10.*' 2>/dev/null)
    [ -z "$left" ] || { echo "leases left: $left"; return 1; }
    left=$(host ip -o link show type veth | grep -v up0 || true)
    [ -z "$left" ] || { echo "links left: $left"; return 1; }
    left=$(host iptables-save -t nat 2>/dev/null | grep -E -- '-A CNI-(DN|[0-9a-f])|10\.99\.' || true)
    [ -z "$left" ] || { echo "rules left: $left"; return 1; }
}

cni_address() { in_ctr "$1" ip -o -4 addr show eth0 | awk '{ sub("/.*", "", $4); print $4 }'; }
