#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The eight namespaces: new, by path, absent; what belongs to each (offsets, maps, names); rootless.

load helpers
load rootless

ALL_NS='cgroup ipc mnt net pid time user uts'
MAP_64K='.linux.uidMappings = [{containerID: 0, hostID: 200000, size: 65536}]
    | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 65536}]'
SHOW_NS='for n in cgroup ipc mnt net pid time user uts; do echo $n $(readlink /proc/self/ns/$n); done'

# ns_add TYPE [PATH]: a namespace entry, in place of one of that type.
ns_add() {
    edit_config '.linux.namespaces |= map(select(.type != $t))
        + [{type: $t} + (if $p == "" then {} else {path: $p} end)]' --arg t "$1" --arg p "${2:-}"
}

ns_drop() {
    edit_config '.linux.namespaces |= map(select(.type != $t))' --arg t "$1"
}

# The identity of a process's namespace as the host sees it.
ns_id() { readlink "/proc/$1/ns/$2"; }
# The same from the lines that SHOW_NS printed.
ns_said() { awk -v n="$1" '$1 == n { print $2 }' "$OUT"; }

# A container to join: its init's pid in $DONOR, its bundle aside.
donor() {
    local keep=$BUNDLE
    make_bundle "$BATS_TEST_TMPDIR/donor"
    edit_config "${1:-.}"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID-donor"
    DONOR=$(state_of "$ID-donor" pid)
    BUNDLE=$keep
}

userns_rootfs() { chown -R "${1:-200000}:${2:-300000}" "$BUNDLE/rootfs"; }

# ---- new, and the host's ----

@test "ns: all eight new ones differ from the host's" {
    require_root
    make_bundle
    edit_config "$MAP_64K"
    userns_rootfs
    ns_add user
    ns_add time
    ns_add cgroup
    run_sh "$SHOW_NS"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$OUT")" -eq 8 ]
    for n in $ALL_NS; do
        [[ $(ns_said $n) == *:\[*\] ]]
        [ "$(ns_said $n)" != "$(ns_id self $n)" ] || fail "$n is the host's"
    done
}

@test "ns: what the configuration does not name is the host's" {
    require_root
    make_bundle
    edit_config '.linux.namespaces = [{type: "mount"}] | del(.hostname)
        | .mounts |= map(select(.type != "sysfs" and .type != "cgroup" and .type != "mqueue"))'
    run_sh "$SHOW_NS; hostname"
    [ "$status" -eq 0 ]
    for n in cgroup ipc net pid time user uts; do
        [ "$(ns_said $n)" = "$(ns_id self $n)" ] || fail "$n is not the host's"
    done
    [ "$(ns_said mnt)" != "$(ns_id self mnt)" ]
    [ "$(tail -n 1 "$OUT")" = "$(hostname)" ]
}

@test "ns: a container without a mount namespace runs in its root all the same" {
    require_root
    make_bundle
    edit_config '.linux.namespaces = [{type: "pid"}, {type: "uts"}]
        | .mounts = [] | del(.linux.maskedPaths, .linux.readonlyPaths)'
    run_sh 'echo $$; ls -d /bin; [ ! -e /proc/self ] && echo no-proc'
    [ "$status" -eq 0 ]
    [ "$output" = $'1\n/bin\nno-proc' ]
}

