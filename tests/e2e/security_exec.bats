#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The mistakes that container runtimes have made, each as an attack that must fail here: what exec and the program
# get, what may be seen of the set-up, configurations, cgroups.

load helpers
load isolation

setup_file() { attack_tools; }

setup() {
    common_setup
    require_root
    SRC=$BATS_TEST_TMPDIR/src
    mkdir "$SRC"
    canary
}

# ---- configurations ----

@test "CVE-2021-43784: more namespaces and mappings than any buffer holds" {
    make_bundle
    set_args /bin/true
    cp "$BUNDLE/config.json" "$BUNDLE/good"
    jq '.linux.uidMappings = [range(30000) | {containerID: ., hostID: ., size: 1}]' "$BUNDLE/good" >"$BUNDLE/config.json"
    fails 1 linux.uidMappings create --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    jq '.linux.namespaces = [range(70000) | {type: "network", path: "/proc/self/ns/net"}]' "$BUNDLE/good" >"$BUNDLE/config.json"
    fails 1 linux.namespaces create --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    jq '.linux.namespaces += [{type: "user", path: ("/" + ("x" * 70000))}]' "$BUNDLE/good" >"$BUNDLE/config.json"
    fails 1 user create --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    # the length that wraps around at 16 bits, with a path hidden behind it
    jq '.linux.uidMappings = [range(340) | {containerID: ., hostID: 4294967295, size: 4294967295}]' "$BUNDLE/good" >"$BUNDLE/config.json"
    fails 1 linux.uidMappings create --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

# ---- exec and the payload's rights ----

@test "CVE-2022-29162, CVE-2022-27650, CVE-2022-24769: no inheritable capability is ever added" {
    make_bundle
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(awk '/^CapInh/ { print $2 }' "/proc/$(state_of "$ID" pid)/status")" = 0000000000000000 ]
    ok exec --cap CAP_NET_ADMIN --cap sys_ptrace "$ID" /bin/cat /proc/self/status
    [ "$(awk '/^CapInh/ { print $2 }' "$OUT")" = 0000000000000000 ]
    [ "$(awk '/^CapAmb/ { print $2 }' "$OUT")" = 0000000000000000 ]
    # and the options had their effect: 12 and 19
    [ $((0x$(awk '/^CapEff/ { print $2 }' "$OUT") >> 12 & 1)) -eq 1 ]
    [ $((0x$(awk '/^CapEff/ { print $2 }' "$OUT") >> 19 & 1)) -eq 1 ]
    [ $((0x$(awk '/^CapEff/ { print $2 }' "$OUT") >> 21 & 1)) -eq 0 ]
    ok exec --user 1000 --cap CAP_NET_ADMIN "$ID" /bin/cat /proc/self/status
    [ "$(awk '/^CapInh/ { print $2 }' "$OUT")" = 0000000000000000 ]
    ok delete --force "$ID"
}

@test "CVE-2026-30892: exec --user means the numbers that it says, or is refused" {
    make_bundle
    edit_config '.process.user = {uid: 0, gid: 0}'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    local u
    for u in 1 01 1000 4294967294; do
        ok exec --user $u "$ID" /bin/sh -c 'id -u; id -g'
        [ "$output" = "$((10#$u))"$'\n'0 ] || fail "--user $u: $output"
    done
    ok exec -u 1:2 "$ID" /bin/sh -c 'id -u; id -g'
    [ "$output" = $'1\n2' ]
    ok exec -u 0:4294967294 "$ID" /bin/sh -c 'id -u; id -g'
    [ "$output" = $'0\n4294967294' ]
    for u in 1x x '' : :1 1: 1:2: 1:2:3 -1 +1 ' 1' '1 ' 4294967295 4294967296 18446744073709551617 0x10 1:4294967295 no-such-user; do
        ctr exec --user "$u" "$ID" /bin/id -u
        [ "$status" -eq 255 ] || fail "--user '$u': status $status: $output"
        [ -z "$output" ]
    done
    ok delete --force "$ID"
}

@test "CVE-2024-21626: the working directory is never what the runtime has open" {
    make_bundle
    local fd
    ln -s /proc/self/fd "$BUNDLE/rootfs/fds"
    for fd in $(seq 3 24); do
        edit_config '.process.cwd = $c' --arg c "/proc/self/fd/$fd"
        set_args /bin/pwd
        ctr run --bundle "$BUNDLE" "$ID"
        [ "$status" -ne 0 ] || fail "fd $fd: $output"
    done
    for fd in 3 7; do
        for d in /fds/$fd /proc/1/fd/$fd /proc/self/fd/$fd/../.. /proc/thread-self/fd/$fd /proc/self/cwd /proc/self/root/..; do
            edit_config '.process.cwd = $c' --arg c "$d"
            set_args /bin/sh -c 'pwd; ls -d etc/shadow ../etc/shadow ../../../etc/shadow'
            ctr run --bundle "$BUNDLE" "$ID"
            ! grep -q shadow "$OUT" || fail "$d leads to the host"
        done
    done
    assert_leak_free
}

@test "CVE-2024-21626: exec neither, nor through a symlink that is exchanged" {
    make_bundle
    mkdir "$BUNDLE/rootfs/work"
    ln -s /proc/self/fd/7 "$BUNDLE/rootfs/link"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    local fd
    for fd in $(seq 3 32); do
        ctr exec --cwd "/proc/self/fd/$fd" "$ID" /bin/pwd
        [ "$status" -eq 255 ] || fail "fd $fd: $output"
    done
    race_begin "$BUNDLE/rootfs/work" "$BUNDLE/rootfs/link"
    local begin=$SECONDS
    while [ $((SECONDS - begin)) -le "$RACE_SECONDS" ]; do
        ctr exec --cwd /work "$ID" /bin/sh -c 'pwd -P'
        # the racer may have renamed it in between
        [ "$status" -ne 0 ] || [ "$output" = /work ] || [ "$output" = /link ] || fail "$output"
    done
    race_end
    ok delete --force "$ID"
}

@test "CVE-2024-21626: the program has stdio and nothing else open, in run and exec" {
    make_bundle
    local list='for f in /proc/self/fd/*; do n=${f##*/}; [ $n -gt 2 ] && [ -e $f ] && readlink $f; done; ls /proc/self/fd | wc -l; echo end'
    exec 7</ 8<"$CANARY/file" 9</etc/passwd
    set_args /bin/sh -c "$list"
    ok run --bundle "$BUNDLE" "$ID"
    # ls has its directory open as the fourth
    [ "$output" = $'4\nend' ] || fail "$output"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(ls "/proc/$(state_of "$ID" pid)/fd" | tr '\n' ' ')" = '0 1 2 ' ]
    ok exec "$ID" /bin/sh -c "$list"
    [ "$output" = $'4\nend' ] || fail "$output"
    ok delete --force "$ID"
    # only what is asked for
    set_args /bin/sh -c 'cat <&3; cat <&4 2>/dev/null; ls /proc/self/fd | wc -l'
    "$CTR" --root "$ROOT" run --preserve-fds 1 --bundle "$BUNDLE" "$ID" >"$BATS_TEST_TMPDIR/out" \
        3<"$CANARY/file" 4<"$CANARY/file"
    exec 7<&- 8<&- 9<&-
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = $'untouched\n5' ]
}

