#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The root file system as the container sees it: default mounts and devices, read-only and masked paths, the root
# itself, cgroup mounts, id-mapped mounts, all in a user namespace.

load helpers
load isolation

# ---- the default file systems ----

@test "defaults: proc, dev, pts, shm, mqueue, sys are of their types and modes" {
    make_bundle
    show_mounts 'stat -c "%n %a" /dev /dev/shm /dev/pts /proc; stat -f -c "%n %t" /proc /sys'
    [ "$(fstype /proc)" = proc ]
    [ "$(fstype /dev)" = tmpfs ]
    [ "$(fstype /dev/pts)" = devpts ]
    [ "$(fstype /dev/shm)" = tmpfs ]
    [ "$(fstype /dev/mqueue)" = mqueue ]
    [ "$(fstype /sys)" = sysfs ]
    grep -qx '/dev 755' "$OUT"
    grep -qx '/dev/shm 1777' "$OUT"
    has ro "$(opts /sys)"
    has nosuid "$(opts /dev)"
    has gid=5 "$(super /dev/pts)"
    has size=65536k "$(super /dev/shm)"
    # nothing of the host's tree but the root itself
    ! grep -q "$BATS_TEST_TMPDIR/root " "$OUT" || fail "found what must not be there"
}

@test "devices: the default ones, their numbers and modes, and the links" {
    make_bundle
    run_sh 'cd /dev; stat -c "%n %F %t:%T %a %u:%g" null zero full random urandom tty
        for l in fd stdin stdout stderr ptmx; do echo $l $(readlink $l); done
        echo x >/dev/null && head -c 3 /dev/zero | wc -c; echo to-stdout >>/dev/stdout; ls /dev/fd/0 >/dev/null
        echo x >/dev/full'
    local n
    for n in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
        grep -qx "${n%%:*} character special file ${n#*:} 666 0:0" "$OUT" || fail "$n"
    done
    grep -qx 'fd /proc/self/fd' "$OUT"
    grep -qx 'stdin /proc/self/fd/0' "$OUT"
    grep -qx 'stdout /proc/self/fd/1' "$OUT"
    grep -qx 'stderr /proc/self/fd/2' "$OUT"
    grep -qx 'ptmx pts/ptmx' "$OUT"
    grep -qx 3 "$OUT"
    grep -qx to-stdout "$OUT"
    grep -q 'No space left' "$ERR"
}

@test "devices: linux.devices makes nodes and fifos with mode and owner, in new directories too" {
    make_bundle
    edit_config '.linux.devices = [
        {path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 432, uid: 1, gid: 2},
        {path: "/dev/deep/er/blk", type: "b", major: 7, minor: 200, fileMode: 384},
        {path: "/srv/unbuffered", type: "u", major: 1, minor: 5},
        {path: "/dev/pipe", type: "p", fileMode: 438},
        {path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 420}]'
    run_sh 'stat -c "%n %F %t:%T %a %u:%g" /dev/fuse /dev/deep/er/blk /srv/unbuffered /dev/pipe /dev/null; stat -c "%n %a" /dev/deep'
    [ "$status" -eq 0 ]
    grep -qx '/dev/fuse character special file a:e5 660 1:2' "$OUT"
    grep -qx '/dev/deep/er/blk block special file 7:c8 600 0:0' "$OUT"
    grep -qx '/srv/unbuffered character special file 1:5 666 0:0' "$OUT"
    grep -qx '/dev/pipe fifo 0:0 666 0:0' "$OUT"
    grep -qx '/dev/null character special file 1:3 644 0:0' "$OUT"
    grep -qx '/dev/deep 755' "$OUT"
}

