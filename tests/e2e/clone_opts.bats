#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run: own network
#
# The options of `ctr run` that people type, by their effect: on an OS clone and on a bundle; limits as seen from inside,
# from outside, and by somebody who runs into them; terminals; exit codes.

load helpers

setup() {
    common_setup
    require_root
}

# clone_sh [OPTIONS...] SCRIPT: runs it in a clone, which must succeed.
clone_sh() {
    ctr run --clone "${@:1:$#-1}" "$ID" /bin/sh -ec "${*: -1}"
    [ "$status" -eq 0 ] || fail "the clone ended with status $status"
}

# The shell function that finds a limit of its own cgroup from inside: $1 controller, $2 v1 file, $3 v2 file.
LIMIT='limit() { if [ -e /sys/fs/cgroup/cgroup.controllers ]; then cat /sys/fs/cgroup/$3; else
    cat /sys/fs/cgroup/$1/$2; fi; }'

# ---- limits ----

@test "clone: -m, --cpus and --pids-limit are to be seen inside and outside" {
    ok run --clone -d -m 64m --cpus 1.5 --pids-limit 33 "$ID" /bin/sleep 1000
    ok exec "$ID" /bin/sh -ec "$LIMIT"'
        limit memory memory.limit_in_bytes memory.max; limit pids pids.max pids.max
        limit cpu cpu.cfs_quota_us cpu.max'
    [[ $output == $'67108864\n33\n150000'* ]]
    [ "$(cat "$(cgroup_file "$ID" memory memory.limit_in_bytes memory.max)")" -eq 67108864 ]
    [ "$(cat "$(cgroup_file "$ID" pids pids.max pids.max)")" -eq 33 ]
    [[ $(cat "$(cgroup_file "$ID" cpu cpu.cfs_quota_us cpu.max)") == 150000* ]]
    ok delete --force "$ID"
    [ -z "$(cgroup_dirs "$ID")" ]
}

@test "clone: more memory than -m allows: the hog is killed, the rest of the clone and the host are not" {
    ok run --clone -d -m 32m "$ID-b" /bin/sleep 1000
    clone_sh -m 32m '/usr/bin/python3 -c "x = bytearray(200 << 20); print(len(x))" && exit 1 || echo "hog: $?"
        echo alive'
    [[ $output == *"hog: 137"*alive ]]
    [ "$(state_of "$ID-b")" = running ]
    ok delete --force "$ID-b"
}

@test "clone: what is written to the clone's memory counts to its limit" {
    ctr run --clone -m 32m "$ID" /bin/sh -c 'head -c 100m /dev/zero >/root/big; echo "status $?"; rm -f /root/big'
    # its shell may be the one that is killed
    [ "$status" -eq 137 ] || [[ $output != *"status 0"* ]]
}

@test "clone: --pids-limit holds against a fork bomb" {
    ok run --clone -d --pids-limit 20 "$ID" /bin/sh -c '(while :; do sleep 1000 & done); exec sleep 1000'
    # the shell that cannot fork any more says so and ends
    wait_for 10 grep -q 'Cannot fork\|Resource temporarily unavailable' "$ERR"
    ok ps "$ID"
    # and the head
    [ "$(wc -l <"$OUT")" -le 21 ] && [ "$(wc -l <"$OUT")" -ge 19 ]
    ok delete --force "$ID"
}

@test "clone: --cpus holds back what wants more" {
    ok run --clone -d --cpus 0.1 "$ID" /bin/sh -c 'while :; do :; done'
    wait_for 10 throttled
    ok delete --force "$ID"
}

throttled() {
    [ "$(sed -n 's/^nr_throttled //p' "$(cgroup_file "$ID" cpu cpu.stat cpu.stat)")" -gt 3 ]
}

