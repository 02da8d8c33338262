"""SimpleSchema documents become OpenAPI; every mistake is found, placed and explained."""

from __future__ import annotations

import random
from typing import Any

import pytest

from kro.errors import AuthorErrors, SchemaError
from kro.schema import build_spec_schema
from support.simpleschema import Author


def errors_of(spec: Any, types: Any = None) -> list[SchemaError]:
    """Return what is wrong with the documents."""
    with pytest.raises(AuthorErrors) as caught:
        build_spec_schema(spec, types)
    return [error for error in caught.value.exceptions if isinstance(error, SchemaError)]


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        pytest.param("string", {"type": "string"}, id="scalar"),
        pytest.param("float", {"type": "number"}, id="float is number"),
        pytest.param("[]  integer", {"type": "array", "items": {"type": "integer"}}, id="list"),
        pytest.param(
            "map[string] []boolean",
            {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "boolean"}},
            },
            id="map of lists",
        ),
        pytest.param(
            "object",
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="anything",
        ),
        pytest.param("string\u2003", {"type": "string"}, id="any white space around"),
    ],
)
def test_a_type_text_becomes_a_schema(text: str, schema: dict[str, Any]) -> None:
    """Types are words with prefixes; only white space may stand between them."""
    assert build_spec_schema({"f": text}, None)["properties"] == {"f": schema}


@pytest.mark.parametrize("empty", [None, {}], ids=["absent", "empty"])
def test_an_empty_document_is_an_object_without_fields(empty: Any) -> None:
    """A definition may leave its schema out."""
    assert build_spec_schema(empty, empty) == {"type": "object"}


def test_required_names_are_sorted_and_an_alias_brings_its_own() -> None:
    """A field whose whole type is a required alias is required; in a list it is not."""
    spec: Any = {"b": "Key", "Z": "string | required=true", "a": "[]Key"}

    schema = build_spec_schema(spec, {"Key": "string | required=true"})

    assert schema["required"] == ["Z", "b"]


def test_a_default_gives_every_object_above_it_an_empty_default() -> None:
    """An instance without `spec` is filled in completely, unless something is required."""
    open_schema = build_spec_schema({"a": {"b": {"c": "integer | default=1"}}}, None)
    closed = build_spec_schema(
        {"a": {"b": "integer | default=1", "c": "Key"}}, {"Key": "string | required=true"}
    )

    assert open_schema["default"] == {}
    assert "default" not in closed
    assert "default" not in closed["properties"]["a"]  # type: ignore[call-overload,operator,index]


def test_all_errors_come_at_once_in_the_order_of_the_text() -> None:
    """Authors fix a list, not a loop."""
    types: Any = {"A": "B", "B": "A", "C": {"x": "Missing", "y": "integer | default=x"}, "D": "C"}
    spec: Any = {"one": "int", "two": {"three": "string | minLength=a maxLength=b"}, "four": "A"}

    found = errors_of(spec, types)

    assert [(error.path, error.problem.rpartition(": ")[2]) for error in found] == [
        ("types.A", "A -> B -> A"),
        ("types.C.x", "no such type under types"),
        ("types.C.y", "x"),
        ("spec.one", "int"),
        ("spec.two.three", '"a" is not an integer'),
        ("spec.two.three", '"b" is not an integer'),
    ]


def test_an_error_points_at_its_marker() -> None:
    """The caret stands under what must be changed, also in a text of several lines."""
    (error,) = errors_of({"f": "string |\n  default=x\n  multipleOf=5"})

    assert error.excerpt is not None
    assert (error.excerpt.line, error.excerpt.column) == (3, 2)
    assert str(error).splitlines()[-2:] == ["    multipleOf=5", "    ^"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param("int", "write integer", id="another language's word"),
        pytest.param("strin", "did you mean string?", id="typo"),
        pytest.param("string[]", "write []string", id="suffix"),
        pytest.param("Prot", "did you mean Port?", id="typo in a type of one's own"),
        pytest.param("string | defualt=x", "did you mean default?", id="typo in a marker"),
        pytest.param("string | Required=true", "did you mean required?", id="case of a marker"),
        pytest.param("integer | minimum=1 | maximum=5", "separated by spaces", id="second pipe"),
        pytest.param("string | default=a ", "white space at its end", id="trailing space"),
        pytest.param("string | description=two words", "double quotes", id="missing quotes"),
        pytest.param("string | required", "write required=", id="marker without a value"),
    ],
)
def test_a_hint_says_what_to_write_instead(text: str, hint: str) -> None:
    """Common mistakes are answered with the right form."""
    (error,) = errors_of({"f": text}, {"Port": "integer"})

    assert hint in error.hint