@test "devices: another mount in the place of one of linux.devices is kept, and that is said" {
    make_bundle
    local d=/dev/shm/$TESTID i
    echo content >"$SRC/file"
    bind /dev/zero "$SRC/file"
    bind "$d" "$SRC/file"
    set_args /bin/stat -c '%F %t:%T' "$d"
    # the host's node of that name is what a user namespace gets
    mknod -m 666 "$d" c 1 3
    for i in 1 2; do
        edit_config '.linux.devices = [{path: "/dev/zero", type: "c", major: 1, minor: 5}, {path: $d, type: "c", major: 1, minor: 3}]' \
            --arg d "$d"
        ok run --bundle "$BUNDLE" "$ID"
        [ "$output" = 'regular file 0:0' ]
        grep -q 'linux.devices\[0\].path: /dev/zero: a regular file is kept' "$ERR"
        grep -q "linux.devices\[1\].path: $d: a regular file is kept" "$ERR"
        edit_config '.linux.devices[1].type = "p"'
        ok run --bundle "$BUNDLE" "$ID"
        grep -q "linux.devices\[1\].path: $d: a regular file is kept" "$ERR"
        # the device itself by a bind, whatever its mode
        edit_config '.linux.devices = [{path: $d, type: "c", major: 1, minor: 3, fileMode: 384}]
            | (.mounts[] | select(.destination == $d)).source = "/dev/null"' --arg d "$d"
        ok run --bundle "$BUNDLE" "$ID"
        [ "$output" = 'character special file 1:3' ]
        [ ! -s "$ERR" ]
        edit_config '(.mounts[] | select(.destination == $d)).source = $f | '"$MAP_64K" --arg d "$d" --arg f "$SRC/file"
        chown -R 200000:300000 "$BUNDLE/rootfs"
        chmod 755 "$BATS_TEST_TMPDIR" "$BUNDLE"
    done
}

@test "devices: one of linux.devices in the place of the image's own file is made, and that is said" {
    make_bundle
    echo content >"$BUNDLE/rootfs/node"
    mknod -m 600 "$BUNDLE/rootfs/same" c 1 5
    edit_config '.linux.devices = [("node", "same") | {path: ("/" + .), type: "c", major: 1, minor: 5}]'
    set_args /bin/stat -c '%F %t:%T' /node
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = 'character special file 1:5' ]
    [ "$(wc -l <"$ERR")" -eq 1 ]
    grep -q 'linux.devices\[0\].path: /node: a regular file was there, and the device takes its place' "$ERR"
    ok run --bundle "$BUNDLE" "$ID"
    [ ! -s "$ERR" ]
}

@test "devices: in a user namespace the host's are bound, and work" {
    make_bundle
    edit_config "$MAP_64K"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    edit_config '.linux.devices = [{path: "/dev/pipe", type: "p", fileMode: 384}]'
    show_mounts 'echo x >/dev/null; head -c 2 /dev/urandom | wc -c; stat -c "%n %F %t:%T" /dev/null /dev/pipe; echo y >/dev/tty'
    grep -qx 2 "$OUT"
    grep -qx '/dev/null character special file 1:3' "$OUT"
    grep -qx '/dev/pipe fifo 0:0' "$OUT"
    [ -n "$(info /dev/null)" ]
}

@test "devices: what an image leads there by a link is bound all the same: no node is made in the host's directory" {
    make_bundle
    canary
    edit_config '.mounts |= map(select(.destination | startswith("/dev") | not))'
    bind /data "$CANARY/dir"
    set_args /bin/true
    # the mount goes to /dev
    ln -s dev "$BUNDLE/rootfs/data"
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
    # /dev goes to the mount
    rm "$BUNDLE/rootfs/data"
    rm -rf "$BUNDLE/rootfs/dev"
    ln -s data "$BUNDLE/rootfs/dev"
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
    # ... or to one that comes along below it
    mkdir "$SRC/below"
    mount --bind "$CANARY/dir" "$SRC/below"
    edit_config '.mounts |= map(select(.destination != "/data"))'
    add_mount /data bind "$SRC" rbind
    ln -sfn data/below "$BUNDLE/rootfs/dev"
    ok run --bundle "$BUNDLE" "$ID"
    canary_untouched
    # a tmpfs of the container's own there has its nodes
    add_mount /dev tmpfs tmpfs
    set_args /bin/sh -c 'echo >/dev/null && test -c /dev/null && echo node'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = node ]
    canary_untouched
}

@test "devices: a /dev of the host by bind is left alone" {
    make_bundle
    edit_config '.mounts |= map(select(.destination | startswith("/dev") | not))'
    mkdir "$SRC/dev"
    bind /dev "$SRC/dev"
    run_sh 'ls /dev | wc -l'
    [ "$status" -eq 0 ]
    [ "$output" = 0 ]
}

# ---- read-only and masked ----

