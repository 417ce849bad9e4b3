#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The mistakes that container runtimes have made, each as an attack that must fail here. A race is tried for
# a few seconds by a racer that exchanges two names as fast as it can.

load helpers

MAP_64K='.linux.uidMappings = [{containerID: 0, hostID: 200000, size: 65536}]
    | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 65536}]
    | .linux.namespaces += [{type: "user"}]'
RACE_SECONDS=${RACE_SECONDS:-1}

setup_file() {
    local src=$BATS_TEST_DIRNAME/helpers_src
    command -v gcc >/dev/null || return 0
    gcc -D_GNU_SOURCE -O2 -static -o "$BATS_FILE_TMPDIR/race" "$src/race.c"
    gcc -D_GNU_SOURCE -O2 -static -o "$BATS_FILE_TMPDIR/overwrite" "$src/overwrite.c"
    gcc -D_GNU_SOURCE -O2 -shared -fPIC -DPRELOADED -o "$BATS_FILE_TMPDIR/overwrite.so" "$src/overwrite.c"
}

# The host's side, which no attack may change: a directory and a file.
setup() {
    common_setup
    require_root
    CANARY=$BATS_TEST_TMPDIR/canary
    mkdir -p "$CANARY/dir"
    echo untouched >"$CANARY/file"
    ls -lAR --time-style=full-iso "$CANARY" >"$BATS_TEST_TMPDIR/canary.before"
    SRC=$BATS_TEST_TMPDIR/src
    mkdir "$SRC"
}

