#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What goes wrong with a micro-VM: one error that says what it was, within a deadline, exit status 125, nothing left.

load helpers
load vm

setup() {
    common_setup
    vm_setup
    make_bundle
    set_args /bin/true
}

# broken TEXT ARGS...: `run` ends with 125 and TEXT, quickly, and nothing of it stays.
broken() {
    local text=$1 begin=$SECONDS word words=()
    shift
    for word; do
        words+=("$word")
        [ "$word" != run ] || words+=(--vm)
    done
    fails 125 "$text" "${words[@]}" --bundle "$BUNDLE" "$ID"
    [ $((SECONDS - begin)) -le "${LIMIT:-20}" ] || fail "it took $((SECONDS - begin)) s"
    [ -z "$(containers)" ]
    assert_leak_free
}

# An ELF file with the entry that our kernels have, which does nothing but run: it boots, and nothing comes of it.
endless_kernel() {
    python3 - "$1" <<'PY'
import struct, sys
code = b"\xfa\xeb\xfe"                       # cli; jmp .
note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x1000000)
head, base = 64 + 2 * 56, 0x1000000
elf = b"\x7fELF\2\1\1" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base, 64, 0, 0, 64, 56, 2, 0, 0, 0)
load = struct.pack("<IIQQQQQQ", 1, 5, 4096, base, base, 4096, 4096, 4096)
pt = struct.pack("<IIQQQQQQ", 4, 4, head, 0, 0, len(note), len(note), 4)
data = (elf + load + pt + note).ljust(4096, b"\0") + code.ljust(4096, b"\xf4")
open(sys.argv[1], "wb").write(data)
PY
}

@test "vm: no kernel, a directory, an empty file, rubbish, a truncated or corrupt image" {
    local k t=$BATS_TEST_TMPDIR
    k=$(compgen -G '/boot/vmlinuz-*' | tail -n 1)
    broken "$t/none" run --kernel "$t/none"
    broken "$t" run --kernel "$t"
    : >"$t/empty"
    broken "$t/empty" run --kernel "$t/empty"
    head -c 100000 /dev/urandom >"$t/rubbish"
    broken "$t/rubbish" run --kernel "$t/rubbish"
    broken 'ernel' run --kernel /bin/busybox
    [ -n "$k" ] || return 0
    head -c 3000000 "$k" >"$t/short"
    broken "$t/short" run --kernel "$t/short"
    { head -c 4000000 "$k"; head -c 1000 /dev/zero; tail -c +4001001 "$k"; } >"$t/corrupt"
    broken "$t/corrupt" run --kernel "$t/corrupt"
    # The size that its payload gives for itself is one too large.
    python3 - "$k" "$t/size" <<'PY'
import struct, sys
d = bytearray(open(sys.argv[1], "rb").read())
end = (d[0x1f1] + 1) * 512 + sum(struct.unpack_from("<II", d, 0x248))
struct.pack_into("<I", d, end - 4, struct.unpack_from("<I", d, end - 4)[0] + 1)
open(sys.argv[2], "wb").write(d)
PY
    broken "$t/size: corrupt: less comes out of it than it says" run --kernel "$t/size"
}

@test "vm: too little memory for the kernel" {
    broken 'no kernel boots with less' run --vm-memory 1m
    truncate -s 48m "$BATS_TEST_TMPDIR/initrd"
    broken 'MiB of memory' run --vm-memory 64m --kernel "$(kernels | tail -n 1)" --initrd "$BATS_TEST_TMPDIR/initrd"
    broken 'at most' run --vm-memory 100t
    broken 'at most' run --vcpus 1000
}

