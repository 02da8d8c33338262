"""Kinds out of OpenAPI v3 documents."""

from __future__ import annotations

from typing import Any

from kro.refs import GVK
from kro.schema import Document, resolve

GVK_A = GVK("x.example.com", "v1", "A")


def document(**components: Any) -> Any:
    """Return a document whose component `A` is the kind A."""
    gvk = {"group": "x.example.com", "version": "v1", "kind": "A"}
    components["A"] = {
        "type": "object",
        "x-kubernetes-group-version-kind": [gvk],
        **components["A"],
    }
    return {"openapi": "3.0.0", "components": {"schemas": components}}


def ref(name: str) -> Any:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def test_references_are_replaced_wherever_types_are() -> None:
    """In properties, items and map values, also inside an allOf; siblings are dropped."""
    properties = {
        "a": {"allOf": [ref("B")], "default": {}, "description": "dropped"},
        "b": {"type": "array", "items": ref("B")},
        "c": {"type": "object", "additionalProperties": ref("B")},
    }

    schema: Any = resolve(document(A={"properties": properties}, B={"type": "string"}), GVK_A)

    assert schema["properties"] == {
        "a": {"type": "string"},
        "b": {"type": "array", "items": {"type": "string"}},
        "c": {"type": "object", "additionalProperties": {"type": "string"}},
    }


def test_recursion_ends_in_a_plain_object() -> None:
    """A reference to what is being inlined is an object without fields."""
    tree = {"type": "object", "properties": {"child": ref("Tree"), "v": {"type": "string"}}}

    schema: Any = resolve(document(A={"properties": {"tree": ref("Tree")}}, Tree=tree), GVK_A)

    assert schema["properties"]["tree"]["properties"]["child"] == {"type": "object"}


def test_mutual_recursion_is_cut_where_it_is_entered() -> None:
    """What was inlined inside one cycle is not taken for another place."""
    ping = {"type": "object", "properties": {"pong": ref("Pong")}}
    pong = {"type": "object", "properties": {"ping": ref("Ping")}}
    properties = {"a": ref("Ping"), "b": ref("Pong")}

    schema: Any = resolve(document(A={"properties": properties}, Ping=ping, Pong=pong), GVK_A)

    a, b = schema["properties"]["a"], schema["properties"]["b"]
    assert a["properties"]["pong"]["properties"]["ping"] == {"type": "object"}
    assert b["properties"]["ping"]["properties"]["pong"] == {"type": "object"}


def test_equal_parts_are_one_object() -> None:
    """A document's kinds share what they have in common."""
    leaf = {"type": "string"}
    text = {"properties": {"x": ref("B"), "y": ref("B"), "z": dict(leaf)}}

    schema: Any = Document(document(A=text, B=leaf)).kind(GVK_A)

    properties = schema["properties"]
    assert properties["x"] is properties["y"] is properties["z"]


def test_prose_is_left_out_and_a_field_of_that_name_stays() -> None:
    """Descriptions are most of a document and say nothing about types."""
    text = {"description": "prose", "properties": {"description": {"type": "string"}}}

    schema = resolve(document(A=text), GVK_A)

    assert schema == {"type": "object", "properties": {"description": {"type": "string"}}}


def test_hostile_depth_is_cut() -> None:
    """Whoever writes a CRD must not end the process that reads its schema."""
    nested: Any = {"type": "string"}
    for _ in range(800):
        nested = {"type": "array", "items": nested}

    assert resolve(document(A={"properties": {"x": nested}}), GVK_A) is not None


def test_an_unknown_kind_is_none() -> None:
    """The caller says what that means."""
    assert resolve(document(A={}), GVK("x.example.com", "v1", "B")) is None
    assert resolve({}, GVK_A) is None
