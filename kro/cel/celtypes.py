"""CEL types: frozen values, compared by structure, structs by their name.

Structs are nominal and compute their fields from the schema only when a field is asked for, so a
Deployment costs nothing until an expression reads from it. Type parameters (`param("T")`) stand in
the signatures of functions; the checker replaces them at each call by fresh `VARIABLE` types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final


class Kind(Enum):
    """What a type is, leaving aside its parameters and fields."""

    DYN = "dyn"
    NULL = "null_type"
    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    DOUBLE = "double"
    STRING = "string"
    BYTES = "bytes"
    TIMESTAMP = "google.protobuf.Timestamp"
    DURATION = "google.protobuf.Duration"
    LIST = "list"
    MAP = "map"
    OPTIONAL = "optional_type"
    TYPE = "type"
    STRUCT = "struct"
    """A typed object: named fields, read by selection only."""
    OPAQUE = "opaque"
    """A type of a library: quantity, URL, IP …; told apart by name."""
    PARAM = "param"
    """A type parameter in a signature."""
    VARIABLE = "variable"
    """A type that the checker has still to find; never leaves it."""
    ERROR = "error"
    """The type of a sub-expression that was reported already; never leaves the checker."""


class CelType:
    """A CEL type. Immutable; equal by kind, name and parameters (structs and opaque ones: by name).

    Shape: `params` holds the element type of a list, key and value of a map, the content of an
    optional or a type value; empty otherwise.
    """

    __slots__ = ("_fields", "_hash", "_text", "kind", "name", "open", "params", "view")

    def __init__(
        self,
        kind: Kind,
        name: str = "",
        params: tuple[CelType, ...] = (),
        *,
        fields: Callable[[], Mapping[str, CelType]] | Mapping[str, CelType] | None = None,
        open: bool = False,
        view: object = None,
    ) -> None:
        self.kind = kind
        self.name = name or kind.value
        self.params = params
        self.open = open
        """A struct that admits fields that it does not declare; they are `dyn`."""
        self.view = view
        """How data of this type is read, for types that come from a schema; no part of equality."""
        self._fields = fields
        self._hash = hash((kind, self.name, params))
        self._text: str | None = None

    @property
    def fields(self) -> Mapping[str, CelType]:
        """The declared fields of a struct by their escaped names; empty for every other kind."""
        fields = self._fields
        if fields is None:
            return {}
        if not isinstance(fields, Mapping):
            self._fields = fields = fields()
        return fields

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same type."""
        if self is other:
            return True
        return (
            isinstance(other, CelType)
            and self._hash == other._hash
            and self.kind is other.kind
            and self.name == other.name
            and self.params == other.params
        )

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return self._hash

    def __str__(self) -> str:
        """Return the type as error messages name it: `map(string, dyn)`, `__type_schema.spec`."""
        if self._text is None:
            if self.params:
                self._text = f"{self.name}({', '.join(map(str, self.params))})"
            else:
                self._text = self.name
        return self._text

    def __repr__(self) -> str:
        """Return the same text, marked as a type."""
        return f"<CelType {self}>"


DYN: Final = CelType(Kind.DYN)
NULL: Final = CelType(Kind.NULL)
BOOL: Final = CelType(Kind.BOOL)
INT: Final = CelType(Kind.INT)
UINT: Final = CelType(Kind.UINT)
DOUBLE: Final = CelType(Kind.DOUBLE)
STRING: Final = CelType(Kind.STRING)
BYTES: Final = CelType(Kind.BYTES)
TIMESTAMP: Final = CelType(Kind.TIMESTAMP)
DURATION: Final = CelType(Kind.DURATION)
ERROR: Final = CelType(Kind.ERROR, "!error!")


def list_of(element: CelType) -> CelType:
    """Return the type of lists of `element`."""
    return CelType(Kind.LIST, "", (element,))


def map_of(key: CelType, value: CelType) -> CelType:
    """Return the type of maps from `key` to `value`."""
    return CelType(Kind.MAP, "", (key, value))


def optional_of(content: CelType) -> CelType:
    """Return the type of optionals over `content`."""
    return CelType(Kind.OPTIONAL, "", (content,))


def type_of(described: CelType) -> CelType:
    """Return the type of the type value that stands for `described`."""
    return CelType(Kind.TYPE, "", (described,))


def param(name: str) -> CelType:
    """Return a type parameter for signatures: the same name is the same type within a call."""
    return CelType(Kind.PARAM, name)


def opaque(name: str) -> CelType:
    """Return a library's own type, such as `kubernetes.Quantity`."""
    return CelType(Kind.OPAQUE, name)


def struct(
    name: str,
    fields: Callable[[], Mapping[str, CelType]] | Mapping[str, CelType],
    *,
    open: bool = False,
) -> CelType:
    """Return a typed object, nominal by `name`.

    `fields` may be a function; it is called once, when the first field is asked for.
    """
    return CelType(Kind.STRUCT, name, fields=fields, open=open)


LIST_DYN: Final = list_of(DYN)
MAP_DYN: Final = map_of(DYN, DYN)
