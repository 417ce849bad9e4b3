#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# containerd with its own client: the shim runc.v2 with ctr as its BinaryName.

load lib

# containerd's client happens to be called ctr, too: always by its path.
CLIENT=/usr/bin/ctr
client_cmd() { timeout -k 5 "$DEADLINE" "$CLIENT" --address "$E/sock" -n "$NS" "$@"; }
NS=tests

setup_file() {
    engine_setup
    [ -x "$CLIENT" ] && command -v containerd >/dev/null || { engine_skip "containerd is not installed"; return; }
    mkdir -p "$E/data" "$E/state"
    # cri and the shim's own address are not needed; the runtime of the daemon's configuration is for CRI
    cat >"$E/config.toml" <<TOML
version = 2
root = "$E/data"
state = "$E/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
    "io.containerd.grpc.v1.cri"]
[grpc]
  address = "$E/sock"
[debug]
  level = "warn"
TOML
    spawn "$E/log" containerd --config "$E/config.toml"
    CONTAINERD_PID=$!
    export CONTAINERD_PID
    wait_for 60 answers || engine_skip "containerd does not start here: $(tail -n 1 "$E/log")"
    make_image
}
answers() { quiet version >/dev/null || [ ! -e "/proc/$CONTAINERD_PID/exe" ]; }

# An OCI image as the client imports it: umoci makes the layout.
make_image() {
    command -v umoci >/dev/null || { engine_skip "umoci is not installed"; return; }
    image_tar >/dev/null
    (cd "$E" && umoci init --layout oci && umoci new --image oci:bb && umoci unpack --image oci:bb un &&
        cp -a rootfs/. un/rootfs/ && umoci repack --image oci:bb un && umoci config --image oci:bb --config.cmd /bin/sh \
            --config.env PATH=/bin && tar -C oci -cf oci.tar .) >"$E/umoci.log" 2>&1 ||
        { engine_skip "no image: $(tail -n 1 "$E/umoci.log")"; return; }
    quiet images import --base-name bb --index-name bb:latest "$E/oci.tar" >"$E/import.log" || true
    IMAGE=$(quiet images ls -q | head -n 1)
    export IMAGE
    [ -n "$IMAGE" ] || engine_skip "the image is not imported: $(cat "$E/import.log")"
}

teardown_file() {
    [ ! -e "$E/containerd.pid" ] || CONTAINERD_PID=$(cat "$E/containerd.pid")
    [ -z "${CONTAINERD_PID:-}" ] || stop_pid "$CONTAINERD_PID"
    engine_teardown
}

setup() {
    engine_test_setup
    N=$NS-$C
}

# The shim's root for ctr is given, so that the test can look at it.
#
# STAY ends programs whose output is looked at: Debian's client (before containerd/containerd#8643) closes its side when
# the task or the exec has ended, whether it has read everything or not.
STAY='; sleep 1'
run_c() {
    CG=$CGPARENT/$C.$CALLS
    ok run --runc-binary "$(runtime_path)" --runc-root "$E/runc" --cgroup "/$CG" "$@"
}
up() { run_c -d "$IMAGE" "$C" sleep 1000; }
state() { "$(runtime_path)" --root "$E/runc/$NS" state "${1:-$C}" | jq -r '.status'; }
task() { quiet tasks ls | awk -v c="${1:-$C}" '$1 == c { print $3 }'; }
task_is() { [ "$(task)" = "$1" ]; }
pid_of() { quiet tasks ls | awk -v c="$C" '$1 == c { print $2 }'; }

teardown() {
    local c
    show_calls
    for c in $(quiet containers ls -q); do
        quiet tasks kill -s 9 "$c" >/dev/null || true
        wait_for 20 not_running "$c" || true
        quiet tasks rm -f "$c" >/dev/null || true
        quiet containers rm "$c" >/dev/null || true
    done
    [ -n "${BATS_TEST_COMPLETED:-}" ] && [ -z "${ENGINE_SKIP:-}" ] || return 0
    assert_nothing_left "$E/runc/$NS"
}
not_running() { [[ $(task "$1") != RUNNING && $(task "$1") != PAUSED ]]; }

# own_config FILTER: a whole configuration in $BATS_TEST_TMPDIR/config.json, with the changes of the filter.
own_config() {
    mkdir -p "$BATS_TEST_TMPDIR/b"
    "$CTR" spec --bundle "$BATS_TEST_TMPDIR/b"
    jq --arg root "$E/rootfs" --arg cg "/$CGPARENT/$C" '.root = {path: $root, readonly: true} |
        .process.terminal = false | .linux.cgroupsPath = $cg' "$BATS_TEST_TMPDIR/b/config.json" |
        jq "$1" >"$BATS_TEST_TMPDIR/config.json"
}

