#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: fuzz/fuzz.sh BUILD NAME SECONDS
# Runs the target NAME of a build folder on its seeds and on what it found
# before, then on new inputs for SECONDS. An input that ends the process stands
# in BUILD as NAME-crash-... afterwards.
set -euo pipefail
build=$1 name=$2 seconds=$3
mkdir -p "$build/corpus/$name" "$build/tmp"
TMPDIR=$(realpath "$build/tmp") exec "$build/$name" -timeout=10 \
  -max_total_time="$seconds" -print_funcs=0 -print_final_stats=1 \
  -artifact_prefix="$build/$name-" "$build/corpus/$name" "fuzz/seeds/$name"