@test "clone: -1 is no limit, sizes have suffixes, nonsense is refused by name" {
    ok run --clone -d -m -1 --pids-limit -1 "$ID" /bin/sleep 1000
    [ "$(cat "$(cgroup_file "$ID" pids pids.max pids.max)")" = max ]
    ok delete --force "$ID"
    local bad
    for bad in x 12q '' 1,5g; do
        ctr run --clone -m "$bad" "$ID-c" /bin/true
        [ "$status" -ne 0 ] && [[ $stderr == *memory* || $stderr == *-m* ]] || fail "-m '$bad': $status: $stderr"
    done
    for bad in 0 -2 x 1e3 ''; do
        ctr run --clone --cpus "$bad" "$ID-c" /bin/true
        [ "$status" -ne 0 ] && [[ $stderr == *cpus* ]] || fail "--cpus '$bad': $status: $stderr"
    done
    for bad in x 1.5 ''; do
        ctr run --clone --pids-limit "$bad" "$ID-c" /bin/true
        [ "$status" -ne 0 ] && [[ $stderr == *pids-limit* ]] || fail "--pids-limit '$bad': $status: $stderr"
    done
}

# ---- environment, directory, user ----

@test "clone: -e with a value, from ctr's own environment, and replacing one" {
    GIVEN='from outside' clone_sh -e A=1 -e 'B=two words' -e GIVEN -e MISSING_ONE -e PATH=/usr/bin:/bin -e EMPTY= \
        'echo "$A|$B|$GIVEN|${MISSING_ONE-unset}|$PATH|${EMPTY-unset}|"'
    [ "$output" = '1|two words|from outside|unset|/usr/bin:/bin||' ]
}

@test "clone: -w, also one that is not there yet" {
    clone_sh -w /usr/share pwd
    [ "$output" = /usr/share ]
    clone_sh -w "/opt/new-$TESTID" 'pwd; touch here'
    [ "$output" = "/opt/new-$TESTID" ]
    [ ! -e "/opt/new-$TESTID" ]
}

@test "clone: -u by number, by name, with a group, with the groups that the system has for it" {
    clone_sh -u 1234 'id -u; id -g; touch /tmp/f; ! touch /etc/f'
    [ "$output" = $'1234\n0' ]
    clone_sh -u 1234:5678 'id -u; id -g; echo $HOME; grep CapEff /proc/self/status'
    [[ $output == $'1234\n5678\n/\nCapEff:\t0000000000000000' ]]
    clone_sh -u daemon 'id -un; id -gn'
    [ "$output" = $'daemon\ndaemon' ]
    clone_sh -u daemon:root 'id -un; id -gn'
    [ "$output" = $'daemon\nroot' ]
    fails 125 'no-such-user' run --clone -u no-such-user "$ID" /bin/true
    fails 125 'no-such-group' run --clone -u root:no-such-group "$ID" /bin/true
    fails 125 'user' run --clone -u 4294967295 "$ID" /bin/true
}

@test "clone: --hostname" {
    clone_sh --hostname other 'hostname; cat /proc/sys/kernel/hostname'
    [ "$output" = $'other\nother' ]
    fails 125 hostname run --clone --hostname "$(printf 'x%.0s' {1..65})" "$ID" /bin/true
}

# ---- files ----

@test "clone: -v shares a directory for reading and writing, and one for reading only" {
    mkdir "$BATS_TEST_TMPDIR/rw" "$BATS_TEST_TMPDIR/ro"
    echo text >"$BATS_TEST_TMPDIR/ro/file"
    clone_sh -v "$BATS_TEST_TMPDIR/rw:/data/rw" -v "$BATS_TEST_TMPDIR/ro:/data/ro:ro" \
        'cat /data/ro/file; echo back >/data/rw/file; ! touch /data/ro/new; ! rm /data/ro/file'
    [ "$output" = text ]
    [[ $stderr == *"Read-only file system"* ]]
    [ "$(cat "$BATS_TEST_TMPDIR/rw/file")" = back ]
    [ "$(ls "$BATS_TEST_TMPDIR/ro")" = file ]
    [ ! -e /data ]
}

@test "clone: -v of a file, over a file that is there and to a place that is not" {
    echo given >"$BATS_TEST_TMPDIR/file"
    clone_sh -v "$BATS_TEST_TMPDIR/file:/etc/issue" -v "$BATS_TEST_TMPDIR/file:/new/place:ro" \
        'cat /etc/issue /new/place; echo more >>/etc/issue; ! echo x >/new/place'
    [ "$output" = $'given\ngiven' ]
    [ "$(cat "$BATS_TEST_TMPDIR/file")" = $'given\nmore' ]
    [ ! -e /new ]
}