@test "run --rm: output, input, exit codes" {
    run_c --rm "$IMAGE" "$C" sh -c "echo out; echo err >&2$STAY"
    says out
    [ "$stderr" = err ]
    local args=(run --rm --runc-binary "$(runtime_path)" --runc-root "$E/runc" --cgroup "/$CGPARENT/$C")
    fails 42 '' "${args[@]}" "$IMAGE" "$C" sh -c 'exit 42'
    fails 1 'executable file not found in $PATH' "${args[@]}" "$IMAGE" "$C" no-such-program
    ok containers ls -q
    [ -z "$output" ] || ok containers rm "$C"
    fails 1 'no such file or directory' "${args[@]}" "$IMAGE" "$C-b" /no/such
    ok containers ls -q
    [ -z "$output" ] || ok containers rm "$C-b"
}

@test "the runtime's own list shows the task" {
    up
    [ "$(state)" = running ]
    [ "$("$(runtime_path)" --root "$E/runc/$NS" list -q)" = "$C" ]
    "$(runtime_path)" --root "$E/runc/$NS" list --format json | jq -e --arg c "$C" '.[0].id == $c'
    [ "$(task)" = RUNNING ]
}

@test "tasks: ps, exec, kill, delete" {
    up
    ok tasks ps "$C"
    [ "$(awk 'NR == 2 { print $1 }' "$OUT")" = "$(pid_of)" ]
    ok tasks exec --exec-id e1 "$C" sh -c "echo inside; cat /proc/1/comm$STAY"
    says $'inside\nsleep'
    fails 9 '' tasks exec --exec-id e2 "$C" sh -c 'exit 9'
    fails 1 'executable file not found' tasks exec --exec-id e3 "$C" no-such-program
    ok tasks exec --exec-id e4 --user 1000 --cwd /etc "$C" sh -c "id -u; pwd$STAY"
    says $'1000\n/etc'
    ok tasks kill -s SIGKILL "$C"
    wait_for 20 task_is STOPPED
    ok tasks rm "$C"
    ok containers rm "$C"
}

@test "tasks: pause and resume" {
    up
    ok tasks pause "$C"
    [ "$(task)" = PAUSED ]
    [ "$(state)" = paused ]
    ok tasks resume "$C"
    [ "$(task)" = RUNNING ]
    [ "$(state)" = running ]
}

@test "tasks: metrics" {
    up
    ok tasks metrics --format json "$C"
    jq -e . "$OUT" >/dev/null
    [[ $output == *pids* || $output == *memory* ]]
}

@test "signals by name and number; kill of all; a task that has ended" {
    run_c -d "$IMAGE" "$C" sh -c 'trap "echo 1 >/tmp/usr1" USR1; trap "echo 1 >/tmp/hup" HUP; touch /tmp/up; while :; do sleep 0.1; done'
    local root
    root=/proc/$(pid_of)/root
    wait_for 20 test -e "$root/tmp/up"
    ok tasks kill -s SIGUSR1 "$C"
    wait_for 20 test -e "$root/tmp/usr1"
    ok tasks kill -s 1 "$C"
    wait_for 20 test -e "$root/tmp/hup"
    ok tasks exec --detach --exec-id other "$C" sleep 2000
    ok tasks kill --all -s SIGKILL "$C"
    wait_for 20 task_is STOPPED
    fails 1 'not found' tasks kill -s SIGTERM "$C"
}

@test "a terminal: size and resize" {
    tty "$CLIENT" --address "$E/sock" -n "$NS" run --rm -t --runc-binary "$(runtime_path)" --runc-root "$E/runc" \
        --cgroup "/$CGPARENT/$C" "$IMAGE" "$C" sh
    tty_script 'expect # ' 'insist 40 140' 'type tty\r' 'expect /dev/pts/0' 'type exit 3\r' 'wait'
    says 3
}

@test "exec with a terminal" {
    up
    tty "$CLIENT" --address "$E/sock" -n "$NS" tasks exec -t --exec-id tty1 "$C" sh
    tty_script 'expect # ' 'insist 41 141' 'type exit 4\r' 'wait'
    says 4
}

@test "limits: memory, processors, pids" {
    run_c --rm --memory-limit $((40 << 20)) --cpus 0.5 "$IMAGE" "$C" sh -c 'grep -c . /proc/self/cgroup >/dev/null; sleep 0.1; echo ok'"$STAY"
    says ok
    run_c -d --memory-limit $((40 << 20)) --cpus 0.5 "$IMAGE" "$C-b" sleep 1000
    if is_cgroup2; then
        [ "$(cat "/sys/fs/cgroup/$CG/memory.max")" -eq $((40 << 20)) ]
    else
        [ "$(cat "/sys/fs/cgroup/memory/$CG/memory.limit_in_bytes")" -eq $((40 << 20)) ]
        [ "$(cat "/sys/fs/cgroup/cpu/$CG/cpu.cfs_quota_us")" -eq 50000 ]
    fi
}

@test "the end by the OOM killer is an event of the task" {
    client_cmd events >"$BATS_TEST_TMPDIR/events" 2>/dev/null </dev/null 3>&- &
    local events=$!
    # it listens when it tells what is done now
    poke() { quiet images label "$IMAGE" "t=$RANDOM" >/dev/null; [ -s "$BATS_TEST_TMPDIR/events" ]; }
    wait_for 20 poke
    eng run --runc-binary "$(runtime_path)" --runc-root "$E/runc" --cgroup "/$CGPARENT/$C" --memory-limit $((20 << 20)) \
        "$IMAGE" "$C" sh -c 'sleep 1; exec tail /dev/zero'
    local rc=$status
    wait_for 20 grep -q '/tasks/oom' "$BATS_TEST_TMPDIR/events"
    kill "$events"
    [ "$rc" -eq 137 ]
}