# ---- what must not be seen ----

@test "the set-up cannot be looked at from a user namespace: not dumpable until the program runs" {
    make_bundle
    edit_config "$MAP_64K"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    cat >"$BUNDLE/hook" <<END
#!/bin/sh
pid=\$(sed 's/.*"pid": *\([0-9]*\).*/\1/')
stat -c %u /proc/\$pid/environ >"$BATS_TEST_TMPDIR/owner"
END
    chmod +x "$BUNDLE/hook"
    edit_config '.hooks.createRuntime = [{path: $p}]' --arg p "$BUNDLE/hook"
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    # the files of a process that cannot be dumped belong to the host's root
    [ "$(cat "$BATS_TEST_TMPDIR/owner")" = 0 ]
    pid=$(state_of "$ID" pid)
    [ "$(stat -c %u "/proc/$pid/environ")" = 0 ]
    ok start "$ID"
    mapped() { [ "$(stat -c %u "/proc/$pid/environ")" = 200000 ]; }
    wait_for 10 mapped
    ok delete --force "$ID"
}

@test "the host's environment is not the container's, nor to be read in a created one" {
    make_bundle
    export HOST_SECRET=do-not-tell
    set_args /bin/cat /proc/self/environ
    ok run --bundle "$BUNDLE" "$ID"
    [[ $(tr '\0' '\n' <"$OUT") != *HOST_SECRET* ]]
    [[ $(tr '\0' '\n' <"$OUT") != *CTR_TEST_ID* ]]
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    pid=$(state_of "$ID" pid)
    # somebody who shares its pid namespace, without the rights to trace
    make_bundle "$BATS_TEST_TMPDIR/peer"
    edit_config '.linux.namespaces |= map(select(.type != "pid")) + [{type: "pid", path: $p}]' --arg p "/proc/$pid/ns/pid"
    set_args /bin/sh -c 'tr "\0" "\n" </proc/1/environ; ls -l /proc/1/fd/ /proc/1/cwd /proc/1/exe; cat /proc/1/maps'
    ctr run --bundle "$BUNDLE" "$ID-peer"
    [[ $output != *HOST_SECRET* ]]
    [ "$(grep -ci 'permission denied' "$ERR")" -ge 3 ]
    ok start "$ID"
    ok exec "$ID" /bin/sh -c 'tr "\0" "\n" </proc/1/environ'
    [[ $output != *HOST_SECRET* ]]
    ok delete --force "$ID"
}

