#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# clang.sh: prints the name of a clang that has libFuzzer, nothing when there is none.
for cc in clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do
    command -v "$cc" >/dev/null 2>&1 || continue
    rt=$("$cc" -print-file-name="libclang_rt.fuzzer-$(uname -m).a")
    # newer ones have a folder for the target instead of a name with it
    [ -e "$rt" ] || rt=$("$cc" -print-file-name=libclang_rt.fuzzer.a)
    [ -e "$rt" ] || rt=$("$cc" -print-runtime-dir 2>/dev/null)/libclang_rt.fuzzer-$(uname -m).a
    [ -e "$rt" ] || continue
    echo "$cc"
    break
done