@test "ns: each type once; an unknown one and a path that is no namespace are refused" {
    require_root
    make_bundle
    set_args /bin/true
    cp "$BUNDLE/config.json" "$BUNDLE/good.json"
    edit_config '.linux.namespaces += [{type: "pid"}]'
    fails 1 'linux.namespaces' create --bundle "$BUNDLE" "$ID"
    cp "$BUNDLE/good.json" "$BUNDLE/config.json"
    edit_config '.linux.namespaces += [{type: "bogus"}]'
    fails 1 'bogus' create --bundle "$BUNDLE" "$ID"
    cp "$BUNDLE/good.json" "$BUNDLE/config.json"
    ns_add network /proc/self/ns/uts
    fails 1 'another kind' create --bundle "$BUNDLE" "$ID"
    ns_add network /etc/passwd
    fails 1 'not a namespace' create --bundle "$BUNDLE" "$ID"
    ns_add network /no/such/namespace
    fails 1 '/no/such/namespace' create --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

# ---- by path ----

@test "ns: network joined by path reaches the other's loopback" {
    require_root
    make_bundle
    donor
    ok exec --detach "$ID-donor" /bin/sh -c 'echo hello from the donor | nc -l -p 7777'
    # 7777 is 1E61, 0A is LISTEN
    wait_for 10 grep -qE ':1E61 .* 0A ' "/proc/$DONOR/net/tcp" "/proc/$DONOR/net/tcp6"
    ns_add network "/proc/$DONOR/ns/net"
    run_sh "$SHOW_NS; nc 127.0.0.1 7777 </dev/null"
    [ "$status" -eq 0 ]
    [ "$(ns_said net)" = "$(ns_id "$DONOR" net)" ]
    grep -qx 'hello from the donor' "$OUT"
    [ "$(ns_said ipc)" != "$(ns_id "$DONOR" ipc)" ]
    ok delete --force "$ID-donor"
}

@test "ns: pid joined by path sees the other's processes and is not pid 1" {
    require_root
    make_bundle
    donor
    ns_add pid "/proc/$DONOR/ns/pid"
    run_sh "$SHOW_NS; echo me \$\$; cat /proc/1/cmdline | tr '\\0' ' '"
    [ "$status" -eq 0 ]
    [ "$(ns_said pid)" = "$(ns_id "$DONOR" pid)" ]
    grep -qx 'me [2-9][0-9]*' "$OUT"
    grep -q '/bin/sleep 1000' "$OUT"
    ok delete --force "$ID-donor"
}

@test "ns: ipc, uts, cgroup and time joined by path" {
    require_root
    make_bundle
    donor '.hostname = "donor-host" | .linux.namespaces += [{type: "time"}] | .linux.timeOffsets.boottime.secs = 777000'
    # a System V message queue is seen only in its own namespace
    nsenter -t "$DONOR" -i ipcmk -Q >/dev/null
    edit_config 'del(.hostname)'
    for n in ipc uts cgroup time; do ns_add $n "/proc/$DONOR/ns/$n"; done
    run_sh "$SHOW_NS; hostname; wc -l </proc/sysvipc/msg; cat /proc/self/timens_offsets"
    [ "$status" -eq 0 ]
    for n in ipc uts cgroup time; do
        [ "$(ns_said $n)" = "$(ns_id "$DONOR" $n)" ] || fail "$n was not joined"
    done
    grep -qx donor-host "$OUT"
    # a head line and the queue
    grep -qx 2 "$OUT"
    grep -qE '^boottime +777000 +0$' "$OUT"
    ok delete --force "$ID-donor"
}

@test "ns: a joined uts namespace takes no host name that is not its own" {
    require_root
    make_bundle
    donor '.hostname = "donor-host"'
    ns_drop uts
    edit_config '.hostname = "other"'
    set_args /bin/true
    fails 1 hostname create --bundle "$BUNDLE" "$ID"
    [ "$(nsenter -t "$DONOR" -u hostname)" = donor-host ]
    ok delete --force "$ID-donor"
}

@test "ns: user joined by path, with new others that belong to it" {
    require_root
    make_bundle
    userns_rootfs
    donor "$MAP_64K"' | .linux.namespaces += [{type: "user"}]'
    # the donor's root is not readable by its user namespace: it only sleeps
    ns_add user "/proc/$DONOR/ns/user"
    run_sh "$SHOW_NS; id -u; cat /proc/self/uid_map"
    [ "$status" -eq 0 ]
    [ "$(ns_said user)" = "$(ns_id "$DONOR" user)" ]
    for n in mnt net uts ipc pid cgroup; do
        [ "$(ns_said $n)" != "$(ns_id "$DONOR" $n)" ]
        [ "$(ns_said $n)" != "$(ns_id self $n)" ]
    done
    grep -qE '^ +0 +200000 +65536$' "$OUT"
    ok delete --force "$ID-donor"
}

@test "ns: user, network, ipc, uts and pid of one container joined by another" {
    require_root
    make_bundle
    userns_rootfs
    donor "$MAP_64K"' | .linux.namespaces += [{type: "user"}] | .hostname = "donor-host"'
    edit_config 'del(.hostname)'
    for n in user:user network:net ipc:ipc uts:uts pid:pid; do
        ns_add "${n%:*}" "/proc/$DONOR/ns/${n#*:}"
    done
    run_sh "$SHOW_NS; hostname"
    [ "$status" -eq 0 ]
    for n in user net ipc uts pid; do
        [ "$(ns_said $n)" = "$(ns_id "$DONOR" $n)" ] || fail "$n was not joined"
    done
    [ "$(ns_said mnt)" != "$(ns_id "$DONOR" mnt)" ]
    [ "$(tail -n 1 "$OUT")" = donor-host ]
    ok delete --force "$ID-donor"
}

@test "ns: a network namespace of the host's owner joined from a new user namespace" {
    require_root
    make_bundle
    donor
    edit_config "$MAP_64K"
    userns_rootfs
    ns_add user
    ns_add network "/proc/$DONOR/ns/net"
    # a sysfs can only be mounted by who owns the network namespace
    edit_config '.mounts |= map(select(.type != "sysfs" and .type != "cgroup"))'
    run_sh "$SHOW_NS"
    [ "$status" -eq 0 ]
    [ "$(ns_said net)" = "$(ns_id "$DONOR" net)" ]
    [ "$(ns_said user)" != "$(ns_id self user)" ]
    ok delete --force "$ID-donor"
}

@test "ns: mount joined by path: the root is found in it and the joined one is used" {
    require_root
    make_bundle
    mkdir "$BATS_TEST_TMPDIR/mp"
    # a namespace of its own, in which a file system hides nothing of the bundle
    unshare --mount --propagation private sh -c \
        "mount -t tmpfs tmpfs '$BATS_TEST_TMPDIR/mp' && mkdir '$BATS_TEST_TMPDIR/mp/only-there' && exec sleep 1000" \
        3>&- &
    local holder=$!
    wait_for 10 nsenter -t "$holder" -m test -d "$BATS_TEST_TMPDIR/mp/only-there"
    ns_add mount "/proc/$holder/ns/mnt"
    edit_config '.mounts += [{destination: "/mnt", source: $s, options: ["bind"]}]' --arg s "$BATS_TEST_TMPDIR/mp"
    run_sh "$SHOW_NS; ls /mnt"
    kill "$holder"
    [ "$status" -eq 0 ]
    grep -qx only-there "$OUT"
    [[ $(ns_said mnt) != "$(ns_id self mnt)" ]]
}

@test "ns: exec joins every namespace of the container, new and joined" {
    require_root
    make_bundle
    donor
    ns_add network "/proc/$DONOR/ns/net"
    ns_add user
    ns_add time
    edit_config "$MAP_64K | .mounts |= map(select(.type != \"sysfs\" and .type != \"cgroup\"))"
    userns_rootfs
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    pid=$(state_of "$ID" pid)
    ok exec "$ID" /bin/sh -c "$SHOW_NS"
    for n in $ALL_NS; do
        [ "$(ns_said $n)" = "$(ns_id "$pid" $n)" ] || fail "exec is in another $n"
    done
    [ "$(ns_said net)" = "$(ns_id "$DONOR" net)" ]
    ok delete --force "$ID"
    ok delete --force "$ID-donor"
}

@test "ns: user joined by path alone" {
    require_root
    make_bundle
    # no mount namespace in which the caller could open it for the user
    reachable "$BUNDLE"
    userns_rootfs
    donor "$MAP_64K"' | .linux.namespaces += [{type: "user"}]'
    edit_config '.linux.namespaces = [{type: "user", path: $p}] | .mounts = []
        | del(.hostname, .linux.maskedPaths, .linux.readonlyPaths, .linux.resources)' --arg p "/proc/$DONOR/ns/user"
    run_sh 'id -u; id -G; mkdir /tmp/made; stat -c %u:%g /tmp/made'
    [ "$status" -eq 0 ]
    [ "$output" = $'0\n0\n0:0' ]
    [ "$(stat -c %u:%g "$BUNDLE/rootfs/tmp/made")" = 200000:300000 ]
    ok delete --force "$ID-donor"
}

# ---- what belongs to a namespace ----

@test "time: offsets are in the namespace, and the clocks show them" {
    require_root
    [ -e /proc/self/timens_offsets ] || skip 'no time namespaces'
    make_bundle
    ns_add time
    edit_config '.linux.timeOffsets = {monotonic: {secs: 1000, nanosecs: 5}, boottime: {secs: 864000, nanosecs: 7}}'
    run_sh 'cat /proc/self/timens_offsets /proc/uptime'
    [ "$status" -eq 0 ]
    grep -qE '^monotonic +1000 +5$' "$OUT"
    grep -qE '^boottime +864000 +7$' "$OUT"
    local now inside
    now=$(cut -d. -f1 /proc/uptime)
    inside=$(tail -n 1 "$OUT" | cut -d. -f1)
    [ $((inside - now)) -ge 863900 ]
    [ $((inside - now)) -le 864001 ]
}

@test "time: negative offsets, and offsets without a time namespace" {
    require_root
    [ -e /proc/self/timens_offsets ] || skip 'no time namespaces'
    make_bundle
    edit_config '.linux.timeOffsets = {boottime: {secs: -10}}'
    set_args /bin/true
    fails 1 'linux.timeOffsets' create --bundle "$BUNDLE" "$ID"
    ns_add time
    run_sh 'cat /proc/self/timens_offsets'
    [ "$status" -eq 0 ]
    grep -qE '^boottime +-10 +0$' "$OUT"
}

@test "uts: hostname and domainname" {
    require_root
    make_bundle
    edit_config '.hostname = "inside-host" | .domainname = "inside.domain"'
    local before
    before=$(uname -n)
    run_sh 'uname -n; cat /proc/sys/kernel/domainname'
    [ "$status" -eq 0 ]
    [ "$output" = $'inside-host\ninside.domain' ]
    [ "$(uname -n)" = "$before" ]
}

@test "uts: names without the namespace would be the host's and are refused" {
    require_root
    make_bundle
    edit_config '.hostname = "inside-host" | .domainname = "inside.domain"'
    ns_drop uts
    set_args /bin/true
    fails 1 hostname create --bundle "$BUNDLE" "$ID"
    edit_config 'del(.hostname)'
    fails 1 domainname create --bundle "$BUNDLE" "$ID"
}

@test "network: a new namespace has the loopback up and nothing else" {
    require_root
    make_bundle
    edit_config '.process.capabilities[] |= . + ["CAP_NET_RAW"]'
    run_sh 'cat /sys/class/net/lo/flags; ls /sys/class/net; ping -c 1 -W 2 127.0.0.1 >/dev/null && echo answers'
    [ "$status" -eq 0 ]
    [[ $output == 0x*9$'\n'* ]]
    [[ $output == *answers ]]
    ! grep -q eth "$OUT" || fail "found what must not be there"
}

@test "user: maps of several lines, seen from both sides, files owned right" {
    require_root
    make_bundle
    ns_add user
    edit_config '.linux.uidMappings = [
            {containerID: 0, hostID: 200000, size: 1000},
            {containerID: 1000, hostID: 5000, size: 1},
            {containerID: 1001, hostID: 201001, size: 5000}]
        | .linux.gidMappings = [
            {containerID: 0, hostID: 300000, size: 1000},
            {containerID: 1000, hostID: 6000, size: 10}]
        | .process.user = {uid: 1000, gid: 1005, additionalGids: [7, 1001]}'
    userns_rootfs
    chmod 1777 "$BUNDLE/rootfs/tmp"
    set_args /bin/sh -c 'cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; id -G; touch /tmp/mine
        stat -c "%u:%g" /tmp/mine /bin; echo done; exec sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    local said=$OUT
    wait_for 10 grep -qx done "$said"
    grep -qE '^ +0 +200000 +1000$' "$said"
    grep -qE '^ +1000 +5000 +1$' "$said"
    grep -qE '^ +1001 +201001 +5000$' "$said"
    grep -qE '^ +0 +300000 +1000$' "$said"
    grep -qE '^ +1000 +6000 +10$' "$said"
    grep -qx 1000 "$said"
    # the kernel sorts them by their numbers outside
    grep -qx '1005 1001 7' "$said"
    grep -qx '1000:1005' "$said"
    grep -qx '0:0' "$said"
    [ "$(stat -c %u:%g "$BUNDLE/rootfs/tmp/mine")" = 5000:6005 ]
    pid=$(state_of "$ID" pid)
    [ "$(awk '/^Uid/ { print $2, $3, $4, $5 }' "/proc/$pid/status")" = '5000 5000 5000 5000' ]
    [ "$(awk '/^Gid/ { print $2, $3, $4, $5 }' "/proc/$pid/status")" = '6005 6005 6005 6005' ]
    ok exec --user 0:0 "$ID" /bin/sh -c 'id -u; touch /tmp/by-root'
    [ "$output" = 0 ]
    [ "$(stat -c %u:%g "$BUNDLE/rootfs/tmp/by-root")" = 200000:300000 ]
    ok delete --force "$ID"
}

