#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Mounts as the container's own /proc/self/mountinfo shows them: options, propagation, binds, tmpfs, cgroup,
# idmaps; read-only and masked paths; devices.

load helpers

MAP_64K='.linux.uidMappings = [{containerID: 0, hostID: 200000, size: 65536}]
    | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 65536}]
    | .linux.namespaces += [{type: "user"}]'

setup() {
    common_setup
    require_root
    SRC=$BATS_TEST_TMPDIR/src
    MADE=()
    mkdir "$SRC"
}

# Host mounts that a test made are gone before the leak check, even those in each other.
teardown() {
    local m
    for m in $(awk -v d="$SRC" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
        umount -l "$m"
    done
    common_teardown
}

# add_mount DESTINATION TYPE SOURCE OPTION...
add_mount() {
    edit_config '.mounts += [{destination: $d, options: $ARGS.positional}
        + (if $t == "" then {} else {type: $t} end) + (if $s == "" then {} else {source: $s} end)]' \
        --arg d "$1" --arg t "$2" --arg s "$3" --args -- "${@:4}"
}

bind() { add_mount "$1" bind "$2" bind "${@:3}"; }

# edit_config puts --args before the file: the positional arguments must not swallow it.
edit_config() {
    local filter=$1
    shift
    jq "$filter" "$@" <"$BUNDLE/config.json" >"$BUNDLE/config.json.new" &&
        mv "$BUNDLE/config.json.new" "$BUNDLE/config.json"
}

# What the last run printed of the container's mountinfo about a mount point; the topmost one.
info() { awk -v p="$1" '$5 == p { l = $0 } END { print l }' "$OUT"; }
opts() { info "$1" | cut -d' ' -f6; }
super() { info "$1" | sed 's/.* - //' | cut -d' ' -f3; }
fstype() { info "$1" | sed 's/.* - //' | cut -d' ' -f1; }
# shared:N master:N unbindable, without the numbers
prop() { info "$1" | sed 's/ - .*//' | cut -d' ' -f7- | sed 's/:[0-9]*//g'; }

has() { [[ ,$2, == *,"$1",* ]] || fail "no $1 in $2"; }
has_not() { [[ ,$2, != *,"$1",* ]] || fail "$1 in $2"; }

show_mounts() {
    run_sh "${1:+$1; }cat /proc/self/mountinfo"
    [ "$status" -eq 0 ] || fail "run: $status"
}

# ---- options of one mount ----

@test "mount options: each one sets its flag" {
    make_bundle
    local o
    for o in ro nosuid nodev noexec nodiratime noatime nosymfollow relatime strictatime; do
        mkdir "$SRC/$o"
        bind "/mnt/$o" "$SRC/$o" $o
    done
    show_mounts 'touch /mnt/ro/x 2>&1 | grep -o "Read-only.*"'
    grep -qx 'Read-only file system' "$OUT"
    for o in ro nosuid nodev noexec nodiratime noatime nosymfollow relatime; do has $o "$(opts /mnt/$o)"; done
    has_not relatime "$(opts /mnt/strictatime)"
    has_not noatime "$(opts /mnt/strictatime)"
    has_not relatime "$(opts /mnt/noatime)"
    has rw "$(opts /mnt/nosuid)"
}

@test "mount options: each one clears its flag" {
    make_bundle
    mount -t tmpfs -o ro,nosuid,nodev,noexec,nodiratime,noatime tmpfs "$SRC"
    mount -o remount,bind,ro,nosuid,nodev,noexec,nodiratime,noatime,nosymfollow "$SRC" 2>/dev/null || true
    add_mount /mnt/plain '' "$SRC" bind
    local o
    for o in rw suid dev exec diratime atime symfollow relatime nostrictatime async; do
        add_mount /mnt/$o '' "$SRC" bind $o
    done
    show_mounts
    local all
    all=$(opts /mnt/plain)
    for o in ro nosuid nodev noexec nodiratime noatime; do has $o "$all"; done
    has rw "$(opts /mnt/rw)"
    for o in suid dev exec diratime atime; do has_not no$o "$(opts /mnt/$o)"; done
    has_not nosymfollow "$(opts /mnt/symfollow)"
    for o in relatime nostrictatime atime; do
        has_not noatime "$(opts /mnt/$o)"
        has relatime "$(opts /mnt/$o)"
    done
    # one flag is cleared, the others stay
    has nosuid "$(opts /mnt/exec)"
    has noexec "$(opts /mnt/suid)"
}

