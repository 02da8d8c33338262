"""`format`, against Python's own formatting where the two agree."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.failures import Failure
from kro.cel.library import formatting
from kro.cel.library.formatting import CLAUSES, parse_format
from kro.cel.values import INT_MAX, INT_MIN, UINT_MAX, Uint

_format = formatting.LIBRARY.functions[0].overloads[0].call
_INT = st.integers(INT_MIN, INT_MAX)
_FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(_INT, st.integers(0, UINT_MAX).map(Uint))
def test_integers_in_all_bases(number: int, unsigned: Uint) -> None:
    """Negative numbers have a sign, not a two's complement."""
    text = _format(
        "%d %b %o %x %X|%d %x", [number, number, number, number, number, unsigned, unsigned]
    )

    assert (
        text == f"{number:d} {number:b} {number:o} {number:x} {number:X}|{unsigned:d} {unsigned:x}"
    )


@given(_FINITE, st.integers(0, 100))
def test_fixed_and_scientific_notation_round_to_the_nearest_even(
    number: float, precision: int
) -> None:
    """The digits are those of the exact value of the double, correctly rounded."""
    assert _format(f"%.{precision}f|%.{precision}e", [number, number]) == (
        f"{number:.{precision}f}|{number:.{precision}e}"
    )


@given(st.lists(st.one_of(st.text("a%é", max_size=5), _INT), max_size=5))
def test_texts_around_clauses_stay(parts: list[str | int]) -> None:
    """Percent signs in the text are written twice, everything else is itself."""
    pattern = "".join(part.replace("%", "%%") if isinstance(part, str) else "%d" for part in parts)
    numbers = [part for part in parts if isinstance(part, int)]

    assert _format(pattern, numbers) == "".join(map(str, parts))


@given(st.text("%.0123456789sdfebxXoz ", max_size=12))
def test_arbitrary_format_strings_are_compiled_or_refused(text: str) -> None:
    """No format string leads to anything but directives or an error that says what is wrong."""
    problem = ""
    try:
        pieces = parse_format(text)
    except ValueError as error:
        problem = str(error)
    if problem:
        assert "could not parse formatting clause" in problem
    else:
        assert "".join(piece for piece in pieces if isinstance(piece, str)).count(
            "%"
        ) <= text.count("%%")


@given(
    st.sampled_from(sorted(CLAUSES)), st.one_of(st.none(), st.booleans(), _INT, _FINITE, st.text())
)
def test_a_clause_prints_or_says_what_it_takes(letter: str, value: Any) -> None:
    """A value of another kind is an error that names both."""
    problem = ""
    try:
        assert isinstance(_format(f"%{letter}", [value]), str)
    except Failure as failure:
        problem = failure.problem
    assert not problem or problem.startswith("error during formatting: ")
    assert not problem or "was given" in problem


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'%s'.format([{'b': 1, 'a': [true, null]}])", "{a: [true, null], b: 1}"),
        ("'%s'.format([{1: 'x', true: 'y'}])", "{1: x, true: y}"),
        ("'%s'.format([1e20])", "100000000000000000000"),
        ("'%s %s'.format([double('NaN'), double('-Infinity')])", "NaN -Infinity"),
        ("'%f %e'.format([double('NaN'), double('Infinity')])", "NaN Infinity"),
        ("'%s'.format([b'\\xff'])", "\ufffd"),
        ("'%s'.format([timestamp('2024-01-15T10:30:45.5+02:00')])", "2024-01-15T08:30:45.5Z"),
        ("'%s'.format([type([1])])", "list"),
        ("'%x %X'.format(['é', b'\\x0a'])", "c3a9 0A"),
        ("'%b'.format([true])", "1"),
        ("'%d'.format([2.0])", "2"),
        ("'%.f'.format([1.0])",
         ("compile error: could not parse formatting clause: "
         "error while converting precision to integer")),
        ("'%.101f'.format([1.0])",
         ("compile error: could not parse formatting clause: "
         "precision 101 exceeds 100")),
        ("'%.2'.format([1.0])",
         ("compile error: could not parse formatting clause: "
         "unexpected end of string: could not find end of precision specifier")),
        ("'%s'.format([[optional.of(1)]])",
         ("compile error: error during formatting: "
         "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, "
         "types, durations, and timestamps, was given optional_type(int)")),
        ("'%s %s'.format(dyn(['a']))", "error: index 1 out of range"),
        ("dyn('%s').format(['a', 'b'])", "a"),
        ("'%d'.format(dyn([null]))",
         ("error: error during formatting: "
         "decimal clause can only be used on integers, was given null_type")),
        ("'%s'.format([dyn(quantity('1'))])",
         ("error: error during formatting: "
         "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, "
         "types, durations, and timestamps, was given kubernetes.Quantity")),
    ],
)  # fmt: skip
def test_corner_cases(evaluate: Any, expression: str, expected: str) -> None:
    """Literal calls are checked when they are compiled, others when they run."""
    assert evaluate(expression) == expected


def test_nesting_beyond_all_sense_is_refused() -> None:
    """A list in a list in a list … cannot exhaust the stack."""
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]

    with pytest.raises(Failure, match="levels"):
        _format("%s", [value])


def test_doubles_of_any_size_are_bounded() -> None:
    """The longest text of a double has 309 digits and the precision asked."""
    assert len(_format("%.100f", [-1.7976931348623157e308])) == 1 + 309 + 1 + 100
    assert math.isclose(float(_format("%s", [5e-324])), 5e-324)
