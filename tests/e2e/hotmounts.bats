#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# mounts add and remove: bind mounts of a container that runs.

load helpers

setup() {
    common_setup
    require_root
    make_bundle
    set_args sleep 1000
    mkdir -p "$BATS_TEST_TMPDIR/src/sub"
    echo word >"$BATS_TEST_TMPDIR/src/f"
}

up() {
    ok create --bundle "$BUNDLE" "$ID"
    ok start "$ID"
}
# list FILTER: the array of mounts, in $LIST
list() {
    LIST=$BATS_TEST_TMPDIR/list.json
    jq -n --arg s "$BATS_TEST_TMPDIR/src" "$1" >"$LIST"
}
inside() { ok exec "$ID" sh -c "$1"; }

@test "mounts add and remove: a directory, a file, read-only" {
    up
    list '[{destination: "/new/dir", type: "bind", source: $s, options: ["rbind", "ro", "nosuid"]},
        {destination: "/new/file", type: "bind", source: ($s + "/f"), options: ["bind"]}]'
    ok mounts add "$ID" "$LIST"
    inside 'cat /new/dir/f /new/file; touch /new/dir/x 2>/dev/null || echo ro; echo more >>/new/file; grep " /new/dir " /proc/mounts'
    [[ $output == $'word\nword\nro\n'*ro,nosuid* ]] || fail "$output"
    [ "$(cat "$BATS_TEST_TMPDIR/src/f")" = $'word\nmore' ]
    ok mounts remove "$ID" "$LIST"
    inside 'ls /new/dir; grep -c " /new/" /proc/mounts || true'
    [ "$output" = 0 ]
    ok delete --force "$ID"
}

@test "mounts add: nothing of it is seen outside, later mounts of the host are not seen inside" {
    up
    mount -t tmpfs shared "$BATS_TEST_TMPDIR/src"
    mount --make-shared "$BATS_TEST_TMPDIR/src"
    mkdir "$BATS_TEST_TMPDIR/src/sub"
    list '[{destination: "/new", type: "bind", source: $s, options: ["rbind"]}]'
    STDIN=$LIST ok mounts add "$ID" -
    mount -t tmpfs later "$BATS_TEST_TMPDIR/src/sub"
    inside 'grep -c " /new/sub " /proc/mounts || true'
    local got=$output
    ok mounts remove "$ID" "$LIST"
    umount "$BATS_TEST_TMPDIR/src/sub"
    umount "$BATS_TEST_TMPDIR/src"
    [ "$got" = 0 ]
    ok delete --force "$ID"
}

@test "mounts add: links in the container do not lead out of it" {
    up
    inside "ln -s '$BATS_TEST_TMPDIR/victim' /link; ln -s ../../../../../../../.. /up"
    list '[{destination: "/link/x", type: "bind", source: $s, options: ["bind"]}, {destination: "/up/tmp/y", type: "bind", source: $s,
        options: ["bind"]}]'
    ok mounts add "$ID" "$LIST"
    [ ! -e "$BATS_TEST_TMPDIR/victim" ]
    inside "cat '$BATS_TEST_TMPDIR/victim/x/f' /tmp/y/f"
    [ "$output" = $'word\nword' ]
    ok delete --force "$ID"
}

@test "mounts add: all or none; what cannot be added says so" {
    up
    list '[{destination: "/a", type: "bind", source: $s, options: ["bind"]}, {destination: "/etc/passwd/x", type: "bind", source: $s,
        options: ["bind"]}]'
    fails 1 'mounts[1]' mounts add "$ID" "$LIST" || fails 1 '/etc/passwd/x' mounts add "$ID" "$LIST"
    inside 'grep -c " /a " /proc/mounts || true'
    [ "$output" = 0 ]
    list '[{destination: "/a", type: "tmpfs", source: "tmpfs"}]'
    fails 1 'only plain bind mounts can be added' mounts add "$ID" "$LIST"
    list '[{destination: "/a", type: "bind", source: ($s + "/none"), options: ["bind"]}]'
    fails 1 'No such file or directory' mounts add "$ID" "$LIST"
    list '{}'
    fails 1 'mounts' mounts add "$ID" "$LIST"
    list '[{destination: "/not/mounted", type: "bind", source: $s, options: ["bind"]}]'
    fails 1 'unmount /not/mounted' mounts remove "$ID" "$LIST"
    fails 1 'neither add nor remove: list' mounts list "$ID" "$LIST"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    fails 1 'container not running' mounts add "$ID" "$LIST"
    fails 1 'does not exist' mounts add "$ID-none" "$LIST"
    ok delete "$ID"
}