teardown() {
    local m
    race_end
    for m in $(awk -v d="$SRC" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
        umount -l "$m"
    done
    common_teardown
}

canary_untouched() {
    ls -lAR --time-style=full-iso "$CANARY" | diff "$BATS_TEST_TMPDIR/canary.before" - || fail 'the host was changed'
    [ "$(cat "$CANARY/file")" = untouched ]
    mounts | comm -13 "$BATS_TEST_TMPDIR/mounts.before" - | grep -v "^$SRC" | grep . && fail 'mounted on the host'
    return 0
}

# edit_config of the helpers, with positional arguments after the file
edit_config() {
    local filter=$1
    shift
    jq "$filter" "$@" <"$BUNDLE/config.json" >"$BUNDLE/config.json.new" &&
        mv "$BUNDLE/config.json.new" "$BUNDLE/config.json"
}

# add_mount DESTINATION TYPE SOURCE OPTION...
add_mount() {
    edit_config '.mounts += [{destination: $d, type: $t, source: $s, options: $ARGS.positional}]' \
        --arg d "$1" --arg t "$2" --arg s "$3" --args -- "${@:4}"
}

drop_mounts() { # those at or below PREFIX
    edit_config '.mounts |= map(select(.destination | startswith($p) | not))' --arg p "$1"
}

# race_begin A B: exchanges A and B until race_end.
race_begin() {
    [ -x "$BATS_FILE_TMPDIR/race" ] || skip 'no compiler for the racer'
    "$BATS_FILE_TMPDIR/race" "$1" "$2" 3>&- &
    RACER=$!
}

race_end() {
    [ -z "${RACER:-}" ] || { kill "$RACER" && wait "$RACER"; } 2>/dev/null || true
    RACER=
}

# race_runs CHECK: runs the container again and again while the racer is at it. CHECK looks at what a run that came
# to its program printed. Sets $DONE and $REFUSED.
race_runs() {
    local end=$((SECONDS + RACE_SECONDS))
    DONE=0 REFUSED=0
    while [ "$SECONDS" -lt "$end" ]; do
        RUNS=0
        rm -f "$BATS_TEST_TMPDIR"/out.1 "$BATS_TEST_TMPDIR"/err.1
        ctr run --bundle "$BUNDLE" "$ID"
        if [ "$status" -eq 0 ]; then
            DONE=$((DONE + 1))
            "$@" || return 1
        else
            # refused in one line, or the program found nothing: never a crash
            REFUSED=$((REFUSED + 1))
            [ "$status" -lt 128 ] || fail "status $status"
        fi
    done
    kill -0 "$RACER" || fail 'the racer has ended'
    echo "done $DONE, refused $REFUSED"
    [ $((DONE + REFUSED)) -gt 0 ]
}

sum() { sha256sum <"$CTR"; }

# In the mountinfo that the program printed, nothing of the host's below PATH is mounted: what IN_ROOT made of the
# name is below the bundle and has a longer name.
no_mount_of() { ! awk -v p="$1" 'index($4, p) == 1' "$OUT" | grep .; }

# ---- the binary ----

attack_bundle() {
    [ -x "$BATS_FILE_TMPDIR/overwrite" ] || skip 'no compiler for the attacker'
    ! ldd "$CTR" | grep -q libasan || skip 'a sanitizer does not start with LD_PRELOAD'
    make_bundle
    local lib
    for lib in $(ldd "$CTR" | grep -oE '/[^ ]+'); do
        mkdir -p "$BUNDLE/rootfs$(dirname "$lib")"
        cp -L "$lib" "$BUNDLE/rootfs$lib"
    done
    cp "$BATS_FILE_TMPDIR"/overwrite* "$BUNDLE/rootfs/"
    ln -s /proc/self/exe "$BUNDLE/rootfs/init"
    printf '#!/proc/self/exe\n' >"$BUNDLE/rootfs/script"
    chmod +x "$BUNDLE/rootfs/script"
    edit_config '.process.env += ["LD_PRELOAD=/overwrite.so"]
        | .process.capabilities[] |= . + ["CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN"]'
}

refused_to_write() {
    cat "$BUNDLE/rootfs/overwrite.log"
    grep -qE 'WRITTEN|refused' "$BUNDLE/rootfs/overwrite.log"
    grep -q opened "$BUNDLE/rootfs/overwrite.log"
    ! grep -q WRITTEN "$BUNDLE/rootfs/overwrite.log"
}

@test "CVE-2019-5736: a program that is /proc/self/exe cannot overwrite ctr (run)" {
    attack_bundle
    local before program
    before=$(sum)
    for program in /init /script /proc/self/exe; do
        rm -f "$BUNDLE/rootfs/overwrite.log"
        set_args $program
        ctr run --bundle "$BUNDLE" "$ID" 3>&-
        refused_to_write
        [ "$(sum)" = "$before" ]
    done
}

@test "CVE-2019-5736: nor while exec loops, by /proc/self/exe or /proc/PID/exe" {
    attack_bundle
    local before i
    before=$(sum)
    edit_config '.process.env |= map(select(startswith("LD_PRELOAD") | not))'
    # every other process's binary that can be opened at all, and is not of this image, is opened for writing
    set_args /bin/sh -c 'while :; do for p in /proc/[0-9]*; do
        exe=$(readlink $p/exe) || continue
        case $exe in /bin/*) continue ;; esac
        echo "saw $exe" >>/seen
        ( : >>$p/exe ) 2>>/refused && echo "WRITTEN $exe" >>/seen
    done; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    for i in 1 2 3 4 5 6 7 8; do
        ctr exec --env LD_PRELOAD=/overwrite.so "$ID" /proc/self/exe
        ctr exec --env LD_PRELOAD=/overwrite.so "$ID" /script
        ctr exec "$ID" /bin/true
    done
    refused_to_write
    [ "$(sum)" = "$before" ]
    ! grep -q WRITTEN "$BUNDLE/rootfs/seen" 2>/dev/null
    ok delete --force "$ID"
}

@test "ctr is not setuid and needs no helper that is (CVE-2022-47952)" {
    [ ! -u "$CTR" ]
    [ ! -g "$CTR" ]
}

# ---- /proc and /sys ----

@test "CVE-2019-16884: nothing but a procfs on /proc, nothing over its files" {
    make_bundle
    set_args /bin/true
    cp "$BUNDLE/config.json" "$BUNDLE/good"
    drop_mounts /proc
    add_mount /proc bind "$SRC" bind
    fails 1 /proc create --bundle "$BUNDLE" "$ID"
    cp "$BUNDLE/good" "$BUNDLE/config.json"
    drop_mounts /proc
    add_mount /proc tmpfs tmpfs
    fails 1 /proc create --bundle "$BUNDLE" "$ID"
    local p
    for p in /proc/self /proc/self/attr /proc/self/attr/exec /proc/thread-self/attr /proc/sys /proc/1; do
        cp "$BUNDLE/good" "$BUNDLE/config.json"
        add_mount $p bind "$SRC" bind
        fails 1 'inside /proc' create --bundle "$BUNDLE" "$ID"
    done
    # by another name
    ln -s /proc/self "$BUNDLE/rootfs/link"
    cp "$BUNDLE/good" "$BUNDLE/config.json"
    add_mount /link/attr bind "$SRC" bind
    fails 1 'inside /proc' create --bundle "$BUNDLE" "$ID"
    cp "$BUNDLE/good" "$BUNDLE/config.json"
    add_mount /tmp/../proc/self bind "$SRC" bind
    fails 1 'inside /proc' create --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

@test "CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2019-18837: /proc and /sys as symlinks" {
    make_bundle
    set_args /bin/true
    local d
    for d in proc sys; do
        for to in /bad "$CANARY/dir" ../../canary/dir . /etc/passwd; do
            rm -rf "${BUNDLE:?}/rootfs/$d"
            ln -s "$to" "$BUNDLE/rootfs/$d"
            fails 1 "must be mounted on ordinary directory" run --bundle "$BUNDLE" "$ID"
        done
        rm -f "$BUNDLE/rootfs/$d"
        echo file >"$BUNDLE/rootfs/$d"
        fails 1 "must be mounted on ordinary directory" run --bundle "$BUNDLE" "$ID"
        rm -f "$BUNDLE/rootfs/$d"
        mkdir "$BUNDLE/rootfs/$d"
    done
    canary_untouched
    assert_leak_free
}

@test "CVE-2019-18837: other mount points of the image as symlinks to the host stay in the root" {
    make_bundle
    rm -rf "$BUNDLE/rootfs/dev" "$BUNDLE/rootfs/mnt"
    ln -s "$CANARY/dir" "$BUNDLE/rootfs/dev"
    ln -s ../../canary/dir "$BUNDLE/rootfs/mnt"
    add_mount /mnt tmpfs tmpfs
    run_sh 'touch /mnt/x /dev/x; ls /dev/null'
    [ "$status" -eq 0 ]
    canary_untouched
}

# ---- races ----

@test "CVE-2021-30465: a directory exchanged with a symlink while it is mounted on" {
    make_bundle
    mkdir -p "$SRC/vol/dir"
    ln -s "$CANARY" "$SRC/vol/link"
    add_mount /vol bind "$SRC/vol" rbind
    add_mount /vol/dir/dir tmpfs tmpfs
    add_mount /vol/dir bind "$SRC" bind ro
    set_args /bin/sh -c 'cat /proc/self/mountinfo; ls -d /etc/shadow 2>/dev/null; true'
    race_begin "$SRC/vol/dir" "$SRC/vol/link"
    check() {
        no_mount_of "$CANARY" && ! grep -qx /etc/shadow "$OUT"
    }
    race_runs check
    race_end
    [ "$DONE" -gt 0 ]
    canary_untouched
}

@test "CVE-2024-45310: missing mount points are not made through an exchanged symlink" {
    make_bundle
    mkdir -p "$SRC/vol/dir"
    ln -s "$CANARY/dir" "$SRC/vol/link"
    echo x >"$SRC/file"
    add_mount /vol bind "$SRC/vol" rbind
    add_mount /vol/dir/new/deep tmpfs tmpfs
    add_mount /vol/dir/other/file bind "$SRC/file" bind
    set_args /bin/sh -c 'cat /proc/self/mountinfo; rm -rf /vol/dir/new /vol/dir/other 2>/dev/null; true'
    race_begin "$SRC/vol/dir" "$SRC/vol/link"
    race_runs no_mount_of "$CANARY"
    race_end
    canary_untouched
}

@test "GHSA-3q8j-pf29-vwv8: readonlyPaths and maskedPaths with a component that is exchanged" {
    make_bundle
    mkdir -p "$SRC/vol/dir/dir"
    echo x >"$SRC/vol/dir/file"
    ln -s "$CANARY" "$SRC/vol/link"
    # what the link means inside
    mkdir -p "$BUNDLE/rootfs$CANARY/dir"
    echo x >"$BUNDLE/rootfs$CANARY/file"
    add_mount /vol bind "$SRC/vol" rbind
    edit_config '.linux.readonlyPaths += ["/vol/dir/dir"] | .linux.maskedPaths += ["/vol/dir/file"]'
    set_args /bin/cat /proc/self/mountinfo
    race_begin "$SRC/vol/dir" "$SRC/vol/link"
    # what was cloned is attached where it was cloned from: in the volume, or at the link's place in the root
    check() {
        ! awk -v s="$SRC/vol/" 'index($4, s) == 1 { print $5 }' "$OUT" | grep -v '^/vol/' &&
            ! awk -v c="$CANARY/" 'index($4, c) == 1' "$OUT" | grep .
    }
    race_runs check
    race_end
    [ "$DONE" -gt 0 ]
    canary_untouched
}

@test "CVE-2025-52881: sysctls reach their files while mounts of a shared volume are exchanged" {
    make_bundle
    mkdir -p "$SRC/vol/dir/sys/net/ipv4" "$SRC/fake"
    echo fake >"$SRC/vol/dir/sys/net/ipv4/ping_group_range"
    ln -s /proc "$SRC/vol/link"
    edit_config '.linux.sysctl = {"net.ipv4.ping_group_range": "7 77"} | .linux.readonlyPaths = []'
    add_mount /vol bind "$SRC/vol" rbind
    # would cover /proc/sys with the fake when the link is followed
    add_mount /vol/dir/sys bind "$SRC/vol/dir/sys" bind
    set_args /bin/sh -c 'cat /proc/self/mountinfo; cat /proc/sys/net/ipv4/ping_group_range'
    race_begin "$SRC/vol/dir" "$SRC/vol/link"
    check() {
        [ "$(tail -n 1 "$OUT" | tr '\t' ' ')" = '7 77' ] && ! awk '$5 ~ "^/proc/" { print $4 }' "$OUT" | grep vol
    }
    race_runs check
    race_end
    canary_untouched
    # the static form
    rm -rf "$SRC/vol"
    mkdir "$SRC/vol"
    ln -s /proc "$SRC/vol/dir"
    edit_config '.mounts[-1].source = $s' --arg s "$SRC/fake"
    fails 1 'inside /proc' run --bundle "$BUNDLE" "$ID"
}

# ---- devices ----

@test "CVE-2025-31133: a masked file does not become what the container's /dev/null points to" {
    make_bundle
    drop_mounts /dev
    mkdir "$SRC/dev"
    add_mount /dev bind "$SRC/dev" bind
    edit_config '.linux.maskedPaths += ["/etc/group"]'
    local to
    for to in /proc/sys/kernel/core_pattern "$CANARY/file" /etc/passwd; do
        rm -f "$SRC/dev/null"
        ln -s "$to" "$SRC/dev/null"
        run_sh 'stat -c %t:%T /etc/group; wc -c </etc/group; cat /proc/self/mountinfo'
        [ "$status" -eq 0 ]
        [ "$(head -n 2 "$OUT")" = $'1:3\n0' ]
        ! awk '$5 == "/etc/group" { print $4 }' "$OUT" | grep -v '^/null$'
        ! awk '$5 == "/proc/sys/kernel/core_pattern"' "$OUT" | grep .
    done
    canary_untouched
}

@test "CVE-2025-52565: /dev/console of a terminal is not mounted or made through a symlink" {
    make_bundle
    drop_mounts /dev
    mkdir -p "$SRC/dev/pts"
    add_mount /dev bind "$SRC/dev" bind
    add_mount /dev/pts devpts devpts newinstance ptmxmode=0666 mode=0620
    edit_config '.process.terminal = true'
    ln -s "$CANARY/file" "$SRC/dev/console"
    set_args /bin/sh -c 'cat /proc/self/mountinfo; stat -c "%F %t" /dev/console; echo through >/dev/console'
    ctr_tty run --bundle "$BUNDLE" "$ID"
    canary_untouched
    if [ "$status" -eq 0 ]; then
        [[ $output == *'character special file 88'* ]]
        [[ $output != *"$CANARY"* ]]
    fi
}

@test "CVE-2025-52565: /dev/console exchanged with a symlink while the terminal is set up" {
    make_bundle
    drop_mounts /dev
    mkdir -p "$SRC/dev/pts"
    add_mount /dev bind "$SRC/dev" bind
    add_mount /dev/pts devpts devpts newinstance ptmxmode=0666 mode=0620
    edit_config '.process.terminal = true'
    : >"$SRC/dev/console"
    ln -s "$CANARY/file" "$SRC/dev/link"
    # what the link means inside
    mkdir -p "$BUNDLE/rootfs$CANARY"
    echo inside >"$BUNDLE/rootfs$CANARY/file"
    set_args /bin/cat /proc/self/mountinfo
    race_begin "$SRC/dev/console" "$SRC/dev/link"
    local end=$((SECONDS + RACE_SECONDS)) done=0
    while [ "$SECONDS" -lt "$end" ]; do
        ctr_tty run --bundle "$BUNDLE" "$ID"
        [[ $output != *"$CANARY/file "* ]]
        [ "$status" -ne 0 ] || done=$((done + 1))
    done
    race_end
    canary_untouched
    [ "$(cat "$BUNDLE/rootfs$CANARY/file")" = inside ]
}

@test "CVE-2026-41579, CVE-2026-47766: /dev of the image as a symlink to outside makes nothing there" {
    make_bundle
    drop_mounts /dev
    local to
    for to in "$CANARY/dir" ../../canary/dir ../../../../../../../../../..$CANARY/dir; do
        rm -rf "$BUNDLE/rootfs/dev"
        ln -s "$to" "$BUNDLE/rootfs/dev"
        run_sh 'ls -l /dev/'
        canary_untouched
        [ "$status" -ne 0 ] || [[ $output == *null* ]]
    done
    assert_leak_free
}

@test "CVE-2026-41579: /dev exchanged with a symlink to outside while devices are made" {
    make_bundle
    drop_mounts /dev
    mkdir "$SRC/vol"
    rm -rf "$BUNDLE/rootfs/dev"
    mkdir "$BUNDLE/rootfs/dev"
    ln -s ../../canary/dir "$BUNDLE/rootfs/link"
    set_args /bin/true
    race_begin "$BUNDLE/rootfs/dev" "$BUNDLE/rootfs/link"
    race_runs true
    race_end
    canary_untouched
}

@test "CVE-2026-88264, CVE-2026-88265: console and null of the image as symlinks and regular files" {
    make_bundle
    drop_mounts /dev
    add_mount /dev/pts devpts devpts newinstance ptmxmode=0666 mode=0620
    edit_config '.process.terminal = true'
    local n
    for n in null console zero tty ptmx; do ln -s "$CANARY/file" "$BUNDLE/rootfs/dev/$n"; done
    set_args /bin/sh -c 'for n in null console zero tty; do stat -c "%n %F" /dev/$n; done; echo x >/dev/null; echo y >/dev/console'
    ctr_tty run --bundle "$BUNDLE" "$ID"
    canary_untouched
    [ "$status" -eq 0 ]
    for n in null console zero tty; do [[ $output == *"/dev/$n character special file"* ]]; done
    rm -rf "${BUNDLE:?}"/rootfs/dev/*
    # as regular files, whose rdev is 0
    for n in null console zero tty; do echo content >"$BUNDLE/rootfs/dev/$n"; done
    ctr_tty run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    for n in null console zero tty; do [[ $output == *"/dev/$n character special file"* ]]; done
    [ "$(cat "$BUNDLE/rootfs/dev/console")" = content ]
}

@test "CVE-2026-88265: a hard link to a host's device is another's and is replaced" {
    make_bundle
    drop_mounts /dev
    # the null device's name with the memory's numbers
    mknod "$BUNDLE/rootfs/dev/null" c 1 1
    mknod "$BUNDLE/rootfs/dev/zero" b 1 5
    run_sh 'stat -c "%n %F %t:%T" /dev/null /dev/zero'
    [ "$status" -eq 0 ]
    grep -qx '/dev/null character special file 1:3' "$OUT"
    grep -qx '/dev/zero character special file 1:5' "$OUT"
}

# ---- configurations ----

@test "CVE-2021-43784: more namespaces and mappings than any buffer holds" {
    make_bundle
    set_args /bin/true
    cp "$BUNDLE/config.json" "$BUNDLE/good"
    jq '.linux.uidMappings = [range(30000) | {containerID: ., hostID: ., size: 1}]' "$BUNDLE/good" >"$BUNDLE/config.json"
    fails 1 linux.uidMappings create --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    jq '.linux.namespaces = [range(70000) | {type: "network", path: "/proc/self/ns/net"}]' "$BUNDLE/good" >"$BUNDLE/config.json"
    fails 1 linux.namespaces create --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    jq '.linux.namespaces += [{type: "user", path: ("/" + ("x" * 70000))}]' "$BUNDLE/good" >"$BUNDLE/config.json"
    fails 1 user create --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    # the length that wraps around at 16 bits, with a path hidden behind it
    jq '.linux.uidMappings = [range(340) | {containerID: ., hostID: 4294967295, size: 4294967295}]' "$BUNDLE/good" >"$BUNDLE/config.json"
    fails 1 linux.uidMappings create --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

# ---- exec and the payload's rights ----

@test "CVE-2022-29162, CVE-2022-27650, CVE-2022-24769: no inheritable capability is ever added" {
    make_bundle
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(awk '/^CapInh/ { print $2 }' "/proc/$(state_of "$ID" pid)/status")" = 0000000000000000 ]
    ok exec --cap CAP_NET_ADMIN --cap sys_ptrace "$ID" /bin/cat /proc/self/status
    [ "$(awk '/^CapInh/ { print $2 }' "$OUT")" = 0000000000000000 ]
    [ "$(awk '/^CapAmb/ { print $2 }' "$OUT")" = 0000000000000000 ]
    # and the options had their effect: 12 and 19
    [ $((0x$(awk '/^CapEff/ { print $2 }' "$OUT") >> 12 & 1)) -eq 1 ]
    [ $((0x$(awk '/^CapEff/ { print $2 }' "$OUT") >> 19 & 1)) -eq 1 ]
    [ $((0x$(awk '/^CapEff/ { print $2 }' "$OUT") >> 21 & 1)) -eq 0 ]
    ok exec --user 1000 --cap CAP_NET_ADMIN "$ID" /bin/cat /proc/self/status
    [ "$(awk '/^CapInh/ { print $2 }' "$OUT")" = 0000000000000000 ]
    ok delete --force "$ID"
}

@test "CVE-2026-30892: exec --user means the numbers that it says, or is refused" {
    make_bundle
    edit_config '.process.user = {uid: 0, gid: 0}'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    local u
    for u in 1 01 1000 4294967294; do
        ok exec --user $u "$ID" /bin/sh -c 'id -u; id -g'
        [ "$output" = "$((10#$u))"$'\n'0 ] || fail "--user $u: $output"
    done
    ok exec -u 1:2 "$ID" /bin/sh -c 'id -u; id -g'
    [ "$output" = $'1\n2' ]
    ok exec -u 0:4294967294 "$ID" /bin/sh -c 'id -u; id -g'
    [ "$output" = $'0\n4294967294' ]
    for u in 1x x '' : :1 1: 1:2: 1:2:3 -1 +1 ' 1' '1 ' 4294967295 4294967296 18446744073709551617 0x10 1:4294967295 no-such-user; do
        ctr exec --user "$u" "$ID" /bin/id -u
        [ "$status" -eq 255 ] || fail "--user '$u': status $status: $output"
        [ -z "$output" ]
    done
    ok delete --force "$ID"
}

@test "CVE-2024-21626: the working directory is never what the runtime has open" {
    make_bundle
    local fd
    ln -s /proc/self/fd "$BUNDLE/rootfs/fds"
    for fd in $(seq 3 40); do
        edit_config '.process.cwd = $c' --arg c "/proc/self/fd/$fd"
        set_args /bin/pwd
        ctr run --bundle "$BUNDLE" "$ID"
        [ "$status" -ne 0 ] || fail "fd $fd: $output"
    done
    for fd in 3 5 7 8 9; do
        for d in /fds/$fd /proc/1/fd/$fd /proc/self/fd/$fd/../.. /proc/thread-self/fd/$fd /proc/self/cwd /proc/self/root/..; do
            edit_config '.process.cwd = $c' --arg c "$d"
            set_args /bin/sh -c 'pwd; ls -d etc/shadow ../etc/shadow ../../../etc/shadow'
            ctr run --bundle "$BUNDLE" "$ID"
            ! grep -q shadow "$OUT" || fail "$d leads to the host"
        done
    done
    assert_leak_free
}

@test "CVE-2024-21626: exec neither, nor through a symlink that is exchanged" {
    make_bundle
    mkdir "$BUNDLE/rootfs/work"
    ln -s /proc/self/fd/7 "$BUNDLE/rootfs/link"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    local fd
    for fd in $(seq 3 32); do
        ctr exec --cwd "/proc/self/fd/$fd" "$ID" /bin/pwd
        [ "$status" -eq 255 ] || fail "fd $fd: $output"
    done
    race_begin "$BUNDLE/rootfs/work" "$BUNDLE/rootfs/link"
    local end=$((SECONDS + RACE_SECONDS))
    while [ "$SECONDS" -lt "$end" ]; do
        ctr exec --cwd /work "$ID" /bin/sh -c 'pwd -P'
        # the racer may have renamed it in between
        [ "$status" -ne 0 ] || [ "$output" = /work ] || [ "$output" = /link ] || fail "$output"
    done
    race_end
    ok delete --force "$ID"
}

@test "CVE-2024-21626: the program has stdio and nothing else open, in run and exec" {
    make_bundle
    local list='for f in /proc/self/fd/*; do n=${f##*/}; [ $n -gt 2 ] && [ -e $f ] && readlink $f; done; ls /proc/self/fd | wc -l; echo end'
    exec 7</ 8<"$CANARY/file" 9</etc/passwd
    set_args /bin/sh -c "$list"
    ok run --bundle "$BUNDLE" "$ID"
    # ls has its directory open as the fourth
    [ "$output" = $'4\nend' ] || fail "$output"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(ls "/proc/$(state_of "$ID" pid)/fd" | tr '\n' ' ')" = '0 1 2 ' ]
    ok exec "$ID" /bin/sh -c "$list"
    [ "$output" = $'4\nend' ] || fail "$output"
    ok delete --force "$ID"
    # only what is asked for
    set_args /bin/sh -c 'cat <&3; cat <&4 2>/dev/null; ls /proc/self/fd | wc -l'
    "$CTR" --root "$ROOT" run --preserve-fds 1 --bundle "$BUNDLE" "$ID" >"$BATS_TEST_TMPDIR/out" \
        3<"$CANARY/file" 4<"$CANARY/file"
    exec 7<&- 8<&- 9<&-
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = $'untouched\n5' ]
}

