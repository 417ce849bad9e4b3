#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check_format.sh [TREE]: white space, columns, licence line, no way out of the process below cli/,
# nothing that belongs to one person's machine.
set -eu
cd "${1:-$(dirname "$0")/../..}"

c_files=$(find runtime oci namespaces cgroups netns microvm cli tests -name '*.[ch]' 2>/dev/null | sort)
texts=$(find runtime oci namespaces cgroups netns microvm cli tests docs .ci Makefile README.md \
    .clang-format .editorconfig .gitignore -type f ! -path '*/data/*' ! -name '*.patch' 2>/dev/null | sort)
failed=0

# awk's exit status 1 is "something was printed", which set -e must not take for a crash.
check() { "$@" || failed=1; }

# shellcheck disable=SC2086 # lists of words
[ -z "$texts" ] || check awk '
function bad(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; failed = 1 }
/[ \t]+$/ { bad("trailing white space") }
/\r/ { bad("carriage return") }
END { exit failed }' $texts

# The form is 100 columns, as `make format` keeps it. Texts in quotes are not broken, so that they can be searched for:
# they do not count.
# shellcheck disable=SC2086
[ -z "$c_files" ] || check awk -v wall="${LINT_COLUMNS:-100}" '
function bad(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; failed = 1 }
function columns(s,   i, n) {
    n = 0
    for (i = 1; i <= length(s); i++)
        n = substr(s, i, 1) == "\t" ? n + 8 - n % 8 : n + 1
    return n
}
# The line without what stands in quotes, nor the end of a line of a macro.
function unquoted(s) {
    gsub(/\\./, "", s)
    gsub(/"[^"]*"/, "\"\"", s)
    sub(/[ \t]*\\$/, "", s)
    return s
}
# The line without what stands in quotes and without comments, which may say anything.
function code(s) {
    gsub(/\\./, "", s)
    gsub(/"[^"]*"/, "\"\"", s)
    if (in_comment) {
        if (s !~ /\*\//) return ""
        sub(/^.*\*\//, "", s)
        in_comment = 0
    }
    gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", s)
    sub(/\/\/.*/, "", s)
    if (s ~ /\/\*/) { in_comment = 1; sub(/\/\*.*/, "", s) }
    return s
}
FNR == 1 {
    in_comment = 0
    base = FILENAME ~ /^runtime\/base\//
    below_cli = FILENAME !~ /^(cli|tests)\//
    if ($0 != "/* SPDX-License-Identifier: Apache-2.0 */")
        bad("the first line is not /* SPDX-License-Identifier: Apache-2.0 */")
}
/^ +\t/ { bad("spaces before a tab") }
/^\t*        / { bad("indent with tabs") }
columns($0) > wall && columns(unquoted($0)) > wall && !/https?:\/\// { bad("line of " columns($0) " columns, the limit is " wall) }
{
    c = code($0)
    if (below_cli) {
        if (c ~ /(^|[^A-Za-z0-9_])(exit|_Exit|quick_exit|abort)[ \t]*\(/)
            bad("no way out of the process below cli/")
        # A forked child of these must use _exit; the rest never forks.
        if ((base || FILENAME ~ /^(oci|cgroups)\//) && c ~ /(^|[^A-Za-z0-9_])_exit[ \t]*\(/)
            bad("no _exit here")
        if (c ~ /(^|[^A-Za-z0-9_])(printf|vprintf|puts|putchar|perror)[ \t]*\(/ ||
            c ~ /(^|[^A-Za-z0-9_])f(printf|puts)[ \t]*\(.*std(out|err)/)
            bad("no printing below cli/")
    }
    if (c ~ /^[ \t]*typedef[ \t]+(struct|union)/) bad("struct, not typedef")
}
END { exit failed }' $c_files

# The place where this copy happens to lie, and home directories, have no business in the text. More words, one a
# line, can be named by a file outside of the tree.
here=$(pwd -P)
words=$(case $here in /*/*) printf '%s\n' "$here" ;; esac)
[ -z "${CTR_LINT_WORDS:-}" ] || words="$words
$(cat "$CTR_LINT_WORDS")"
if [ -n "$texts" ]; then
    # shellcheck disable=SC2086
    if [ -n "$words" ] && printf '%s\n' "$words" | sed '/^$/d' | grep -nFf - $texts /dev/null; then
        echo "(a path or name of one machine)"
        failed=1
    fi
    # shellcheck disable=SC2086
    if grep -nE '/home/[a-z][a-z0-9_-]+/' $texts /dev/null; then
        echo "(a home directory)"
        failed=1
    fi
fi
exit "$failed"
