#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check_spec.sh [TREE]: every field of the specification has a row in the table of support, which names a test that
# exists, and a wrong value in the corpus.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec python3 "$here/../tools/spec_support.py" --check "${1:-$here/../..}"
