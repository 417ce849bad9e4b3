#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The mistakes that container runtimes have made, each as an attack that must fail here: the binary, /proc, symlinks
# and races in the root file system, devices. A race is tried for $RACE_SECONDS by a racer that exchanges two names
# as fast as it can.

load helpers
load isolation

setup_file() { attack_tools; }

setup() {
    common_setup
    require_root
    SRC=$BATS_TEST_TMPDIR/src
    mkdir "$SRC"
    canary
}

sum() { sha256sum <"$CTR"; }

# ---- the binary ----

attack_bundle() {
    [ -x "$BATS_FILE_TMPDIR/overwrite" ] || skip 'no compiler for the attacker'
    ! ldd "$CTR" | grep -q libasan || skip 'a sanitizer does not start with LD_PRELOAD'
    # a copy: nobody else keeps it busy, and it is the one that is lost
    cp "$CTR" "$BATS_TEST_TMPDIR/ctr"
    CTR=$BATS_TEST_TMPDIR/ctr
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
    wait_for 10 grep -qE 'WRITTEN|refused' "$BUNDLE/rootfs/overwrite.log"
    cat "$BUNDLE/rootfs/overwrite.log"
    grep -q opened "$BUNDLE/rootfs/overwrite.log"
    ! grep -q WRITTEN "$BUNDLE/rootfs/overwrite.log" || fail "found what must not be there"
}

@test "CVE-2019-5736: a program that is /proc/self/exe cannot overwrite ctr (run)" {
    attack_bundle
    local before program
    before=$(sum)
    for program in /init /script /proc/self/exe; do
        rm -f "$BUNDLE/rootfs/overwrite.log"
        set_args $program
        # detached: while ctr waits, its file is busy
        ok run --detach --bundle "$BUNDLE" "$ID"
        refused_to_write
        ok delete --force "$ID"
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
    for i in 1 2 3 4; do
        ctr exec --env LD_PRELOAD=/overwrite.so "$ID" /proc/self/exe
        ctr exec --env LD_PRELOAD=/overwrite.so "$ID" /script
        ctr exec "$ID" /bin/true
    done
    refused_to_write
    [ "$(sum)" = "$before" ]
    ! grep -q WRITTEN "$BUNDLE/rootfs/seen" 2>/dev/null || fail "found what must not be there"
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
    RACE_UNTIL_DONE=30 race_runs check
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
    RACE_UNTIL_DONE=30 race_runs check
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
        ! awk '$5 == "/etc/group" { print $4 }' "$OUT" | grep -v '^/null$' ||
            fail "something else than the null device is masked"
        ! awk '$5 == "/proc/sys/kernel/core_pattern"' "$OUT" | grep . || fail "the mask went to the host's file"
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
    local begin=$SECONDS done=0
    while [ $((SECONDS - begin)) -le "$RACE_SECONDS" ]; do
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

# ---- what is the host's below /dev ----

# A directory of the host's with names that devices shall have, and what canary_untouched compares with.
host_devices() {
    mknod -m 600 "$CANARY/dir/mode" c 1 3
    chown 5:6 "$CANARY/dir/mode"
    mknod -m 666 "$CANARY/dir/number" c 1 5
    echo content >"$CANARY/dir/file"
    ln -s file "$CANARY/dir/link"
    mkdir "$CANARY/dir/directory"
    ls -lAR --time-style=full-iso "$CANARY" >"$BATS_TEST_TMPDIR/canary.before"
    edit_config '.linux.devices = [("mode", "number", "file", "link", "directory")
        | {path: ($d + "/" + .), type: "c", major: 1, minor: 3, fileMode: 438, uid: 0, gid: 0}]' --arg d "$1"
}

@test "devices: what is in a directory of the host's that is bound below /dev is not replaced" {
    make_bundle
    host_devices /dev/foo
    set_args /bin/sh -c 'stat -c "%n %F %a %u:%g" /dev/foo/* /dev/null'
    bind /dev/foo "$CANARY/dir"
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
    grep -qx '/dev/foo/mode character special file 600 5:6' "$OUT"
    grep -qx '/dev/foo/file regular file 644 0:0' "$OUT"
    grep -qx '/dev/null character special file 666 0:0' "$OUT"
    grep -q '/dev/foo/number: .*kept' "$ERR"
    ! grep -q '/dev/foo/mode' "$ERR" || fail 'a warning though it is that device'
    # read-only
    drop_mounts /dev/foo
    bind /dev/foo "$CANARY/dir" ro
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
    # what comes along below a bind
    mkdir "$SRC/below"
    mount --bind "$CANARY/dir" "$SRC/below"
    drop_mounts /dev/foo
    add_mount /dev/foo bind "$SRC" rbind
    edit_config '.linux.devices[].path |= sub("/dev/foo"; "/dev/foo/below")'
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
    # where the image leads there by a link
    drop_mounts /dev
    bind /data "$CANARY/dir"
    ln -s ../data "$BUNDLE/rootfs/dev/foo"
    edit_config '.linux.devices[].path |= sub("/below"; "")'
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
}

