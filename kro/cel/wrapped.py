"""Data seen through its schema: lazy, without copying (spec: cel.md §5.1, wrapped data).

A `View` turns one raw JSON value into a run-time value. Views are made from schemas on demand and
kept, so that a large schema costs what is read of it. Objects, maps and lists become thin wrappers
over the raw value; scalars are checked and converted when they are read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import CelType
from kro.cel.failures import Failure, NoSuchKey
from kro.cel.fieldnames import unescape_field
from kro.cel.library.times import parse_date, parse_date_time, parse_worded_duration
from kro.cel.values import (
    INT_MAX,
    INT_MIN,
    EqualByRule,
    ListValue,
    MapValue,
    ObjectValue,
    Value,
    equal,
    is_list,
    is_map,
)
from kro.refs import JsonObject

View = Callable[[Any], Value]
"""From a raw value to a run-time value.

Raises:
    Failure: the data contradicts the schema.
"""

_STRING: Final[JsonObject] = {"type": "string"}
_EMBEDDED: Final[dict[str, Any]] = {
    "apiVersion": _STRING,
    "kind": _STRING,
    "metadata": {"type": "object", "properties": {"name": _STRING, "generateName": _STRING}},
}


def properties(schema: JsonObject) -> Mapping[str, JsonObject]:
    """Return the declared properties, with those that an embedded resource always has."""
    declared: Any = schema.get("properties") or {}
    if schema.get("x-kubernetes-embedded-resource") is True:
        return {**_EMBEDDED, **declared}
    return declared  # type: ignore[no-any-return]


def view_of(schema: JsonObject) -> View:
    """Return how data of `schema` is read."""
    declared = schema.get("type")
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        read: View = _int_or_string
    elif declared == "object":
        read = _object_view(schema)
    elif declared == "array":
        read = _list_view(schema)
    elif declared == "string":
        read = _STRINGS.get(str(schema.get("format")), _string)
    else:
        read = _SCALARS.get(str(declared), _plain)
    if read is _plain:
        return read
    nullable = schema.get("nullable") is True

    def view(raw: Any) -> Value:
        if raw is None:
            if nullable:
                return None
            raise Failure("invalid data, got null for schema with nullable=false")
        return read(raw)

    return view


def _object_view(schema: JsonObject) -> View:
    declared = properties(schema)
    additional = schema.get("additionalProperties")
    if declared:
        views = _Views(declared)

        def read_object(raw: Any) -> Value:
            return Object(_json_object(raw), views)

        return read_object
    if isinstance(additional, dict):
        value_schema = additional
        element: list[View] = []

        def read_map(raw: Any) -> Value:
            if not element:
                element.append(view_of(value_schema))
            return TypedMap(_json_object(raw), element[0])

        return read_map
    return _json_object


def _json_object(raw: Any) -> dict[str, Any]:
    if type(raw) is not dict:
        raise Failure(
            "invalid data, expected a map for the provided schema with type=object, "
            f"got {_json_name(raw)}"
        )
    return raw


class _Views:
    """The views of an object's properties, each made when it is first read."""

    __slots__ = ("_made", "_schemas")

    def __init__(self, schemas: Mapping[str, JsonObject]) -> None:
        self._schemas = schemas
        self._made: dict[str, View] = {}

    def __getitem__(self, name: str) -> View:
        """Return how the property is read; plain if it is not declared."""
        view = self._made.get(name)
        if view is None:
            schema = self._schemas.get(name)
            if schema is None:
                return _plain
            view = self._made[name] = view_of(schema)
        return view