@test "root.readonly: the root is, what is mounted in it is not" {
    make_bundle
    edit_config '.root.readonly = true'
    bind /mnt "$SRC"
    show_mounts 'touch /etc/x /x 2>&1 | grep -o "Read-only.*"; touch /mnt/x /dev/shm/x && echo written'
    [ "$(grep -cx 'Read-only file system' "$OUT")" -eq 2 ]
    grep -qx written "$OUT"
    has ro "$(opts /)"
    [ ! -e "$BUNDLE/rootfs/x" ]
}

@test "readonlyPaths: files and directories, missing ones are none" {
    make_bundle
    echo content >"$BUNDLE/rootfs/etc/file"
    edit_config '.linux.readonlyPaths += ["/etc", "/tmp/file", "/no/such/path", "/etc/passwd/nowhere"]'
    echo x >"$BUNDLE/rootfs/tmp/file"
    show_mounts 'touch /etc/x; echo y >/etc/file; echo y >/tmp/file; touch /tmp/other && echo written; echo 1 >/proc/sys/kernel/hostname'
    [ "$(grep -c 'Read-only file system' "$ERR")" -ge 4 ]
    grep -qx written "$OUT"
    has ro "$(opts /etc)"
    has ro "$(opts /proc/sys)"
    has_not ro "$(opts /proc)"
    [ "$(cat "$BUNDLE/rootfs/etc/file")" = content ]
}

@test "maskedPaths: files read empty, directories are empty and read-only, missing ones are none" {
    make_bundle
    mkdir "$BUNDLE/rootfs/secret-dir" "$BUNDLE/rootfs/other-dir"
    echo secret | tee "$BUNDLE/rootfs/secret-file" "$BUNDLE/rootfs/other-file" "$BUNDLE/rootfs/secret-dir/file" \
        >"$BUNDLE/rootfs/other-dir/file"
    edit_config '.linux.maskedPaths += ["/secret-file", "/other-file", "/secret-dir", "/other-dir", "/no/such"]'
    show_mounts 'wc -c </secret-file; wc -c </other-file; ls -A /secret-dir /other-dir; stat -c "%n %t:%T" /secret-file
        touch /secret-dir/x /other-dir/x; wc -c </proc/keys; echo x >/secret-file; rm /secret-file; echo shown'
    [ "$(grep -cx 0 "$OUT")" -eq 3 ]
    grep -qx '/secret-file 1:3' "$OUT"
    ! grep -q '^file$' "$OUT" || fail "found what must not be there"
    [ "$(grep -c 'Read-only file system' "$ERR")" -eq 2 ]
    grep -q 'rm:.*busy' "$ERR"
    has ro "$(opts /secret-dir)"
    [ "$(cat "$BUNDLE/rootfs/secret-file")" = secret ]
}

