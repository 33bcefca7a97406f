#!/usr/bin/env bash
# Checks that all code is formatted, and that nothing that was built is among the sources. `cargo fmt --all` formats it.
source "$(dirname "$0")/env.sh"
need_component rustfmt fmt
cargo fmt --all --check
cargo fmt --check --manifest-path ci/no_std/Cargo.toml
cargo fmt --check --manifest-path fuzz/Cargo.toml
cargo fmt --check --manifest-path benches/peers/Cargo.toml
built_files=$(git ls-files -- ':(glob)**/target/**')
[[ -z $built_files ]] || fail "what a build wrote is kept by git: $(head -1 <<<"$built_files")"
echo "all code is formatted"
