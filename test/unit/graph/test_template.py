"""The walk through a manifest along its schema."""

from __future__ import annotations

from typing import Any

import pytest

from kro.graph import fieldpath
from kro.graph.template import Found, Misfit, expected_type, walk
from support.definitions import STRING, WIDGET_SPEC, list_of, record

ROOT = record(spec=WIDGET_SPEC)


def found_in(spec: Any, schema: Any = ROOT) -> dict[str, str]:
    """Return, by path, the text of each expression and the problem of each misfit."""
    return {
        fieldpath.join(item.path): item.error.problem
        if isinstance(item, Misfit)
        else item.template.text
        for item in walk({"spec": spec}, schema)
    }


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"name": "x", "count": 3, "ratio": 1.5, "on": True}, id="scalars"),
        pytest.param({"ratio": 3}, id="an integer is a number"),
        pytest.param({"count": 80.0}, id="a whole number is an integer"),
        pytest.param({"name": None, "ports": None, "tags": [None]}, id="null anywhere"),
        pytest.param({"port": 80}, id="int-or-string as number"),
        pytest.param({"port": "http"}, id="int-or-string as text"),
        pytest.param({"quantity": 1.5}, id="one of"),
        pytest.param({"choice": {}}, id="a branch with required admits an object"),
        pytest.param({"labels": {"a.b/c": "d"}}, id="any key of a map"),
        pytest.param({"open": {"a": [1, {"b": True}]}}, id="anything below an open object"),
        pytest.param({"ports": [{"port": 1}]}, id="items"),
    ],
)
def test_literals_that_fit_pass(spec: Any) -> None:
    """Types are checked, and nothing else: no required fields, enums or patterns."""
    assert found_in(spec) == {}


@pytest.mark.parametrize(
    ("spec", "path", "problem"),
    [
        pytest.param(
            {"nam": "x"},
            "spec.nam",
            "error getting field schema for path spec.nam: schema not found for field nam",
            id="unknown field",
        ),
        pytest.param(
            {"count": "3"},
            "spec.count",
            "expected integer type for path spec.count, got string",
            id="text for a number",
        ),
        pytest.param(
            {"count": 3.5},
            "spec.count",
            "expected integer type for path spec.count, got float64",
            id="fraction for an integer",
        ),
        pytest.param(
            {"name": 3},
            "spec.name",
            "expected string type for path spec.name, got integer",
            id="number for text",
        ),
        pytest.param(
            {"count": True},
            "spec.count",
            "expected integer type for path spec.count, got boolean",
            id="boolean for a number",
        ),
        pytest.param(
            {"ports": {"port": 1}},
            "spec.ports",
            "expected array type for path spec.ports, got object",
            id="object for a list",
        ),
        pytest.param(
            {"ports": [{"prt": 1}]},
            "spec.ports[0].prt",
            "error getting field schema for path spec.ports[0].prt: schema not found for field prt",
            id="unknown field in an item",
        ),
        pytest.param(
            {"port": True},
            "spec.port",
            "expected string or integer type for path spec.port, got boolean",
            id="neither of two types",
        ),
        pytest.param(
            {"noItems": ["x"]},
            "spec.noItems",
            "invalid array schema for path spec.noItems: no schema for items",
            id="list without items",
        ),
        pytest.param(
            {"anything": {"a": "x"}},
            "spec.anything.a",
            "schema at path spec.anything.a has no valid type, OneOf, AnyOf, or "
            "AdditionalProperties",
            id="below additionalProperties true",
        ),
        pytest.param(
            {"bare": 1},
            "spec.bare",
            "schema at path spec.bare has no valid type, OneOf, AnyOf, or AdditionalProperties",
            id="int-or-string without a type",
        ),
        pytest.param(
            {"count": "n${schema.spec.name}"},
            "spec.count",
            "expected integer type for path spec.count, got string",
            id="string template for a number",
        ),
    ],
)
def test_literal_that_does_not_fit_is_told(spec: Any, path: str, problem: str) -> None:
    """Each rule of the walk with its text (graph §2.7)."""
    assert found_in(spec) == {path: problem}


def test_one_walk_finds_all_misfits() -> None:
    """The walk goes on beside what does not fit, and not below it."""
    spec = {"nam": {"deep": "${x}"}, "count": "3", "ports": [{"port": "x"}, {"port": "${y}"}]}

    assert list(found_in(spec)) == [
        "spec.count",
        "spec.nam",
        "spec.ports[0].port",
        "spec.ports[1].port",
    ]


def test_standalone_expression_may_stand_for_any_type() -> None:
    """Its type is judged later."""
    spec = {"count": "${a}", "ports": "${b}", "on": "${c}", "name": "x-${d}", "anything": "${e}"}

    assert found_in(spec) == {f"spec.{key}": text for key, text in spec.items()}


def test_keys_are_never_expressions() -> None:
    """Only values are searched."""
    assert found_in({"labels": {"${x}": "y"}}) == {}


def test_without_schema_every_text_is_searched() -> None:
    """At any depth, lists of lists included."""
    assert found_in({"a": [[{"b": "${x}"}], 3, "y${z}"]}, None) == {
        "spec.a[0][0].b": "${x}",
        "spec.a[2]": "y${z}",
    }


def test_nested_expression_is_told_where_it_stands() -> None:
    """The scanner's error keeps its caret."""
    [item] = walk({"name": "${a(${b})}"}, record(name=STRING))

    assert isinstance(item, Misfit)
    assert "nested expressions are not allowed" in item.error.problem
    assert item.error.excerpt is not None
    assert item.error.excerpt.column == 4


def test_order_does_not_depend_on_the_mapping() -> None:
    """Keys are visited in sorted order."""
    first = list(walk({"b": "${x}", "a": "${y}"}, None))
    second = list(walk({"a": "${y}", "b": "${x}"}, None))

    assert first == second
    assert all(isinstance(item, Found) for item in first)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("spec", "count"), "int"),
        (("spec", "ports"), "list(__type_box.spec.ports.@idx)"),
        (("spec", "ports", 0), "__type_box.spec.ports.@idx"),
        (("spec", "ports", 0, "port"), "int"),
        (("spec", "labels"), "map(string, string)"),
        (("spec", "labels", "x"), "string"),
        (("spec", "labels", ""), "map(string, string)"),
        (("spec", "open", "x"), "None"),
        (("spec", "openWithFields", "known"), "string"),
        (("spec", "port"), "dyn"),
        (("spec", "quantity"), "None"),
        (("nope",), "None"),
    ],
)
def test_field_expects_the_type_of_its_schema(path: fieldpath.FieldPath, text: str) -> None:
    """Where the schema says nothing, nothing is expected (graph §2.16)."""
    assert str(expected_type(ROOT, "box", path)) == text


def test_unknown_field_hints_at_the_nearest() -> None:
    """A typo costs one look."""
    [item] = walk([{"prot": 1}], list_of(record(port=STRING)))

    assert isinstance(item, Misfit)
    assert item.error.hint == 'did you mean "port"?'
