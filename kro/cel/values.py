"""Run-time values: which Python object stands for which CEL value.

| CEL | Python |
|---|---|
| null, bool, string, bytes | `None`, `bool`, `str`, `bytes` |
| int, double | `int` (never `bool`), `float` |
| uint | `Uint` |
| timestamp, duration | `Timestamp`, `Duration` |
| list | `list`, or a `ListValue` over data with a schema |
| map | `dict` with string keys only, or a `MapValue` (`KeyedMap` for other keys) |
| object with a schema | `ObjectValue` |
| optional | `Optional` |
| type | `TypeValue` |
| omit() | `OMIT` |
| types of libraries | their own classes, with a class attribute `cel_type` |

Values are never changed after they were made. Kinds are told by the exact class (`type(v) is int`),
for `True == 1` and `isinstance(True, int)` hold in Python and must not hold in CEL. Lists are read
through `len`, iteration and `[i]`, maps through the `Mapping` methods, whatever stands behind them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias, final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import CelType, Kind
from kro.cel.failures import Failure, NoSuchOverload

Value: TypeAlias = Any
"""Any run-time value of the table above."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1


@final
class Uint(int):
    """An unsigned 64-bit integer. Arithmetic on it gives plain ints; wrap the result again."""

    __slots__ = ()


@final
class Timestamp:
    """A point in time, to the nanosecond, from year 1 to 9999.

    Units: `ns` since the Unix epoch; `offset_s` east of UTC, which only `string(t)` shows.
    """

    __slots__ = ("ns", "offset_s")

    def __init__(self, ns: int, offset_s: int = 0) -> None:
        self.ns = ns
        self.offset_s = offset_s

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same instant, whatever their offsets."""
        return type(other) is Timestamp and self.ns == other.ns

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return hash((Timestamp, self.ns))

    def __repr__(self) -> str:
        """Return the fields, for debugging."""
        return f"Timestamp({self.ns}, {self.offset_s})"


@final
class Duration:
    """A span of time in nanoseconds, within int64."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __eq__(self, other: object) -> bool:
        """Return whether both are equally long."""
        return type(other) is Duration and self.ns == other.ns

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return hash((Duration, self.ns))

    def __repr__(self) -> str:
        """Return the fields, for debugging."""
        return f"Duration({self.ns})"


@final
class Optional:
    """An optional value; the one without content is `NONE`."""

    __slots__ = ("_content", "has_value")

    def __init__(self, content: Value) -> None:
        self._content = content
        self.has_value = True

    @classmethod
    def none(cls) -> Optional:
        """Return a new empty optional; everybody uses `NONE` instead."""
        empty = cls(None)
        empty.has_value = False
        return empty

    @property
    def content(self) -> Value:
        """The content.

        Raises:
            Failure: there is none.
        """
        if not self.has_value:
            raise Failure("optional.none() dereference")
        return self._content

    def __repr__(self) -> str:
        """Return the value as CEL writes it."""
        return f"optional.of({self._content!r})" if self.has_value else "optional.none()"


NONE: Final[Optional] = Optional.none()


