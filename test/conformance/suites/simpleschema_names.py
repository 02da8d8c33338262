"""Kinds and the plurals that name their CRDs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from conformance.suite import Case, Mismatch
from kro.schema import plural

SUITE = "simpleschema-names"
FILE = "simpleschema-names.yaml"


def load(document: Any) -> Iterable[Case]:
    """Return one case a kind: its plural, or None where kro (Go)'s is not usable."""
    for kind, wanted in document["plural"].items():
        yield Case(str(kind), wanted)
    for kind in document.get("defective", ()):
        yield Case(str(kind), None)


def run(case: Case) -> None:
    """Compare the plural of a kind; where there is no model, it must be a legal resource name."""
    got = plural(case.name)
    if case.data is None:
        if not re.fullmatch(r"[a-z][a-z0-9]*", got):
            raise Mismatch(f"{got!r} is no resource name")
    elif got != case.data:
        raise Mismatch(f"got {got!r}, expected {case.data!r}")
