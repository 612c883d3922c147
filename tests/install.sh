#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/install.sh BUILD
# What `dev install` leaves runs without the checkout, wherever it is moved to,
# and finds its own prompts and recipes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
checkout=$PWD
cmake --install "$1" --prefix "$folder/made" >/dev/null
mv "$folder/made" "$folder/moved"
cd "$folder"
program=moved/bin/selfalign
found=$(env -i PATH="$PATH" ldd $program)
for bad in "not found" "$checkout/"; do
  [[ $found != *"$bad"* ]] || { echo "$program needs: $found"; exit 1; }
done
env -i $program --version
env -i $program annotations >/dev/null
env -i $program recipe moved/share/selfalign/recipes/smollm2-demo.yaml >/dev/null
