#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run: own network
#
# run --clone --disk FILE[:SIZE]: what the clone changed is one file, which is kept, copied and run again; no loop device
# and no half-made file stays, whatever goes wrong.

load helpers

setup() {
    common_setup
    require_root
    [ -w /dev/loop-control ] || skip "no loop devices here"
    DISK=$BATS_TEST_TMPDIR/disk.img
}

teardown() {
    local rc=0
    common_teardown || rc=1
    # also the kernel's half: the device goes with the last mount
    wait_for 5 no_loops || rc=1
    return "$rc"
}

no_loops() { [ -z "$(loops)" ]; }
# The loop devices whose file is one of this test's.
loops() { grep -lsF "$BATS_TEST_TMPDIR" /sys/block/loop*/loop/backing_file; }

# disk FILE[:SIZE] SCRIPT: runs the script in a clone with that disk, which must succeed.
disk() {
    ctr run --clone --disk "$1" "$ID" /bin/sh -ec "$2"
    [ "$status" -eq 0 ] || fail "the clone ended with status $status"
}

@test "disk: made sparse on first use, with the size asked for, for its owner only" {
    disk "$DISK:256m" 'df -B1M --output=size / | tail -n 1; stat -fc %T /'
    [ "$(stat -c '%s %a' "$DISK")" = "$((256 << 20)) 600" ]
    [ "$(($(stat -c %b "$DISK") * 512))" -lt $((64 << 20)) ]
    [ "$(sed -n 1p <<<"$output")" -gt 180 ] && [ "$(sed -n 1p <<<"$output")" -le 256 ]
    [ "$(ls -A "$(dirname "$DISK")" | grep -c '^disk')" -eq 1 ]
}

@test "disk: the default size is 8 GiB, and takes little" {
    disk "$DISK" true
    [ "$(stat -c %s "$DISK")" -eq $((8 << 30)) ]
    [ "$(($(stat -c %b "$DISK") * 512))" -lt $((256 << 20)) ]
}

@test "disk: owner and mode of the root are kept like any other" {
    disk "$DISK:64m" 'chmod 711 /; chown 60 /; stat -c "%a %u" /'
    [ "$output" = '711 60' ]
    disk "$DISK" 'stat -c "%a %u" /; chmod 755 /'
    [ "$output" = '711 60' ]
}

@test "disk: changes are kept from run to run, the host's files are as they were" {
    local mark=ctr-$TESTID
    disk "$DISK:64m" "echo one >/etc/$mark; rm -r /usr/share/doc; echo changed >>/etc/issue; useradd -m $mark"
    [ ! -e "/etc/$mark" ] && [ -d /usr/share/doc ]
    ! grep -q changed /etc/issue || fail "found what must not be there"
    ! id "$mark" 2>/dev/null || fail "found what must not be there"
    # another ID, and the size is not asked again
    ID=$ID-b
    disk "$DISK" "cat /etc/$mark; test ! -e /usr/share/doc; tail -n 1 /etc/issue; stat -c %U /home/$mark; hostname
        echo two >/etc/$mark"
    [ "$output" = $'one\nchanged\n'"$mark"$'\n'"$ID" ]
    disk "$DISK" "cat /etc/$mark"
    [ "$output" = two ]
    # a clone without the disk knows nothing of it
    ok run --clone "$ID" /bin/sh -c "test ! -e /etc/$mark; ls -d /usr/share/doc"
}

@test "disk: run many times in a row, each finds it free at once" {
    local i
    disk "$DISK:32m" 'echo 0 >/root/n'
    for i in {1..20}; do
        disk "$DISK" 'n=$(cat /root/n); echo $((n + 1)) >/root/n'
    done
    disk "$DISK" 'cat /root/n'
    [ "$output" = 20 ]
}

@test "disk: what the clone wrote last is in the file when run has ended; a copy works" {
    disk "$DISK:64m" 'seq 100000 >/root/numbers'
    cp --sparse=always "$DISK" "$DISK.copy"
    disk "$DISK" 'echo original >>/root/numbers'
    disk "$DISK.copy" 'wc -l </root/numbers; tail -n 1 /root/numbers'
    [ "$output" = $'100000\n100000' ]
    disk "$DISK" 'wc -l </root/numbers'
    [ "$output" = 100001 ]
    # and it is a file system in order
    e2fsck -fn "$DISK" >/dev/null
    e2fsck -fn "$DISK.copy" >/dev/null
}

