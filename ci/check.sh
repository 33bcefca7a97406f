#!/usr/bin/env bash
# The model: every scope holds and was exhausted, and every variant falls.
#
# Runs the README's command as `--json` and judges the object that it prints by what this script asks for, not by
# the exit code alone; compares the counts with the README's table; then runs each variant, which must end with exit
# code 10.
# shellcheck disable=SC2016 # the dollars in quotes are jq's
source "$(dirname "$0")/env.sh"
need jq

readonly SCOPES_MIN=5
readonly DISTINCT_MIN=1000000
readonly VARIANTS=(quorum-half lowest-view promise-before-durable grant-forgotten lease-from-ack term-over-bound)
readonly VIOLATED=10

report=$(mktemp)
trap 'rm -f "$report"' EXIT

code=0
cargo run --quiet -p model -- check --json >"$report" || code=$?
jq -r '.scopes[] | "\(.name): \(.states) states, \(.distinct) distinct, depth \(.depth), \(.seconds) s"' "$report"

# demand WHAT FILTER: the filter must say true of the report.
demand() {
    jq -e --argjson scopes "$SCOPES_MIN" --argjson distinct "$DISTINCT_MIN" "$2" "$report" >/dev/null ||
        fail "model check --json: not true that $1 (exit code $code)"
}
demand "it is the check of the correct rules, in schema 1" '.schema == 1 and .command == "check" and .variant == null'
demand "everything is complete" '.complete == true and all(.scopes[]; .complete != false)'
demand "there are at least $SCOPES_MIN scopes" '(.scopes | length) >= $scopes'
demand "every scope has properties, and all hold" \
    'all(.scopes[]; (.properties | length) > 0 and all(.properties[]; .holds == true and .counterexample == null))'
demand "every scope has probes, and all were reached" \
    'all(.scopes[]; (.probes | length) > 0 and all(.probes[]; .reached == true))'
demand "every scope states its bounds and its time" \
    'all(.scopes[]; (.bounds | type) == "object" and (.seconds | type) == "number")'
demand "the scope agreement has 2 slots, 3 views, 2 updates and a crash" \
    '.scopes[] | select(.name == "agreement") | .bounds | .slots >= 2 and .views >= 3 and .updates >= 2 and .crashes >= 1'
demand "there are at least $DISTINCT_MIN distinct states" '([.scopes[].distinct] | add) >= $distinct'
demand "all is well" '.ok == true and all(.scopes[]; .ok != false)'
# "name states distinct depth", a scope a line, in any order.
published=$(sed -n '/<!-- scopes -->/,/<!-- \/scopes -->/p' README.md | tr -d '` ,' |
    awk -F'|' '$4 ~ /^[0-9]+$/ { print $2, $4, $5, $6 }' | sort)
counted=$(jq -r '.scopes[] | "\(.name) \(.states) \(.distinct) \(.depth)"' "$report" | sort)
if [[ $published != "$counted" ]]; then
    diff <(echo "$published") <(echo "$counted") >&2 || true
    fail "the counts (>) are not those of the table in README.md (<)"
fi

((code == 0)) || fail "model check ended with exit code $code"

for variant in "${VARIANTS[@]}"; do
    code=0
    cargo run --quiet -p model -- check --variant "$variant" >"$report" || code=$?
    if ((code != VIOLATED)); then
        tail -n 5 "$report" >&2
        fail "variant $variant ended with exit code $code, not $VIOLATED"
    fi
    echo "variant $variant falls"
done