@test "the session keyring is the container's own, and named after it" {
    [ -e /proc/keys ] || skip 'no keyrings'
    make_bundle
    edit_config '.linux.maskedPaths = []'
    run_sh 'cat /proc/keys'
    [ "$status" -eq 0 ]
    grep -q "_ses.$ID: " "$OUT"
    set_args /bin/cat /proc/keys
    ok run --no-new-keyring --bundle "$BUNDLE" "$ID-none"
    ! grep -q "_ses.$ID-none" "$OUT" || fail "found what must not be there"
}

# What init (in $1) and exec (in $2) say of their session keyrings, the latter with a secret in its caller's.
keys_in() { # INIT EXEC [CREATE OPTION...]
    set_args /bin/sh -c '/keys show; sleep 1000'
    ok run --detach "${@:3}" --bundle "$BUNDLE" "$ID"
    wait_for 10 test -s "$OUT"
    slurp "$1" "$OUT"
    # a caller that is in that ring already
    "$BUNDLE/rootfs/keys" join "_ses.$ID" "$CTR" --root "$ROOT" exec "$ID" /bin/true
    slurp "$2" <("$BUNDLE/rootfs/keys" hold "$CTR" --root "$ROOT" exec --user 1000 "$ID" /keys show 2>&1)
    ok delete --force "$ID"
}

@test "keyring: exec has the container's, whatever its caller's holds, in a user namespace too" {
    require_program gcc
    make_bundle
    gcc -O1 -static -o "$BUNDLE/rootfs/keys" "$BATS_TEST_DIRNAME/helpers_src/keys.c"
    [ "$("$BUNDLE/rootfs/keys" hold "$BUNDLE/rootfs/keys" show | grep -o '[^ ]*$')" = secret ] || skip 'no keyrings'
    keys_in init exec
    [[ $exec == *";3f1b0000;_ses.$ID none" && $exec == "$init" ]] || fail "init: $init, exec: $exec"
    keys_in init exec --no-new-keyring
    [[ $exec == *" secret" ]] || fail "exec has lost its caller's: $exec"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    edit_config "$MAP_64K"
    keys_in init exec
    [[ $exec == *";_ses.$ID none" && $exec == "$init" ]] || fail "user namespace: init: $init, exec: $exec"
    # one that uses up all that its user may have of keys keeps nobody out, and gets nothing of the caller's
    # (a user of its own: other tests have containers of the one above, and keys are given back some time after)
    local user=$((1000000 + RANDOM))
    edit_config ".linux.uidMappings[0].hostID = $user"
    chown -R "$user:300000" "$BUNDLE/rootfs"
    set_args /keys fill
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -q full "$OUT"
    slurp exec <("$BUNDLE/rootfs/keys" hold "$CTR" --root "$ROOT" exec "$ID" /keys show 2>&1)
    [[ $exec == *" none" ]] || fail "without a key left: $exec"
    fails 1 'has used up kernel.keys.maxkeys' run --bundle "$BUNDLE" "$ID-2"
    ok delete --force "$ID"
}

@test "exec: the groups of its caller are not kept because the container says that none can be set" {
    require_program setpriv
    make_bundle
    drop_mounts /proc
    edit_config "$MAP_64K"' | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
    mkdir -p "$BUNDLE/rootfs/proc/self"
    echo -n deny >"$BUNDLE/rootfs/proc/self/setgroups"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(setpriv --groups 4711,4712 "$CTR" --root "$ROOT" exec "$ID" id -G </dev/null 3>&-)" = 0 ]
    ok delete --force "$ID"
}

