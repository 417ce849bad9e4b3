#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run: own network
#
# The command line: spellings, wrong ones, what run's options change, completion.

load helpers

@test "cli: --pid-file writes into a pipe" {
    require_root
    make_bundle
    set_args /bin/sleep 1000
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    cat "$BATS_TEST_TMPDIR/fifo" >"$BATS_TEST_TMPDIR/read" 3>&- &
    local reader=$!
    ok create --pid-file "$BATS_TEST_TMPDIR/fifo" --bundle "$BUNDLE" "$ID"
    wait "$reader"
    [ -p "$BATS_TEST_TMPDIR/fifo" ]
    [ "$(cat "$BATS_TEST_TMPDIR/read")" = "$(state_of "$ID" pid)" ]
    ok delete --force "$ID"
}

@test "cli: a caller that ignores SIGCHLD gets the same answers" {
    make_bundle
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    printf '#!/bin/sh\ntrap "" CHLD\nexec "%s" "$@"\n' "$CTR" >"$BATS_TEST_TMPDIR/ctr"
    chmod 755 "$BATS_TEST_TMPDIR/ctr"
    CTR=$BATS_TEST_TMPDIR/ctr ok ps "$ID"
    [[ $output == *"sleep 1000"* ]]
    CTR=$BATS_TEST_TMPDIR/ctr ok exec "$ID" true
    ok delete --force "$ID"
}

@test "cli: a wrong command line is one line that names what is wrong, exit 1" {
    fails 1 'unknown command: bogus' bogus
    fails 1 'create: unknown option: --bogus' create --bogus "$ID"
    fails 1 'create: option requires an argument: --bundle' create --bundle
    fails 1 'create: an argument is missing: ID' create
    fails 1 'state: an argument too many: extra' state "$ID" extra
    fails 1 'list: --format: unknown format: xml' list --format xml
    fails 1 'kill: unknown signal: NOPE' kill "$ID" NOPE
    fails 1 '--regex: not a regular expression: [' kill --regex '['
    fails 1 'run: options stand before the ID: --detach' run "$ID" --detach
    fails 255 'exec: an argument is missing' exec "$ID"
    fails 255 'exec: --env: not KEY=VALUE: BAD' exec -e BAD "$ID" true
    fails 255 'exec: --process and --no-new-privs exclude each other' exec -p /dev/null --no-new-privs "$ID"
    fails 1 '--clone and --bundle exclude each other' run --clone --bundle /x "$ID"
    fails 1 '--root: / is refused' --root /tmp/.. list
    [ "$(wc -l <"$ERR")" -eq 1 ]
}

@test "cli: a wrong command line is in the log, as one JSON object" {
    fails 1 'unknown option' --log "file:$BATS_TEST_TMPDIR/log" --log-format json start --bogus "$ID"
    [ "$(jq -r .msg "$BATS_TEST_TMPDIR/log")" = "start: unknown option: --bogus" ]
    [ "$(wc -l <"$BATS_TEST_TMPDIR/log")" -eq 1 ]
}

@test "cli: --help of every command exits 0 and names its options" {
    ok --help
    local c commands
    commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$OUT")
    [ "$(wc -w <<<"$commands")" -ge 16 ]
    for c in $commands; do
        ok "$c" --help
        [[ $output == "Usage: ctr $c "* && $output == *--help* ]]
        ok help "$c"
        [[ $output == "Usage: ctr $c "* ]]
    done
}

@test "cli: options before and after the ID, with one dash, with = and without" {
    make_bundle
    set_args /bin/sleep 1000
    ok create "$ID" --bundle="$BUNDLE" -pid-file "$BATS_TEST_TMPDIR/pid" -no-subreaper
    [ "$(cat "$BATS_TEST_TMPDIR/pid")" = "$(state_of "$ID" pid)" ]
    ok delete "$ID" -f
    ok create -no-pivot=false -b "$BUNDLE" -- "$ID"
    ok delete -force "$ID"
}