@test "user: a rootfs that only the caller can reach works inside a user namespace" {
    require_root
    make_bundle
    ns_add user
    edit_config "$MAP_64K"
    userns_rootfs
    mkdir "$BATS_TEST_TMPDIR/closed" "$BATS_TEST_TMPDIR/closed/volume"
    echo secret >"$BATS_TEST_TMPDIR/closed/volume/file"
    mv "$BUNDLE" "$BATS_TEST_TMPDIR/closed/bundle"
    BUNDLE=$BATS_TEST_TMPDIR/closed/bundle
    chmod 700 "$BATS_TEST_TMPDIR/closed"
    edit_config '.mounts += [{destination: "/mnt", source: $s, options: ["bind", "ro"]}]' \
        --arg s "$BATS_TEST_TMPDIR/closed/volume"
    run_sh 'id -u; cat /mnt/file; wc -l </proc/self/uid_map'
    [ "$status" -eq 0 ]
    [ "$output" = $'0\nsecret\n1' ]
}

@test "user: missing, overlapping and too long maps, unmapped users" {
    require_root
    make_bundle
    set_args /bin/true
    ns_add user
    fails 1 'linux.uidMappings' create --bundle "$BUNDLE" "$ID"
    edit_config "$MAP_64K"' | del(.linux.gidMappings)'
    fails 1 'linux.gidMappings' create --bundle "$BUNDLE" "$ID"
    edit_config "$MAP_64K"' | .linux.uidMappings += [{containerID: 5, hostID: 900000, size: 1}]'
    fails 1 'overlap' create --bundle "$BUNDLE" "$ID"
    edit_config "$MAP_64K"' | .process.user.uid = 70000'
    fails 1 'process.user.uid' create --bundle "$BUNDLE" "$ID"
    edit_config '.process.user.uid = 0 | .linux.uidMappings = [range(341) | {containerID: ., hostID: (. + 1000), size: 1}]'
    fails 1 'linux.uidMappings' create --bundle "$BUNDLE" "$ID"
    edit_config "$MAP_64K"
    ns_drop user
    fails 1 'needs the namespace "user"' create --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

@test "user: 340 ranges are mapped" {
    require_root
    make_bundle
    ns_add user
    edit_config '.linux.uidMappings = [range(340) | {containerID: (. * 2), hostID: (5000 + . * 2), size: 1}]
        | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 65536}]'
    userns_rootfs 5000
    run_sh 'wc -l </proc/self/uid_map; tail -n 1 /proc/self/uid_map'
    [ "$status" -eq 0 ]
    [[ $output =~ ^340$'\n'\ +678\ +5678\ +1$ ]]
}

