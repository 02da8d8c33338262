"""OpenAPI as CEL types, reading data through them, and what may be written to a field."""

from __future__ import annotations

from typing import Any

import pytest

from kro.cel import Environment, Pending, accepts, escape_field, schema_type, wrap
from kro.cel.fieldnames import unescape_field
from kro.errors import AuthorErrors, EvaluationError

STRING = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": STRING,
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "at": {"type": "string", "format": "date-time"},
        "for": {"type": "string", "format": "duration"},
        "raw": {"type": "string", "format": "byte"},
        "my-field": STRING,
        "port": {"x-kubernetes-int-or-string": True},
        "labels": {"type": "object", "additionalProperties": STRING},
        "limits": {"type": "object", "additionalProperties": {"oneOf": [STRING]}},
        "open": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"known": STRING},
        },
        "untyped": {"description": "anything"},
        "bare": {"type": "array"},
        "ports": {
            "type": "array",
            "items": {"type": "object", "properties": {"port": {"type": "integer"}}},
        },
        "set": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        "keyed": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": STRING, "v": STRING}},
        },
        "maybe": {"type": "string", "nullable": True},
        "times": {"type": "array", "items": {"type": "string", "format": "date-time"}},
        "$ref": STRING,
    },
}
TYPE = schema_type(SCHEMA, "__type_x")
assert TYPE is not None
ENVIRONMENT = Environment({"x": TYPE})


def wrapped(source: str, **data: Any) -> Any:
    """Return what `source` gives over data that is read through the schema."""
    return ENVIRONMENT.compile(source).evaluate({"x": wrap(data, TYPE)})


def plain(source: str, **data: Any) -> Any:
    """Return what `source` gives over plain data, for which the same types were declared."""
    return ENVIRONMENT.compile(source).evaluate({"x": data})


@pytest.mark.parametrize(
    ("field", "type_"),
    [
        ("name", "string"),
        ("count", "int"),
        ("ratio", "double"),
        ("at", "google.protobuf.Timestamp"),
        ("__for__", "google.protobuf.Duration"),
        ("raw", "bytes"),
        ("my__dash__field", "string"),
        ("port", "dyn"),
        ("labels", "map(string, string)"),
        ("limits", "map(string, dyn)"),
        ("open", "__type_x.open"),
        ("ports", "list(__type_x.ports.@idx)"),
    ],
)
def test_property_has_the_type(field: str, type_: str) -> None:
    """Types, names of structs and escaped field names (cel.md §3.2, §3.3)."""
    assert TYPE is not None
    assert str(TYPE.fields[field]) == type_
    assert str(ENVIRONMENT.compile(f"x.{field}").type) == type_


@pytest.mark.parametrize("field", ["untyped", "bare", "ref", "my-field"])
def test_property_without_a_type_does_not_exist(field: str) -> None:
    """What has no type, or no name that expressions can write, cannot be read."""
    assert TYPE is not None
    assert field not in TYPE.fields
    with pytest.raises(AuthorErrors) as caught:
        ENVIRONMENT.compile(f"x.{field}")
    assert "undefined field" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("name", "name"),
        ("my-field", "my__dash__field"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("__x", "__underscores__x"),
        ("if", "__if__"),
        ("in", "__in__"),
        ("1st", None),
        ("", None),
        ("$ref", None),
    ],
)
def test_names_are_escaped_and_back(name: str, field: str | None) -> None:
    """Escaping is reversible; names that no identifier can stand for have none."""
    assert escape_field(name) == field
    if field is not None:
        assert unescape_field(field) == name


