#!/usr/bin/env bash
# Runs, on other processors by emulation, the tests of what must be the same on
# every one: where hostile kernels stop, what metered code computes, which bytes
# go on the wire, on the disk and into digests. arm64 compiles kernels, riscv64
# interprets them. Needs qemu-user; about four minutes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

emulator() { case $1 in arm64) echo qemu-aarch64 ;; *) echo "qemu-$1" ;; esac; }

try() { # processor, package, tests
  local binary=$dir/$1-$(basename "$2")
  GOARCH=$1 CGO_ENABLED=0 go test -c -o "$binary" "./$2"
  (cd "$2" && "$(emulator "$1")" "$binary" -test.run "$3" -test.short -test.count=1 -test.v >"$binary.log") || { grep -v '^=== ' "$binary.log"; echo "$2 fails on $1" >&2; exit 1; }
  local passed
  passed=$(grep -c '^--- PASS' "$binary.log" || true)
  echo "$1 $2: $passed tests"
  [ "$passed" -gt 0 ] || { echo "no test of $2 matches $3" >&2; exit 1; }
}

for processor in arm64 riscv64; do
  try $processor internal/module .
  try $processor internal/sandbox 'Hostile|Strict|NaN|BudgetIsExact|ABI|Flights|Bootstrap|OneTask'
  try $processor internal/digest .
  try $processor internal/wire .
  try $processor internal/core/handshake 'Vectors|Known|Wycheproof'
done
