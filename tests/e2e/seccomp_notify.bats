#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Seccomp user notification: an agent outside answers a system call of the container, with an errno that no
# file system gives.

load helpers

MKDIR=83

setup() {
    common_setup
    [ "$(uname -m)" = x86_64 ] || skip "knows the system call numbers of x86_64 only"
    make_bundle
    SOCKET=$BATS_TEST_TMPDIR/agent.sock
    AGENT_DIR=$BATS_TEST_TMPDIR/agent
    mkdir "$AGENT_DIR"
    notify mkdir
}

teardown() {
    [ -z "${AGENT:-}" ] || { kill "$AGENT" && wait "$AGENT"; } 2>/dev/null || true
    common_teardown
}

# agent [NUMBER:ERRNO...]
agent() {
    python3 "$BATS_TEST_DIRNAME/seccomp_agent.py" "$SOCKET" "$AGENT_DIR" "$@" 3>&- &
    AGENT=$!
    wait_for 10 test -S "$SOCKET"
}

# notify CALL...: the profile asks the agent about these.
notify() {
    edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $p, listenerMetadata: "some data",
        syscalls: [{names: $ARGS.positional, action: "SCMP_ACT_NOTIFY"}]}' --arg p "$SOCKET" --args -- "$@"
}

edit_config() {
    local filter=$1
    shift
    jq "$filter" "$@" <"$BUNDLE/config.json" >"$BUNDLE/config.json.new" && mv "$BUNDLE/config.json.new" "$BUNDLE/config.json"
}

nnp() { edit_config '.process.noNewPrivileges = $n' --argjson n "$1"; }
calls() { grep -c "^$1 " "$AGENT_DIR/calls" || true; }
PROBE='mkdir /tmp/x 2>&1 | sed "s/.*: //"'

@test "notify: an agent's answer is what the container gets, with and without no_new_privs, for any user" {
    agent $MKDIR:87
    local n uid
    for n in true false; do
        for uid in 0 1000; do
            nnp $n
            edit_config '.process.user = {uid: $u, gid: $u}' --argjson u $uid
            run_sh "$PROBE"
            [ "$status" -eq 0 ] || fail "$stderr"
            [ "$output" = "Too many users" ] || fail "$n $uid: $output"
        done
    done
    [ "$(calls $MKDIR)" -eq 4 ]
}

@test "notify: the agent is told the process and the container, and the connection ends" {
    agent
    nnp false
    set_args sleep 1000
    edit_config '.annotations.colour = "blue"'
    ok run -d --bundle "$BUNDLE" "$ID"
    wait_for 10 test -e "$AGENT_DIR/closed.0"
    local pid
    pid=$(state_of "$ID" pid)
    jq -e --argjson pid "$pid" --arg id "$ID" --arg b "$BUNDLE" '.fds == ["seccompFd"] and .pid == $pid and
        .metadata == "some data" and .ociVersion and .state.id == $id and .state.status == "creating" and
        .state.pid == $pid and .state.bundle == $b and .state.annotations.colour == "blue"' "$AGENT_DIR/state.0" ||
        fail "$(cat "$AGENT_DIR/state.0")"
    # nobody but the process has the listener or the connection
    ! ls -l "/proc/$pid/fd" | grep -E 'seccomp|socket' || fail "found what must not be there"
}

@test "notify: create and start, with and without no_new_privs" {
    local n i=0
    agent $MKDIR:87
    set_args sh -c "{ $PROBE; } >/tmp/out; sleep 1000"
    for n in true false; do
        nnp $n
        ok create --bundle "$BUNDLE" "$ID"
        ok start "$ID"
        wait_for 10 test -e "$AGENT_DIR/closed.$i"
        wait_for 10 grep -qs users "$BUNDLE/rootfs/tmp/out"
        [ "$(jq .pid "$AGENT_DIR/state.$i")" = "$(state_of "$ID" pid)" ]
        rm "$BUNDLE/rootfs/tmp/out"
        ok delete --force "$ID"
        i=$((i + 1))
    done
}

@test "notify: exec has a listener of its own" {
    agent $MKDIR:87
    local n
    for n in true false; do
        nnp $n
        set_args sleep 1000
        ok run -d --bundle "$BUNDLE" "$ID"
        ctr exec "$ID" sh -c "$PROBE"
        [ "$output" = "Too many users" ] || fail "$output $stderr"
        ok delete --force "$ID"
    done
    jq -e --arg id "$ID" '.state.status == "running" and .state.id == $id and .pid != .state.pid' "$AGENT_DIR/state.1"
}

