#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The checks must be able to fail: each rule is broken once in a small tree made for it.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d "${TMPDIR:-/tmp}/ctr-lint.XXXXXX")
trap 'rm -rf "$tree"' EXIT
failed=0
spdx='/* SPDX-License-Identifier: Apache-2.0 */'

fresh() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/{runtime/base,oci,namespaces,cgroups,netns,microvm,cli,tests/unit,tests/lint,docs}
    echo "$spdx" >"$tree/runtime/base/err.h"
    echo "$spdx" >"$tree/runtime/ctr.h"
    echo "$spdx" >"$tree/oci/spec.h"
    echo "$spdx" >"$tree/cgroups/cg.h"
    put cli/main.c '#include "runtime/ctr.h"' 'int main(void)' '{' $'\texit(0);' '}'
}
put() {
    local file=$tree/$1
    shift
    printf '%s\n' "$spdx" "$@" >"$file"
}
# expect CHECK pass|TEXT: the check passes, or fails with TEXT in its output.
expect() {
    local out rc=0
    out=$(sh "$here/$1.sh" "$tree" 2>&1) || rc=$?
    if [ "$2" = pass ]; then
        [ "$rc" -eq 0 ] && return
    else
        [ "$rc" -ne 0 ] && [[ $out == *"$2"* ]] && return
    fi
    echo "$1: expected: $2; got $rc: ${out:-nothing}"
    failed=1
}
body() { for ((i = 0; i < $1; i++)); do printf '\tx++;\n'; done; }

fresh
expect check_layers pass
expect check_sizes pass
expect check_format pass
put oci/a.c '#include "runtime/ctr.h"';             expect check_layers 'points up'; fresh
put netns/a.c '#include "cgroups/cg.h"';            expect check_layers 'siblings'; fresh
put runtime/a.c '#include "../oci/spec.h"';         expect check_layers 'without dots'; fresh
put runtime/a.c '#include "ctr.h"';                 expect check_layers pass; fresh
put oci/a.c '#include "ctr.h"';                     expect check_layers 'points up'; fresh
put cgroups/a.c '#include "cg.h"';                  expect check_layers 'by folder'; fresh
put runtime/seccomp.h '';                           put runtime/a.c '#include "seccomp.h"'
expect check_layers pass; fresh
put runtime/seccomp.h '#include <seccomp.h>';       expect check_layers 'libseccomp'; fresh
put runtime/a.c '#include "yajl/yajl_tree.h"';      expect check_layers 'not a folder'; fresh
put runtime/a.c '#include "runtime/none.h"';        expect check_layers 'no such header'; fresh
put runtime/a.c '#include "runtime/base/err.h"';    expect check_layers 'write "base/'; fresh
put oci/spec.c '#include <yajl/yajl_tree.h>';       expect check_layers 'yajl'; fresh
put oci/json.c '#include <yajl/yajl_tree.h>';       expect check_layers pass; fresh
put runtime/a.c '#include <seccomp.h>';             expect check_layers 'libseccomp'; fresh
put runtime/seccomp_bpf.c '#include <seccomp.h>';   expect check_layers pass; fresh
put runtime/a.c '#include <sys/capability.h>';      expect check_layers 'libcap'; fresh
put runtime/a.c '#include <libmnl/libmnl.h>';       expect check_layers 'libmnl'; fresh
put runtime/a.c '#include <cmocka.h>';              expect check_layers 'cmocka'; fresh

put oci/a.c "$(body 599)";                          expect check_sizes pass; fresh
put oci/a.c "$(body 600)";                          expect check_sizes 'file of 601 lines'; fresh
put oci/a.c 'int f(void)' '{' "$(body 58)" '}';     expect check_sizes pass; fresh
put oci/a.c 'int f(void)' '{' "$(body 59)" '}';     expect check_sizes 'function of 61 lines'; fresh
put oci/a.c '/* lint: long because one table of stages */' 'int f(void)' '{' "$(body 59)" '}'
expect check_sizes pass; fresh
put oci/a.c '/* lint: long because */' 'int f(void)' '{' "$(body 59)" '}'
expect check_sizes 'function of 61 lines'; fresh
put oci/a.c '/* lint: long because one table of stages */' 'int f(void)' '{' '}' '' \
    'int g(void)' '{' "$(body 59)" '}'
expect check_sizes 'function of 61 lines'; fresh
put oci/a.c 'int f(void) {' '}';                    expect check_sizes 'own line'; fresh
put oci/a.c 'static const int a[] = {' "$(body 80)" '};'; expect check_sizes pass; fresh

put oci/a.c 'int a; ';                              expect check_format 'trailing'; fresh
put oci/a.c '        int a;';                       expect check_format 'indent with tabs'; fresh
put oci/a.c "$(printf 'int %0120d;' 0)";            expect check_format 'columns'; fresh
echo 'int a;' >"$tree/oci/a.c";                     expect check_format 'SPDX'; fresh
put oci/a.c 'int f(void)' '{' $'\texit(1);' '}';    expect check_format 'no way out'; fresh
put oci/a.c 'int f(void)' '{' $'\t_exit(1);' '}';   expect check_format 'no _exit'; fresh
put runtime/a.c 'int f(void)' '{' $'\t_exit(1);' '}'; expect check_format pass; fresh
put oci/a.c '/* exit(1) and "printf(" are text */'; expect check_format pass; fresh
put oci/a.c 'int f(void)' '{' $'\tprintf("x");' '}'; expect check_format 'no printing'; fresh
put oci/a.c "/* see $tree/x */";                    expect check_format 'one machine'; fresh
printf 'secretword\n' >"$tree.words"
echo 'a secretword' >"$tree/docs/a.md"
CTR_LINT_WORDS=$tree.words expect check_format 'one machine'; fresh
rm -f "$tree.words"

# spec FIELD ROW TITLE EXPECT: a specification of one field, a table of one row and one test.
spec() {
    mkdir -p "$tree/tests/data/bad" "$tree/tests/e2e"
    echo "$1" >"$tree/tests/data/schema-fields.txt"
    printf '%b\n' "$2" >"$tree/tests/data/spec-support.tsv"
    printf '@test "%s" {\n' "$3" >"$tree/tests/e2e/a.bats"
    echo 'config.json: f.g[3]: why not' >"$tree/tests/data/bad/a.expect"
    python3 "$here/../tools/spec_support.py" "$tree" >/dev/null
    expect check_spec "$4"
    fresh
}
spec f.g 'f.g\thow\ta.bats: t' t pass
spec f.g 'f.g\thow\ta.bats: t' u 'no such test'
spec f.g 'f.g\ta.bats: t' t 'not FIELD, HOW, TEST'
spec f.g '# f.g\thow\ta.bats: t' t 'no row'
spec f.h 'f.h\thow\ta.bats: t' t 'no wrong value'
spec f.g 'f.g\thow\ta.bats: t\nx\thow\ta.bats: t' t 'no field of the specification'
exit "$failed"
