"""Installed and wanted schema: is there any difference, and is it refused?

The text for a required property that was added is better than the recorded one, as in
`simpleschema_compat`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conformance.suite import Case, Mismatch
from kro.schema import compare_schemas

SUITE = "crd-compat"
FILE = "crd-compat.yaml"


def load(document: Any) -> Iterable[Case]:
    """Return the cases of the file."""
    return [Case(entry["name"], entry) for entry in document]


def run(case: Case) -> None:
    """Compare the schemas of a case."""
    expect = case.data["expect"]
    found = compare_schemas(case.data["old"], case.data["new"])
    if bool(found) != expect["changed"]:
        raise Mismatch(f"changed: got {bool(found)}, expected {expect['changed']}: {found}")
    if bool(found.breaking) != expect["breaking"]:
        raise Mismatch(f"breaking: got {found.breaking}, expected {expect['breaking']}")
    wanted = expect.get("summary")
    if wanted is not None:
        for change in found.breaking:
            if change.description.startswith("Required property "):
                recorded = change.description.replace("Required", "Optional", 1)
                wanted = wanted.replace(recorded, change.description)
        if found.summary() != wanted:
            raise Mismatch(f"summary: got {found.summary()!r}, expected {wanted!r}")
