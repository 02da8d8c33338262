"""Status schemas from CEL types."""

from __future__ import annotations

from typing import Any

import pytest

from kro.cel import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    CelType,
    list_of,
    map_of,
    opaque,
    optional_of,
    struct,
)
from kro.graph.status import schema_of
from support.definitions import compiled, config_map, definition, problems_of, widget

ANY = {"x-kubernetes-preserve-unknown-fields": True}


@pytest.mark.parametrize(
    ("type_", "schema"),
    [
        (BOOL, {"type": "boolean"}),
        (INT, {"type": "integer"}),
        (UINT, {"type": "integer"}),
        (DOUBLE, {"type": "number"}),
        (STRING, {"type": "string"}),
        (BYTES, {"type": "string", "format": "byte"}),
        (
            TIMESTAMP,
            {
                "type": "string",
                "format": "date-time",
                "description": "Timestamp representing a creation time",
            },
        ),
        (NULL, {**ANY, "description": "null type - any value allowed"}),
        (DYN, ANY),
        (list_of(INT), {"type": "array", "items": {"type": "integer"}}),
        (map_of(STRING, DYN), {"type": "object", "additionalProperties": ANY}),
        (opaque("kubernetes.Quantity"), {"type": "object", "additionalProperties": True}),
        (
            optional_of(STRING),
            {**ANY, "description": "unknown CEL type: optional_type(string)"},
        ),
        (DURATION, {**ANY, "description": "unknown CEL type: google.protobuf.Duration"}),
        (struct("S", {}), {"type": "object"}),
        (
            struct("S", {"b": TIMESTAMP, "a": list_of(struct("T", {"x": DYN}))}, open=True),
            {
                "type": "object",
                "properties": {
                    "a": {"type": "array", "items": {"type": "object", "properties": {"x": ANY}}},
                    "b": ANY,
                },
            },
        ),
    ],
    ids=str,
)
def test_type_gives_the_schema_of_its_field(type_: CelType, schema: Any) -> None:
    """Inside of objects everything but plain scalars, lists and maps is untyped."""
    assert schema_of(type_) == schema


def test_type_that_contains_itself_ends() -> None:
    """Kubernetes schemas do not, but nothing may recurse for ever."""
    fields: dict[str, CelType] = {}
    recursive = struct("Node", fields)
    fields["next"] = recursive

    with pytest.raises(RecursionError, match="cyclic type reference detected: Node"):
        schema_of(recursive)


def status_properties(status: Any) -> Any:
    """Return the author's part of the inferred status."""
    crd: Any = compiled(definition(widget("w"), status=status)).crd
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties = dict(root["properties"]["status"]["properties"])
    return {k: v for k, v in properties.items() if k not in ("state", "conditions")}


def test_elements_of_a_list_share_their_schema() -> None:
    """Objects are merged, of scalars the last one wins."""
    name, ready = "${w.metadata.name}", "${w.status.ready}"

    assert status_properties({"list": [{"a": name}, {"b": ready}]}) == {
        "list": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            },
        }
    }
    assert status_properties({"list": [name, ready]}) == {
        "list": {"type": "array", "items": {"type": "integer"}}
    }


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        pytest.param({"a[9999999]": "${w.status.ready}"}, "index 9999999 is too large", id="index"),
        pytest.param(
            {"a[0]": "${w.status.ready}", "a": {"b": "${w.status.ready}"}},
            "both a list and an object",
            id="list and object",
        ),
        pytest.param({'a".b': "${w.status.ready}"}, "failed to parse path", id="quote"),
        pytest.param({"a": ["x", {"b": 3}]}, "not supported: [a[0] a[1].b]", id="literals"),
    ],
)
def test_status_that_cannot_be_assembled_is_told(status: Any, problem: str) -> None:
    """A key that looks like a list position is one (simpleschema §4.3)."""
    problems = list(problems_of(definition(widget("w"), status=status)))

    assert any(problem in text for text in problems)


def test_conditions_shape_no_schema() -> None:
    """They are taken out first; deeper down the word has no meaning."""
    status = {
        "conditions": ["${runtime.newCondition({type: 'Up', status: 'True'})}"],
        "deep": {"conditions": "${w.status.phase}"},
    }
    graph = compiled(definition(widget("w"), status=status))

    assert len(graph.instance.conditions) == 1
    assert [field.path for field in graph.instance.status_fields] == [
        ("status", "deep", "conditions")
    ]


def test_condition_makes_the_instance_depend_on_its_resources() -> None:
    """`schema` counts only when a status field reads it."""
    text = "${runtime.newCondition({type: schema.spec.name, status: w.status.phase})}"
    graph = compiled(definition(widget("w"), config_map("c"), status={"conditions": [text]}))

    assert graph.instance.depends_on == {"w"}