# ---- what must not be seen ----

@test "the set-up cannot be looked at from a user namespace: not dumpable until the program runs" {
    make_bundle
    edit_config "$MAP_64K"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    cat >"$BUNDLE/hook" <<END
#!/bin/sh
pid=\$(sed 's/.*"pid": *\([0-9]*\).*/\1/')
stat -c %u /proc/\$pid/environ >"$BATS_TEST_TMPDIR/owner"
END
    chmod +x "$BUNDLE/hook"
    edit_config '.hooks.createRuntime = [{path: $p}]' --arg p "$BUNDLE/hook"
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    # the files of a process that cannot be dumped belong to the host's root
    [ "$(cat "$BATS_TEST_TMPDIR/owner")" = 0 ]
    pid=$(state_of "$ID" pid)
    [ "$(stat -c %u "/proc/$pid/environ")" = 0 ]
    ok start "$ID"
    wait_for 10 test "$(stat -c %u "/proc/$pid/environ")" = 200000
    ok delete --force "$ID"
}

@test "the host's environment is not the container's, nor to be read in a created one" {
    make_bundle
    export HOST_SECRET=do-not-tell
    set_args /bin/cat /proc/self/environ
    ok run --bundle "$BUNDLE" "$ID"
    [[ $(tr '\0' '\n' <"$OUT") != *HOST_SECRET* ]]
    [[ $(tr '\0' '\n' <"$OUT") != *CTR_TEST_ID* ]]
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    pid=$(state_of "$ID" pid)
    # somebody who shares its pid namespace, without the rights to trace
    make_bundle "$BATS_TEST_TMPDIR/peer"
    edit_config '.linux.namespaces |= map(select(.type != "pid")) + [{type: "pid", path: $p}]' --arg p "/proc/$pid/ns/pid"
    set_args /bin/sh -c 'tr "\0" "\n" </proc/1/environ; ls -l /proc/1/fd/ /proc/1/cwd /proc/1/exe; cat /proc/1/maps'
    ctr run --bundle "$BUNDLE" "$ID-peer"
    [[ $output != *HOST_SECRET* ]]
    [ "$(grep -ci 'permission denied' "$ERR")" -ge 3 ]
    ok start "$ID"
    ok exec "$ID" /bin/sh -c 'tr "\0" "\n" </proc/1/environ'
    [[ $output != *HOST_SECRET* ]]
    ok delete --force "$ID"
}

