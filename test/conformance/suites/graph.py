"""Whole definitions: accepted with order, dependencies and inferred status, or rejected."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from conformance.suite import Case, Mismatch
from kro.errors import AuthorErrors
from kro.graph import Gates, Graph, Limits, NodeKind, build
from kro.schema import BundledSchemas, ChainedSchemas, CrdSchemas, Schemas

SUITE = "graph"
FILE = "graph.yaml"


def load(document: Any) -> Iterable[Case]:
    """Return the cases of the file."""
    return [Case(entry["name"], entry) for entry in document]


def run(case: Case) -> None:
    """Build the definition of a case and compare what comes out."""
    data, expect = case.data, case.data["expect"]
    definition = data["rgd"]
    gates = Gates(omit="CELOmitFunction" in (data.get("feature_gates") or ()))
    dimensions = (data.get("config") or {}).get("max_collection_dimension_size", 10)
    schemas: Schemas = _bundled()
    if data.get("crds"):
        schemas = ChainedSchemas(CrdSchemas(data["crds"]), schemas)
    try:
        graph = build(
            definition["metadata"]["name"],
            definition.get("spec"),
            schemas,
            limits=Limits(dimensions=dimensions),
            gates=gates,
        )
    except AuthorErrors as errors:
        fragment = expect.get("error_contains")
        if fragment is None:
            raise Mismatch(f"rejected: {errors}") from errors
        if fragment not in str(errors):
            raise Mismatch(f"no error contains {fragment!r}:\n{errors}") from errors
        return
    if "error_contains" in expect:
        raise Mismatch(f"accepted; the error should contain {expect['error_contains']!r}")
    _compare(graph, expect)


def _compare(graph: Graph, expect: dict[str, Any]) -> None:
    _same("order", list(graph.order), expect["order"])
    found = {id_: sorted(node.depends_on) for id_, node in graph.nodes.items() if node.depends_on}
    dependencies = expect.get("dependencies") or {}
    _same("dependencies", found, {id_: sorted(set(on)) for id_, on in dependencies.items()})
    types = {
        id_: node.kind.value
        for id_, node in graph.nodes.items()
        if node.kind is not NodeKind.RESOURCE
    }
    _same("types", types, expect.get("types") or {})
    if "apply_orders" in expect:
        _same("apply orders", dict(graph.waves), expect["apply_orders"])
    if "instance_dependencies" in expect:
        wanted = sorted(set(expect["instance_dependencies"]))
        _same("instance dependencies", sorted(graph.instance.depends_on), wanted)
    if "status_properties" in expect:
        crd: Any = graph.crd
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        properties = dict(schema["properties"]["status"]["properties"])
        properties.pop("conditions", None)
        _same("status properties", properties, expect["status_properties"])


def _same(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Mismatch(f"{what}: got {got}, expected {wanted}")


@cache
def _bundled() -> BundledSchemas:
    return BundledSchemas()
