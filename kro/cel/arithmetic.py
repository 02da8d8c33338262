"""What the operators do, whatever the checker knew: dispatch on the kinds of the operands."""

from __future__ import annotations

import math
from functools import reduce
from typing import Final

from kro.cel.budget import charge
from kro.cel.failures import Failure, NoSuchOverload
from kro.cel.values import (
    INT_MAX,
    INT_MIN,
    Duration,
    Timestamp,
    Uint,
    Value,
    checked_int,
    checked_uint,
    compare,
    is_list,
)
from kro.cel.wrapped import TypedList

TIMESTAMP_MIN: Final = -62_135_596_800 * 10**9
TIMESTAMP_MAX: Final = 253_402_300_800 * 10**9 - 1
_FREE: Final = 256
"""Texts up to this length are joined without charging the budget."""


def add(left: Value, right: Value) -> Value:
    """Return `left + right`."""
    kind = type(left)
    other = type(right)
    if kind is other:
        if kind is str or kind is bytes:
            length = len(left) + len(right)
            if length > _FREE:
                charge(length >> 4)
            return left + right
        if kind is int:
            return checked_int(left + right)
        if kind is float:
            return left + right
        if kind is Uint:
            return checked_uint(left + right)
        if kind is Duration:
            return _duration(left.ns + right.ns)
    if kind is Timestamp and other is Duration:
        return _timestamp(left.ns + right.ns, left.offset_s)
    if kind is Duration and other is Timestamp:
        return _timestamp(left.ns + right.ns, right.offset_s)
    if is_list(left) and is_list(right):
        charge(len(left) + len(right))
        if isinstance(left, TypedList):
            return left.joined(right)
        return [*left, *right]
    raise NoSuchOverload


def add_all(*values: Value) -> Value:
    """Return `values[0] + values[1] + ...`, added from the left."""
    return reduce(add, values)


def subtract(left: Value, right: Value) -> Value:
    """Return `left - right`."""
    kind = type(left)
    other = type(right)
    if kind is other:
        if kind is int:
            return checked_int(left - right)
        if kind is float:
            return left - right
        if kind is Uint:
            return checked_uint(int(left) - int(right))
        if kind is Duration or kind is Timestamp:
            return _duration(left.ns - right.ns)
    if kind is Timestamp and other is Duration:
        return _timestamp(left.ns - right.ns, left.offset_s)
    raise NoSuchOverload


def _timestamp(ns: int, offset_s: int) -> Timestamp:
    if TIMESTAMP_MIN <= ns <= TIMESTAMP_MAX:
        return Timestamp(ns, offset_s)
    raise Failure("timestamp overflow: out of range")


def _duration(ns: int) -> Duration:
    if INT_MIN <= ns <= INT_MAX:
        return Duration(ns)
    raise Failure("duration overflow: integer overflow, out of range")


def multiply(left: Value, right: Value) -> Value:
    """Return `left * right`."""
    kind = type(left)
    if kind is type(right):
        if kind is int:
            return checked_int(left * right)
        if kind is float:
            return left * right
        if kind is Uint:
            return checked_uint(int(left) * int(right))
    raise NoSuchOverload


def divide(left: Value, right: Value) -> Value:
    """Return `left / right`; integers truncate toward zero, doubles follow IEEE 754."""
    kind = type(left)
    if kind is type(right):
        if kind is float:
            return _divide_doubles(left, right)
        if kind is int or kind is Uint:
            if right == 0:
                raise Failure("division by zero")
            if kind is Uint:
                return Uint(left // right)
            quotient = abs(left) // abs(right)
            return checked_int(quotient if (left < 0) is (right < 0) else -quotient)
    raise NoSuchOverload


def _divide_doubles(left: float, right: float) -> float:
    if right != 0.0:
        return left / right
    if left == 0.0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def remainder(left: Value, right: Value) -> Value:
    """Return `left % right`, which has the sign of `left`."""
    kind = type(left)
    if kind is type(right) and (kind is int or kind is Uint):
        if right == 0:
            raise Failure("modulus by zero")
        if kind is Uint:
            return Uint(left % right)
        if left == INT_MIN and right == -1:
            raise Failure("integer overflow")
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    raise NoSuchOverload


def negate(value: Value) -> Value:
    """Return `-value`."""
    if type(value) is int:
        return checked_int(-value)
    if type(value) is float:
        return -value
    if type(value) is Duration:
        return _duration(-value.ns)
    raise NoSuchOverload


def complement(value: Value) -> bool:
    """Return `!value`."""
    if value is True:
        return False
    if value is False:
        return True
    raise NoSuchOverload


def less(left: Value, right: Value) -> bool:
    """Return `left < right`."""
    return compare(left, right) < 0


def less_equal(left: Value, right: Value) -> bool:
    """Return `left <= right`."""
    return compare(left, right) <= 0


def greater(left: Value, right: Value) -> bool:
    """Return `left > right`."""
    return compare(left, right) > 0


def greater_equal(left: Value, right: Value) -> bool:
    """Return `left >= right`."""
    return compare(left, right) >= 0
