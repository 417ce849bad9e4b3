#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Docker: the options of `docker run` by their effect inside, networks, volumes, groups of services, builds. Also run
# with runc as the control.

load lib
load docker

setup_file() {
    engine_setup
    docker_start
    docker_image
}
teardown_file() {
    docker_stop
    engine_teardown
}
setup() { engine_test_setup; }
teardown() { docker_teardown; }

# runc refuses --privileged on a machine that has not every capability itself.
privileged_or_skip() {
    [ "$RUNTIME" = ctr ] || quiet run --rm --runtime "$RUNTIME" --network none --privileged bb true >/dev/null ||
        skip "$RUNTIME wants every capability, and this machine lacks some"
}

caps_of() { run_sh "$@" 'grep ^CapBnd /proc/self/status | cut -f 2'; }

@test "volumes: read-write, read-only, named, a file" {
    mkdir -p "$BATS_TEST_TMPDIR/v"
    echo host >"$BATS_TEST_TMPDIR/v/f"
    run_sh -v "$BATS_TEST_TMPDIR/v:/data" 'cat /data/f; echo inside >/data/g'
    says host
    [ "$(cat "$BATS_TEST_TMPDIR/v/g")" = inside ]
    run_sh -v "$BATS_TEST_TMPDIR/v:/data:ro" 'cat /data/g; touch /data/x 2>/dev/null || echo refused'
    says $'inside\nrefused'
    [ ! -e "$BATS_TEST_TMPDIR/v/x" ]
    run_sh -v "$BATS_TEST_TMPDIR/v/f:/etc/f:ro" 'cat /etc/f'
    says host
    run_sh -v "vol$C:/www" 'cat /www/version; echo two >/www/version'
    says one
    run_sh -v "vol$C:/www" 'cat /www/version'
    says two
    ok volume rm "vol$C"
}

@test "volumes: propagation rslave and rshared" {
    local dir=$E/prop
    privileged_or_skip
    mkdir -p "$dir"
    mount -t tmpfs prop "$dir"
    mount --make-shared "$dir"
    mkdir -p "$dir/a" "$dir/b"
    run_none -d --name "$C" -v "$dir:/p:rslave" bb sleep 1000
    mount -t tmpfs later "$dir/a"
    echo seen >"$dir/a/f"
    ok exec "$C" cat /p/a/f
    says seen
    run_sh --privileged -v "$dir:/p:rshared" 'mount -t tmpfs inner /p/b && echo out >/p/b/f'
    local rc=0
    [ "$(cat "$dir/b/f")" = out ] || rc=1
    umount "$dir/b" "$dir/a" || true
    ok rm -f "$C"
    umount "$dir"
    return "$rc"
}

@test "--tmpfs, --read-only, --shm-size, --mount type=tmpfs" {
    run_sh --read-only --tmpfs /t:size=1m,mode=1777,noexec --shm-size 3m --mount type=tmpfs,dst=/u,tmpfs-size=2m \
        'touch /x 2>/dev/null || echo ro; touch /t/x; df -k /t /u /dev/shm | awk "NR > 1 { print \$2 }"; grep " /t " /proc/mounts'
    [[ $output == $'ro\n1024\n2048\n3072\n'*noexec* ]] || fail "$output"
}

@test "--user by number and name, --group-add, --workdir, --env" {
    run_sh --user 1234:4321 'id -u; id -g; id -G'
    says $'1234\n4321\n4321'
    run_sh --user user --group-add 77 'id -u; id -G; echo $HOME'
    says $'1000\n1000 50 77\n/home/user'
    fails 125 'unable to find user nobody-here' run --rm --runtime "$RUNTIME" --network none --user nobody-here bb true
    run_sh --workdir /new/dir -e A=1 -e B='two words' 'pwd; echo "$A $B"'
    says $'/new/dir\n1 two words'
}

