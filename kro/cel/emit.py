"""Writing generated code: lines, names, functions, and what the code may call.

Every line belongs to one node, so the line at which an exception passed through the generated code
says which sub-expression failed, at no cost while all goes well.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kro.cel import access, arithmetic, values
from kro.cel.budget import charge
from kro.cel.celtypes import CelType, Kind
from kro.cel.failures import Failure, NoSuchOverload
from kro.cel.functions import Overload
from kro.cel.parser import children
from kro.cel.syntax import Call, Ident, Literal, Node, Select
from kro.cel.values import NONE, Optional, Uint, Value, kind_of
from kro.cel.wrapped import Object

FILE: Final = "<cel>"
"""The file name of generated code, by which its frames are known in tracebacks."""


def _unequal(left: Value, right: Value) -> bool:
    return not values.equal(left, right)


def dispatch(overloads: tuple[Overload, ...], *arguments: Value) -> Value:
    """Call the first overload whose parameters the arguments' kinds fit."""
    for overload in overloads:
        if len(overload.params) == len(arguments) and all(map(_fits, overload.params, arguments)):
            return overload.call(*arguments)
    raise NoSuchOverload


def _fits(param: CelType, value: Value) -> bool:
    wanted = param.kind
    if wanted is Kind.DYN or wanted is Kind.PARAM:
        return True
    kind = kind_of(value)
    if kind is not wanted:
        return False
    if kind is Kind.OPAQUE or kind is Kind.STRUCT:
        return bool(value.cel_type.name == param.name)
    return True


_BUILTINS: Final = [
    "KeyError",
    "IndexError",
    "TypeError",
    "bool",
    "bytes",
    "dict",
    "float",
    "int",
    "isinstance",
    "len",
    "list",
    "str",
    "type",
]

RUNTIME: Final[Mapping[str, Any]] = {
    "__builtins__": {name: getattr(builtins, name) for name in _BUILTINS},
    "Uint": Uint,
    "Failure": Failure,
    "NoSuchOverload": NoSuchOverload,
    "Optional": Optional,
    "NONE": NONE,
    "Object": Object,
    "SCALARS": frozenset({str, int, bool}),
    "INF": math.inf,
    "add": arithmetic.add,
    "add_all": arithmetic.add_all,
    "subtract": arithmetic.subtract,
    "multiply": arithmetic.multiply,
    "divide": arithmetic.divide,
    "remainder": arithmetic.remainder,
    "negate": arithmetic.negate,
    "complement": arithmetic.complement,
    "less": arithmetic.less,
    "less_equal": arithmetic.less_equal,
    "greater": arithmetic.greater,
    "greater_equal": arithmetic.greater_equal,
    "equal": values.equal,
    "unequal": _unequal,
    "contains": access.contains,
    "index": access.index,
    "find": access.find,
    "select": access.select,
    "has": access.has,
    "variable": access.variable,
    "walk": access.walk,
    "elements": access.elements,
    "pairs": access.pairs,
    "literal_map": access.literal_map,
    "insert": access.insert,
    "content": access.content,
    "charge": charge,
    "dispatch": dispatch,
}


@dataclass(frozen=True, slots=True)
class Operand:
    """A value in generated code: a name or a constant.

    `kind` is set if the value certainly has this kind.
    """

    text: str
    kind: Kind | None = None
    constant: bool = False


@dataclass(slots=True)
class Variable:
    """A name that a macro has bound."""

    text: str
    deferred: bool = False
    """The value may be a failure, which is raised when it is read."""
    kind: Kind | None = None
    constant: bool = False


Place: TypeAlias = tuple[int, str]
"""The offset of a sub-expression, and the only variable that it reads (or an empty text)."""