@test "notify: no deadlock when what hands the listener over is asked about, killed or refused" {
    # what is needed before execve is answered by the agent itself, with the listener that it has already
    agent $MKDIR:87
    notify mkdir sendmsg sendto close recvmsg futex openat clone3 clone execve exit exit_group munmap read
    local n
    for n in true false; do
        nnp $n
        run_sh "$PROBE"
        [ "$output" = "Too many users" ] || fail "$n: $output $stderr"
    done
    # killed or refused: only execve comes after the filter
    nnp true
    edit_config '.linux.seccomp.syscalls = [{names: ["mkdir"], action: "SCMP_ACT_NOTIFY"},
        {names: ["sendmsg", "sendto", "futex", "sched_yield", "userfaultfd", "rt_sigprocmask"], action: "SCMP_ACT_KILL_PROCESS"},
        {names: ["recvmsg", "pidfd_getfd"], action: "SCMP_ACT_ERRNO"}]'
    set_args /bin/mkdir /tmp/x
    ctr run --bundle "$BUNDLE" "$ID"
    [[ $stderr == *"Too many users"* ]] || fail "$status $stderr"
}

@test "notify: a real-time process on one processor does not starve the hand-over" {
    agent $MKDIR:87
    local cpu
    cpu=$(grep Cpus_allowed_list /proc/self/status | grep -o '[0-9]*' | head -n 1)
    edit_config '.process.scheduler = {policy: "SCHED_FIFO", priority: 1} | .linux.resources.cpu.cpus = $c' --arg c "$cpu"
    nnp true
    run_sh "$PROBE"
    [ "$status" -eq 0 ] || { [[ $stderr == *"process.scheduler"* ]] && skip "no real time here"; }
    [ "$output" = "Too many users" ]
}

@test "notify: all flags of the load, TSYNC too" {
    agent $MKDIR:87
    edit_config '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]'
    nnp true
    run_sh "$PROBE"
    [ "$output" = "Too many users" ] || fail "$stderr"
}

@test "notify: in a user namespace" {
    agent $MKDIR:87
    chmod -R a+rwX "$BUNDLE/rootfs"
    edit_config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
        | .linux.gidMappings = .linux.uidMappings'
    chmod o+x "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR"
    run_sh "$PROBE"
    [ "$output" = "Too many users" ] || fail "$stderr"
}

@test "notify: an agent that is not there, and a profile that nobody hears, are refused; nothing is left" {
    set_args true
    fails 1 "linux.seccomp.listenerPath: connect to $SOCKET: No such file" run --bundle "$BUNDLE" "$ID"
    edit_config 'del(.linux.seccomp.listenerPath) | del(.linux.seccomp.listenerMetadata)'
    fails 1 'linux.seccomp.listenerPath: required' run --bundle "$BUNDLE" "$ID"
    [ -z "$(containers)" ]
}

@test "notify: an agent that goes away before the listener comes is an error of create" {
    # accepts nothing, and is gone when the message is sent: the connection is refused or reset
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); s.accept()[0].close(); s.close()' "$SOCKET" 3>&- &
    AGENT=$!
    wait_for 10 test -S "$SOCKET"
    nnp false
    set_args sleep 1000
    # createRuntime hooks run between the connection and the sending
    edit_config '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "while kill -0 \($a) 2>/dev/null; do sleep 0.05; done"]}]' --argjson a $AGENT
    ctr create --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 1 ]
    [[ $stderr == *"linux.seccomp.listenerPath: send the listener: "* ]] || fail "$stderr"
    [ -z "$(containers)" ]
}

@test "notify: run.oci.seccomp.receiver in place of listenerPath" {
    agent $MKDIR:87
    edit_config 'del(.linux.seccomp.listenerPath) | del(.linux.seccomp.listenerMetadata) | .annotations["run.oci.seccomp.receiver"] = $p' --arg p "$SOCKET"
    run_sh "$PROBE"
    [ "$output" = "Too many users" ] || fail "$stderr"
}

@test "notify: a listenerPath that no rule needs is ignored, as the specification says" {
    edit_config '.linux.seccomp.syscalls = [{names: ["mkdir"], action: "SCMP_ACT_ERRNO"}]'
    run_sh "$PROBE"
    [ "$output" = "Operation not permitted" ] || fail "$output $stderr"
}