@test "mounts add: a container with a user namespace" {
    edit_config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 300000, size: 65536}] |
        .linux.gidMappings = .linux.uidMappings'
    chown -R 300000:300000 "$BUNDLE/rootfs"
    chmod o+x "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.." 2>/dev/null
    up
    list '[{destination: "/new", type: "bind", source: $s, options: ["rbind", "ro"]}]'
    ok mounts add "$ID" "$LIST"
    inside 'cat /new/f'
    [ "$output" = word ]
    ok delete --force "$ID"
}

@test "mounts remove: what was added is taken away, by whatever links it was reached, and nothing else" {
    up
    inside 'mkdir /real /srv; touch /real/f; ln -s /real /link; ln -s ../real/f /srv/file; mkdir /srv/sys'
    list '[{destination: "/link", type: "bind", source: $s, options: ["bind"]}]'
    ok mounts add "$ID" "$LIST"
    ok mounts remove "$ID" "$LIST"
    list '[{destination: "/srv/file", type: "bind", source: ($s + "/f"), options: ["bind"]}]'
    ok mounts add "$ID" "$LIST"
    # the host's own way of writing a file: another one takes its name
    echo new >"$BATS_TEST_TMPDIR/src/f.new"
    mv "$BATS_TEST_TMPDIR/src/f.new" "$BATS_TEST_TMPDIR/src/f"
    ok mounts remove "$ID" "$LIST"
    # the second cannot be: the first is undone
    list '[{destination: "/link", type: "bind", source: $s, options: ["bind"]}, {destination: "/etc/passwd/x", type: "bind", source: $s,
        options: ["bind"]}]'
    fails 1 '/etc/passwd/x' mounts add "$ID" "$LIST"
    inside 'grep -c " /real" /proc/mounts || true'
    [ "$output" = 0 ]
    # what the container has put into its way is not unmounted
    list '[{destination: "/srv/sys", type: "bind", source: $s, options: ["bind"]}]'
    ok mounts add "$ID" "$LIST"
    inside 'grep -c " /proc/sys " /proc/mounts; mv /srv /srv2; ln -s /proc /srv'
    [ "$output" = 1 ]
    fails 1 'unmount /srv/sys: another mount is there' mounts remove "$ID" "$LIST"
    inside 'grep -c " /proc/sys " /proc/mounts; rm /srv; mv /srv2 /srv'
    [ "$output" = 1 ]
    ok mounts remove "$ID" "$LIST"
    fails 1 'unmount /srv/sys' mounts remove "$ID" "$LIST"
    ok delete --force "$ID"
}

@test "mounts remove: a mount of the configuration, when it shows what its source is now" {
    edit_config '.mounts += [{destination: "/data", type: "bind", source: $s, options: ["bind"]}]' --arg s "$BATS_TEST_TMPDIR/src"
    up
    list '[{destination: "/data", type: "bind", source: "/usr", options: ["bind"]}]'
    fails 1 'unmount /data: another mount is there' mounts remove "$ID" "$LIST"
    list '[{destination: "/data", type: "bind", source: $s, options: ["bind"]}]'
    ok mounts remove "$ID" "$LIST"
    inside 'grep -c " /data " /proc/mounts || true'
    [ "$output" = 0 ]
    ok delete --force "$ID"
}
