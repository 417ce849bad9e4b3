#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [PART...] [FILTER]: runs the tests that `make check` has built.
#
# PART is one or more of: lint unit unit-asan fuzz e2e e2e-asan e2e-vm vm vm-kvm engines; all but vm-kvm
# without any. FILTER is a part of a test file's path. The last line is "N passed, N failed, N skipped"; the exit status is 1 when anything failed.
# Logs are kept in $BUILD/test-logs.
#
# Environment: BUILD (build), TEST_LOGS ($BUILD/test-logs), UNIT_DEADLINE and E2E_DEADLINE (seconds a file), E2E_JOBS
# (files at a time: a processor each), E2E_FILES (names, in this order; default all), E2E_RUNNER (bats), CTR_TESTED ($BUILD/ctr),
# FUZZ_CHECK_SECONDS (60), KEEP_TMP=1, CTR_OCI_SCHEMA: the folder "schema" of the runtime specification, for the tests
# against it.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
UNIT_DEADLINE=${UNIT_DEADLINE:-120}
E2E_DEADLINE=${E2E_DEADLINE:-300}
E2E_JOBS=${E2E_JOBS:-$(nproc)}
# Where a checkout of the specification's schema is kept beside this tree, it is used.
[ -n "${CTR_OCI_SCHEMA:-}" ] || [ ! -d ../shared/oci-schema ] || CTR_OCI_SCHEMA=$(cd ../shared/oci-schema && pwd)
export CTR_OCI_SCHEMA=${CTR_OCI_SCHEMA:-}
[ -n "$CTR_OCI_SCHEMA" ] || unset CTR_OCI_SCHEMA
LOGS=${TEST_LOGS:-$BUILD/test-logs}
TMP=
passed=0 failed=0 skipped=0
skips=() failures=()
export LC_ALL=C.UTF-8

# What a sanitizer found ends the program with a status that no test expects.
export ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99:detect_stack_use_after_return=0:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:exitcode=99}

note_pass() { passed=$((passed + 1)); }
note_fail() { failed=$((failed + 1)); failures+=("$1"); }
note_skip() { skipped=$((skipped + 1)); skips+=("$1"); }

# ---- lint ----
lint_one() {
    local name=$1 log rc=0
    shift
    log=$LOGS/lint-$name.log
    timeout -k 5 120 "$@" >"$log" 2>&1 || rc=$?
    if [ "$rc" -eq 0 ]; then
        note_pass
        echo "ok     lint $name"
    else
        note_fail "lint $name"
        echo "FAILED lint $name"
        sed 's/^/    /' "$log"
    fi
}

