#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# vm.image: the root file system of a micro-VM on a disk of its own.

load helpers
load vm

setup() {
    common_setup
    vm_setup
    require_program mkfs.ext4
    make_bundle
    mkdir -p "$BUNDLE"/rootfs/{proc,sys,dev,run,etc,tmp}
    echo of-the-image >"$BUNDLE/rootfs/etc/where"
    IMAGE=$BATS_TEST_TMPDIR/image
    truncate -s 24M "$IMAGE"
    mkfs.ext4 -q -d "$BUNDLE/rootfs" "$IMAGE"
    # what is there on the host is not what the container sees
    rm -rf "${BUNDLE:?}/rootfs"
    mkdir "$BUNDLE/rootfs"
    KERNEL=$(kernels | head -n 1)
    with_image "$IMAGE"
}

teardown() {
    ! mountpoint -q "$BATS_TEST_TMPDIR/m" || umount "$BATS_TEST_TMPDIR/m"
    local rc=0
    common_teardown || rc=1
    [ -z "${LOOP:-}" ] || losetup --detach "$LOOP"
    return "$rc"
}

with_image() {
    edit_config '.vm = {kernel: {path: $k}, image: {path: $i, format: "raw"}}' --arg k "$KERNEL" --arg i "$1"
}
journal_is_empty() {
    local features
    features=$(dumpe2fs -h "$IMAGE" 2>/dev/null | grep '^Filesystem features:') || fail "no file system"
    [[ $features != *needs_recovery* ]] || fail "$features"
}
in_image() { debugfs -R "cat $1" "$IMAGE" 2>/dev/null; }

