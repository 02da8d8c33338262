"""Doubles as text."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.library.doubles import general, json_number, parse_double, plain

_FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "as_string", "without_exponent", "as_json"),
    [
        (1.0, "1", "1", "1"),
        (-0.0, "-0", "-0", "-0"),
        (123456.0, "123456", "123456", "123456"),
        (1e6, "1e+06", "1000000", "1000000"),
        (1234567.5, "1.2345675e+06", "1234567.5", "1234567.5"),
        (0.0001, "0.0001", "0.0001", "0.0001"),
        (1e-5, "1e-05", "0.00001", "0.00001"),
        (1e-7, "1e-07", "0.0000001", "1e-7"),
        (1e20, "1e+20", "100000000000000000000", "100000000000000000000"),
        (1e21, "1e+21", "1000000000000000000000", "1e+21"),
        (2.5e-10, "2.5e-10", "0.00000000025", "2.5e-10"),
    ],
)
def test_three_notations(value: float, as_string: str, without_exponent: str, as_json: str) -> None:
    """string(x), %s and JSON use the same digits and differ in where an exponent begins."""
    assert (general(value), plain(value), json_number(value)) == (
        as_string,
        without_exponent,
        as_json,
    )


def test_values_that_are_not_finite_have_words() -> None:
    """string(x) says +Inf and format says Infinity, as the reference does."""
    assert [general(math.nan), general(math.inf), general(-math.inf)] == ["NaN", "+Inf", "-Inf"]
    assert [plain(math.nan), plain(math.inf), plain(-math.inf)] == ["NaN", "Infinity", "-Infinity"]


@given(_FINITE)
def test_every_notation_reads_back_as_the_same_double(value: float) -> None:
    """The shortest digits are enough."""
    for text in (general(value), plain(value), json_number(value)):
        assert parse_double(text) == value
        assert Decimal(text) == Decimal(repr(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("+1E-3", 0.001),
        ("1_000.5", 1000.5),
        ("0x1p-2", 0.25),
        ("0x_1.8p1", 3.0),
        ("inf", math.inf),
        ("-Infinity", -math.inf),
        ("1e-400", 0.0),
    ],
)
def test_texts_that_are_doubles(text: str, value: float) -> None:
    """Everything that Go's ParseFloat takes is a double."""
    assert parse_double(text) == value


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "abc", "1e", "1e999", "-nan", "0x1", "1__0", "_1", "٣", "1.2.3", "e5"]
)
def test_other_texts_are_refused(text: str) -> None:
    """Blanks, other digits and values out of range are errors."""
    with pytest.raises(ValueError, match=r"."):
        parse_double(text)