@final
class TypeValue:
    """What `type(x)` returns: equal by name, parameters aside (`type([1]) == type(['a'])`)."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        """Return whether both name the same type."""
        return type(other) is TypeValue and self.name == other.name

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return hash((TypeValue, self.name))

    def __repr__(self) -> str:
        """Return the name."""
        return self.name


@final
class Omit:
    """The class of `OMIT`, the sentinel that removes the field or element it lands in."""

    __slots__ = ()
    cel_type: ClassVar[CelType] = celtypes.opaque("kro.omit")

    def __repr__(self) -> str:
        """Return the call that makes it."""
        return "omit()"


OMIT: Final = Omit()


class ListValue(Sequence[Value]):
    """A list that is not a Python list: data seen through its schema."""

    __slots__ = ()


class MapValue(Mapping[Value, Value]):
    """A map that is not a dict with string keys."""

    __slots__ = ()


class ObjectValue:
    """An object seen through its schema: fields by name, and nothing a map offers."""

    __slots__ = ()
    cel_type: CelType

    @abstractmethod
    def get(self, name: str) -> Value:
        """Return the field `name`, given as expressions write it (escaped).

        Raises:
            NoSuchKey: it is absent, or null.
            Failure: the data contradicts the schema.
        """

    @abstractmethod
    def has(self, name: str) -> bool:
        """Return whether the field is there and not null."""

    @abstractmethod
    def names(self) -> Iterable[str]:
        """Return the names of the fields that are there and not null."""

    @property
    @abstractmethod
    def raw(self) -> dict[str, Any]:
        """The JSON object behind it; not to be changed."""


@final
class _BoolKey:
    """Keeps true and false from being the same key as 1 and 0."""

    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value


_TRUE: Final = _BoolKey(True)
_FALSE: Final = _BoolKey(False)


@final
class KeyedMap(MapValue):
    """A map with any keys that CEL allows; numbers that are equal are one key."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[tuple[Value, Value]] = ()) -> None:
        self._entries: dict[Value, Value] = {}
        for key, value in entries:
            self._entries[_stored(key)] = value

    def __getitem__(self, key: Value) -> Value:
        """Return the value under `key`; KeyError if there is none."""
        return self._entries[_stored(key)]

    def __iter__(self) -> Iterator[Value]:
        """Yield the keys in the order of insertion."""
        for key in self._entries:
            yield key.value if type(key) is _BoolKey else key

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        """Return whether there is such a key."""
        return _stored(key) in self._entries

    def __repr__(self) -> str:
        """Return the entries as a dict would show them."""
        return "{" + ", ".join(f"{key!r}: {value!r}" for key, value in self.items()) + "}"


def _stored(key: Value) -> Value:
    if key is True:
        return _TRUE
    if key is False:
        return _FALSE
    return key if type(key) in _KEY_CLASSES else _Absent()


_KEY_CLASSES: Final = frozenset({str, int, Uint, float})


class _Absent:
    """A key that equals none: for values that cannot be keys."""


def map_from(entries: Iterable[tuple[Value, Value]]) -> dict[str, Value] | KeyedMap:
    """Return a map over `entries`, the last of equal keys winning."""
    pairs = list(entries)
    if all(type(key) is str for key, _ in pairs):
        return dict(pairs)
    return KeyedMap(pairs)


_KINDS: Final[dict[type, Kind]] = {
    type(None): Kind.NULL,
    bool: Kind.BOOL,
    int: Kind.INT,
    Uint: Kind.UINT,
    float: Kind.DOUBLE,
    str: Kind.STRING,
    bytes: Kind.BYTES,
    Timestamp: Kind.TIMESTAMP,
    Duration: Kind.DURATION,
    list: Kind.LIST,
    dict: Kind.MAP,
    KeyedMap: Kind.MAP,
    Optional: Kind.OPTIONAL,
    TypeValue: Kind.TYPE,
}


def kind_of(value: Value) -> Kind:
    """Return the kind of a value. Anything that is not in the table is a library's (OPAQUE)."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, ObjectValue):
        return Kind.STRUCT
    if isinstance(value, ListValue):
        return Kind.LIST
    if isinstance(value, MapValue):
        return Kind.MAP
    return Kind.OPAQUE


def type_name(value: Value) -> str:
    """Return the name of the value's type as `type(x)` shows it, without parameters."""
    kind = kind_of(value)
    if kind is Kind.STRUCT or kind is Kind.OPAQUE:
        return str(value.cel_type.name)
    return str(kind.value)


def is_list(value: Value) -> bool:
    """Return whether the value is a CEL list."""
    return type(value) is list or isinstance(value, ListValue)


def is_map(value: Value) -> bool:
    """Return whether the value is a CEL map (objects are none)."""
    return type(value) is dict or isinstance(value, MapValue)