run_lint() {
    local check
    for check in tests/lint/check_*.sh; do
        check=${check##*/}
        lint_one "${check%.sh}" sh "tests/lint/$check"
    done
    lint_one selftest bash tests/lint/selftest.sh
    # cppcheck does not know the cleanup attribute (its leaks are none) and takes _exit() for a predicate.
    if command -v cppcheck >/dev/null; then
        mkdir -p "$BUILD/cppcheck"
        lint_one cppcheck cppcheck --quiet --enable=warning,portability --error-exitcode=1 --inline-suppr \
            --std=c11 --language=c --library=posix --cppcheck-build-dir="$BUILD/cppcheck" -j "$(nproc)" \
            -D_GNU_SOURCE -D__x86_64__ -D__linux__ -I. -Iruntime --suppress=missingInclude \
            --suppress=missingIncludeSystem --suppress=unmatchedSuppression --suppress=resourceLeak \
            --suppress=memleak --suppress=readdirCalled --suppress=invalidFunctionArgBool --template=gcc \
            runtime oci namespaces cgroups netns microvm cli
    else
        note_skip "lint cppcheck: cppcheck is not installed"
    fi
}

# ---- TAP ----
# tap_result NAME LOG RC: counts the lines of a finished TAP log and judges the exit status with them.
tap_result() {
    local name=$1 log=$2 rc=$3 line title said= bad=0 seen=0 plan=
    while IFS= read -r line; do
        case $line in
        1..[0-9]*)
            plan=${line#1..}
            plan=${plan%%[!0-9]*}
            ;;
        "ok "* | "not ok "*)
            seen=$((seen + 1))
            title=${line#not }
            title=${title#ok }
            title=${title#"${title%%[!0-9]*} "}
            title=${title#- }
            # cmocka marks a skipped test as "not ok N # SKIP name", bats as "ok N name # skip reason"
            if [[ $line =~ \#\ [sS][kK][iI][pP](\ (.*))?$ ]]; then
                # cmocka has no reason in its line: what the test printed last is taken for it
                [[ $title != "# SKIP "* ]] || title="${title#"# SKIP "}: ${said:-no reason given}"
                title=${title/ # skip/:}
                note_skip "$name: $title"
            elif [[ $line == "not ok "* ]]; then
                note_fail "$name: $title"
                bad=1
            else
                note_pass
            fi
            said=
            ;;
        *) said=$line ;;
        esac
    done <"$log"
    if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
        note_fail "$name: ended by its deadline after $seen tests"
        bad=1
    elif [ -n "$plan" ] && [ "$seen" -lt "$plan" ] || [ -z "$plan" ]; then
        note_fail "$name: $seen of ${plan:-?} tests reported, exit status $rc"
        bad=1
    elif [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; then
        note_fail "$name: exit status $rc although no test failed"
        bad=1
    fi
    return "$bad"
}

# ---- unit ----
run_unit() {
    local label=$1 build=$2 src name log rc before
    local any=
    for src in tests/unit/*/test_*.c; do
        [ -e "$src" ] || continue
        [[ $src == *"$FILTER"* ]] || continue
        any=1
        name="$label ${src#tests/unit/}"
        name=${name%.c}
        log=$LOGS/${name//[ \/]/-}.log
        if [ ! -x "$build/${src%.c}" ]; then
            note_fail "$name: not built: $build/${src%.c}"
            echo "FAILED $name (not built)"
            continue
        fi
        rc=0
        before=$passed
        CMOCKA_MESSAGE_OUTPUT=TAP TMPDIR=$TMP timeout -k 5 "$UNIT_DEADLINE" \
            "$build/${src%.c}" </dev/null >"$log" 2>&1 || rc=$?
        if tap_result "$name" "$log" "$rc"; then
            echo "ok     $name ($((passed - before)))"
        else
            echo "FAILED $name"
            sed 's/^/    /' "$log"
        fi
    done
    [ -n "$any" ] || [ -n "$FILTER" ] || note_fail "$label: no unit test found"
}

# ---- fuzzers ----
run_fuzz() {
    local log=$LOGS/fuzz.log
    if [ -n "$FILTER" ]; then
        return
    elif [ ! -x "$BUILD/fuzz/fuzz_config" ]; then
        note_skip "fuzz: not built: there is no clang with libFuzzer here"
    elif sh tests/fuzz/run.sh "$BUILD/fuzz" "${FUZZ_CHECK_SECONDS:-60}" >"$log" 2>&1; then
        note_pass
        sed 's/^/ok     fuzz /' "$log"
    else
        note_fail "fuzz"
        sed 's/^/    /' "$log"
    fi
}

# ---- end to end ----
# Whatever a test file left behind, whether it ended by itself or by its deadline. Only what carries $1, the file's own
# directory, is touched: as its TMPDIR, as its state root, as its mount point.
sweep() {
    local pid root id mnt
    for pid in $(grep -lsz "^TMPDIR=$1\$" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3); do
        echo "# left behind: process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
        kill -9 "$pid" 2>/dev/null
    done
    find "$1" -xdev -type d -name root -path '*/test/*/root' -prune 2>/dev/null | while read -r root; do
        timeout -k 2 20 "$CTR" --root "$root" list -q 2>/dev/null | while read -r id; do
            echo "# left behind: container $id"
            timeout -k 2 20 "$CTR" --root "$root" delete --force "$id" </dev/null
        done
    done
    awk -v t="$1/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r mnt; do
            echo "# left behind: mount $mnt"
            umount -l "$mnt"
        done
}

# Line by line: an awk that reads blocks would show nothing until the end of a file.
e2e_stream() {
    sed -u -E -e '/^1\.\.|^BATS_RUN_TMPDIR: /d' \
        -e "s/^ok [0-9]+ (.*) # skip/skip   $1: \\1:/;t" \
        -e "s/^ok [0-9]+ /ok     $1: /;t" \
        -e "s/^not ok [0-9]+ /FAILED $1: /;t" \
        -e 's/^/    /'
}

# One file, in the background; its exit status goes to LOG.rc.
e2e_file() {
    local file=$1 name=$2 log=$3 tmp runner=("${E2E_RUNNER:-bats}")
    tmp=$(mktemp -d "$TMP/XXXXXX")
    ! grep -q '^# run: own network' "$file" || runner=(unshare -n -- "${runner[@]}")
    TMPDIR=$tmp CTR_TEST_CACHE=$TMP timeout -k 10 "$E2E_DEADLINE" \
        "${runner[@]}" --tap --print-output-on-failure --no-tempdir-cleanup "$file" </dev/null 2>&1 |
        tee "$log" | e2e_stream "$name"
    echo "${PIPESTATUS[0]}" >"$log.rc"
    sweep "$tmp" | tee -a "$log"
    [ -n "${KEEP_TMP:-}" ] || rm -rf --one-file-system "$tmp"
}

# Waits until at most $1 files are running.
e2e_drain() {
    while [ "${#running[@]}" -gt "$1" ]; do
        wait -n "${running[@]}"
        for pid in "${running[@]}"; do
            kill -0 "$pid" 2>/dev/null || unset "running[$pid]"
        done
    done
}

# Several files at a time. A file that measures the whole machine says so in a line "# run: alone"; one that starts
# clones with the default network, of which a host has one, "# run: own network".
run_e2e() {
    local label=$1 file name log rc names=() pid files=(tests/e2e/*.bats)
    local -A running=()
    export CTR=$2
    if [ ! -x "$CTR" ]; then
        note_fail "$label: not built: $CTR"
        echo "FAILED $label: not built: $CTR"
        return
    fi
    if [ -n "${E2E_FILES:-}" ]; then
        read -ra files <<<"$E2E_FILES"
        files=("${files[@]/%/.bats}")
        files=("${files[@]/#/tests/e2e/}")
    fi
    for file in "${files[@]}"; do
        [[ $file == *"$FILTER"* ]] || continue
        name=${file##*/}
        name="$label ${name%.bats}"
        log=$LOGS/${name//[ \/]/-}.log
        rm -f "$log.rc"
        names+=("$name")
        if grep -q '^# run: alone' "$file"; then
            e2e_drain 0
            e2e_file "$file" "$name" "$log"
            continue
        fi
        e2e_drain $((E2E_JOBS - 1))
        e2e_file "$file" "$name" "$log" &
        running[$!]=$!
    done
    e2e_drain 0
    for name in "${names[@]}"; do
        log=$LOGS/${name//[ \/]/-}.log
        rc=$(cat "$log.rc" 2>/dev/null || echo 1)
        rm -f "$log.rc"
        tap_result "$name" "$log" "$rc" || echo "FAILED $name: see $log"
    done
    [ "${#names[@]}" -gt 0 ] || [ -n "$FILTER" ] || note_fail "$label: no test file found"
    [ "$label" != e2e ] || [ -n "$FILTER" ] || : >"$TMP/e2e-done"
}

# ---- every container a micro-VM ----
# The container half's own files, by the way that every machine has (QEMU without KVM); the test machine runs them on KVM.
# Not among them: what has nothing to do with how a container is isolated, and files whose subject is the host's (its
# cgroups, namespaces and devices, networks).
MICROVM_FILES="namespaces clone exec clone_opts lifecycle process update rootfs events terminal seccomp hooks mounts smoke"

run_e2e_vm() {
    local words=${E2E_VM:-"--vm --accel tcg"} files=${E2E_FILES:-${E2E_VM_FILES:-$MICROVM_FILES}}
    if [ ! -e "$BUILD/guest/vmlinux" ]; then
        note_skip "e2e-vm: no $BUILD/guest/vmlinux: make guest-kernel"
        return
    fi
    E2E_VM=$words E2E_FILES=$files E2E_DEADLINE=${E2E_VM_DEADLINE:-900} run_e2e e2e-vm "${CTR_TESTED:-$BUILD/ctr}"
}

# ---- the test machine ----
# Files whose subject has to do with control groups: run on every kind of host that there is, and compared.
VM_FILES="update cgroups exec smoke events"

# vm_job BOOT JOB NAME: the job's part of the boot's log, the last one when it began more than once. It ends with the words
# of this script or of a job's own checks, whose numbers are added to ours.
vm_job() {
    local log=$LOGS/vm-$3.log line nums
    awk -v first="vm: job $2 begins" -v last="vm: job $2 ended " '
        $0 == first { text = ""; on = 1 }
        on { text = text $0 "\n" }
        on && index($0, last) == 1 { on = 0 }
        END { printf "%s", text }' "$LOGS/vm-boot-$1.log" >"$log"
    line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
    if [ -z "$line" ] || ! grep -q "^vm: job $2 ended " "$log"; then
        note_fail "vm $3: no result, see $LOGS/vm-boot-$1.log"
        return
    fi
    read -ra nums <<<"${line//[!0-9 ]/}"
    passed=$((passed + nums[0])) failed=$((failed + nums[1])) skipped=$((skipped + nums[2]))
    while IFS= read -r line; do
        case $line in
        "skipped: "*) skips+=("vm $3: ${line#skipped: }") ;;
        "failed: "*) failures+=("vm $3: ${line#failed: }") ;;
        esac
    done < <(grep -a -E '^(skipped|failed): ' "$log")
}

# vm_boot BOOT JOB,JOB... [KERNEL WORDS]: one start of the machine.
vm_boot() {
    local boot=$1
    shift
    CTR_VM_DEADLINE=${CTR_VM_DEADLINE:-2400} timeout -k 10 4000 bash tests/vm/run.sh "$@" </dev/null 2>&1 |
        tee "$LOGS/vm-boot-$boot.log" | sed -u -E -e "s/^(ok    |FAILED|skip  ) /\\1 vm $boot: /" -e '/^(skipped|failed): /d'
}

# cell LOG FILE: what a log of a job says of one file of tests: "24", "22 + 2 skipped", "20 + 2 FAILED".
cell() {
    awk -v f="$2" '
        $1 == "ok" && $3 == f ":" { ok++ }
        $1 == "skip" && $3 == f ":" { skip++ }
        $1 == "FAILED" && $3 == f ":" { bad++ }
        END { printf "%d%s%s", ok, skip ? " + " skip " skipped" : "", bad ? " + " bad " FAILED" : "" }' "$1" 2>/dev/null
}

# The same tests on all of them side by side, and why a number differs.
vm_compare() {
    local file name host=$1 text
    printf '\n%-10s' tests
    printf '%-18s' v2-cgroupfs v2-systemd v1-systemd "$host"
    echo
    for file in $VM_FILES; do
        printf '%-10s' "$file"
        for name in v2-cgroupfs v2-systemd v1-systemd host; do
            printf '%-18s' "$(cell "$LOGS/vm-$name.log" "$file")"
        done
        echo
    done
    echo "the others differ from one another by what they cannot have:"
    for text in "${skips[@]}"; do
        case $text in "vm v"[12]-*"e2e "*) echo "  ${text#vm }" ;; esac
    done
    sed -n "s/^skip   /  $host: /p" "$LOGS/vm-host.log"
}

run_vm() {
    local host=hybrid file v2
    local v1='systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1'
    [ -z "$FILTER" ] || return 0
    [ -e "$TMP/e2e-done" ] || E2E_FILES=$VM_FILES run_e2e e2e "$BUILD/ctr"
    for file in $VM_FILES; do
        sed -n '/^ok \|^not ok /p' "$LOGS/e2e-$file.log" | e2e_stream "e2e $file"
    done >"$LOGS/vm-host.log"
    # Two machines at a time: each has one thread for its processors (see tests/vm/run.sh).
    bash tests/vm/disk.sh >/dev/null </dev/null
    vm_boot v2 e2e-cgroupfs,e2e-systemd,systemd-driver,system-container,lsm &
    v2=$!
    # shellcheck disable=SC2086 # words of the kernel's command line
    vm_boot v1 e2e-systemd $v1
    [[ " ${parts[*]} " != *" vm-kvm "* ]] || vm_boot_kvm
    wait "$v2"
    vm_job v2 e2e-cgroupfs v2-cgroupfs
    vm_job v2 e2e-systemd v2-systemd
    vm_job v2 systemd-driver systemd-driver
    vm_job v2 system-container system-container
    vm_job v2 lsm lsm
    vm_job v1 e2e-systemd v1-systemd
    [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ] || host="this host (v2)"
    vm_compare "$host"
}

kvm_booted=
vm_boot_kvm() {
    kvm_booted=1
    CTR_VM_THREAD=multi vm_boot kvm vmm,vm-files,e2e-kvm
}

# Micro-VMs of our own VMM, on virtualization that QEMU emulates where this machine has none: a part of its own, which
# `make check-vm` calls.
run_vm_kvm() {
    [ -z "$FILTER" ] || return 0
    [ -n "$kvm_booted" ] || vm_boot_kvm
    vm_job kvm vmm vmm
    vm_job kvm vm-files vm-files
    vm_job kvm e2e-kvm microvm
    echo
    echo "what of the container's tests cannot apply to a micro-VM, and why:"
    sed -n 's/^\([a-z_]*\) | \(.*\) | \(.*\)$/  \1: \2: \3/p' tests/vm/not-in-vm.txt
}

# ---- engines ----
# They have a runner of their own, which counts per engine and prints the table of both runtimes.
run_engines() {
    local kind text
    [ -z "$FILTER" ] || return 0
    ENGINES_REPORT=$TMP/engines BUILD=$BUILD bash tests/engines/run.sh
    while read -r kind text; do
        case $kind in
        pass) note_pass ;;
        skip) note_skip "engines $text" ;;
        *) note_fail "engines $text" ;;
        esac
    done <"$TMP/engines"
    [ -s "$TMP/engines" ] || note_fail "engines: nothing was run"
}

# ---- main ----
parts=()
FILTER=
for arg; do
    case $arg in
    lint | unit | unit-asan | fuzz | e2e | e2e-asan | e2e-vm | vm | vm-kvm | engines) parts+=("$arg") ;;
    -*) echo "usage: run.sh [lint|unit|unit-asan|fuzz|e2e|e2e-asan|e2e-vm|vm|vm-kvm|engines]... [FILTER]" >&2; exit 2 ;;
    *) FILTER=$arg ;;
    esac