@test "mount options: the last of two that contradict each other holds" {
    make_bundle
    bind /mnt/a "$SRC" ro nosuid rw suid
    bind /mnt/b "$SRC" rw suid ro nosuid
    bind /mnt/c "$SRC" noatime strictatime
    bind /mnt/d "$SRC" strictatime noatime
    show_mounts
    has rw "$(opts /mnt/a)"
    has_not nosuid "$(opts /mnt/a)"
    has ro "$(opts /mnt/b)"
    has nosuid "$(opts /mnt/b)"
    has_not noatime "$(opts /mnt/c)"
    has noatime "$(opts /mnt/d)"
}

@test "mount options: the recursive ones reach what is mounted below, the plain ones do not" {
    make_bundle
    mount -t tmpfs tmpfs "$SRC"
    mkdir "$SRC/sub"
    mount -t tmpfs tmpfs "$SRC/sub"
    local o
    for o in rro rnosuid rnodev rnoexec rnodiratime rnoatime rnosymfollow; do
        add_mount "/mnt/$o" bind "$SRC" rbind $o
    done
    for o in ro nosuid noexec; do add_mount "/mnt/$o" bind "$SRC" rbind $o; done
    add_mount /mnt/norec bind "$SRC" bind rro
    add_mount /mnt/mixed bind "$SRC" rbind rro rw
    show_mounts 'touch /mnt/rro/sub/x 2>&1 | grep -o "Read-only.*"; touch /mnt/ro/sub/x && echo written'
    grep -qx 'Read-only file system' "$OUT"
    grep -qx written "$OUT"
    for o in ro nosuid nodev noexec nodiratime noatime nosymfollow; do
        has $o "$(opts /mnt/r$o)"
        has $o "$(opts /mnt/r$o/sub)"
    done
    for o in ro nosuid noexec; do
        has $o "$(opts /mnt/$o)"
        has_not $o "$(opts /mnt/$o/sub)"
    done
    [ -z "$(info /mnt/norec/sub)" ]
    has rw "$(opts /mnt/mixed)"
    has ro "$(opts /mnt/mixed/sub)"
}

@test "mount options: the recursive ones that clear" {
    make_bundle
    mount -t tmpfs -o nosuid,nodev,noexec,noatime tmpfs "$SRC"
    mkdir "$SRC/sub"
    mount -t tmpfs -o nosuid,nodev,noexec,noatime tmpfs "$SRC/sub"
    mount -o remount,bind,ro "$SRC/sub"
    mount -o remount,bind,ro "$SRC"
    local o
    for o in rrw rsuid rdev rexec ratime rrelatime rstrictatime; do add_mount "/mnt/$o" bind "$SRC" rbind $o; done
    show_mounts
    for d in '' /sub; do
        has rw "$(opts /mnt/rrw$d)"
        for o in suid dev exec; do has_not no$o "$(opts /mnt/r$o$d)"; done
        for o in atime relatime strictatime; do has_not noatime "$(opts /mnt/r$o$d)"; done
        has relatime "$(opts /mnt/rrelatime$d)"
        has_not relatime "$(opts /mnt/rstrictatime$d)"
    done
}

@test "mount options: the file system's own are seen in its super block" {
    make_bundle
    local o
    for o in sync dirsync lazytime; do add_mount "/mnt/$o" tmpfs tmpfs $o; done
    add_mount /mnt/none tmpfs tmpfs sync async lazytime nolazytime silent loud defaults
    add_mount /mnt/iversion tmpfs tmpfs iversion
    add_mount /mnt/noiversion tmpfs tmpfs iversion noiversion nomand
    show_mounts
    for o in sync dirsync lazytime; do has $o "$(super /mnt/$o)"; done
    has_not sync "$(super /mnt/none)"
    has_not lazytime "$(super /mnt/none)"
    [ "$(fstype /mnt/iversion)" = tmpfs ]
    [ "$(fstype /mnt/noiversion)" = tmpfs ]
}

@test "mount options: unknown and impossible ones are refused with their place" {
    make_bundle
    set_args /bin/true
    cp "$BUNDLE/config.json" "$BUNDLE/good"
    refused() { # TEXT OPTION...
        cp "$BUNDLE/good" "$BUNDLE/config.json"
        add_mount /mnt "$2" "$3" "${@:4}"
        fails 1 "$1" create --bundle "$BUNDLE" "$ID"
        [ "$(wc -l <"$ERR")" -eq 1 ]
    }
    refused 'bogus' bind "$SRC" bind bogus
    refused 'sync' bind "$SRC" bind sync
    refused 'bogus' tmpfs tmpfs bogus
    refused 'nosuchfs' nosuchfs none
    refused 'tmpcopyup' bind "$SRC" bind tmpcopyup
    refused 'idmap' bind "$SRC" bind idmap
    refused "$SRC/no-such" bind "$SRC/no-such" bind
    refused 'size' tmpfs tmpfs size=many
    assert_leak_free
}

