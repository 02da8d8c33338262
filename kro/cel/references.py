"""The names that an expression uses, found before any type is known (spec: cel.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from kro.cel.parser import children
from kro.cel.syntax import (
    Ast,
    Bind,
    Call,
    Fold,
    Ident,
    Literal,
    MapLiteral,
    Node,
    OptionalMap,
    Select,
)
from kro.errors import Excerpt


@dataclass(frozen=True, slots=True)
class ConditionRead:
    """A call of `runtime.condition`."""

    subject: str | None
    """The identifier that it reads from; None if it is something else."""
    type: str | None
    """The literal type; None if it is computed."""
    place: Excerpt


@dataclass(frozen=True, slots=True)
class NewCondition:
    """A call of `runtime.newCondition`; what is no literal is None."""

    type: str | None
    status: str | None
    place: Excerpt


@dataclass(frozen=True, slots=True)
class References:
    """What an expression refers to, each in the order of first use."""

    names: tuple[str, ...]
    """Known identifiers."""
    unknown: tuple[str, ...]
    """Identifiers that nothing declares."""
    unknown_functions: tuple[str, ...]
    """Functions, called without target, that no library has."""
    uses_omit: bool
    condition_reads: tuple[ConditionRead, ...]
    """Every `runtime.condition(x, 'T')`, in the order of the text."""
    new_conditions: tuple[NewCondition, ...]
    """Every `runtime.newCondition({...})`, in the order of the text."""
    places: Mapping[str, Excerpt]
    """Where each name and unknown function is first used; under `omit()`, where that is."""


NEW_CONDITION = "@newCondition"


def references(
    ast: Ast, known: Container[str], *, is_function: Callable[[str], bool]
) -> References:
    """Return the names that `ast` uses; `known` holds those that are declared."""
    walk = _Walk(ast, known, is_function)
    walk.visit(ast.root, frozenset())
    return References(
        tuple(walk.names),
        tuple(walk.unknown),
        tuple(walk.unknown_functions),
        walk.uses_omit,
        tuple(walk.condition_reads),
        tuple(walk.new_conditions),
        walk.places,
    )


class _Walk:
    def __init__(self, ast: Ast, known: Container[str], is_function: Callable[[str], bool]) -> None:
        self._ast = ast
        self._known = known
        self._is_function = is_function
        self.names: dict[str, None] = {}
        self.unknown: dict[str, None] = {}
        self.unknown_functions: dict[str, None] = {}
        self.uses_omit = False
        self.condition_reads: list[ConditionRead] = []
        self.new_conditions: list[NewCondition] = []
        self.places: dict[str, Excerpt] = {}

    def visit(self, root: Node, bound: frozenset[str]) -> None:
        """Collect from a tree in which `bound` are the variables of macros around it."""
        stack = [(root, bound)]
        while stack:
            node, bound = stack.pop()
            parts: list[tuple[Node, frozenset[str]]]
            match node:
                case Ident():
                    self._ident(node, bound)
                    continue
                case Call():
                    parts = [(part, bound) for part in self._call(node)]
                case Fold():
                    # The range, too, is walked with the variables bound.
                    bound |= set(node.names)
                    parts = [(part, bound) for part in children(node)]
                case Bind():
                    bound |= {node.name}
                    parts = [(node.init, bound), (node.body, bound)]
                case OptionalMap():
                    parts = [(node.target, bound), (node.body, bound | {node.name})]
                case _:
                    parts = [(part, bound) for part in children(node)]
            stack.extend(reversed(parts))

    def _ident(self, node: Ident, bound: frozenset[str]) -> None:
        name = node.name
        if name in bound or name.startswith(("@__", "$$")) or name == "@result":
            return
        (self.names if name in self._known else self.unknown)[name] = None
        self._note(name, node)

    def _note(self, name: str, node: Node) -> None:
        if name not in self.places:
            self.places[name] = self._place(node)

    def _place(self, node: Node) -> Excerpt:
        return self._ast.template.excerpt(node.pos)

    def _call(self, node: Call) -> list[Node]:
        """Note what the call itself is, and return the parts to walk."""
        target = node.target
        if target is None:
            if node.function.isidentifier() and not self._is_function(node.function):
                self.unknown_functions[node.function] = None
                self._note(node.function, node)
            if node.function == "omit":
                self.uses_omit = True
                self._note("omit()", node)
            return node.args
        if node.function == NEW_CONDITION:
            self._new_condition(node)
        if type(target) is Ident and target.name == "runtime" and node.function == "condition":
            self._condition(node)
        prefix = _text(target)
        if prefix and self._is_function(f"{prefix}.{node.function}"):
            return node.args
        return [target, *node.args]

    def _condition(self, node: Call) -> None:
        if len(node.args) == 2:
            subject, type_ = node.args
            name = subject.name if type(subject) is Ident else None
            self.condition_reads.append(ConditionRead(name, _literal(type_), self._place(node)))

    def _new_condition(self, node: Call) -> None:
        literals: dict[str | None, str | None] = {}
        for argument in node.args:
            if type(argument) is MapLiteral:
                for entry in argument.entries:
                    literals[_literal(entry.key)] = _literal(entry.value)
        self.new_conditions.append(
            NewCondition(literals.get("type"), literals.get("status"), self._place(node))
        )


def _literal(node: Node) -> str | None:
    if type(node) is Literal and isinstance(node.value, str):
        return node.value
    return None


def _text(node: Node) -> str:
    """Return `a.b` for plain selections from a name, else an empty text."""
    if type(node) is Ident:
        return node.name
    if type(node) is Select and not node.test and not node.optional:
        prefix = _text(node.operand)
        return f"{prefix}.{node.field}" if prefix else ""
    return ""
