"""Durations as text."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.library.durations import go_duration, parse_duration, seconds_text
from kro.cel.values import INT_MAX, INT_MIN


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        pytest.param("0", 0, id="zero needs no unit"),
        pytest.param("1h30m", 5_400_000_000_000, id="several units"),
        pytest.param("-1.5s", -1_500_000_000, id="sign and fraction"),
        pytest.param("+5s", 5_000_000_000, id="plus"),
        pytest.param(".5m", 30_000_000_000, id="no digit before the point"),
        pytest.param("1.h", 3_600_000_000_000, id="no digit after the point"),
        pytest.param("1us1µs1μs", 3_000, id="three spellings of micro"),
        pytest.param("30m1h", 5_400_000_000_000, id="any order"),
        pytest.param("1.9999999999s", 1_999_999_999, id="digits below a nanosecond are cut"),
        pytest.param("9223372036854775807ns", INT_MAX, id="largest"),
        pytest.param("-9223372036854775808ns", INT_MIN, id="smallest"),
    ],
)
def test_go_notation_is_read(text: str, ns: int) -> None:
    """What Go's ParseDuration takes has the same value here."""
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        pytest.param("", "invalid duration", id="empty"),
        pytest.param("-", "invalid duration", id="a sign alone"),
        pytest.param("90", "missing unit", id="no unit"),
        pytest.param("1d", "unknown unit", id="days"),
        pytest.param("1e3s", "unknown unit", id="exponent"),
        pytest.param(" 1s", "invalid duration", id="blank before"),
        pytest.param("1s ", "unknown unit", id="blank after"),
        pytest.param(".s", "invalid duration", id="a point without digits"),
        pytest.param("3000000h", "out of range", id="beyond int64"),
        pytest.param("9223372036854775808ns", "out of range", id="one beyond the largest"),
        pytest.param("9" * 2000 + "s", "too long", id="hostile length"),
    ],
)
def test_other_texts_are_refused_with_a_reason(text: str, fragment: str) -> None:
    """What Go's ParseDuration refuses is refused, and the message says why."""
    with pytest.raises(ValueError, match=fragment):
        parse_duration(text)


@pytest.mark.parametrize(
    ("ns", "go", "seconds"),
    [
        pytest.param(0, "0s", "0s", id="zero"),
        pytest.param(1, "1ns", "0.000000001s", id="a nanosecond"),
        pytest.param(1_500, "1.5µs", "0.0000015s", id="microseconds"),
        pytest.param(250_000_000, "250ms", "0.25s", id="milliseconds"),
        pytest.param(5_400_000_000_000, "1h30m0s", "5400s", id="hours"),
        pytest.param(-61_500_000_000, "-1m1.5s", "-61.5s", id="negative"),
        pytest.param(INT_MIN, "-2562047h47m16.854775808s", "-9223372036.854776s", id="smallest"),
    ],
)
def test_durations_are_printed_as_go_does(ns: int, go: str, seconds: str) -> None:
    """The notation of results is Go's; the one of string(d) is seconds as a double."""
    assert (go_duration(ns), seconds_text(ns)) == (go, seconds)


@given(st.integers(INT_MIN, INT_MAX))
def test_printed_durations_read_back_as_themselves(ns: int) -> None:
    """Go's notation loses nothing."""
    assert parse_duration(go_duration(ns)) == ns


@given(st.integers(0, 9_000_000_000), st.text("0123456789", min_size=1, max_size=9))
def test_fractions_of_seconds_are_exact(whole: int, fraction: str) -> None:
    """Up to nine digits after the point are nanoseconds, digit by digit."""
    expected = whole * 10**9 + int(fraction.ljust(9, "0"))

    assert parse_duration(f"{whole}.{fraction}s") == expected


@given(st.text(max_size=20))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    """No text leads to anything but a number or a ValueError."""
    with suppress(ValueError):
        parse_duration(text)
