"""Resource quantities, exact: `quantity('1.5Gi')` and its members.

A quantity is `unscaled * 10**exponent`. Kubernetes keeps most quantities as int64 and falls back to
big decimals for the rest, and lets that show: a big decimal is never "an integer", nor is an int64
amount written with a negative scale (`1000m`, `1.0`). `compact` carries that distinction.

Source: `k8s.io/apimachinery/pkg/api/resource` and `apiserver/pkg/cel/library` of Kubernetes 1.36;
spec: cel.md §2.9.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final, final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import BOOL, DOUBLE, INT, STRING, CelType
from kro.cel.failures import Failure
from kro.cel.functions import Library, free, function, member
from kro.cel.library.comparisons import comparisons
from kro.cel.values import INT_MAX, INT_MIN

QUANTITY: Final = celtypes.opaque("kubernetes.Quantity")

NANO: Final = -9
_SYNTAX: Final = re.compile(r"([+-]?)(0*)([0-9]*)(?:(\.)([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_DECIMAL: Final = {
    "n": -9,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)")
_COMPACT_DIGITS: Final = 18
_LARGEST_EXPONENT: Final = 10_000
_LONGEST: Final = 1_000
_WRONG_FORMAT: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


@final
class Quantity:
    """An amount of a resource. Equal to another if both are the same number."""

    __slots__ = ("compact", "exponent", "unscaled")
    cel_type: ClassVar[CelType] = QUANTITY

    def __init__(self, unscaled: int, exponent: int = 0, *, compact: bool = True) -> None:
        self.unscaled = unscaled
        self.exponent = exponent
        self.compact = compact

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same number, however it is written."""
        return isinstance(other, Quantity) and self.compare(other) == 0

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        unscaled, exponent = self.unscaled, self.exponent
        while unscaled and unscaled % 10 == 0:
            unscaled, exponent = unscaled // 10, exponent + 1
        return hash((Quantity, unscaled, exponent if unscaled else 0))

    def __repr__(self) -> str:
        """Return the number, for debugging."""
        return f"Quantity({self.unscaled}e{self.exponent})"

    def compare(self, other: Quantity) -> int:
        """Return -1, 0 or 1 as this amount is less than, equal to or greater than the other."""
        left, right, _ = _aligned(self, other)
        return (left > right) - (left < right)

    def plus(self, other: Quantity) -> Quantity:
        """Return the exact sum."""
        if self.compact and other.compact:
            if not other.unscaled:
                return self
            if not self.unscaled:
                return other
        left, right, exponent = _aligned(self, other)
        total = left + right
        fits = all(INT_MIN <= amount <= INT_MAX for amount in (left, right)) and (
            INT_MIN < total <= INT_MAX
        )
        return Quantity(total, exponent, compact=self.compact and other.compact and fits)

    def negated(self) -> Quantity:
        """Return the amount with the other sign."""
        return Quantity(-self.unscaled, self.exponent, compact=self.compact)

    def integer(self) -> int | None:
        """Return the amount if Kubernetes can hand it out as an int64, else None."""
        if not self.compact or self.exponent < 0:
            return None
        if not self.unscaled:
            return 0
        if self.exponent > len(str(INT_MAX)):
            return None
        value = self.unscaled * 10**self.exponent
        return value if INT_MIN <= value <= INT_MAX else None

    def approximate(self) -> float:
        """Return a double near the amount: digits times a power of ten, each rounded first."""
        try:
            base = float(self.unscaled)
        except OverflowError:
            base = float("-inf") if self.unscaled < 0 else float("inf")
        return base * _power_of_ten(self.exponent) if self.exponent else base


def _aligned(left: Quantity, right: Quantity) -> tuple[int, int, int]:
    exponent = min(left.exponent, right.exponent)
    charge(abs(left.exponent - right.exponent))
    return (
        left.unscaled * 10 ** (left.exponent - exponent),
        right.unscaled * 10 ** (right.exponent - exponent),
        exponent,
    )


def _power_of_ten(exponent: int) -> float:
    """Return 10**exponent by the two table look-ups that Go's `math.Pow10` makes."""
    if exponent > 308:
        return float("inf")
    if exponent < -323:
        return 0.0
    if exponent >= 0:
        return float(f"1e{exponent}")
    high, low = divmod(-exponent, 32)
    return float(f"1e-{high * 32}") / float(f"1e{low}")


