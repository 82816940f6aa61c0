#!/usr/bin/env bash
# Rebuilds the sample and standard kernels from src/ and compares them with the committed
# modules, byte for byte. With --write the committed modules and their hashes
# (SHA256SUMS) are replaced. Installs nothing. The TinyGo kernel is built where
# TINYGO names the compiler, and reported as not rebuilt elsewhere.
set -euo pipefail
cd "$(dirname "$0")"
want=22.1 # another compiler makes other bytes; kernels/README.md says which one this is
clang=${CLANG:-clang-22}
if ! command -v "$clang" >/dev/null || ! command -v wasm-ld-22 >/dev/null; then
  echo "kernels/build.sh needs clang $want and its linker: on Debian, apt-get install clang-22 lld-22" >&2
  exit 2
fi
have=$("$clang" -dumpversion)
if [[ $have != "$want".* ]]; then
  echo "kernels/build.sh needs clang $want, $clang is $have: its modules would differ" >&2
  exit 2
fi
flags=(--target=wasm32 -std=c17 -O3 -msimd128 -mbulk-memory -mreference-types -mllvm -force-vector-interleave=4
  -nostdlib -ffreestanding -fno-builtin -Wall -Wextra -Werror -Wno-infinite-recursion
  -fuse-ld="$(command -v wasm-ld-22)" --no-wasm-opt -Wl,--no-entry -Wl,-s -Wl,-z,stack-size=16384)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/hostile" "$out/std"
for source in src/*.c src/hostile/*.c src/std/*.c; do
  module=${source#src/}
  "$clang" "${flags[@]}" "$source" -o "$out/${module%.c}.wasm"
done
if [[ -n ${TINYGO:-} ]]; then
  (cd src/tinygo && "$TINYGO" build -target "$PWD/holo.json" -opt 2 -no-debug -o "$out/flights-go.wasm" .)
else
  echo "not rebuilt: flights-go.wasm (set TINYGO to TinyGo 0.41.0; kernels/README.md says how to build it)"
  cp flights-go.wasm "$out/"
fi
(cd "$out" && sha256sum -- *.wasm hostile/*.wasm std/*.wasm) >"$out/SHA256SUMS"
if [[ ${1:-} == --write ]]; then
  find "$out" -name '*.wasm' -exec chmod 644 {} +
  cp "$out"/*.wasm .
  cp "$out"/hostile/*.wasm hostile/
  cp "$out"/std/*.wasm std/
  cp "$out/SHA256SUMS" SHA256SUMS
fi
bad=0
while read -r hash module; do
  if cmp -s "$out/$module" "$module"; then
    echo "same   $hash  $module"
  else
    echo "DIFFERS $hash  $module" >&2
    bad=1
  fi
done <"$out/SHA256SUMS"
cmp "$out/SHA256SUMS" SHA256SUMS || bad=1
exit $bad
