"""What the command line says of a definition without a cluster holds on the cluster."""

from __future__ import annotations

from pathlib import Path
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


@pytest.mark.parametrize("example", sorted(p.parent.name for p in ROOT.glob("examples/*/rgd.yaml")))
async def test_a_graph_from_bundled_schemas_equals_the_servers(kube: Kube, example: str) -> None:
    """Order, waves, CRD, types of every expression and schemas of every node are the same."""
    text = Path(ROOT, "examples", example, "rgd.yaml").read_text()  # noqa: ASYNC240 - a small file
    spec: JsonObject = yaml.safe_load(text)["spec"]
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
