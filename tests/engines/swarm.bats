#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Docker Swarm on one machine: the tasks of its services run in the daemon's default runtime, which is ctr.

load lib
load docker

setup_file() {
    engine_setup
    docker_start
    docker_image
    [ -z "${ENGINE_SKIP:-}" ] || return 0
    if ! quiet swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 >"$E/swarm" 2>&1; then
        engine_skip "no swarm here: $(tail -n 1 "$E/swarm")"
        return 0
    fi
    # the second version of the image
    quiet create --network none --name v2 bb sh -c 'echo two >/www/version' >/dev/null && quiet start -a v2 &&
        quiet commit v2 bb:two >/dev/null && quiet rm v2 >/dev/null
}
teardown_file() {
    [ -n "${ENGINE_SKIP:-}" ] || quiet swarm leave --force >/dev/null || true
    docker_stop
    engine_teardown
}
setup() { engine_test_setup; }
teardown() {
    local s
    show_calls
    for s in $(quiet service ls -q); do quiet service rm "$s" >/dev/null || true; done
    [ -n "${BATS_TEST_COMPLETED:-}" ] && [ -z "${ENGINE_SKIP:-}" ] || return 0
    wait_for 60 no_containers
    assert_nothing_left "$E/x/runtime-runc/moby"
}

no_containers() { [ -z "$(quiet ps -aq --filter label=com.docker.swarm.task)" ] || ! prune; }
prune() { quiet container prune -f >/dev/null; }
# running SERVICE: the number of tasks that run
running() { quiet service ps -q --filter desired-state=running "$1" | xargs -r docker inspect -f '{{.Status.State}}' 2>/dev/null | grep -c '^running$'; }
runs() { [ "$(running "$1")" -eq "$2" ]; }
containers_of() { quiet ps -q --filter "label=com.docker.swarm.service.name=$1"; }
service() { ok service create --detach --no-resolve-image --network host --name "$@"; }

@test "a service of five replicas runs in the runtime" {
    service "$C" --replicas 5 bb sleep 1000
    wait_for 120 runs "$C" 5
    local id n=0
    for id in $(containers_of "$C"); do
        id=$(quiet inspect -f '{{.Id}}' "$id")
        [ "$("$(runtime_path)" --root "$E/x/runtime-runc/moby" state "$id" | jq -r .status)" = running ]
        n=$((n + 1))
    done
    [ "$n" -eq 5 ]
}

@test "a killed task is replaced" {
    service "$C" --replicas 3 --restart-delay 100ms bb sleep 1000
    wait_for 120 runs "$C" 3
    local victim
    victim=$(containers_of "$C" | head -n 1)
    ok kill "$victim"
    gone_and_back() { runs "$C" 3 && ! containers_of "$C" | grep -q "$victim" && [ "$(containers_of "$C" | wc -l)" -eq 3 ]; }
    wait_for 120 gone_and_back
    ok service ps --no-trunc --format '{{.CurrentState}} {{.Error}}' "$C"
    has 'Failed'
    has 'non-zero exit (137)'
    # and a task whose process dies from outside Docker
    victim=$(containers_of "$C" | head -n 1)
    ok inspect -f '{{.State.Pid}}' "$victim"
    kill -9 "$output"
    wait_for 120 gone_and_back
}

@test "scale to twenty, and down" {
    local from
    service "$C" --replicas 2 bb sleep 1000
    wait_for 120 runs "$C" 2
    from=$(date +%s%N)
    ok service scale --detach "$C=20"
    wait_for 240 runs "$C" 20
    result "swarm: 2 to 20 replicas: $((($(date +%s%N) - from) / 1000000)) ms"
    [ "$(containers_of "$C" | wc -l)" -eq 20 ]
    ok service scale --detach "$C=1"
    only() { [ "$(containers_of "$C" | wc -l)" -eq "$1" ]; }
    wait_for 120 only 1
}

@test "rolling update to another image, and back" {
    service "$C" --replicas 5 --update-delay 0s --update-parallelism 2 --update-monitor 200ms --stop-grace-period 1s bb sleep 1000
    wait_for 120 runs "$C" 5
    ok service update --detach --no-resolve-image --image bb:two "$C"
    updated() { [ "$(quiet service inspect -f '{{.UpdateStatus.State}}' "$C")" = "$1" ]; }
    wait_for 240 updated completed
    wait_for 60 runs "$C" 5
    local id
    all_two() {
        [ "$(containers_of "$C" | wc -l)" -eq 5 ] || return 1
        for id in $(containers_of "$C"); do [ "$(quiet exec "$id" cat /www/version)" = two ] || return 1; done
    }
    wait_for 60 all_two
    ok service rollback --detach "$C"
    wait_for 240 updated rollback_completed
    [ "$(quiet exec "$(containers_of "$C" | head -n 1)" cat /www/version)" = one ]
}

