#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Cgroups that are not as ctr made them: shared with another container, frozen by somebody else, missing, or filled by
# the container itself with more levels than anybody wants.

load helpers

setup() {
    common_setup
    require_root
    make_bundle
}

# After a failed test nothing may stay frozen, or its processes would stay as well.
teardown() {
    if [ -n "${TESTID:-}" ]; then
        find /sys/fs/cgroup -path "*$TESTID*" -name freezer.state -exec sh -c 'echo THAWED >"$1"' - {} \; 2>/dev/null || true
        find /sys/fs/cgroup -path "*$TESTID*" -name cgroup.freeze -exec sh -c 'echo 0 >"$1"' - {} \; 2>/dev/null || true
    fi
    common_teardown
}

remove_dirs() { find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null || [ -z "$(cgroup_dirs "$1")" ]; }
unified() { echo "/sys/fs/cgroup$(is_cgroup2 || echo /unified)"; }
require_v2() { has_v2 || skip "no v2 hierarchy"; }
require_freezer() { [ -d /sys/fs/cgroup/freezer ] || skip "no v1 freezer"; }
at_path() { edit_config '.linux.cgroupsPath = $p' --arg p "$1"; }
no_pid_ns() { edit_config 'del(.linux.namespaces[] | select(.type == "pid"))'; }
ended() { ! kill -0 "$1" 2>/dev/null || [ "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)" = Z ]; }

# child_of PID: waits for its child, whose pid is in $pid then.
child_of() {
    a_child() { pid=$(pgrep -P "$1"); }
    wait_for 10 a_child "$1"
}
# Whether it waits in poll(2) now.
polls() { grep -q poll "/proc/$1/wchan"; }
no_hook() { ! pgrep -x -P "$1" sh; }

# stopped_and_next PATH PATH [SIGNAL]: $ID, at the first, has stopped; $ID-b runs at the second.
# With a shared pid namespace it is stopped by TERM: in a cgroup that was once killed as a whole, Linux kills whatever is
# cloned into it.
stopped_and_next() {
    set_args /bin/sleep 1000
    at_path "$1"
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok kill "$ID" "${3:-KILL}"
    wait_state "$ID" stopped
    at_path "$2"
    ok run --detach --bundle "$BUNDLE" "$ID-b"
}

b_lives() {
    sleep 0.1
    [ "$(state_of "$ID-b")" = running ] || fail "the other container was killed"
}

# ---- a path that is another container's by now ----

@test "delete of a stopped container leaves the one alone that has its cgroup now" {
    require_paths
    stopped_and_next "/$TESTID-p" "/$TESTID-p"
    ok kill --all "$ID" KILL
    b_lives
    ok delete "$ID"
    [[ $stderr == *"/$TESTID-p is in use by others: left alone"* ]] || fail "no warning: $stderr"
    b_lives
    ok exec "$ID-b" true
    ok delete --force "$ID-b"
    [ -z "$(cgroup_dirs "$TESTID-p")" ]
}

@test "delete --force of a stopped container leaves the one alone that lives below its cgroup" {
    require_paths
    stopped_and_next "/$TESTID-p" "/$TESTID-p/b"
    ok kill --all "$ID" TERM
    b_lives
    ok delete --force "$ID"
    b_lives
    ok delete --force "$ID-b"
    remove_dirs "$TESTID-p"
}

@test "delete of a stopped container with a shared pid namespace kills its own, and not another container" {
    require_paths
    no_pid_ns
    stopped_and_next "/$TESTID-p" "/$TESTID-p" TERM
    ok kill --all "$ID" KILL
    b_lives
    ok delete "$ID"
    b_lives
    ok delete --force "$ID-b"
    # without another one, what init left is ended
    set_args /bin/sh -c 'sleep 1000 & echo ready; exec sleep 1001'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -q ready "$OUT"
    ok kill "$ID" TERM
    wait_state "$ID" stopped
    ok delete "$ID"
    [[ $stderr != *"left alone"* ]]
    [ -z "$(cgroup_dirs "$TESTID-p")" ]
}

# ---- deeper than anybody wants ----

# Levels without end, by a program that steps down with relative names.
deep() {
    python3 - "$1" "$2" "${3:-}" <<'END'
import os, sys
os.chdir(sys.argv[1])
for i in range(int(sys.argv[2])):
    os.mkdir("d")
    os.chdir("d")
if sys.argv[3]:
    with open("cgroup.procs", "w") as f:
        f.write(sys.argv[3])
END
}

