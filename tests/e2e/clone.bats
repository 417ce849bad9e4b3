#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run: own network
#
# The OS clone, seen from inside and from the host: whose name, processes and files it has, what it may do, and that
# nothing of it stays. Its --disk is in clone_disk.bats.

load helpers

setup() {
    common_setup
    require_root
    CANARY=
}

teardown() {
    [ -z "${CANARY:-}" ] || rm -rf "$CANARY"
    common_teardown
}

# clone [OPTIONS...] -- COMMAND...: runs it in a clone named $ID.
clone() {
    local opts=()
    while [ "$1" != -- ]; do
        opts+=("$1")
        shift
    done
    shift
    ctr run --clone "${opts[@]}" "$ID" "$@"
}

# clone_sh [OPTIONS...] SCRIPT: the same with a shell script, which must succeed.
clone_sh() {
    local script=${*: -1}
    clone "${@:1:$#-1}" -- /bin/sh -ec "$script"
    [ "$status" -eq 0 ] || fail "the clone ended with status $status"
}

# A directory on the host's own disk, which a clone sees through its root (TMPDIR is hidden by the clone's /tmp).
make_canary() {
    CANARY=$(mktemp -d /var/tmp/ctr-e2e.XXXXXX)
    chmod 755 "$CANARY"
}

# ---- what is its own ----

@test "clone: the host name is the ID, pid 1 is the command, the environment is plain" {
    SECRET=visible clone_sh 'hostname; cat /proc/sys/kernel/hostname; echo $$; pwd; env'
    [ "$(sed -n 1,4p <<<"$output")" = "$ID"$'\n'"$ID"$'\n'1$'\n'/root ]
    [[ $output == *container=ctr* && $output == *HOME=/root* && $output == *PATH=*/usr/bin* ]]
    [[ $output != *SECRET* && $output != *CTR_TEST_ID* ]]
    [ "$(cat /proc/sys/kernel/hostname)" != "$ID" ]
}

@test "clone: a long ID gives a host name cut to what the kernel takes" {
    ID=$TESTID-$(printf 'x%.0s' {1..80})
    clone_sh 'hostname'
    [ "$output" = "${ID:0:64}" ]
}

@test "clone: it sees its own processes only" {
    sleep 98761 &
    local other=$!
    clone_sh 'sleep 98762 & cat /proc/[0-9]*/cmdline | tr "\0" " "; kill $!'
    kill "$other"
    [[ $output == *"sleep 98762"* ]]
    [[ $output != *"sleep 98761"* && $output != *bats* ]]
    [ "$(grep -c . <<<"$output")" -le 3 ]
}

