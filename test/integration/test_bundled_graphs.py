"""What the command line says of a definition without a cluster holds on the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from kro.graph import Graph, build, required_kinds
from kro.refs import GVK, JsonObject
from kro.schema import BundledSchemas, KnownSchemas, resolve
from support.kube import Kube
from support.operator import ROOT


def facts(graph: Graph) -> dict[str, Any]:
    """Return all of a graph that can be compared."""
    return {
        "order": graph.order,
        "waves": dict(graph.waves),
        "crd": graph.crd,
        "hash": graph.hash,
        "status": [(str(f.path), str(f.expression.type)) for f in graph.instance.status_fields],
        "nodes": {
            node.id: {
                "kind": (node.kind, node.gvk, node.mapped),
                "schema": node.schema,
                "depends_on": node.depends_on,
                "fields": [(f.path, f.kind, str(f.expression.type)) for f in node.fields],
                "conditions": [str(e.type) for e in (*node.include_when, *node.ready_when)],
            }
            for node in graph.nodes.values()
        },
    }


def definitions() -> Iterator[Any]:
    """Yield name and spec of the examples' definitions whose kinds are all built in."""
    built_in = set(BundledSchemas().kinds())
    for file in sorted(ROOT.glob("examples/*/rgd.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            if built_in.issuperset(required_kinds(manifest["spec"])):
                name = manifest["metadata"]["name"]
                yield pytest.param(name, manifest["spec"], id=name)


@pytest.mark.parametrize(("example", "spec"), list(definitions()))
async def test_a_graph_from_bundled_schemas_equals_the_servers(
    kube: Kube, example: str, spec: JsonObject
) -> None:
    """Order, waves, CRD, types of every expression and schemas of every node are the same."""
    schemas: dict[GVK, JsonObject] = {}
    mappings = {}
    for kind in required_kinds(spec):
        document = await kube.discovery.openapi(kind.group, kind.version)
        assert document is not None
        closure = await document.closure(kind)
        assert closure is not None
        schema = resolve(closure, kind)
        assert schema is not None
        schemas[kind] = schema
        mappings[kind] = await kube.discovery.mapping(kind)

    bundled = build(example, spec, BundledSchemas())
    served = build(example, spec, KnownSchemas(schemas, mappings))

    assert facts(bundled) == facts(served)