def parse_quantity(text: str) -> Quantity:
    """Return the quantity that a text stands for, amounts below `1n` rounded up to it.

    Amounts with a binary suffix are capped at 2^63-1.

    Raises:
        ValueError: it is none.
    """
    if not text or len(text) > _LONGEST:
        raise ValueError(_WRONG_FORMAT)
    found = _SYNTAX.fullmatch(text)
    if found is None:
        raise ValueError(_WRONG_FORMAT)
    sign, zeros, whole, point, fraction, suffix = found.groups()
    fraction = fraction or ""
    if whole == "" and not point and suffix == "":  # zeros alone, or a sign without digits
        return Quantity(0)
    unscaled = int((whole or "0") + fraction)
    exponent = -len(fraction)
    binary = _BINARY.get(suffix)
    digits = len(whole or "0") + len(fraction)
    if binary is None:
        exponent += _decimal_exponent(suffix)
        compact = digits <= _COMPACT_DIGITS and exponent >= NANO
    else:
        unscaled <<= binary
        compact = not fraction and 15 - digits - binary * 3 // 10 - 1 >= 0 and unscaled <= INT_MAX
    if not compact:
        if not (zeros or whole or fraction):
            raise ValueError("unable to parse numeric part of quantity")
        unscaled, exponent = _settled(unscaled, exponent, capped=binary is not None)
    return Quantity(-unscaled if sign == "-" else unscaled, exponent, compact=compact)


def _decimal_exponent(suffix: str) -> int:
    exponent = _DECIMAL.get(suffix)
    if exponent is not None:
        return exponent
    scientific = _EXPONENT.fullmatch(suffix)
    if scientific is None:
        raise ValueError("unable to parse quantity's suffix")
    exponent = int(scientific[1])
    if exponent > _LARGEST_EXPONENT:
        raise ValueError(f"unable to parse quantity's suffix: exponent above {_LARGEST_EXPONENT}")
    return exponent


def _settled(unscaled: int, exponent: int, *, capped: bool) -> tuple[int, int]:
    """Return an amount in nanos, rounded up and, if asked, capped, as big decimals are kept."""
    if not unscaled:
        return 0, max(exponent, NANO)
    if exponent >= NANO:
        nanos = unscaled * 10 ** (exponent - NANO)
    elif NANO - exponent > len(str(unscaled)) + 1:
        nanos = 1
    else:
        nanos = -(-unscaled // 10 ** (NANO - exponent))
    if capped and nanos > INT_MAX * 10**-NANO:
        return INT_MAX, 0
    return nanos, NANO


def quantity(text: str) -> Quantity:
    """`quantity(string)`.

    Raises:
        Failure: it is none.
    """
    try:
        return parse_quantity(text)
    except ValueError as error:
        raise Failure(str(error)) from error


def is_quantity(text: str) -> bool:
    """`isQuantity(string)`."""
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def _as_integer(amount: Quantity) -> int:
    value = amount.integer()
    if value is None:
        raise Failure("cannot convert value to integer")
    return value


def _sign(amount: Quantity) -> int:
    return (amount.unscaled > 0) - (amount.unscaled < 0)


LIBRARY: Final = Library(
    "kubernetes.quantity",
    functions=(
        function("quantity", [free("string_to_quantity", STRING, result=QUANTITY, call=quantity)]),
        function("isQuantity", [free("is_quantity_string", STRING, result=BOOL, call=is_quantity)]),
        function("sign", [free("quantity_sign", QUANTITY, result=INT, call=_sign)]),
        function(
            "isInteger",
            [
                member(
                    "quantity_is_integer",
                    QUANTITY,
                    result=BOOL,
                    call=lambda amount: amount.integer() is not None,
                )
            ],
        ),
        function(
            "asInteger",
            [member("quantity_as_integer", QUANTITY, result=INT, call=_as_integer)],
        ),
        function(
            "asApproximateFloat",
            [member("quantity_get_float", QUANTITY, result=DOUBLE, call=Quantity.approximate)],
        ),
        *comparisons("quantity", QUANTITY),
        function(
            "add",
            [
                member("quantity_add", QUANTITY, QUANTITY, result=QUANTITY, call=Quantity.plus),
                member(
                    "quantity_add_int",
                    QUANTITY,
                    INT,
                    result=QUANTITY,
                    call=lambda amount, more: amount.plus(Quantity(more)),
                ),
            ],
        ),
        function(
            "sub",
            [
                member(
                    "quantity_sub",
                    QUANTITY,
                    QUANTITY,
                    result=QUANTITY,
                    call=lambda left, right: left.plus(right.negated()),
                ),
                member(
                    "quantity_sub_int",
                    QUANTITY,
                    INT,
                    result=QUANTITY,
                    call=lambda amount, less: amount.plus(Quantity(-less)),
                ),
            ],
        ),
    ),
)
