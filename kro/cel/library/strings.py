"""Strings: `charAt`, `indexOf`, `replace`, `split`, `join`, … Positions count code points.

Source: cel-go `ext/strings`, newest version; spec: cel.md §2.6. `format` has a module of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kro.cel.budget import charge
from kro.cel.celtypes import INT, STRING, list_of
from kro.cel.failures import Failure
from kro.cel.functions import Function, Library, Overload, free, function, member
from kro.cel.values import type_name

_STRINGS: Final = list_of(STRING)
WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's White_Space. Python's own set has the separators U+001C to U+001F besides."""
_TO_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_TO_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_QUOTED: Final = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
    | {chr(code): "\ufffd" for code in range(0xD800, 0xE000)}
)


_SHORT: Final = 64
"""Characters that cost nothing beyond the call itself."""


def _pay(size: int) -> None:
    """Charge for copying that many characters."""
    if size > _SHORT:
        charge(size)


def _pay_for_scan(text: str) -> None:
    """Charge for searching a text, which is much cheaper than copying it."""
    if len(text) > _SHORT:
        charge(len(text) // _SHORT)


def _out_of_range(index: int) -> Failure:
    return Failure(f"index out of range: {index}")


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise _out_of_range(index)
    return text[index : index + 1]


def _index_of(text: str, wanted: str) -> int:
    _pay_for_scan(text)
    return text.find(wanted)


def _index_of_from(text: str, wanted: str, start: int) -> int:
    if start < 0:
        raise _out_of_range(start)
    if start >= len(text):
        return -1 if wanted else len(text)
    _pay_for_scan(text)
    return text.find(wanted, start)


def _last_index_of(text: str, wanted: str) -> int:
    _pay_for_scan(text)
    return text.rfind(wanted)


def _last_index_of_until(text: str, wanted: str, start: int) -> int:
    if start < 0:
        raise _out_of_range(start)
    if start >= len(text):
        return -1 if wanted else len(text)
    _pay_for_scan(text)
    return text.rfind(wanted, 0, start + len(wanted))


def _strict_index_of_from(text: str, wanted: str, start: int) -> int:
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    return text.find(wanted, start)


def _strict_last_index_of_until(text: str, wanted: str, start: int) -> int:
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    return text.rfind(wanted, 0, start + len(wanted))


def _lower_ascii(text: str) -> str:
    _pay(len(text))
    return text.lower() if text.isascii() else text.translate(_TO_LOWER)


def _upper_ascii(text: str) -> str:
    _pay(len(text))
    return text.upper() if text.isascii() else text.translate(_TO_UPPER)


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    times = text.count(old)
    if limit >= 0:
        times = min(times, limit)
    charge(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, times)


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    charge(len(text))
    if limit == 0:
        return []
    if separator:
        return text.split(separator, -1 if limit < 0 else min(limit - 1, len(text)))
    charge(3 * len(text))  # a string of its own for each character
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


def _join(parts: Sequence[Any], separator: str = "") -> str:
    charge(len(parts) * (1 + len(separator)))
    total = 0
    for part in parts:
        if type(part) is not str:
            raise Failure(f"join: invalid input: {type_name(part)}, expected string")
        total += len(part)
    charge(total)
    return separator.join(parts)


def _substring(text: str, start: int, end: int | None = None) -> str:
    size = len(text)
    if end is None:
        if not 0 <= start <= size:
            raise _out_of_range(start)
        _pay(size - start)
        return text[start:]
    if start > end:
        raise Failure(f"invalid substring range. start: {start}, end: {end}")
    if not 0 <= start <= size:
        raise _out_of_range(start)
    if end > size:
        raise _out_of_range(end)
    _pay(end - start)
    return text[start:end]


def _trim(text: str) -> str:
    _pay(len(text))
    return text.strip(WHITE_SPACE)


def _reverse(text: str) -> str:
    _pay(len(text))
    return text[::-1]


def _quote(text: str) -> str:
    charge(len(text))
    return f'"{text.translate(_QUOTED)}"'


_INDEX_OF: Final = member("string_index_of_string", STRING, STRING, result=INT, call=_index_of)
_LAST_INDEX_OF: Final = member(
    "string_last_index_of_string", STRING, STRING, result=INT, call=_last_index_of
)


def _index_of_offset(last: bool, strict: bool) -> Overload:
    calls = {
        (False, False): _index_of_from,
        (False, True): _strict_index_of_from,
        (True, False): _last_index_of_until,
        (True, True): _strict_last_index_of_until,
    }
    name = "string_last_index_of_string_int" if last else "string_index_of_string_int"
    return member(name, STRING, STRING, INT, result=INT, call=calls[last, strict])


def _functions(*, strict: bool) -> tuple[Function, ...]:
    return (
        function(
            "charAt", [member("string_char_at_int", STRING, INT, result=STRING, call=_char_at)]
        ),
        function("indexOf", [_INDEX_OF, _index_of_offset(last=False, strict=strict)]),
        function("lastIndexOf", [_LAST_INDEX_OF, _index_of_offset(last=True, strict=strict)]),
        function(
            "lowerAscii", [member("string_lower_ascii", STRING, result=STRING, call=_lower_ascii)]
        ),
        function(
            "upperAscii", [member("string_upper_ascii", STRING, result=STRING, call=_upper_ascii)]
        ),
        function(
            "replace",
            [
                member(
                    "string_replace_string_string",
                    STRING,
                    STRING,
                    STRING,
                    result=STRING,
                    call=_replace,
                ),
                member(
                    "string_replace_string_string_int",
                    STRING,
                    STRING,
                    STRING,
                    INT,
                    result=STRING,
                    call=_replace,
                ),
            ],
        ),
        function(
            "split",
            [
                member("string_split_string", STRING, STRING, result=_STRINGS, call=_split),
                member(
                    "string_split_string_int", STRING, STRING, INT, result=_STRINGS, call=_split
                ),
            ],
        ),
        function(
            "join",
            [
                member("list_join", _STRINGS, result=STRING, call=_join),
                member("list_join_string", _STRINGS, STRING, result=STRING, call=_join),
            ],
        ),
        function(
            "substring",
            [
                member("string_substring_int", STRING, INT, result=STRING, call=_substring),
                member(
                    "string_substring_int_int", STRING, INT, INT, result=STRING, call=_substring
                ),
            ],
        ),
        function("trim", [member("string_trim", STRING, result=STRING, call=_trim)]),
        function("reverse", [member("string_reverse", STRING, result=STRING, call=_reverse)]),
        function("strings.quote", [free("strings_quote", STRING, result=STRING, call=_quote)]),
    )


LIBRARY: Final = Library("strings", functions=_functions(strict=False))
STRICT: Final = Library("strings", functions=_functions(strict=True))
"""For the conformance suite only: a search offset past the end is an error there."""
