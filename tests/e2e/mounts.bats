#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Mounts as the container's own /proc/self/mountinfo shows them: options, binds, propagation, tmpfs.

load helpers
load isolation

# ---- options of one mount ----

@test "mount options: ro of a tmpfs is that mount's, whatever a later one puts over it" {
    make_bundle
    mkdir "$SRC/over"
    touch "$SRC/over/file"
    add_mount /mnt/a tmpfs tmpfs ro
    bind /mnt/a "$SRC/over" rw
    add_mount /mnt/b/c tmpfs tmpfs ro
    bind /mnt/b "$SRC/over" rw
    add_mount /mnt/d tmpfs tmpfs ro
    show_mounts 'touch /mnt/a/new /mnt/b/new && echo written; touch /mnt/d/x 2>&1 | grep -o "Read-only.*"'
    grep -qx written "$OUT"
    grep -qx 'Read-only file system' "$OUT"
    [ -e "$SRC/over/new" ]
    has ro "$(opts /mnt/d)"
}

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

@test "mount options: copy-symlink makes the link that its source is, and binds anything else" {
    make_bundle
    mkdir "$SRC/dir"
    echo text >"$SRC/dir/file"
    ln -s ../some/where "$SRC/link"
    ln -s /mnt/elsewhere "$BUNDLE/rootfs/same"
    ln -s /mnt/elsewhere "$SRC/same"
    # a link of the image on the way leads to a place in the image
    ln -s /mnt/inside "$BUNDLE/rootfs/way"
    bind /mnt/new/link "$SRC/link" copy-symlink ro
    bind /way/link "$SRC/link" copy-symlink
    bind /same "$SRC/same" copy-symlink
    bind /mnt/dir "$SRC/dir" copy-symlink
    show_mounts 'readlink /mnt/new/link; readlink /mnt/inside/link; readlink /same; cat /mnt/dir/file'
    [ "$(head -n 4 "$OUT")" = $'../some/where\n../some/where\n/mnt/elsewhere\ntext' ] || fail "$output"
    [ -z "$(info /mnt/new/link)" ]
    [ -n "$(info /mnt/dir)" ]
    # it does not matter to check either where it leads
    ok check --bundle "$BUNDLE"
    rm "$BUNDLE/rootfs/same"
    ln -s /mnt/another "$BUNDLE/rootfs/same"
    fails 1 '.destination: /same: something else than a link to /mnt/elsewhere is there' run --bundle "$BUNDLE" "$ID"
    [ "$(readlink "$BUNDLE/rootfs/same")" = /mnt/another ]
}

@test "mount options: src-nofollow binds a link itself" {
    make_bundle
    ln -s /some/where "$SRC/link"
    echo text >"$SRC/file"
    touch "$BUNDLE/rootfs/mnt/there"
    bind /mnt/there "$SRC/link" src-nofollow
    bind /mnt/new "$SRC/link" src-nofollow
    bind /mnt/file "$SRC/file" src-nofollow
    ln -s /mnt/file "$BUNDLE/rootfs/mnt/both"
    bind /mnt/both "$SRC/link" src-nofollow dest-nofollow
    show_mounts 'readlink /mnt/there; readlink /mnt/new; cat /mnt/file; readlink /mnt/both'
    [ "$(head -n 4 "$OUT")" = $'/some/where\n/some/where\ntext\n/some/where' ] || fail "$output"
    [ -n "$(info /mnt/there)" ]
    # the image has an empty file below it
    [ ! -L "$BUNDLE/rootfs/mnt/there" ]
    ok check --bundle "$BUNDLE"
}

@test "mount options: copy-symlink and src-nofollow in a user namespace that cannot walk to the source" {
    make_bundle
    edit_config "$MAP_64K"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    chmod 755 "$BATS_TEST_TMPDIR" "$BUNDLE"
    mkdir -m 700 "$SRC/private"
    ln -s /some/where "$SRC/private/link"
    bind /mnt/copy "$SRC/private/link" copy-symlink
    bind /mnt/bound "$SRC/private/link" src-nofollow
    show_mounts 'readlink /mnt/copy; readlink /mnt/bound'
    [ "$(head -n 2 "$OUT")" = $'/some/where\n/some/where' ] || fail "$output"
    [ "$(stat -c %u "$BUNDLE/rootfs/mnt/copy")" = 200000 ]
}