@final
class Object(ObjectValue, EqualByRule):
    """An object with declared properties. A property that holds null counts as absent."""

    __slots__ = ("_raw", "_views")
    cel_type = celtypes.struct("object", {})

    def __init__(self, raw: dict[str, Any], views: _Views) -> None:
        self._raw = raw
        self._views = views

    @property
    def raw(self) -> dict[str, Any]:
        """The JSON object behind it."""
        return self._raw

    def get(self, name: str) -> Value:
        """Return the field, read through its schema."""
        key = unescape_field(name)
        raw = self._raw.get(key)
        if raw is None:
            raise NoSuchKey(name)
        return self._views[key](raw)

    def has(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return self._raw.get(unescape_field(name)) is not None

    def names(self) -> Iterable[str]:
        """Return the names, as in the data, of the fields that are there and not null."""
        return [name for name, value in self._raw.items() if value is not None]

    def equals(self, other: Value) -> bool:
        """Return whether the other object or map has equal fields."""
        if isinstance(other, Object):
            mine, its = self._raw, other._raw
            if mine is its:
                return True
            return mine.keys() == its.keys() and all(
                equal(self._views[name](value), other._views[name](its[name]))
                for name, value in mine.items()
            )
        if not is_map(other) or len(other) != len(self._raw):
            return False
        return all(
            name in other and equal(self._views[name](value), other[name])
            for name, value in self._raw.items()
        )


@final
class TypedMap(MapValue):
    """A map with string keys whose values have a schema."""

    __slots__ = ("_raw", "_view")

    def __init__(self, raw: dict[str, Any], view: View) -> None:
        self._raw = raw
        self._view = view

    @property
    def raw(self) -> dict[str, Any]:
        """The JSON object behind it."""
        return self._raw

    def __getitem__(self, key: Value) -> Value:
        """Return the value under `key`; KeyError if there is none."""
        if type(key) is not str:
            raise KeyError(key)
        return self._view(self._raw[key])

    def __iter__(self) -> Iterator[str]:
        """Yield the keys in the order of the data."""
        return iter(self._raw)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._raw)

    def __contains__(self, key: object) -> bool:
        """Return whether there is such a key, whatever its value."""
        return type(key) is str and key in self._raw


class TypedList(ListValue):
    """A list whose elements have a schema."""

    __slots__ = ("_raw", "_view")

    def __init__(self, raw: list[Any], view: View) -> None:
        self._raw = raw
        self._view = view

    def __getitem__(self, index: Any) -> Any:
        """Return the element at `index`."""
        return self._view(self._raw[index])

    def __iter__(self) -> Iterator[Value]:
        """Yield the elements, each read when it is reached."""
        return map(self._view, self._raw)

    def __len__(self) -> int:
        """Return the number of elements."""
        return len(self._raw)

    def joined(self, other: Sequence[Value]) -> Sequence[Value]:
        """Return this list followed by `other`."""
        return [*self, *other]


@final
class SetList(TypedList, EqualByRule):
    """A list with `x-kubernetes-list-type: set`: `==` ignores order, `+` is a union."""

    __slots__ = ()

    def equals(self, other: Value) -> bool:
        """Return whether both hold the same elements."""
        if not is_list(other) or len(self) != len(other):
            return False
        theirs = _Bag(other)
        return all(element in theirs for element in self)

    def joined(self, other: Sequence[Value]) -> Sequence[Value]:
        """Return the elements of both, those of this list first, none twice."""
        mine = list(self)
        held = _Bag(mine)
        return mine + [element for element in other if element not in held]


@final
class KeyedList(TypedList, EqualByRule):
    """A list with `x-kubernetes-list-type: map`: elements are told apart by their key fields."""

    __slots__ = ("_keys",)

    def __init__(self, raw: list[Any], view: View, keys: tuple[str, ...]) -> None:
        super().__init__(raw, view)
        self._keys = keys

    def _key(self, element: Value) -> tuple[Any, ...]:
        if isinstance(element, ObjectValue):
            element = element.raw
        if not isinstance(element, Mapping):
            return (type(element), id(element))
        return tuple([_hashable(element.get(key)) for key in self._keys])

    def equals(self, other: Value) -> bool:
        """Return whether both hold equal elements under equal keys."""
        if not is_list(other) or len(self) != len(other):
            return False
        theirs = {self._key(element): element for element in other}
        for element in self:
            key = self._key(element)
            if key not in theirs or not equal(element, theirs[key]):
                return False
        return True

    def joined(self, other: Sequence[Value]) -> Sequence[Value]:
        """Return this list with the elements of `other` put in by key, new ones at the end."""
        merged = {self._key(element): element for element in self}
        for element in other:
            merged[self._key(element)] = element
        return list(merged.values())


def _hashable(value: Any) -> Any:
    """Return something that is equal exactly if the JSON scalars are equal in CEL."""
    return (bool, value) if type(value) is bool else value if _is_scalar(value) else repr(value)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