@test "vm.image: the container runs on it, and what it writes is in it" {
    set_args /bin/sh -c 'cat /etc/where; echo from-the-guest >/etc/new; grep " / " /proc/self/mountinfo | grep -o " ext4 .*"; exit 7'
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 7 ] || fail "$output $stderr"
    [[ $output == of-the-image$'\n'*ext4*/dev/*rw* ]] || fail "$output"
    [[ $stderr == *"root.path: "*"is not used: vm.image has the root"* ]]
    [ "$(in_image /etc/new)" = from-the-guest ]
    e2fsck -fn "$IMAGE" >/dev/null || fail "$(e2fsck -fn "$IMAGE" 2>&1)"
    # (a file system whose journal is full calls itself clean too)
    journal_is_empty
    # and is still there the next time, with a volume and exec
    mkdir "$BATS_TEST_TMPDIR/v"
    edit_config '.mounts += [{destination: "/tmp/v", type: "bind", source: $v, options: ["bind"]}]' --arg v "$BATS_TEST_TMPDIR/v"
    set_args /bin/sh -c 'cat /etc/new >/tmp/v/copy; sleep 1000'
    ok run -d --bundle "$BUNDLE" "$ID"
    ok exec "$ID" cat /etc/where
    [ "$output" = of-the-image ]
    wait_for 20 grep -q from-the-guest "$BATS_TEST_TMPDIR/v/copy"
    ok delete --force "$ID"
}

@test "vm.image: read-only, the image is not written at all, and two machines may have it" {
    edit_config '.root.readonly = true'
    local before
    before=$(sha256sum "$IMAGE")
    chmod 444 "$IMAGE"
    set_args /bin/sh -c 'cat /etc/where; echo x >/etc/new || echo refused; mount -o remount,rw / 2>/dev/null && echo x >/etc/new; sleep 1000'
    ok run -d --bundle "$BUNDLE" "$ID"
    local first=$OUT
    ok run -d --bundle "$BUNDLE" "$ID-2"
    wait_for 20 grep -q refused "$first"
    # whoever wants to write to it has to wait
    edit_config '.root.readonly = false'
    fails 1 "vm.image.path: $IMAGE: another machine has it" create --bundle "$BUNDLE" "$ID-3"
    ok delete --force "$ID"
    ok delete --force "$ID-2"
    [ "$(sha256sum "$IMAGE")" = "$before" ]
}

@test "vm.image: two machines that write cannot have one image; after a kill -9 the next one can" {
    set_args /bin/sleep 1000
    ok run -d --bundle "$BUNDLE" "$ID"
    fails 1 "vm.image.path: $IMAGE: another machine has it" create --bundle "$BUNDLE" "$ID-2"
    [ "$(containers)" = "$ID" ]
    kill -9 "$(state_of "$ID" pid)"
    wait_state "$ID" stopped
    ok delete "$ID"
    set_args /bin/cat /etc/where
    ok run --bundle "$BUNDLE" "$ID-2"
    [ "$output" = of-the-image ]
}

@test "vm.image: what a machine wrote can be had read-only; what a killed one left in the journal is said" {
    set_args /bin/sh -c 'echo one >/etc/new; exit 3'
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 3 ]
    edit_config '.root.readonly = true'
    set_args /bin/cat /etc/new
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = one ]
    edit_config '.root.readonly = false'
    set_args /bin/sh -c 'echo two >/etc/new; sync; echo written; sleep 1000'
    ok run -d --bundle "$BUNDLE" "$ID"
    wait_for 20 grep -q written "$OUT"
    kill -9 "$(state_of "$ID" pid)"
    wait_state "$ID" stopped
    ok delete "$ID"
    edit_config '.root.readonly = true'
    set_args /bin/cat /etc/new
    fails 1 "vm.image.path: $IMAGE: its journal" create --bundle "$BUNDLE" "$ID"
    # who writes replays it
    edit_config '.root.readonly = false'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = two ]
    edit_config '.root.readonly = true'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = two ]
}

@test "vm.image: a block device, unless the host has it mounted" {
    LOOP=$(losetup --find --show "$IMAGE") || skip "no loop devices here"
    with_image "$LOOP"
    set_args /bin/sh -c 'cat /etc/where; echo on-the-device >/etc/new'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = of-the-image ]
    mkdir "$BATS_TEST_TMPDIR/m"
    mount -o ro "$LOOP" "$BATS_TEST_TMPDIR/m"
    [ "$(cat "$BATS_TEST_TMPDIR/m/etc/new")" = on-the-device ]
    fails 1 "vm.image.path: $LOOP: the host has it mounted" create --bundle "$BUNDLE" "$ID"
    umount "$BATS_TEST_TMPDIR/m"
    edit_config '.root.readonly = true'
    set_args /bin/cat /etc/new
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = on-the-device ]
}

@test "vm.image: erofs is read-only by itself" {
    require_program mkfs.erofs
    mkdir -p "$BATS_TEST_TMPDIR/tree"
    debugfs -R "rdump / $BATS_TEST_TMPDIR/tree" "$IMAGE" 2>/dev/null
    mkfs.erofs "$IMAGE.erofs" "$BATS_TEST_TMPDIR/tree" >/dev/null 2>&1
    with_image "$IMAGE.erofs"
    set_args /bin/sh -c 'cat /etc/where; echo x 2>/dev/null >/etc/new || echo refused'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'of-the-image\nrefused' ] || fail "$output"
}

@test "vm.image: what is none is one error, and nothing stays" {
    local t=$BATS_TEST_TMPDIR
    set_args /bin/true
    refused() {
        with_image "$2"
        fails 1 "$1" create --bundle "$BUNDLE" "$ID"
        [[ $stderr == "ctr: vm.image.path: $2: "* ]] || fail "$stderr"
        [ -z "$(containers)" ]
        assert_leak_free
    }
    refused 'No such file' "$t/none"
    refused 'neither a regular file' "$t"
    : >"$t/empty"
    refused 'too short' "$t/empty"
    head -c 100000 /dev/urandom >"$t/rubbish"
    refused 'no file system' "$t/rubbish"
    head -c 1000000 "$IMAGE" >"$t/short"
    refused 'it is truncated' "$t/short"
    mkfifo "$t/fifo"
    refused 'neither a regular file' "$t/fifo"
    with_image "$IMAGE"
    edit_config '.vm.image.format = "qcow2"'
    fails 1 'vm.image.format: "qcow2": only "raw"' create --bundle "$BUNDLE" "$ID"
}

@test "vm.image: a damaged file system is the guest's error" {
    set_args /bin/true
    # the superblock is whole, what it leads to is not
    dd if=/dev/urandom of="$IMAGE" bs=4096 seek=1 count=400 conv=notrunc 2>/dev/null
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -ne 0 ]
    assert_leak_free
}