@test "vm: an order for KVM where there is none that works" {
    [ "$("$CTR" --vm --accel kvm run --bundle "$BUNDLE" "$ID-x" 2>&1 </dev/null)" != "" ] || skip "KVM works here"
    broken '/dev/kvm' --accel kvm run
    # Without the device there is nothing to test.
    cat >"$BATS_TEST_TMPDIR/no-kvm" <<SH
#!/bin/bash
mount -t tmpfs none /dev/net 2>/dev/null
rm -f /dev/kvm.test
exec unshare -m --propagation private bash -c 'mount --bind /dev/null /dev/kvm && exec "\$@"' - "$CTR" "\$@"
SH
    chmod +x "$BATS_TEST_TMPDIR/no-kvm"
    sed -i '/dev\/net\|kvm.test/d' "$BATS_TEST_TMPDIR/no-kvm"
    CTR=$BATS_TEST_TMPDIR/no-kvm broken '/dev/kvm' --accel kvm run
}

@test "vm: without QEMU its package is named" {
    cat >"$BATS_TEST_TMPDIR/no-qemu" <<SH
#!/bin/bash
exec unshare -m --propagation private bash -c 'mount -t tmpfs none /usr/bin && exec "\$@"' - "$CTR" "\$@"
SH
    chmod +x "$BATS_TEST_TMPDIR/no-qemu"
    CTR=$BATS_TEST_TMPDIR/no-qemu broken 'package qemu-system-x86' --accel tcg run
}

@test "vm: a guest whose kernel panics" {
    edit_config '.vm = {kernel: {path: $k, parameters: ["rdinit=/nowhere", "root=/dev/none"]}}' \
        --arg k "$(kernels | head -n 1)"
    LIMIT=60 broken 'panic' run
    [[ $stderr == *"console: "* ]]
}

@test "vm: a guest that hangs while it boots" {
    endless_kernel "$BATS_TEST_TMPDIR/endless"
    edit_config '.annotations["org.ctr.vm.boot-timeout"] = "3"'
    broken 'the guest hangs' run --kernel "$BATS_TEST_TMPDIR/endless"
}

@test "vm: a signal ends the wait for a guest that boots" {
    endless_kernel "$BATS_TEST_TMPDIR/endless"
    # (--accel tcg: the test of KVM is a child too, and earlier)
    "$CTR" --root "$ROOT" --accel tcg run --vm --kernel "$BATS_TEST_TMPDIR/endless" --bundle "$BUNDLE" "$ID" \
        >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
    local runner=$! rc=0
    # from before it has a child on, a signal is kept for it
    wait_for 10 pgrep -P "$runner" >/dev/null
    kill -TERM "$runner"
    wait "$runner" || rc=$?
    [ "$rc" -eq 125 ]
    grep -q 'ended by signal 15' "$BATS_TEST_TMPDIR/out"
    assert_leak_free
}

@test "vm: a guest that resets itself, or is made to panic, while its program runs" {
    local k
    k=$(compgen -G '/boot/vmlinuz-*-cloud-amd64' | tail -n 1)
    [ -n "$k" ] || skip "only Debian's kernel has the keys of /proc/sysrq-trigger"
    edit_config '.linux.readonlyPaths = [] | .linux.maskedPaths = []'
    set_args /bin/sh -c 'echo b >/proc/sysrq-trigger; sleep 1000'
    LIMIT=90 broken 'switched itself off' run --kernel "$k"
    set_args /bin/sh -c 'echo c >/proc/sysrq-trigger; sleep 1000'
    LIMIT=90 broken 'panic' run --kernel "$k"
}

@test "vm: a guest that floods its console does not disturb its program" {
    edit_config '.linux.devices = [{path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 438}] |
        .linux.resources.devices += [{allow: true, type: "c", major: 1, minor: 11, access: "rw"}]'
    set_args /bin/sh -c 'test -c /dev/kmsg || exit 1
        i=0; while [ $i -lt 3000 ]; do echo "<0>$i flood flood flood flood flood flood flood flood flood flood" >/dev/kmsg; i=$((i+1)); done
        echo done; exit 7'
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 7 ]
    [ "$output" = done ]
}

@test "vm: a VMM that is killed, in the foreground" {
    set_args /bin/sh -c 'echo ready; sleep 1000'
    "$CTR" --root "$ROOT" run --vm --bundle "$BUNDLE" "$ID" >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
    local runner=$! rc=0
    wait_for 60 grep -q ready "$BATS_TEST_TMPDIR/out"
    kill -9 "$(state_of "$ID" pid)"
    wait "$runner" || rc=$?
    [ "$rc" -eq 137 ]
    assert_leak_free
}

