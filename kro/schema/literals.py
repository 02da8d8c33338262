"""Literals inside marker values, read exactly as the API machinery's number parser reads them.

Python's own `int`, `float` and `json` are wider (`1_0` in other places, Arabic digits, `NaN`), so
each text is matched first and converted only then. Source: simpleschema.md §2.3.
"""

from __future__ import annotations

import math
import re
from typing import Final

import orjson

from kro.refs import JsonValue

WHITE: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What counts as white space in SimpleSchema; narrower than `str.isspace`."""

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
MAX_JSON_DEPTH: Final = 64
"""How deep a default may nest: far beyond what a person writes, far within every parser's stack."""

_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INT: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(
    r"[+-]?(?:[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?|\.[0-9]+(?:_[0-9]+)*)"
    r"(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?"
)
_HEX: Final = re.compile(
    r"[+-]?0[xX](?:_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*(?:\.(?:[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)?)?"
    r"|\.[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)[pP][+-]?[0-9]+(?:_[0-9]+)*"
)
_INFINITE: Final = re.compile(r"[+-]?inf(?:inity)?|nan", re.IGNORECASE | re.ASCII)


def parse_bool(text: str) -> bool:
    """Return the truth value of a bool literal.

    Raises:
        ValueError: the text is not one of the twelve literals.
    """
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{quoted(text)} is not a boolean; write true or false")


def parse_int(text: str) -> int:
    """Return the value of an int literal.

    Raises:
        ValueError: the text is not decimal digits with an optional sign, or exceeds 64 bits.
    """
    if not _INT.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not an integer")
    # The digits are bounded before conversion: Python refuses, slowly, to convert huge texts.
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > 19 or not INT64_MIN <= (value := int(text)) <= INT64_MAX:
        raise ValueError(f"{quoted(text)} does not fit in 64 bits")
    return value


def parse_number(text: str) -> float:
    """Return the value of a number literal, infinities and NaN included.

    Raises:
        ValueError: the text is no number literal, or a finite one too large for a double.
    """
    plain = text.replace("_", "")
    if _INFINITE.fullmatch(text):
        return float(text)
    try:
        if _DECIMAL.fullmatch(text):
            value = float(plain)
        elif _HEX.fullmatch(text):
            value = float.fromhex(plain)
        else:
            raise ValueError(f"{quoted(text)} is not a number")
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise ValueError(f"{quoted(text)} is too large for a double")
    return value


def json_number(value: float) -> int | float:
    """Return a finite double as JSON shows it: without a fraction when it has none."""
    return int(value) if value.is_integer() and abs(value) < 2**63 else value


def parse_json(text: str) -> JsonValue:
    """Return the value of a JSON text.

    Raises:
        ValueError: the text is not JSON (RFC 8259), nests deeper than `MAX_JSON_DEPTH`, or holds a
            number that no double can hold.
    """
    _bound_depth(text)
    try:
        value: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at position {error.pos}") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair") from error
    return _bounded_numbers(value)


def shortened(text: str, limit: int = 200) -> str:
    """Return the text, cut to `limit` characters with `…` where something is left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quoted(text: str, limit: int = 60) -> str:
    """Return the text in double quotes, cut to `limit` characters, control characters escaped."""
    shown = shortened(text, limit)
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown) + '"'


def _bound_depth(text: str) -> None:
    depth, inside, escaped = 0, False, False
    for char in text:
        if inside:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                inside = False
        elif char == '"':
            inside = True
        elif char in "[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise ValueError(f"it nests deeper than {MAX_JSON_DEPTH} levels")
        elif char in "]}":
            depth -= 1


def _bounded_numbers(value: JsonValue) -> JsonValue:
    """Turn integers beyond 64 bits into doubles, as every JSON reader of Kubernetes does."""
    match value:
        case bool() | str() | None:
            return value
        case int():
            return value if INT64_MIN <= value <= INT64_MAX else float(value)
        case float():
            if math.isinf(value):
                raise ValueError("it holds a number that is too large for a double")
            return value
        case list():
            return [_bounded_numbers(item) for item in value]
        case _:
            return {key: _bounded_numbers(item) for key, item in value.items()}
