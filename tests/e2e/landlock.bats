#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# org.ctr.landlock: what is stated works, all else does not, for root as well.

load helpers

setup() {
    common_setup
    python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, 0, 0, 1) < 3)' || skip "no Landlock here"
    make_bundle
    echo hidden >"$BUNDLE/rootfs/etc/secret"
    echo shown >"$BUNDLE/rootfs/home/file"
    chmod 666 "$BUNDLE/rootfs/home/file"
}

# rules JSON: the annotation, as jq writes the object.
rules() { edit_config ".annotations[\"org.ctr.landlock\"] = ($1 | tostring)"; }

SCRIPT='cat /home/file
(echo more >>/home/file) 2>/dev/null && echo appended
cat /etc/secret 2>/dev/null || echo no secret
ls /etc >/dev/null 2>&1 || echo no list
(echo x >/tmp/new) 2>/dev/null && echo made
(echo x >/home/new) 2>/dev/null || echo not made
(: >/etc/secret) 2>/dev/null || echo not truncated
rm /home/file 2>/dev/null || echo not removed'

@test "landlock: read, write and exec are given where they are stated, and nowhere else" {
    rules '{exec: ["/bin"], read: ["/home/file"], write: ["/tmp", "/dev/null"]}'
    run_sh "$SCRIPT"
    [ "$status" -eq 0 ]
    [ "$output" = $'shown\nno secret\nno list\nmade\nnot made\nnot truncated\nnot removed' ] || fail "$output"
    [ "$(cat "$BUNDLE/rootfs/etc/secret")" = hidden ]
    [ "$(cat "$BUNDLE/rootfs/home/file")" = shown ]
}

@test "landlock: without new privileges and without it, for root and for a user" {
    local nnp uid
    rules '{exec: ["/bin"], read: ["/home"]}'
    for nnp in true false; do
        for uid in 0 1000; do
            edit_config '.process.noNewPrivileges = $n | .process.user = {uid: $u, gid: $u}' --argjson n $nnp --argjson u $uid
            run_sh 'cat /home/file; cat /etc/secret 2>/dev/null || echo no'
            [ "$output" = $'shown\nno' ] || fail "$nnp $uid: $output $stderr"
        done
    done
}

@test "landlock: exec is bound by it too, and a program outside cannot be executed" {
    rules '{exec: ["/bin"]}'
    set_args sleep 1000
    ok run -d --bundle "$BUNDLE" "$ID"
    ctr exec "$ID" sh -c 'cat /etc/secret || echo no'
    [ "$output" = no ]
    ok delete --force "$ID"
    cp "$BUNDLE/rootfs/bin/busybox" "$BUNDLE/rootfs/home/cat"
    run_sh '/home/cat /home/file || echo refused'
    [ "$output" = refused ]
    set_args /home/cat /home/file
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -ne 0 ]
    [[ $stderr == *"/home/cat: permission denied"* ]]
}

@test "landlock: a missing path, an unknown right and no object are refused, with their place" {
    set_args true
    rules '{read: ["/missing"]}'
    fails 1 'annotations["org.ctr.landlock"]: read[0]: /missing: No such file' run --bundle "$BUNDLE" "$ID"
    rules '{reed: ["/bin"]}'
    fails 1 'annotations["org.ctr.landlock"]: reed: unknown field' create --bundle "$BUNDLE" "$ID"
    rules '{read: ["bin"]}'
    fails 1 'read[0]' create --bundle "$BUNDLE" "$ID"
    rules '[]'
    fails 1 'annotations["org.ctr.landlock"]' create --bundle "$BUNDLE" "$ID"
}
