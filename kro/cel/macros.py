"""The macros of the language: `has`, comprehensions, `cel.bind`, `optMap` and `cel.block`."""

from __future__ import annotations

from typing import Final

from kro.cel.functions import Expansion, Library, Macro, MacroContext
from kro.cel.syntax import (
    Bind,
    Call,
    Fold,
    FoldKind,
    Ident,
    ListLiteral,
    Literal,
    Node,
    OptionalMap,
    Select,
)


def _name(context: MacroContext, node: Node) -> str:
    """Return the identifier that a macro takes as variable."""
    if type(node) is not Ident or node.absolute:
        context.fail(node, "argument is not an identifier")
    return node.name


def _has(context: MacroContext, call: Call) -> Node:
    selection = call.args[0]
    if type(selection) is not Select or selection.test or selection.optional:
        context.fail(selection, "invalid argument to has() macro: select a field, has(a.b)")
    return Select(selection.pos, selection.operand, selection.field, True)


def _fold(kind: FoldKind, variables: int) -> Expansion:
    """Return the expansion for a comprehension that takes variables, [filter,] and a body."""

    def expand(context: MacroContext, call: Call) -> Node:
        target = call.target
        assert target is not None
        names = tuple(_name(context, node) for node in call.args[:variables])
        if len(set(names)) < variables:
            context.fail(call.args[1], f"duplicate variable name: {names[0]}")
        rest = call.args[variables:]
        predicate: Node | None = rest[0]
        body: Node | None = rest[-1]
        if kind in {FoldKind.ALL, FoldKind.EXISTS, FoldKind.EXISTS_ONE}:
            body = None
        elif len(rest) == 1:
            predicate = None
        return Fold(call.pos, kind, target, names, predicate, body, call.function)

    return expand


def _filter(context: MacroContext, call: Call) -> Node:
    assert call.target is not None
    name = _name(context, call.args[0])
    element = Ident(call.args[0].pos, name)
    return Fold(call.pos, FoldKind.LIST, call.target, (name,), call.args[1], element, call.function)


def _bind(context: MacroContext, call: Call) -> Node:
    variable, init, body = call.args
    return Bind(call.pos, _name(context, variable), init, body)


def _optional_map(flat: bool) -> Expansion:
    def expand(context: MacroContext, call: Call) -> Node:
        assert call.target is not None
        return OptionalMap(call.pos, call.target, _name(context, call.args[0]), call.args[1], flat)

    return expand


def _two(name: str, kind: FoldKind, arity: int) -> Macro:
    return Macro(name, arity, _fold(kind, 2))


HAS: Final = Macro("has", 1, _has, member=False)

MACROS: Final = Library(
    "macros",
    macros=(
        HAS,
        Macro("all", 2, _fold(FoldKind.ALL, 1)),
        Macro("exists", 2, _fold(FoldKind.EXISTS, 1)),
        Macro("exists_one", 2, _fold(FoldKind.EXISTS_ONE, 1)),
        Macro("map", 2, _fold(FoldKind.LIST, 1)),
        Macro("map", 3, _fold(FoldKind.LIST, 1)),
        Macro("filter", 2, _filter),
        _two("all", FoldKind.ALL, 3),
        _two("exists", FoldKind.EXISTS, 3),
        _two("exists_one", FoldKind.EXISTS_ONE, 3),
        _two("existsOne", FoldKind.EXISTS_ONE, 3),
        _two("transformList", FoldKind.LIST, 3),
        _two("transformList", FoldKind.LIST, 4),
        _two("transformMap", FoldKind.MAP, 3),
        _two("transformMap", FoldKind.MAP, 4),
        _two("transformMapEntry", FoldKind.ENTRIES, 3),
        _two("transformMapEntry", FoldKind.ENTRIES, 4),
        Macro("bind", 3, _bind, namespace="cel"),
        Macro("optMap", 2, _optional_map(flat=False)),
        Macro("optFlatMap", 2, _optional_map(flat=True)),
    ),
)
"""What kro's environment has (spec: cel.md §2.3), the macros of single libraries aside."""


def _block(context: MacroContext, call: Call) -> Node:
    """Bind each element of the list to `@index<n>`; later ones may use earlier ones."""
    bindings = call.args[0]
    bound: Node = call.args[1]
    if type(bindings) is not ListLiteral:
        context.fail(bindings, "cel.block requires a list literal as first argument")
    for index in reversed(range(len(bindings.elements))):
        element = bindings.elements[index]
        if index in bindings.optional:
            context.fail(element, "cel.block requires elements without '?'")
        bound = Bind(element.pos, f"@index{index}", element, bound)
    return bound


def _numbered(prefix: str) -> Expansion:
    def expand(context: MacroContext, call: Call) -> Node:
        numbers: list[str] = []
        for argument in call.args:
            if type(argument) is not Literal or type(argument.value) is not int:
                context.fail(argument, f"cel.{call.function} requires non-negative int literals")
            numbers.append(str(argument.value))
        return Ident(call.pos, prefix + ":".join(numbers))

    return expand


BLOCK: Final = Library(
    "block",
    macros=(
        Macro("block", 2, _block, namespace="cel"),
        Macro("index", 1, _numbered("@index"), namespace="cel"),
        Macro("iterVar", 2, _numbered("@it:"), namespace="cel"),
        Macro("accuVar", 2, _numbered("@ac:"), namespace="cel"),
    ),
)
"""`cel.block`, which compilers write and people do not: only the conformance tests use it."""
