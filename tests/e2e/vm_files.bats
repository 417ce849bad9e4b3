# SPDX-License-Identifier: Apache-2.0
#
# Files in a micro-VM: the program of files.bats in the guest, its view against the host's, volumes, and a source tree that
# is unpacked and compiled there. The server is our own behind QEMU as well.
# run: alone

load helpers
load vm

FILES=$BATS_FILE_TMPDIR/files
CAPS='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_SETUID","CAP_SETGID","CAP_MKNOD","CAP_SETFCAP"]'

setup_file() {
    gcc -std=gnu17 -D_GNU_SOURCE -O1 -static -o "$BATS_FILE_TMPDIR/files" "$BATS_TEST_DIRNAME"/files/*.c
}

setup() {
    common_setup
    vm_setup
    make_bundle
    edit_config ".process.capabilities |= with_entries(.value = $CAPS)"
    cp "$FILES" "$BUNDLE/rootfs/bin/files"
}

# The names of the tests that need only one side.
one_side() {
    grep -hoE '^	\{ "[a-z_]+"' "$BATS_TEST_DIRNAME"/files/{names,data,meta}.c | grep -oE '[a-z_]+' | tr '\n' ' '
}

@test "the file tests in a guest, and the host sees the same" {
    set_args /bin/sh -c "mkdir /t && files test /t $(one_side); rc=\$?; files list /t >/list; exit \$rc"
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ] || fail "$output"
    [[ $output != *FAILED* ]]
    # The guest caches writes: its times are told to the host, but at times before the last page is.
    "$FILES" list "$BUNDLE/rootfs/t" | sed 's/ [0-9-]*\.[0-9]\{9\}//' >"$BATS_TEST_TMPDIR/here"
    sed 's/ [0-9-]*\.[0-9]\{9\}//' "$BUNDLE/rootfs/list" >"$BATS_TEST_TMPDIR/there"
    cmp "$BATS_TEST_TMPDIR/here" "$BATS_TEST_TMPDIR/there" ||
        fail "$(diff "$BATS_TEST_TMPDIR/here" "$BATS_TEST_TMPDIR/there" | head -n 20)"
}

@test "a directory of 10,000 entries in a guest" {
    mkdir "$BUNDLE/rootfs/many"
    (cd "$BUNDLE/rootfs/many" && seq -f 'file-with-a-name-%g' 10000 | xargs touch)
    set_args /bin/sh -c 'ls /many | sort -u | wc -l; ls -a /many | wc -l; test -f /many/file-with-a-name-9999 && echo there'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(tr '\n' ' ' <<<"$output")" = "10000 10002 there " ] || fail "$output"
}

@test "volumes of a guest: a directory, a file, read-only ones" {
    local v=$BATS_TEST_TMPDIR/v
    mkdir -p "$v/dir" "$v/ro"
    echo host >"$v/dir/f"
    echo host >"$v/ro/f"
    echo one >"$v/file"
    echo two >"$v/rofile"
    edit_config ".mounts += [
        {destination: \"/dir\", source: \"$v/dir\", type: \"bind\", options: [\"bind\"]},
        {destination: \"/ro\", source: \"$v/ro\", type: \"bind\", options: [\"bind\", \"ro\"]},
        {destination: \"/etc/file\", source: \"$v/file\", type: \"bind\", options: [\"bind\"]},
        {destination: \"/etc/rofile\", source: \"$v/rofile\", type: \"bind\", options: [\"bind\", \"ro\"]}]"
    set_args /bin/sh -c 'cat /dir/f /ro/f /etc/file /etc/rofile; echo guest >/dir/g; echo guest >/etc/file
        echo x >/ro/g || echo no1; echo x >/ro/f || echo no2; echo x >/etc/rofile || echo no3
        mount -o remount,rw /ro && echo x >/ro/h || echo no4; rm -f /ro/f || echo no5'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(tr '\n' ' ' <<<"$output")" = "host host one two no1 no2 no3 no4 no5 " ] || fail "$output"
    [ "$(cat "$v/dir/g" "$v/file" "$v/rofile" "$v/ro/f")" = $'guest\nguest\ntwo\nhost' ]
    [ "$(ls "$v/ro")" = f ]
}

# A shell, tar and a compiler: the machine's own, in a clone of it.
@test "tar and make in a guest" {
    local p
    for p in gcc make tar; do require_program "$p"; done
    local top=$BATS_TEST_DIRNAME/../..
    mkdir "$BATS_TEST_TMPDIR/src"
    tar -C "$top" -cf "$BATS_TEST_TMPDIR/src/src.tar" Makefile tests/tests.mk runtime/base
    ok run --clone --volume "$BATS_TEST_TMPDIR/src:/src" "$ID" -- sh -ec 'cd /src; mkdir t; tar -C t -xf src.tar; cd t
        make -s V=1 CFLAGS=-O0 build/runtime/base/str.o; tar -cf - . | wc -c >/src/size; sync'
    [ -s "$BATS_TEST_TMPDIR/src/t/build/runtime/base/str.o" ]
    [ "$(cat "$BATS_TEST_TMPDIR/src/size")" -gt 10000 ]
    cmp "$BATS_TEST_TMPDIR/src/t/runtime/base/str.c" "$top/runtime/base/str.c"
}

@test "what the host renames, writes and removes below a guest" {
    mkdir -p "$BUNDLE/rootfs/t/d"
    echo old >"$BUNDLE/rootfs/t/d/f"
    echo kept >"$BUNDLE/rootfs/t/d/h"
    # the shell stays in the directory and keeps two files open, whatever they are called
    set_args /bin/sh -c 'cd /t/d && exec 3<f 4<h && echo ready
        while ! [ -e /t/go ]; do sleep 0.1; done
        cat <&3; cat <&4; until [ "$(cat f 2>/dev/null)" = new ]; do sleep 0.1; done; cat g; [ -e h ] || echo gone
        echo guest >made; cat /t/e/made; ls /t; cd .. && pwd'
    "$CTR" --root "$ROOT" --vm ${VM_ACCEL:+--accel "$VM_ACCEL"} run --bundle "$BUNDLE" "$ID" \
        >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
    local runner=$!
    wait_for 60 grep -q ready "$BATS_TEST_TMPDIR/out"
    mv "$BUNDLE/rootfs/t/d" "$BUNDLE/rootfs/t/e"
    mv "$BUNDLE/rootfs/t/e/f" "$BUNDLE/rootfs/t/e/g"
    echo new >"$BUNDLE/rootfs/t/e/f"
    rm "$BUNDLE/rootfs/t/e/h"
    touch "$BUNDLE/rootfs/t/go"
    wait "$runner" || fail "$(cat "$BATS_TEST_TMPDIR/err")"
    [ "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/out")" = "ready old kept old gone guest e go /t " ] ||
        fail "$(cat "$BATS_TEST_TMPDIR/out")"
    [ "$(cat "$BUNDLE/rootfs/t/e/made")" = guest ]
}

# Its cache is kept between opens only while the file is as it was; same length, so that only the times tell.
@test "what the host writes into a file that a guest has cached is there at the next open" {
    mkdir -p "$BUNDLE/rootfs/t"
    echo first >"$BUNDLE/rootfs/t/f"
    set_args /bin/sh -c 'cat /t/f; sleep 31; cat /t/f; cat /t/f; echo ready
        while ! [ -e /t/go ]; do sleep 0.1; done; cat /t/f; cat /t/f'
    "$CTR" --root "$ROOT" --vm ${VM_ACCEL:+--accel "$VM_ACCEL"} run --bundle "$BUNDLE" "$ID" \
        >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
    local runner=$!
    wait_for 120 grep -q ready "$BATS_TEST_TMPDIR/out"
    echo after 1<>"$BUNDLE/rootfs/t/f"
    touch "$BUNDLE/rootfs/t/go"
    wait "$runner" || fail "$(cat "$BATS_TEST_TMPDIR/err")"
    [ "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/out")" = "first first first ready after after " ] ||
        fail "$(cat "$BATS_TEST_TMPDIR/out")"
}

@test "a read-only root is the host's word: a guest that makes it writable again writes nothing" {
    mkdir "$BATS_TEST_TMPDIR/vol"
    edit_config --arg v "$BATS_TEST_TMPDIR/vol" '.root.readonly = true
        | .process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])
        | .mounts += [{destination: "/new/tmp", type: "tmpfs", source: "tmpfs"},
                      {destination: "/new/vol", type: "bind", source: $v, options: ["bind"]},
                      {destination: "/new/vol/in", type: "tmpfs", source: "tmpfs"}]'
    set_args /bin/sh -c 'touch /x 2>&1; mount -o remount,rw / && touch /y 2>&1
        touch /new/tmp/f /new/vol/f /new/vol/in/f && ls /new/tmp /new/vol'
    ok run --bundle "$BUNDLE" "$ID"
    [[ $output == *"/x: Read-only file system"*"/y: Read-only file system"* ]] || fail "$output"
    [ ! -e "$BUNDLE/rootfs/x" ] && [ ! -e "$BUNDLE/rootfs/y" ]
    [ -e "$BATS_TEST_TMPDIR/vol/f" ] && [ -d "$BATS_TEST_TMPDIR/vol/in" ]
    [ ! -e "$BUNDLE/rootfs/new/vol/in" ]
}

@test "what the host mounts later comes into a volume, but into no private or read-only one, nor a read-only root" {
    local t=$BATS_TEST_TMPDIR/shared dir
    mkdir -p "$t"
    unshare -m --propagation private sleep 1000 3>&- &
    local ns=$!
    wait_for 5 eval '[ "$(cat /proc/$ns/comm)" = sleep ]'
    inside() { nsenter -t "$ns" -m "$@"; }
    inside mount -t tmpfs shared "$t"
    inside mount --make-shared "$t"
    inside mkdir "$t/root" "$t/plain" "$t/private" "$t/ro"
    inside cp -a "$BUNDLE/rootfs/." "$t/root"
    inside mkdir "$t/root/sub" "$t/plain/sub" "$t/private/sub" "$t/ro/sub"
    edit_config --arg t "$t" '.root = {path: ($t + "/root"), readonly: true}
        | .mounts += [{destination: "/plain", type: "bind", source: ($t + "/plain"), options: ["rbind"]},
                      {destination: "/private", type: "bind", source: ($t + "/private"), options: ["rbind", "rprivate"]},
                      {destination: "/ro", type: "bind", source: ($t + "/ro"), options: ["rbind", "ro"]}]'
    set_args /bin/sh -c 'while :; do sleep 1; done'
    inside "$CTR" --root "$ROOT" --vm ${VM_ACCEL:+--accel "$VM_ACCEL"} run -d --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>"$BATS_TEST_TMPDIR/err" 3>&- ||
        fail "$(cat "$BATS_TEST_TMPDIR/err")"
    for dir in root plain private ro; do
        inside mount -t tmpfs later "$t/$dir/sub"
        inside touch "$t/$dir/sub/later"
    done
    sleep 1.1
    ok exec "$ID" /bin/ls /plain/sub
    [ "$output" = later ] || fail "$output"
    for dir in /sub /private/sub /ro/sub; do
        ok exec "$ID" /bin/ls "$dir"
        [ -z "$output" ] || fail "$dir: $output"
    done
    ok delete --force "$ID"
    kill "$ns"
}

@test "what root writes keeps SUID, by copy_file_range too; a file that can only be appended to is" {
    require_program python3 chattr
    touch "$BATS_TEST_TMPDIR/log"
    chattr +a "$BATS_TEST_TMPDIR/log" || skip "no such attribute on this file system"
    "$CTR" --root "$ROOT" --vm ${VM_ACCEL:+--accel "$VM_ACCEL"} run --clone -v "$BATS_TEST_TMPDIR/log:/log" "$ID" python3 -c 'import os
open("/root/from", "w").write("new")
open("/root/to", "w").write("old")
os.chmod("/root/to", 0o4755)
a, b = os.open("/root/from", os.O_RDONLY), os.open("/root/to", os.O_WRONLY)
print(os.copy_file_range(a, b, 3), oct(os.stat("/root/to").st_mode & 0o7777), open("/root/to").read())
open("/log", "a").write("line\n")
try: open("/log", "r+")
except OSError as e: print(e.strerror)' >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null || true
    chattr -a "$BATS_TEST_TMPDIR/log"
    [ "$(paste -sd' ' "$BATS_TEST_TMPDIR/out")" = "3 0o4755 new Operation not permitted" ] || fail "$(cat "$BATS_TEST_TMPDIR"/{out,err})"
    [ "$(cat "$BATS_TEST_TMPDIR/log")" = line ]
}

@test "a file that may not become larger is EFBIG in the guest, not the end of the machine" {
    # (the machine's own memory is a file to QEMU, and fits)
    set_args /bin/sh -c 'echo x | dd of=/big bs=1 seek=3000000000; echo "$?"'
    (ulimit -f 2000000; exec "$CTR" --root "$ROOT" --vm ${VM_ACCEL:+--accel "$VM_ACCEL"} run --bundle "$BUNDLE" "$ID") \
        >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || fail "$(cat "$BATS_TEST_TMPDIR/err")"
    grep -q 'File too large' "$BATS_TEST_TMPDIR/err" || fail "$(cat "$BATS_TEST_TMPDIR"/{out,err})"
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = 1 ]
}

# What many machines are made of. Through /proc/PID/fd a file is opened anew, in the mount that it was opened in.
@test "vm: who takes over the machine or QEMU opens neither kernel nor initramfs for writing, and has nothing of a host's /proc" {
    local pid p fd parts seen=0
    set_args /bin/sleep 1000
    ok run -d --bundle "$BUNDLE" "$ID"
    pid=$(state_of "$ID" pid)
    parts=" $(kernels | xargs stat -L -c %d:%i | tr '\n' ' ') $(stat -c %d:%i /var/cache/ctr/* | tr '\n' ' ') "
    for p in "$pid" $(cat "/proc/$pid/task/$pid/children"); do
        for fd in "/proc/$p/fd"/*; do
            if [ -f "$fd" ] && [[ $parts == *" $(stat -L -c %d:%i "$fd") "* ]]; then
                seen=$((seen + 1))
                ! (: >>"$fd") 2>/dev/null || fail "$p can write $(stat -L -c %d:%i "$fd")"
                ! chmod --reference="$fd" "$fd" 2>/dev/null || fail "$p can change the mode of $(stat -L -c %d:%i "$fd")"
            fi
            [ ! -d "$fd" ] || [ ! -w "$fd/../../sys/kernel/core_pattern" ] || fail "$p reaches the kernel's settings"
        done
    done
    [ "$seen" -ge 2 ] || fail "neither kernel nor initramfs is open"
    ok delete --force "$ID"
}