@dataclass(frozen=True, slots=True)
class Program:
    """Generated code.

    Shape: `places[line]` is the place that a line works for; of a line that walks a path, that of
    every step.
    """

    run: Callable[[Mapping[str, Any]], Value]
    places: tuple[tuple[Place, ...], ...]

    def place(self, failure: BaseException) -> Place:
        """Return the place of the sub-expression that `failure` came out of."""
        found = self.places[0]
        traceback = failure.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == FILE:
                found = self.places[traceback.tb_lineno]
            traceback = traceback.tb_next
        step = failure.step if isinstance(failure, Failure) else 0
        return found[min(step, len(found) - 1)]


Line: TypeAlias = tuple[int, str, tuple[Node, ...]]
"""Indentation, text, and the node that the line works for; of a path, all its nodes."""


class Emitter:
    """Collects lines, and makes a function of them."""

    def __init__(self, operations: Mapping[str, object]) -> None:
        self._operations = operations
        self._given: dict[str, object] = {}
        self._functions: list[list[Line]] = []
        self._lines: list[Line] = []
        self._indent = 2
        self._count = 0
        self._node: Node = Literal(0, None)
        self._read: dict[str, Operand] = {}
        """Variables that were read on every way that leads here."""

    def finish(self, root: Node, result: str) -> Program:
        """Return the program whose lines were emitted, returning `result`."""
        self._line(f"return {result}")
        body = [(1, "def run(b):", (root,)), *self._lines]
        outlined = [line for function in self._functions for line in function]
        header = (0, f"def make({', '.join(self._given)}):", (root,))
        lines = [header, *outlined, *body, (1, "return run", (root,))]
        text = "\n".join([" " * indent + text for indent, text, _ in lines])
        scope: dict[str, Any] = {}
        shared: dict[str, Any] = {**RUNTIME, **self._operations} if self._operations else _SHARED
        exec(compile(text, FILE, "exec", dont_inherit=True, optimize=2), shared, scope)
        run = scope["make"](*self._given.values())
        places: dict[tuple[Node, ...], tuple[Place, ...]] = {}
        for _, _, nodes in lines:
            if nodes not in places:
                places[nodes] = tuple([(node.pos, _only_name(node)) for node in nodes])
        return Program(run, (places[lines[0][2]], *[places[nodes] for _, _, nodes in lines]))

    @contextmanager
    def _function(self, header: str) -> Iterator[None]:
        """Collect what is emitted meanwhile as a function of its own."""
        outer = self._lines, self._indent, self._read
        self._lines, self._indent, self._read = [(1, header, (self._node,))], 2, {}
        try:
            yield
        finally:
            self._functions.append(self._lines)
            self._lines, self._indent, self._read = outer

    def _line(self, text: str, *path: Node) -> None:
        self._lines.append((self._indent, text, path or (self._node,)))

    @contextmanager
    def _indented(self, header: str) -> Iterator[None]:
        self._line(header)
        self._indent += 1
        before = self._read.copy()
        try:
            yield
        finally:
            self._indent -= 1
            self._read = before

    def _fresh(self, stem: str = "t") -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def _set(self, text: str, kind: Kind | None = None) -> Operand:
        """Emit an assignment of `text` to a new name."""
        target = self._fresh()
        self._line(f"{target} = {text}")
        return Operand(target, kind)

    def _give(self, value: object, stem: str = "g") -> str:
        """Return a name under which the code finds a Python object."""
        name = self._fresh(stem)
        self._given[name] = value
        return name


_SHARED: Final[dict[str, Any]] = dict(RUNTIME)
"""The globals of all generated code; none of it writes there."""


def _only_name(root: Node) -> str:
    """Return the only variable that a reading sub-expression depends on, or an empty text."""
    if not isinstance(root, Ident | Select | Call):
        return ""
    names: set[str] = set()
    stack: list[Node] = [root]
    while stack and len(names) < 2:
        part = stack.pop()
        if type(part) is Ident:
            names.add(part.name)
        stack.extend(children(part))
    return names.pop() if len(names) == 1 else ""
