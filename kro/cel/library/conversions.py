"""The conversions: `int(x)`, `uint(x)`, `double(x)`, `bool(x)`, `string(x)`, `timestamp(x)`, ….

Source: cel-go's standard library; spec: cel.md §2.4.
"""

from __future__ import annotations

import math
import re
from typing import Final

from kro.cel.budget import charge
from kro.cel.celtypes import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    CelType,
)
from kro.cel.failures import Failure
from kro.cel.functions import Function, free, function
from kro.cel.library import doubles
from kro.cel.library.durations import seconds_text
from kro.cel.library.times import from_epoch_seconds, parse_duration, parse_rfc3339
from kro.cel.library.timestamps import rfc3339
from kro.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    Duration,
    Timestamp,
    Uint,
    Value,
    checked_int,
    checked_uint,
)

_SIGNED: Final = re.compile(r"[+-]?[0-9]+")
_UNSIGNED: Final = re.compile(r"[0-9]+")
_LONGEST_INTEGER: Final = 1_000
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_SECOND: Final = 1_000_000_000


def _mismatch(target: CelType, detail: str) -> Failure:
    return Failure(f"type conversion error from 'string' to '{target}': {detail}")


def _shown(text: str) -> str:
    return f'"{text}"' if len(text) <= 64 else f'"{text[:64]}…"'


def _int_from_double(value: float) -> int:
    if not -(2.0**63) < value < 2.0**63:  # false for NaN, too; the bounds themselves are refused
        raise Failure("integer overflow: double out of range")
    return math.trunc(value)


def _int_from_string(text: str) -> int:
    if len(text) > _LONGEST_INTEGER or not _SIGNED.fullmatch(text):
        raise _mismatch(INT, f"invalid syntax {_shown(text)}")
    value = int(text)
    if not INT_MIN <= value <= INT_MAX:
        raise _mismatch(INT, f"{_shown(text)} is out of range")
    return value


def _uint_from_double(value: float) -> Uint:
    if not 0.0 <= value < 2.0**64:
        raise Failure("unsigned integer overflow: double out of range")
    return Uint(math.trunc(value))


def _uint_from_string(text: str) -> Uint:
    if len(text) > _LONGEST_INTEGER or not _UNSIGNED.fullmatch(text):
        raise _mismatch(UINT, f"invalid syntax {_shown(text)}")
    value = int(text)
    if value > UINT_MAX:
        raise _mismatch(UINT, f"{_shown(text)} is out of range")
    return Uint(value)


def _double_from_string(text: str) -> float:
    try:
        return doubles.parse_double(text)
    except ValueError as error:
        raise _mismatch(DOUBLE, f"{error}: {_shown(text)}") from error


def _bool_from_string(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _mismatch(BOOL, f"{_shown(text)} is neither true nor false")


def _string_from_bytes(raw: bytes) -> str:
    charge(len(raw))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Failure("invalid UTF-8 in bytes, cannot convert to string") from error


def _bytes_from_string(text: str) -> bytes:
    charge(len(text))
    return text.encode("utf-8", "replace")


def _no_duration_from_int(_number: int) -> Duration:
    """Refuse: the reference declares this conversion and cannot do it, a number has no unit."""
    raise Failure(f"type conversion error from 'int' to '{DURATION}': write it with a unit: '90s'")


def _same(value: Value) -> Value:
    return value


def _string_from_timestamp(timestamp: Timestamp) -> str:
    return rfc3339(timestamp.ns, timestamp.offset_s)


def _string_from_duration(duration: Duration) -> str:
    return seconds_text(duration.ns)


def _int_from_timestamp(timestamp: Timestamp) -> int:
    return timestamp.ns // _SECOND


def _int_from_duration(duration: Duration) -> int:
    return checked_int(duration.ns)


FUNCTIONS: Final[tuple[Function, ...]] = (
    function(
        "int",
        [
            free("int64_to_int64", INT, result=INT, call=_same),
            free("uint64_to_int64", UINT, result=INT, call=lambda value: checked_int(int(value))),
            free("double_to_int64", DOUBLE, result=INT, call=_int_from_double),
            free("string_to_int64", STRING, result=INT, call=_int_from_string),
            free("timestamp_to_int64", TIMESTAMP, result=INT, call=_int_from_timestamp),
            free("duration_to_int64", DURATION, result=INT, call=_int_from_duration),
        ],
    ),
    function(
        "uint",
        [
            free("uint64_to_uint64", UINT, result=UINT, call=_same),
            free("int64_to_uint64", INT, result=UINT, call=checked_uint),
            free("double_to_uint64", DOUBLE, result=UINT, call=_uint_from_double),
            free("string_to_uint64", STRING, result=UINT, call=_uint_from_string),
        ],
    ),
    function(
        "double",
        [
            free("double_to_double", DOUBLE, result=DOUBLE, call=_same),
            free("int64_to_double", INT, result=DOUBLE, call=float),
            free("uint64_to_double", UINT, result=DOUBLE, call=float),
            free("string_to_double", STRING, result=DOUBLE, call=_double_from_string),
        ],
    ),
    function(
        "bool",
        [
            free("bool_to_bool", BOOL, result=BOOL, call=_same),
            free("string_to_bool", STRING, result=BOOL, call=_bool_from_string),
        ],
    ),
    function(
        "string",
        [
            free("string_to_string", STRING, result=STRING, call=_same),
            free(
                "bool_to_string",
                BOOL,
                result=STRING,
                call=lambda value: "true" if value else "false",
            ),
            free("int64_to_string", INT, result=STRING, call=int.__repr__),
            free("uint64_to_string", UINT, result=STRING, call=int.__repr__),
            free("double_to_string", DOUBLE, result=STRING, call=doubles.general),
            free("bytes_to_string", BYTES, result=STRING, call=_string_from_bytes),
            free("timestamp_to_string", TIMESTAMP, result=STRING, call=_string_from_timestamp),
            free("duration_to_string", DURATION, result=STRING, call=_string_from_duration),
        ],
    ),
    function(
        "bytes",
        [
            free("bytes_to_bytes", BYTES, result=BYTES, call=_same),
            free("string_to_bytes", STRING, result=BYTES, call=_bytes_from_string),
        ],
    ),
    function(
        "timestamp",
        [
            free("timestamp_to_timestamp", TIMESTAMP, result=TIMESTAMP, call=_same),
            free("string_to_timestamp", STRING, result=TIMESTAMP, call=parse_rfc3339),
            free("int64_to_timestamp", INT, result=TIMESTAMP, call=from_epoch_seconds),
        ],
    ),
    function(
        "duration",
        [
            free("duration_to_duration", DURATION, result=DURATION, call=_same),
            free("string_to_duration", STRING, result=DURATION, call=parse_duration),
            free("int64_to_duration", INT, result=DURATION, call=_no_duration_from_int),
        ],
    ),
)
