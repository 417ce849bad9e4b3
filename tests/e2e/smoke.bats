#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The main road: run, exit codes, the life cycle by hand, list and state.

load helpers

@test "run: /bin/true exits 0 and leaves nothing" {
    make_bundle
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    [ -z "$stderr" ]
    [ -z "$(containers)" ]
    assert_leak_free
}

@test "run: the process's exit status is the exit status" {
    make_bundle
    run_sh 'exit 42'
    [ "$status" -eq 42 ]
}

@test "run: a process ended by a signal gives 128 + signal" {
    make_bundle
    # init of a pid namespace is safe from itself, not from outside
    set_args /bin/sh -c 'echo ready; sleep 1000'
    ctr run --bundle "$BUNDLE" "$ID" &
    local runner=$!
    wait_for 10 is_state "$ID" running
    ok kill "$ID" KILL
    RUNS=0
    wait "$runner"
    grep -qx -- "# ctr run --bundle $BUNDLE $ID -> 137" "$BATS_TEST_TMPDIR/calls"
}

@test "run: stdout, stderr and stdin reach the process" {
    make_bundle
    echo from-stdin >"$BATS_TEST_TMPDIR/in"
    STDIN=$BATS_TEST_TMPDIR/in
    run_sh 'cat; echo out; echo err >&2'
    [ "$status" -eq 0 ]
    [ "$output" = $'from-stdin\nout' ]
    [ "$stderr" = err ]
}

@test "run: the process is pid 1, sees only itself and has the configured host name" {
    make_bundle
    edit_config '.hostname = "smoke"'
    run_sh 'echo $$; hostname; ls -d /proc/[0-9]* | wc -l'
    [ "$status" -eq 0 ]
    [ "${output%%$'\n'*}" = 1 ]
    [[ $output == *$'\n'smoke$'\n'* ]]
    # sh, ls and wc at most
    [ "${output##*$'\n'}" -le 3 ]
}

@test "run: cwd, environment and user are the configured ones" {
    make_bundle
    edit_config '.process.cwd = "/tmp" | .process.env += ["COLOUR=blue"] | .process.user = {uid: 1000, gid: 1000}'
    run_sh 'pwd; echo $COLOUR; id -u; id -g'
    [ "$status" -eq 0 ]
    [ "$output" = $'/tmp\nblue\n1000\n1000' ]
}

@test "run: a COMMAND after the ID replaces process.args" {
    make_bundle
    set_args /bin/false
    ok run --bundle "$BUNDLE" "$ID" /bin/echo replaced
    [ "$output" = replaced ]
}

@test "run: the default bundle is the current directory" {
    make_bundle
    set_args /bin/true
    cd "$BUNDLE"
    ok run "$ID"
}

@test "run: a program that does not exist is named" {
    make_bundle
    set_args /bin/no-such-program
    fails 1 '/bin/no-such-program: no such file or directory' run --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$ERR")" -eq 1 ]
    assert_leak_free
}