@test "cli: closed standard descriptors do no harm" {
    make_bundle
    set_args /bin/sh -c 'for i in 0 1 2; do [ -e /proc/self/fd/$i ] || exit 9; done'
    local rc=0
    timeout "$DEADLINE" "$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 0<&- 1>&- 2>&- 3>&- || rc=$?
    [ "$rc" -eq 0 ]
}

@test "cli: output that cannot be written is an error" {
    [ -c /dev/full ] || skip "no /dev/full"
    local rc=0
    "$CTR" --root "$ROOT" --help >/dev/full 2>"$BATS_TEST_TMPDIR/err" || rc=$?
    [ "$rc" -eq 1 ]
    grep -q 'No space left on device' "$BATS_TEST_TMPDIR/err"
}

@test "cli: delete --regex and kill --regex take the containers that match, and no others" {
    make_bundle
    set_args /bin/sleep 1000
    local id
    for id in "$ID-a1" "$ID-a2" "$ID-b"; do
        ok run --detach --bundle "$BUNDLE" "$id"
    done
    ok kill --regex "^$ID-a[0-9]\$" KILL
    wait_state "$ID-a1" stopped
    wait_state "$ID-a2" stopped
    [ "$(state_of "$ID-b")" = running ]
    ok delete --regex "$ID-a."
    [ "$(containers)" = "$ID-b" ]
    ok delete --force --regex "$ID"
    [ -z "$(containers)" ]
}

@test "run: -e -w --hostname -u --read-only adjust a bundle" {
    make_bundle
    ok run --bundle "$BUNDLE" -e A=1 --env PATH=/bin:/sbin -eCTR_TEST_ID -w /usr --hostname other "$ID" \
        /bin/sh -c 'echo "$A $PATH $CTR_TEST_ID $(pwd) $(hostname)"'
    [ "$output" = "1 /bin:/sbin $TESTID /usr other" ]
    ok run --bundle "$BUNDLE" -u user "$ID" /bin/id
    [[ $output == *"uid=1000"*"gid=1000"*"50"* ]]
    ok run --bundle "$BUNDLE" --user 1000:5 "$ID" /bin/id
    [[ $output == *"uid=1000"*"gid=5"* && $output != *50* ]]
    fails 125 'no such user' run --bundle "$BUNDLE" -u nosuchuser "$ID" /bin/id
    ctr run --bundle "$BUNDLE" --read-only "$ID" /bin/touch /etc/x
    [ "$status" -eq 1 ]
    [ ! -e "$BUNDLE/rootfs/etc/x" ]
}

@test "run: -v mounts, read-only when asked" {
    require_root
    make_bundle
    mkdir "$BATS_TEST_TMPDIR/vol"
    echo there >"$BATS_TEST_TMPDIR/vol/file"
    ok run --bundle "$BUNDLE" -v "$BATS_TEST_TMPDIR/vol:/mnt" "$ID" /bin/sh -c 'cat /mnt/file; echo new >/mnt/new'
    [ "$output" = there ]
    [ "$(cat "$BATS_TEST_TMPDIR/vol/new")" = new ]
    ctr run --bundle "$BUNDLE" -v "$BATS_TEST_TMPDIR/vol:/mnt:ro" "$ID" /bin/touch /mnt/x
    [ "$status" -eq 1 ]
    [ ! -e "$BATS_TEST_TMPDIR/vol/x" ]
    fails 125 'unknown option: bogus' run --bundle "$BUNDLE" -v /tmp:/mnt:bogus "$ID" /bin/true
}

@test "run: -m --cpus --pids-limit are the cgroup's limits" {
    require_root
    make_bundle
    ok run --detach --bundle "$BUNDLE" -m 64m --cpus 0.5 --pids-limit 33 "$ID" /bin/sleep 1000
    [ "$(cat "$(cgroup_file "$ID" memory memory.limit_in_bytes memory.max)")" -eq 67108864 ]
    [ "$(cat "$(cgroup_file "$ID" pids pids.max pids.max)")" -eq 33 ]
    [[ $(cat "$(cgroup_file "$ID" cpu cpu.cfs_quota_us cpu.max)") == 50000* ]]
    ok delete --force "$ID"
}

