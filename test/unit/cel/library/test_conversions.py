"""Conversions, times and optionals through the language."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.failures import Failure
from kro.cel.library import conversions
from kro.cel.library.times import parse_date, parse_date_time, parse_worded_duration
from kro.cel.values import INT_MAX, INT_MIN, UINT_MAX, Duration, Timestamp, Uint

_CALLS = {
    overload.name: overload.call
    for function in conversions.FUNCTIONS
    for overload in function.overloads
}


@given(st.integers(INT_MIN, INT_MAX))
def test_integers_survive_the_way_through_text(number: int) -> None:
    """string(int) reads back as the same int."""
    assert _CALLS["string_to_int64"](_CALLS["int64_to_string"](number)) == number


@given(st.floats())
def test_doubles_become_integers_by_cutting_or_not_at_all(number: float) -> None:
    """NaN, infinities and everything beyond the range, bounds included, are refused."""
    if -(2.0**63) < number < 2.0**63:
        assert _CALLS["double_to_int64"](number) == int(number)
    else:
        with pytest.raises(Failure, match="integer overflow"):
            _CALLS["double_to_int64"](number)
    if 0 <= number < 2.0**64:
        assert _CALLS["double_to_uint64"](number) == int(number)
    else:
        with pytest.raises(Failure, match="unsigned integer overflow"):
            _CALLS["double_to_uint64"](number)


@given(st.text(max_size=12))
def test_arbitrary_text_converts_or_is_refused(text: str) -> None:
    """No text leads to anything but a value of the kind or a failure."""
    for name, kind in (
        ("string_to_int64", int),
        ("string_to_uint64", Uint),
        ("string_to_double", float),
        ("string_to_bool", bool),
        ("string_to_timestamp", Timestamp),
        ("string_to_duration", Duration),
    ):
        problem = ""
        try:
            assert type(_CALLS[name](text)) is kind
        except Failure as failure:
            problem = failure.problem
        assert not problem or problem.startswith("type conversion error from 'string' to '")


_NO_UNIT = (
    "error: type conversion error from 'int' to 'google.protobuf.Duration': "
    "write it with a unit: '90s'"
)
_SYNTAX = "error: type conversion error from 'string' to '{}': invalid syntax \"{}\""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("int('-0012')", -12),
        ("duration(90)", _NO_UNIT),
        ("int('+5')", 5),
        ("int('0x10')", _SYNTAX.format("int", "0x10")),
        ("int('1_000')", _SYNTAX.format("int", "1_000")),
        ("int('٣')", _SYNTAX.format("int", "٣")),
        ("int('9223372036854775807')", INT_MAX),
        ("int('9223372036854775808')",
         ("error: type conversion error from 'string' to 'int': "
         '"9223372036854775808" is out of range')),
        ("int(9223372036854775808u)", "error: integer overflow"),
        ("int(9223372036854775807.0)", "error: integer overflow: double out of range"),
        ("uint('18446744073709551615') == 18446744073709551615u", True),
        ("uint('-1')", _SYNTAX.format("uint", "-1")),
        ("uint(-0.5)", "error: unsigned integer overflow: double out of range"),
        ("double('0x1p-2')", 0.25),
        ("string(-0.0)", "-0"),
        ("string(1.0 / 0.0)", "+Inf"),
        ("string(b'\\xff')", "error: invalid UTF-8 in bytes, cannot convert to string"),
        ("string(duration('-1ms'))", "-0.001s"),
        ("string(timestamp('2024-01-01T00:00:00+05:30') + duration('1s'))",
         "2024-01-01T00:00:01+05:30"),
        ("timestamp(253402300800)",
         "error: timestamp overflow: out of range, not in the years 1 to 9999"),
        ("int(timestamp('1969-12-31T23:59:59.5Z'))", -1),
        ("duration('-1.5s').getSeconds()", -1),
        ("duration('-90m').getHours()", -1),
        ("timestamp('1969-12-31T23:59:59.5Z').getMilliseconds()", 500),
        ("timestamp('2024-01-15T10:30:45Z').getMilliseconds('Bad')",
         "error: unknown time zone Bad"),
        ("timestamp('9999-12-31T23:59:59Z').getFullYear('+01:00')", 10000),
        ("timestamp('0001-01-01T00:00:00Z').getFullYear('-01:00')", 0),
        ("optional.ofNonZeroValue(0).hasValue()", False),
        ("optional.ofNonZeroValue(0u).hasValue()", False),
        ("optional.ofNonZeroValue(-0.0).hasValue()", False),
        ("optional.ofNonZeroValue(false).hasValue()", False),
        ("optional.ofNonZeroValue(true).hasValue()", True),
        ("optional.ofNonZeroValue(b'').hasValue()", False),
        ("optional.ofNonZeroValue(duration('0s')).hasValue()", False),
        ("optional.ofNonZeroValue(timestamp('0001-01-01T00:00:00Z')).hasValue()", False),
        ("optional.ofNonZeroValue(timestamp(0)).hasValue()", True),
        ("optional.of(null).hasValue()", True),
        ("[optional.of(1), dyn(2)].unwrapOpt()", "error: no such overload"),
        ("'a'.size() + b'é'.size() + [1].size() + {'a': 1, 'b': 2}.size()", 6),
        ("'a'.contains('') && 'a'.startsWith('') && 'a'.endsWith('')", True),
        ("[type(1), type(1u)].distinct().size()", 2),
    ],
)  # fmt: skip
def test_corner_cases(evaluate: Any, expression: str, expected: object) -> None:
    """Bounds, signs and zeros."""
    assert evaluate(expression) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("", 0, id="empty is the epoch"),
        pytest.param("1970-01-01T00:01:00Z", 60, id="RFC 3339"),
        pytest.param("1970-01-01T00:01:00", 60, id="without offset"),
        pytest.param("1970-01-01T01:01:00+01:00", 60, id="with offset"),
    ],
)
def test_date_times_of_a_schema_are_lenient(text: str, seconds: int) -> None:
    """What the API server lets into a date-time field is read here."""
    assert parse_date_time(text).ns == seconds * 10**9


@pytest.mark.parametrize("text", ["1970-01-01", "1970-01-01T00:01", "now", "1970-13-01T00:00:00"])
def test_other_date_times_are_refused(text: str) -> None:
    """Anything else in such a field is an error."""
    with pytest.raises(Failure):
        parse_date_time(text)


def test_dates_of_a_schema_are_midnights() -> None:
    """A date is the start of that day in UTC; others are errors."""
    assert parse_date("1970-01-02").ns == 86_400 * 10**9
    for text in ("1970-1-2", "1970-02-30", "0000-01-01", "1970-01-02T00:00:00Z"):
        with pytest.raises(Failure, match="invalid date"):
            parse_date(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1h30m", 5_400 * 10**9),
        ("2 weeks", 14 * 86_400 * 10**9),
        ("1d", 86_400 * 10**9),
        ("3 days 2 hours", (3 * 86_400 + 7_200) * 10**9),
        ("5 Seconds", 5 * 10**9),
    ],
)
def test_durations_of_a_schema_know_words(text: str, ns: int) -> None:
    """What the API server lets into a duration field is read here."""
    assert parse_worded_duration(text) == Duration(ns)


@pytest.mark.parametrize("text", ["", "soon", "1 fortnight", "99999999 weeks"])
def test_other_durations_are_refused(text: str) -> None:
    """Anything else in such a field, or beyond int64 nanoseconds, is an error."""
    with pytest.raises(Failure):
        parse_worded_duration(text)


def test_uint_range_is_checked_from_text() -> None:
    """One beyond the largest is refused."""
    assert _CALLS["string_to_uint64"](str(UINT_MAX)) == UINT_MAX
    with pytest.raises(Failure, match="out of range"):
        _CALLS["string_to_uint64"](str(UINT_MAX + 1))
