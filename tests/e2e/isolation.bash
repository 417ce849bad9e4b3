# SPDX-License-Identifier: Apache-2.0
#
# For the tests of mounts and of attacks: a directory $SRC of the host, what the container's mountinfo says, a
# host that must not change, and a racer. To be loaded after helpers.

MAP_64K='.linux.uidMappings = [{containerID: 0, hostID: 200000, size: 65536}]
    | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 65536}]
    | .linux.namespaces += [{type: "user"}]'
RACE_SECONDS=${RACE_SECONDS:-1}

setup() {
    common_setup
    require_root
    SRC=$BATS_TEST_TMPDIR/src
    mkdir "$SRC"
}

# Host mounts that a test made are gone before the leak check, even those in each other. A test that was skipped before it
# had a directory has made none: everything begins with nothing.
teardown() {
    local m
    race_end
    rm -f "/dev/shm/${TESTID:-none}" # the host's device of two tests
    for m in $([ -z "${SRC:-}" ] || awk -v d="$SRC/" 'index($5 "/", d) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
        umount -l "$m"
    done
    common_teardown
}

# ---- mounts ----

# add_mount DESTINATION TYPE SOURCE OPTION...
add_mount() {
    edit_config '.mounts += [{destination: $d, options: $ARGS.positional}
        + (if $t == "" then {} else {type: $t} end) + (if $s == "" then {} else {source: $s} end)]' \
        --arg d "$1" --arg t "$2" --arg s "$3" --args -- "${@:4}"
}

bind() { add_mount "$1" bind "$2" bind "${@:3}"; }

drop_mounts() { # those at or below PREFIX
    edit_config '.mounts |= map(select(.destination | startswith($p) | not))' --arg p "$1"
}

# What the last run printed of the container's mountinfo about a mount point; the topmost one.
info() { awk -v p="$1" '$5 == p { l = $0 } END { print l }' "$OUT"; }
opts() { info "$1" | cut -d' ' -f6; }
super() { info "$1" | sed 's/.* - //' | cut -d' ' -f3; }
fstype() { info "$1" | sed 's/.* - //' | cut -d' ' -f1; }
# shared:N master:N unbindable, without the numbers
prop() { info "$1" | sed 's/ - .*//' | cut -d' ' -f7- | sed 's/:[0-9]*//g'; }

has() { [[ ,$2, == *,"$1",* ]] || fail "no $1 in $2"; }
has_not() { [[ ,$2, != *,"$1",* ]] || fail "$1 in $2"; }

show_mounts() {
    run_sh "${1:+$1; }cat /proc/self/mountinfo"
    [ "$status" -eq 0 ] || fail "run: $status"
}

# ---- attacks ----

# The attackers' programs, in setup_file.
attack_tools() {
    local src=$BATS_TEST_DIRNAME/helpers_src
    command -v gcc >/dev/null || return 0
    gcc -D_GNU_SOURCE -O2 -static -o "$BATS_FILE_TMPDIR/race" "$src/race.c"
    gcc -D_GNU_SOURCE -O2 -static -o "$BATS_FILE_TMPDIR/overwrite" "$src/overwrite.c"
    gcc -D_GNU_SOURCE -O2 -shared -fPIC -DPRELOADED -o "$BATS_FILE_TMPDIR/overwrite.so" "$src/overwrite.c"
}

# The host's side, which no attack may change: a directory and a file.
canary() {
    CANARY=$BATS_TEST_TMPDIR/canary
    mkdir -p "$CANARY/dir"
    echo untouched >"$CANARY/file"
    ls -lAR --time-style=full-iso "$CANARY" >"$BATS_TEST_TMPDIR/canary.before"
}

canary_untouched() {
    ls -lAR --time-style=full-iso "$CANARY" | diff "$BATS_TEST_TMPDIR/canary.before" - || fail 'the host was changed'
    [ "$(cat "$CANARY/file")" = untouched ]
    mounts_left
    local mnt
    for mnt in "${LEFT[@]}"; do
        [[ $mnt == "$SRC"* ]] || fail "mounted on the host: $mnt"
    done
}

# race_begin A B: exchanges A and B until race_end.
race_begin() {
    [ -x "$BATS_FILE_TMPDIR/race" ] || skip 'no compiler for the racer'
    "$BATS_FILE_TMPDIR/race" "$1" "$2" 3>&- &
    RACER=$!
}

race_end() {
    [ -z "${RACER:-}" ] || { kill "$RACER" && wait "$RACER"; } 2>/dev/null || true
    RACER=
}

# race_runs CHECK: runs the container again and again while the racer is at it. CHECK looks at what a run that came
# to its program printed. Sets $DONE and $REFUSED.
race_runs() {
    local begin=$SECONDS
    DONE=0 REFUSED=0
    # SECONDS ticks with the clock on the wall: the first is not a whole one. Where all were refused, some more.
    while [ $((SECONDS - begin)) -le "$RACE_SECONDS" ] || { [ "$DONE" -eq 0 ] && [ $((SECONDS - begin)) -lt "${RACE_UNTIL_DONE:-0}" ]; }; do
        RUNS=0
        rm -f "$BATS_TEST_TMPDIR"/out.1 "$BATS_TEST_TMPDIR"/err.1
        ctr run --bundle "$BUNDLE" "$ID"
        if [ "$status" -eq 0 ]; then
            DONE=$((DONE + 1))
            "$@" || return 1
        else
            # refused in one line, or the program found nothing: never a crash
            REFUSED=$((REFUSED + 1))
            [ "$status" -lt 128 ] || fail "status $status"
        fi
    done
    kill -0 "$RACER" || fail 'the racer has ended'
    echo "done $DONE, refused $REFUSED"
    [ $((DONE + REFUSED)) -gt 0 ]
}

# In the mountinfo that the program printed, nothing of the host's below PATH is mounted: what IN_ROOT made of the
# name is below the bundle and has a longer name.
no_mount_of() { ! awk -v p="$1" 'index($4, p) == 1' "$OUT" | grep .; }
