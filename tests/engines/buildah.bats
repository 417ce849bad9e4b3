#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# buildah: the steps of a build run in ctr.

load lib
load podman

client_cmd() { in_net timeout -k 5 "$DEADLINE" buildah "$@"; }

setup_file() {
    engine_setup
    command -v buildah >/dev/null || { engine_skip "buildah is not installed"; return; }
    podman_config
    image_tar >/dev/null
    # what `run` and `build` need to find the runtime
    export BUILDAH_RUNTIME=$CTR BUILDAH_ISOLATION=oci
    { W=$(quiet from scratch) && quiet copy "$W" "$E/rootfs" / && quiet config --cmd /bin/sh --env PATH=/bin "$W" &&
        quiet commit "$W" bb && quiet rm "$W"; } >"$E/log" 2>&1 || engine_skip "buildah does not work here: $(tail -n 1 "$E/log")"
}
teardown_file() { engine_teardown; }
setup() { engine_test_setup; }
teardown() {
    show_calls
    [ -n "${ENGINE_SKIP:-}" ] || quiet rm -a >/dev/null || true
}

# from: a working container of the image
from() {
    ok from --pull-never bb
    W=$output
}

@test "run: output, exit codes, what cannot be run" {
    from
    ok run --runtime "$CTR" "$W" -- sh -c 'echo out; echo err >&2'
    says out
    eng run --runtime "$CTR" "$W" -- sh -c 'exit 9'
    [ "$status" -eq 9 ]
    eng run --runtime "$CTR" "$W" -- no-such-program
    [ "$status" -ne 0 ]
    [[ $stderr == *"executable file not found"* ]] || fail "$stderr"
}

@test "run: it is ctr that is called" {
    from
    printf '#!/bin/sh\necho "$*" >>"%s/args"\nexec "%s" "$@"\n' "$BATS_TEST_TMPDIR" "$CTR" >"$BATS_TEST_TMPDIR/ctr"
    chmod +x "$BATS_TEST_TMPDIR/ctr"
    ok run --runtime "$BATS_TEST_TMPDIR/ctr" "$W" -- true
    grep -q 'create --bundle' "$BATS_TEST_TMPDIR/args"
    grep -q 'start' "$BATS_TEST_TMPDIR/args"
    grep -q 'delete' "$BATS_TEST_TMPDIR/args"
}

@test "run: user, directory, environment, mounts, capabilities, network" {
    from
    ok config --user user --workingdir /etc --env A=b "$W"
    ok run --runtime "$CTR" --hostname inner --cap-add CAP_SYS_PTRACE -v "$E/rootfs/www:/mnt:ro" "$W" -- sh -c 'id -u; pwd; echo $A; hostname
        cat /mnt/version; touch /mnt/x 2>/dev/null || echo ro'
    says $'1000\n/etc\nb\ninner\none\nro'
    ok run --runtime "$CTR" --network none --user root "$W" -- ls /sys/class/net
    says lo
    ok run --runtime "$CTR" --network host --user root "$W" -- readlink /proc/self/ns/net
    says "$(readlink "/proc/$NET_PID/ns/net")"
}

@test "run: a terminal" {
    from
    tty nsenter --net="/proc/$NET_PID/ns/net" -- buildah run --runtime "$CTR" -t "$W" -- sh
    tty_script 'size 31 97' 'expect # ' 'type stty size; tty\r' 'expect 31 97' 'expect /dev/pts/0' 'type exit 0\r' 'wait'
    says 0
}

@test "run: input passes through" {
    from
    echo from-stdin >"$BATS_TEST_TMPDIR/in"
    STDIN=$BATS_TEST_TMPDIR/in ok run --runtime "$CTR" "$W" -- cat
    says from-stdin
}

@test "a Dockerfile: steps, users, arguments, stages, a failing step" {
    mkdir -p "$BATS_TEST_TMPDIR/b"
    cat >"$BATS_TEST_TMPDIR/b/Dockerfile" <<'DOCKERFILE'
FROM bb AS first
ARG WORD=none
RUN echo $WORD >/made && id -u >>/made
FROM bb
COPY --from=first /made /made
USER user
WORKDIR /tmp
RUN id -u >/tmp/mine && pwd >>/tmp/mine
CMD cat /made /tmp/mine
DOCKERFILE
    ok build --runtime "$CTR" --build-arg WORD=given --pull-never -t "img$C" "$BATS_TEST_TMPDIR/b"
    ok from --pull-never "img$C"
    ok run --runtime "$CTR" "$output" -- cat /made /tmp/mine
    says $'given\n0\n1000\n/tmp'
    printf '%s\n' 'FROM bb' 'RUN exit 9' >"$BATS_TEST_TMPDIR/b/Dockerfile"
    eng build --runtime "$CTR" --pull-never "$BATS_TEST_TMPDIR/b"
    [ "$status" -ne 0 ]
    [[ $stderr == *"exit status 9"* ]] || fail "$stderr"
}

@test "--runtime-flag, limits of a build" {
    mkdir -p "$BATS_TEST_TMPDIR/b"
    printf '%s\n' 'FROM bb' 'RUN ulimit -n >/limit' >"$BATS_TEST_TMPDIR/b/Dockerfile"
    ok build --runtime "$CTR" --runtime-flag debug --ulimit nofile=99:99 --memory 64m --pull-never -t "img$C" "$BATS_TEST_TMPDIR/b"
    ok from --pull-never "img$C"
    ok run --runtime "$CTR" "$output" -- cat /limit
    says 99
}
