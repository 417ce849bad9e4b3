#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check_layers.sh [TREE]: includes point down only, and each library has one includer.
#
#   cli -> runtime -> { namespaces | cgroups | netns | microvm } -> oci -> runtime/base
set -eu
cd "${1:-$(dirname "$0")/../..}"

find runtime oci namespaces cgroups netns microvm cli tests -name '*.[ch]' 2>/dev/null | sort |
    xargs -r awk '
# The layer of a path inside the tree; 0 when it has none (tests may include anything).
function layer(p) {
    if (p ~ /^runtime\/base\//) return 1
    if (p ~ /^oci\//) return 2
    if (p ~ /^(namespaces|cgroups|netns|microvm)\//) return 3
    if (p ~ /^runtime\//) return 4
    if (p ~ /^cli\//) return 5
    return 0
}
function top(p) { sub(/\/.*/, "", p); return p }
function bad(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; failed = 1 }
function exists(p,   line, ok) { ok = (getline line < p) >= 0; close(p); return ok }

function library(h) {
    if (h ~ /^(yajl\/|yajl_)/ && FILENAME !~ /^oci\/json[a-z_]*\.c$/)
        bad("yajl is included by oci/json*.c only: <" h ">")
    if (h ~ /^(libmnl|libnftnl)\// && FILENAME !~ /^netns\//)
        bad("libmnl and libnftnl are included by netns/ only: <" h ">")
    if (h ~ /^sys\/(capability|psx_syscall)\.h$/ && FILENAME != "runtime/caps.c")
        bad("libcap is included by runtime/caps.c only: <" h ">")
    # the private headers of runtime/seccomp*.c count as these
    if (h == "seccomp.h" && FILENAME !~ /^(runtime\/seccomp[a-z_]*\.c|runtime\/seccomp_[a-z_]+\.h|microvm\/jail\.c)$/)
        bad("libseccomp is included by runtime/seccomp*.c and microvm/jail.c only")
    if (h == "cmocka.h" && FILENAME !~ /^tests\//)
        bad("cmocka is included by tests/ only")
}

function project(h,   target, from, to) {
    if (h ~ /(^|\/)\.\.?\//) { bad("include by folder, without dots: \"" h "\""); return }
    target = (h ~ /^base\//) ? "runtime/" h : h
    if (h ~ /^runtime\/base\//) bad("write \"base/...\": \"" h "\"")
    from = layer(FILENAME)
    if (from == 0) return
    # -iquote runtime: runtime/ctr.h is "ctr.h" to runtime and cli
    if (target !~ /\// && exists("runtime/" target)) target = "runtime/" target
    if (target !~ /\//) { bad("include by folder: \"" h "\""); return }
    to = layer(target)
    if (to == 0) { bad("not a folder of the program: \"" h "\""); return }
    if (!exists(target)) { bad("no such header: \"" h "\""); return }
    if (to > from) bad("include points up: \"" h "\"")
    else if (to == from && top(target) != top(FILENAME)) bad("siblings include each other: \"" h "\"")
}

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    quoted = ($0 ~ /include[ \t]*"/)
    h = $0
    sub(/^[^<"]*[<"]/, "", h)
    sub(/[>"].*/, "", h)
    if (quoted) project(h)
    else library(h)
}
END { exit failed }
'
