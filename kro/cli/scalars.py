"""What a YAML scalar means: the values that kubectl reads, and none that JSON does not have.

Booleans are those of YAML 1.1 (`yes`, `on`, `y`), because the API server's clients read them so.
Dates and numbers with colons stay texts, as there.
"""

from __future__ import annotations

import math
import re
from typing import Final

_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS: Final = {
    word: value
    for value, words in ((True, ("true", "yes", "y", "on")), (False, ("false", "no", "n", "off")))
    for lower in words
    for word in (lower, lower.capitalize(), lower.upper())
}
_NUMERIC: Final = frozenset("+-.0123456789")
_INTEGER: Final = re.compile(
    r"([-+]?)(?:(0)|([1-9][0-9_]*)|0x([0-9a-fA-F_]+)|0b([01_]+)|0o?([0-7_]+))"
)
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DIGITS: Final = 400
_CORE: Final = "tag:yaml.org,2002:"

Scalar = None | bool | int | float | str


class ScalarError(ValueError):
    """A scalar that has no JSON value; the text says why."""


def plain(text: str) -> Scalar:
    """Return the value of a scalar that is written without quotes and without a tag.

    Raises:
        ScalarError: a number that JSON does not have.
    """
    if text in _NULLS:
        return None
    boolean = _BOOLEANS.get(text)
    if boolean is not None:
        return boolean
    if text[0] not in _NUMERIC:
        return text
    number = _number(text)
    return text if number is None else number


def tagged(tag: str, text: str) -> Scalar:
    """Return the value of a scalar with an explicit tag.

    Raises:
        ScalarError: the tag is none of JSON's types, or the text does not fit it.
    """
    kind = tag.removeprefix(_CORE)
    if kind in ("str", "timestamp", "binary") or tag == "!":
        return text
    if kind not in ("null", "bool", "int", "float"):
        raise ScalarError(f"the tag {tag} has no meaning in a manifest")
    value = plain(text)
    wanted = {"null": type(None), "bool": bool, "int": int, "float": (int, float)}[kind]
    fits = isinstance(value, wanted) and isinstance(value, bool) == (kind == "bool")  # type: ignore[arg-type]
    if not fits:
        raise ScalarError(f"{text!r:.60} is no {kind}")
    return float(value) if kind == "float" and isinstance(value, int) else value


def _number(text: str) -> int | float | None:
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"{text} is not a JSON number: put it into quotes if it is a text")
    found = _INTEGER.fullmatch(text)
    if found is not None:
        sign, zero, decimal, hexadecimal, binary, octal = found.groups()
        for digits, radix in ((decimal, 10), (hexadecimal, 16), (binary, 2), (octal, 8)):
            digits = (digits or "").replace("_", "")
            if digits:
                if len(digits) > _DIGITS:
                    raise ScalarError(f"the number has {len(digits)} digits")
                value = int(digits, radix)
                return -value if sign == "-" else value
        return 0 if zero else None
    if len(text) <= _DIGITS and _FLOAT.fullmatch(text):
        number = float(text.replace("_", ""))
        if math.isinf(number):
            raise ScalarError(f"the number {text} is out of range")
        return number
    return None
