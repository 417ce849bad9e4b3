#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check_scripts.sh [TREE]: every shell script parses.
set -eu
cd "${1:-$(dirname "$0")/../..}"
failed=0
for f in $(find tests .ci -type f \( -name '*.sh' -o -name '*.bash' -o -path .ci/run \) | sort); do
    case $(head -n 1 "$f") in
    *bash*) bash -n "$f" || failed=1 ;;
    *) sh -n "$f" || failed=1 ;;
    esac
done
exit "$failed"
