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
# The first kernel in each language, by the command lines of internal/guest.
mkdir -p "$out"/sdk/{assemblyscript,c,go,rust,wat}
missing() { # LANGUAGE WHAT: keep the committed module of a language without a compiler here
  echo "not rebuilt: sdk/$1/template.wasm ($2)"
  cp "sdk/$1/template.wasm" "$out/sdk/$1/"
}
"$clang" "${flags[@]}" -I. sdk/c/template.c -o "$out/sdk/c/template.wasm"
if [[ -n ${TINYGO:-} ]]; then
  mkdir "$out/go"
  for file in sdk/go/*; do cp "$file" "$out/go/$(basename "${file%.txt}")"; done
  rm -f "$out/go/template.wasm"
  (cd "$out/go" && "$TINYGO" build -target "$PWD/holo.json" -opt 2 -no-debug -o ../sdk/go/template.wasm .)
else
  missing go "set TINYGO to TinyGo 0.41.0"
fi
rustc=${RUSTC:-/usr/bin/rustc}
if [[ $("$rustc" --version 2>/dev/null) == "rustc 1.63.0"* && -d $("$rustc" --print sysroot)/lib/rustlib/wasm32-unknown-unknown ]] && command -v wasm-ld-14 >/dev/null; then
  "$rustc" --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib -O -C panic=abort -C lto -C strip=symbols \
    -C link-arg=-zstack-size=16384 -C linker="$(command -v wasm-ld-14)" sdk/rust/template.rs -o "$out/sdk/rust/template.wasm"
else
  missing rust "on Debian 12: apt-get install rustc libstd-rust-dev-wasm32 lld-14"
fi
asc=${ASC:-asc}
if [[ $("$asc" --version 2>/dev/null) == "Version 0.28.20" ]]; then
  (cd sdk/assemblyscript && "$asc" template.ts -O3 --noAssert --runtime stub --use abort= --exportStart _initialize -o "$out/sdk/assemblyscript/template.wasm")
else
  missing assemblyscript "npm install assemblyscript@0.28.20, and set ASC to its asc"
fi
if [[ $(wat2wasm --version 2>/dev/null) == 1.0.32 ]]; then
  wat2wasm sdk/wat/template.wat -o "$out/sdk/wat/template.wasm"
else
  missing wat "on Debian 12: apt-get install wabt"
fi
(cd "$out" && sha256sum -- *.wasm hostile/*.wasm std/*.wasm sdk/*/*.wasm) >"$out/SHA256SUMS"
if [[ ${1:-} == --write ]]; then
  find "$out" -name '*.wasm' -exec chmod 644 {} +
  cp "$out"/*.wasm .
  cp "$out"/hostile/*.wasm hostile/
  cp "$out"/std/*.wasm std/
  for module in "$out"/sdk/*/template.wasm; do cp "$module" "sdk/$(basename "$(dirname "$module")")/"; done
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
