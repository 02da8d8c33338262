"""cel-go's math extension. kro's environment has none; the conformance suite exercises it.

Source: cel-go `ext/math`, newest version.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from kro.cel.budget import charge
from kro.cel.celtypes import BOOL, DOUBLE, DYN, INT, UINT, CelType, Kind
from kro.cel.failures import Failure, NoSuchOverload
from kro.cel.functions import Function, Library, LiteralProblem, free, function
from kro.cel.syntax import Call, Node
from kro.cel.values import UINT_MAX, Uint, Value, checked_int, compare, is_list

_MOST_ARGUMENTS: Final = 16
_BITS: Final = 64
_NUMBERS: Final = frozenset({int, Uint, float})
_ARGUMENT_KINDS: Final = frozenset(
    {Kind.INT, Kind.UINT, Kind.DOUBLE, Kind.LIST, Kind.DYN, Kind.PARAM, Kind.VARIABLE, Kind.ERROR}
)


def _extreme(name: str, sign: int) -> Function:
    """Return `math.greatest` or `math.least`: the first extreme of its arguments or of one list."""

    def pick(*arguments: Value) -> Value:
        values: Sequence[Value] = arguments
        if len(arguments) == 1 and is_list(arguments[0]):
            values = list(arguments[0])
        charge(len(values))
        if not values:
            raise Failure(f"{name} argument must not be empty")
        if any(type(value) not in _NUMBERS for value in values):
            raise NoSuchOverload
        best = values[0]
        for value in values:
            if sign * compare(value, best) > 0:
                best = value
        return best

    def check(call: Call, type_at: Callable[[Node], CelType], report: LiteralProblem) -> None:
        for argument in call.args:
            if type_at(argument).kind not in _ARGUMENT_KINDS:
                report(argument, f"{name} takes numbers or one list of numbers")

    return function(
        name,
        [
            free(f"{name}_{count}", *[DYN] * count, result=DYN, call=pick)
            for count in range(1, _MOST_ARGUMENTS + 1)
        ],
        check=check,
    )


def _double(name: str, call: Callable[[float], float]) -> Function:
    return function(f"math.{name}", [free(f"math_{name}", DOUBLE, result=DOUBLE, call=call)])


def _test(name: str, call: Callable[[float], bool]) -> Function:
    return function(f"math.{name}", [free(f"math_{name}", DOUBLE, result=BOOL, call=call)])


def _whole(rounding: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(rounding(value)) if math.isfinite(value) else value


def _rounded(value: float) -> int:
    """Return the nearest integer, halves away from zero."""
    whole = math.trunc(value)
    return whole + int(math.copysign(1, value)) if abs(value - whole) >= 0.5 else whole


def _square_root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _signum(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1.0, value)


def _bitwise(name: str, call: Callable[[Any, Any], int]) -> Function:
    return function(
        f"math.{name}",
        [
            free(f"math_{name}_int_int", INT, INT, result=INT, call=call),
            free(
                f"math_{name}_uint_uint",
                UINT,
                UINT,
                result=UINT,
                call=lambda left, right: Uint(call(left, right)),
            ),
        ],
    )


def _signed(bits: int) -> int:
    bits &= UINT_MAX
    return bits - 2**_BITS if bits >> (_BITS - 1) else bits


def _shift(name: str, call: Callable[[int, int], int]) -> Function:
    """Return a shift of 64 bits: what leaves them is lost, and a sign is a bit like others."""

    def shifted(value: int, offset: int) -> int:
        if offset < 0:
            raise Failure(f"math.{name}() negative offset: {offset}")
        return call(value & UINT_MAX, offset) & UINT_MAX if offset < _BITS else 0

    return function(
        f"math.{name}",
        [
            free(
                f"math_{name}_int_int",
                INT,
                INT,
                result=INT,
                call=lambda value, offset: _signed(shifted(value, offset)),
            ),
            free(
                f"math_{name}_uint_int",
                UINT,
                INT,
                result=UINT,
                call=lambda value, offset: Uint(shifted(value, offset)),
            ),
        ],
    )


EXTENSION: Final = Library(
    "cel.math",
    functions=(
        _extreme("math.greatest", 1),
        _extreme("math.least", -1),
        _double("ceil", _whole(math.ceil)),
        _double("floor", _whole(math.floor)),
        _double("round", _whole(_rounded)),
        _double("trunc", _whole(math.trunc)),
        _test("isNaN", math.isnan),
        _test("isInf", math.isinf),
        _test("isFinite", math.isfinite),
        function(
            "math.sqrt",
            [
                free(
                    f"math_sqrt_{number}",
                    number,
                    result=DOUBLE,
                    call=lambda value: _square_root(float(value)),
                )
                for number in (DOUBLE, INT, UINT)
            ],
        ),
        function(
            "math.abs",
            [
                free("math_abs_int", INT, result=INT, call=lambda value: checked_int(abs(value))),
                free("math_abs_uint", UINT, result=UINT, call=lambda value: value),
                free("math_abs_double", DOUBLE, result=DOUBLE, call=abs),
            ],
        ),
        function(
            "math.sign",
            [
                free(
                    "math_sign_int",
                    INT,
                    result=INT,
                    call=lambda value: (value > 0) - (value < 0),
                ),
                free("math_sign_uint", UINT, result=UINT, call=lambda value: Uint(value > 0)),
                free("math_sign_double", DOUBLE, result=DOUBLE, call=_signum),
            ],
        ),
        _bitwise("bitAnd", operator.and_),
        _bitwise("bitOr", operator.or_),
        _bitwise("bitXor", operator.xor),
        function(
            "math.bitNot",
            [
                free("math_bitNot_int", INT, result=INT, call=lambda value: ~value),
                free(
                    "math_bitNot_uint",
                    UINT,
                    result=UINT,
                    call=lambda value: Uint(UINT_MAX ^ value),
                ),
            ],
        ),
        _shift("bitShiftLeft", operator.lshift),
        _shift("bitShiftRight", operator.rshift),
    ),
)
