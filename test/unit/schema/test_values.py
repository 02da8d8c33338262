"""Defaults, pruning and validation of values, as the API server does them."""

from __future__ import annotations

from typing import Any

import pytest

from kro.schema import apply_defaults, build_spec_schema, unknown_fields, validate_value


def test_defaults_fill_in_level_by_level() -> None:
    """A default of an object is filled in by the defaults of its fields; the input stays."""
    schema = build_spec_schema(
        {"a": {"b": "integer | default=1"}, "rows": "[]Row"}, {"Row": {"w": "integer | default=8"}}
    )
    value: Any = {"rows": [{}, {"w": 1}]}

    filled = apply_defaults(value, schema)

    assert filled == {"a": {"b": 1}, "rows": [{"w": 8}, {"w": 1}]}
    assert value == {"rows": [{}, {"w": 1}]}


def test_null_counts_as_absent() -> None:
    """A null takes the default, or is dropped where there is none."""
    schema = build_spec_schema({"a": "integer | default=1", "b": "string"}, None)

    assert apply_defaults({"a": None, "b": None}, schema) == {"a": 1}


def test_unknown_fields_are_found_at_every_depth() -> None:
    """Free-form objects and maps take anything."""
    spec: Any = {"a": {"b": "string"}, "free": "object", "m": "map[string]T", "l": "[]T"}
    schema = build_spec_schema(spec, {"T": {"x": "string"}})
    value: Any = {"a": {"c": 1}, "free": {"c": 1}, "m": {"k": {"y": 1}}, "l": [{"x.z": 1}], "n": 1}

    assert unknown_fields(value, schema, "spec") == [
        "spec.a.c",
        "spec.m.k.y",
        'spec.l[0]["x.z"]',
        "spec.n",
    ]


def test_the_root_of_a_resource_has_type_and_metadata() -> None:
    """They are no unknown fields, whatever the CRD says of them."""
    value: Any = {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "x"},
        "spec": {},
        "other": 1,
    }

    assert unknown_fields(value, {"type": "object", "properties": {"spec": {}}}) == ["other"]


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        pytest.param({"type": "integer"}, "x", "must be an integer, got string", id="type"),
        pytest.param({"type": "integer"}, True, "must be an integer, got boolean", id="bool"),
        pytest.param({"type": "string"}, None, "must be a string, got null", id="null"),
        pytest.param({"type": "integer", "minimum": 2}, 1, "must be at least 2", id="minimum"),
        pytest.param({"type": "string", "enum": ["a"]}, "b", 'must be one of "a"', id="enum"),
        pytest.param({"enum": [1]}, True, "must be one of 1", id="true is not one"),
        pytest.param({"type": "string", "maxLength": 1}, "ab", "at most 1 character", id="length"),
        pytest.param({"type": "string", "pattern": "^a$"}, "b", 'must match "^a$"', id="pattern"),
        pytest.param({"type": "array", "minItems": 1}, [], "at least 1 item", id="items"),
        pytest.param({"type": "object", "required": ["x"]}, {}, "is required", id="required"),
        pytest.param({"oneOf": [{"type": "string"}, {"enum": ["a"]}]}, "a", "fits 2", id="oneOf"),
        pytest.param({"not": {"type": "string"}}, "a", "not allowed", id="not"),
        pytest.param(
            {"x-kubernetes-int-or-string": True}, 1.5, "an integer or a string", id="int or string"
        ),
    ],
)
def test_a_value_that_breaks_its_schema(schema: Any, value: Any, problem: str) -> None:
    """Each rule has its sentence, with the path of the place."""
    (error,) = validate_value(value, schema, "spec")

    assert problem in error.problem
    assert error.path.startswith("spec")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"type": "integer"}, 1.0, id="a whole double is an integer"),
        pytest.param({"type": "number"}, 1, id="an integer is a number"),
        pytest.param({"type": "string", "nullable": True}, None, id="nullable"),
        pytest.param({"type": "string", "minimum": 9}, "a", id="limits of another type"),
        pytest.param({"x-kubernetes-preserve-unknown-fields": True}, None, id="untyped"),
        pytest.param({"type": "string", "maxLength": 1}, "é", id="characters, not bytes"),
    ],
)
def test_a_value_that_fits(schema: Any, value: Any) -> None:
    """What the API server accepts is accepted."""
    assert validate_value(value, schema) == []


def test_all_problems_of_a_value_are_found() -> None:
    """Validation goes on after the first problem."""
    schema = build_spec_schema(
        {"a": "integer", "b": "[]integer", "c": "string | required=true"}, None
    )

    paths = [e.path for e in validate_value({"a": "x", "b": [1, "y"]}, schema, "spec")]

    assert paths == ["spec.c", "spec.a", "spec.b[1]"]
