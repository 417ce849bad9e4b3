#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""spec_support.py [--check] [TREE]: docs/spec-support.md from the table of the specification's fields.

The fields are those of tests/data/schema-fields.txt (the specification's JSON schema), the rows those of
tests/data/spec-support.tsv, the wrong values those of tests/data/bad. With --check nothing is written, and the exit
status is 1 when a field has no row or no wrong value, a row has no field, names a test that is not there, or when the
document is not what would be written.
"""
import glob
import os
import re
import sys

HEAD = """# Support of the OCI runtime specification

Made by `tests/tools/spec_support.py`: do not edit. Every field of config.json, runtime specification 1.3, how `ctr`
honours it, and the end-to-end test (in `tests/e2e`) that shows it. `ctr check` says for a bundle which of the fields that
it uses this host can honour; what cannot be honoured is refused by name, never ignored. A wrong value of each field is in
`tests/data/bad` with the message that it gives.

| field | how | test |
| --- | --- | --- |
"""


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def lines(path):
    return [line for line in read(path).splitlines() if line and not line.startswith("#")]


def titles(tree):
    """Every "file.bats: title" there is."""
    found = set()
    for path in glob.glob(os.path.join(tree, "tests/e2e/*.bats")):
        for title in re.findall(r'^@test "(.*)" \{$', read(path), re.M):
            found.add(f"{os.path.basename(path)}: {title}")
    return found


def refused_fields(tree):
    """The fields that the expected messages of the corpus begin with."""
    found = set()
    for path in glob.glob(os.path.join(tree, "tests/data/bad/*.expect")):
        field = read(path).strip().removeprefix("config.json: ").split(": ")[0]
        field = re.sub(r'\["[^"]*"\]', ".*", field)
        field = re.sub(r"\[\d+\]", "[]", field)
        field = re.sub(r"(netDevices|rdma)\.[\w-]+", r"\1.*", field)
        found.add(re.sub(r"\[\]$|\.\*$", "", field))
    return found


def main(tree, check):
    fields = lines(os.path.join(tree, "tests/data/schema-fields.txt"))
    rows = [line.split("\t") for line in lines(os.path.join(tree, "tests/data/spec-support.tsv"))]
    wrong = [f"not FIELD, HOW, TEST: {row}" for row in rows if len(row) != 3 or not all(row)]
    rows = {row[0]: row for row in rows if len(row) == 3}
    tests, refused = titles(tree), refused_fields(tree)
    wrong += [f"no row in tests/data/spec-support.tsv: {f}" for f in fields if f not in rows]
    wrong += [f"no wrong value in tests/data/bad: {f}" for f in fields if f not in refused]
    wrong += [f"no field of the specification: {f}" for f in rows if f not in fields]
    wrong += [f"{row[0]}: no such test: {row[2]}" for row in rows.values() if row[2] not in tests]
    text = HEAD + "".join(
        "| `{}` | {} | {} |\n".format(*(cell.replace("|", "\\|") for cell in rows[f])) for f in fields if f in rows)
    document = os.path.join(tree, "docs/spec-support.md")
    if not check and not wrong:
        with open(document, "w", encoding="utf-8") as f:
            f.write(text)
    elif check and (not os.path.exists(document) or read(document) != text):
        wrong.append("docs/spec-support.md is not up to date: run tests/tools/spec_support.py")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


arguments = [a for a in sys.argv[1:] if a != "--check"]
here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.exit(main(arguments[0] if arguments else here, "--check" in sys.argv))
