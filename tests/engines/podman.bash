# SPDX-License-Identifier: Apache-2.0
#
# Podman and buildah on private directories: they have no daemon, only files. For podman.bats and buildah.bats.

# The limits that they set by default are higher than what a machine may allow: low ones, instead.
podman_config() {
    mkdir -p "$E/net" "$E/tmp"
    cat >"$E/containers.conf" <<CONF
[engine]
events_logger = "file"
cgroup_manager = "cgroupfs"
runtime = "$RUNTIME"
runtime_supports_json = ["crun", "runc", "ctr"]
runtime_supports_nocgroup = ["crun", "ctr"]
[engine.runtimes]
ctr = ["$CTR"]
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
CONF
    cat >"$E/storage.conf" <<CONF
[storage]
driver = "overlay"
runroot = "$E/run"
graphroot = "$E/root"
CONF
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$E/policy.json"
    export CONTAINERS_CONF=$E/containers.conf CONTAINERS_STORAGE_CONF=$E/storage.conf
    # short names are not asked for anywhere
    printf 'unqualified-search-registries = []\n' >"$E/registries.conf"
    export CONTAINERS_REGISTRIES_CONF=$E/registries.conf REGISTRY_AUTH_FILE=$E/auth.json
    echo '{}' >"$E/auth.json"
}

podman_cmd() {
    in_net timeout -k 5 "$DEADLINE" podman --tmpdir "$E/tmp" --network-config-dir "$E/net" --runtime "$RUNTIME" "$@"
}
