#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes, or finds in the cache, the test machine: a kernel, an initramfs and a root disk.
# Prints the directory that holds vmlinuz, initrd and root.img. Nothing is left behind by a failure.
#
# The cache key is the content of this script, the list of packages and the files that go into the image;
# CTR_VM_CACHE names another cache directory.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${CTR_VM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/ctr-vm}
key=$(cat "$here/disk.sh" "$here/packages" "$here"/guest/* | sha256sum | cut -c1-16)
out=$cache/$key

if [ -e "$out/complete" ]; then
	printf '%s\n' "$out"
	exit 0
fi
mkdir -p "$cache"
# One build at a time; who waited finds the result.
exec 9>"$cache/lock"
flock -w 1800 9
if [ -e "$out/complete" ]; then
	printf '%s\n' "$out"
	exit 0
fi

work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
log=$work/log
say() { printf 'vm: %s\n' "$*" >&2; }

packages=$(grep -v '^#' "$here/packages" | paste -sd,)
say "building the disk of the test machine (log: $log until it is done)"
# Its mounts are in a namespace of their own: whatever ends it, none stays in the tree. Nobody needs what fsync is for.
bootstrap() {
	unshare --mount mmdebstrap --quiet --variant=minbase --include="$packages" \
		--aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' \
		--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		bookworm "$work/root" >"$log" 2>&1
}
# a mirror may be in the middle of an update
if ! bootstrap && ! { sleep 10; rm -rf --one-file-system "$work/root"; bootstrap; }; then
	tail -n 20 "$log" >&2
	say "mmdebstrap failed"
	exit 1
fi

root=$work/root
version=$(basename "$(ls -d "$root"/lib/modules/*)")
cp "$root/boot/vmlinuz-$version" "$work/vmlinuz"

# The machine itself: no login, no waiting; one service that runs the tests and powers off.
install -m 0755 "$here/guest/ctr-test" "$root/usr/local/sbin/ctr-test"
install -m 0644 "$here/guest/ctr-test.service" "$root/etc/systemd/system/ctr-test.service"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../ctr-test.service "$root/etc/systemd/system/multi-user.target.wants/ctr-test.service"
for unit in serial-getty@ttyS0 getty@tty1 systemd-timesyncd apt-daily.timer apt-daily-upgrade.timer \
	fstrim.timer e2scrub_all.timer dpkg-db-backup.timer systemd-networkd systemd-resolved; do
	case $unit in *.*) ;; *) unit=$unit.service ;; esac
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
echo ctr-vm >"$root/etc/hostname"
printf '127.0.0.1 localhost ctr-vm\n' >"$root/etc/hosts"
echo '/dev/vda / ext4 rw,noatime 0 1' >"$root/etc/fstab"
: >"$root/etc/machine-id"
printf 'virtio_console\nloop\noverlay\n' >"$root/etc/modules-load.d/ctr.conf"
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStopSec=10s\n' >"$root/etc/systemd/system.conf.d/ctr.conf"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/boot/*

# The initramfs only mounts the root disk: busybox, and the modules that lead there.
ird=$work/initrd.d
mkdir -p "$ird"/{bin,dev,proc,sys,newroot,lib/modules}
cp /bin/busybox "$ird/bin/busybox"
ln -s busybox "$ird/bin/sh"
# What a module needs comes before it; what is built in has no line.
depends() {
	local line
	line=$(grep -E "/$1\.ko:" "$root/lib/modules/$version/modules.dep") || return 0
	printf '%s\n' ${line#*:} | tac
	printf '%s\n' "${line%%:*}"
}
modules=$(for m in virtio_pci virtio_blk crc32c_generic ext4; do depends $m; done | awk '!seen[$0]++')
n=0
for m in $modules; do
	n=$((n + 1))
	cp "$root/lib/modules/$version/$m" "$ird/lib/modules/$(printf %02d $n)-$(basename "$m")"
done
install -m 0755 "$here/guest/init" "$ird/init"
(cd "$ird" && find . | cpio --quiet -o -H newc) >"$work/initrd"

size=$(($(du -sm "$root" | cut -f1) + 1500))
truncate -s "${size}M" "$work/root.img"
mke2fs -q -F -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$root" "$work/root.img" >>"$log" 2>&1

rm -rf "$root" "$ird"
mv "$work" "$out.new"
trap - EXIT
rm -rf "$out"
mv "$out.new" "$out"
touch "$out/complete"
# Other keys are of older trees.
find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name "$key" -mtime +7 -exec rm -rf {} +
printf '%s\n' "$out"