@test "vm: a QEMU or a file server that is killed is the end of the machine, and is said" {
    local runner rc p
    set_args /bin/sh -c 'echo ready; sleep 1000'
    for p in qemu-system ctr-files; do
        : >"$BATS_TEST_TMPDIR/out" # that of the one before
        "$CTR" --root "$ROOT" --accel tcg run --vm --bundle "$BUNDLE" "$ID" >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
        runner=$! rc=0
        wait_for 60 grep -q ready "$BATS_TEST_TMPDIR/out"
        pgrep -P "$(state_of "$ID" pid)" "$p" | xargs kill -9
        wait "$runner" || rc=$?
        [ "$rc" -eq 125 ] || fail "$p: $rc"
        grep -q 'ctr: .*crashed' "$BATS_TEST_TMPDIR/out"
        assert_leak_free
    done
}

@test "vm: what a micro-VM cannot honour is refused by its path" {
    local good=$BATS_TEST_TMPDIR/good row
    cp "$BUNDLE/config.json" "$good"
    mkfifo "$BATS_TEST_TMPDIR/pipe"
    ln -s /etc "$BATS_TEST_TMPDIR/pipe.link"
    while IFS='|' read -r text filter; do
        cp "$good" "$BUNDLE/config.json"
        edit_config "$filter" --arg p "$BATS_TEST_TMPDIR/pipe"
        broken "$text" run
    done <<'ROWS'
linux.namespaces: "pid"|.linux.namespaces |= map(if .type == "pid" then .path = "/proc/1/ns/pid" else . end)
linux.namespaces: "ipc"|.linux.namespaces |= map(if .type == "ipc" then .path = "/proc/1/ns/ipc" else . end)
linux.devices[0]|.linux.devices = [{path: "/dev/loop0", type: "b", major: 7, minor: 0}]
linux.intelRdt|.linux.intelRdt = {closID: "x"}
linux.netDevices|.linux.netDevices = {eth9: {}}
mounts[0].type|.mounts = [{destination: "/x", type: "nfs", source: "a:/b"}]
a pipe of the host|.mounts += [{destination: "/x", type: "bind", source: $p, options: ["bind"]}]
a device of the host|.mounts += [{destination: "/x", type: "bind", source: "/dev/zero", options: ["bind"]}]
"copy-symlink"|.mounts += [{destination: "/x", type: "bind", source: ($p + ".link"), options: ["bind", "copy-symlink"]}]
"src-nofollow"|.mounts += [{destination: "/x", type: "bind", source: ($p + ".link"), options: ["bind", "src-nofollow"]}]
vm.hwConfig.deviceTree|.vm = {kernel: {path: "/k"}, hwConfig: {deviceTree: "/x"}}
vm.hwConfig.irqs|.vm = {kernel: {path: "/k"}, hwConfig: {irqs: [1]}}
vm.image.format|.vm = {kernel: {path: "/k"}, image: {path: "/x", format: "qcow2"}}
vm.hypervisor.path|.vm = {kernel: {path: "/k"}, hypervisor: {path: "/usr/bin/xen"}}
vm.hypervisor.parameters[0]|.vm = {kernel: {path: "/k"}, hypervisor: {path: "/usr/bin/qemu-system-x86_64", parameters: ["-monitor", "stdio"]}}
ROWS
    cp "$good" "$BUNDLE/config.json"
    broken '--preserve-fds' run --preserve-fds 1
    printf '#!/bin/sh\nLISTEN_FDS=1 LISTEN_PID=$$ exec "%s" "$@" 3</dev/null\n' "$CTR" >"$BATS_TEST_TMPDIR/manager"
    chmod 755 "$BATS_TEST_TMPDIR/manager"
    CTR=$BATS_TEST_TMPDIR/manager broken 'LISTEN_FDS' run
    broken '--network' run --network host
    CTR_GLOBALS= fails 1 '--vcpus: for a micro-VM only' run --vcpus 2 --bundle "$BUNDLE" "$ID"
}