@test "the session keyring is the container's own, and named after it" {
    [ -e /proc/keys ] || skip 'no keyrings'
    make_bundle
    edit_config '.linux.maskedPaths = []'
    run_sh 'cat /proc/keys'
    [ "$status" -eq 0 ]
    grep -q "_ses.$ID: " "$OUT"
    set_args /bin/cat /proc/keys
    ok run --no-new-keyring --bundle "$BUNDLE" "$ID-none"
    ! grep -q "_ses.$ID-none" "$OUT"
}

@test "umask: 022 whatever the caller's is, or the configured one" {
    make_bundle
    umask 077
    run_sh 'umask; mkdir /tmp/new; stat -c %a /tmp/new'
    [ "$output" = $'0022\n755' ]
    edit_config '.process.user.umask = 63'
    run_sh 'umask; touch /tmp/new2; stat -c %a /tmp/new2'
    umask 022
    [ "$output" = $'0077\n600' ]
}

@test "the child of a ctr that is killed during the set-up dies too" {
    make_bundle
    cat >"$BUNDLE/hook" <<END
#!/bin/sh
sed 's/.*"pid": *\([0-9]*\).*/\1/' >"$BATS_TEST_TMPDIR/pid.new"
mv "$BATS_TEST_TMPDIR/pid.new" "$BATS_TEST_TMPDIR/pid"
exec sleep 1000
END
    chmod +x "$BUNDLE/hook"
    edit_config '.hooks.createRuntime = [{path: $p}]' --arg p "$BUNDLE/hook"
    set_args /bin/sleep 1000
    "$CTR" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >/dev/null 2>&1 3>&- &
    local ctr=$! hook
    wait_for 10 test -s "$BATS_TEST_TMPDIR/pid"
    hook=$(pgrep -P "$ctr" -x sleep)
    kill -9 "$ctr"
    wait "$ctr" || true
    gone() { [ ! -e "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/exe" ]; }
    wait_for 10 gone
    [ -z "$hook" ] || kill "$hook" 2>/dev/null || true
    ok delete --force "$ID"
    assert_leak_free
}

