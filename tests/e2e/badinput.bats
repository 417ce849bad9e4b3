#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Bad input: one line on stderr that names the object and the reason, the contract's exit code, nothing left behind.

load helpers

setup() {
    common_setup
    make_bundle
    set_args /bin/true
}

# refused TEXT ARGS...: exit 1, exactly one line, which has TEXT; the state root holds nothing.
refused() {
    local text=$1
    shift
    ctr "$@"
    [ "$status" -eq 1 ] || fail "ctr ${*:0:200}: status $status, not 1: ${stderr:0:300}"
    [ "$(wc -l <"$ERR")" -eq 1 ] || fail "ctr: $(wc -l <"$ERR") lines, not one: ${stderr:0:600}"
    [[ $stderr == "ctr: "*"$text"* ]] || fail "ctr: stderr does not say \"$text\": ${stderr:0:600}"
    [ ! -s "$OUT" ] || fail "something on stdout: $output"
    clean "${text:0:60}"
}

clean() {
    local left
    left=$([ ! -d "$ROOT" ] || find "$ROOT" -mindepth 1 -maxdepth 1 ! -name '.*')
    [ -z "$left" ] || fail "$1: state left: $left"
    left=$(cgroup_dirs "$TESTID")
    [ -z "$left" ] || fail "$1: cgroups left: $left"
}

# bad FILTER TEXT: the configuration, so changed, is refused with TEXT by create and by run.
bad() {
    cp "$BUNDLE/config.json" "$BATS_TEST_TMPDIR/good.json"
    edit_config "$1"
    refused "$2" create --bundle "$BUNDLE" "$ID" || { echo "filter: $1"; return 1; }
    refused "$2" run --bundle "$BUNDLE" "$ID"
    mv "$BATS_TEST_TMPDIR/good.json" "$BUNDLE/config.json"
}

create() { refused "$1" create --bundle "$BUNDLE" "$ID"; }

@test "bad input: config.json that is no configuration" {
    local c=$BUNDLE/config.json good=$BATS_TEST_TMPDIR/good
    mv "$c" "$good"
    create "$c: No such file or directory"
    : >"$c"
    create config.json
    echo '{ broken' >"$c"
    create config.json
    head -c 700 "$good" >"$c"
    create config.json
    { cat "$good"; echo '{}'; } >"$c"
    create config.json
    echo '[]' >"$c"
    create config.json
    echo 'null' >"$c"
    create config.json
    { head -c 200 "$good"; head -c 100 /dev/zero; tail -c +300 "$good"; } >"$c"
    create config.json
    printf '{"ociVersion":"1.0.0","hostname":"\xff\xfe"}' >"$c"
    create config.json
    rm "$c"
    mkdir "$c"
    create 'Is a directory'
}

@test "bad input: huge and deeply nested configurations" {
    local c=$BUNDLE/config.json
    cp "$c" "$BATS_TEST_TMPDIR/good"
    truncate -s 17M "$c"
    create "$c: larger than"
    python3 -c 'print("{\"x\":" * 100000 + "1" + "}" * 100000)' >"$c"
    create config.json
    python3 -c 'print("[" * 1000000)' >"$c"
    create config.json
    # an annotation of 15 MiB is large, but a configuration
    jq '.annotations.big = ("x" * 15000000)' "$BATS_TEST_TMPDIR/good" >"$c"
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -le 1 ]
    clean "15 MiB"
}

@test "bad input: wrong types and numbers out of range, with their paths" {
    bad '.process.args = "ls"' process.args
    bad '.process.args = []' process.args
    bad '.process.args = [1]' 'process.args[0]'
    bad '.process.terminal = "yes"' process.terminal
    bad '.process.user.uid = -1' process.user.uid
    bad '.process.user.uid = 4294967296' process.user.uid
    bad '.process.user.uid = 1.5' process.user.uid
    bad '.process.user.uid = "0"' process.user.uid
    bad '.process.oomScoreAdj = 1001' process.oomScoreAdj
    bad '.process.cwd = "relative"' process.cwd
    bad '.process.env = ["NOEQUALS"]' 'process.env[0]'
    bad '.linux.resources.memory.limit = "1g"' linux.resources.memory.limit
    bad '.linux.resources.memory.limit = 99999999999999999999' linux.resources.memory.limit
    bad '.linux.resources.cpu.period = -5' linux.resources.cpu.period
    bad '.linux.resources.cpu.cpus = "0-x"' linux.resources.cpu.cpus
    bad '.mounts = {}' mounts
    bad '.mounts += [{type: "tmpfs"}]' destination
    bad 'del(.ociVersion)' ociVersion
    bad '.ociVersion = "banana"' ociVersion
    bad '.hostname = ("x" * 65)' hostname
    bad '.root = "rootfs"' root
    bad 'del(.root)' root
    bad 'del(.process)' process
    bad '.hooks.createRuntime = [{path: "relative"}]' 'hooks.createRuntime[0].path'
}

