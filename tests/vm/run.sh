#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/vm/run.sh JOB[,JOB...] [KERNEL WORDS...]: boots the test machine (disk.sh makes it), runs tests/vm/jobs/JOB in it on a
# copy of this tree and its build, one job after the other, and prints their lines. Exit status 0 when all ended with 0.
#
# KVM is used where it can run a real kernel (CTR_VM_ACCEL=kvm|tcg decides; by default it is tried, once a boot of the
# host), TCG with nested SVM otherwise. The machine always ends: by itself, or after CTR_VM_DEADLINE seconds (default 900); then its console is shown.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${BUILD:-$top/build}
jobs=$1
shift
words=$*
deadline=${CTR_VM_DEADLINE:-900}

dir=$("$here/disk.sh")
run=$(mktemp -d "${TMPDIR:-/tmp}/ctr-vm.XXXXXX")
pid=
cleanup() {
	if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	fi
	rm -rf "$run"
}
trap cleanup EXIT

# The tree as it is in the work folder, and what was built; the root disk itself is never written (snapshot).
files=$run/files
(cd "$top" && git ls-files -co --exclude-standard) >"$files" 2>/dev/null || (cd "$top" && find . -type f ! -path './.git/*' ! -path './build/*') >"$files"
tar -C "$top" -cf "$run/tree.tar" --ignore-failed-read -T "$files" 2>/dev/null
mkdir -p "$run/b"
ln -s "$(cd "$build" && pwd)" "$run/b/build"
tar -C "$run/b" -rhf "$run/tree.tar" --exclude='*.o' --exclude='*.d' --exclude='*.a' --exclude='build/vm*' --exclude='build/test-logs' build
# The machine's own kernel, for machines inside of it.
tar -C "$dir" -rf "$run/tree.tar" --transform 's,^,build/,' vmlinuz
truncate -s %1M "$run/tree.tar"

# A kernel that gets as far as to miss its root disk has been run. There are devices called /dev/kvm that cannot do that.
kvm_works() {
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
	{
		timeout -k 1 8 qemu-system-x86_64 -accel kvm -cpu host -M q35 -m 512 -nodefaults -no-user-config -display none -no-reboot \
			-kernel "$dir/vmlinuz" -append "console=ttyS0 panic=-1" -serial "file:$run/kvm" </dev/null || true
	} >/dev/null 2>&1
	grep -aq 'Unable to mount root fs' "$run/kvm"
}

# The emulated time stamp counter is this machine's. The guest would measure its speed, and on a busy host gets it so wrong
# that its clock runs at several times the right speed, its deadlines with it.
tsc_khz() {
	command -v gcc >/dev/null || return 1
	gcc -O1 -x c -o "$run/khz" - <<-'C' && "$run/khz"
		#include <stdio.h>
		#include <time.h>
		#include <unistd.h>
		static double now(unsigned long long *tsc)
		{
			struct timespec t;
			clock_gettime(CLOCK_MONOTONIC, &t);
			*tsc = __builtin_ia32_rdtsc();
			return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
		}
		int main(void)
		{
			unsigned long long a, b;
			double from = now(&a), to;
			usleep(500000);
			to = now(&b);
			printf("%.0f\n", (b - a) / (to - from));
			return 0;
		}
	C
}

