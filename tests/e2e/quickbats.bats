#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The runner that takes the place of bats in the test machine: it must see what bats sees.

setup() {
    QUICK=$BATS_TEST_DIRNAME/../vm/quickbats
    mkdir -p "$BATS_TEST_TMPDIR/t"
    cat >"$BATS_TEST_TMPDIR/t/help.bash" <<'HELP'
deep() { deeper "$@"; echo not reached; }
deeper() { false; true; }
HELP
}

# verdict NAME WANT BODY [TEARDOWN]: how a file of one test ends, with both runners.
verdict() {
    local runner out
    printf '%s\n' 'load help' "teardown() { ${4:-:}; }" '@test "it" {' "$3" '}' >"$BATS_TEST_TMPDIR/t/x.bats"
    for runner in bats "$QUICK"; do
        out=$("$runner" --tap "$BATS_TEST_TMPDIR/t/x.bats" 2>&1 3>&-) && rc=0 || rc=$?
        out=$(grep -E '^(not )?ok' <<<"$out")
        [ "$out/$rc" = "$2" ] || { echo "$1 with $runner: \"$out/$rc\", not \"$2\""; return 1; }
    done
}

@test "quickbats: what fails with bats fails, what passes passes" {
    verdict passes 'ok 1 it/0' 'true'
    verdict "a command" 'not ok 1 it/1' $'false\ntrue'
    verdict "a condition" 'not ok 1 it/1' $'[ 1 = 2 ]\n[ 1 = 1 ]'
    verdict "in a function" 'not ok 1 it/1' $'deep\ntrue'
    verdict "in the last line" 'not ok 1 it/1' '[ 1 = 2 ]'
    verdict "a substitution" 'not ok 1 it/1' $'x=$(false)\ntrue'
    verdict "what is handled" 'ok 1 it/0' 'false || true'
    verdict "a skipped one" 'ok 1 it # skip for this reason/0' $'skip "for this reason"\nfalse'
    verdict "in teardown" 'not ok 1 it/1' true 'return 1'
    verdict "an early end" 'not ok 1 it/1' $'exit 0'
}
