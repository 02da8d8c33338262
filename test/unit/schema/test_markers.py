"""What each marker does to its field, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from kro.errors import AuthorErrors
from kro.schema import build_spec_schema


def field(text: str, types: Any = None) -> Any:
    """Return the schema of one field."""
    return build_spec_schema({"f": text}, types)["properties"]["f"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("text", "default"),
    [
        pytest.param("string | default=a=b|c", "a=b|c", id="signs without meaning"),
        pytest.param('string | default="a b"', "a b", id="quotes"),
        pytest.param(r'string | default="one\ntwo"', "one\ntwo", id="a JSON escape"),
        pytest.param(r'string | default="a\\\\b"', "a\\b", id="four backslashes are one"),
        pytest.param("string | default=", "", id="no text"),
        pytest.param("string | default=null", "null", id="null is a text"),
        pytest.param("object | default=null", None, id="null is null"),
        pytest.param("float | default=3", 3, id="whole number"),
        pytest.param('[]string | default=["a b", "c"]', ["a b", "c"], id="brackets protect"),
        pytest.param("object | default=18446744073709551616", 2.0**64, id="beyond 64 bits"),
    ],
)
def test_a_default_is_the_value_of_its_json(text: str, default: Any) -> None:
    """Defaults are JSON, and strings the body of a JSON string."""
    assert field(text)["default"] == default


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(r'string | default="\d"', id="bad escape"),
        pytest.param('string | default="a\nb"', id="raw newline"),
        pytest.param("integer | default=012", id="leading zero"),
        pytest.param("float | default=.5", id="no digit before the dot"),
        pytest.param("float | default=NaN", id="not a number"),
        pytest.param("object | default=1e999", id="too large for a double"),
        pytest.param("boolean | default=T", id="a boolean of another language"),
        pytest.param("[]string | default=[a]", id="bare words"),
        pytest.param("float | minimum=inf", id="an infinite limit"),
        pytest.param('integer | enum="1,02"', id="an enum value with a leading zero"),
        pytest.param(r'string | pattern="\\C"', id="a pattern only some engines know"),
    ],
)
def test_what_json_cannot_hold_is_refused_early(text: str) -> None:
    """It would fail when the CRD is written; nothing else is written in its place."""
    with pytest.raises(AuthorErrors) as caught:
        field(text)

    assert str(caught.value).startswith("spec.f: field f: ")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("1_000", 1000, id="separators"),
        pytest.param("0x10p0", 16, id="hexadecimal"),
        pytest.param("5.", 5, id="trailing dot"),
        pytest.param("-.5e1", -5, id="sign and exponent"),
        pytest.param("1e-400", 0, id="underflow"),
        pytest.param("9007199254740993", 9007199254740992, id="a double's precision"),
    ],
)
def test_a_limit_is_any_number_literal(text: str, number: float) -> None:
    """Limits are doubles, printed without a fraction when they have none."""
    got = field(f"float | minimum={text}")["minimum"]

    assert got == number
    assert isinstance(got, int)


@pytest.mark.parametrize(
    "text", ["_1", "1_", "1__0", "0x1", "1e", "١", " 1", "1 ", "+", "infinite"]
)
def test_other_numbers_are_none(text: str) -> None:
    """The number parser is narrower than Python's."""
    with pytest.raises(AuthorErrors) as caught:
        field(f'float | minimum="{text}"')

    assert "failed to parse minimum enum value" in str(caught.value)


def test_validations_of_an_alias_and_of_its_use_add_up() -> None:
    """Nothing at the use site takes a rule away."""
    schema = field("Even | immutable=true", {"Even": 'integer | validation="self % 2 == 0"'})

    assert [rule["rule"] for rule in schema["x-kubernetes-validations"]] == [
        "self % 2 == 0",
        "self == oldSelf",
    ]


def test_uses_of_a_type_do_not_see_each_others_markers() -> None:
    """A use site's markers change its own copy."""
    types: Any = {"Row": {"k": "string | required=true", "p": "integer | required=true"}}
    types["Rows"] = "[]Row | listType=map listMapKey=k"

    schema: Any = build_spec_schema({"a": "Rows | listMapKey=p", "b": "Rows | maxItems=3"}, types)

    a, b = schema["properties"]["a"], schema["properties"]["b"]
    assert a["x-kubernetes-list-map-keys"] == ["k", "p"]
    assert b["x-kubernetes-list-map-keys"] == ["k"]
    assert "maxItems" not in a


def test_several_bad_markers_of_one_field_are_all_reported() -> None:
    """A field's markers are checked to the end."""
    with pytest.raises(AuthorErrors) as caught:
        field("integer | minLength=1 required=maybe enum=a")

    assert len(caught.value.exceptions) == 3
