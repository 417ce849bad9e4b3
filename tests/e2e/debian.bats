#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# A real distribution as a bundle: Debian bookworm, as mmdebstrap makes it. The root file system is made once, from the
# mirror that apt is configured with, and kept below ${XDG_CACHE_HOME:-~/.cache}/ctr-tests.

load helpers

SUITE=bookworm
VARIANT=apt
RECIPE="1 $SUITE $VARIANT" # a change of the first word makes everybody build it anew

setup_file() {
    [ "$(id -u)" -eq 0 ] || return 0
    local cache key
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/ctr-tests
    key=$(printf '%s\n' "$RECIPE $(dpkg --print-architecture 2>/dev/null || uname -m)" | sha256sum | cut -c 1-16)
    export DEBIAN_TAR=$cache/debian-$key.tar DEBIAN_ROOT=$BATS_FILE_TMPDIR/rootfs
    mkdir -p "$cache"
    # whoever comes second waits for the first
    (
        flock 9
        [ -s "$DEBIAN_TAR" ] || build_tar "$cache"
    ) 9>"$cache/lock" || return 0
    mkdir "$DEBIAN_ROOT"
    tar -C "$DEBIAN_ROOT" --numeric-owner --exclude='./dev/*' -xpf "$DEBIAN_TAR"
}

# The mirror of apt's own configuration that has the suite.
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 2>/dev/null |
        awk -v s="$SUITE" '$2 == s && $3 == "main" { print $1; exit }'
}

build_tar() {
    command -v mmdebstrap >/dev/null || return 1
    rm -f "$1"/debian-*.tar "$1"/debian-*.tmp
    mmdebstrap --quiet --mode=root --variant="$VARIANT" --format=tar "$SUITE" - $(mirror) \
        >"$DEBIAN_TAR.tmp" 2>"$BATS_FILE_TMPDIR/mmdebstrap.log" </dev/null 3>&- || {
        rm -f "$DEBIAN_TAR.tmp"
        return 1
    }
    mv "$DEBIAN_TAR.tmp" "$DEBIAN_TAR"
}

setup() {
    common_setup
    require_root
    if [ ! -x "$DEBIAN_ROOT/bin/bash" ]; then
        # nobody is to lose these tests without noticing
        [ -z "${CI:-}" ] || fail "no Debian root file system: $(cat "$BATS_FILE_TMPDIR/mmdebstrap.log")"
        skip "no Debian root file system: mmdebstrap or its mirror is missing"
    fi
    mkdir "$BUNDLE"
}

# The bundle with the configuration that ctr writes, and without a terminal; the root file system is shared.
debian() {
    ok spec --bundle "$BUNDLE"
    edit_config '.process.terminal = false | .root.readonly = false | .root.path = $r' --arg r "$DEBIAN_ROOT"
}

@test "debian: apt --version; exit 42" {
    debian
    set_args /bin/bash -c 'apt --version; exit 42'
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 42 ]
    [[ $output == "apt "*" ("*")" ]]
    assert_leak_free
}

@test "debian: it is itself: release, packages, perl, users, names" {
    debian
    edit_config '.hostname = "deb"'
    set_args /bin/bash -ec '. /etc/os-release; echo $VERSION_CODENAME; dpkg -l | grep -c ^ii; perl -e "print 6 * 7, qq(\n)"
        id -un; hostname; getent passwd daemon | cut -d: -f 1; ls -d /proc/[0-9]* | wc -l; umask; tty || true'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(sed -n 1p <<<"$output")" = "$SUITE" ]
    [ "$(sed -n 2p <<<"$output")" -gt 50 ]
    [ "$(sed -n '3,6p' <<<"$output")" = $'42\nroot\ndeb\ndaemon' ]
    [ "$(sed -n 7p <<<"$output")" -le 3 ]
    [ "$(sed -n '8,$p' <<<"$output")" = $'0022\nnot a tty' ]
}

