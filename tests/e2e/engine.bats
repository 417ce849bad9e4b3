#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What engines send, word for word, and what they do wrong: without an engine.

load helpers

setup() {
    common_setup
    require_root
    make_bundle
    set_args sleep 1000
}

# shim ARGS...: as containerd's shim calls the runtime.
shim() { ctr --log "$BATS_TEST_TMPDIR/log.json" --log-format json "$@"; }
# The last error of the log, as the shim reads it: each line an object with a time that it can parse.
logged() {
    python3 -c '
import datetime, json, sys
last = ""
for line in open(sys.argv[1]):
    o = json.loads(line)
    datetime.datetime.strptime(o["time"][:19] + "Z", "%Y-%m-%dT%H:%M:%SZ")
    assert o["time"].endswith("Z"), o
    if o["level"] == "error":
        last = o["msg"]
print(last)' "$BATS_TEST_TMPDIR/log.json"
}

@test "the shim's way: create, start, exec, ps, pause, resume, update, kill, delete" {
    local pid
    shim create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID"
    [ "$status" -eq 0 ]
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    shim start "$ID"
    echo '{"args": ["sleep", "900"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}' >"$BATS_TEST_TMPDIR/p.json"
    shim exec --process "$BATS_TEST_TMPDIR/p.json" --detach --pid-file "$BATS_TEST_TMPDIR/pid2" "$ID"
    [ "$status" -eq 0 ]
    shim ps --format json "$ID"
    [ "$(jq -c sort <<<"$output")" = "$(printf '[%s,%s]' "$pid" "$(cat "$BATS_TEST_TMPDIR/pid2")" | jq -c sort)" ]
    shim pause "$ID"
    is_state "$ID" paused
    shim resume "$ID"
    echo '{"pids": {"limit": 44}}' >"$BATS_TEST_TMPDIR/r.json"
    STDIN=$BATS_TEST_TMPDIR/r.json shim update --resources=- "$ID"
    [ "$(cat "$(cgroup_file "$ID" pids pids.max pids.max)")" = 44 ]
    shim kill --all "$ID" 9
    wait_state "$ID" stopped
    shim kill "$ID" 15
    [ "$status" -eq 1 ]
    [[ $(logged) == *"container not running"* ]]
    shim delete "$ID"
    [ "$status" -eq 0 ]
    shim delete "$ID"
    [[ $(logged) == *"does not exist"* ]]
    shim delete --force "$ID"
    [ "$status" -eq 0 ]
}

@test "conmon's way: the pid-file of an exec is there only when it runs" {
    ok create --bundle "$BUNDLE" "$ID"
    ok start "$ID"
    echo '{"args": ["no-such-program"], "cwd": "/", "user": {"uid": 0, "gid": 0}}' >"$BATS_TEST_TMPDIR/p.json"
    fails 255 'executable file not found in $PATH' exec --pid-file "$BATS_TEST_TMPDIR/pid" --process "$BATS_TEST_TMPDIR/p.json" \
        --detach "$ID"
    [ ! -e "$BATS_TEST_TMPDIR/pid" ]
    ok delete --force "$ID"
}

@test "probes of engines: checkpoint --help, restore without a value, features" {
    ok checkpoint --help
    [[ $output == *--image-path* && $output == *--pre-dump* ]]
    fails 1 'requires an argument' restore --lsm-mount-context
    ok features
    [ "$(jq -r '.annotations."org.opencontainers.runc.checkpoint.enabled"' <<<"$output")" = false ]
}

@test "checkpoint and restore: every option of theirs is taken, and the answer is clear" {
    ok create --bundle "$BUNDLE" "$ID"
    fails 1 'container not running' checkpoint --image-path /x "$ID"
    ok start "$ID"
    fails 1 'not supported by this version of ctr' checkpoint --image-path /x --work-path /y --parent-path ../p --tcp-established \
        --tcp-skip-in-flight --link-remap --ext-unix-sk --shell-job --lazy-pages --status-fd 3 --page-server h:1 --file-locks \
        --pre-dump --manage-cgroups-mode ignore --empty-ns network --auto-dedup --leave-running --network-lock skip "$ID"
    is_state "$ID" running
    fails 1 'does not exist' checkpoint "$ID-none"
    fails 1 'unknown mode: bad' checkpoint --manage-cgroups-mode bad "$ID"
    ok delete --force "$ID"
    fails 1 'not supported by this version of ctr' restore --image-path /x --work-path /y --detach --pid-file /p --console-socket /c \
        -no-subreaper --no-pivot --bundle /b --tcp-close --lsm-profile selinux:x --lsm-mount-context c "$ID"
}

