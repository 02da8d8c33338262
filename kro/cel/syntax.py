"""The syntax tree: what the parser returns and macros rewrite.

Nodes are compared by identity, so that a pass can keep what it finds in a dict by node. `pos` is
the offset, in code points, of the character that an error about this node points at. Macros are
expanded while parsing; the tree holds `Fold`, `Bind` and `OptionalMap` in their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kro.cel.source import Template


@dataclass(eq=False, slots=True)
class Node:
    """A sub-expression; the classes below are the whole union."""

    pos: int


@dataclass(eq=False, slots=True)
class Literal(Node):
    """A constant: `None`, `bool`, `int`, `Uint`, `float`, `str` or `bytes`."""

    value: object


@dataclass(eq=False, slots=True)
class Ident(Node):
    """A name. A leading dot (`.name`) keeps it from being resolved in a container."""

    name: str
    absolute: bool = False


@dataclass(eq=False, slots=True)
class Select(Node):
    """`operand.field`; `test` for `has(operand.field)`, `optional` for `operand.?field`."""

    operand: Node
    field: str
    test: bool = False
    optional: bool = False


@dataclass(eq=False, slots=True)
class Call(Node):
    """A function, operator or member call.

    Shape: operators have their cel-go names: `_+_ _-_ _*_ _/_ _%_ -_ !_ _==_ _!=_ _<_ _<=_ _>_
    _>=_ @in _&&_ _||_ _?_:_ _[_] _[?_]`. `target` is set for `target.function(args)`.
    """

    function: str
    args: list[Node]
    target: Node | None = None


@dataclass(eq=False, slots=True)
class ListLiteral(Node):
    """`[a, ?b]`; `optional` holds the indices of the elements written with `?`."""

    elements: list[Node]
    optional: frozenset[int] = frozenset()


@dataclass(eq=False, slots=True)
class Entry(Node):
    """One `key: value` of a map or message literal; `optional` for `?key: value`."""

    key: Node
    value: Node
    optional: bool = False


@dataclass(eq=False, slots=True)
class MapLiteral(Node):
    """`{k: v, ?k: v}`."""

    entries: list[Entry]


@dataclass(eq=False, slots=True)
class MessageLiteral(Node):
    """`pkg.Message{field: value}`; the keys are string literals. kro's environment knows none."""

    name: str
    entries: list[Entry]


class FoldKind(Enum):
    """What a comprehension builds."""

    ALL = "all"
    EXISTS = "exists"
    EXISTS_ONE = "exists_one"
    LIST = "list"
    """`map`, `filter`, `transformList`: `body` of every element that `predicate` lets pass."""
    MAP = "map"
    """`transformMap`: as LIST, under the key or index."""
    ENTRIES = "entries"
    """`transformMapEntry`: the entries of the maps that `body` gives, together."""


@dataclass(eq=False, slots=True)
class Fold(Node):
    """A comprehension over `range`.

    Shape: one name in `names` stands for elements or map keys, two for index and element or key and
    value. `predicate` is the condition of ALL, EXISTS and EXISTS_ONE (which have no `body`), and
    the optional filter of the others.
    """

    kind: FoldKind
    range: Node
    names: tuple[str, ...]
    predicate: Node | None
    body: Node | None
    macro: str
    """The macro's name as written, for messages."""


@dataclass(eq=False, slots=True)
class Bind(Node):
    """`cel.bind(name, init, body)`. `init` is evaluated at most once, when `name` is first read."""

    name: str
    init: Node
    body: Node


@dataclass(eq=False, slots=True)
class OptionalMap(Node):
    """`target.optMap(name, body)`; with `flat`, `target.optFlatMap(name, body)`."""

    target: Node
    name: str
    body: Node
    flat: bool


@dataclass(frozen=True, slots=True)
class Ast:
    """A parsed expression, the text that its positions refer to, and the height of the tree."""

    root: Node
    template: Template
    depth: int
