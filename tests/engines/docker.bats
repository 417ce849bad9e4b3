#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Docker: what people and scripts do with one container. The same file runs with runc as the control: what fails with
# both is the host's fault.

load lib
load docker

setup_file() {
    engine_setup
    docker_start
    docker_image
}
teardown_file() {
    docker_stop
    engine_teardown
}
setup() { engine_test_setup; }
teardown() { docker_teardown; }

@test "the runtime is known to the daemon, and is its default" {
    ok info -f '{{.DefaultRuntime}} {{range $k, $v := .Runtimes}}{{$k}},{{end}}'
    [[ $output == "$RUNTIME "*"ctr,"* ]] || fail "$output"
    ok create --network none bb true
    ok inspect -f '{{.HostConfig.Runtime}}' "$output"
    says "$RUNTIME"
}

@test "run: output, error output and input pass through" {
    run_none --rm bb sh -c 'echo to stdout; echo to stderr >&2'
    says "to stdout"
    [ "$stderr" = "to stderr" ]
    head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
    STDIN=$BATS_TEST_TMPDIR/in run_none --rm -i bb md5sum
    says "$(md5sum <"$BATS_TEST_TMPDIR/in")"
}

@test "run: the container's processes are the runtime's container" {
    sleeper "$C"
    ok inspect -f '{{.Id}} {{.State.Pid}}' "$C"
    local id=${output% *} pid=${output#* }
    # Docker of this age keeps the state of every runtime there
    [ "$("$(runtime_path)" --root "$E/x/runtime-runc/moby" state "$id" | jq -r '"\(.status) \(.pid)"')" = "running $pid" ]
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qx 'sleep 1000 '
}

@test "run: exit codes 0, 1, 42, 125, 126, 127, 137, 143" {
    local opts="run --rm --runtime $RUNTIME --network none"
    # shellcheck disable=SC2086
    {
        ok $opts bb true
        fails 1 '' $opts bb false
        fails 42 '' $opts bb sh -c 'exit 42'
        fails 125 'unknown flag' $opts --no-such-option bb true
        fails 127 'executable file not found' $opts bb no-such-program
        fails 127 'no such file or directory' $opts bb /no/such/program
        fails 126 'permission denied' $opts bb /etc/passwd
        fails 126 'permission denied' $opts bb /etc
        fails 137 '' $opts --init bb sh -c 'kill -9 $$'
        fails 143 '' $opts --init bb sh -c 'kill -15 $$'
    }
}

@test "run -d: ps, logs, wait, rm" {
    run_none -d --name "$C" bb sh -c 'echo one; echo two >&2; exit 7'
    ok wait "$C"
    says 7
    ok logs "$C"
    says one
    [ "$stderr" = two ]
    ok ps -a --format '{{.Names}} {{.Status}}'
    [[ $output == "$C Exited (7)"* ]] || fail "$output"
    ok inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}} {{.State.OOMKilled}}' "$C"
    says "exited 7 0 false"
    ok rm "$C"
}

@test "logs -f ends with the container" {
    run_none -d --name "$C" -i bb sh -c 'echo begin; sleep 1; echo end'
    ok logs -f "$C"
    says $'begin\nend'
}

@test "create, start -a, restart, rename, rm -f" {
    ok create --runtime "$RUNTIME" --network none --name "$C" bb sh -c 'echo run; exec sleep 1000'
    ok inspect -f '{{.State.Status}}' "$C"
    says created
    ok start "$C"
    ok restart -t 0 "$C"
    ok logs "$C"
    says $'run\nrun'
    ok rename "$C" "$C-b"
    fails 1 'ou cannot remove a running container' rm "$C-b"
    ok rm -f "$C-b"
    ok create --runtime "$RUNTIME" --network none --name "$C" bb sh -c 'echo attached; exit 3'
    fails 3 '' start -a "$C"
    says attached
}

@test "run -it: a real terminal, its size, resize, its exit code" {
    tty docker run --rm --runtime "$RUNTIME" --network none -it bb sh
    tty_script 'expect # ' 'insist 31 97' 'type tty; echo $((40+2))\r' 'expect /dev/pts/0' 'expect 42' 'insist 44 123' \
        'type test -t 0; echo is-$?-\r' 'expect is-0-' \
        'type echo g$((1))o; sleep 100\r' 'expect g1o' 'type \x03' 'expect # ' 'type exit 5\r' 'wait'
    says 5
}

