#!/usr/bin/env bash
# The rules about dependencies: `spec` has none but serde, no direct dependency comes in two versions, and the
# stated MSRV is at least that of everything that is built.
source "$(dirname "$0")/env.sh"

tree=$(cargo tree -p spec --edges normal --depth 1 --prefix none | tail -n +2 | cut -d' ' -f1 | sort -u)
[ "$tree" = serde ] || { echo "spec depends on more than serde: $tree" >&2; exit 1; }

cargo metadata --format-version 1 --locked | python3 ci/dependencies.py