@test "disk: a relative name, and one with a colon and a size" {
    cd "$BATS_TEST_TMPDIR"
    disk "a:b.img:32m" 'echo x >/root/x'
    [ "$(stat -c %s a:b.img)" -eq $((32 << 20)) ]
    disk "./a:b.img:32m" 'cat /root/x'
    [ "$output" = x ]
}

@test "disk: detached, state and exec work, in use by another clone is refused, delete frees it" {
    ok run --clone -d --disk "$DISK:64m" "$ID" /bin/sh -c 'echo started >/root/f; exec sleep 1000'
    [ "$(loops | wc -l)" -eq 1 ]
    wait_for 10 eval 'ctr exec "$ID" /bin/cat /root/f; [ "$output" = started ]'
    fails 125 'in use by another clone' run --clone --disk "$DISK" "$ID-b" /bin/true
    [[ $stderr == "ctr: disk $DISK: "* ]]
    ln -s "$DISK" "$BATS_TEST_TMPDIR/link.img"
    fails 125 'in use by another clone' run --clone --disk "$BATS_TEST_TMPDIR/link.img" "$ID-b" /bin/true
    ok exec "$ID" /bin/sh -c 'echo exec >>/root/f'
    ok delete --force "$ID"
    wait_for 5 no_loops
    disk "$DISK" 'cat /root/f'
    [ "$output" = $'started\nexec' ]
}

@test "disk: two clones with two disks at once" {
    ok run --clone -d --disk "$DISK:32m" "$ID" /bin/sleep 1000
    ok run --clone -d --disk "$DISK.b:32m" "$ID-b" /bin/sleep 1000
    ok exec "$ID" /bin/sh -c 'echo a >/etc/which'
    ok exec "$ID-b" /bin/sh -c 'echo b >/etc/which; cat /etc/which'
    [ "$output" = b ]
    ok exec "$ID" /bin/cat /etc/which
    [ "$output" = a ]
    ok delete --force "$ID"
    ok delete --force "$ID-b"
}

@test "disk: of four that start at once on a new file, some win, the others are refused, and the disk is whole" {
    local i pids=() good=0
    for i in 1 2 3 4; do
        timeout 20 "$CTR" --root "$ROOT" run --clone --disk "$DISK:32m" "$ID-$i" /bin/sleep 0.3 \
            </dev/null 2>"$BATS_TEST_TMPDIR/err.p$i" 3>&- &
        pids+=($!)
    done
    for i in 1 2 3 4; do
        if wait "${pids[i - 1]}"; then
            good=$((good + 1))
        else
            grep -q 'in use by another clone' "$BATS_TEST_TMPDIR/err.p$i" || fail "$(cat "$BATS_TEST_TMPDIR/err.p$i")"
        fi
    done
    [ "$good" -ge 1 ]
    [ "$(cd "$BATS_TEST_TMPDIR" && echo disk*)" = disk.img ]
    wait_for 5 no_loops
    disk "$DISK" true
}

@test "disk: full, writing fails inside and what was there stays" {
    disk "$DISK:32m" 'echo kept >/root/kept; ! head -c 64m /dev/zero >/root/big; ! mkdir /root/dir{1,2} 2>/dev/null || :'
    [[ $stderr == *"No space left on device"* ]]
    disk "$DISK" 'cat /root/kept; rm /root/big; head -c 8m /dev/zero >/root/fits; ls /root/fits'
    [ "$output" = $'kept\n/root/fits' ]
}

@test "disk: a bad size, and a size that is too small" {
    local size
    for size in 0 -1 x 12q 1.5 99999999999999999999; do
        fails 1 'not a size' run --clone --disk "$DISK:$size" "$ID" /bin/true
    done
    fails 125 'at least 16 MiB' run --clone --disk "$DISK:1m" "$ID" /bin/true
    fails 1 'file name is empty' run --clone --disk :64m "$ID" /bin/true
    make_bundle
    fails 1 '--disk is for --clone' run --disk "$DISK" --bundle "$BUNDLE" "$ID"
    [ "$(cd "$BATS_TEST_TMPDIR" && echo disk*)" = 'disk*' ]
}

