#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check_sizes.sh [TREE]: no file over 600 lines, no function over 60 lines (from its opening to its
# closing brace) unless the lines right before it give the reason: "lint: long because ...".
set -eu
cd "${1:-$(dirname "$0")/../..}"

find runtime oci namespaces cgroups netns microvm cli tests \
    \( -name '*.[ch]' -o -name '*.sh' -o -name '*.bash' -o -name '*.bats' -o -name '*.py' \) 2>/dev/null |
    sort | xargs -r awk -v max_file=600 -v max_func=60 '
function bad(line, text) { printf "%s:%d: %s\n", file, line, text; failed = 1 }
function end_of_file() {
    if (file == "") return
    if (lines > max_file) bad(lines, "file of " lines " lines, the limit is " max_file)
    if (start) bad(start, "function never closed: " name)
}
# A word or two after "because" is a reason; "because" alone is none.
function gives_reason(text) { return text ~ /lint: long because [^*]*[A-Za-z]+ +[A-Za-z]+/ }

FNR == 1 { end_of_file(); file = FILENAME; start = 0; above = ""; name = "" }
{ lines = FNR }
file !~ /\.[ch]$/ { next }

# In kernel style a function opens with a brace alone in the first column and ends with one: strings,
# comments and preprocessor lines inside cannot look like that.
/^\{/ && !start {
    start = FNR
    reason = gives_reason(above)
    next
}
/^}/ && start {
    size = FNR - start + 1
    if (size > max_func && !reason)
        bad(start, "function of " size " lines, the limit is " max_func ": " name)
    start = 0; above = ""; name = ""
    next
}
start { next }

# Initialisers and types end with "{" too, functions end with ") {".
/^[A-Za-z_].*\)[ \t]*\{[ \t]*$/ && !/=/ && !/^(struct|union|enum) [a-z_]* \{/ {
    bad(FNR, "the opening brace of a function stands on its own line")
}
/^[ \t]*$/ || /^}/ { above = ""; name = ""; next }
/;[ \t]*$/ && !/^[ \t]*\*/ { above = ""; name = ""; next }
{
    above = above " " $0
    if ($0 ~ /^[A-Za-z_].*\(/) name = $0
}
END { end_of_file(); exit failed }
'