# ---- rootless ----

@test "rootless: the configuration of spec --rootless runs, mapped to the user alone" {
    rootless_setup
    run_sh 'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; touch /tmp/mine; echo pid $$'
    [ "$status" -eq 0 ]
    [ "$(head -n 2 "$OUT")" = $'0\n0' ]
    [ "$(grep -cE "^ +0 +$ROOTLESS_ID +1$" "$OUT")" -eq 2 ]
    grep -qx deny "$OUT"
    grep -qx 'pid 1' "$OUT"
    [ "$(stat -c %u:%g "$USERDIR/rootfs/tmp/mine")" = $ROOTLESS_ID:$ROOTLESS_ID ]
}

@test "rootless: life cycle and exec" {
    rootless_setup
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    [ "$(state_of "$ID")" = created ]
    ok start "$ID"
    [ "$(state_of "$ID")" = running ]
    ok exec "$ID" /bin/sh -c 'id -u; readlink /proc/self/ns/user'
    pid=$(state_of "$ID" pid)
    [ "$output" = "0"$'\n'"$(ns_id "$pid" user)" ]
    [ "$(stat -c %u "/proc/$pid")" = $ROOTLESS_ID ]
    ok list -q
    [ "$output" = "$ID" ]
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
    assert_leak_free
}

@test "rootless: user, pid, ipc and uts of one container joined by another" {
    rootless_setup
    edit_config '.hostname = "first"'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID-donor"
    pid=$(state_of "$ID-donor" pid)
    edit_config 'del(.hostname, .linux.uidMappings, .linux.gidMappings)'
    for n in user:user pid:pid ipc:ipc uts:uts; do ns_add "${n%:*}" "/proc/$pid/ns/${n#*:}"; done
    run_sh "$SHOW_NS; echo me \$\$; hostname; tr '\\0' ' ' </proc/1/cmdline"
    [ "$status" -eq 0 ]
    for n in user pid ipc uts; do [ "$(ns_said $n)" = "$(ns_id "$pid" $n)" ] || fail "$n was not joined"; done
    [ "$(ns_said mnt)" != "$(ns_id "$pid" mnt)" ]
    grep -qx first "$OUT"
    grep -qx 'me [2-9][0-9]*' "$OUT"
    grep -q '/bin/sleep 1000' "$OUT"
    ok delete --force "$ID-donor"
}

