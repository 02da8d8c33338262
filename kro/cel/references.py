"""The names that an expression uses, found on the tree before any type is known (spec: cel.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Container
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
    condition_reads: tuple[tuple[str | None, str | None], ...]
    """Identifier and literal type of each `runtime.condition(x, 'T')`; None if it is something else."""
    condition_types: tuple[str, ...]
    """Literal types of `runtime.newCondition({type: 'T', ...})`."""


NEW_CONDITION = "@newCondition"


def references(
    ast: Ast, known: Container[str], *, is_function: Callable[[str], bool]
) -> References:
    """Return the names that `ast` uses; `known` holds those that are declared."""
    walk = _Walk(known, is_function)
    walk.visit(ast.root, frozenset())
    return References(
        tuple(walk.names),
        tuple(walk.unknown),
        tuple(walk.unknown_functions),
        walk.uses_omit,
        tuple(walk.condition_reads),
        tuple(walk.condition_types),
    )


class _Walk:
    def __init__(self, known: Container[str], is_function: Callable[[str], bool]) -> None:
        self._known = known
        self._is_function = is_function
        self.names: dict[str, None] = {}
        self.unknown: dict[str, None] = {}
        self.unknown_functions: dict[str, None] = {}
        self.uses_omit = False
        self.condition_reads: list[tuple[str | None, str | None]] = []
        self.condition_types: list[str] = []

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

    def _call(self, node: Call) -> list[Node]:
        """Note what the call itself is, and return the parts to walk."""
        target = node.target
        if target is None:
            if not self._is_function(node.function):
                self.unknown_functions[node.function] = None
            if node.function == "omit":
                self.uses_omit = True
            elif node.function == NEW_CONDITION:
                self._new_condition(node)
            return node.args
        if type(target) is Ident and target.name == "runtime" and node.function == "condition":
            self._condition(node)
        prefix = _text(target)
        if prefix and self._is_function(f"{prefix}.{node.function}"):
            return node.args
        return [target, *node.args]

    def _condition(self, node: Call) -> None:
        if len(node.args) == 2:
            subject, type_ = node.args
            self.condition_reads.append(
                (subject.name if type(subject) is Ident else None, _literal(type_))
            )

    def _new_condition(self, node: Call) -> None:
        for argument in node.args:
            if type(argument) is MapLiteral:
                for entry in argument.entries:
                    if _literal(entry.key) == "type" and (type_ := _literal(entry.value)) is not None:
                        self.condition_types.append(type_)


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
