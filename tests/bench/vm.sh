#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm.sh: a micro-VM's whole life through QEMU's translation, beside the bare boot of the same kernel by the same QEMU
# to an init that ends the machine at once. In one run on one machine, as a ratio.
#
# Environment: BUILD (build), CTR, VM_N (10 runs of each), KERNEL (the guest's, $BUILD/guest/vmlinux).
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
CTR=${CTR:-$BUILD/ctr}
KERNEL=${KERNEL:-$BUILD/guest/vmlinux}
QEMU=qemu-system-x86_64
OUT=$BUILD/bench

[ -e "$KERNEL" ] || { echo "micro-VM: not measured: no $KERNEL (make guest-kernel)"; exit 0; }
command -v "$QEMU" cpio hyperfine >/dev/null || { echo "micro-VM: not measured: needs $QEMU, cpio and hyperfine"; exit 0; }
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ctr-bench-vm.XXXXXX")
trap 'rm -rf --one-file-system "$WORK"' EXIT
mkdir -p "$OUT" "$WORK/initrd/bin" "$WORK/initrd/dev"

# An init that proves that it ran, and resets the machine.
cp "$(command -v busybox)" "$WORK/initrd/bin/busybox"
printf '#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs d /dev\n/bin/busybox dmesg -n 8\necho init ran >/dev/kmsg\nexec /bin/busybox reboot -f\n' >"$WORK/initrd/init"
chmod +x "$WORK/initrd/init"
[ "$(id -u)" -ne 0 ] || mknod -m 600 "$WORK/initrd/dev/console" c 5 1
(cd "$WORK/initrd" && find . | cpio --quiet -o -H newc) >"$WORK/initrd.cpio"
bare="$QEMU -M microvm,acpi=on,pcie=off,usb=off,rtc=on,pit=off,pic=off,ioapic2=off,x-option-roms=off,auto-kernel-cmdline=off,isa-serial=on \
-global virtio-mmio.force-legacy=false -accel tcg,thread=single -cpu max -m 512M -smp 1 -nodefaults -no-user-config -no-reboot -display none \
-serial file:$WORK/console -kernel $KERNEL -initrd $WORK/initrd.cpio"
# Without a timer of the PC the kernel must be told how fast its clock is.
khz=$(awk '/^cpu MHz/ { printf "%d", $4 * 1000; exit }' /proc/cpuinfo)
line="console=ttyS0 quiet panic=-1 reboot=t tsc_early_khz=$khz tsc=reliable no_timer_check rcupdate.rcu_expedited=1"

cat >"$WORK/bare" <<S
#!/bin/sh
exec timeout 60 $bare -append "$line"
S
cat >"$WORK/ctr" <<S
#!/bin/sh
exec timeout 120 $CTR --root $WORK/root run --vm --accel tcg --kernel $KERNEL --clone bench-vm -- true
S
chmod +x "$WORK/bare" "$WORK/ctr"

"$WORK/bare" </dev/null >/dev/null
grep -q 'init ran' "$WORK/console" || { echo "micro-VM: the bare kernel does not boot:"; tail -n 5 "$WORK/console"; exit 1; }
hyperfine -N --warmup 1 --runs "${VM_N:-10}" --style none --export-json "$OUT/vm.json" \
    -n "bare QEMU boot" "$WORK/bare" -n "ctr run --vm" "$WORK/ctr" >"$OUT/vm.log" 2>&1 </dev/null || {
    echo "micro-VM: failed:"
    tail -n 5 "$OUT/vm.log"
    exit 1
}
printf '\nmicro-VM without virtualization hardware (%s runs, ms)\n' "${VM_N:-10}"
jq -r '.results[0].median as $b | .results[] | [.command, (.median, .mean, .min | . * 1000 | round), (.median / $b * 100 | round / 100)] | @tsv' \
    "$OUT/vm.json" | while IFS=$'\t' read -r name median mean min ratio; do
    printf '  %-16s %8s %8s %8s %9s\n' "$name" "$median" "$mean" "$min" "$ratio"
done
