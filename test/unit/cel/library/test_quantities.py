"""Resource quantities, against exact fractions as the model."""

from __future__ import annotations

import math
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.failures import Failure
from kro.cel.library.quantities import Quantity, is_quantity, parse_quantity, quantity
from kro.cel.values import INT_MAX

_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
    "e3": Fraction(10**3),
    "E-2": Fraction(1, 100),
    "e+5": Fraction(10**5),
}
_DIGITS = st.text("0123456789", min_size=1, max_size=25)
_TEXTS = st.builds(
    lambda sign, whole, fraction, suffix: (
        f"{sign}{whole}{'.' + fraction if fraction else ''}{suffix}"
    ),
    st.sampled_from(["", "-", "+"]),
    _DIGITS,
    st.one_of(st.just(""), _DIGITS),
    st.sampled_from(sorted(_SUFFIXES)),
)


def _exact(amount: Quantity) -> Fraction:
    return amount.unscaled * Fraction(10) ** amount.exponent


def _model(text: str) -> Fraction:
    """Return what a quantity text means: rounded away from zero to nanos, binary ones capped."""
    suffix = next(
        found for found in sorted(_SUFFIXES, key=len, reverse=True) if text.endswith(found)
    )
    number = Fraction(text[: len(text) - len(suffix)])
    nanos = math.ceil(abs(number) * _SUFFIXES[suffix] * 10**9)
    amount = Fraction(nanos, 10**9)
    if suffix.endswith("i"):
        amount = min(amount, Fraction(INT_MAX))
    return -amount if number < 0 else amount


@given(_TEXTS)
def test_amounts_are_exact(text: str) -> None:
    """A quantity is the number that its text says, rounded up to nanos."""
    assert _exact(parse_quantity(text)) == _model(text)


@given(_TEXTS, _TEXTS)
def test_comparing_adding_and_subtracting_are_exact(one: str, other: str) -> None:
    """Arithmetic follows the numbers, whatever the suffixes."""
    left, right = parse_quantity(one), parse_quantity(other)
    a, b = _model(one), _model(other)

    assert left.compare(right) == (a > b) - (a < b)
    assert _exact(left.plus(right)) == a + b
    assert _exact(left.plus(right.negated())) == a - b
    assert (left == right) == (a == b)
    assert left != right or hash(left) == hash(right)


@given(_TEXTS)
def test_integers_are_whole_and_fit(text: str) -> None:
    """asInteger() gives the very amount or nothing."""
    value = parse_quantity(text).integer()

    assert value is None or value == _model(text)


@given(_TEXTS)
def test_approximate_floats_are_near(text: str) -> None:
    """asApproximateFloat() is within a few units of the last place."""
    approximate = parse_quantity(text).approximate()

    assert math.isclose(approximate, float(_model(text)), rel_tol=1e-14, abs_tol=1e-300)


@pytest.mark.parametrize(
    ("text", "integer"),
    [
        pytest.param("5", 5, id="plain"),
        pytest.param("1Gi", 2**30, id="binary suffix"),
        pytest.param("50k", 50_000, id="decimal suffix"),
        pytest.param("1e3", 1000, id="exponent"),
        pytest.param("1500m", None, id="a fraction"),
        pytest.param("1000m", None, id="whole, but written in thousandths"),
        pytest.param("1.0", None, id="whole, but written with a fraction"),
        pytest.param("1.5Gi", None, id="whole, but beyond the compact form"),
        pytest.param("9999999999999999999999", None, id="too large"),
        pytest.param("9E", 9 * 10**18, id="largest power"),
        pytest.param("10E", None, id="beyond int64"),
    ],
)
def test_what_counts_as_an_integer_is_what_kubernetes_keeps_compact(
    text: str, integer: int | None
) -> None:
    """Kubernetes hands out an int64 only from its compact form without a negative scale."""
    assert parse_quantity(text).integer() == integer


@pytest.mark.parametrize(
    "text",
    ["abc", " 1", "1 ", "1.1.M", "1+1.0M", "0.1mi", "1i", ".5i", "1e", "1ee3", "1KI", "١", "1e1e1"],
)
def test_other_texts_are_no_quantities(text: str) -> None:
    """Blanks, unknown suffixes and doubled points are errors."""
    assert not is_quantity(text)
    with pytest.raises(Failure, match="quantit"):
        quantity(text)


@pytest.mark.parametrize("text", ["1e999999999999", "1e10001", "9" * 5_000])
def test_amounts_beyond_all_sense_are_refused(text: str) -> None:
    """No exponent or length can make the arithmetic expensive."""
    assert not is_quantity(text)


@given(st.text("0123456789.+-eEinumkKMGTP", max_size=12))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    """No text leads to anything but a quantity or a ValueError."""
    with suppress(ValueError):
        parse_quantity(text)
