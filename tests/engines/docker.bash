# SPDX-License-Identifier: Apache-2.0
#
# A Docker daemon of its own, with its own containerd: for docker*.bats and swarm.bats.

export DOCKER_CLI_HINTS=false

client_cmd() { timeout -k 5 "$DEADLINE" docker "$@"; }

# docker_start [DAEMON OPTIONS...]: the runtime under test is the default one, too.
docker_start() {
    command -v dockerd >/dev/null || { engine_skip "docker.io is not installed"; return; }
    command -v docker >/dev/null || { engine_skip "there is no docker client"; return; }
    mkdir -p "$E/x" "$E/config"
    export DOCKER_HOST=unix://$E/sock DOCKER_CONFIG=$E/config
    jq -n --arg ctr "$CTR" --arg runtime "$RUNTIME" --arg parent "/$CGPARENT" --arg e "$E" '{
        runtimes: {ctr: {path: $ctr}, "ctr-debug": {path: $ctr, runtimeArgs: ["--debug"]}},
        "default-runtime": $runtime, "cgroup-parent": $parent, experimental: true,
        "data-root": "\($e)/data", "exec-root": "\($e)/x", pidfile: "\($e)/pid", hosts: ["unix://\($e)/sock"],
        "log-level": "warn" }' >"$E/daemon.json"
    docker_up "$@"
}

docker_up() {
    spawn "$E/log" dockerd --config-file "$E/daemon.json" "$@"
    docker_is $!
    if ! wait_for 60 docker_answers; then
        engine_skip "dockerd does not start here: $(tail -n 1 "$E/log")"
        return
    fi
}

# docker_is PID: the daemon, also for who is not a child of this shell.
docker_is() {
    export DOCKERD_PID=$1
    echo "$1" >"$E/dockerd.pid"
}

# Also ends when the daemon has.
docker_answers() { quiet version >/dev/null || [ ! -e "/proc/$DOCKERD_PID/exe" ]; }

docker_image() {
    [ -z "${ENGINE_SKIP:-}" ] || return 0
    quiet import -c 'CMD ["/bin/sh"]' "$(image_tar)" bb >/dev/null
}

docker_stop() {
    [ -e "$E/dockerd.pid" ] || return 0
    stop_pid "$(cat "$E/dockerd.pid")"
    rm -f "$E/dockerd.pid"
}

# run ARGS...: with the runtime under test, without a network.
run_none() { ok run --runtime "$RUNTIME" --network none "$@"; }
# The script runs in a container that is removed.
run_sh() { run_none --rm "${@:1:$#-1}" bb sh -c "${*: -1}"; }
# detached NAME OPTIONS... -- COMMAND...
sleeper() {
    local name=$1
    shift
    run_none -d --name "$name" "$@" bb sleep 1000
}

docker_teardown() {
    local ids
    show_calls
    ids=$(quiet ps -aq) || true
    # shellcheck disable=SC2086 # a list of words
    [ -z "$ids" ] || quiet rm -fv $ids >/dev/null || true
    [ -n "${BATS_TEST_COMPLETED:-}" ] && [ -z "${ENGINE_SKIP:-}" ] || return 0
    assert_nothing_left "$E/x/runtime-runc/moby"
}
