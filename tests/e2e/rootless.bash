# SPDX-License-Identifier: Apache-2.0
#
# ctr as an ordinary user. For files that have loaded the helpers.

# Other users may walk to the directory.
reachable() {
    local d=$1
    while [ "$d" != / ]; do
        [ -n "$(find "$d" -maxdepth 0 -perm -001)" ] || chmod a+x "$d"
        d=$(dirname "$d")
    done
}

# copy_ctr DIR: into it, with the kernel that it finds beside itself.
copy_ctr() {
    cp "$CTR" "$1/ctr"
    case " ${CTR_GLOBALS:-} " in *" --vm "*)
        [ ! -e "$(dirname "$CTR")/guest/vmlinux" ] || { mkdir "$1/guest" && cp "$(dirname "$CTR")/guest/vmlinux" "$1/guest/"; } ;;
    esac
}

# What a user without rights needs: a name, subordinate ids, a directory. In a mount namespace of its own, so
# that the host's /etc stays as it is. $USERDIR is the user's, with ctr in it. A directory that the user can reach.
ROOTLESS_ID=61234
rootless_setup() {
    require_root
    require_program newuidmap
    require_program setpriv
    [ "$(cat /proc/sys/user/max_user_namespaces)" -gt 0 ] || skip 'no user namespaces'
    [ "$(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null || echo 1)" = 1 ] || skip 'no unprivileged user namespaces'
    local d
    USERDIR=$BATS_TEST_TMPDIR/user
    mkdir "$USERDIR" "$USERDIR/run" "$BATS_TEST_TMPDIR/etc"
    mknod -m 666 "$BATS_TEST_TMPDIR/tun" c 10 200 # as udev makes it; not each machine has that
    copy_ctr "$USERDIR"
    for d in passwd group; do cp "/etc/$d" "$BATS_TEST_TMPDIR/etc/$d"; done
    echo "u$TESTID:x:$ROOTLESS_ID:$ROOTLESS_ID::$USERDIR:/bin/sh" >>"$BATS_TEST_TMPDIR/etc/passwd"
    echo "u$TESTID:x:$ROOTLESS_ID:" >>"$BATS_TEST_TMPDIR/etc/group"
    for d in subuid subgid; do echo "u$TESTID:700000:65536" >"$BATS_TEST_TMPDIR/etc/$d"; done
    cp -a "$(base_rootfs)" "$USERDIR/rootfs"
    BUNDLE=$USERDIR
    ROOT=$USERDIR/run
    reachable "$BATS_TEST_TMPDIR"
    chown -R $ROOTLESS_ID:$ROOTLESS_ID "$USERDIR"
    CTR=$BATS_TEST_TMPDIR/as-user
    cat >"$CTR" <<END
#!/bin/bash
exec unshare --mount --propagation slave bash -c '
    for f in passwd group subuid subgid; do
        [ -e /etc/\$f ] || continue
        mount --bind "$BATS_TEST_TMPDIR/etc/\$f" /etc/\$f || exit 99
    done
    if [ -c /dev/net/tun ] && stat -c %a /dev/net/tun "$BATS_TEST_TMPDIR/tun" | grep -qvx 666; then
        mount --bind "$BATS_TEST_TMPDIR/tun" /dev/net/tun || exit 99
    fi
    exec setpriv --reuid $ROOTLESS_ID --regid $ROOTLESS_ID --clear-groups --inh-caps=-all \
        env -u XDG_RUNTIME_DIR HOME="$USERDIR" "$USERDIR/ctr" "\$@"' ctr "\$@"
END
    chmod 755 "$CTR"
    [ -e /etc/subuid ] && [ -e /etc/subgid ] || skip 'no /etc/subuid'
    ok spec --rootless --bundle "$BUNDLE"
    edit_config '.process.terminal = false | .root.readonly = false'
    chown $ROOTLESS_ID "$BUNDLE/config.json"
}