_NUMBERS: Final = frozenset({int, Uint, float})
_LONG: Final = 1024
"""Texts up to this length are compared without charging the budget."""


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are equal as `==` over dyn has it: total, numbers across kinds.

    Raises:
        Failure: one is `OMIT`, or data contradicts its schema.
    """
    kind = type(left)
    other = type(right)
    if kind is other:
        if kind is str:
            if len(left) > _LONG:
                charge(len(left) >> 6)
            return bool(left == right)
        if kind is int or kind is bool or kind is float:
            return bool(left == right)
        if kind is list:
            return _equal_lists(left, right)
        if kind is dict:
            return _equal_dicts(left, right)
    elif kind in _NUMBERS:
        return other in _NUMBERS and _equal_numbers(left, right)
    if left is OMIT:
        raise Failure("omit() is a field-removal sentinel and cannot be compared")
    if kind is Optional:
        if other is not Optional or left.has_value != right.has_value:
            return False
        return not left.has_value or equal(left.content, right.content)
    if isinstance(left, EqualByRule):
        return left.equals(right)
    if isinstance(right, EqualByRule):
        return right.equals(left)
    if is_list(left):
        return is_list(right) and _equal_lists(left, right)
    if is_map(left):
        return is_map(right) and _equal_maps(left, right)
    return kind is other and bool(left == right)


def _equal_numbers(left: Any, right: Any) -> bool:
    """Compare across kinds as cel-go does: an integer beside a double is rounded to a double."""
    if type(left) is float or type(right) is float:
        return float(left) == float(right)
    return bool(left == right)


class EqualByRule:
    """A value whose equality is not structural: objects, lists that are sets or keyed by fields."""

    __slots__ = ()

    @abstractmethod
    def equals(self, other: Value) -> bool:
        """Return whether `other` is equal to this value."""


def _equal_lists(left: Sequence[Value], right: Sequence[Value]) -> bool:
    if len(left) != len(right):
        return False
    charge(len(left))
    return all(equal(one, other) for one, other in zip(left, right, strict=True))


def _equal_dicts(left: dict[str, Value], right: dict[str, Value]) -> bool:
    if len(left) != len(right):
        return False
    charge(len(left))
    for key, value in left.items():
        if key not in right or not equal(value, right[key]):
            return False
    return True


def _equal_maps(left: Mapping[Value, Value], right: Mapping[Value, Value]) -> bool:
    if len(left) != len(right):
        return False
    charge(len(left))
    for key, value in left.items():
        if key not in right or not equal(value, right[key]):
            return False
    return True


def compare(left: Value, right: Value) -> int:
    """Return -1, 0 or 1 for two ordered values: numbers across kinds, else of one kind.

    Raises:
        NoSuchOverload: kinds that have no order, or two different ones.
        Failure: one is NaN.
    """
    kind = type(left)
    if kind in _NUMBERS:
        if type(right) not in _NUMBERS:
            raise NoSuchOverload
        if type(right) is float or kind is float:
            left, right = float(left), float(right)
            if left != left or right != right:
                raise Failure("NaN values cannot be ordered")
    elif kind is not type(right):
        raise NoSuchOverload
    elif kind is Timestamp or kind is Duration:
        left, right = left.ns, right.ns
    elif kind not in _ORDERED:
        raise NoSuchOverload
    return int(left > right) - int(left < right)


_ORDERED: Final = frozenset({str, bytes, bool})


def checked_int(value: int) -> int:
    """Return `value` if it is an int64.

    Raises:
        Failure: it is not.
    """
    if INT_MIN <= value <= INT_MAX:
        return value
    raise Failure("integer overflow")


def checked_uint(value: int) -> Uint:
    """Return `value` as an unsigned integer if it is a uint64.

    Raises:
        Failure: it is not.
    """
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise Failure("unsigned integer overflow")
