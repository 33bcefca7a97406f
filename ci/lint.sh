#!/usr/bin/env bash
# Clippy with the workspace's lints, warnings as errors. `incompatible_msrv` is among them.
source "$(dirname "$0")/env.sh"
cargo clippy --workspace --all-targets -- -D warnings