@test "limits, health checks, mounts, users and secrets of a service" {
    local id
    echo hidden >"$BATS_TEST_TMPDIR/secret"
    ok secret create "s$C" "$BATS_TEST_TMPDIR/secret"
    ok config create "k$C" "$BATS_TEST_TMPDIR/secret"
    service "$C" --limit-memory 48m --limit-cpu 0.5 --user user --read-only --mount type=tmpfs,dst=/t,tmpfs-mode=1777 --cap-drop ALL \
        --health-cmd true --health-interval 1s --secret "s$C" --config "src=k$C,target=/etc/k" --init --hostname "h-{{.Task.Slot}}" \
        bb sleep 1000
    wait_for 120 runs "$C" 1
    id=$(containers_of "$C")
    ok exec "$id" sh -c "cat $(cg memory memory.limit_in_bytes memory.max) /run/secrets/s$C /etc/k; id -u; hostname
        touch /x 2>/dev/null || echo ro; touch /t/x && grep CapBnd /proc/self/status | cut -f 2"
    says $'50331648\nhidden\nhidden\n1000\nh-1\nro\n0000000000000000'
    wait_field "$id" '{{.State.Health.Status}}' healthy
    ok service rm "$C"
    wait_for 60 no_containers
    ok secret rm "s$C"
    ok config rm "k$C"
}

@test "a task that cannot start says why" {
    service "$C" --restart-condition none bb no-such-program
    failed() { quiet service ps --no-trunc --format '{{.CurrentState}} {{.Error}}' "$C" | grep -q 'executable file not found'; }
    wait_for 60 failed
}

# Ports published by the mesh need IPVS in the kernel.
has_mesh() {
    local n
    quiet service create --detach --no-resolve-image --name probe -p 18080:80 bb httpd -f -p 80 -h /www >/dev/null || return 1
    for n in $(seq 100); do
        ! runs probe 1 || break
        sleep 0.2
    done
    in_net curl -sS -m 5 http://127.0.0.1:18080/version >/dev/null 2>&1
    local rc=$?
    quiet service rm probe >/dev/null
    return $rc
}

@test "an update of a published service loses no request (the mesh)" {
    has_mesh || skip "this kernel has no IPVS, which Swarm's port mesh is made of: $(
        zcat /proc/config.gz 2>/dev/null | grep -i 'IP_VS ' || echo 'a published port does not answer')"
    ok service create --detach --no-resolve-image --name "$C" -p 18081:80 --replicas 3 --update-order start-first --update-delay 1s \
        --stop-signal SIGTERM bb httpd -f -p 80 -h /www
    lossless 18081
}

# The same question without the mesh: the port is the host's and the one that answers is swapped behind a service that
# asks both. Each task publishes a port of its own (mode=host); the front, outside, tries the next one when one is gone.
@test "an update of a service with ports of its tasks loses no request (mode=host, start-first)" {
    ok service create --detach --no-resolve-image --name "$C" --publish mode=host,target=80 --replicas 3 --update-order start-first \
        --update-delay 1s --update-monitor 300ms --stop-grace-period 2s bb sh -c 'trap "sleep 1; exit 0" TERM
            httpd -f -p 80 -h /www & wait; sleep 1'
    wait_for 120 runs "$C" 3
    lossless ''
}

ports() { quiet ps --filter "label=com.docker.swarm.service.name=$C" --format '{{.Ports}}' | sed -n 's/.*0\.0\.0\.0:\([0-9]*\)->.*/\1/p'; }

# lossless PORT: asks the service all the time while it is updated; without PORT, at the ports of its tasks.
lossless() {
    local asked=0 lost=0 old=0 new=0 port page list
    ok service update --detach --no-resolve-image --image bb:two "$C"
    updated() { [ "$(quiet service inspect -f '{{.UpdateStatus.State}}' "$C")" = completed ]; }
    local end=$((SECONDS + 240))
    until updated && [ "$new" -gt 10 ]; do
        [ "$SECONDS" -lt "$end" ] || fail "the update does not end ($asked asked, $new new)"
        list=$1
        [ -n "$list" ] || list=$(ports)
        page=
        for port in $list; do
            page=$(in_net curl -sS -m 5 "http://127.0.0.1:$port/version" 2>/dev/null) && break
        done
        asked=$((asked + 1))
        case $page in
        one) old=$((old + 1)) ;;
        two) new=$((new + 1)) ;;
        *) lost=$((lost + 1)) ;;
        esac
    done
    result "swarm: rolling update: $asked requests, $lost lost ($old by the old image, $new by the new one)"
    [ "$lost" -eq 0 ]
}