@test "clone: -v that is wrong is refused by name" {
    fails 125 /no-such-source run --clone -v /no-such-source:/mnt "$ID" /bin/true
    fails 125 relative run --clone -v "$BATS_TEST_TMPDIR:relative" "$ID" /bin/true
    fails 125 volume run --clone -v "$BATS_TEST_TMPDIR" "$ID" /bin/true
    fails 125 nonsense run --clone -v "$BATS_TEST_TMPDIR:/mnt:nonsense" "$ID" /bin/true
    assert_leak_free
}

@test "clone: --read-only: nothing of the system can be written, its own tmp and run can" {
    clone_sh --read-only '! touch /etc/x; ! touch /x; ! rm /etc/passwd; ! mount -o remount,rw /; touch /tmp/x /run/x; echo ok'
    [ "$output" = ok ]
    [[ $stderr == *"Read-only file system"* ]]
    [ ! -e /etc/x ]
}

# ---- terminal and standard input ----

@test "clone: -t gives a terminal, without it there is none" {
    ctr_tty run --clone -t "$ID" /bin/sh -c 'tty; test -t 0 && test -t 1 && echo terminal; stat -c %t /dev/console
        echo x >/dev/tty'
    [ "$status" -eq 0 ]
    [[ $output == *"/dev/pts/0"*terminal*x* ]]
    clone_sh 'test ! -t 0; tty || true'
    [ "$output" = 'not a tty' ]
}

@test "clone: -i passes standard input on, -t -i a shell that is typed to" {
    echo 'echo typed $((6 * 7))' >"$BATS_TEST_TMPDIR/in"
    STDIN=$BATS_TEST_TMPDIR/in
    ok run --clone -i "$ID" /bin/sh
    [ "$output" = 'typed 42' ]
    ok run --clone "$ID"
    [ "$output" = 'typed 42' ]
    output=$(printf 'echo typed $((6 * 8)); exit 3\n' | timeout "$DEADLINE" script -qec \
        "$(printf '%q ' "$CTR" --root "$ROOT" run --clone -t -i "$ID" /bin/sh)" /dev/null 2>&1 3>&-) || status=$?
    [ "$status" -eq 3 ]
    [[ $output == *"typed 48"* ]]
}

@test "clone: detached, then exec -t into it" {
    ok run --clone -d "$ID" /bin/sleep 1000
    ctr_tty exec -t "$ID" /bin/sh -c 'tty; hostname; test -t 1; echo $((40 + 2))'
    [ "$status" -eq 0 ]
    [[ $output == *"/dev/pts/"*"$ID"*42* ]]
    # what holds the clone holds who enters it
    ok exec "$ID" /bin/sh -c 'grep -E "^(CapEff|Seccomp):" /proc/self/status | tr -d "\t"'
    [ "$output" = $'CapEff:00000000a80425fb\nSeccomp:2' ]
    ctr exec "$ID" mount -t tmpfs none /mnt
    [ "$status" -ne 0 ]
    ok delete --force "$ID"
}

