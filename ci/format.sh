#!/usr/bin/env bash
# Checks that all code is formatted. `cargo fmt --all` formats it.
source "$(dirname "$0")/env.sh"
need_component rustfmt fmt
cargo fmt --all --check
cargo fmt --check --manifest-path ci/no_std/Cargo.toml
cargo fmt --check --manifest-path fuzz/Cargo.toml
cargo fmt --check --manifest-path benches/peers/Cargo.toml
echo "all code is formatted"
