#!/usr/bin/env bash
# Runs every fuzz target of the module, or those of a name, or part k/n of them,
# for the given time.
# A target without a seed corpus is a mistake: it would explore from nothing.
set -euo pipefail
time=${1:-10s}
names=${2:-Fuzz\\w+}
part=${3:-0/1}
found=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fuzz() { # package, target
  go test "$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 1s >"$out" 2>&1 || return 1
}

# Go's coordinator may report its own end of time as the target's failure
# (golang/go#75804, mended in Go 1.27): that line, no failing input, nothing
# else. Such a run has found nothing and shown nothing, so it is made again.
raced() {
  grep -q '^ *context deadline exceeded$' "$out" && ! grep -qE 'Failing input|panic|_test\.go:' "$out"
}

while IFS=: read -r file name; do
  found=$((found + 1))
  [ $((found % ${part#*/})) = "${part%/*}" ] || continue
  pkg=./$(dirname "$file")
  echo "== fuzz $name in $pkg for $time"
  for try in 1 2 3; do
    if fuzz "$pkg" "$name"; then cat "$out"; break; fi
    cat "$out"
    if [ "$try" = 3 ] || ! raced; then exit 1; fi
    echo "== the end of time raced the fuzzer: once more"
  done
done < <(git ls-files '*_test.go' | xargs grep -HoE "^func $names\b" | sed 's/:func /:/')
[ "$found" -gt 0 ] || { echo "no fuzz target found" >&2; exit 1; }
echo "part $part of $found fuzz targets passed"