@test "bad input: unknown words, with their paths" {
    bad '.process.capabilities.bounding += ["CAP_FLY"]' CAP_FLY
    bad '.linux.namespaces += [{type: "moon"}]' moon
    bad '.linux.namespaces += [{type: "pid"}]' namespaces
    bad '.linux.namespaces += [{type: "user", path: "/no/such/ns"}]' /no/such/ns
    bad '.linux.namespaces += [{type: "time", path: "/etc/passwd"}]' /etc/passwd
    bad '.process.rlimits = [{type: "RLIMIT_LOVE", hard: 1, soft: 1}]' RLIMIT_LOVE
    bad '.linux.seccomp = {defaultAction: "SCMP_ACT_DANCE"}' SCMP_ACT_DANCE
    bad '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_Z80"]}' SCMP_ARCH_Z80
    bad '.linux.rootfsPropagation = "sideways"' sideways
    bad '.mounts += [{destination: "/mnt", type: "bind", source: "/etc", options: ["bind", "idmap=moon"]}]' idmap=moon
    bad '.mounts += [{destination: "/mnt", type: "tmpfs", options: ["nosuchoption=1"]}]' /mnt
    bad '.mounts += [{destination: "/mnt", type: "nosuchfs", source: "x"}]' nosuchfs
    bad '.mounts += [{destination: "/mnt", type: "bind", source: "/no/such/source", options: ["bind"]}]' /no/such/source
    bad '.linux.devices = [{path: "/dev/x", type: "z", major: 1, minor: 1}]' 'linux.devices[0].type'
    bad '.linux.sysctl = {"no.such.key": "1"}' no.such.key
}

@test "bad input: what this version cannot do is refused with its path, never ignored" {
    bad '.linux.intelRdt = {closID: "x"}' linux.intelRdt
    bad '.vm = {kernel: {path: "/k"}}' vm.kernel.path
    bad '.vm = {kernel: {path: "/k"}, hwConfig: {deviceTree: "/d"}}' vm.hwConfig.deviceTree
    bad '.annotations["org.ctr.isolation"] = "moon"' org.ctr.isolation
}

@test "bad input: IDs" {
    local id
    for id in '' . .. .x ../x a/b /abs 'a b' $'a\nb' $'a\tb' 'a\0b' 'é' 'a*' '$(x)' "$(printf 'x%.0s' $(seq 1025))" \
        "$(printf 'x%.0s' $(seq 2000))"; do
        refused 'invalid container ID format' create --bundle "$BUNDLE" "$id"
        refused 'invalid container ID format' run --bundle "$BUNDLE" "$id"
        refused 'invalid container ID format' state "$id"
        refused 'invalid container ID format' delete --force "$id"
        ctr exec "$id" /bin/true
        [ "$status" -eq 255 ]
        [ "$(wc -l <"$ERR")" -eq 1 ]
    done
    [ "$(ls -A "$BATS_TEST_TMPDIR" | grep -cx x || true)" -eq 0 ]
    ok run --bundle "$BUNDLE" "$TESTID+_.-0"
}

@test "bad input: a long ID is a name for a directory, or refused in one line" {
    local id=$TESTID
    while [ "${#id}" -lt 255 ]; do id+=x; done
    ctr run --bundle "$BUNDLE" "$id"
    [ "$(wc -l <"$ERR")" -le 1 ]
    clean 255
    refused 'File name too long' run --bundle "$BUNDLE" "${id}x"
}

@test "bad input: root file systems and programs that are not there" {
    bad '.root.path = "no-such-rootfs"' no-such-rootfs
    bad '.root.path = "/no/such/rootfs"' /no/such/rootfs
    bad '.root.path = "config.json"' config.json
    bad '.process.args = ["/no/such/program"]' '/no/such/program: no such file or directory'
    bad '.process.args = ["no-such-program"]' 'exec: "no-such-program": executable file not found in $PATH'
    bad '.process.args = [""]' 'process.args[0]'
    bad '.process.args = ["/etc/passwd"]' 'exec: "/etc/passwd": permission denied'
    bad '.process.args = ["/etc"]' '/etc'
    bad '.process.user.uid = 1000 | .process.args = ["/root/x"]' /root/x
    # to the kernel it means "as it is": root
    bad '.process.user.uid = 4294967295' process.user.uid
    bad '.process.user.gid = 4294967295' process.user.gid
    bad '.process.user.additionalGids = [4294967295]' process.user.additionalGids
    bad '.linux.devices = [{path: "/dev/x", type: "c", major: 1, minor: 3, uid: 4294967295}]' 'linux.devices[0].uid'
    refused no-such-bundle create --bundle "$BATS_TEST_TMPDIR/no-such-bundle" "$ID"
    refused passwd create --bundle /etc/passwd "$ID"
}

