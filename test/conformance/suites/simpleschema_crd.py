"""Whole generated CRDs, before ownership labels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from conformance.suite import Case, Mismatch
from kro.errors import AuthorErrors
from kro.graph import build
from kro.refs import GVK, GVR, Mapped
from kro.schema import KnownSchemas

SUITE = "simpleschema-crd"
FILE = "simpleschema-crd.yaml"

FIXTURE = Path(__file__).parents[1] / "cases" / "simpleschema-status.yaml"
"""Defines the kind that the cases' resources are of."""


def load(document: Any) -> Iterable[Case]:
    """Return the cases of the file."""
    return [Case(entry["name"], entry) for entry in document]


def run(case: Case) -> None:
    """Build the definition of a case and compare its CRD."""
    spec = {"schema": case.data["schema"], "resources": case.data["resources"]}
    try:
        crd = dict(build(case.name, spec, _schemas()).crd)
    except AuthorErrors as errors:
        raise Mismatch(f"rejected: {errors}") from errors
    for key in ("apiVersion", "kind"):
        crd.pop(key)
    if crd != case.data["crd"]:
        raise Mismatch(f"got {crd}, expected {case.data['crd']}")


@cache
def _schemas() -> KnownSchemas:
    schemas: dict[GVK, Any] = {}
    mappings: dict[GVK, Mapped] = {}
    for entry in yaml.safe_load(FIXTURE.read_text())["fixture"]["schemas"]:
        gvk = GVK(entry["group"], entry["version"], entry["kind"])
        schemas[gvk] = entry["schema"]
        gvr = GVR(entry["group"], entry["version"], entry["plural"])
        mappings[gvk] = Mapped(gvr, entry["namespaced"])
    return KnownSchemas(schemas, mappings)