@test "attach: detach keys leave it running, attach comes back" {
    tty docker run --name "$C" --runtime "$RUNTIME" --network none -it bb sh
    tty_script 'expect # ' 'type X=kept\r' 'expect # ' 'type \x10\x11' 'wait'
    ok inspect -f '{{.State.Running}}' "$C"
    says true
    tty docker attach "$C"
    tty_script 'type \r' 'expect # ' 'type echo "<$X>"\r' 'expect <kept>' 'type exit 0\r' 'wait'
    says 0
}

@test "exec: output, exit code, environment, directory, user, input" {
    sleeper "$C" -e OUTER=1
    ok exec "$C" sh -c 'echo $OUTER; echo err >&2; cat /proc/1/comm'
    says $'1\nsleep'
    [ "$stderr" = err ]
    fails 9 '' exec "$C" sh -c 'exit 9'
    ok exec -e INNER=2 -w /etc -u user:extra "$C" sh -c 'echo $OUTER$INNER $PWD $(id -u):$(id -g)'
    says '12 /etc 1000:50'
    ok exec -u 1000 "$C" id -G
    says '1000 50'
    echo from-stdin >"$BATS_TEST_TMPDIR/in"
    STDIN=$BATS_TEST_TMPDIR/in ok exec -i "$C" cat
    says from-stdin
    ok exec -d "$C" sh -c 'echo detached >/tmp/done'
    wait_for 20 quiet exec "$C" grep -q detached /tmp/done
}

@test "exec: what cannot be run, where nothing can be run" {
    sleeper "$C"
    # which of 126 and 127 depends on Docker's version, never on the runtime
    eng exec "$C" no-such-program
    [[ $output$stderr == *"executable file not found in"* ]]
    local codes=$status
    eng exec "$C" /no/such/program
    [[ $output$stderr == *"no such file or directory"* ]]
    codes+=" $status"
    [[ $codes == "12"[67]" 12"[67] ]] || fail "$codes"
    echo "$codes" | same_as_control exec-codes
    fails 126 '' exec "$C" /etc/passwd
    [[ $output$stderr == *"permission denied"* ]]
    fails 137 '' exec "$C" sh -c 'kill -9 $$'
    ok exec "$C" true
    ok pause "$C"
    fails 1 'is paused' exec "$C" true
    ok unpause "$C"
    ok stop -t 0 "$C"
    fails 1 'is not running' exec "$C" true
}

@test "exec -it: a terminal with size and resize" {
    sleeper "$C"
    tty docker exec -it "$C" sh
    tty_script 'expect # ' 'insist 33 99' 'type tty\r' 'expect /dev/pts/' 'insist 50 111' 'type exit 6\r' 'wait'
    says 6
}

@test "exec: ten at the same time" {
    sleeper "$C"
    local i pids=()
    for i in 1 2 3 4 5 6 7 8 9 10; do
        quiet exec "$C" sh -c "echo $i >/tmp/$i; exit $i" &
        pids+=($!)
    done
    for i in 1 2 3 4 5 6 7 8 9 10; do
        local rc=0
        wait "${pids[i - 1]}" || rc=$?
        [ "$rc" -eq "$i" ] || fail "exec $i: status $rc"
    done
    ok exec "$C" sh -c 'cat /tmp/[0-9]* | wc -l'
    says 10
}