@test "cgroups over a thousand levels deep: listed, killed and removed" {
    require_v2
    local dir pid
    set_args /bin/sh -c 'sleep 1000 & exec sleep 1001'
    ok run --detach --bundle "$BUNDLE" "$ID"
    dir=$(unified)$(sed -n 's/^0:://p' "/proc/$(state_of "$ID" pid)/cgroup")
    child_of "$(state_of "$ID" pid)"
    deep "$dir" 1200 "$pid"
    [ "$(cat "$dir/cgroup.procs" | wc -l)" -eq 1 ]
    ok ps --format json "$ID"
    [ "$(jq length "$OUT")" -eq 2 ]
    ok kill --all "$ID" KILL
    wait_state "$ID" stopped
    wait_for 10 ended "$pid"
    ok delete "$ID"
    [ -z "$(cgroup_dirs "$ID")" ]
}

@test "cgroups that the container nests deeply do not keep it from being deleted" {
    edit_config '(.mounts[] | select(.destination == "/sys/fs/cgroup")).options -= ["ro"]'
    set_args /bin/sh -c 'for d in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/freezer /sys/fs/cgroup/pids; do
            [ -e $d/cgroup.procs ] && cd $d || continue; i=0; while [ $i -lt 100 ]; do mkdir d && cd d || break; i=$((i+1)); done
        done; echo made; sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 20 grep -q made "$OUT"
    [ "$(find /sys/fs/cgroup -path "*$ID*/d" | wc -l)" -ge 100 ]
    ok ps --format json "$ID"
    ok delete --force "$ID"
    [ -z "$(cgroup_dirs "$ID")" ]
}

# ---- frozen by somebody else ----

@test "a v1 freezer that the container froze below its own does not keep it alive" {
    require_freezer
    local dir pid how
    for how in "delete --force $ID" "kill --all $ID KILL" "kill $ID KILL"; do
        set_args /bin/sh -c 'sleep 1000 & exec sleep 1001'
        ok run --detach --bundle "$BUNDLE" "$ID"
        dir=$(cgroup_file "$ID" freezer sub -)
        child_of "$(state_of "$ID" pid)"
        mkdir -p "$dir/sub"
        echo "$pid" >"$dir/sub/cgroup.procs"
        echo FROZEN >"$dir/sub/freezer.state"
        echo FROZEN >"$dir/freezer.state"
        ok $how
        wait_for 5 ended "$pid"
        ok delete --force "$ID"
    done
    [ -z "$(cgroup_dirs "$ID")" ]
}

@test "exec where init went to a v2 cgroup that is frozen: refused at once; --ignore-paused waits, and SIGTERM ends that" {
    require_v2
    local dir
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    dir=$(unified)$(sed -n 's/^0:://p' "/proc/$(state_of "$ID" pid)/cgroup")
    mkdir "$dir/sub"
    state_of "$ID" pid >"$dir/sub/cgroup.procs"
    echo 1 >"$dir/sub/cgroup.freeze"
    [ "$(state_of "$ID")" = running ]
    fails 255 "cgroup $dir/sub is frozen" exec "$ID" true
    fails 255 "cgroup $dir/sub is frozen" exec --detach "$ID" true
    local how
    for how in "" --detach; do
        "$CTR" --root "$ROOT" exec $how --ignore-paused "$ID" sleep 2000 2>"$BATS_TEST_TMPDIR/waits" </dev/null 3>&- &
        local waits=$!
        two() { [ "$(wc -l <"$dir/sub/cgroup.procs")" -eq 2 ]; }
        wait_for 10 two
        wait_for 10 polls "$waits"
        kill -TERM "$waits"
        wait_for 10 ended "$waits"
        grep -q 'ended by signal 15' "$BATS_TEST_TMPDIR/waits"
        one() { [ "$(wc -l <"$dir/sub/cgroup.procs")" -eq 1 ]; }
        wait_for 10 one
    done
    echo 0 >"$dir/sub/cgroup.freeze"
    ok exec "$ID" true
    ok delete --force "$ID"
}

@test "a v1 freezer that somebody froze is a pause like any other" {
    require_freezer
    local dir
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    dir=$(dirname "$(cgroup_file "$ID" freezer freezer.state -)")
    echo FROZEN >"$dir/freezer.state"
    [ "$(state_of "$ID")" = paused ]
    fails 255 'cannot exec in a paused container' exec "$ID" true
    ok resume "$ID"
    [ "$(state_of "$ID")" = running ]
    [ "$(cat "$dir/freezer.state")" = THAWED ]
    ok exec "$ID" true
    ok delete --force "$ID"
}

