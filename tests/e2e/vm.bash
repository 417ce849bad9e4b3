# SPDX-License-Identifier: Apache-2.0
#
# For test files of micro-VMs, after `load helpers`: every run is one, through whatever accelerator is there.

# VM_ACCEL=kvm: by our own VMM only (the test machine has nothing else).
CTR_GLOBALS="--vm ${VM_ACCEL:+--accel $VM_ACCEL} ${CTR_GLOBALS:-}"
# A machine boots, on two busy processors without virtualization hardware.
DEADLINE=${VM_DEADLINE:-120}

# vm_setup: in setup, after common_setup.
vm_setup() {
    require_root
    if [ "${VM_ACCEL:-}" = kvm ]; then
        [ -w /dev/kvm ] || skip "there is no /dev/kvm"
    else
        require_program qemu-system-x86_64
    fi
    have_kernel || skip "no kernel for the guest: make guest-kernel, or package linux-image-cloud-amd64"
}

have_kernel() {
    [ -e /usr/lib/ctr/vmlinux ] || [ -e "$(dirname "$CTR")/guest/vmlinux" ] || compgen -G '/boot/vmlinuz-*' >/dev/null
}

# The kernels that can be had, one a line: the minimal one, and Debian's.
kernels() {
    local k
    for k in /usr/lib/ctr/vmlinux "$(dirname "$CTR")/guest/vmlinux"; do
        [ ! -e "$k" ] || { echo "$k"; break; }
    done
    compgen -G '/boot/vmlinuz-*-cloud-amd64' | tail -n 1
}

# vm_boot: a detached machine $ID with the bundle's shell asleep in it.
vm_boot() {
    set_args /bin/sh -c 'trap "exit 5" TERM; while :; do sleep 1; done'
    ok run -d --bundle "$BUNDLE" "$ID"
}