@test "memory that cannot be executed (vm.memfd_noexec=2): ctr is protected by a file without a name" {
    [ -e /proc/sys/vm/memfd_noexec ] || skip 'no vm.memfd_noexec'
    make_bundle
    set_args /bin/sh -c 'readlink /proc/1/exe; sleep 1000'
    cat >"$BATS_TEST_TMPDIR/script" <<'END'
set -e
echo 2 >/proc/sys/vm/memfd_noexec
"$@" run --detach --bundle "$BUNDLE" "$ID"
"$@" exec "$ID" echo inside
"$@" delete --force "$ID"
END
    BUNDLE=$BUNDLE ID=$ID unshare --pid --fork --mount-proc sh "$BATS_TEST_TMPDIR/script" timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" \
        >"$BATS_TEST_TMPDIR/said" 2>&1 </dev/null 3>&- || fail "$(cat "$BATS_TEST_TMPDIR/said")"
    grep -qx inside "$BATS_TEST_TMPDIR/said" || fail "$(cat "$BATS_TEST_TMPDIR/said")"
}

@test "umask: 022 whatever the caller's is, or the configured one" {
    make_bundle
    umask 077
    run_sh 'umask; mkdir /tmp/new; stat -c %a /tmp/new'
    [ "$output" = $'0022\n755' ]
    edit_config '.process.user.umask = 63'
    run_sh 'umask; touch /tmp/new2; stat -c %a /tmp/new2'
    umask 022
    [ "$output" = $'0077\n600' ]
}

@test "the child of a ctr that is killed during the set-up dies too" {
    make_bundle
    cat >"$BUNDLE/hook" <<END
#!/bin/sh
sed 's/.*"pid": *\([0-9]*\).*/\1/' >"$BATS_TEST_TMPDIR/pid.new"
mv "$BATS_TEST_TMPDIR/pid.new" "$BATS_TEST_TMPDIR/pid"
exec sleep 1000
END
    chmod +x "$BUNDLE/hook"
    edit_config '.hooks.createRuntime = [{path: $p}]' --arg p "$BUNDLE/hook"
    set_args /bin/sleep 1000
    "$CTR" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >/dev/null 2>&1 3>&- &
    local ctr=$! hook
    wait_for 10 test -s "$BATS_TEST_TMPDIR/pid"
    hook_sleeps() { hook=$(pgrep -P "$ctr" -x sleep); }
    wait_for 10 hook_sleeps
    kill -9 "$ctr"
    wait "$ctr" || true
    gone() { [ ! -e "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/exe" ]; }
    wait_for 10 gone
    kill "$hook" 2>/dev/null || true
    ok delete --force "$ID"
    assert_leak_free
}

# ---- cgroups ----

@test "CVE-2023-25809: root of a user namespace without a cgroup namespace cannot write in the host's cgroups" {
    make_bundle
    edit_config "$MAP_64K"' | .linux.namespaces |= map(select(.type != "cgroup"))'
    chown -R 200000:300000 "$BUNDLE/rootfs"
    # a cgroup that belongs to that user, as a service manager delegates them
    local g=/sys/fs/cgroup
    is_cgroup2 || g=/sys/fs/cgroup/memory
    mkdir "$g/$TESTID-theirs"
    chown -R 200000:300000 "$g/$TESTID-theirs"
    # as `spec --rootless` shows /sys
    drop_mounts /sys
    add_mount /sys none /sys rbind nosuid noexec nodev ro
    set_args /bin/sh -c "ls -d $g/$TESTID-theirs; mkdir $g/$TESTID-theirs/made && echo MADE; echo 1 >$g/$TESTID-theirs/cgroup.procs && echo MOVED"
    ctr run --bundle "$BUNDLE" "$ID"
    [ ! -e "$g/$TESTID-theirs/made" ] || { rmdir "$g/$TESTID-theirs/made"; fail 'made a cgroup on the host'; }
    ! grep -qE 'MADE|MOVED' "$OUT" || fail "found what must not be there"
    # and by a cgroup mount
    drop_mounts /sys
    add_mount /sys none /sys bind ro
    add_mount /sys/fs/cgroup cgroup cgroup ro
    ctr run --bundle "$BUNDLE" "$ID"
    ! grep -qE 'MADE|MOVED' "$OUT" || fail "found what must not be there"
    rmdir "$g/$TESTID-theirs"
}
