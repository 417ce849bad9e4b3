#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# ctr that itself runs in a chroot: the host's tree must not stay above the container's root.

load helpers

# A chroot with ctr, its libraries and a bundle: $JAIL.
make_jail() {
    require_root
    JAIL=$BATS_TEST_TMPDIR/jail
    make_bundle
    mkdir -p "$JAIL"/{bin,proc,sys,dev,run,tmp,usr/bin,usr/lib,usr/lib64,lib,lib64,b}
    cp "$CTR" "$JAIL/bin/ctr"
    cp "$(command -v busybox)" "$JAIL/bin/busybox"
    local lib
    for lib in $(ldd "$CTR" | grep -o '/[^ ]*'); do
        mkdir -p "$JAIL$(dirname "$lib")"
        cp -L "$lib" "$JAIL$lib"
    done
    cp -a "$BUNDLE/." "$JAIL/b"
}

# in_jail WORDS...: runs the script in a mount namespace of its own, in the chroot.
in_jail() {
    status=0
    # shellcheck disable=SC2016
    output=$(timeout 30 unshare --mount --propagation private sh -c '
        jail=$1; shift
        mount -t proc proc "$jail/proc"
        mount --rbind /sys "$jail/sys"
        mount --rbind /dev "$jail/dev"
        exec chroot "$jail" /bin/busybox sh -c "$@"' sh "$JAIL" "$@" 2>&1 3>&-) || status=$?
}

@test "chroot: nothing of the host's tree is above the container's root" {
    make_jail
    jq '.process.args = ["/bin/sh", "-c", "cut -d\" \" -f4,5 /proc/self/mountinfo"] | .root.readonly = false' \
        "$BUNDLE/config.json" >"$JAIL/b/config.json"
    in_jail "/bin/ctr --root /run/ctr run -b /b $ID"
    [ "$status" -eq 0 ] || fail "$output"
    grep -q ' /$' <<<"$output" || fail "no root: $output"
    # the root's parent is the root of the namespace: nothing that is mounted elsewhere shows
    [ "$(grep -c ' /$' <<<"$output")" -eq 1 ] || fail "$output"
    [[ $output != *"$JAIL"* ]] || [[ $(grep -c "$JAIL" <<<"$output") -eq 1 ]] || fail "$output"
}

@test "chroot: exec is in the container, not on the host" {
    make_jail
    jq '.process.args = ["/bin/sleep", "1000"] | .root.readonly = false' "$BUNDLE/config.json" >"$JAIL/b/config.json"
    touch "$JAIL/b/rootfs/only-in-the-container"
    in_jail "cd /b && /bin/ctr --root /run/ctr run -d $ID </dev/null >/dev/null 2>&1 &&
        /bin/ctr --root /run/ctr exec $ID /bin/ls / ; /bin/ctr --root /run/ctr delete --force $ID"
    [ "$status" -eq 0 ] || fail "$output"
    [[ $output == *only-in-the-container* ]] || fail "$output"
    [[ $output != *boot* ]] || fail "$output"
}