@test "rootless: several ids through newuidmap and newgidmap" {
    rootless_setup
    edit_config '.linux.uidMappings = [{containerID: 0, hostID: $me, size: 1}, {containerID: 1, hostID: 700000, size: 65536}]
        | .linux.gidMappings = .linux.uidMappings
        | .process.capabilities[] |= . + ["CAP_CHOWN", "CAP_SETUID"]' --argjson me $ROOTLESS_ID
    chmod 1777 "$USERDIR/rootfs/tmp"
    run_sh 'cat /proc/self/uid_map /proc/self/setgroups; touch /tmp/theirs; chown 1000:1000 /tmp/theirs; stat -c %u:%g /tmp/theirs'
    [ "$status" -eq 0 ]
    grep -qE '^ +1 +700000 +65536$' "$OUT"
    grep -qx allow "$OUT"
    grep -qx 1000:1000 "$OUT"
    [ "$(stat -c %u:%g "$USERDIR/rootfs/tmp/theirs")" = 700999:700999 ]
    edit_config '.process.user = {uid: 1000, gid: 1000, additionalGids: [50]}'
    run_sh 'id -u; id -G'
    [ "$output" = $'1000\n1000 50' ]
}

@test "rootless: ids that are not the user's are refused by newuidmap" {
    rootless_setup
    edit_config '.linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}]'
    set_args /bin/true
    fails 1 newuidmap create --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    assert_leak_free
}