@test "bad input: a script without its interpreter fails at start, in words" {
    printf '#!/no/such/interpreter\n' >"$BUNDLE/rootfs/bin/script"
    chmod +x "$BUNDLE/rootfs/bin/script"
    set_args /bin/script
    refused '/bin/script' run --bundle "$BUNDLE" "$ID"
    echo garbage >"$BUNDLE/rootfs/bin/script"
    refused '/bin/script' run --bundle "$BUNDLE" "$ID"
}

@test "bad input: sockets and files that the caller names" {
    edit_config '.process.terminal = true'
    refused no-such-socket create --console-socket "$BATS_TEST_TMPDIR/no-such-socket" --bundle "$BUNDLE" "$ID"
    refused passwd create --console-socket /etc/passwd --bundle "$BUNDLE" "$ID"
    refused 'console socket' create --bundle "$BUNDLE" "$ID"
    edit_config '.process.terminal = false'
    refused '--console-socket' create --console-socket "$BATS_TEST_TMPDIR/no-such-socket" --bundle "$BUNDLE" "$ID"
    refused no-such-dir create --pid-file "$BATS_TEST_TMPDIR/no-such-dir/pid" --bundle "$BUNDLE" "$ID"
    mkdir "$BATS_TEST_TMPDIR/pid.dir"
    refused pid.dir create --pid-file "$BATS_TEST_TMPDIR/pid.dir" --bundle "$BUNDLE" "$ID"
    refused no-such-socket create --pidfd-socket "$BATS_TEST_TMPDIR/no-such-socket" --bundle "$BUNDLE" "$ID"
    refused no-such-dir --log "$BATS_TEST_TMPDIR/no-such-dir/log" create --bundle "$BUNDLE" "$ID"
}

@test "bad input: a state root that cannot hold any state" {
    require_root
    local saved=$ROOT
    echo >"$BATS_TEST_TMPDIR/file"
    ROOT=$BATS_TEST_TMPDIR/file
    ctr create --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 1 ]
    [[ $stderr == *"$BATS_TEST_TMPDIR/file"*"Not a directory"* ]]
    ROOT=$saved
    # a full and a read-only file system, in a mount namespace of this test's own
    mkdir -p "$BATS_TEST_TMPDIR/full"
    cat >"$BATS_TEST_TMPDIR/inside" <<'S'
        set -u
        ctr=$1 dir=$2 bundle=$3 id=$4
        mount -t tmpfs -o size=64k,mode=755 none "$dir" || exit 90
        try() {
            "$ctr" --root "$dir" "$1" --bundle "$bundle" "$id" >"$dir.out" 2>"$dir.err" </dev/null 3>&-
            rc=$?
            [ "$rc" -eq 1 ] && [ "$(wc -l <"$dir.err")" -eq 1 ] || { echo "$1: $rc"; cat "$dir.err"; exit 91; }
            grep -q "$2" "$dir.err" || { cat "$dir.err"; exit 92; }
            [ ! -e "$dir/$id" ] || { echo "left: $(ls -lA "$dir/$id")"; exit 93; }
        }
        dd if=/dev/zero of="$dir/.fill" bs=4096 2>/dev/null
        try create 'No space left on device'
        try run 'No space left on device'
        rm "$dir/.fill"
        # no inode for the second file
        mount -o remount,nr_inodes=4 "$dir" && try create 'No space left on device'
        mount -o remount,ro,nr_inodes=100 "$dir" || exit 94
        try create 'Read-only file system'
        try run 'Read-only file system'
S
    local rc=0
    timeout 60 unshare -m bash "$BATS_TEST_TMPDIR/inside" "$CTR" "$BATS_TEST_TMPDIR/full" "$BUNDLE" "$ID" \
        >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- || rc=$?
    [ "$rc" -eq 0 ] || fail "$rc: $(cat "$BATS_TEST_TMPDIR/said")"
    clean full
}

@test "bad input: a failure is one JSON object in the log, with the same words as the line" {
    local log=$BATS_TEST_TMPDIR/log
    set_args /no-such-program
    refused no-such-program --log "$log" --log-format json create --bundle "$BUNDLE" "$ID"
    [ "$(jq -s 'map(select(.level == "error")) | length' "$log")" -eq 1 ]
    [ "ctr: $(jq -r 'select(.level == "error").msg' "$log")" = "$stderr" ]
}