@test "devices: what is in a directory of the host's that is bound below /dev is not replaced, in a user namespace" {
    make_bundle
    edit_config "$MAP_64K"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    drop_mounts /dev/shm
    # the container's root may write there
    ln -s file "$CANARY/dir/$TESTID"
    chown -hR 200000:300000 "$CANARY/dir"
    ls -lAR --time-style=full-iso "$CANARY" >"$BATS_TEST_TMPDIR/canary.before"
    bind /dev/shm "$CANARY/dir"
    edit_config '.linux.devices = [{path: ("/dev/shm/" + $n), type: "c", major: 1, minor: 3}]' --arg n "$TESTID"
    # the host's device of that name, which would be bound
    mknod -m 666 "/dev/shm/$TESTID" c 1 3
    run_sh "readlink /dev/shm/$TESTID"
    rm "/dev/shm/$TESTID"
    canary_untouched
    [ "$status" -eq 0 ]
    [ "$output" = file ]
}

@test "devices: what is in another file system that is mounted below /dev is not replaced" {
    make_bundle
    mount -t tmpfs tmpfs "$SRC"
    mkdir "$SRC"/{lower,upper,work}
    mknod -m 600 "$SRC/upper/null" c 1 3
    echo content >"$SRC/upper/file"
    add_mount /dev/foo overlay overlay "lowerdir=$SRC/lower" "upperdir=$SRC/upper" "workdir=$SRC/work"
    edit_config '.linux.devices = [("null", "file") | {path: ("/dev/foo/" + .), type: "c", major: 1, minor: 3}]'
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(stat -c %a "$SRC/upper/null")" = 600 ]
    [ "$(cat "$SRC/upper/file")" = content ]
}

@test "devices: what is mounted over a node stays, in a user namespace too" {
    make_bundle
    echo content >"$SRC/file"
    bind /dev/random /dev/urandom
    bind /dev/full "$SRC/file" ro
    bind /dev/zero "$SRC"
    bind /dev/ptmx "$SRC/file"
    bind /dev/own /dev/null
    edit_config '.linux.devices = [{path: "/dev/own", type: "c", major: 1, minor: 3, fileMode: 384}]'
    set_args /bin/sh -c 'stat -c "%n %F %t:%T" /dev/random /dev/zero /dev/null /dev/own; head -c 1 /dev/random >/dev/null
        cat /dev/full /dev/ptmx /dev/zero/file'
    local i
    for i in 1 2; do
        ok run --bundle "$BUNDLE" "$ID"
        grep -qx '/dev/random character special file 1:9' "$OUT"
        grep -qx '/dev/null character special file 1:3' "$OUT"
        grep -qx '/dev/own character special file 1:3' "$OUT"
        [ "$(grep -cx content "$OUT")" -eq 3 ]
        [ ! -s "$ERR" ]
        edit_config "$MAP_64K | .linux.devices = []"
        chown -R 200000:300000 "$BUNDLE/rootfs"
    done
    [ "$(cat "$SRC/file")" = content ]
}

@test "CVE-2026-88264: nodes of the image as symlinks and files, copied into a tmpfs or bound over" {
    make_bundle
    drop_mounts /dev
    local n
    for n in null console zero tty ptmx; do ln -s "$CANARY/file" "$BUNDLE/rootfs/dev/$n"; done
    echo content >"$BUNDLE/rootfs/dev/full"
    mknod "$BUNDLE/rootfs/dev/random" c 1 1
    set_args /bin/sh -c 'stat -c "%n %F %t:%T" /dev/null /dev/zero /dev/tty /dev/full /dev/random; readlink /dev/ptmx'
    # what is bound over a link is where the link leads, inside the root: the link itself is the image's
    bind /dev/null /dev/urandom
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
    drop_mounts /dev
    for n in null zero tty; do ln -sfn "$CANARY/file" "$BUNDLE/rootfs/dev/$n"; done
    rm "$BUNDLE/rootfs/dev/full" "$BUNDLE/rootfs/dev/random"
    echo content >"$BUNDLE/rootfs/dev/full"
    mknod "$BUNDLE/rootfs/dev/random" c 1 1
    add_mount /dev tmpfs tmpfs tmpcopyup
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
    for n in null:1:3 zero:1:5 tty:5:0 full:1:7 random:1:8; do
        grep -qx "/dev/${n%%:*} character special file ${n#*:}" "$OUT"
    done
    grep -qx pts/ptmx "$OUT"
    [ "$(cat "$BUNDLE/rootfs/dev/full")" = content ]
}
