# SPDX-License-Identifier: Apache-2.0
#
# Files in a micro-VM: the program of files.bats in the guest, its view against the host's, volumes, and a source tree that
# is unpacked and compiled there. Through QEMU the server is Debian's virtiofsd, which is not ours: see below.
# run: alone

load helpers
load vm

FILES=$BATS_FILE_TMPDIR/files
CAPS='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_SETUID","CAP_SETGID","CAP_MKNOD","CAP_SETFCAP"]'

# What Debian's virtiofsd cannot do, and our own server can:
#   locks           flock is refused
#   suid            root's own write takes SUID away
#   users, acl      a supplementary group does not count; a default ACL does not replace the umask
#   xattr_refused   the labels of the host's security modules can be set
VIRTIOFSD="append locks suid users acl xattr_refused"
# What takes long where every instruction is translated.
LONG="readdir deep many_open rw exec sparse"

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

# all_but NAMES...: the names of the tests that need only one side, without these.
all_but() {
    local names
    names=$(grep -hoE '^	\{ "[a-z_]+"' "$BATS_TEST_DIRNAME"/files/{names,data,meta}.c | grep -oE '[a-z_]+' | tr '\n' ' ')
    for name; do names=${names/ $name / }; done
    echo "$names"
}

own_vmm() { [ "${VM_ACCEL:-}" = kvm ]; }

@test "the file tests in a guest, and the host sees the same" {
    local names
    # shellcheck disable=SC2046,SC2086 # words
    # 10,000 files are made on the host below: here it would take minutes
    if own_vmm; then names=$(all_but readdir); else names=$(all_but $VIRTIOFSD $LONG); fi
    set_args /bin/sh -c "mkdir /t && files test /t $names; rc=\$?; files list /t >/list; exit \$rc"
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
    command -v gcc make tar >/dev/null || skip "no compiler here"
    own_vmm || skip "a compiler takes minutes where every instruction is translated"
    local top=$BATS_TEST_DIRNAME/../..
    mkdir "$BATS_TEST_TMPDIR/src"
    tar -C "$top" -cf "$BATS_TEST_TMPDIR/src/src.tar" Makefile tests/tests.mk runtime/base
    ok run --clone --volume "$BATS_TEST_TMPDIR/src:/src" "$ID" -- sh -ec 'cd /src; mkdir t; tar -C t -xf src.tar; cd t
        make -s V=1 CFLAGS=-O0 build/runtime/base/str.o; tar -cf - . | wc -c >/src/size; sync'
    [ -s "$BATS_TEST_TMPDIR/src/t/build/runtime/base/str.o" ]
    [ "$(cat "$BATS_TEST_TMPDIR/src/size")" -gt 10000 ]
    cmp "$BATS_TEST_TMPDIR/src/t/runtime/base/str.c" "$top/runtime/base/str.c"
}