@test "clone: its own proc, sys, dev, run and tmp" {
    mkdir -p "$BATS_TEST_TMPDIR/seen"
    clone_sh 'for d in /proc /sys /dev /run /tmp /dev/shm /dev/pts; do stat -fc "$d %T" "$d"; done
        find /run ! -type d; ls -A /tmp; ls -A /dev/shm; test ! -e '"$BATS_TEST_TMPDIR"'
        echo mine >/tmp/f; echo mine >/run/f; echo mine >/dev/shm/f; cat /tmp/f'
    [ "$output" = "/proc proc
/sys sysfs
/dev tmpfs
/run tmpfs
/tmp tmpfs
/dev/shm tmpfs
/dev/pts devpts
mine" ]
    clone_sh 'ls -A /run /tmp /dev/shm'
    [[ $output != *f* || $output != *mine* ]]
    [ ! -e /run/f ] && [ ! -e /dev/shm/f ]
}

@test "clone: /dev has the default devices, and no other can be opened" {
    clone_sh 'ls /dev; for d in null zero full random urandom tty; do test -c /dev/$d; done
        head -c 4 /dev/urandom | wc -c; echo x >/dev/null
        mknod /root/kmsg c 1 11; mknod /root/vda b 254 0
        ! head -c 1 /root/kmsg; ! head -c 1 /root/vda'
    [[ $output != *kmsg* && $output != *loop* && $output != *sda* && $output != *kvm* ]]
    [[ $stderr == *"/root/kmsg"*"Operation not permitted"*"/root/vda"*"Operation not permitted"* ]]
}

@test "clone: its own network with a loopback that is up" {
    clone_sh 'tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "; ip -o link show lo; readlink /proc/self/ns/net'
    [ "$(sed -n 1p <<<"$output")" = lo ]
    [[ $output == *"UP,LOWER_UP"* ]]
    [ "${output##*$'\n'}" != "$(readlink /proc/self/ns/net)" ]
}

@test "clone: every namespace but the user's is its own" {
    clone_sh 'for n in cgroup ipc mnt net pid uts user; do echo $n $(readlink /proc/self/ns/$n); done'
    local n host
    for n in cgroup ipc mnt net pid uts; do
        host=$(readlink "/proc/self/ns/$n")
        [[ $output == *"$n $n:"* && $output != *"$host"* ]] || fail "$n is the host's"
    done
    [[ $output == *"user $(readlink /proc/self/ns/user)"* ]]
}

# ---- copy on write ----

@test "clone: files written anywhere are not on the host, nor in the next clone" {
    local mark=ctr-$TESTID d
    clone_sh "for d in / /etc /root /usr /usr/bin /var /var/lib /opt /home; do
            echo inside >\$d/$mark; test \"\$(cat \$d/$mark)\" = inside; done
        mkdir -p /srv/$mark/a/b; ln -s /etc/passwd /srv/$mark/link; ls /etc/$mark"
    [ "$output" = "/etc/$mark" ]
    for d in / /etc /root /usr /usr/bin /var /var/lib /opt /home /srv; do
        [ ! -e "$d/$mark" ] || fail "$d/$mark is on the host"
    done
    clone -- /bin/ls "/etc/$mark"
    [ "$status" -eq 2 ]
}

@test "clone: a file written while it runs is not on the host, and not in another clone that runs" {
    local mark=/etc/ctr-$TESTID
    ok run --clone -d "$ID" /bin/sh -c "echo one >$mark; exec sleep 1000"
    ok run --clone -d "$ID-b" /bin/sh -c "echo two >$mark; exec sleep 1000"
    wait_for 10 is_said "$ID" "$mark" one
    wait_for 10 is_said "$ID-b" "$mark" two
    [ ! -e "$mark" ]
    ok exec "$ID" /bin/cat "$mark"
    [ "$output" = one ]
    ok exec "$ID" /bin/sh -c 'hostname; cat /proc/[0-9]*/cmdline | tr "\0" " "'
    [[ $output == "$ID"$'\n'* && $output != *"$ID-b"* ]]
    ok delete --force "$ID"
    ok exec "$ID-b" /bin/cat "$mark"
    [ "$output" = two ]
    ok delete --force "$ID-b"
}

is_said() {
    ctr exec "$1" /bin/cat "$2"
    [ "$output" = "$3" ]
}

@test "clone: deleting, changing, renaming and chmod of the host's files stays inside" {
    make_canary
    mkdir "$CANARY/dir" "$CANARY/gone"
    echo text >"$CANARY/file"
    echo text >"$CANARY/dir/sub"
    echo text >"$CANARY/gone/sub"
    ln "$CANARY/file" "$CANARY/hard"
    local before after
    before=$(cd "$CANARY" && find . -printf '%p %y %m %U %G %s %n %T@\n' | sort && cat file dir/sub)
    clone_sh "cd $CANARY; cat file; rm -r gone; rm hard; echo more >>file; chmod 777 dir; chown 1:1 dir/sub
        mv dir renamed; touch renamed/new; : >renamed/sub; ls; cat file; stat -c '%a' renamed
        setfattr -n user.x -v y file 2>/dev/null || true; truncate -s 0 file"
    [ "$output" = $'text\nfile\nrenamed\ntext\nmore\n777' ]
    after=$(cd "$CANARY" && find . -printf '%p %y %m %U %G %s %n %T@\n' | sort && cat file dir/sub)
    [ "$before" = "$after" ] || fail "$(diff <(echo "$before") <(echo "$after"))"
}

@test "clone: a whole tree of the system can be removed or renamed inside, and is there on the host and in the next clone" {
    # the guard is for the machine of whoever breaks the clone's root
    clone_sh 'case $(stat -fc %T /) in overlayfs | fuse*) ;; *) exit 9 ;; esac; rm -rf /usr/share/doc; test ! -e /usr/share/doc
        mv /usr/share/man /usr/share/man2 || cp -a /usr/share/man /usr/share/man2; ls -d /usr/share/man2'
    [ "$output" = /usr/share/man2 ]
    [ -d /usr/share/doc ] && [ ! -e /usr/share/man2 ]
    clone_sh 'ls -d /usr/share/doc; test ! -e /usr/share/man2'
}

@test "clone: a file system mounted below / is copied on write, too" {
    make_canary
    mkdir "$CANARY/mnt" "$CANARY/src"
    echo host >"$CANARY/src/file"
    mount --bind "$CANARY/src" "$CANARY/mnt"
    clone -- /bin/sh -ec "cat $CANARY/mnt/file; echo inside >$CANARY/mnt/file; cat $CANARY/mnt/file"
    umount "$CANARY/mnt"
    [ "$status" -eq 0 ]
    [ "$output" = $'host\ninside' ]
    [ "$(cat "$CANARY/src/file")" = host ]
}

# below OPTION...: $CANARY/src as a mount of its own at $CANARY/mnt, in a mount namespace that the clones start in.
below() {
    mkdir -p "$CANARY/mnt" "$CANARY/src"
    chmod 711 "$CANARY"
    printf '#!/bin/sh\nexec unshare -m --propagation private sh -ec \x27%s; shift; exec "$@"\x27 sh "%s" "%s" "$@"\n' \
        "${1:-mount --bind \$1/src \$1/mnt}" "$CANARY" "$CTR" >"$BATS_TEST_TMPDIR/ctr"
    chmod 755 "$BATS_TEST_TMPDIR/ctr"
    CTR=$BATS_TEST_TMPDIR/ctr
}

@test "clone: what the host forbids on a file system is forbidden in the clone" {
    make_canary
    below 'mount --bind $1/src $1/mnt; mount -o remount,bind,nosuid,nodev,noexec $1/mnt'
    cp "$(type -P id)" "$CANARY/src/id"
    chmod 4755 "$CANARY/src/id"
    mknod -m 666 "$CANARY/src/null" c 1 3
    clone_sh -u 65534 "! $CANARY/mnt/id; ! echo x >$CANARY/mnt/null; $CANARY/src/id -u; grep ' $CANARY/mnt ' /proc/self/mountinfo"
    [ "$(grep -c 'Permission denied' <<<"$stderr")" -eq 2 ] || fail "$stderr"
    # and what it does not, is not
    [[ $output == $'0\n'*' rw,nosuid,nodev,noexec,'* ]] || fail "$output"
}

@test "clone: access control lists of a file system's own directory hold" {
    make_canary
    below
    chgrp 60 "$CANARY/src"
    # user::rwx user:65534:rwx group::r-x mask::rwx other::---
    python3 -c 'import os, struct, sys; os.setxattr(sys.argv[1], "system.posix_acl_access", struct.pack("<I" + "HHI" * 5,
        2, 1, 7, 2**32 - 1, 2, 7, 65534, 4, 5, 2**32 - 1, 16, 7, 2**32 - 1, 32, 0, 2**32 - 1))' "$CANARY/src" || skip "no ACLs here"
    clone_sh -u 65534:65534 "ls $CANARY/mnt; touch $CANARY/mnt/x; echo ok"
    [ "$output" = ok ]
    clone_sh -u 1000:60 "ls $CANARY/mnt; ! touch $CANARY/mnt/x"
    clone_sh -u 1000:1000 "! ls $CANARY/mnt"
}