@test "run: a file that is not a program is refused" {
    make_bundle
    set_args /etc/passwd
    fails 1 '"/etc/passwd": permission denied' run --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

@test "life cycle: create, state, start, list, kill, delete" {
    make_bundle
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID"
    [ "$(state_of "$ID")" = created ]
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    [ "$pid" -eq "$(state_of "$ID" pid)" ]
    [ "$(state_of "$ID" id)" = "$ID" ]
    [ "$(state_of "$ID" bundle)" = "$BUNDLE" ]
    kill -0 "$pid"

    ok start "$ID"
    [ "$(state_of "$ID")" = running ]
    ok list -q
    [ "$output" = "$ID" ]
    ok list
    [[ $output == "ID "*PID*STATUS*BUNDLE*CREATED*OWNER*"$ID"*running* ]]
    ok list --format json
    [ "$(jq -r '.[0].id' "$OUT")" = "$ID" ]

    ok kill "$ID" KILL
    wait_state "$ID" stopped
    [ "$(state_of "$ID" pid)" -eq 0 ]
    ok delete "$ID"
    fails 1 'does not exist' state "$ID"
    assert_leak_free
}

@test "life cycle: a created container does not run its program before start" {
    make_bundle
    set_args /bin/touch /tmp/started
    ok create --bundle "$BUNDLE" "$ID"
    [ ! -e "$BUNDLE/rootfs/tmp/started" ]
    ok start "$ID"
    wait_state "$ID" stopped
    [ -e "$BUNDLE/rootfs/tmp/started" ]
    ok delete "$ID"
}

@test "life cycle: wrong states are refused, each with its reason" {
    make_bundle
    set_args /bin/sleep 1000
    fails 1 'does not exist' start "$ID"
    fails 1 'does not exist' delete "$ID"
    ok delete --force "$ID"
    ok create --bundle "$BUNDLE" "$ID"
    fails 1 'already exists' create --bundle "$BUNDLE" "$ID"
    ok start "$ID"
    fails 1 'cannot start an already running container' start "$ID"
    fails 1 'not stopped' delete "$ID"
    ok kill "$ID" 9
    wait_state "$ID" stopped
    fails 1 'container not running' kill "$ID"
    ok kill --all "$ID" KILL
    fails 1 'cannot start a container that has stopped' start "$ID"
    ok delete "$ID"
}

@test "delete --force ends a running container and leaves nothing" {
    make_bundle
    set_args /bin/sh -c 'sleep 1000 & sleep 1001'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(state_of "$ID")" = running ]
    ok delete --force "$ID"
    assert_leak_free
}

@test "kill: the default signal is TERM, names come with and without SIG" {
    make_bundle
    set_args /bin/sh -c 'trap "echo got-term; exit 7" TERM; trap "echo got-usr1" USR1
        echo ready; while :; do sleep 0.05; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    local said=$OUT
    wait_for 10 grep -q ready "$said"
    ok kill "$ID" SIGUSR1
    wait_for 10 grep -q got-usr1 "$said"
    ok kill "$ID"
    wait_for 10 grep -q got-term "$said"
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "exec: runs in the container, passes its status on" {
    make_bundle
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok exec "$ID" /bin/sh -c 'hostname; readlink /proc/1/exe'
    ctr exec "$ID" /bin/sh -c 'exit 9'
    [ "$status" -eq 9 ]
    fails 255 no-such-program exec "$ID" /no-such-program
    fails 255 'does not exist' exec "$ID-none" /bin/true
    ok delete --force "$ID"
}

@test "pause stops the processes, resume lets them go on" {
    make_bundle
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok pause "$ID"
    [ "$(state_of "$ID")" = paused ]
    ok resume "$ID"
    [ "$(state_of "$ID")" = running ]
    fails 1 'not paused' resume "$ID"
    ok delete --force "$ID"
}

@test "ps lists the processes of the container as the host sees them" {
    make_bundle
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok ps --format json "$ID"
    [ "$(jq -r '.[0]' "$OUT")" -eq "$(state_of "$ID" pid)" ]
    ok ps "$ID"
    [[ $output == *"sleep 1000"* ]]
    ok delete --force "$ID"
}

@test "spec: writes a configuration, and never over another" {
    mkdir "$BUNDLE"
    ok spec --bundle "$BUNDLE"
    [ "$(jq -r .root.path "$BUNDLE/config.json")" = rootfs ]
    fails 1 config.json spec --bundle "$BUNDLE"
}

@test "features: one JSON object with the versions and the name tables" {
    ok features
    jq -e '.ociVersionMin == "1.0.0" and (.ociVersionMax | startswith("1.")) and (.hooks | length == 6)
        and (.linux.namespaces | length == 8)' "$OUT"
}

@test "--version names the program, the commit and the specification" {
    ok --version
    [[ $output == *"ctr version "* ]]
    [[ $output == *"commit: "* ]]
    [[ $output == *"spec: "* ]]
}

@test "IDs: empty, over-long and malicious ones are refused" {
    make_bundle
    set_args /bin/true
    local id
    for id in '' . .. ../x a/b 'a b' $'a\nb' "$(printf 'x%.0s' $(seq 1025))"; do
        fails 1 'invalid container ID' create --bundle "$BUNDLE" "$id"
    done
}

@test "one error line, also as JSON to --log" {
    mkdir "$BUNDLE"
    echo '{ broken' >"$BUNDLE/config.json"
    fails 1 config.json --log "$BATS_TEST_TMPDIR/log" --log-format json create --bundle "$BUNDLE" "$ID"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/log")" -eq 1 ]
    jq -e '.level == "error" and (.msg | length > 0) and (.time | test("^[0-9-]+T[0-9:.]+(Z|[+-])"))' \
        "$BATS_TEST_TMPDIR/log"
    assert_leak_free
}

@test "memory and pids limits are in the container's cgroup" {
    require_root
    make_bundle
    edit_config '.linux.resources.memory.limit = 67108864 | .linux.resources.pids.limit = 50'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(cat "$(cgroup_file "$ID" memory memory.limit_in_bytes memory.max)")" -eq 67108864 ]
    [ "$(cat "$(cgroup_file "$ID" pids pids.max pids.max)")" -eq 50 ]
    ok delete --force "$ID"
}
