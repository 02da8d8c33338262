"""The generated CRD, and the type of an instance that follows from it."""

from __future__ import annotations

from typing import Any

from kro.refs import GVK, GVR, Mapped
from kro.schema import crd_gvk, crd_mapped, instance_schema, synthesize_crd

SCHEMA: dict[str, Any] = {
    "apiVersion": "v1alpha1",
    "kind": "Policy",
    "group": "x.example.com",
    "scope": "Namespaced",
}


def test_state_and_conditions_are_added_unless_the_author_has_them() -> None:
    """An author's `state` keeps its inferred schema."""
    status: Any = {"type": "object", "properties": {"state": {"type": "integer"}}}

    crd: Any = synthesize_crd(SCHEMA, {"type": "object"}, status)

    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert properties["status"]["properties"]["state"] == {"type": "integer"}
    assert set(properties["status"]["properties"]) == {"state", "conditions"}
    assert list(status["properties"]) == ["state"]


def test_an_authors_columns_replace_the_default_ones() -> None:
    """They are copied; what is empty is left out as the API server leaves it out."""
    column: Any = {
        "name": "A",
        "type": "string",
        "jsonPath": ".a",
        "priority": 0,
        "description": "",
    }

    crd: Any = synthesize_crd({**SCHEMA, "additionalPrinterColumns": [column]}, {}, None)

    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    assert columns == [{"name": "A", "type": "string", "jsonPath": ".a"}]


def test_the_instance_type_has_full_metadata_and_no_status() -> None:
    """Without a namespace when instances are cluster-scoped."""
    namespaced: Any = instance_schema(synthesize_crd(SCHEMA, {"type": "object"}, None))
    scoped = synthesize_crd({**SCHEMA, "scope": "Cluster"}, {"type": "object"}, None)
    cluster: Any = instance_schema(scoped)

    assert set(namespaced["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    metadata = set(namespaced["properties"]["metadata"]["properties"])
    assert metadata - set(cluster["properties"]["metadata"]["properties"]) == {"namespace"}


def test_kind_and_endpoint_of_a_crd() -> None:
    """The plural of the CRD is the resource that is watched."""
    crd = synthesize_crd({**SCHEMA, "scope": "Cluster"}, {"type": "object"}, None)

    assert crd_gvk(crd) == GVK("x.example.com", "v1alpha1", "Policy")
    assert crd_mapped(crd) == Mapped(GVR("x.example.com", "v1alpha1", "policies"), False)
