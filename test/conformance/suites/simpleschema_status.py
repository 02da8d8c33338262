"""The status schema that follows from the types of status expressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conformance.suite import Case, Mismatch
from kro.errors import AuthorErrors
from kro.graph import build
from kro.refs import GVK, GVR, Mapped
from kro.schema import KnownSchemas, Schemas

SUITE = "simpleschema-status"
FILE = "simpleschema-status.yaml"

_INJECTED_STATE = {"type": "string"}


def load(document: Any) -> Iterable[Case]:
    """Return the cases, each with the fixture of the file."""
    for entry in document["cases"]:
        yield Case(entry["name"], (document["fixture"], entry))


def run(case: Case) -> None:
    """Build the fixture with the status of a case and compare the author's part of the schema."""
    fixture, data = case.data
    schema = {key: value for key, value in fixture["rgd"].items() if key != "resources"}
    if "status" in data:
        schema["status"] = data["status"]
    spec = {"schema": schema, "resources": fixture["rgd"]["resources"]}
    try:
        graph = build("status", spec, _schemas(fixture))
    except AuthorErrors as errors:
        fragment = data.get("error_contains")
        if fragment is None:
            raise Mismatch(f"rejected: {errors}") from errors
        if fragment not in str(errors):
            raise Mismatch(f"no error contains {fragment!r}:\n{errors}") from errors
        return
    if "error_contains" in data:
        raise Mismatch(f"accepted; the error should contain {data['error_contains']!r}")
    crd: Any = graph.crd
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties = dict(root["properties"]["status"]["properties"])
    if "state" not in data["expect"] and properties.get("state") == _INJECTED_STATE:
        del properties["state"]
    if "conditions" not in data["expect"]:
        del properties["conditions"]
    if properties != data["expect"]:
        raise Mismatch(f"got {properties}, expected {data['expect']}")


def _schemas(fixture: Any) -> Schemas:
    schemas: dict[GVK, Any] = {}
    mappings: dict[GVK, Mapped] = {}
    for entry in fixture["schemas"]:
        gvk = GVK(entry["group"], entry["version"], entry["kind"])
        schemas[gvk] = entry["schema"]
        gvr = GVR(entry["group"], entry["version"], entry["plural"])
        mappings[gvk] = Mapped(gvr, entry["namespaced"])
    return KnownSchemas(schemas, mappings)