@test "debian: dpkg installs a package with scripts, another user reads it" {
    debian
    # as much as docker gives: dpkg chowns, and drops to other users
    edit_config '.process.capabilities |= map_values(. + ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID",
        "CAP_SETGID", "CAP_FSETID", "CAP_SYS_CHROOT"])'
    set_args /bin/bash -ec 'mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin; printf "#!/bin/sh\necho installed as \$(id -un)\n" \
            >/tmp/p/usr/bin/ctr-e2e; chmod 755 /tmp/p/usr/bin/ctr-e2e
        printf "%s\n" "Package: ctr-e2e" "Version: 1" "Architecture: all" "Maintainer: n <n@localhost>" "Description: d" \
            >/tmp/p/DEBIAN/control
        printf "#!/bin/sh\nset -e\ninstall -d -o daemon -g daemon /var/lib/ctr-e2e\n" >/tmp/p/DEBIAN/postinst
        chmod 755 /tmp/p/DEBIAN/postinst; dpkg-deb -b /tmp/p /tmp/p.deb >/dev/null; dpkg -i /tmp/p.deb >/dev/null
        stat -c %U /var/lib/ctr-e2e; su -s /bin/sh daemon -c ctr-e2e
        dpkg -P ctr-e2e >/dev/null; rm -r /tmp/p /tmp/p.deb'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'daemon\ninstalled as daemon' ]
}

@test "debian: create, start, exec -t, kill, delete by hand, with state at each step" {
    debian
    set_args /bin/bash -c 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.05; done'
    fails 1 'does not exist' state "$ID"

    ok create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID"
    local said=$OUT pid
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    ok state "$ID"
    [ "$(jq -c '[.ociVersion != null, .id, .status, .pid, .bundle, .rootfs]' "$OUT")" = \
        "[true,\"$ID\",\"created\",$pid,\"$BUNDLE\",\"$DEBIAN_ROOT\"]" ]
    [ ! -s "$said" ]
    [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") != */bin/bash* ]]

    ok start "$ID"
    wait_for 10 grep -q up "$said"
    ok state "$ID"
    [ "$(jq -c '[.status, .pid]' "$OUT")" = "[\"running\",$pid]" ]
    [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == "/bin/bash -c "* ]]

    ctr_tty exec -t "$ID" /bin/bash -c 'tty; cat /etc/debian_version; test -t 0 && echo terminal; exit 9'
    [ "$status" -eq 9 ]
    # script(1) may type its end of file in between
    [[ $output == *"/dev/pts/"*12.*terminal* ]]
    [ "$(state_of "$ID")" = running ]

    ok pause "$ID"
    [ "$(state_of "$ID")" = paused ]
    ok resume "$ID"
    [ "$(state_of "$ID")" = running ]

    ok kill "$ID" TERM
    wait_state "$ID" stopped
    grep -qx bye "$said"
    ok state "$ID"
    [ "$(jq -c '[.status, .pid]' "$OUT")" = '["stopped",0]' ]
    fails 255 'stopped' exec "$ID" /bin/true

    ok delete "$ID"
    fails 1 'does not exist' state "$ID"
    assert_leak_free
}

@test "debian: a user namespace over a copy that belongs to the mapped users" {
    debian
    cp -a "$DEBIAN_ROOT" "$BATS_TEST_TMPDIR/mapped"
    python3 - "$BATS_TEST_TMPDIR/mapped" <<'PY'
import os, stat, sys
def shift(path):
    st = os.lstat(path)
    os.lchown(path, st.st_uid + 200000, st.st_gid + 200000)
    if not stat.S_ISLNK(st.st_mode):
        os.chmod(path, stat.S_IMODE(st.st_mode))
shift(sys.argv[1])
for top, dirs, files in os.walk(sys.argv[1]):
    for name in dirs + files:
        shift(os.path.join(top, name))
PY
    edit_config '.root.path = $r | .linux.namespaces += [{type: "user"}]
        | .linux.uidMappings = [{containerID: 0, hostID: 200000, size: 65536}]
        | .linux.gidMappings = [{containerID: 0, hostID: 200000, size: 65536}]
        | .process.capabilities |= map_values(. + ["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"])' \
        --arg r "$BATS_TEST_TMPDIR/mapped"
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/test "$BATS_TEST_TMPDIR"
    set_args /bin/bash -ec 'id -u; stat -c "%U %G" /etc/passwd /etc/shadow; touch /root/mine; chown daemon /root/mine
        cat /proc/self/uid_map | tr -s " "; su -s /bin/sh daemon -c "id -un"; apt --version | cut -d " " -f 1
        ! mknod /root/null c 1 3; stat -c %u /proc/1'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'0\nroot root\nroot shadow\n 0 200000 65536\ndaemon\napt\n0' ]
    [ "$(stat -c '%u %g' "$BATS_TEST_TMPDIR/mapped/root/mine")" = '200001 200000' ]

    set_args /bin/sleep 1000
    ok run -d --bundle "$BUNDLE" "$ID"
    [ "$(stat -c %u "/proc/$(state_of "$ID" pid)")" -eq 200000 ]
    ok exec "$ID" /bin/bash -c 'id -u; cat /proc/self/uid_map | tr -s " "'
    [ "$output" = $'0\n 0 200000 65536' ]
    ok delete --force "$ID"
}