def test_names_that_are_no_identifiers_are_quoted_in_paths() -> None:
    """A path can be read back, whatever a field is called."""
    (error,) = errors_of({"a.b": {"": "nope"}})

    assert error.path == 'spec["a.b"][""]'


@pytest.mark.parametrize(
    ("spec", "types", "problem"),
    [
        pytest.param("x", None, "failed to unmarshal spec schema", id="spec is a text"),
        pytest.param(None, [], "failed to unmarshal predefined types", id="types is a list"),
        pytest.param(
            {"f": "T40"},
            {"T0": "string"}
            | {f"T{i}": {"a": f"T{i - 1}", "b": f"T{i - 1}"} for i in range(1, 41)},
            "larger than 3 MiB",
            id="types that double forty times",
        ),
        pytest.param(
            {"f": "T300"},
            {"T0": "string"} | {f"T{i}": f"[]T{i - 1}" for i in range(1, 301)},
            "nests deeper than 100 levels",
            id="types that nest",
        ),
        pytest.param(
            {"f": "string"},
            {f"T{i}": f"T{(i + 1) % 3000}" for i in range(3000)},
            "graph contains a cycle",
            id="a cycle of thousands",
        ),
        pytest.param(
            {"f": "object | default=" + "[" * 90 + "]" * 90},
            None,
            "nests deeper than 64 levels",
            id="a deep default",
        ),
        pytest.param({"f": "[]" * 5000 + "string"}, None, "nesting too deep", id="prefixes"),
        pytest.param(
            {"f": "integer | default=" + "9" * 100_000}, None, "valid integer", id="a huge number"
        ),
    ],
)
def test_whatever_an_author_writes_costs_little(spec: Any, types: Any, problem: str) -> None:
    """Size, depth and time are bounded; the author is told, the process lives."""
    assert any(problem in error.problem for error in errors_of(spec, types))


def test_deep_and_aliased_yaml_is_refused() -> None:
    """Nesting and anchors in YAML can outgrow the text they are written in."""
    deep: Any = "string"
    for _ in range(2000):
        deep = {"a": deep}
    wide: Any = {"x": "string"}
    for _ in range(50):
        wide = {"p": wide, "q": wide}

    assert "deeper than" in errors_of(deep)[0].problem
    assert "more than" in errors_of(wide)[0].problem


def test_the_order_of_keys_does_not_matter() -> None:
    """Mappings have no order: the schema is the same whichever way they are written."""
    for seed in range(50):
        spec, types = Author(seed).documents()
        try:
            schema = build_spec_schema(spec, types)
        except AuthorErrors:
            continue

        assert build_spec_schema(shuffled(spec, seed), shuffled(types, seed)) == schema


def shuffled(value: Any, seed: int) -> Any:
    """Return the mapping with its keys in another order, at every level."""
    if not isinstance(value, dict):
        return value
    keys = list(value)
    random.Random(seed).shuffle(keys)
    return {key: shuffled(value[key], seed) for key in keys}


PIECES = [
    *("string", "integer", "[]", "map[string]", "map[", "A", "B", "object", "float", "boolean"),
    *(" ", "|", "=", '"', "\\", "{", "}", "[", "]", "\n", "\x1c", "é", "\ud800", "'", ","),
    *("required=true", "default=", "5", "null", "[1]", "{}", "enum=", "a,b", "minimum=", "x.*"),
    *("pattern=", "uniqueItems=true", "listType=", "map", "set", "listMapKey=", "validation="),
]


def test_no_text_makes_it_fail_otherwise() -> None:
    """Any input ends in author errors (one field is always wrong), which can be printed."""
    source = random.Random(7)

    def text() -> str:
        return "".join(source.choice(PIECES) for _ in range(source.randint(0, 9)))

    for _ in range(4000):
        spec = {"a": text(), "b": {"c": text()}}
        types = {"A": text(), "B": {"x": text(), "y": source.choice([None, 1, 1.5, [], 2**70])}}

        found = errors_of(spec, types)

        assert all(str(error) and error.path for error in found)
