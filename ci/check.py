"""Holds the JSON of `model check` (first argument) against its schema and the README's table of scopes (second)."""

import json
import re
import sys

report = json.load(open(sys.argv[1], encoding="utf-8"))
readme = open(sys.argv[2], encoding="utf-8").read()
table = readme.split("<!-- scopes -->")[1].split("<!-- /scopes -->")[0]
rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\| ([\d,]+) \| ([\d,]+) \| (\d+) \|", table, re.MULTILINE)
published = {name: tuple(int(cell.replace(",", "")) for cell in counts) for name, *counts in rows}

assert report["schema"] == 1 and report["command"] == "check" and report["variant"] is None
assert report["complete"] is True and report["ok"] is True
scopes = report["scopes"]
for scope in scopes:
    assert all(entry["holds"] and entry["counterexample"] is None for entry in scope["properties"]), scope["name"]
    assert scope["properties"] and scope["probes"], scope["name"]
    assert all(probe["reached"] for probe in scope["probes"]), scope["name"]
    assert isinstance(scope["seconds"], float) and isinstance(scope["bounds"], dict)
found = {scope["name"]: (scope["states"], scope["distinct"], scope["depth"]) for scope in scopes}
assert found == published, f"the README publishes {published}, but there are {found}"
distinct = sum(scope["distinct"] for scope in scopes)
assert len(scopes) >= 5 and distinct >= 1_000_000
agreement = next(scope for scope in scopes if scope["name"] == "agreement")["bounds"]
assert agreement["slots"] >= 2 and agreement["views"] >= 3 and agreement["updates"] >= 2 and agreement["crashes"] >= 1
print(f"{len(scopes)} scopes, {distinct:,} distinct states: complete, every property holds, every probe reached")
