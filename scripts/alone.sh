#!/usr/bin/env bash
# Runs a command with a network of its own, in which only loopback is there, and
# without the names of network namespaces that others made, or left behind when
# they were killed. Needs root, unshare and ip.
set -euo pipefail
exec unshare -n -m bash -c 'mkdir -p /run/netns && mount -t tmpfs names /run/netns && ip link set lo up && exec "$@"' alone "$@"