@test "exec --privileged has all capabilities" {
    sleeper "$C" --cap-drop ALL
    ok exec "$C" grep CapEff /proc/self/status
    [ $((16#${output#*$'\t'})) -eq 0 ]
    eng exec --privileged "$C" true
    [ "$status" -eq 0 ] || [ "$RUNTIME" != runc ] || skip "runc wants every capability, and this machine lacks some"
    ok exec --privileged "$C" grep CapEff /proc/self/status
    [ $((16#${output#*$'\t'} & 1 << 21)) -ne 0 ]
}

@test "stop: TERM is heard, the stop signal, and the timeout" {
    run_none -d --name "$C" bb sh -c 'trap "echo heard; exit 11" TERM; echo up; while :; do sleep 0.1; done'
    wait_logs "$C" up
    ok stop "$C"
    ok inspect -f '{{.State.ExitCode}}' "$C"
    says 11
    ok logs "$C"
    has heard
    run_none -d --name "$C-b" --stop-signal SIGUSR2 bb sh -c 'trap "exit 12" USR2; echo up; while :; do sleep 0.1; done'
    wait_logs "$C-b" up
    ok stop "$C-b"
    ok inspect -f '{{.State.ExitCode}}' "$C-b"
    says 12
    sleeper "$C-c"
    local from=$SECONDS
    ok stop -t 2 "$C-c"
    [ $((SECONDS - from)) -ge 2 ]
    ok inspect -f '{{.State.ExitCode}}' "$C-c"
    says 137
}

@test "kill: signals by name and by number" {
    run_none -d --name "$C" bb sh -c 'for s in USR1 HUP INT; do trap "echo got-$s" $s; done; trap "exit 3" QUIT
        echo up; while :; do sleep 0.1; done'
    wait_logs "$C" up
    ok kill -s USR1 "$C"
    wait_logs "$C" got-USR1
    ok kill -s SIGHUP "$C"
    wait_logs "$C" got-HUP
    ok kill -s 2 "$C"
    wait_logs "$C" got-INT
    ok kill -s 3 "$C"
    wait_field "$C" '{{.State.Status}} {{.State.ExitCode}}' 'exited 3'
    fails 1 'is not running' kill "$C"
    sleeper "$C-b"
    ok kill "$C-b"
    wait_field "$C-b" '{{.State.Status}} {{.State.ExitCode}}' 'exited 137'
}

@test "pause and unpause" {
    run_none -d --name "$C" bb sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/i; sleep 0.05; done'
    wait_for 20 quiet exec "$C" test -s /tmp/i
    ok inspect -f '{{.State.Pid}}' "$C"
    local file=/proc/$output/root/tmp/i was
    ok pause "$C"
    ok inspect -f '{{.State.Status}} {{.State.Paused}}' "$C"
    says 'paused true'
    was=$(cat "$file")
    sleep 0.5
    [ "$(cat "$file")" = "$was" ]
    fails 1 'already paused' pause "$C"
    ok unpause "$C"
    wait_for 20 sh -c "[ \"\$(cat $file)\" != '$was' ]"
    fails 1 'is not paused' unpause "$C"
}

@test "update: memory, processors, processes, weights" {
    sleeper "$C" --memory 64m --memory-swap 64m
    ok exec "$C" cat "$(cg memory memory.limit_in_bytes memory.max)"
    says $((64 << 20))
    ok update --memory 128m --memory-swap 128m --cpus 0.5 --pids-limit 77 --cpu-shares 512 --cpuset-cpus 0 "$C"
    ok exec "$C" cat "$(cg memory memory.limit_in_bytes memory.max)" "$(cg pids pids.max pids.max)" \
        "$(cg cpuset cpuset.cpus cpuset.cpus)"
    says $'134217728\n77\n0'
    if is_cgroup2; then
        ok exec "$C" cat /sys/fs/cgroup/cpu.max
        says '50000 100000'
    else
        ok exec "$C" cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.shares
        says $'50000\n512'
    fi
    ok inspect -f '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' "$C"
    says '134217728 77'
}

@test "stats: the same fields, and plausible" {
    sleeper "$C" --memory 100m
    # a file in /dev/shm is memory of the container
    ok exec "$C" dd if=/dev/zero of=/dev/shm/x bs=1M count=20
    ok stats --no-stream --format '{{json .}}' "$C"
    jq -c keys <"$OUT" | same_as_control stats
    jq -e '(.MemUsage | test("^2[0-9](\\.[0-9]+)?MiB / 100MiB$")) and .PIDs == "1" and (.CPUPerc | test("^[0-9.]+%$"))' "$OUT"
    curl -sS --unix-socket "$E/sock" "http://d/containers/$C/stats?stream=false" >"$BATS_TEST_TMPDIR/raw" 3>&-
    jq -c '[paths | map(if type == "number" then "N" else . end) | join(".")] | unique' "$BATS_TEST_TMPDIR/raw" |
        same_as_control stats-raw
    jq -e '.memory_stats.usage > 20000000 and .memory_stats.limit == 104857600 and .pids_stats.current == 1' \
        "$BATS_TEST_TMPDIR/raw"
}

@test "top, also with options of ps" {
    sleeper "$C"
    ok exec -d "$C" sleep 2000
    ok top "$C"
    head -n 1 "$OUT" | same_as_control top
    has 'sleep 1000'
    has 'sleep 2000'
    ok top "$C" -o pid,args
    [ "$(grep -c sleep "$OUT")" -eq 2 ]
}

@test "events: the same ones in the same order" {
    local from
    from=$(date +%s.%N)
    run_none -d --name "$C" bb sh -c 'trap "exit 4" TERM; echo up; while :; do sleep 0.1; done'
    wait_logs "$C" up
    ok exec "$C" true
    ok pause "$C"
    ok unpause "$C"
    ok stop "$C"
    ok start "$C"
    ok kill "$C"
    ok wait "$C"
    ok rm "$C"
    ok events --since "$from" --until "$(date +%s.%N)" --format '{{.Type}} {{.Action}} {{.Actor.Attributes.exitCode}}' \
        --filter "container=$C"
    grep -q 'die 4' "$OUT" && grep -q 'die 137' "$OUT"
    grep -q ' stop ' "$OUT"
    # the numbers of the network events are others' business; an exec's end may come before or after the pause, "stop" before "die"
    grep -v '^network\|exec_die\| stop ' "$OUT" | same_as_control events
}

@test "cp: into and out of a running and a stopped container" {
    sleeper "$C"
    mkdir -p "$BATS_TEST_TMPDIR/d/sub"
    echo text >"$BATS_TEST_TMPDIR/d/sub/f"
    ok cp "$BATS_TEST_TMPDIR/d" "$C:/tmp/"
    ok exec "$C" cat /tmp/d/sub/f
    says text
    ok cp "$C:/etc/passwd" "$BATS_TEST_TMPDIR/passwd"
    grep -q '^root:' "$BATS_TEST_TMPDIR/passwd"
    ok stop -t 0 "$C"
    ok cp "$C:/tmp/d/sub/f" "$BATS_TEST_TMPDIR/back"
    [ "$(cat "$BATS_TEST_TMPDIR/back")" = text ]
}

@test "restart policies: on-failure counts, always comes back, unless-stopped" {
    run_none -d --name "$C" --restart on-failure:2 bb false
    wait_field "$C" '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}' '2 exited 1'
    sleeper "$C-b" --restart always
    ok inspect -f '{{.State.Pid}}' "$C-b"
    local pid=$output
    kill -9 "$pid"
    wait_field "$C-b" '{{.RestartCount}} {{.State.Status}}' '1 running'
    ok exec "$C-b" true
    sleeper "$C-c" --restart unless-stopped
    ok stop -t 0 "$C-c"
    ok inspect -f '{{.RestartCount}} {{.State.Status}}' "$C-c"
    says '0 exited'
}

@test "out of memory is reported as such" {
    local from
    from=$(date +%s.%N)
    # containerd begins to watch once the start has been reported
    fails 137 '' run --name "$C" --runtime "$RUNTIME" --network none --memory 24m --memory-swap 24m bb \
        sh -c 'sleep 1; exec tail /dev/zero'
    wait_field "$C" '{{.State.OOMKilled}} {{.State.ExitCode}}' 'true 137'
    ok events --since "$from" --until "$(date +%s.%N)" --format '{{.Action}}' --filter "container=$C" --filter event=oom
    has oom
}

@test "health checks by exec: healthy, unhealthy" {
    run_none -d --name "$C" --health-cmd 'test -e /tmp/ok' --health-interval 1s --health-retries 2 --health-timeout 20s \
        bb sh -c 'touch /tmp/ok; sleep 1000'
    wait_field "$C" '{{.State.Health.Status}}' healthy
    ok exec "$C" rm /tmp/ok
    wait_field "$C" '{{.State.Health.Status}}' unhealthy
}

@test "a daemon that restarts finds its containers again (live restore)" {
    docker_stop
    docker_up --live-restore
    sleeper "$C"
    ok inspect -f '{{.State.Pid}}' "$C"
    local pid=$output
    docker_stop
    [ -e "/proc/$pid/exe" ] || fail "the container ended with the daemon"
    docker_up --live-restore
    wait_field "$C" '{{.State.Running}} {{.State.Pid}}' "true $pid"
    ok exec "$C" echo again
    says again
    ok stop -t 0 "$C"
    ok rm "$C"
    docker_stop
    docker_up
    docker_answers
}

@test "a client that is killed in the middle leaves a daemon that works" {
    # not through timeout, which would be killed in its place
    docker run --runtime "$RUNTIME" --network none --name "$C" bb sleep 1000 >/dev/null 2>&1 3>&- &
    local client=$!
    wait_field "$C" '{{.State.Running}}' true
    kill -9 "$client"
    ok exec "$C" echo fine
    says fine
    docker exec "$C" sleep 500 >/dev/null 2>&1 3>&- &
    client=$!
    wait_for 20 sh -c "docker top $C | grep -q 'sleep 500'"
    kill -9 "$client"
    ok rm -f "$C"
}
