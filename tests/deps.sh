#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh GROUP...: makes sure that what the groups (build, test, vm, engines, kernel, bench, fuzz) need is installed.
# Does nothing, and needs no network, when nothing is missing.
set -eu

# How a package is recognised: "cmd:NAME" by a program, "file:NAME" by a file that gcc can find, "file:/PATH" by that
# file, "pkg" by dpkg.
build="gcc=cmd:gcc make=cmd:make pkg-config=cmd:pkg-config libc6-dev=pkg
libseccomp-dev=file:libseccomp.a libcap-dev=file:libcap.a libmnl-dev=file:libmnl.so
libyajl-dev=file:libyajl_s.a"
test="libcmocka-dev=file:libcmocka.so bats=cmd:bats jq=cmd:jq busybox-static=pkg
mmdebstrap=cmd:mmdebstrap cpio=cmd:cpio uidmap=cmd:newuidmap valgrind=cmd:valgrind strace=cmd:strace
util-linux=cmd:unshare mount=cmd:mount e2fsprogs=cmd:mkfs.ext4 dosfstools=cmd:mkfs.vfat iproute2=cmd:ip procps=cmd:ps python3=cmd:python3
python3-jsonschema=pkg runc=cmd:runc acpica-tools=cmd:iasl qemu-system-x86=cmd:qemu-system-x86_64"
# Networks, and services in clones: real programs, which are not to be started here.
test="$test nftables=cmd:nft curl=cmd:curl iptables=cmd:iptables iperf3=cmd:iperf3 wrk=cmd:wrk stress-ng=cmd:stress-ng
containernetworking-plugins=file:/usr/lib/cni/bridge firewalld=cmd:firewalld dbus-daemon=cmd:dbus-daemon passt=cmd:pasta openssh-client=cmd:ssh
docker.io=cmd:dockerd nginx-light=cmd:nginx redis-server=cmd:redis-server redis-tools=cmd:redis-cli postgresql=pkg openssh-server=cmd:sshd
erofs-utils=cmd:mkfs.erofs"
vm="qemu-system-x86=cmd:qemu-system-x86_64 mmdebstrap=cmd:mmdebstrap cpio=cmd:cpio
e2fsprogs=cmd:mke2fs busybox-static=pkg git=cmd:git"
kernel="linux-source-6.1=pkg gcc=cmd:gcc make=cmd:make flex=cmd:flex bison=cmd:bison bc=cmd:bc xz-utils=cmd:xz
binutils=cmd:strip patch=cmd:patch libc6-dev=pkg libelf-dev=file:libelf.so util-linux=cmd:flock perl=cmd:perl"
engines="docker.io=cmd:dockerd containerd=cmd:containerd podman=cmd:podman buildah=cmd:buildah conmon=cmd:conmon
umoci=cmd:umoci skopeo=cmd:skopeo iptables=cmd:iptables curl=cmd:curl jq=cmd:jq bats=cmd:bats busybox-static=pkg
mmdebstrap=cmd:mmdebstrap util-linux=cmd:nsenter python3=cmd:python3 runc=cmd:runc iproute2=cmd:ip"
fuzz="clang-14=cmd:clang-14 libclang-rt-14-dev=pkg"
bench="jq=cmd:jq busybox-static=pkg util-linux=cmd:unshare hyperfine=cmd:hyperfine
crun=cmd:crun runc=cmd:runc iproute2=cmd:ip iperf3=cmd:iperf3"

is_debian() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1
}

# Whether the requirement $2 of package $1 is met.
have() {
    case $2 in
    cmd:*)
        command -v "${2#cmd:}" >/dev/null 2>&1 || [ -x "/usr/sbin/${2#cmd:}" ] ;;
    file:/*)
        [ -e "${2#file:}" ] ;;
    file:*)
        # gcc prints the bare name back when it finds nothing
        command -v gcc >/dev/null 2>&1 || return 1
        case $(gcc -print-file-name="${2#file:}") in /*) return 0 ;; *) return 1 ;; esac ;;
    pkg)
        if is_debian; then
            [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
        else
            have_elsewhere "$1"
        fi ;;
    esac
}

# Without dpkg: the same question put to what the package brings.
have_elsewhere() {
    case $1 in
    libc6-dev) [ -e /usr/include/stdio.h ] ;;
    busybox-static) command -v busybox >/dev/null 2>&1 ;;
    linux-source-6.1) [ -e /usr/src/linux-source-6.1.tar.xz ] ;;
    postgresql) ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null 2>&1 ;;
    python3-jsonschema) python3 -c 'import jsonschema' 2>/dev/null ;;
    *) return 1 ;;
    esac
}

missing=
[ $# -gt 0 ] || set -- build
for group; do
    case $group in
    build) list=$build ;;
    test) list=$test ;;
    vm) list=$vm ;;
    kernel) list=$kernel ;;
    # The engines' daemons are not to be started: the tests start their own.
    engines) list=$engines ;;
    bench) list=$bench ;;
    fuzz) [ -z "$(sh "$(dirname "$0")/fuzz/clang.sh")" ] || continue; list=$fuzz ;;
    *) echo "deps.sh: unknown group: $group (build, test, vm, engines, kernel, bench, fuzz)" >&2; exit 2 ;;
    esac
    for entry in $list; do
        case " $missing " in *" ${entry%%=*} "*) continue ;; esac
        have "${entry%%=*}" "${entry#*=}" || missing="$missing ${entry%%=*}"
    done
done
missing=${missing# }
[ -n "$missing" ] || exit 0

if ! is_debian; then
    echo "deps.sh: missing (named as in Debian; install what this distribution calls them): $missing" >&2
    exit 1
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null; then
        echo "deps.sh: missing, and not root to install them: apt-get install $missing" >&2
        exit 1
    fi
    sudo="sudo -n"
fi

echo "deps.sh: installing $missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get -q -o DPkg::Lock::Timeout=120 update >&2
# What installs a service also starts it, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$sudo rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $sudo sh -c "cat >$policy && chmod 755 $policy"
fi
# shellcheck disable=SC2086 # a list of words
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -y -o DPkg::Lock::Timeout=120 \
    install --no-install-recommends $missing >&2