@test "--cap-add, --cap-drop" {
    caps_of --cap-drop ALL
    [ $((16#$output)) -eq 0 ]
    caps_of --cap-drop ALL --cap-add NET_BIND_SERVICE --cap-add CHOWN
    [ $((16#$output)) -eq $((1 << 10 | 1)) ]
    caps_of --cap-add SYS_ADMIN
    [ $((16#$output & 1 << 21)) -ne 0 ]
    run_sh --cap-drop CHOWN 'chown 1 /tmp 2>/dev/null || echo refused'
    says refused
    caps_of
    echo "$output" | same_as_control caps
}

@test "--security-opt: seccomp profile, unconfined, no-new-privileges" {
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
        "errnoRet": 38}]}' >"$BATS_TEST_TMPDIR/p.json"
    run_sh --security-opt "seccomp=$BATS_TEST_TMPDIR/p.json" 'mkdir /d 2>&1; grep ^Seccomp: /proc/self/status'
    [[ $output == *"not implemented"*$'Seccomp:\t2' ]] || fail "$output"
    run_sh --security-opt seccomp=unconfined 'mkdir /d && grep ^Seccomp: /proc/self/status'
    says $'Seccomp:\t0'
    # the default profile: no new user namespace without CAP_SYS_ADMIN
    run_sh --user user 'unshare -U true 2>/dev/null || echo refused'
    says refused
    run_sh --security-opt no-new-privileges 'grep NoNewPrivs /proc/self/status'
    says $'NoNewPrivs:\t1'
    run_sh 'grep NoNewPrivs /proc/self/status'
    says $'NoNewPrivs:\t0'
}

@test "--memory, --cpus, --cpuset-cpus, --pids-limit, --cpu-shares by their files" {
    run_sh --memory 40m --memory-swap 40m --pids-limit 33 --cpuset-cpus 0 --cpus 0.25 --cpu-shares 256 \
        "cat $(cg memory memory.limit_in_bytes memory.max) $(cg pids pids.max pids.max) $(cg cpuset cpuset.cpus cpuset.cpus)"
    says $'41943040\n33\n0'
    run_sh --pids-limit 6 'for i in 1 2 3 4 5 6 7 8; do sleep 30 & done 2>&1; wait' || true
    [ "$status" -ne 0 ] || [[ $output$stderr == *"an't fork"* ]] || fail "$output"
}

@test "--ulimit, --oom-score-adj, --sysctl, --hostname, --domainname, --add-host, --dns" {
    run_sh --ulimit nofile=111:222 --ulimit core=0 'ulimit -Sn; ulimit -Hn; ulimit -c'
    says $'111\n222\n0'
    run_sh --oom-score-adj 321 'cat /proc/self/oom_score_adj'
    says 321
    run_sh --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=12345 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax'
    says $'1\n12345'
    run_sh --hostname inner --domainname dom.example 'hostname; cat /proc/sys/kernel/domainname /etc/hostname'
    says $'inner\ndom.example\ninner'
    ok run --rm --runtime "$RUNTIME" --add-host other:10.9.8.7 --dns 10.1.2.3 bb sh -c 'grep other /etc/hosts; cat /etc/resolv.conf'
    has 10.9.8.7
    has 'nameserver 10.1.2.3'
}

@test "--init: its process is the first one, and reaps" {
    command -v docker-init >/dev/null || skip "docker-init is not installed"
    run_none -d --name "$C" --init bb sh -c '(sleep 0.1 &) ; exec sleep 1000'
    ok exec "$C" cat /proc/1/comm
    [[ $output == docker-init || $output == tini ]] || fail "$output"
    # the child has ended, and is no zombie
    reaped() {
        quiet exec "$C" sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/stat' >"$BATS_TEST_TMPDIR/processes" &&
            ! grep -aqP 'sleep\x000\.1|\) Z ' "$BATS_TEST_TMPDIR/processes"
    }
    wait_for 20 reaped
    ok stop "$C"
    ok inspect -f '{{.State.ExitCode}}' "$C"
    says 143
}

@test "--privileged" {
    privileged_or_skip
    run_sh --privileged 'mount -t tmpfs x /mnt && grep -c " /mnt " /proc/mounts; touch /proc/sys/kernel/x 2>/dev/null; test -w /proc/sys/kernel/msgmax && echo rw'
    says $'1\nrw'
}

@test "--device and what the device rules refuse" {
    run_sh --device /dev/null:/dev/other:rwm 'echo x >/dev/other && stat -c %F /dev/other'
    says 'character special file'
    # memory is a device that no rule allows
    run_sh --cap-add MKNOD 'mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem 2>&1 | grep -o "not permitted"'
    says 'not permitted'
    run_sh --device /dev/full:/dev/full:r 'dd if=/dev/full of=/dev/null bs=1 count=1 2>/dev/null && echo read'
    says read
    # a device that is only ours by --device, and without the right to write
    [ -e /dev/loop-control ] || skip "no /dev/loop-control on this machine"
    run_sh --device /dev/loop-control:/dev/lc:r ': </dev/lc && echo read; (: >/dev/lc) 2>/dev/null || echo refused'
    says $'read\nrefused'
}

@test "masked and read-only paths are there, and not for --privileged" {
    run_sh 'cat /proc/kcore | wc -c; touch /proc/sys/kernel/msgmax 2>/dev/null || echo ro; ls /sys/firmware | wc -l'
    says $'0\nro\n0'
    run_sh 'grep -c " /proc/.* ro," /proc/mounts; grep -c " /sys sysfs ro" /proc/mounts'
    echo "$output" | same_as_control readonly
}

@test "--ipc: shareable, container:X, host; --pid: host, container:X; --uts host" {
    sleeper "$C" --ipc shareable --hostname first
    ok exec "$C" sh -c 'echo shared >/dev/shm/f'
    run_sh --ipc "container:$C" 'cat /dev/shm/f'
    says shared
    run_sh --pid "container:$C" 'ps -o args | grep -c "[s]leep 1000"'
    says 1
    run_sh --pid host "test -d /proc/$$ && echo host"
    says host
    run_sh --uts host 'hostname'
    says "$(hostname)"
    run_sh --ipc host 'readlink /proc/self/ns/ipc'
    says "$(readlink /proc/self/ns/ipc)"
}

@test "--network: none, host, container:X, the bridge" {
    run_sh 'ls /sys/class/net'
    says lo
    ok run --rm --runtime "$RUNTIME" --network host bb readlink /proc/self/ns/net
    says "$(readlink "/proc/$NET_PID/ns/net")"
    ok run -d --runtime "$RUNTIME" --name "$C" bb httpd -f -p 80 -h /www
    ok run --rm --runtime "$RUNTIME" --network "container:$C" bb \
        sh -c 'until wget -q -O - http://127.0.0.1/version; do sleep 0.1; done'
    says one
    ok inspect -f '{{.NetworkSettings.IPAddress}}' "$C"
    ok run --rm --runtime "$RUNTIME" bb wget -q -O - "http://$output/version"
    says one
}

@test "a published port answers" {
    ok run -d --runtime "$RUNTIME" --name "$C" -p 127.0.0.1:0:80 bb httpd -f -p 80 -h /www
    ok port "$C" 80
    answers() { [ "$(in_net curl -sS -m 5 "http://$1/version" 2>/dev/null)" = one ]; }
    wait_for 20 answers "$output"
}

@test "--userns host; a private cgroup namespace" {
    run_sh --userns host 'readlink /proc/self/ns/user'
    says "$(readlink /proc/self/ns/user)"
    run_sh --cgroupns private 'readlink /proc/self/ns/cgroup'
    [ "$output" != "$(readlink /proc/self/ns/cgroup)" ]
}

@test "a group of three services: database, application, front" {
    local i
    ok network create "net$C"
    ok volume create "vol$C"
    # the database keeps its words in a volume; the application asks it; the front asks the application
    ok run -d --runtime "$RUNTIME" --network "net$C" --name "db$C" --network-alias db -v "vol$C:/data" --restart always \
        bb sh -c 'echo stored >/data/value; exec httpd -f -p 6379 -h /data'
    ok run -d --runtime "$RUNTIME" --network "net$C" --name "app$C" --network-alias app -e DB=db:6379 --restart always bb sh -c '
        mkdir -p /srv/cgi-bin; printf "#!/bin/sh\necho; wget -q -O - http://\$DB/value\n" >/srv/cgi-bin/get
        chmod +x /srv/cgi-bin/get; exec httpd -f -p 8080 -h /srv'
    ok run -d --runtime "$RUNTIME" --network "net$C" --name "front$C" -p 127.0.0.1:0:80 --restart always bb \
        sh -c 'mkdir -p /srv; while :; do wget -q -O /srv/page.new http://app:8080/cgi-bin/get && mv /srv/page.new /srv/page
            sleep 0.2; done & exec httpd -f -p 80 -h /srv'
    ok port "front$C" 80
    local address=$output
    page() { [ "$(in_net curl -sS -m 5 "http://$address/page" 2>/dev/null)" = "$1" ]; }
    wait_for 40 page stored
    # the database dies and comes back by itself; its volume is there, and the others find it again
    ok exec "db$C" sh -c 'echo changed >/data/value'
    wait_for 40 page changed
    ok inspect -f '{{.State.Pid}}' "db$C"
    kill -9 "$output"
    wait_field "db$C" '{{.RestartCount}} {{.State.Status}}' '1 running'
    wait_for 40 page stored
    for i in db app front; do ok rm -f "$i$C"; done
    ok network rm "net$C"
    ok volume rm "vol$C"
}

@test "nginx and redis of Debian" {
    local tar
    tar=$(services_tar) || skip "no Debian tree can be made here: $(tail -n 1 "$E/mmdebstrap.log")"
    quiet image inspect services >/dev/null || ok import "$tar" services
    ok run -d --runtime "$RUNTIME" --name "$C" --memory 256m --init services redis-server --bind 0.0.0.0 --protected-mode no
    redis() { [ "$(quiet exec "$C" redis-cli "$@")" = "$EXPECT" ]; }
    EXPECT=PONG wait_for 60 redis ping
    EXPECT=OK redis set key word
    EXPECT=word redis get key
    # the tree has no users yet: no package's scripts were run
    echo 'user root root; daemon off; error_log stderr; pid /run/nginx.pid; events {}
        http { access_log off; server { listen 80; root /var/www/html; } }' >"$BATS_TEST_TMPDIR/nginx.conf"
    ok run -d --runtime "$RUNTIME" --name "$C-web" --read-only --tmpfs /run --tmpfs /var/log/nginx --tmpfs /var/lib/nginx \
        -v "$E/rootfs/www:/var/www/html:ro" -v "$E/rootfs/etc/passwd:/etc/passwd:ro" -v "$E/rootfs/etc/group:/etc/group:ro" \
        -v "$BATS_TEST_TMPDIR/nginx.conf:/nginx.conf:ro" -p 127.0.0.1:0:80 services nginx -c /nginx.conf
    ok port "$C-web" 80
    local address=$output
    page() { [ "$(in_net curl -sS -m 5 "http://$1/version" 2>/dev/null)" = one ]; }
    wait_for 60 page "$address"
    ok exec "$C-web" nginx -c /nginx.conf -s reload
    page "$address"
    ok stop "$C-web"
    ok inspect -f '{{.State.ExitCode}}' "$C-web"
    says 0
}

@test "a build's steps run in the default runtime" {
    mkdir -p "$BATS_TEST_TMPDIR/b"
    printf '%s\n' 'FROM bb' 'RUN echo built >/made && id -u >>/made' 'USER user' 'RUN id -u >/tmp/user' 'CMD cat /made /tmp/user' \
        >"$BATS_TEST_TMPDIR/b/Dockerfile"
    export DOCKER_BUILDKIT=0
    ok build --network none -t "img$C" "$BATS_TEST_TMPDIR/b"
    run_none --rm "img$C"
    says $'built\n0\n1000'
    printf '%s\n' 'FROM bb' 'RUN exit 9' >"$BATS_TEST_TMPDIR/b/Dockerfile"
    fails 9 'non-zero code: 9' build --network none "$BATS_TEST_TMPDIR/b"
    ok rmi "img$C"
}

@test "commit, diff, export of what a container wrote" {
    run_none --name "$C" bb sh -c 'echo new >/new; rm /etc/group'
    ok diff "$C"
    has 'A /new'
    has 'D /etc/group'
    ok commit "$C" "img$C"
    run_none --rm "img$C" cat /new
    says new
    ok export -o "$BATS_TEST_TMPDIR/x.tar" "$C"
    tar -tf "$BATS_TEST_TMPDIR/x.tar" | grep -q '^new$'
    ok rm "$C"
    ok rmi "img$C"
}

@test "log drivers: local, none, a limit on the log's size" {
    run_none --name "$C" --log-driver local bb sh -c 'i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done'
    ok logs --tail 1 "$C"
    says 'line 199'
    run_none --rm --log-driver none bb echo direct
    says direct
    run_none --name "$C-b" --log-opt max-size=10k --log-opt max-file=1 bb sh -c 'i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done'
    ok logs --tail 1 "$C-b"
    says 'line 1999'
}

@test "checkpoint: refused clearly" {
    sleeper "$C"
    eng checkpoint create "$C" one
    [ "$status" -ne 0 ]
    [ "$RUNTIME" != ctr ] || [[ $stderr == *"not supported by this version of ctr"* ]] || fail "$stderr"
    ok exec "$C" true
}

@test "the runtime with an argument of its own (--debug)" {
    [ "$RUNTIME" = ctr ] || skip "of ctr only"
    ok run --rm --runtime ctr-debug --network none bb echo debugged
    says debugged
}

@test "containers that remap users: --userns-remap of the daemon" {
    docker_stop
    # the mapped users pass through these directories
    chmod o+x "$E" "${E%/*}"
    printf '%s:300000:65536\n' nobody nogroup >"$E/subid"
    spawn "$E/log" unshare -m sh -c 'mount --bind "$1/subid" /etc/subuid && mount --bind "$1/subid" /etc/subgid &&
        shift && exec "$@"' sh "$E" dockerd --config-file "$E/daemon.json" --userns-remap nobody:nogroup
    docker_is $!
    wait_for 60 docker_answers
    docker_image
    eng run --rm --runtime "$RUNTIME" --network none bb sh -c 'awk "{ print \$2 }" /proc/self/uid_map; id -u; touch /x && stat -c %u /x'
    local got="$status $output $stderr"
    docker_stop
    docker_up
    [[ $got == $'0 300000\n0\n0 '* ]] || fail "$got"
}
