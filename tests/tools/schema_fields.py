#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""schema_fields.py DIR: every field of the runtime specification's JSON schema in DIR, one a line.

How tests/data/schema-fields.txt is made when a new version of the specification comes out:
    tests/tools/schema_fields.py runtime-spec/schema >tests/data/schema-fields.txt
An element of an array of objects is written "[]", a key that the user chooses "*".
"""
import json
import os
import sys


class Schema:
    def __init__(self, folder):
        self.folder = folder
        self.files = {}
        self.fields = {}

    def load(self, name):
        if name not in self.files:
            with open(os.path.join(self.folder, name), encoding="utf-8") as f:
                self.files[name] = json.load(f)
        return self.files[name]

    def resolve(self, name, ref):
        target, _, pointer = ref.partition("#")
        name = target or name
        node = self.load(name)
        for part in pointer.strip("/").split("/"):
            node = node[part] if part else node
        return name, node

    def walk(self, name, node, path):
        if "$ref" in node:
            try:
                self.walk(*self.resolve(name, node["$ref"]), path)
            except FileNotFoundError:
                self.fields.pop(path, None)  # another platform's part, which is not in DIR
            return
        for kind in ("anyOf", "allOf", "oneOf"):
            for sub in node.get(kind, []):
                self.walk(name, sub, path)
        for key, sub in node.get("properties", {}).items():
            below = f"{path}.{key}" if path else key
            self.fields[below] = True
            self.walk(name, sub, below)
        if isinstance(node.get("items"), dict):
            self.walk(name, node["items"], path + "[]")
        for sub in list(node.get("patternProperties", {}).values()) + [node.get("additionalProperties")]:
            if isinstance(sub, dict):
                self.walk(name, sub, path + ".*")


schema = Schema(sys.argv[1])
schema.walk("config-schema.json", schema.load("config-schema.json"), "")
print("# The fields of the OCI runtime specification 1.3 (config.json), made by tests/tools/schema_fields.py")
print("\n".join(sorted(schema.fields)))