# ---- cgroups ----

@test "CVE-2023-25809: root of a user namespace without a cgroup namespace cannot write in the host's cgroups" {
    make_bundle
    edit_config "$MAP_64K"' | .linux.namespaces |= map(select(.type != "cgroup"))'
    chown -R 200000:300000 "$BUNDLE/rootfs"
    # a cgroup that belongs to that user, as a service manager delegates them
    local g=/sys/fs/cgroup
    is_cgroup2 || g=/sys/fs/cgroup/memory
    mkdir "$g/$TESTID-theirs"
    chown -R 200000:300000 "$g/$TESTID-theirs"
    # as `spec --rootless` shows /sys
    drop_mounts /sys
    add_mount /sys none /sys rbind nosuid noexec nodev ro
    set_args /bin/sh -c "ls -d $g/$TESTID-theirs; mkdir $g/$TESTID-theirs/made && echo MADE; echo 1 >$g/$TESTID-theirs/cgroup.procs && echo MOVED"
    ctr run --bundle "$BUNDLE" "$ID"
    [ ! -e "$g/$TESTID-theirs/made" ] || { rmdir "$g/$TESTID-theirs/made"; fail 'made a cgroup on the host'; }
    ! grep -qE 'MADE|MOVED' "$OUT"
    # and by a cgroup mount
    drop_mounts /sys
    add_mount /sys none /sys bind ro
    add_mount /sys/fs/cgroup cgroup cgroup ro
    ctr run --bundle "$BUNDLE" "$ID"
    ! grep -qE 'MADE|MOVED' "$OUT"
    rmdir "$g/$TESTID-theirs"
}