@test "garbage: a process, resources, a configuration that are none" {
    ok create --bundle "$BUNDLE" "$ID"
    ok start "$ID"
    local text
    for text in '' '[]' '{"args": 3}' '{"args": []}' 'null' '{' $'\x01\x02'; do
        printf '%s' "$text" >"$BATS_TEST_TMPDIR/p.json"
        ctr exec --process "$BATS_TEST_TMPDIR/p.json" "$ID"
        [ "$status" -eq 255 ] && [ "$(wc -l <"$ERR")" -eq 1 ] || fail "process \"$text\": $status"
        STDIN=$BATS_TEST_TMPDIR/p.json ctr update --resources - "$ID"
        [ "$text" = '{"args": 3}' ] || [ "$text" = '{"args": []}' ] || [ "$status" -eq 1 ] || fail "resources \"$text\": $status"
    done
    head -c 100000 /dev/urandom >"$BATS_TEST_TMPDIR/p.json"
    STDIN=$BATS_TEST_TMPDIR/p.json ctr update --resources - "$ID"
    [ "$status" -eq 1 ]
    is_state "$ID" running
    ok delete --force "$ID"
}

@test "a console socket that is closed early, is no socket, does not listen" {
    edit_config '.process.terminal = true'
    python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(1)
open(sys.argv[1] + ".ready", "w").close()
s.accept()[0].close()' "$BATS_TEST_TMPDIR/early" 3>&- &
    wait_for 10 test -e "$BATS_TEST_TMPDIR/early.ready"
    # What is sent may still be buffered when the other side goes away: then it is as if that had been after create.
    ctr create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/early" "$ID"
    wait
    ok delete --force "$ID"
    : >"$BATS_TEST_TMPDIR/plain"
    fails 1 "$BATS_TEST_TMPDIR/plain" create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/plain" "$ID"
    fails 1 "$BATS_TEST_TMPDIR/early" create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/early" "$ID"
    fails 1 'No such file' create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/none" "$ID"
}

@test "a pid-file that cannot be written: create and exec fail, and leave nothing" {
    fails 1 'No such file or directory' create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/none/pid" "$ID"
    mkdir "$BATS_TEST_TMPDIR/dir"
    fails 1 "$BATS_TEST_TMPDIR/dir" create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/dir" "$ID"
    ok create --bundle "$BUNDLE" "$ID"
    ok start "$ID"
    fails 255 'No such file or directory' exec --pid-file "$BATS_TEST_TMPDIR/none/pid" "$ID" sleep 500
    ok ps --format json "$ID"
    [ "$(jq length <<<"$output")" -eq 1 ]
    ok delete --force "$ID"
}

@test "a log and a pid-file on a full disk" {
    mkdir "$BATS_TEST_TMPDIR/full"
    mount -t tmpfs -o size=4k,nr_inodes=3 full "$BATS_TEST_TMPDIR/full"
    : >"$BATS_TEST_TMPDIR/full/log"
    dd if=/dev/zero of="$BATS_TEST_TMPDIR/full/fill" bs=4k count=1 2>/dev/null
    # the log is a help, not the work: the command goes on without it
    ctr --log "$BATS_TEST_TMPDIR/full/log" --log-format json --debug create --bundle "$BUNDLE" "$ID"
    local created=$status
    ctr --log "$BATS_TEST_TMPDIR/full/log" --log-format json start "$ID-none"
    local err=$stderr
    ctr create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/full/pid" "$ID-b"
    local second=$status text=$stderr
    # the container that waits for its start holds what is open
    ok delete --force "$ID"
    umount "$BATS_TEST_TMPDIR/full"
    [ "$created" -eq 0 ]
    [[ $err == *"does not exist"* ]]
    [ "$second" -eq 1 ] && [[ $text == *"No space left on device"* ]] || fail "$second $text"
}

