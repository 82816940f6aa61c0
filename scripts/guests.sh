#!/usr/bin/env bash
# Writes the first kernels of the named languages as a user would, builds each with
# holo, and compares it with the committed module, byte for byte.
set -euo pipefail
cd "$(dirname "$0")/.."
holo=$(realpath "$1")
shift
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
declare -A module=([columns]=template [task]=task)
for language; do
  for kind in columns task; do
    source=$("$holo" kernel new "$new/$language-$kind" --lang "$language" --kind "$kind")
    "$holo" kernel build "$source" -f "$new/made.wasm" >/dev/null
    cmp "$new/made.wasm" "kernels/sdk/$language/${module[$kind]}.wasm"
    rm "$new/made.wasm"
    echo "same $language $kind"
  done
done