@test "clone: --read-only holds for every file system of the machine" {
    make_canary
    below
    mkdir "$BATS_TEST_TMPDIR/vol"
    clone_sh --read-only -v "$BATS_TEST_TMPDIR/vol:$CANARY/mnt/new" \
        "! touch $CANARY/mnt/x; touch $CANARY/mnt/new/inside; rmdir $CANARY/mnt/new || echo ok"
    [ "$output" = ok ]
    [[ $stderr == *"Read-only file system"* ]]
    [ -e "$BATS_TEST_TMPDIR/vol/inside" ] && [ ! -e "$CANARY/src/new" ]
}

@test "clone: what another file system hides on the host is hidden in the clone" {
    make_canary
    below 'mount -t tmpfs none $1/mnt; echo there >$1/mnt/seen; mount -t tmpfs none $1/empty'
    mkdir "$CANARY/empty"
    echo hidden >"$CANARY/mnt/hidden"
    clone_sh "ls -A $CANARY/mnt $CANARY/empty; ! touch $CANARY/mnt/x"
    ! grep -q 'hidden\|seen' "$OUT" || fail "$output"
    [[ $stderr == *"ctr: warning: the clone has nothing of $CANARY/mnt, a file system of type tmpfs"* ]] || fail "$stderr"
    [[ $stderr != *"$CANARY/empty"* ]]
}

