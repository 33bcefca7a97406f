#!/usr/bin/env bash
# The project's own search and stateright's: the same counts for every default scope, and counterexamples of the same
# length for every variant that falls. Slow: for the full tier.
# shellcheck disable=SC2016 # the dollars in quotes are jq's
source "$(dirname "$0")/env.sh"
need jq

# A variant that falls as it should ends with one of these.
readonly VIOLATED=10 NOT_REACHED=12
model=$(built model)
own=$(mktemp)
reference=$(mktemp)
trap 'rm -f "$own" "$reference"' EXIT

# search ENGINE ARGUMENTS...: what the search finds, a scope a line: counts, and the properties that fell with the
# lengths of their counterexamples.
search() {
    local engine=$1
    shift
    "$model" check --engine "$engine" --json "$@" | jq -r '.scopes[] | "\(.name) \(.states) \(.distinct) \(.depth)"'
}

search own >"$own"
search stateright >"$reference"
diff "$own" "$reference" || fail "the searches count differently: own (<), stateright (>)"
echo "$(wc -l <"$own") scopes: the same counts"

fallen() {
    local engine=$1 variant=$2
    local report code=0
    report=$("$model" check --engine "$engine" --json --variant "$variant") || code=$?
    ((code == VIOLATED || code == NOT_REACHED)) || fail "variant $variant by the $engine search: exit code $code"
    jq -r '.scopes[].properties[] | select(.holds | not) | "\(.name): \(.counterexample | length) steps"' <<<"$report"
}

count=0
while read -r variant; do
    fallen own "$variant" >"$own"
    fallen stateright "$variant" >"$reference"
    [[ -s $own ]] || fail "variant $variant breaks nothing"
    diff "$own" "$reference" || fail "variant $variant: own (<) and stateright (>) differ"
    count=$((count + 1))
done < <("$model" variants --json | jq -r '.variants[] | select(.control | not) | .name')
((count > 0)) || fail "there are no variants"
echo "$count variants: counterexamples of the same length"
