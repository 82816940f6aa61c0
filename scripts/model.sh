#!/usr/bin/env bash
# Has Spin walk every state of docs/protocol/replication.pml, from three members
# and from two and a spare, where it must find no error. Then each rule is taken
# away, and it must find one: a model that finds nothing then proves nothing.
# Needs spin and a C compiler; about a minute and a half.
set -euo pipefail
model=$PWD/docs/protocol/replication.pml
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

walk() { # definitions; prints what Spin found
  spin "$@" -a "$model"
  gcc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=7000 -o pan pan.c
  ./pan -m300000 >report
  if grep -qE 'max search depth too small|out of memory|reached -DMEMLIM' report; then
    echo "the walk was not complete: $*" >&2
    return 1
  fi
  sed -nE 's/.*errors: ([0-9]+).*/\1/p' report
}

expect() { # errors, what it is, definitions
  local want=$1 what=$2 got
  shift 2
  got=$(walk "$@")
  echo "$what: $got errors, $(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' report) states"
  [ "$got" = "$want" ] || { echo "expected $want errors" >&2; exit 1; }
}

expect 0 "three members" -DMEMBERS=3
expect 0 "two members and a spare" -DMEMBERS=2
rules=$(grep -oE '^#if(n?)def WITHOUT_\w+' "$model" | grep -oE 'WITHOUT_\w+')
for rule in $rules; do
  expect 1 "$rule" -DMEMBERS=3 "-D$rule"
done
echo "$(wc -w <<<"$rules") rules, each is needed"
