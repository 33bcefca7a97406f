#!/usr/bin/env bash
# What packages may use: `spec` serde only; `model` and `cluster` not each other; no direct dependency in two
# versions; nothing that needs a later Rust than the workspace says.
# shellcheck disable=SC2016 # the dollars in quotes are jq's
source "$(dirname "$0")/env.sh"
need jq

metadata=$(mktemp)
trap 'rm -f "$metadata"' EXIT
cargo metadata --format-version 1 --locked >"$metadata"

# none WHAT FILTER: the filter must print nothing; what it prints is what is wrong.
none() {
    local found
    found=$(jq -r "$2" "$metadata")
    [[ -z $found ]] || fail "$1:"$'\n'"$found"
}
readonly MEMBERS='(.workspace_members as $members | [.packages[] | select(.id as $id | $members | any(. == $id))])'
none "spec depends on more than serde" \
    "$MEMBERS"'[] | select(.name == "spec") | .dependencies[] | select(.kind == null and .name != "serde") | .name'
none "model and cluster depend on each other" \
    "$MEMBERS"'[] | select(.name == "model" or .name == "cluster") | .name as $name | .dependencies[]
     | select(.name == "model" or .name == "cluster") | "\($name) -> \(.name)"'
none "direct dependencies in several versions" \
    '([.packages[] | {name, version}] | group_by(.name) | map(select(length > 1))) as $twice
     | ('"$MEMBERS"' | map(.dependencies[].name) | unique) as $direct
     | $twice[] | select(.[0].name as $name | $direct | any(. == $name))
     | "\(.[0].name): \(map(.version) | join(", "))"'
none "packages that need a later Rust than rust-version in Cargo.toml" \
    'def numbers: split(".") | map(tonumber) | . + [0, 0] | .[:3];
     ('"$MEMBERS"' | map(.rust_version // "0" | numbers) | min) as $ours
     | .packages[] | select(.rust_version != null) | select((.rust_version | numbers) > $ours)
     | "\(.name) \(.version) needs \(.rust_version)"'

grep -q '^incompatible_msrv = ' Cargo.toml || fail "Cargo.toml: clippy's incompatible_msrv is not on"
for manifest in spec model impl benches; do
    grep -A1 '^\[lints\]' "$manifest/Cargo.toml" | grep -q '^workspace = true' ||
        fail "$manifest/Cargo.toml does not take the workspace's lints"
done
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
echo "spec depends on serde only, no direct dependency has two versions, and nothing needs more than Rust $version"