@test "debian: a container that joins another's network namespace by path" {
    debian
    set_args /usr/bin/perl -e 'use IO::Socket::INET; $| = 1;
        my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8097, Listen => 5, ReuseAddr => 1) or die;
        print "listening\n"; while (my $c = $s->accept) { print $c "hello from the first\n"; close $c }'
    ok run -d --bundle "$BUNDLE" "$ID"
    local said=$OUT pid
    wait_for 10 grep -q listening "$said"
    pid=$(state_of "$ID" pid)

    BUNDLE=$BATS_TEST_TMPDIR/second
    mkdir "$BUNDLE"
    debian
    edit_config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)' --arg p "/proc/$pid/ns/net"
    set_args /bin/bash -c 'readlink /proc/self/ns/net; exec 3<>/dev/tcp/127.0.0.1/8097 && cat <&3'
    ok run --bundle "$BUNDLE" "$ID-b"
    [ "$output" = "$(readlink "/proc/$pid/ns/net")"$'\n''hello from the first' ]

    # its own namespace: nobody answers there
    edit_config '.linux.namespaces |= map(if .type == "network" then del(.path) else . end)'
    ctr run --bundle "$BUNDLE" "$ID-c"
    [ "$status" -ne 0 ]
    [[ $output != *hello* && $output != *"$(readlink "/proc/$pid/ns/net")"* ]]
    ok delete --force "$ID"

    # the one whose namespace it was has gone
    edit_config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)' --arg p "/proc/$pid/ns/net"
    fails 1 "/proc/$pid/ns/net" run --bundle "$BUNDLE" "$ID-d"
    assert_leak_free
}

@test "debian: what runc spec writes runs unchanged, with its terminal" {
    require_program runc
    runc spec --bundle "$BUNDLE"
    ln -s "$DEBIAN_ROOT" "$BUNDLE/rootfs"
    local before
    before=$(sha256sum "$BUNDLE/config.json")
    jq -e '.process.terminal and .root.readonly and .process.args == ["sh"]' "$BUNDLE/config.json"

    # its program is a shell: somebody types to it
    output=$(printf '%s\n' 'tty; hostname; id -u; touch /x; ls /proc/self/fd | wc -w; cat /etc/debian_version; exit 7' |
        timeout "$DEADLINE" script -qec "$(printf '%q ' "$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID")" \
            /dev/null 2>&1 3>&-) && status=0 || status=$?
    echo "$output"
    [ "$status" -eq 7 ]
    [[ $output == *"/dev/pts/0"*runc*0*"Read-only file system"*12.* ]]
    [ "$before" = "$(sha256sum "$BUNDLE/config.json")" ]
    assert_leak_free
}

@test "debian: what runc spec --rootless writes runs, too" {
    require_program runc
    runc spec --rootless --bundle "$BUNDLE"
    ln -s "$DEBIAN_ROOT" "$BUNDLE/rootfs"
    edit_config '.process.terminal = false'
    set_args /bin/bash -c 'id -u; tr -s " " </proc/self/uid_map; hostname; apt --version | cut -d " " -f 1'
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'0\n 0 0 1\nrunc\napt' ]
}
