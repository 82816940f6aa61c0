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
# Whether each other compiler is here, of the version that makes the same bytes.
has_go() { [[ -n ${TINYGO:-} ]]; }
rustc=${RUSTC:-/usr/bin/rustc}
has_rust() {
  [[ $("$rustc" --version 2>/dev/null) == "rustc 1.63.0"* && -d $("$rustc" --print sysroot)/lib/rustlib/wasm32-unknown-unknown ]] && command -v wasm-ld-14 >/dev/null
}
asc=${ASC:-asc}
has_assemblyscript() { [[ $("$asc" --version 2>/dev/null) == "Version 0.28.20" ]]; }
has_wat() { [[ $(wat2wasm --version 2>/dev/null) == 1.0.32 ]]; }
declare -A install=(
  [go]="set TINYGO to TinyGo 0.41.0; kernels/README.md says how to build it"
  [rust]="on Debian 12: apt-get install rustc libstd-rust-dev-wasm32 lld-14"
  [assemblyscript]="npm install assemblyscript@0.28.20, and set ASC to its asc"
  [wat]="on Debian 12: apt-get install wabt"
)
# The command lines of internal/guest: SOURCE MODULE.
make_go() { # a source of the SDK for Go, with what it needs
  rm -rf "$out/go" && mkdir "$out/go"
  cp sdk/go/holo.json "$out/go/"
  for file in sdk/go/go.mod sdk/go/holo.go "${1%.txt}"; do cp "$file.txt" "$out/go/$(basename "$file")"; done
  (cd "$out/go" && "$TINYGO" build -target "$PWD/holo.json" -opt 2 -no-debug -o "$2" .)
}
make_rust() {
  "$rustc" --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib -O -C panic=abort -C lto -C strip=symbols \
    -C link-arg=-zstack-size=16384 -C linker="$(command -v wasm-ld-14)" "$1" -o "$2"
}
make_assemblyscript() { "$asc" "$1" -O3 --noAssert --runtime stub --use abort= --exportStart _initialize -o "$2"; }
make_wat() { wat2wasm "$1" -o "$2"; }
make_module() { # LANGUAGE SOURCE MODULE: without its compiler the committed module is kept
  if "has_$1"; then
    "make_$1" "$2" "$out/$3"
  else
    echo "not rebuilt: $3 (${install[$1]})"
    cp "$3" "$out/$3"
  fi
}
if has_go; then
  (cd src/tinygo && "$TINYGO" build -target "$PWD/holo.json" -opt 2 -no-debug -o "$out/flights-go.wasm" .)
else
  echo "not rebuilt: flights-go.wasm (${install[go]})"
  cp flights-go.wasm "$out/"
fi
mkdir -p "$out"/sdk/{assemblyscript,c,go,rust,wat} "$out/say"
for kind in template task; do # a first kernel of each kind
  "$clang" "${flags[@]}" -I. "sdk/c/$kind.c" -o "$out/sdk/c/$kind.wasm"
  make_module go "sdk/go/$kind.go.txt" "sdk/go/$kind.wasm"
  make_module rust "sdk/rust/$kind.rs" "sdk/rust/$kind.wasm"
  make_module assemblyscript "sdk/assemblyscript/$kind.ts" "sdk/assemblyscript/$kind.wasm"
  make_module wat "sdk/wat/$kind.wat" "sdk/wat/$kind.wasm"
done
# A kernel that logs, in each language; in C it is logs.wasm.
make_module go src/say/say.go.txt say/go.wasm
make_module rust src/say/say.rs say/rust.wasm
make_module assemblyscript src/say/say.ts say/assemblyscript.wasm
make_module wat src/say/say.wat say/wat.wasm
(cd "$out" && sha256sum -- *.wasm hostile/*.wasm say/*.wasm std/*.wasm sdk/*/*.wasm) >"$out/SHA256SUMS"
if [[ ${1:-} == --write ]]; then
  find "$out" -name '*.wasm' -exec chmod 644 {} +
  cp "$out"/*.wasm .
  cp "$out"/hostile/*.wasm hostile/
  cp "$out"/say/*.wasm say/
  cp "$out"/std/*.wasm std/
  for module in "$out"/sdk/*/*.wasm; do cp "$module" "sdk/$(basename "$(dirname "$module")")/"; done
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
# Those of a benchmark, which are not in the program.
measure=../bench/testdata/measure
"$clang" "${flags[@]}" "$measure.c" -o "$out/measure"
if [[ ${1:-} == --write ]]; then install -m 644 "$out/measure" "$measure.wasm"; fi
cmp "$out/measure" "$measure.wasm" || bad=1
exit $bad
