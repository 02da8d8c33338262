"""The canonical text of a spec, its hash, and the names of revisions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conformance.suite import Case, Mismatch
from kro.graph import canonical, revision_name, spec_hash

SUITE = "graph-hash"
FILE = "graph-hash.yaml"


def load(document: Any) -> Iterable[Case]:
    """Return the cases of both lists of the file."""
    for entry in document["hash"]:
        yield Case(entry["name"], entry)
    for i, entry in enumerate(document["names"]):
        yield Case(f"name-{i}", entry)


def run(case: Case) -> None:
    """Compare text and hash, or the name."""
    data = case.data
    if "rgd" in data:
        name = revision_name(data["rgd"], data["revision"])
        if name != data["name"]:
            raise Mismatch(f"name: got {name}, expected {data['name']}")
        return
    text = canonical(data["spec"])
    if text != data["canonical"]:
        raise Mismatch(f"text: got {text}, expected {data['canonical']}")
    if spec_hash(data["spec"]) != data["hash"]:
        raise Mismatch(f"hash: got {spec_hash(data['spec'])}, expected {data['hash']}")
