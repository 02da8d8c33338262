"""Doubles as text, digit for digit as Go prints them, and the texts that are doubles.

Python's `repr` and Go's `FormatFloat(x, …, -1, 64)` agree on the digits (the fewest that read back
as the same double) and differ only in when and how an exponent is written.

Source: Go's `strconv`; spec: cel.md §2.4, §2.6, §2.10.
"""

from __future__ import annotations

import math
import re
from typing import Final

_D: Final = r"[0-9](?:_?[0-9])*"
_H: Final = r"[0-9a-fA-F](?:_?[0-9a-fA-F])*"
_DECIMAL: Final = re.compile(rf"[+-]?(?:{_D}(?:\.(?:{_D})?)?|\.{_D})(?:[eE][+-]?{_D})?")
_HEXADECIMAL: Final = re.compile(rf"[+-]?0[xX](?:_?{_H}(?:\.(?:{_H})?)?|\.{_H})[pP][+-]?{_D}")
_WORDS: Final = frozenset({"nan", "inf", "infinity"})
_LONGEST: Final = 10_000


def parse_double(text: str) -> float:
    """Return the double that a text stands for: decimal or hexadecimal notation, NaN, infinities.

    Raises:
        ValueError: it stands for none, or for one that is too large.
    """
    if len(text) > _LONGEST:
        raise ValueError("too long for a double")
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    lowered = unsigned.lower()
    if lowered in _WORDS:
        if lowered == "nan" and unsigned is not text:
            raise ValueError("NaN has no sign")
        return float(text)
    if _DECIMAL.fullmatch(text):
        value = float(text)
    elif _HEXADECIMAL.fullmatch(text):
        try:
            value = float.fromhex(text.replace("_", ""))
        except OverflowError:
            value = math.inf
    else:
        raise ValueError("not a number")
    if math.isinf(value):
        raise ValueError("value out of range")
    return value


def _digits(value: float) -> tuple[str, str, int]:
    """Return sign, shortest digits without trailing zeros, and the exponent of the first digit."""
    text = repr(value)
    sign = ""
    if text[0] == "-":
        sign, text = "-", text[1:]
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    first = len(whole) - 1 + int(exponent or "0")
    digits = whole + fraction
    stripped = digits.lstrip("0")
    if not stripped:
        return sign, "0", 0
    first -= len(digits) - len(stripped)
    return sign, stripped.rstrip("0"), first


def general(value: float) -> str:
    """Return the text of `string(value)`: an exponent below -4 and from 6 on.

    Source: Go's `FormatFloat(value, 'g', -1, 64)`.
    """
    if not math.isfinite(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = _digits(value)
    if exponent < -4 or exponent >= 6:
        return sign + _scientific(digits, exponent, 2)
    return sign + _positional(digits, exponent)


def plain(value: float) -> str:
    """Return the value without exponent: `1`, `0.0000001`, `100000000000000000000`, `Infinity`."""
    if not math.isfinite(value):
        return word(value)
    sign, digits, exponent = _digits(value)
    return sign + _positional(digits, exponent)


def json_number(value: float) -> str:
    """Return a finite value as Go's JSON encoder writes it: `1`, `1e-7`, `1e+21`."""
    sign, digits, exponent = _digits(value)
    if value and not 1e-6 <= abs(value) < 1e21:
        return sign + _scientific(digits, exponent, 1 if exponent < 0 else 2)
    return sign + _positional(digits, exponent)


def word(value: float) -> str:
    """Return the word that `format` has for a value that is not finite."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _scientific(digits: str, exponent: int, width: int) -> str:
    mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):0{width}d}"


def _positional(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if exponent >= len(digits) - 1:
        return digits + "0" * (exponent - len(digits) + 1)
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"
