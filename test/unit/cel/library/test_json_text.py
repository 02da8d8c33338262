"""JSON as Go writes and reads it, against Python's module."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.failures import Failure
from kro.cel.library.json_text import marshal, unmarshal

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=4
        ),
    ),
    max_leaves=10,
)


def _with_doubles(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_doubles(element) for element in value]
    if isinstance(value, dict):
        return {key: _with_doubles(item) for key, item in value.items()}
    return float(value) if type(value) is int else value


@given(_JSON)
def test_written_values_read_back_with_numbers_as_doubles(value: Any) -> None:
    """Nothing but the kind of numbers is lost."""
    text = marshal(value)

    assert unmarshal(text) == _with_doubles(json.loads(text)) == _with_doubles(value)


@given(_JSON)
def test_written_text_is_compact_sorted_and_safe_in_html(value: Any) -> None:
    """No blanks outside of strings, no angle brackets, ampersands or line separators at all."""
    text = marshal(value)

    assert not set("<>&\u2028\u2029") & set(text)
    # Python reads `-0` as the integer, which has no sign.
    assert marshal(json.loads(text, parse_int=lambda t: -0.0 if t == "-0" else int(t))) == text


@given(st.text('[]{}":,0123456789.-eE \\untrfalse', max_size=20))
def test_arbitrary_text_is_read_as_python_reads_it_or_refused(text: str) -> None:
    """What is JSON is read; everything else is one kind of failure."""
    problem = ""
    try:
        value = unmarshal(text)
    except Failure as failure:
        problem = failure.problem
    if problem:
        assert problem.startswith("json.unmarshal failed to parse JSON: ")
    else:
        assert value == _with_doubles(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("1 2", id="two values"),
        pytest.param("{bad", id="malformed"),
        pytest.param("NaN", id="no number"),
        pytest.param("[1e999]", id="a number out of range"),
        pytest.param("9" * 5000, id="an integer out of range"),
        pytest.param("'a'", id="single quotes"),
        pytest.param('"a\nb"', id="a line break in a string"),
        pytest.param("[" * 100_000, id="deep nesting"),
        pytest.param("[" * 100_000 + "]" * 100_000, id="deep nesting that closes"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    """One JSON value, as Go's decoder takes it, and nothing else."""
    with pytest.raises(Failure, match=r"json\.unmarshal failed to parse JSON"):
        unmarshal(text)


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    """No CEL string holds half a character; a whole pair is one character."""
    assert unmarshal(r'{"\ud800": ["\udc00x", "\ud83d\ude00"]}') == {"\ufffd": ["\ufffdx", "😀"]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("json.marshal([1.0, -0.0, 1e21, 1e-7, 123456789012345680000.0])",
         "[1,-0,1e+21,1e-7,123456789012345680000]"),
        ("json.marshal('a<b>&\"é\\u2028\\n\\t\\u0001\\u007f')",
         '"a\\u003cb\\u003e\\u0026\\"é\\u2028\\n\\t\\u0001\x7f"'),
        ("json.marshal({'b': b'hi', 'a': 18446744073709551615u})",
         '{"a":18446744073709551615,"b":"aGk="}'),
        ("json.marshal([duration('90s'), timestamp('2024-01-15T10:30:45.9+02:00')])",
         '["1m30s","2024-01-15T08:30:45Z"]'),
        ("json.marshal([optional.of(1), optional.none()])", "[1,null]"),
        ("json.marshal(omit())", "{}"),
        ("json.marshal([])", "[]"),
        ("json.marshal({})", "{}"),
        ("json.marshal({1: 'a'})",
         ("error: json.marshal failed to convert value: "
         "map key must be string, got int64")),
        ("json.marshal(1.0 / 0.0)",
         ("error: json.marshal failed to encode value: "
         "unsupported value: not finite")),
        ("json.unmarshal('[10, 20]')[json.unmarshal('1')]", 20.0),
        ("string(json.unmarshal('5'))", "5"),
        ("json.unmarshal('{\"a\": 1, \"a\": 2}')", {"a": 2.0}),
    ],
)  # fmt: skip
def test_corner_cases(evaluate: Any, expression: str, expected: object) -> None:
    """Numbers, times, bytes and optionals have the forms of kro's own function."""
    assert evaluate(expression) == expected
