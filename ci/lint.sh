#!/usr/bin/env bash
# Clippy over everything, tests and benches included. A warning is an error.
source "$(dirname "$0")/env.sh"
need_component clippy clippy
cargo clippy --workspace --all-targets --locked -- -D warnings
