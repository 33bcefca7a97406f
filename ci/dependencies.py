"""Reads `cargo metadata` on stdin; fails if a direct dependency has a second version, or asks for a newer compiler."""

import json
import sys

metadata = json.load(sys.stdin)
members = set(metadata["workspace_members"])
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}


def reached(kinds):
    """The packages that the workspace needs through dependencies of these kinds."""
    todo, seen = list(members), set(members)
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            wanted = any(kind["kind"] in kinds for kind in dependency["dep_kinds"])
            if wanted and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                todo.append(dependency["pkg"])
    return seen


direct = {
    packages[dependency["pkg"]]["name"] for member in members for dependency in nodes[member]["deps"]
}
# What only development needs may lag behind: it is in no program that anybody runs.
versions = {}
for package in map(packages.get, reached({None, "build"})):
    versions.setdefault(package["name"], set()).add(package["version"])
twice = {name: sorted(versions[name]) for name in direct & versions.keys() if len(versions[name]) > 1}

number = lambda text: tuple(int(part) for part in (text or "0").split(".")[:2])
msrv = number(packages[next(iter(members))]["rust_version"])
newer = sorted(
    f"{package['name']} {package['version']} needs {package['rust_version']}"
    for package in map(packages.get, reached({None, "build", "dev"}))
    if number(package["rust_version"]) > msrv
)

for name, found in sorted(twice.items()):
    print(f"{name} comes in two versions: {', '.join(found)}", file=sys.stderr)
for line in newer:
    print(f"the stated MSRV is too old: {line}", file=sys.stderr)
sys.exit(bool(twice or newer))