@test "mount options: dest-nofollow mounts over a link, wherever it leads" {
    make_bundle
    canary
    echo text >"$SRC/file"
    ln -s "$CANARY/file" "$BUNDLE/rootfs/mnt/out"
    ln -s /nowhere/at/all "$BUNDLE/rootfs/mnt/dangling"
    ln -s /mnt "$BUNDLE/rootfs/way"
    bind /mnt/out "$SRC/file" dest-nofollow
    bind /way/dangling "$SRC/file" dest-nofollow ro
    bind /way/made/new "$SRC/file" dest-nofollow
    add_mount /way/made/tmp tmpfs tmpfs dest-nofollow
    show_mounts 'cat /mnt/out /mnt/dangling /mnt/made/new; ls /nowhere 2>&1'
    [ "$(head -n 4 "$OUT")" = $'text\ntext\ntext\nls: /nowhere: No such file or directory' ] || fail "$output"
    has ro "$(opts /mnt/dangling)"
    [ "$(fstype /mnt/made/tmp)" = tmpfs ]
    [ "$(readlink "$BUNDLE/rootfs/mnt/out")" = "$CANARY/file" ]
    canary_untouched
    # what is below /proc is no place for it either
    ln -s /proc "$BUNDLE/rootfs/p"
    bind /p/self "$SRC/file" dest-nofollow
    fails 1 'is inside /proc' run --bundle "$BUNDLE" "$ID"
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
    ! grep -q "$SRC/mine" /proc/self/mountinfo || fail "found what must not be there"
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

@test "tmpfs: a recursively read-only one is filled first too: mount points, tmpcopyup, the nodes of /dev" {
    make_bundle
    mkdir "$BUNDLE/rootfs/data"
    echo one >"$BUNDLE/rootfs/data/one"
    add_mount /data tmpfs tmpfs tmpcopyup rro
    add_mount /mnt tmpfs tmpfs rro
    bind /mnt/below "$SRC"
    echo content >"$SRC/file"
    edit_config '(.mounts[] | select(.destination == "/dev").options) += ["rro"]'
    show_mounts 'cat /data/one /mnt/below/file; touch /mnt/below/written
        for d in /data /mnt /dev; do touch $d/x 2>&1 | grep -o "Read-only.*"; done; echo null >/dev/null && echo nodes'
    grep -qx one "$OUT"
    grep -qx content "$OUT"
    grep -qx nodes "$OUT"
    [ "$(grep -cx 'Read-only file system' "$OUT")" -eq 3 ]
    # what was mounted below it later is not part of it
    [ -e "$SRC/written" ]
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

@test "tmpfs: tmpcopyup leaves uid, gid and mode as the mount says them, each by itself" {
    make_bundle
    local n
    for n in all owner group mode none; do
        mkdir -p "$BUNDLE/rootfs/$n/sub"
        chmod 2750 "$BUNDLE/rootfs/$n" "$BUNDLE/rootfs/$n/sub"
        chown 12:34 "$BUNDLE/rootfs/$n" "$BUNDLE/rootfs/$n/sub"
    done
    add_mount /all tmpfs tmpfs mode=0700 uid=1000 gid=1001 tmpcopyup
    add_mount /owner tmpfs tmpfs tmpcopyup uid=0
    add_mount /group tmpfs tmpfs tmpcopyup gid=1001
    add_mount /mode tmpfs tmpfs mode=1777 tmpcopyup
    add_mount /none tmpfs tmpfs tmpcopyup size=64k
    edit_config '.process.capabilities[] |= . + ["CAP_DAC_OVERRIDE"]'
    run_sh 'stat -c "%n %a %u:%g" /all /owner /group /mode /none /*/sub'
    grep -qx '/all 700 1000:1001' "$OUT"
    grep -qx '/owner 2750 0:34' "$OUT"
    grep -qx '/group 2750 12:1001' "$OUT"
    grep -qx '/mode 1777 12:34' "$OUT"
    grep -qx '/none 2750 12:34' "$OUT"
    # what is in it is the image's
    [ "$(grep -cx '/.*/sub 2750 12:34' "$OUT")" -eq 5 ]
}
