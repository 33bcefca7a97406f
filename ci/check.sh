#!/usr/bin/env bash
# The model: every scope holds and was exhausted, and every variant falls.
#
# Runs the README's command as `--json` and judges the object that it prints by what this script asks for, not by
# the exit code alone; compares the counts with the README's table; then runs the first variants, each of which must end
# with exit code 10, and `model variants`, whose object it judges likewise; and lets the correct rules hold in the scopes
# of the variants.
# shellcheck disable=SC2016 # the dollars in quotes are jq's
source "$(dirname "$0")/env.sh"
need jq

readonly SCOPES_MIN=5
readonly DISTINCT_MIN=1000000
readonly VARIANTS=(quorum-half lowest-view promise-before-durable grant-forgotten lease-from-ack term-over-bound)
readonly VIOLATED=10
readonly KILLED_MIN=45
readonly CONTROLS_MIN=3

# The names of the deep scopes, from the page's table.
deep() {
    sed -n '/<!-- deep -->/,/<!-- \/deep -->/p' model/README.md | awk -F'`' '/^\| `/ { print $2 }'
}

# demand WHAT FILTER: the filter must say true of the report of the command that ran last.
demand() {
    jq -e --argjson scopes "$SCOPES_MIN" --argjson distinct "$DISTINCT_MIN" \
        --argjson killed "$KILLED_MIN" --argjson controls "$CONTROLS_MIN" "$2" "$report" >/dev/null ||
        fail "model $(jq -r .command "$report") --json: not true that $1 (exit code $code)"
}

report=$(mktemp)
trap 'rm -f "$report"' EXIT

code=0
cargo run --quiet -p model -- check --json >"$report" || code=$?
jq -r '.scopes[] | "\(.name): \(.states) states, \(.distinct) distinct, depth \(.depth), \(.seconds) s"' "$report"

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

# The first variants, by the names that they have always had.
for variant in "${VARIANTS[@]}"; do
    code=0
    cargo run --quiet -p model -- check --variant "$variant" >"$report" || code=$?
    if ((code != VIOLATED)); then
        tail -n 5 "$report" >&2
        fail "variant $variant ended with exit code $code, not $VIOLATED"
    fi
    echo "variant $variant falls"
done

code=0
cargo run --quiet -p model -- variants --json >"$report" || code=$?
jq -r '.variants[] | "\(.name): \(.fell // "survives"), \(.steps // "no") steps, \(.distinct) distinct, \(.seconds) s"' "$report"
demand "it is the table of variants, in schema 1" '.schema == 1 and .command == "variants"'
demand "every variant breaks the property that it names" \
    'all(.variants[] | select(.control | not); .expected != null and .fell == .expected and .steps > 0)'
demand "every control survives" 'all(.variants[] | select(.control); .expected == null and .fell == null)'
demand "at least $KILLED_MIN fall" '([.variants[] | select(.fell != null)] | length) >= $killed'
demand "at least $CONTROLS_MIN are controls" '([.variants[] | select(.control)] | length) >= $controls'
demand "each says where it was seen and which rule it breaks" \
    'all(.variants[]; (.source | length) > 0 and (.rule | length) > 0 and (.scope | length) > 0)'
demand "all is well" '.ok == true'
((code == 0)) || fail "model variants ended with exit code $code"

# What falls in a scope proves something only if the rules as they are meant hold there. The default scopes are done; the
# deep ones take minutes and gigabytes, and are run by hand (model/README.md).
mapfile -t scopes < <(comm -13 <(awk '{ print $1 }' <<<"$counted" | cat - <(deep) | sort -u) \
    <(jq -r '.variants[].scope' "$report" | sort -u))
code=0
cargo run --quiet -p model -- check "${scopes[@]}" --json >"$report" || code=$?
jq -r '.scopes[] | "\(.name): \(.distinct) distinct, depth \(.depth), \(.seconds) s"' "$report"
demand "the correct rules hold in every scope of a variant" \
    '.complete == true and .ok == true and all(.scopes[]; all(.properties[]; .holds == true))'
((code == 0)) || fail "model check of the scopes of variants ended with exit code $code"
