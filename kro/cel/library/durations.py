"""Durations as text: Go's notation in and out, and CEL's seconds.

Source: Go's `time.ParseDuration` and `Duration.String`; spec: cel.md §2.4, §5.3.
"""

from __future__ import annotations

import re
from typing import Final

from kro.cel.library.doubles import plain

NANOSECOND: Final = 1
MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE

_UNITS: Final = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "µs": MICROSECOND,  # U+00B5, the micro sign
    "μs": MICROSECOND,  # U+03BC, the Greek letter
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_COMPONENT: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^.0-9]*)")
_LIMIT: Final = 2**63
_LONGEST: Final = 1_000
"""Characters of a duration text; the longest sensible one has under 100."""


def parse_duration(text: str) -> int:
    """Return the nanoseconds that a Go duration such as `1h30m` or `-1.5s` stands for.

    Raises:
        ValueError: it is none, or beyond int64 nanoseconds (about 292 years); the message has no
            prefix.
    """
    if len(text) > _LONGEST:
        raise ValueError("invalid duration: too long")
    rest = text
    negative = rest.startswith("-")
    if rest[:1] in ("-", "+"):
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"invalid duration {_quoted(text)}")
    total = 0
    while rest:
        found = _COMPONENT.match(rest)
        if found is None or not (found[1] or found[2]):
            raise ValueError(f"invalid duration {_quoted(text)}")
        total += _component(found, text)
        if total > _LIMIT:
            raise ValueError(f"invalid duration {_quoted(text)}: out of range")
        rest = rest[found.end() :]
    if negative:
        return -total
    if total == _LIMIT:
        raise ValueError(f"invalid duration {_quoted(text)}: out of range")
    return total


def _component(found: re.Match[str], text: str) -> int:
    whole, fraction, name = found.groups()
    if not name:
        raise ValueError(f"missing unit in duration {_quoted(text)}")
    unit = _UNITS.get(name)
    if unit is None:
        raise ValueError(f"unknown unit {_quoted(name)} in duration {_quoted(text)}")
    value = int(whole or "0") * unit
    if fraction:
        # The same double arithmetic as Go's, so that `0.1us` and friends agree to the nanosecond.
        digits, scale = _leading_fraction(fraction)
        value += int(float(digits) * (float(unit) / scale))
    return value


def _leading_fraction(fraction: str) -> tuple[int, float]:
    digits, scale = 0, 1.0
    for digit in fraction:
        if digits > (_LIMIT - 1) // 10:
            break
        longer = digits * 10 + int(digit)
        if longer > _LIMIT:
            break
        digits = longer
        scale *= 10
    return digits, scale


def _quoted(text: str) -> str:
    return '"' + (text if len(text) <= 64 else text[:64] + "…") + '"'


def go_duration(ns: int) -> str:
    """Return the duration as Go prints it: `1h30m0s`, `250ms`, `1.5µs`, `0s`."""
    if ns == 0:
        return "0s"
    sign = "-" if ns < 0 else ""
    ns = abs(ns)
    if ns < MICROSECOND:
        return f"{sign}{ns}ns"
    if ns < MILLISECOND:
        return f"{sign}{_decimal(ns, MICROSECOND)}µs"
    if ns < SECOND:
        return f"{sign}{_decimal(ns, MILLISECOND)}ms"
    minutes, below = divmod(ns, MINUTE)
    seconds = _decimal(below, SECOND)
    if not minutes:
        return f"{sign}{seconds}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{sign}{minutes}m{seconds}s"
    return f"{sign}{hours}h{minutes}m{seconds}s"


def _decimal(ns: int, unit: int) -> str:
    whole, below = divmod(ns, unit)
    if not below:
        return str(whole)
    digits = str(below).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{digits}"


def seconds_text(ns: int) -> str:
    """Return the duration in seconds as `string(d)` writes it: `5400s`, `1.5s`, `-0.001s`.

    Durations that a double cannot hold to the nanosecond are rounded to the nearest double.
    """
    sign = -1 if ns < 0 else 1
    whole, below = divmod(abs(ns), SECOND)
    return f"{plain(sign * (float(whole) + float(below) / 1e9))}s"
