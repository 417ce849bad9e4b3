#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What `make demo` shows: a shell inside a copy-on-write clone of this machine, which has its own name,
# processes and limits, and cannot change the machine.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
CTR=${BUILD:-build}/ctr
mark=/etc/ctr-demo.$$

if [ "$(id -u)" -ne 0 ]; then
    echo "demo: a clone of this machine's root needs root: sudo make demo" >&2
    exit 1
fi

inside='
say() { printf "\n\033[1m# %s\033[0m\n" "$*"; }
# The value of a limit of the own cgroup: $1 its controller, $2 its v1 file, $3 its v2 file.
limit() {
    for f in "/sys/fs/cgroup/$3" "/sys/fs/cgroup/$1/$2" "/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/self/cgroup)/$3" \
        "/sys/fs/cgroup/$1$(sed -n "s/^[0-9]*:[^:]*\b$1\b[^:]*://p" /proc/self/cgroup)/$2"; do
        [ -r "$f" ] || continue
        echo "$f: $(cat "$f")"
        return 0
    done
    echo "limit of $1 not found in /sys/fs/cgroup"
    return 1
}
say hostname
cat /proc/sys/kernel/hostname
say "the processes it sees"
if command -v ps >/dev/null; then
    ps -e -o pid,ppid,user,args | cut -c 1-72
else
    for p in /proc/[0-9]*; do echo "${p#/proc/} $(tr "\0" " " <"$p/cmdline" 2>/dev/null)"; done
fi
say "its own limits: 256 MiB of memory, 100 processes"
limit memory memory.limit_in_bytes memory.max || exit 1
limit pids pids.max pids.max || exit 1
say "a file written in /etc of the clone"
echo "written inside $(cat /proc/sys/kernel/hostname)" >"$1" || exit 1
ls -l "$1"
cat "$1"
'

echo "# ctr run --clone -m 256m --pids-limit 100 demo /bin/sh -c ..."
rc=0
"$CTR" run --clone -m 256m --pids-limit 100 demo /bin/sh -c "$inside" sh "$mark" || rc=$?
if [ "$rc" -ne 0 ]; then
    echo "demo: the clone ended with status $rc" >&2
    exit "$rc"
fi

printf '\n# and on the host, %s:\n' "$(cat /proc/sys/kernel/hostname)"
if [ -e "$mark" ]; then
    echo "demo: the clone wrote to the host: $mark" >&2
    exit 1
fi
echo "$mark does not exist"
