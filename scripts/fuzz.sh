#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time. A target without a
# seed corpus is a mistake: it would explore from nothing.
set -euo pipefail
time=${1:-10s}
found=0
while IFS=: read -r file name; do
  found=$((found + 1))
  pkg=./$(dirname "$file")
  echo "== fuzz $name in $pkg for $time"
  go test "$pkg" -run '^$' -fuzz "^${name}\$" -fuzztime "$time" -fuzzminimizetime 1s
done < <(git ls-files '*_test.go' | xargs grep -HoE '^func Fuzz\w+' | sed 's/:func /:/')
[ "$found" -gt 0 ] || { echo "no fuzz target found" >&2; exit 1; }
echo "$found fuzz targets passed"
