#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""validate.py SCHEMA FILE: says what in the JSON FILE the schema does not allow; 1 when there is any."""
import json
import os
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as f:
    schema = json.load(f)
with open(sys.argv[2], encoding="utf-8") as f:
    document = json.load(f)
# Its parts refer to each other by file name.
resolver = jsonschema.RefResolver("file://" + os.path.abspath(sys.argv[1]), schema)
errors = list(jsonschema.Draft4Validator(schema, resolver=resolver).iter_errors(document))
for error in errors:
    print(".".join(map(str, error.path)) + ": " + error.message[:200])
sys.exit(bool(errors))