# broken TEXT FILE: a clone with that disk must end so, and must not have changed the file.
broken() {
    local before
    before=$(sha256sum "$2")
    fails 125 "$1" run --clone --disk "$2" "$ID" /bin/true
    [[ $stderr == *"$2"* ]] || fail "the file is not named"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    [ "$before" = "$(sha256sum "$2")" ] || fail "$2 was changed"
    no_loops
    assert_leak_free
}

@test "disk: a file that is no disk is refused and not touched" {
    echo 'my letters' >"$DISK"
    broken 'is no ext4 disk' "$DISK"
    : >"$DISK"
    broken 'is no ext4 disk' "$DISK"
    head -c 1m /dev/urandom >"$DISK"
    broken 'is no ext4 disk' "$DISK"
    require_program mkfs.vfat
    truncate -s 0 "$DISK"
    truncate -s 32m "$DISK"
    mkfs.vfat "$DISK" >/dev/null
    broken 'is no ext4 disk' "$DISK"
}

@test "disk: a broken file system and one cut off are named as such" {
    disk "$DISK:32m" true
    cp "$DISK" "$DISK.cut"
    truncate -s 1m "$DISK.cut"
    broken 'damaged or cut off' "$DISK.cut"
    # the superblock, all but its magic number
    dd if=/dev/urandom of="$DISK" bs=1 seek=1024 count=56 conv=notrunc status=none
    broken 'damaged or cut off' "$DISK"
}

@test "disk: directories, devices and places that do not exist" {
    fails 125 "$BATS_TEST_TMPDIR" run --clone --disk "$BATS_TEST_TMPDIR" "$ID" /bin/true
    fails 125 'not a regular file' run --clone --disk /dev/null "$ID" /bin/true
    fails 125 '/nonexistent/' run --clone --disk /nonexistent/disk.img "$ID" /bin/true
    assert_leak_free
}

@test "disk: no room on the host for a new one leaves no file" {
    mkdir "$BATS_TEST_TMPDIR/small"
    mount -t tmpfs -o size=64k small "$BATS_TEST_TMPDIR/small"
    ctr run --clone --disk "$BATS_TEST_TMPDIR/small/d.img:64m" "$ID" /bin/true
    local left
    left=$(ls -A "$BATS_TEST_TMPDIR/small")
    umount "$BATS_TEST_TMPDIR/small"
    [ "$status" -eq 125 ]
    [ "$(wc -l <"$ERR")" -eq 1 ]
    [ -z "$left" ]
}

@test "disk: somebody's file beside it is never touched" {
    echo mine >"$DISK.part"
    ctr run --clone --disk "$DISK:32m" "$ID" /bin/true
    [ "$(cat "$DISK.part")" = mine ]
    [ "$status" -eq 0 ]
}

@test "disk: a program that does not exist leaves the disk usable and free" {
    fails 127 no-such-program run --clone --disk "$DISK:32m" "$ID" /no-such-program
    wait_for 5 no_loops
    disk "$DISK" true
}

@test "disk: kill -9 of ctr, then delete --force: nothing is left, and the disk is whole" {
    timeout 30 "$CTR" --root "$ROOT" run --clone --disk "$DISK:64m" "$ID" \
        /bin/sh -c 'echo before >/root/f; exec sleep 1000' </dev/null >/dev/null 2>&1 3>&- &
    local job=$! pid
    wait_for 10 is_state "$ID" running
    wait_for 10 eval 'ctr exec "$ID" /bin/cat /root/f; [ "$output" = before ]'
    pid=$(pgrep -P "$job" -f -- '--disk') || pid=$job
    kill -9 "$pid"
    wait "$job" || true
    ok delete --force "$ID"
    wait_for 5 no_loops
    assert_leak_free
    disk "$DISK" 'cat /root/f'
    [ "$output" = before ]
    e2fsck -fn "$DISK" >/dev/null
}