@test "protected paths need a mount namespace of the container's own" {
    make_bundle
    set_args /bin/true
    edit_config '.linux.namespaces |= map(select(.type != "mount")) | .mounts = []'
    fails 1 'linux.maskedPaths' create --bundle "$BUNDLE" "$ID"
    edit_config 'del(.linux.maskedPaths)'
    fails 1 'linux.readonlyPaths' create --bundle "$BUNDLE" "$ID"
    edit_config 'del(.linux.readonlyPaths) | .root.readonly = true'
    fails 1 'root.readonly' create --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

# ---- the root ----

@test "no-pivot: the root is the bundle's, and no way leads to the host's proc and sys" {
    make_bundle
    set_args /bin/sh -c 'ls /; cat /proc/self/mountinfo'
    ok run --no-pivot --bundle "$BUNDLE" "$ID"
    grep -qx proc "$OUT"
    [ "$(fstype /proc)" = proc ]
    ! grep -qx boot "$OUT" || fail "found what must not be there"
    # chroot's classical way out, and the host's tree below
    edit_config '.process.capabilities[] |= . + ["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]'
    set_args /bin/sh -c 'mkdir -p /tmp/x; chroot /tmp/x /bin/true; cd ../../../../..; ls -d etc/shadow; umount -l /proc; ls /proc | wc -l'
    ctr run --no-pivot --bundle "$BUNDLE" "$ID"
    ! grep -q 'etc/shadow$' "$OUT" || fail "found what must not be there"
    [ "$(tail -n 1 "$OUT")" = 0 ]
}

@test "root: a relative path, a symlink, a missing one and a file" {
    make_bundle
    set_args /bin/echo works
    ok run --bundle "$BUNDLE" "$ID"
    ln -s rootfs "$BUNDLE/link"
    edit_config '.root.path = "link"'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = works ]
    edit_config '.root.path = $p' --arg p "$BUNDLE/rootfs"
    ok run --bundle "$BUNDLE" "$ID"
    edit_config '.root.path = "missing"'
    fails 1 "missing" run --bundle "$BUNDLE" "$ID"
    edit_config '.root.path = "config.json"'
    fails 1 "config.json" run --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

# ---- cgroup ----

@test "cgroup mount: with a cgroup namespace the container's own cgroups are the roots" {
    make_bundle
    run_sh 'cat /proc/self/cgroup; ls /sys/fs/cgroup; cat /proc/self/mountinfo
        for f in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do
            [ ! -e $f ] || echo $f $(grep -cx 1 $f); done
        touch /sys/fs/cgroup/x; mkdir /sys/fs/cgroup/y; for d in /sys/fs/cgroup/*/; do mkdir ${d}z; done'
    ! grep -qE '^[0-9]+:[^:]*:/.+' "$OUT" || fail "found what must not be there"
    if is_cgroup2; then
        [ "$(fstype /sys/fs/cgroup)" = cgroup2 ]
        grep -qx '/sys/fs/cgroup/cgroup.procs 1' "$OUT"
    else
        [ "$(fstype /sys/fs/cgroup)" = tmpfs ]
        [ "$(fstype /sys/fs/cgroup/memory)" = cgroup ]
        grep -qx '/sys/fs/cgroup/memory/cgroup.procs 1' "$OUT"
        grep -qx '/sys/fs/cgroup/pids/cgroup.procs 1' "$OUT"
        has ro "$(opts /sys/fs/cgroup/memory)"
        # every hierarchy that the host has mounted
        for d in /sys/fs/cgroup/*/; do
            d=$(basename "$d")
            grep -qx "$d" "$OUT" || fail "$d is missing"
        done
    fi
    has ro "$(opts /sys/fs/cgroup)"
    [ "$(grep -c 'Read-only file system' "$ERR")" -ge 2 ]
    ! grep -q 'cgroup/[a-z]*/[yz]$' "$OUT" || fail "found what must not be there"
}

@test "cgroup mount: without a cgroup namespace only the container's own directories are there" {
    make_bundle
    edit_config '.linux.namespaces |= map(select(.type != "cgroup"))'
    run_sh 'cat /proc/self/cgroup; cat /proc/self/mountinfo
        for f in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do
            [ ! -e $f ] || echo $f $(grep -cx 1 $f); done'
    [ "$status" -eq 0 ]
    if is_cgroup2; then
        grep -qx '/sys/fs/cgroup/cgroup.procs 1' "$OUT"
    else
        grep -qx '/sys/fs/cgroup/memory/cgroup.procs 1' "$OUT"
        grep -q ":memory:/.*$ID" "$OUT"
        [[ $(info /sys/fs/cgroup/memory | cut -d' ' -f4) == *"$ID"* ]]
    fi
}

# ---- idmapped ----

idmap_works() {
    [ -z "${IDMAP_WORKS:-}" ] || return 0
    make_bundle "$BATS_TEST_TMPDIR/probe"
    add_mount /mnt bind "$SRC" bind
    edit_config '.mounts[-1].uidMappings = [{containerID: 0, hostID: 0, size: 1}] | .mounts[-1].gidMappings = .mounts[-1].uidMappings'
    set_args /bin/true
    ctr run --bundle "$BUNDLE" "$ID-probe"
    [ "$status" -eq 0 ] || skip "no id-mapped mounts on this file system: $stderr"
    BUNDLE=$BATS_TEST_TMPDIR/bundle
}

@test "idmap: a mount's own maps, with and without a user namespace" {
    idmap_works
    make_bundle
    touch "$SRC/root" "$SRC/user"
    chown 1000:1000 "$SRC/user"
    bind /mnt "$SRC"
    # on disk 0..999 appear as 5000.., 1000 appears as 42
    edit_config '.mounts[-1].uidMappings = [{containerID: 0, hostID: 5000, size: 1000}, {containerID: 1000, hostID: 42, size: 1}]
        | .mounts[-1].gidMappings = [{containerID: 0, hostID: 6000, size: 1000}, {containerID: 1000, hostID: 43, size: 1}]
        | .process.user = {uid: 42, gid: 43}'
    chmod 777 "$SRC"
    run_sh 'stat -c "%n %u:%g" /mnt/root /mnt/user; touch /mnt/made'
    [ "$status" -eq 0 ]
    grep -qx '/mnt/root 5000:6000' "$OUT"
    grep -qx '/mnt/user 42:43' "$OUT"
    [ "$(stat -c %u:%g "$SRC/made")" = 1000:1000 ]
}

@test "idmap: the container's maps make a volume of the host's root that of the container's" {
    idmap_works
    make_bundle
    edit_config "$MAP_64K"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    touch "$SRC/root" "$SRC/user"
    chown 1000:1000 "$SRC/user"
    mkdir "$SRC/sub"
    mount -t tmpfs tmpfs "$SRC/sub"
    touch "$SRC/sub/root"
    bind /mnt/idmap "$SRC" idmap
    add_mount /mnt/rec bind "$SRC" rbind ridmap
    bind /mnt/plain "$SRC"
    show_mounts 'stat -c "%n %u:%g" /mnt/*/root /mnt/*/user /mnt/rec/sub/root; touch /mnt/idmap/made'
    grep -qx '/mnt/idmap/root 0:0' "$OUT"
    grep -qx '/mnt/idmap/user 1000:1000' "$OUT"
    grep -qx '/mnt/plain/root 65534:65534' "$OUT"
    grep -qx '/mnt/rec/sub/root 0:0' "$OUT"
    [ "$(stat -c %u:%g "$SRC/made")" = 0:0 ]
    has idmapped "$(opts /mnt/idmap)"
}

@test "idmap: half a map, and a map of a file system that knows none, are refused" {
    make_bundle
    set_args /bin/true
    bind /mnt "$SRC"
    edit_config '.mounts[-1].uidMappings = [{containerID: 0, hostID: 5000, size: 1000}]'
    fails 1 gidMappings create --bundle "$BUNDLE" "$ID"
    edit_config '.mounts[-1] |= {destination: "/mnt", type: "mqueue", source: "mqueue", uidMappings: .uidMappings, gidMappings: .uidMappings}'
    fails 1 'mounts[' create --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

# ---- in a user namespace ----

@test "user namespace: binds keep the host's locked flags, and the container's options are added" {
    make_bundle
    edit_config "$MAP_64K"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    mount -t tmpfs -o nosuid,nodev,noexec tmpfs "$SRC"
    bind /mnt/a "$SRC" ro
    bind /mnt/b "$SRC" noatime
    bind /mnt/c "$SRC"
    show_mounts
    has ro "$(opts /mnt/a)"
    for o in nosuid nodev noexec; do
        has $o "$(opts /mnt/a)"
        has $o "$(opts /mnt/c)"
    done
}

@test "user namespace: a plain bind leaves out what is mounted below, where the user may look and where not" {
    make_bundle
    edit_config "$MAP_64K"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    mkdir "$SRC/sub"
    mount -t tmpfs tmpfs "$SRC/sub"
    touch "$SRC/file" "$SRC/sub/mounted"
    bind /mnt/plain "$SRC"
    add_mount /mnt/rec bind "$SRC" rbind
    local mode
    for mode in a-x a+x; do
        chmod $mode "$BATS_RUN_TMPDIR"
        run_sh 'ls /mnt/plain /mnt/plain/sub /mnt/rec/sub'
        [ "$status" -eq 0 ]
        [ "$output" = $'/mnt/plain:\nfile\nsub\n\n/mnt/plain/sub:\n\n/mnt/rec/sub:\nmounted' ]
    done
}

@test "user namespace: read-only and masked paths, tmpfs and read-only root hold there too" {
    make_bundle
    edit_config "$MAP_64K"' | .root.readonly = true | .linux.maskedPaths += ["/etc/group", "/home"] | .linux.readonlyPaths += ["/var"]'
    chown -R 200000:300000 "$BUNDLE/rootfs"
    add_mount /mnt tmpfs tmpfs uid=5 mode=700
    show_mounts 'wc -c </etc/group; touch /home/x /var/x /x; stat -c %u:%a /mnt'
    grep -qx 0 "$OUT"
    grep -qx 5:700 "$OUT"
    [ "$(grep -c 'Read-only file system' "$ERR")" -eq 3 ]
}