@test "clone: the life cycle: state, list, pause, kill" {
    ok run --clone -d "$ID" /bin/sleep 1000
    [ "$(state_of "$ID") $(state_of "$ID" bundle)" = 'running /' ]
    ok list
    [[ $output == *"$ID"*running* ]]
    ok pause "$ID"
    [ "$(state_of "$ID")" = paused ]
    ok resume "$ID"
    fails 125 'already exists' run --clone "$ID" /bin/true
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "clone: exit codes: the command's, 126, 127, 125, and 1 for a wrong command line" {
    ctr run --clone "$ID" /bin/sh -c 'exit 42'
    [ "$status" -eq 42 ]
    ctr run --clone "$ID" /bin/sh -c 'kill -9 $$; sleep 5 & kill -TERM $!; wait $!'
    [ "$status" -eq 143 ]
    fails 127 no-such-program run --clone "$ID" no-such-program
    fails 126 /etc/passwd run --clone "$ID" /etc/passwd
    fails 125 volume run --clone -v x "$ID" /bin/true
    fails 1 'exclude each other' run --clone --bundle / "$ID" /bin/true
    fails 1 '--no-such-option' run --clone --no-such-option "$ID"
    fails 1 ID run --clone
}

@test "clone: a command is found along PATH, and options after the ID belong to it" {
    ok run --clone "$ID" ls -d /etc
    [ "$output" = /etc ]
    ok run --clone "$ID" -- ls -d /etc
    [ "$output" = /etc ]
    fails 1 'before' run --clone "$ID" -m 32m ls
}

# ---- the same on a bundle ----

@test "bundle: COMMAND and options adjust it, its config.json stays as it is" {
    make_bundle
    set_args /bin/false
    mkdir "$BATS_TEST_TMPDIR/rw"
    local before
    before=$(sha256sum "$BUNDLE/config.json")
    ok run -b "$BUNDLE" -e A=1 -w /usr -u user --hostname other -m 48m --pids-limit 21 --cpus 0.5 --read-only \
        -v "$BATS_TEST_TMPDIR/rw:/mnt" "$ID" /bin/sh -ec "$LIMIT"'
        echo $A; pwd; id -u; id -G; hostname
        limit memory memory.limit_in_bytes memory.max; limit pids pids.max pids.max; limit cpu cpu.cfs_quota_us cpu.max
        ! touch /tmp/x 2>/dev/null; grep " /mnt " /proc/self/mountinfo | cut -d " " -f 5'
    [ "$output" = $'1\n/usr\n1000\n1000 50\nother\n50331648\n21\n'"$([ -n "${E2E_VM:-}" ] || is_cgroup2 && echo '50000 100000' || echo 50000)"$'\n/mnt' ]
    [ "$before" = "$(sha256sum "$BUNDLE/config.json")" ]
}

@test "bundle: without COMMAND the options keep its own process, its own limits stay where none is given" {
    make_bundle
    edit_config '.linux.resources.pids.limit = 44'
    set_args /bin/sh -ec "$LIMIT"'; echo own $A; limit memory memory.limit_in_bytes memory.max; limit pids pids.max pids.max'
    ok run -b "$BUNDLE" -e A=given -m 40m "$ID"
    [ "$output" = $'own given\n41943040\n44' ]
    # its limit on memory and swap together would be below that on memory
    edit_config '.linux.resources.memory = {limit: 20971520, swap: 31457280}'
    ok run -b "$BUNDLE" -e A=given -m 37.5m "$ID"
    [ "$output" = $'own given\n39321600\n44' ]
}

@test "bundle: -t and -i change the terminal" {
    make_bundle
    ctr_tty run -b "$BUNDLE" -t "$ID" /bin/sh -c 'tty; test -t 0 && echo terminal'
    [[ $output == *"/dev/pts/0"*terminal* ]]
    edit_config '.process.terminal = true'
    ok run -b "$BUNDLE" -i "$ID" /bin/sh -c 'test ! -t 0 && echo none'
    [ "$output" = none ]
}

@test "bundle: exec in an adjusted container uses the adjusted configuration" {
    make_bundle
    ok run -d -b "$BUNDLE" -e A=given -w /usr "$ID" /bin/sleep 1000
    ok exec "$ID" /bin/sh -c 'echo $A; pwd'
    [ "$output" = $'given\n/usr' ]
    ok delete --force "$ID"
}

@test "bundle: -u takes names from the bundle's own files, also through links that lead out of it" {
    make_bundle
    echo 'inner:x:4321:1000::/home:/bin/sh' >>"$BUNDLE/rootfs/etc/passwd"
    ok run -b "$BUNDLE" -u inner "$ID" /bin/id -u
    [ "$output" = 4321 ]
    fails 125 games run -b "$BUNDLE" -u games "$ID" /bin/id -u
    mv "$BUNDLE/rootfs/etc/passwd" "$BUNDLE/rootfs/etc/passwd.real"
    ln -s /etc/passwd.real "$BUNDLE/rootfs/etc/passwd"
    ok run -b "$BUNDLE" -u inner "$ID" /bin/id -u
    [ "$output" = 4321 ]
}