@test "run: a missing program gives 127 with a COMMAND, 1 without" {
    make_bundle
    fails 127 'executable file not found' run --bundle "$BUNDLE" "$ID" nosuchprogram
    set_args nosuchprogram
    fails 1 'executable file not found' run --bundle "$BUNDLE" "$ID"
}

# complete_line WORD...: what bash would offer for the last word.
complete_line() {
    PATH="$(dirname "$CTR"):$PATH" bash -c 'source <("$0" completion bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _ctr
        echo "${COMPREPLY[*]}"' "$CTR" "$@"
}

@test "completion: commands, options, values and the IDs of the state root" {
    make_bundle
    set_args /bin/true
    ok create --bundle "$BUNDLE" "$ID"
    [ "$(complete_line ctr ru)" = run ]
    [ "$(complete_line ctr --cgroup-manager '')" = "cgroupfs systemd disabled" ]
    [ "$(complete_line ctr list --format = j)" = json ]
    [ "$(complete_line ctr exec --ig)" = --ignore-paused ]
    [ "$(complete_line ctr --root "$ROOT" --debug state '')" = "$ID" ]
    [ "$(complete_line ctr --root = "$ROOT" delete -f '')" = "$ID" ]
    [ -z "$(complete_line ctr run -m '')" ]
    [ "$(complete_line ctr create -b "$BUNDLE/root")" = "$BUNDLE/rootfs" ]
    fails 1 'unknown shell: csh' completion csh
    ok delete "$ID"
}

# ---- global options ----

# log_objects FILE: how many JSON objects, one a line, each with a time that RFC 3339 parsers take.
log_objects() {
    python3 - "$1" <<'P'
import datetime, json, re, sys
n = 0
for line in open(sys.argv[1], encoding="utf-8"):
    o = json.loads(line)
    assert list(o) == ["level", "msg", "time"], o
    assert o["level"] in ("error", "warning", "debug"), o
    m = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{9}Z", o["time"])
    t = datetime.datetime.strptime(m.group(1), "%Y-%m-%dT%H:%M:%S")
    assert abs((datetime.datetime.utcnow() - t).total_seconds()) < 600, o
    n += 1
print(n)
P
}

@test "cli: --log-format json: exactly one valid object, whatever is in the message" {
    local log=$BATS_TEST_TMPDIR/log name
    for name in plain 'quo"te' 'back\slash' $'tab\there' $'new\nline' $'bell\a' 'ünï' $'bad\xff\xc3utf8'; do
        rm -f "$log"
        fails 1 '' --log "$log" --log-format json create --bundle "$BATS_TEST_TMPDIR/$name" "$ID"
        [ "$(log_objects "$log")" -eq 1 ]
        [ "$(wc -l <"$ERR")" -eq 1 ]
    done
}

