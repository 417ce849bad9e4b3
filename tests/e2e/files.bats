# SPDX-License-Identifier: Apache-2.0
#
# The micro-VM's file server, with this kernel as its client (/dev/fuse), and the same tests in a guest. The tests are
# one program, tests/e2e/files: it must pass on the host's own file system too, or it tests the wrong thing.

load helpers

FILES=$BATS_FILE_TMPDIR/files
MOUNT=$(dirname "$CTR")/tests/tools/fuse_mount

setup_file() {
    gcc -std=gnu17 -D_GNU_SOURCE -O1 -static -o "$BATS_FILE_TMPDIR/files" "$BATS_TEST_DIRNAME"/files/*.c
}

setup() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    [ -c /dev/fuse ] || skip "there is no /dev/fuse here"
    [ -x "$MOUNT" ] || skip "$MOUNT is not built"
    common_setup
    HOST=$BATS_TEST_TMPDIR/host
    MNT=$BATS_TEST_TMPDIR/mnt
    LIST=$BATS_TEST_TMPDIR/list
    mkdir "$HOST" "$MNT"
}

# through OPTIONS COMMAND...: the command, with $HOST served at $MNT.
through() {
    local options=$1
    shift
    # shellcheck disable=SC2086 # options
    run timeout -k 5 120 "$MOUNT" $options "$HOST" "$MNT" "$@" 3>&-
}

# Every test of the program must have passed; $1: those that may be skipped, $2: sed for what the two lists may differ in.
all_passed() {
    [ "$status" -eq 0 ] || fail "files: $output"
    local skipped
    skipped=$(sed -n 's/^skip \([a-z_]*\).*/\1/p' <<<"$output" | tr '\n' ' ')
    for name in $skipped; do
        [[ " $1 " == *" $name "* ]] || fail "skipped: $name: $output"
    done
    sed "${2:-}" "$LIST" >"$LIST.there"
    "$FILES" list "$HOST" | sed "${2:-}" >"$LIST.here"
    cmp "$LIST.there" "$LIST.here" || fail "$(diff "$LIST.there" "$LIST.here" | head -n 20)"
}

# The tests by name, without those given. "readdir" makes 10,000 files: once is enough.
all_but() {
    local names
    names=$(grep -hoE '^	\{ "[a-z_]+"' "$BATS_TEST_DIRNAME"/files/*.c | grep -oE '[a-z_]+' | tr '\n' ' ')
    for name; do names=${names/ $name / }; done
    echo "$names"
}

@test "the file tests on the host's own file system" {
    run timeout -k 5 120 "$FILES" test "$HOST" $(all_but readdir)
    [ "$status" -eq 0 ] || fail "$output"
    [[ $output != *FAILED* ]]
}

@test "the file tests through the file server" {
    through "" sh -c "'$FILES' test '$MNT' -h '$HOST'; rc=\$?; '$FILES' list '$MNT' >'$LIST'; exit \$rc"
    all_passed "acl xattr fallocate"
    [[ $output == *"ok readdir"* ]]
}

@test "the file tests through the file server, in buffers of odd sizes" {
    through -s sh -c "'$FILES' test '$MNT' -h '$HOST' $(all_but readdir); rc=\$?
        '$FILES' list '$MNT' >'$LIST'; exit \$rc"
    all_passed "acl xattr fallocate"
}

# Nobody else changes what is exclusive: host_change does. With cached writes times are the client's, and its kernel may
# tell them before it has written the last page.
@test "the file tests through the file server, exclusive and with cached writes" {
    through "-x -w" sh -c "'$FILES' test '$MNT' -h '$HOST' $(all_but readdir host_change); rc=\$?
        '$FILES' list '$MNT' >'$LIST'; exit \$rc"
    all_passed "acl xattr fallocate" 's/ [0-9-]*\.[0-9]\{9\}//'
}

@test "the file tests through the file server, with few descriptors" {
    through "-f 40" sh -c "'$FILES' test '$MNT' -h '$HOST' $(all_but readdir many_open); rc=\$?
        '$FILES' list '$MNT' >'$LIST'; exit \$rc"
    all_passed "acl xattr fallocate"
}

@test "a read-only file server" {
    echo text >"$HOST/f"
    through -r sh -c "cat '$MNT/f'; echo x >'$MNT/f'; echo x >'$MNT/g'; mkdir '$MNT/d'; rm '$MNT/f'
        mv '$MNT/f' '$MNT/g'; chmod 600 '$MNT/f'; touch '$MNT/f'; ln '$MNT/f' '$MNT/g'; echo done"
    [[ $output == text*done ]]
    [ "$(grep -c 'Read-only file system' <<<"$output")" -eq 8 ] || fail "$output"
    [ "$(cat "$HOST/f")" = text ]
    [ "$(ls "$HOST")" = f ]
}

# As on NFS: what could not be written is said when the file is closed.
@test "what close(2) says on the host, it says in the guest" {
    mkdir "$BATS_TEST_TMPDIR/far"
    echo text >"$HOST/f"
    run timeout -k 5 60 "$MOUNT" -e "$HOST" "$BATS_TEST_TMPDIR/far" "$MOUNT" "$BATS_TEST_TMPDIR/far" "$MNT" \
        sh -c "cat '$MNT/f'; echo x | dd of='$MNT/f' conv=notrunc status=none; echo \$?" 3>&-
    [[ ${lines[0]} == text && ${lines[1]} == *"No space left on device"* && ${lines[2]} == 1 ]] || fail "$output"
}

@test "tar and make through the file server" {
    local top=$BATS_TEST_DIRNAME/../..
    tar -C "$top" -cf "$BATS_TEST_TMPDIR/src.tar" Makefile tests/tests.mk runtime/base
    through "-x -w" sh -c "tar -C '$MNT' -xf '$BATS_TEST_TMPDIR/src.tar' && cd '$MNT' &&
        env -u BUILD -u MAKEFLAGS make -s CFLAGS=-O0 build/runtime/base/str.o build/runtime/base/err.o && tar -cf - ." >/dev/null
    [ "$status" -eq 0 ] || fail "$output"
    [ -s "$HOST/build/runtime/base/str.o" ]
    cmp "$HOST/runtime/base/str.c" "$top/runtime/base/str.c"
}
