#!/usr/bin/env bash
# Random walks of the model: WALKS=5000 of three and of five servers, from SEED=1, which must break nothing; and walks
# of broken rules, which must. A walk that fails names the command that makes it again.
source "$(dirname "$0")/env.sh"
need jq

readonly VARIANTS=(quorum-half lowest-view grant-forgotten wiped-disk)
readonly VIOLATED=10
model=$(built model)
saved=$(mktemp -d)
trap 'rm -rf "$saved"' EXIT

for servers in 3 5; do
    echo "$servers servers"
    "$model" simulate --servers "$servers" --seed "${SEED:-1}" --walks "${WALKS:-5000}"
done
for variant in "${VARIANTS[@]}"; do
    code=0
    "$model" simulate --variant "$variant" --seed 1 --walks 5000 --save "$saved/$variant.json" >/dev/null || code=$?
    ((code == VIOLATED)) || fail "walks of variant $variant ended with exit code $code, not $VIOLATED"
    code=0
    "$model" replay "$saved/$variant.json" >/dev/null || code=$?
    ((code == VIOLATED)) || fail "the walk of variant $variant does not fail when it is replayed: exit code $code"
    echo "walks find variant $variant"
done