accel=${CTR_VM_ACCEL:-}
if [ -z "$accel" ]; then
	known=${dir%/*}/accel.$(cat /proc/sys/kernel/random/boot_id)
	if [ ! -s "$known" ]; then
		# another run may be at it, too
		if kvm_works; then echo kvm; else echo tcg; fi >"$known.$$"
		mv "$known.$$" "$known"
	fi
	accel=$(cat "$known")
fi
case $accel in
kvm)
	accel_args="-accel kvm -cpu host"
	clock=
	;;
*)
	# One thread for both processors, unless CTR_VM_THREAD=multi. With two, QEMU before 8.1 can keep a translation of code
	# that the other processor patches at that moment: an int3 of Linux's jump labels stays for ever (in __schedule, for one),
	# and the kernel stops, now and then. For machines inside of the machine one thread is worse: they hang.
	accel_args="-accel tcg,thread=${CTR_VM_THREAD:-single},tb-size=1024 -cpu max,-la57"
	clock=tsc_early_khz=$(tsc_khz) || clock=
	;;
esac

# norandmaps: what is translated of a program counts for the next start of it only when that lies at the same addresses.
# no_timer_check: the kernel's test of its timer fails where the host is too busy to keep up with it.
# nohz=off highres=off: a wake-up of an emulated processor that is lost (HLT=1, IF=1, IRR not empty) is the next tick's.
append="nohz=off highres=off console=ttyS0 panic=-1 no_timer_check tsc=reliable mitigations=off random.trust_cpu=on norandmaps systemd.show_status=0 loglevel=4"
boot() {
	: >"$run/results"
	: >"$run/logs.tar"
	: >"$run/alive"
	# shellcheck disable=SC2086
	qemu-system-x86_64 $accel_args -M q35 -smp 2 -m "${CTR_VM_MEMORY:-4096}" -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$dir/vmlinuz" -initrd "$dir/initrd" \
		-append "$append $clock ctr.jobs=$jobs $words" \
		-serial "file:$run/console" -monitor "unix:$run/monitor,server=on,wait=off" \
		-drive "file=$dir/root.img,format=raw,if=virtio,snapshot=on,cache=unsafe" \
		-drive "file=$run/tree.tar,format=raw,if=virtio,readonly=on" \
		-device virtio-serial-pci \
		-chardev "file,id=r,path=$run/results" -device virtserialport,chardev=r,name=ctr.results \
		-chardev "file,id=l,path=$run/logs.tar" -device virtserialport,chardev=l,name=ctr.logs \
		-chardev "file,id=a,path=$run/alive" -device virtserialport,chardev=a,name=ctr.alive \
		</dev/null >"$run/qemu.log" 2>&1 &
	pid=$!
}

# started SECONDS: whether the first words have come before the machine's end, and within the time.
started() {
	local end=$((SECONDS + $1))
	until grep -q '^vm: kernel ' "$run/results"; do
		kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.5
	done
}

# A machine that does not start is no result of a test: it is started again, twice.
start_machine() {
	local attempt
	for attempt in 1 2 3; do
		boot
		! started 400 || return 0
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		echo "vm: the machine did not start (attempt $attempt); its console:"
		tail -n 5 "$run/console" "$run/qemu.log" 2>/dev/null || true
	done
}

# Where the processors of a machine that says nothing are, twice, for whoever looks for the reason.
ask_monitor() {
	timeout 20 python3 - "$run/monitor" <<'PY' || true
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.settimeout(3)
s.connect(sys.argv[1])
for command in ("info registers -a", "info lapic 0", "info lapic 1", "info pic", "info registers -a"):
    s.sendall(command.encode() + b"\n")
    time.sleep(1)
    print(s.recv(1 << 20).decode(errors="replace").replace("\r", ""))
PY
}

# Ends the machine at its deadline, and when one of its processors says nothing any more (a line every ten seconds, whatever
# the tests do): it does not run then. With processors that are emulated, virtualization included, that has been seen.
watch_machine() {
	local end=$((SECONDS + deadline)) cpu now silent seen=(0 0) last=("$SECONDS" "$SECONDS")
	while sleep 5 && kill -0 "$pid" 2>/dev/null; do
		silent=
		for cpu in 0 1; do
			now=$(grep -c "^$cpu" "$run/alive") || true
			[ "$now" = "${seen[cpu]}" ] || last[cpu]=$SECONDS
			seen[cpu]=$now
			[ $((SECONDS - last[cpu])) -le "${CTR_VM_SILENCE:-100}" ] || silent=$cpu
		done
		if [ -n "$silent" ]; then
			echo "$silent" >"$run/silent"
			{ cat "$run/console"; ask_monitor; } >"$build/vm-silent.$(date +%H%M%S)" 2>&1
		elif [ "$SECONDS" -lt "$end" ]; then
			continue
		fi
		kill -KILL "$pid" 2>/dev/null
	done
}

# The lines as they come; tail ends with the machine.
follow() {
	local tail_pid watch_pid
	rm -f "$run/silent"
	tail -n +1 -q --pid="$pid" -f "$run/results" &
	tail_pid=$!
	watch_machine &
	watch_pid=$!
	status=0
	wait "$pid" || status=$?
	kill "$watch_pid" 2>/dev/null || true
	wait "$tail_pid" 2>/dev/null || true
	cat "$run/results" >>"$run/all"
}

remaining() {
	local job list=
	for job in ${jobs//,/ }; do
		grep -q "^vm: job $job ended " "$run/all" || list=$list,$job
	done
	echo "${list#,}"
}

# Why the machine is of no more use, in words. A kernel on an emulated processor has been seen to panic where that lost the
# host's state (see emulated_twice in in-guest): shown with its console, as the other.
stopped() {
	if [ -e "$run/silent" ]; then
		echo "the machine's processor $(cat "$run/silent") has stopped"
	elif [ "$accel" = tcg ] && grep -aq 'Kernel panic' "$run/console"; then
		echo "the machine's kernel has panicked"
	else
		return 1
	fi
}

start=$SECONDS
all=$jobs
for again in 1 2 3; do
	start_machine
	follow
	why=$(stopped) && [ "$again" -lt 3 ] || break
	jobs=$(remaining)
	echo "vm: $why; another one goes on with $jobs. The console:"
	tail -n 30 "$run/console"
done
jobs=$all

printf "vm: the machine ran for %d s\n" "$((SECONDS - start))"
if ! grep -q '^vm: done$' "$run/results"; then
	echo "vm: the machine did not come to its end (deadline $deadline s, qemu status $status); its console:"
	tail -n 60 "$run/console" "$run/qemu.log" 2>/dev/null
	exit 1
fi
mkdir -p "$build/vm-logs/${words// /,}"
tar -C "$build/vm-logs/${words// /,}" -xf "$run/logs.tar" 2>/dev/null || true
for job in ${jobs//,/ }; do
	grep -q "^vm: job $job ended with 0 " "$run/all" || exit 1
done
