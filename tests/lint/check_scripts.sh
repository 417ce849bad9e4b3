#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check_scripts.sh [TREE]: every shell script parses; no end-to-end test has an assertion that cannot fail.
set -eu
cd "${1:-$(dirname "$0")/../..}"
failed=0
for f in $(find tests .ci -type f \( -name '*.sh' -o -name '*.bash' -o -path .ci/run \) | sort); do
    case "$f $(head -n 1 "$f")" in
    *bash*) bash -n "$f" || failed=1 ;;
    *) sh -n "$f" || failed=1 ;;
    esac
done
# errexit does not see a command behind "!": in the middle of a test it asserts nothing without its own "|| fail".
for f in tests/e2e/*.bats; do
    [ -e "$f" ] || continue
    awk -v f="$f" '
        held != "" && $0 !~ /^ *(}|\|\||&&|grep|! )/ { print f ":" line ": without an effect: " held; bad = 1 }
        { held = "" }
        /^ +! / && $0 !~ /\|\| |'"\047"'$|(&&|\|\||\||\\)$/ { held = $0; line = NR }
        END { exit bad }' "$f" || failed=1
done
exit "$failed"