done
[ "${#parts[@]}" -gt 0 ] || parts=(lint unit unit-asan fuzz e2e e2e-asan e2e-vm vm engines)

mkdir -p "$LOGS" || exit 1
TMP=$(mktemp -d "${TMPDIR:-/tmp}/ctr-test.XXXXXX") || exit 1
# shellcheck disable=SC2046 # a list of numbers
trap 'kill $(jobs -p) 2>/dev/null; [ -n "${KEEP_TMP:-}" ] || rm -rf --one-file-system "$TMP"' EXIT
trap 'exit 130' INT TERM HUP

for part in "${parts[@]}"; do
    case $part in
    lint) run_lint ;;
    unit) run_unit unit "$BUILD" ;;
    unit-asan) run_unit unit-asan "$BUILD/asan" ;;
    fuzz) run_fuzz ;;
    e2e) run_e2e e2e "${CTR_TESTED:-$BUILD/ctr}" ;;
    e2e-asan)
        # the kernel is looked for beside the program
        [ ! -d "$BUILD/guest" ] || ln -sfn ../guest "$BUILD/asan/guest"
        run_e2e e2e-asan "$BUILD/asan/ctr" ;;
    e2e-vm) run_e2e_vm ;;
    vm) run_vm ;;
    vm-kvm) run_vm_kvm ;;
    engines) run_engines ;;
    esac
done

for text in "${skips[@]}"; do echo "skipped: $text"; done
for text in "${failures[@]}"; do echo "failed: $text"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