@test "two creates of one ID at the same time: one of them wins" {
    local i rc wins pids
    for i in 1 2 3 4 5; do
        pids=()
        wins=0
        for n in 1 2 3; do
            timeout -k 5 60 "$CTR" --root "$ROOT" create --bundle "$BUNDLE" "$ID" >/dev/null 2>"$BATS_TEST_TMPDIR/e.$n" </dev/null 3>&- &
            pids+=($!)
        done
        for n in 1 2 3; do
            rc=0
            wait "${pids[n - 1]}" || rc=$?
            if [ "$rc" -eq 0 ]; then
                wins=$((wins + 1))
            else
                grep -q 'container with given ID already exists' "$BATS_TEST_TMPDIR/e.$n" || fail "$(cat "$BATS_TEST_TMPDIR/e.$n")"
            fi
        done
        [ "$wins" -eq 1 ] || fail "$wins of three created it"
        is_state "$ID" created
        ok delete --force "$ID"
    done
}

# A logger that takes datagrams: for the journal and for syslog, in a mount namespace of the test.
@test "logs to the journal and to syslog" {
    mkdir -p "$BATS_TEST_TMPDIR/j"
    cat >"$BATS_TEST_TMPDIR/logger.py" <<'PY'
import os, socket, subprocess, sys
path, out, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
os.makedirs(os.path.dirname(path), exist_ok=True)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path)
subprocess.run(argv, stdin=subprocess.DEVNULL)
s.settimeout(0.2)
with open(out, "ab") as f:
    try:
        while True:
            f.write(s.recv(65536) + b"\n")
    except socket.timeout:
        pass
PY
    in_mounts() { unshare -m sh -c 'mkdir -p /run/systemd/journal && mount -t tmpfs x /run/systemd/journal && mount -t tmpfs x /dev && exec "$@"' sh "$@" 3>&-; }
    in_mounts python3 "$BATS_TEST_TMPDIR/logger.py" /run/systemd/journal/socket "$BATS_TEST_TMPDIR/j/a" \
        "$CTR" --root "$ROOT" --log journald:tag start "$ID-none" 2>/dev/null
    grep -qx 'ID=tag' "$BATS_TEST_TMPDIR/j/a"
    grep -qx 'PRIORITY=3' "$BATS_TEST_TMPDIR/j/a"
    grep -qx "MESSAGE=$ID-none: container does not exist" "$BATS_TEST_TMPDIR/j/a"
    in_mounts python3 "$BATS_TEST_TMPDIR/logger.py" /dev/log "$BATS_TEST_TMPDIR/j/b" \
        "$CTR" --root "$ROOT" --log syslog:tag start "$ID-none" 2>/dev/null
    grep -qE "^<11>... .. ..:..:.. tag\[[0-9]+\]: $ID-none: container does not exist" "$BATS_TEST_TMPDIR/j/b"
    in_mounts python3 "$BATS_TEST_TMPDIR/logger.py" /run/systemd/journal/socket "$BATS_TEST_TMPDIR/j/c" \
        "$CTR" --root "$ROOT" --systemd-log --log "$BATS_TEST_TMPDIR/j/file" --log-format json start "$ID-none" 2>/dev/null
    grep -q 'does not exist' "$BATS_TEST_TMPDIR/j/c"
    grep -q 'does not exist' "$BATS_TEST_TMPDIR/j/file"
    fails 1 'connect to the log' --log syslog:x --systemd-log list
}

@test "--cgroup-manager disabled, the spelling of Podman, of crun and of youki" {
    local dirs
    fails 1 '--systemd-cgroup and --cgroup-manager=cgroupfs contradict each other' --systemd-cgroup --cgroup-manager cgroupfs features
    ok --criu /usr/sbin/criu features
    [[ $stderr == *"--criu /usr/sbin/criu: without effect"* ]]
    ok --cgroup-manager disabled create --bundle "$BUNDLE" "$ID"
    dirs=$(cgroup_dirs "$ID")
    [ -z "$dirs" ] || fail "$dirs"
    ok --cgroup-manager disabled start "$ID"
    ok --cgroup-manager disabled kill "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
    ok -l "$BATS_TEST_TMPDIR/l" -r "$ROOT" --log-level debug create -b "$BUNDLE" "$ID"
    ok -log "$BATS_TEST_TMPDIR/l" -debug start "$ID"
    ok kill "$ID" SIGKILL
    wait_state "$ID" stopped
    ok delete --regex "^$ID\$"
}