# ---- binds ----

@test "bind: directories and files, recursively or not, relative sources and destinations" {
    make_bundle
    mkdir -p "$SRC/dir/sub" "$BUNDLE/beside"
    echo file >"$SRC/dir/file"
    echo beside >"$BUNDLE/beside/file"
    mount -t tmpfs tmpfs "$SRC/dir/sub"
    echo sub >"$SRC/dir/sub/file"
    bind /mnt/plain "$SRC/dir"
    add_mount /mnt/rec bind "$SRC/dir" rbind
    add_mount /mnt/by-option none "$SRC/dir" rbind ro
    add_mount /mnt/by-type bind "$SRC/dir"
    bind /mnt/file "$SRC/dir/file" ro
    bind relative/dest "$SRC/dir"
    bind /mnt/beside beside
    run_sh 'for d in /mnt/plain /mnt/rec /mnt/by-option /mnt/by-type /relative/dest; do
            echo $d $(cat $d/file) $(cat $d/sub/file 2>/dev/null); done
        cat /mnt/file /mnt/beside/file; echo x >/mnt/file; echo x >/mnt/plain/new; echo x >/mnt/by-option/new'
    grep -qx '/mnt/plain file' "$OUT"
    grep -qx '/mnt/rec file sub' "$OUT"
    grep -qx '/mnt/by-option file sub' "$OUT"
    grep -q '^/mnt/by-type file' "$OUT"
    grep -qx '/relative/dest file' "$OUT"
    [ "$(tail -n 2 "$OUT")" = $'file\nbeside' ]
    [ "$(grep -c 'Read-only file system' "$ERR")" -eq 2 ]
    [ "$(cat "$SRC/dir/file")" = file ]
    [ -e "$SRC/dir/new" ]
}

@test "bind: missing mount points are made, directories and files" {
    make_bundle
    echo content >"$SRC/file"
    bind /a/b/c "$SRC"
    bind /d/e/file "$SRC/file"
    add_mount /f/g tmpfs tmpfs
    run_sh 'ls -d /a/b/c/file; cat /d/e/file; stat -c "%F %a %u:%g" /a/b /d/e'
    [ "$status" -eq 0 ]
    [ "$output" = $'/a/b/c/file\ncontent\ndirectory 755 0:0\ndirectory 755 0:0' ]
    [ -d "$BUNDLE/rootfs/a/b/c" ]
    [ -f "$BUNDLE/rootfs/d/e/file" ]
    [ ! -s "$BUNDLE/rootfs/d/e/file" ]
    [ -d "$BUNDLE/rootfs/f/g" ]
}

@test "bind: symlinks in the root lead nowhere but into the root" {
    make_bundle
    mkdir "$BATS_TEST_TMPDIR/outside" "$BUNDLE/rootfs/inside"
    ln -s "$BATS_TEST_TMPDIR/outside" "$BUNDLE/rootfs/absolute"
    ln -s ../../../../../../../../../../../inside "$BUNDLE/rootfs/up"
    ln -s /inside/deep/er "$BUNDLE/rootfs/dangling"
    echo file >"$SRC/file"
    bind /absolute/x "$SRC"
    bind /up/y "$SRC"
    bind /dangling "$SRC"
    bind /../../../z "$SRC"
    run_sh 'cat /absolute/x/file /inside/y/file /inside/deep/er/file /z/file'
    [ "$status" -eq 0 ]
    [ "$output" = $'file\nfile\nfile\nfile' ]
    [ -z "$(ls "$BATS_TEST_TMPDIR/outside")" ]
    [ -d "$BUNDLE/rootfs$BATS_TEST_TMPDIR/outside/x" ]
}

@test "mounts: in the order of the list; a later one covers an earlier one" {
    make_bundle
    mkdir "$SRC/one" "$SRC/two" "$SRC/one/deep"
    echo one >"$SRC/one/name"
    echo two >"$SRC/two/name"
    bind /mnt "$SRC/one"
    bind /mnt/deep "$SRC/two"
    bind /srv "$SRC/one"
    bind /srv "$SRC/two"
    run_sh 'cat /mnt/name /mnt/deep/name /srv/name'
    [ "$output" = $'one\ntwo\ntwo' ]
}