@pytest.mark.parametrize(
    ("source", "data", "result"),
    [
        ("x.count", {"count": 4.0}, 4),
        ("x.ratio", {"ratio": 2}, 2.0),
        ("x.at", {"at": "2024-01-15T12:30:45+02:00"}, "2024-01-15T10:30:45Z"),
        ("x.at + x.for", {"at": "2024-01-15T10:30:45Z", "for": "1h"}, "2024-01-15T11:30:45Z"),
        ("string(x.raw)", {"raw": "aGVsbG8="}, "hello"),
        ("x.my__dash__field", {"my-field": "a"}, "a"),
        ("x.port", {"port": "50%"}, "50%"),
        ("x.open.other", {"open": {"other": 5}}, 5),
        ("x.open.known", {"open": {"known": "a"}}, "a"),
        ("x.labels.a + x.labels['b']", {"labels": {"a": "1", "b": "2"}}, "12"),
        ("x.ports.map(p, p.port)", {"ports": [{"port": 1}, {"port": 2}]}, [1, 2]),
        ("x.ports[0].port + 1", {"ports": [{"port": 1}]}, 2),
        ("has(x.name)", {"name": None}, False),
        ("has(x.name)", {"name": ""}, True),
        ("x.?name.orValue('d')", {"name": None}, "d"),
        ("x.set == ['b', 'a']", {"set": ["a", "b"]}, True),
        ("x.set + ['b', 'c']", {"set": ["a", "b"]}, ["a", "b", "c"]),
        ("x.keyed == [x.keyed[1], x.keyed[0]]", {"keyed": [{"k": "1"}, {"k": "2"}]}, True),
        (
            "x.keyed + dyn([{'k': '1', 'v': 'new'}])",
            {"keyed": [{"k": "1", "v": "old"}, {"k": "2"}]},
            [{"k": "1", "v": "new"}, {"k": "2"}],
        ),
        ("x.times", {"times": ["2024-01-15T10:30:45.5Z"]}, ["2024-01-15T10:30:45Z"]),
        ("[x]", {"at": "2024-01-15T12:30:45.5+02:00"}, [{"at": "2024-01-15T12:30:45.5+02:00"}]),
        ("dyn(x).name", {"name": "a"}, "a"),
        ("dyn(x)['name']", {"name": "a"}, "a"),
        ("x == x", {"name": "a", "ports": [{"port": 1}]}, True),
    ],
)
def test_data_is_read_through_its_schema(source: str, data: dict[str, Any], result: Any) -> None:
    """Formats, whole floats, nulls, list types (cel.md §5.1)."""
    found = wrapped(source, **data)

    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("source", "data", "text"),
    [
        ("x.count", {"count": 4.5}, "expected int, got non-integer float"),
        ("x.name", {"name": 7}, "expected string, got int64"),
        ("x.name", {"name": True}, "expected string, got bool"),
        ("x.ratio", {"ratio": "a"}, "expected float, got string"),
        ("x.open.known", {"open": [1]}, "expected a map"),
        ("x.ports", {"ports": {}}, "expected an array"),
        ("x.labels.a", {"labels": {"a": None}}, "got null for schema with nullable=false"),
        ("x.set[0]", {"set": [None]}, "got null for schema with nullable=false"),
        ("x.at", {"at": "yesterday"}, "at"),
        ("x.raw", {"raw": "!"}, "base64"),
    ],
)
def test_data_against_its_schema_is_an_error(source: str, data: dict[str, Any], text: str) -> None:
    """A wrong JSON kind or an unparsable text is broken, not pending."""
    with pytest.raises(EvaluationError, match=text):
        wrapped(source, **data)


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("x.name", {}),
        ("x.name", {"name": None}),
        ("x.open.known", {"open": {}}),
        ("x.ports[3].port", {"ports": []}),
        ("x.labels.a", {"labels": {}}),
        ("x.open.known", {}),
    ],
)
def test_absent_data_is_pending(source: str, data: dict[str, Any]) -> None:
    """A property that is absent or null has not come yet."""
    assert isinstance(wrapped(source, **data), Pending)


def test_plain_data_stays_as_it_is() -> None:
    """Where data is not wrapped, the declared type does not convert it (cel.md §5.1)."""
    assert plain("x.at", at="2024-01-15T10:30:45.5Z") == "2024-01-15T10:30:45.5Z"
    assert plain("has(x.name)", name=None) is True
    assert plain("x.ratio", ratio=2) == 2
    with pytest.raises(EvaluationError, match="no such overload"):
        plain("x.at.getHours()", at="2024-01-15T10:30:45.5Z")
    with pytest.raises(EvaluationError, match="no such overload"):
        plain("x.count + 1", count="7")
    assert isinstance(plain("x.my__dash__field", **{"my-field": "a"}), Pending)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("1", {"type": "integer"}, None),
        ("1", {"type": "number"}, "type kind mismatch"),
        ("1u", {"type": "integer"}, "type kind mismatch"),
        ("'a'", {"type": "string", "format": "date-time"}, "type kind mismatch"),
        ("optional.of('a')", STRING, None),
        ("dyn(null)", STRING, None),
        ("null", STRING, "type kind mismatch"),
        ("1", {"x-kubernetes-int-or-string": True}, None),
        ("['a']", {"type": "array", "items": STRING}, None),
        ("[1]", {"type": "array", "items": STRING}, "list element type"),
        ("'a'", {"type": "array", "items": STRING}, "list parameter count mismatch"),
        ("{'a': 1}", {"type": "array", "items": STRING}, None),
        ("{}", {"type": "object", "additionalProperties": STRING}, None),
        ("{'a': 1}", {"type": "object", "additionalProperties": STRING}, "map value type"),
        ("'a'", {"type": "object", "additionalProperties": STRING}, "map parameter count"),
        ("{}", {"type": "object", "properties": {"a": STRING}}, "map keys must be strings"),
        ("{'a': 'x'}", {"type": "object", "properties": {"a": STRING}}, None),
        (
            "{'a': 'x'}",
            {"type": "object", "properties": {"a": STRING, "b": {"type": "integer"}}},
            'map value incompatible with struct field "b"',
        ),
        ("{'a': 'x', 'b': 1}", {"type": "object", "properties": {"a": STRING}}, None),
        ("1", {"type": "object", "properties": {"a": STRING}}, None),
        ("x", {"type": "object", "properties": {"name": STRING}}, "exists in output but not"),
        ("x.ports[0]", {"type": "object", "properties": {"port": STRING}}, "incompatible type"),
        ("x.ports[0]", {"type": "object", "properties": {"port": {"type": "integer"}}}, None),
    ],
)
def test_result_fits_its_field_or_not(
    source: str, target: dict[str, Any], reason: str | None
) -> None:
    """Assignability and the structural test behind it (cel.md §3.5)."""
    expected = schema_type(target, "__type_target")
    assert expected is not None

    found = accepts(expected, ENVIRONMENT.compile(source).type)

    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert reason in found


def test_large_schema_costs_what_is_read_of_it() -> None:
    """Fields are computed when an expression asks for one."""

    class Untouchable(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            raise AssertionError("nobody asked for this field")

    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"outer": {"type": "object", "properties": {"deep": Untouchable()}}},
    }

    type_ = schema_type(schema, "__type_y")

    assert type_ is not None
    assert str(type_.fields["outer"]) == "__type_y.outer"