class _Bag:
    """Membership by CEL equality: hashed for scalars, compared one by one for the rest."""

    __slots__ = ("_others", "_scalars")

    def __init__(self, elements: Iterable[Value]) -> None:
        self._scalars: set[Any] = set()
        self._others: list[Value] = []
        for element in elements:
            if _is_scalar(element):
                self._scalars.add(_hashable(element))
            else:
                self._others.append(element)

    def __contains__(self, element: Value) -> bool:
        if _is_scalar(element):
            return _hashable(element) in self._scalars
        charge(len(self._others))
        return any(equal(element, other) for other in self._others)


def _list_view(schema: JsonObject) -> View:
    items = schema.get("items")
    item_schema: JsonObject = items if isinstance(items, dict) else {}
    kind = schema.get("x-kubernetes-list-type")
    declared = schema.get("x-kubernetes-list-map-keys")
    keys = tuple(map(str, declared)) if isinstance(declared, list) else ()
    element: list[View] = []

    def read_list(raw: Any) -> Value:
        if type(raw) is not list:
            raise Failure(
                "invalid data, expected an array for the provided schema with type=array, "
                f"got {_json_name(raw)}"
            )
        if not element:
            element.append(view_of(item_schema))
        if kind == "set":
            return SetList(raw, element[0])
        if kind == "map":
            return KeyedList(raw, element[0], keys)
        return TypedList(raw, element[0])

    return read_list


def _plain(raw: Any) -> Value:
    return raw


def _string(raw: Any) -> Value:
    if type(raw) is not str:
        raise Failure(f"invalid data, expected string, got {_json_name(raw)}")
    return raw


def _formatted(parse: Callable[[str], Value]) -> View:
    def read(raw: Any) -> Value:
        return parse(_string(raw))

    return read


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failure("invalid byte format string: illegal base64 data") from error


def _integer(raw: Any) -> Value:
    kind = type(raw)
    if kind is float:
        if not raw.is_integer():
            raise Failure(f"invalid data, expected int, got non-integer float {raw}")
        raw = int(raw)
    elif kind is not int:
        raise Failure(f"invalid data, expected int, got {_json_name(raw)}")
    if not INT_MIN <= raw <= INT_MAX:
        raise Failure("invalid data, expected int, got a number beyond 64 bits")
    return raw


def _number(raw: Any) -> Value:
    kind = type(raw)
    if kind is float:
        return raw
    if kind is int:
        return float(raw)
    raise Failure(f"invalid data, expected float, got {_json_name(raw)}")


def _boolean(raw: Any) -> Value:
    if type(raw) is not bool:
        raise Failure(f"invalid data, expected bool, got {_json_name(raw)}")
    return raw


def _int_or_string(raw: Any) -> Value:
    if type(raw) is str or type(raw) is int:
        return raw
    if type(raw) is float and raw.is_integer():
        return int(raw)
    raise Failure(
        "invalid data, expected XIntOrString value to be either a string or integer, "
        f"got {_json_name(raw)}"
    )


_STRINGS: Final[Mapping[str, View]] = {
    "byte": _formatted(_decoded),
    "date-time": _formatted(parse_date_time),
    "date": _formatted(parse_date),
    "duration": _formatted(parse_worded_duration),
}
_SCALARS: Final[Mapping[str, View]] = {
    "boolean": _boolean,
    "number": _number,
    "integer": _integer,
}
_JSON_NAMES: Final[Mapping[type, str]] = {
    str: "string",
    int: "int64",
    float: "float64",
    bool: "bool",
    dict: "map",
    list: "array",
    type(None): "null",
}


def _json_name(raw: Any) -> str:
    return _JSON_NAMES.get(type(raw), type(raw).__name__)


def wrap(value: Any, type_: CelType | None) -> Value:
    """Return JSON data as a value that reads itself through the schema of its type.

    `type_` comes from `schema_type`, or is a list of such a type (for collections); without one the
    data stays plain. The data is not copied and must not change while the value is in use. Data
    that contradicts the schema fails when an expression reads it.
    """
    if type_ is None or value is None:
        return value
    view = type_.view
    if view is None and type_.kind is celtypes.Kind.LIST and callable(type_.params[0].view):
        return TypedList(value, type_.params[0].view)
    return view(value) if callable(view) else value