@test "remount: options of an earlier mount, of the root and of a super block" {
    make_bundle
    bind /mnt "$SRC"
    add_mount /mnt none '' remount ro noexec
    add_mount /srv tmpfs tmpfs size=4096k
    add_mount /srv tmpfs '' remount size=8192k nodev
    add_mount / none '' remount nosuid
    show_mounts 'touch /mnt/x 2>&1 | grep -o "Read-only.*"'
    grep -qx 'Read-only file system' "$OUT"
    has ro "$(opts /mnt)"
    has noexec "$(opts /mnt)"
    has size=8192k "$(super /srv)"
    has nodev "$(opts /srv)"
    has nosuid "$(opts /)"
}

# ---- propagation ----

@test "propagation: private, slave, shared, unbindable" {
    make_bundle
    mount -t tmpfs tmpfs "$SRC"
    mount --make-shared "$SRC"
    mkdir "$SRC/sub"
    mount -t tmpfs tmpfs "$SRC/sub"
    mount --make-shared "$SRC/sub"
    local o
    for o in private slave shared unbindable rprivate rslave rshared runbindable; do
        add_mount "/mnt/$o" bind "$SRC" rbind $o
    done
    show_mounts
    [ -z "$(prop /mnt/private)" ]
    [ "$(prop /mnt/private/sub)" = master ]
    [ -z "$(prop /mnt/rprivate)$(prop /mnt/rprivate/sub)" ]
    [ "$(prop /mnt/slave)" = master ]
    [ "$(prop /mnt/rslave)" = master ]
    [ "$(prop /mnt/rslave/sub)" = master ]
    # it stays the slave of the host's: what is mounted here does not appear there
    [ "$(prop /mnt/shared)" = 'shared master' ]
    [ "$(prop /mnt/shared/sub)" = master ]
    [ "$(prop /mnt/rshared/sub)" = 'shared master' ]
    [ "$(prop /mnt/unbindable)" = unbindable ]
    [ "$(prop /mnt/unbindable/sub)" = master ]
    [ "$(prop /mnt/runbindable/sub)" = unbindable ]
}

@test "propagation: what the host mounts appears in an rslave bind and not in an rprivate one" {
    make_bundle
    mount -t tmpfs tmpfs "$SRC"
    mount --make-shared "$SRC"
    mkdir "$SRC/later"
    add_mount /mnt/slave bind "$SRC" rbind rslave
    add_mount /mnt/private bind "$SRC" rbind rprivate
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    mount -t tmpfs tmpfs "$SRC/later"
    echo new >"$SRC/later/file"
    ok exec "$ID" /bin/cat /mnt/slave/later/file
    [ "$output" = new ]
    ctr exec "$ID" /bin/cat /mnt/private/later/file
    [ "$status" -ne 0 ]
    # and nothing goes the other way
    ok exec --cap SYS_ADMIN "$ID" /bin/sh -c 'mkdir /mnt/slave/mine && mount -t tmpfs tmpfs /mnt/slave/mine'
    ! grep -q "$SRC/mine" /proc/self/mountinfo
    umount "$SRC/later"
    ctr exec "$ID" /bin/cat /mnt/slave/later/file
    [ "$status" -ne 0 ]
    ok delete --force "$ID"
}

@test "propagation: rootfsPropagation rshared and an rshared bind bring the container's mounts to the host" {
    make_bundle
    mount -t tmpfs tmpfs "$SRC"
    mount --make-shared "$SRC"
    mkdir "$SRC/inner"
    edit_config '.linux.rootfsPropagation = "rshared" | .process.capabilities[] |= . + ["CAP_SYS_ADMIN"]'
    add_mount /mnt bind "$SRC" rbind rshared
    set_args /bin/sh -c 'mount -t tmpfs tmpfs /mnt/inner && touch /mnt/inner/from-inside && exec sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 test -e "$SRC/inner/from-inside"
    ok delete --force "$ID"
    umount "$SRC/inner"
}

@test "propagation: rootfsPropagation is that of the container's root" {
    make_bundle
    local p want
    for p in private rprivate slave rslave shared rshared unbindable runbindable; do
        edit_config '.linux.rootfsPropagation = $p' --arg p $p
        show_mounts
        case $p in
        *shared) want=shared ;;
        *unbindable) want=unbindable ;;
        *) want= ;;
        esac
        # a slave of nobody is private
        [ "$(prop / | sed 's/ \?master//')" = "$want" ] || fail "$p: $(prop /)"
    done
    edit_config '.linux.rootfsPropagation = "sideways"'
    fails 1 linux.rootfsPropagation run --bundle "$BUNDLE" "$ID"
}

# ---- tmpfs ----

