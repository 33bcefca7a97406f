#!/usr/bin/env bash
# Is everything formatted? Mend it with `cargo fmt --all`.
source "$(dirname "$0")/env.sh"
cargo fmt --all -- --check