@test "rootless: a cgroup that cannot be had is no error, and resources in it are one" {
    rootless_setup
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    [ -z "$(cgroup_dirs "$TESTID")" ]
    edit_config '.linux.resources.memory.limit = 67108864'
    fails 1 cgroup run --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

@test "rootless: a terminal" {
    rootless_setup
    require_program script
    edit_config '.process.terminal = true'
    set_args /bin/sh -c 'tty; stat -c %t:%T /dev/console; echo through >/dev/tty'
    ctr_tty run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    [[ $output == */dev/pts/0* || $output == */dev/console* ]]
    [[ $output == *through* ]]
}

@test "rootless: additional groups where setgroups is denied are refused with the reason" {
    rootless_setup
    edit_config '.process.user.additionalGids = [0]'
    set_args /bin/true
    fails 1 additionalGids run --bundle "$BUNDLE" "$ID"
}

@test "rootless: a clone of the machine is refused" {
    rootless_setup
    fails 125 '--clone: a clone of this machine needs root' run --clone "$ID" true
}

@test "rootless: root of a user namespace, as rootless engines call it" {
    unshare --help | grep -q map-users || skip 'unshare cannot map users'
    rootless_setup
    edit_config 'del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(select(.type != "user"))
        | .mounts |= map(if .destination == "/sys" then {destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"]} else . end)
        | .linux.namespaces += [{type: "network"}]'
    mkdir "$USERDIR/xdg"
    mv "$USERDIR/ctr" "$USERDIR/ctr.bin"
    cat >"$USERDIR/script" <<'END'
set -e
export XDG_RUNTIME_DIR=$1/xdg USER=somebody
ctr="timeout -k 5 $2 $1/ctr.bin"
$ctr list -q
$ctr run --detach --bundle "$1" c
[ -d "$1/xdg/ctr/c" ]
[ "$($ctr exec c id -u)" = 0 ]
# root of a container has a login and such a directory, too, and is root there
[ "$($ctr list -q)" = c ]
[ -z "$(USER=root $ctr list -q 2>/dev/null)" ]
[ -z "$(env -u XDG_RUNTIME_DIR $ctr list -q 2>/dev/null)" ]
$ctr delete --force c
# who says that he is root has no cgroup either, which is an error then
! $ctr --rootless=false run --bundle "$1" c
echo done
END
    printf '#!/bin/sh\nexec unshare --mount --user --map-users 700000,0,65536 --map-groups 700000,0,65536 --setgid 0 --setuid 0 \
        sh "$@"\n' >"$USERDIR/ctr"
    chmod 755 "$USERDIR/ctr"
    set_args /bin/sh -c 'echo hi; sleep 1000'
    chown -R 700000:700000 "$USERDIR"
    "$CTR" "$USERDIR/script" "$USERDIR" "$DEADLINE" >"$BATS_TEST_TMPDIR/said" 2>&1 </dev/null 3>&- || fail "$(cat "$BATS_TEST_TMPDIR/said")"
    grep -qx hi "$BATS_TEST_TMPDIR/said" && grep -qx done "$BATS_TEST_TMPDIR/said" || fail "$(cat "$BATS_TEST_TMPDIR/said")"
    grep -q 'create cgroup .*: Permission denied' "$BATS_TEST_TMPDIR/said" || fail "$(cat "$BATS_TEST_TMPDIR/said")"
}

@test "rootless: where groups cannot be set, a container without a user namespace of its own keeps those of its caller" {
    rootless_setup
    edit_config 'del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(select(.type != "user"))
        | .mounts |= map(if .destination == "/sys" then {destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"]} else . end)
        | .linux.namespaces += [{type: "network"}] | .mounts |= map(if .type == "devpts" then .options -= ["gid=5"] else . end)'
    mv "$USERDIR/ctr" "$USERDIR/ctr.bin"
    printf '#!/bin/sh\nexec unshare --mount --user --map-root-user "%s" "$@"\n' "$USERDIR/ctr.bin" >"$USERDIR/ctr"
    chmod 755 "$USERDIR/ctr"
    set_args /bin/sh -c 'id -u; echo hi'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'0\nhi' ]
}