@test "tmpfs: size, mode, uid, gid, nr_inodes; the mode of the directory that was there when none is said" {
    make_bundle
    mkdir "$BUNDLE/rootfs/private"
    chmod 711 "$BUNDLE/rootfs/private"
    add_mount /mnt tmpfs tmpfs size=2048k mode=1757 uid=12 gid=34 nr_inodes=50
    add_mount /tmp tmpfs tmpfs
    add_mount /private tmpfs tmpfs
    add_mount /new tmpfs tmpfs
    show_mounts 'stat -c "%n %a %u:%g" /mnt /tmp /private /new; dd if=/dev/zero of=/tmp/ok bs=1k count=1 2>/dev/null
        dd if=/dev/zero of=/mnt/big bs=64k count=100 2>/dev/null; stat -c "size %s" /mnt/big'
    grep -qx '/mnt 1757 12:34' "$OUT"
    grep -qx '/tmp 1777 0:0' "$OUT"
    grep -qx '/private 711 0:0' "$OUT"
    grep -qx '/new 1777 0:0' "$OUT"
    has size=2048k "$(super /mnt)"
    has nr_inodes=50 "$(super /mnt)"
    [ "$(sed -n 's/^size //p' "$OUT")" -le 2097152 ]
}

@test "tmpfs: a read-only one is so for the container only after its mount points were made" {
    make_bundle
    add_mount /mnt tmpfs tmpfs ro
    bind /mnt/below "$SRC"
    echo content >"$SRC/file"
    show_mounts 'cat /mnt/below/file; touch /mnt/x 2>&1 | grep -o "Read-only.*"'
    grep -qx content "$OUT"
    grep -qx 'Read-only file system' "$OUT"
}

@test "tmpfs: tmpcopyup brings the directory's content, owners, modes and links along" {
    make_bundle
    local d=$BUNDLE/rootfs/data
    mkdir -p "$d/sub/deep"
    echo one >"$d/one"
    chown 12:34 "$d/one"
    chmod 4711 "$d/one"
    ln -s one "$d/link"
    ln "$d/one" "$d/sub/hard"
    chmod 750 "$d/sub/deep"
    chown 5:6 "$d/sub/deep"
    chmod 2770 "$d"
    touch -d '2001-02-03 04:05:06 UTC' "$d/one"
    setfattr -n user.colour -v blue "$d/one" 2>/dev/null || true
    add_mount /data tmpfs tmpfs tmpcopyup
    edit_config '.process.capabilities[] |= . + ["CAP_DAC_OVERRIDE"]'
    show_mounts 'stat -c "%n %a %u:%g" /data /data/one /data/sub/deep; readlink /data/link; cat /data/sub/hard
        stat -c "mtime %Y" /data/one; echo new >/data/one; echo more >/data/more'
    grep -qx '/data 2770 0:0' "$OUT"
    grep -qx '/data/one 4711 12:34' "$OUT"
    grep -qx '/data/sub/deep 750 5:6' "$OUT"
    [ "$(grep -cx one "$OUT")" -eq 2 ]
    grep -qx 'mtime 981173106' "$OUT"
    [ "$(fstype /data)" = tmpfs ]
    [ "$(cat "$d/one")" = one ]
    [ ! -e "$d/more" ]
}

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
    ! grep -q "$BATS_TEST_TMPDIR/root " "$OUT"
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
    ! grep -q '^file$' "$OUT"
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
    ! grep -qx boot "$OUT"
    # chroot's classical way out, and the host's tree below
    edit_config '.process.capabilities[] |= . + ["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]'
    set_args /bin/sh -c 'mkdir -p /tmp/x; chroot /tmp/x /bin/true; cd ../../../../..; ls -d etc/shadow; umount -l /proc; ls /proc | wc -l'
    ctr run --no-pivot --bundle "$BUNDLE" "$ID"
    ! grep -q 'etc/shadow$' "$OUT"
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
    ! grep -qE '^[0-9]+:[^:]*:/.+' "$OUT"
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
    ! grep -q 'cgroup/[a-z]*/[yz]$' "$OUT"
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

@test "idmap: half a map and a map on what is no bind are refused" {
    make_bundle
    set_args /bin/true
    bind /mnt "$SRC"
    edit_config '.mounts[-1].uidMappings = [{containerID: 0, hostID: 5000, size: 1000}]'
    fails 1 gidMappings create --bundle "$BUNDLE" "$ID"
    edit_config '.mounts[-1] |= {destination: "/mnt", type: "tmpfs", source: "tmpfs", uidMappings: .uidMappings, gidMappings: .uidMappings}'
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