@test "resume where a cgroup above is frozen says so at once" {
    require_paths
    require_v2
    local dir start
    dir=$(unified)/$TESTID-up
    set_args /bin/sleep 1000
    at_path "/$TESTID-up/one"
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok pause "$ID"
    echo 1 >"$dir/cgroup.freeze"
    start=$SECONDS
    fails 1 'a cgroup above it is frozen' resume "$ID"
    [ $((SECONDS - start)) -lt 5 ]
    fails 255 "cgroup $dir is frozen" exec "$ID" true
    echo 0 >"$dir/cgroup.freeze"
    ok exec "$ID" true
    if [ -d /sys/fs/cgroup/freezer ]; then
        dir=/sys/fs/cgroup/freezer/$TESTID-up
        echo FROZEN >"$dir/freezer.state"
        [ "$(state_of "$ID")" = paused ]
        fails 1 'a cgroup above it is frozen' resume "$ID"
        echo THAWED >"$dir/freezer.state"
        [ "$(state_of "$ID")" = running ]
    fi
    ok delete --force "$ID"
    remove_dirs "$TESTID-up"
}

@test "create below a frozen cgroup is refused with its path" {
    require_paths
    local dir what
    set_args /bin/true
    at_path "/$TESTID-up/one/two"
    for what in unified freezer; do
        dir=/sys/fs/cgroup/$what/$TESTID-up
        ! is_cgroup2 || dir=/sys/fs/cgroup/$TESTID-up
        [ -d "${dir%/*}" ] || continue
        mkdir "$dir"
        if [ -e "$dir/cgroup.freeze" ]; then echo 1 >"$dir/cgroup.freeze"; else echo FROZEN >"$dir/freezer.state"; fi
        fails 1 "cgroup $dir" create --bundle "$BUNDLE" "$ID"
        [[ $stderr == *"container's cgroup unexpectedly frozen"* ]]
        fails 1 "container's cgroup unexpectedly frozen" run --bundle "$BUNDLE" "$ID"
        [ -z "$(cgroup_dirs one | grep "$TESTID")" ]
        if [ -e "$dir/cgroup.freeze" ]; then echo 0 >"$dir/cgroup.freeze"; else echo THAWED >"$dir/freezer.state"; fi
        remove_dirs "$TESTID-up"
    done
}

@test "create that stands still ends with SIGTERM, and leaves nothing" {
    require_paths
    require_v2
    local dir how
    dir=$(unified)/$TESTID-up
    set_args /bin/sleep 1000
    at_path "/$TESTID-up/one"
    # a hook runs while the container is made: freezing there comes after every check
    edit_config '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", $c]}]' \
        --arg c "echo 1 >$dir/cgroup.freeze"
    for how in create run; do
        "$CTR" --root "$ROOT" "$how" --bundle "$BUNDLE" "$ID" 2>"$BATS_TEST_TMPDIR/waits" </dev/null 3>&- &
        local waits=$!
        frozen() { [ "$(cat "$dir/cgroup.freeze" 2>/dev/null)" = 1 ]; }
        wait_for 10 frozen
        # the hook has ended, and what is waited for is the container's init
        wait_for 10 no_hook "$waits"
        wait_for 10 polls "$waits"
        kill -TERM "$waits"
        wait_for 10 ended "$waits"
        grep -q 'ended by signal 15 before the container was made' "$BATS_TEST_TMPDIR/waits"
        echo 0 >"$dir/cgroup.freeze"
        assert_leak_free_but_up() { [ -z "$(cgroup_dirs one | grep "$TESTID")" ] && [ -z "$(ls "$ROOT")" ]; }
        assert_leak_free_but_up
    done
    remove_dirs "$TESTID-up"
}

# ---- none at all ----

@test "kill --all without a cgroup ends the container; what cannot be reached is said" {
    local CTR_GLOBALS=
    set_args /bin/sleep 1000
    ok --cgroup-manager disabled run --detach --bundle "$BUNDLE" "$ID"
    ok kill --all "$ID" KILL
    [ -z "$stderr" ]
    wait_state "$ID" stopped
    ok kill --all "$ID" KILL
    ok delete "$ID"
    no_pid_ns
    set_args /bin/sh -c 'trap "echo got >/tmp/got" USR1; echo ready; while :; do sleep 0.05; done'
    ok --cgroup-manager disabled run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -q ready "$OUT"
    ok kill --all "$ID" USR1
    [[ $stderr == *"no cgroup: only its first process"* ]]
    wait_for 10 grep -q got "$BUNDLE/rootfs/tmp/got"
    ok kill --all "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
}
