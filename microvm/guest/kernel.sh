#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kernel.sh OUT: makes the guest's kernel OUT, a stripped ELF vmlinux, of Debian's package linux-source-6.1 and of
# kernel.config and kernel.patch beside this script. Some minutes on two processors; the result is kept below the user's cache directory
# (CTR_KERNEL_CACHE names another), so that the same configuration of the same source is built once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
series=6.1
source=${CTR_KERNEL_SOURCE:-/usr/src/linux-source-$series.tar.xz}
cache=${CTR_KERNEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ctr-kernel}
config=$here/kernel.config
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}

say() { printf 'guest-kernel: %s\n' "$*" >&2; }

[ "$(uname -m)" = x86_64 ] || { say "only for x86_64, not for $(uname -m)"; exit 1; }
[ -r "$source" ] || { say "no $source (package linux-source-$series)"; exit 1; }

# The package's version stands for its content; a source of one's own is read.
version=$(dpkg-query -W -f '${Version}' "linux-source-$series" 2>/dev/null) || version=
case $source in /usr/src/*) ;; *) version= ;; esac
[ -n "$version" ] || version=$(sha256sum <"$source")
# Counted up when this script makes something else of the same files.
recipe=1
key=$( { cat "$config" "$here/kernel.patch"; echo "$version $recipe"; } | sha256sum | cut -c1-16)
made=$cache/vmlinux-$key

deliver() {
	mkdir -p "$(dirname "$out")"
	cp "$made" "$out.tmp"
	mv "$out.tmp" "$out"
}

if [ -s "$made" ]; then
	deliver
	exit 0
fi
mkdir -p "$cache"
# One build at a time; who waited finds the result.
exec 9>"$cache/lock"
flock -w 3600 9
if [ -s "$made" ]; then
	deliver
	exit 0
fi

work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
log=$work/log
say "building from $source (log: $log until it is done)"

# Of the other architectures and of the big drivers only the build files are needed, if anything.
tar -C "$work" -xf "$source" --strip-components=1 --wildcards \
	--exclude='*/Documentation/*.[rty]*' --exclude='*/tools/testing/*' --exclude='*/sound/*.[ch]' \
	--exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/media/*.[ch]' --exclude='*/drivers/staging/*.[ch]' \
	--exclude='*/drivers/net/wireless/*.[ch]' --exclude='*/drivers/net/ethernet/*.[ch]' \
	--exclude="linux-source-$series/arch/[a-tv-wyz]*.[chS]" --exclude='*.dts' --exclude='*.dtsi' >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	exit 1
}

patch -s -p1 -d "$work" <"$here/kernel.patch" >>"$log" 2>&1 || { tail -n 20 "$log" >&2; say "kernel.patch does not fit"; exit 1; }

build() {
	make -C "$work" -j"$jobs" ARCH=x86_64 LOCALVERSION= KBUILD_BUILD_USER=ctr KBUILD_BUILD_HOST=ctr \
		KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' "$@" >>"$log" 2>&1 9>&- || {
		tail -n 40 "$log" >&2
		say "make $* failed"
		exit 1
	}
}
build KCONFIG_ALLCONFIG="$config" allnoconfig
# What kconfig did not take would be missed at run time only.
lost=
while IFS= read -r line; do
	case $line in
	CONFIG_*=n) ! grep -q "^${line%=n}=" "$work/.config" || lost="$lost $line" ;;
	CONFIG_*) grep -qxF "$line" "$work/.config" || lost="$lost $line" ;;
	esac
done <"$config"
[ -z "$lost" ] || { say "not taken by this source:$lost"; exit 1; }
build vmlinux

strip -s -o "$work/vmlinux.stripped" "$work/vmlinux"
mv "$work/vmlinux.stripped" "$made"
# Others are of older trees.
find "$cache" -maxdepth 1 -name 'vmlinux-*' ! -name "vmlinux-$key" -mtime +30 -exec rm -f {} +
deliver
say "done: $out"