@test "clone: a file system at a path longer than a file's name may be" {
    make_canary
    local long
    long=$(printf 'd%.0s' $(seq 150))
    below "mkdir -p \$1/$long/$long; mount --bind \$1/src \$1/$long/$long"
    echo host >"$CANARY/src/file"
    clone_sh "cat $CANARY/$long/$long/file; echo inside >$CANARY/$long/$long/file; cat $CANARY/$long/$long/file"
    [ "$output" = $'host\ninside' ]
    [ "$(cat "$CANARY/src/file")" = host ]
}

@test "clone: set-user-ID programs, owners and times are those of the host" {
    clone_sh 'stat -c "%a %u %g %Y" /usr/bin/passwd /etc/shadow /usr/bin/env'
    [ "$output" = "$(stat -c '%a %u %g %Y' /usr/bin/passwd /etc/shadow /usr/bin/env)" ]
    clone_sh -u 1000:1000 'id -u; ! cat /etc/shadow'
    [ "$output" = 1000 ]
    [[ $stderr == *"Permission denied"* ]]
}

# ---- programs ----

@test "clone: dpkg and apt work, a package is built, installed and gone with the clone" {
    require_program dpkg-deb
    clone_sh 'dpkg -l | grep -c ^ii; apt-get --version | head -n 1; apt-cache policy base-files | head -n 1
        mkdir -p /root/p/DEBIAN /root/p/usr/bin /root/p/etc; echo "#!/bin/sh" >/root/p/usr/bin/ctr-e2e
        echo "echo it runs" >>/root/p/usr/bin/ctr-e2e; chmod 755 /root/p/usr/bin/ctr-e2e
        echo "key = value" >/root/p/etc/ctr-e2e.conf; echo /etc/ctr-e2e.conf >/root/p/DEBIAN/conffiles
        printf "%s\n" "Package: ctr-e2e" "Version: 1.0" "Architecture: all" "Maintainer: nobody <n@localhost>" \
            "Description: test" >/root/p/DEBIAN/control
        printf "%s\n" "#!/bin/sh" "set -e" "mkdir -p /var/lib/ctr-e2e" "chown daemon:daemon /var/lib/ctr-e2e" \
            "echo configured >/var/lib/ctr-e2e/state" >/root/p/DEBIAN/postinst; chmod 755 /root/p/DEBIAN/postinst
        dpkg-deb -b /root/p /root/p.deb >/dev/null; dpkg -i /root/p.deb >/dev/null
        ctr-e2e; dpkg -s ctr-e2e | grep ^Status; cat /var/lib/ctr-e2e/state; stat -c %U /var/lib/ctr-e2e
        dpkg -P ctr-e2e >/dev/null; test ! -e /etc/ctr-e2e.conf; test ! -e /usr/bin/ctr-e2e'
    [ "$(sed -n 1p <<<"$output")" -gt 50 ]
    [[ $output == *$'\napt '*$'\nbase-files:\nit runs\nStatus: install ok installed\nconfigured\ndaemon' ]]
    [ ! -e /var/lib/ctr-e2e ]
    ! dpkg -s ctr-e2e 2>/dev/null || fail "found what must not be there"
}