@test "options: read-only, capabilities, seccomp, no new privileges, mounts, environment, privileged" {
    run_c --rm --read-only --cap-drop CAP_CHOWN --seccomp --mount "type=bind,src=$E/rootfs/www,dst=/mnt,options=rbind:ro" \
        --mount type=tmpfs,src=tmpfs,dst=/t,options=mode=1777 --env A=b "$IMAGE" "$C" sh -c 'echo $A
        touch /x 2>/dev/null || echo ro; touch /mnt/x 2>/dev/null || echo ro; touch /t/x && cat /mnt/version
        grep -e ^Seccomp: -e ^NoNew /proc/self/status; chown 1 /t/x 2>/dev/null || echo refused'"$STAY"
    says $'b\nro\nro\none\nNoNewPrivs:\t1\nSeccomp:\t2\nrefused'
    run_c --rm --privileged "$IMAGE" "$C-b" sh -c 'mount -t tmpfs x /mnt && grep -c " /mnt " /proc/mounts'"$STAY"
    says 1
}

@test "a configuration of one's own: user, hostname, limits of processes" {
    own_config '.process.user = {uid: 1000, gid: 1000} | .hostname = "inner" |
        .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 99, hard: 100}] |
        .process.args = ["sh", "-c", "id -u; hostname; ulimit -n; ulimit -Hn'"$STAY"'"]'
    ok run --rm --runc-binary "$(runtime_path)" --runc-root "$E/runc" --config "$BATS_TEST_TMPDIR/config.json" "$C"
    says $'1000\ninner\n99\n100'
}

@test "namespaces of the host and of another task" {
    up
    local pid
    pid=$(pid_of)
    run_c --rm --with-ns "network:/proc/$pid/ns/net" --with-ns "ipc:/proc/$pid/ns/ipc" "$IMAGE" "$C-b" sh -c "readlink /proc/self/ns/net$STAY"
    says "$(readlink "/proc/$pid/ns/net")"
    run_c --rm --net-host "$IMAGE" "$C-c" sh -c "readlink /proc/self/ns/net$STAY"
    says "$(readlink "/proc/$NET_PID/ns/net")"
}

@test "a user namespace" {
    own_config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 400000, size: 65536}] |
        .linux.gidMappings = .linux.uidMappings | .process.args = ["sh", "-c", "awk \"{ print \\$2 }\" /proc/self/uid_map; id -u'"$STAY"'"]'
    chmod o+x "$E" "${E%/*}"
    ok run --rm --runc-binary "$(runtime_path)" --runc-root "$E/runc" --config "$BATS_TEST_TMPDIR/config.json" "$C"
    says $'400000\n0'
}

@test "a rootfs directory instead of an image; --null-io; a log file; a pid file" {
    run_c --rm --rootfs "$E/rootfs" "$C" sh -c "cat /www/version$STAY"
    says one
    run_c -d --log-uri "file://$BATS_TEST_TMPDIR/log" --pid-file "$BATS_TEST_TMPDIR/pid" "$IMAGE" "$C-b" sh -c 'echo logged; sleep 1000'
    wait_for 20 grep -q logged "$BATS_TEST_TMPDIR/log"
    C=$C-b
    [ "$(cat "$BATS_TEST_TMPDIR/pid")" = "$(pid_of)" ]
}

@test "checkpoint: refused clearly, the task goes on" {
    up
    fails 1 'not supported by this version of ctr' tasks checkpoint "$C"
    [ "$(task)" = RUNNING ]
}

@test "a containerd that restarts finds its tasks again" {
    up
    local pid
    pid=$(pid_of)
    kill -9 "$CONTAINERD_PID"
    spawn "$E/log" containerd --config "$E/config.toml"
    CONTAINERD_PID=$!
    # teardown_file runs in another shell
    echo "$CONTAINERD_PID" >"$E/containerd.pid"
    wait_for 60 answers
    [ "$(pid_of)" = "$pid" ]
    ok tasks exec --exec-id again "$C" sh -c "echo again$STAY"
    says again
}

@test "twenty tasks at the same time" {
    local i pids=()
    for i in $(seq 20); do
        quiet run --rm --runc-binary "$(runtime_path)" --runc-root "$E/runc" --cgroup "/$CGPARENT/$C-$i" "$IMAGE" "$C-$i" \
            sh -c "exit $i" &
        pids+=($!)
    done
    for i in $(seq 20); do
        local rc=0
        wait "${pids[i - 1]}" || rc=$?
        [ "$rc" -eq "$i" ] || fail "task $i: status $rc"
    done
}

@test "two tasks of one name: the second is refused, the first goes on" {
    up
    fails 1 'already exists' run -d --runc-binary "$(runtime_path)" --runc-root "$E/runc" "$IMAGE" "$C" sleep 1
    [ "$(state)" = running ]
}