@test "cli: --log is appended to; --log-format text is the same line as on stderr" {
    local log=$BATS_TEST_TMPDIR/log
    fails 1 'does not exist' --log "$log" state "$ID"
    fails 1 'does not exist' --log "$log" --log-format text state "$ID-b"
    [ "$(cat "$log")" = "ctr: $ID: container does not exist
ctr: $ID-b: container does not exist" ]
    fails 1 'unknown log format: yaml' --log-format yaml list
    fails 1 'does not exist' --log "$BATS_TEST_TMPDIR/new" --log-format json state "$ID"
    [ "$(stat -c %a "$BATS_TEST_TMPDIR/new")" = 644 ]
}

@test "cli: --debug logs every stage with its time, as JSON in the log and not on stderr" {
    local log=$BATS_TEST_TMPDIR/log stage
    make_bundle
    set_args /bin/true
    ok --debug run --bundle "$BUNDLE" "$ID"
    for stage in 'state directory' prepare cgroup console spawn handshake record; do
        [[ $stderr =~ create:\ "$stage":\ [0-9]+\ us ]] || fail "no stage $stage"
    done
    ok --debug --log "$log" --log-format json run --bundle "$BUNDLE" "$ID"
    [ -z "$stderr" ]
    [ "$(log_objects "$log")" -ge 15 ]
    [ "$(jq -s 'map(select(.level == "error")) | length' "$log")" -eq 0 ]
    [ "$(jq -rs 'map(select(.msg | startswith("init: enter"))) | length' "$log")" -eq 1 ]
    ok --log-level debug run --bundle "$BUNDLE" "$ID"
    [[ $stderr == *"create: spawn"* ]]
    ok run --bundle "$BUNDLE" "$ID"
    [ -z "$stderr" ]
}

@test "cli: the state root: / in any spelling refused, a missing one is an error of list, made by create" {
    local root
    for root in / // /. /tmp/.. ''; do
        fails 1 --root --root "$root" list
        [ "$(wc -l <"$ERR")" -eq 1 ]
    done
    fails 1 'No such file or directory' list
    [ ! -e "$ROOT" ]
    fails 1 'does not exist' state "$ID"
    [ ! -e "$ROOT" ]
    make_bundle
    set_args /bin/true
    ROOT=$BATS_TEST_TMPDIR/a/b/c
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(stat -c %a "$ROOT")" = 700 ]
    cd "$BATS_TEST_TMPDIR"
    ROOT=relative/root
    ok run --bundle "$BUNDLE" "$ID"
    [ -d "$BATS_TEST_TMPDIR/relative/root" ]
}

@test "cli: what engines call: their global options, probes and spellings" {
    make_bundle
    set_args /bin/sleep 1000
    local log=$BATS_TEST_TMPDIR/log.json
    ok --log "$log" --log-format json --rootless=false create --bundle "$BUNDLE" \
        --pid-file "$BATS_TEST_TMPDIR/pid" --no-pivot=false --no-new-keyring "$ID"
    ok --log "$log" --log-format json start "$ID"
    ok --log "$log" --log-format json state "$ID"
    [ ! -s "$log" ]
    ok --log "$log" --log-format json kill --all "$ID" 9
    wait_state "$ID" stopped
    ok --log "$log" --log-format json delete "$ID"
    fails 1 'does not exist' --log "$log" --log-format json delete "$ID"
    [ "$(log_objects "$log")" -eq 1 ]
    fails 1 'unknown command' no-such-command
    fails 1 'option requires an argument: --root' --root
    fails 1 'unknown option: --no-such-option' --no-such-option list
}

@test "cli: --version has the lines that engines look for" {
    ok --version
    [[ $output =~ ^ctr\ version\ [0-9]+\.[0-9]+\.[0-9]+[^$'\n']*$'\n'commit:\ [0-9a-z]+$'\n'spec:\ 1\.[0-9]+\.[0-9]+ ]]
    local text=$output
    ok version
    [ "$output" = "$text" ]
    ok -v
    [ "$output" = "$text" ]
}

@test "cli: info says what the machine has" {
    ok info
    grep -qx "Kernel release *$(uname -r)" "$OUT"
    grep -qx "Cores *$(getconf _NPROCESSORS_ONLN)" "$OUT"
    grep -qx 'Namespaces .*pid.*' "$OUT"
    if is_cgroup2; then
        grep -qx 'Cgroup setup *unified' "$OUT"
    else
        grep -qxE 'Cgroup setup *(legacy|hybrid)' "$OUT"
        grep -qx '  memory  */sys/fs/cgroup/memory' "$OUT"
    fi
    fails 1 '' info word
}

@test "completion: the script is valid bash" {
    ok completion bash
    bash -n "$OUT"
    fails 1 'unknown shell: fish' completion fish
}