@test "clone: ordinary programs work: bash, python3, gcc, tar, sort, threads, shared memory" {
    clone_sh 'cd /root
        bash -c "a=(1 2 3); echo bash \${#a[@]} <(:) | cut -c 1-6"
        /usr/bin/python3 -c "
import threading, subprocess, multiprocessing, socket, asyncio
t = threading.Thread(target=lambda: print(\"thread\", flush=True)); t.start(); t.join()
print(subprocess.check_output([\"/bin/echo\", \"child\"]).decode().strip(), flush=True)
with multiprocessing.Pool(2) as p: print(\"pool\", sum(p.map(abs, [-1, -2])), flush=True)
a, b = socket.socketpair(); a.send(b\"x\"); print(\"socket\", b.recv(1).decode(), flush=True)
asyncio.run(asyncio.sleep(0))
"
        printf "#include <stdio.h>\nint main(void) { puts(\"compiled\"); return 7; }\n" >a.c
        gcc -O1 -o a a.c; ./a && false || test $? = 7
        mkdir d; seq 1000 >d/n; tar czf d.tgz d; rm -r d; tar xzf d.tgz; sort -rn d/n | head -n 1
        find /usr/bin -name "ba*sh" | head -n 1'
    [ "$output" = $'bash 3\nthread\nchild\npool 3\nsocket x\ncompiled\n1000\n/usr/bin/bash' ]
}

@test "clone: a service listens on its own loopback, and the host does not see it" {
    ok run --clone -d "$ID" /usr/bin/python3 -m http.server --bind 127.0.0.1 --directory /etc 8099
    wait_for 10 answers "$ID"
    [[ $output == *root:x:0:0* ]]
    ! timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8099' 2>/dev/null || fail "found what must not be there"
    ok delete --force "$ID"
}

answers() {
    ctr exec "$1" /usr/bin/python3 -c 'import urllib.request as u
print(u.urlopen("http://127.0.0.1:8099/passwd", timeout=5).read().decode())'
    [ "$status" -eq 0 ]
}

# ---- what it may not do ----

@test "clone: mounting, new user namespaces, the clock, modules and kernel settings are denied" {
    clone -- /bin/sh -c 't() { "$@" >/dev/null 2>&1 && echo "allowed: $*"; }
        t mount -t tmpfs none /mnt; t mount --bind /etc /mnt; t umount /tmp; t mount -o remount,rw /sys
        t unshare -U true; t unshare -m true; t unshare -n true; t nsenter -t 1 -m true
        t date -s 2020-01-01; t sysctl -w kernel.hostname=x; t hostname other; t chroot /nonexistent true
        t ip link set lo down; t dmesg; t insmod x.ko
        t sh -c "echo b >/proc/sysrq-trigger"; t sh -c "echo 1 >/proc/sys/kernel/panic"
        t sh -c "echo 1 >/sys/fs/cgroup/pids/pids.max"; t mkdir /sys/fs/cgroup/x; t mkdir /sys/fs/cgroup/pids/x
        t grep -q . /proc/kcore; t grep -q . /proc/keys; t ls /sys/firmware/acpi; echo end'
    [ "$output" = end ]
}

@test "clone: the capabilities are the short list, the seccomp filter is on, nothing is inheritable" {
    clone_sh 'grep -E "^(Cap(Inh|Prm|Eff|Bnd|Amb)|Seccomp|NoNewPrivs):" /proc/self/status | tr -d "\t"'
    # chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write
    # setfcap
    local caps=00000000a80425fb
    [[ $output == *"CapInh:0000000000000000"*"CapPrm:$caps"*"CapEff:$caps"*"CapBnd:$caps"*"CapAmb:0000000000000000"* ]]
    [[ $output == *"Seccomp:2"* ]]
}

# Each call with harmless arguments: what it fails with tells who stopped it.
@test "clone: system calls: io_uring and clone3 are missing, mount, bpf and keyctl are denied" {
    clone -- /usr/bin/python3 -c '
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
for name, nr in (("io_uring_setup", 425), ("clone3", 435), ("mount", 165), ("bpf", 321), ("keyctl", 250),
                 ("unshare", 272), ("kexec_load", 246), ("open_by_handle_at", 304), ("userfaultfd", 323),
                 ("getpid", 39)):
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(nr), ctypes.c_long(0x10000000), None, None, None, None)
    print(name, "ok" if r >= 0 else errno.errorcode[ctypes.get_errno()])'
    [ "$status" -eq 0 ]
    [ "$output" = "io_uring_setup ENOSYS
clone3 ENOSYS
mount EPERM
bpf EPERM
keyctl EPERM
unshare EPERM
kexec_load EPERM
open_by_handle_at EPERM
userfaultfd EPERM
getpid ok" ]
}

@test "clone: a clone inside a clone says in one line why not" {
    cp "$CTR" "$BATS_TEST_TMPDIR/ctr"
    clone -v "$BATS_TEST_TMPDIR/ctr:/usr/local/bin/ctr-inner:ro" -- /usr/local/bin/ctr-inner run --clone inner true
    [ "$status" -ne 0 ]
    [ "$(grep -c . "$ERR")" -eq 1 ]
    [[ $stderr == "ctr: "*": "* ]]
    assert_leak_free
}
