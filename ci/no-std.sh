#!/usr/bin/env bash
# Proves that `spec` needs no operating system: no files, sockets, threads, clock or randomness can hide in it.
#
# Builds ci/no_std, a static library that links `spec` and has a panic handler of its own. Linking std
# anywhere below it would be a second panic handler, which the compiler refuses (E0152). To see that the
# check can fail, put `extern crate std;` into spec/src/lib.rs.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/no_std"
cargo build --quiet --release --locked --manifest-path ci/no_std/Cargo.toml "$@"
echo "spec builds and links without std"
