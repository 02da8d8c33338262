"""The schemas of all built-in kinds, from a running API server into the package's data file."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kro.refs import GVK
from kro.schema.bundled import DATA_FILE, BundledContent, BundledKind, write_bundle
from kro.schema.openapi import Document

PROSE = frozenset(("description", "externalDocs", "example", "title"))
REF = "#/components/schemas/"


def main() -> int:
    """Write the data file; print what it holds."""
    parser = argparse.ArgumentParser(prog="hack/update-schemas", description=__doc__)
    parser.add_argument("--kubeconfig", required=True, help="of the API server to ask")
    parser.add_argument("--output", type=Path, default=DATA_FILE, help="default: %(default)s")
    options = parser.parse_args()

    def get(path: str) -> Any:
        command = ["kubectl", "--kubeconfig", options.kubeconfig, "get", "--raw", path]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    contents: dict[str, BundledContent] = {}
    for path in sorted(get("/openapi/v3")["paths"]):
        prefix, _, api_version = path.partition("/")
        if prefix not in ("api", "apis") or not api_version or is_group(prefix, api_version):
            continue
        kinds = dict(served(get(f"/{path}")))
        if not kinds:
            continue
        document = get(f"/openapi/v3/{path}")
        contents[api_version] = BundledContent(components(document, api_version, kinds), kinds)
    version = get("/version")["gitVersion"]
    write_bundle(options.output, version, contents)
    count = sum(len(content.kinds) for content in contents.values())
    size = options.output.stat().st_size
    print(
        f"{options.output}: Kubernetes {version}, {count} kinds in {len(contents)} group versions,"
    )
    print(f"{size} bytes")
    return 0


def is_group(prefix: str, name: str) -> bool:
    """Return whether a path of the OpenAPI index is a group without a version."""
    return prefix == "apis" and "/" not in name


def served(resources: dict[str, Any]) -> Iterator[tuple[str, BundledKind]]:
    """Yield the kinds of a discovery document, without subresources."""
    for resource in resources["resources"]:
        if "/" not in resource["name"]:
            yield resource["kind"], BundledKind(resource["name"], resource["namespaced"])


def components(
    document: dict[str, Any], api_version: str, kinds: dict[str, BundledKind]
) -> dict[str, Any]:
    """Return the components that the kinds need, without prose."""
    schemas = document["components"]["schemas"]
    names = Document(document).kinds()
    todo = [names[GVK.of(api_version, kind)] for kind in kinds]
    found: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = without_prose(schemas[name])
            todo.extend(references(found[name]))
    return found


def without_prose(schema: Any) -> Any:
    """Return a schema without descriptions; a property of that name stays."""
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in PROSE:
            continue
        if key == "properties":
            result[key] = {name: without_prose(item) for name, item in value.items()}
        elif key in ("items", "additionalProperties", "not"):
            result[key] = without_prose(value)
        elif key in ("allOf", "anyOf", "oneOf"):
            result[key] = [without_prose(item) for item in value]
        else:
            result[key] = value
    return result


def references(value: Any) -> Iterator[str]:
    """Yield the component of every reference below a value."""
    if isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str):
            yield target.removeprefix(REF)
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


if __name__ == "__main__":
    sys.exit(main())
