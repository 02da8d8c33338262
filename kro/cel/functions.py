"""How libraries declare functions and macros.

A `Library` is a frozen value: functions by name, each with overloads over CEL types, and macros.
The checker picks overloads by the static types; at run time an overload is called only with
arguments whose *kinds* fit its parameters (shallowly: a `list(string)` parameter guarantees a list,
not its elements). If no overload fits the kinds at run time, the evaluator fails with
`NoSuchOverload` before any `call`. `Uint` is a kind of its own, and so is bool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, TypeAlias

from kro.cel.celtypes import CelType
from kro.cel.syntax import Call, Node

Implementation: TypeAlias = Callable[..., Any]
"""Takes the run-time values (`kro.cel.values`), receiver first; returns one or raises `Failure`."""


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature of a function.

    `params` includes the receiver as first parameter when `member` is true. Type parameters are
    written with `types.param("T")`. Name an overload as cel-go does where it has a name.
    """

    name: str
    params: tuple[CelType, ...]
    result: CelType
    call: Implementation
    member: bool = False


class LiteralProblem(Protocol):
    """How a compile-time check of literals reports: an author error pointing at `node`."""

    def __call__(self, node: Node, problem: str) -> None:
        """Report `problem` at `node`."""


LiteralCheck: TypeAlias = Callable[[Call, Callable[[Node], CelType], LiteralProblem], None]
"""Called after type checking with the call, a function from node to static type, and `report`."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function with all its overloads of one library.

    `name` is `size`, `charAt`, or a namespaced `base64.encode`; the latter is called without
    receiver. Names that start with `@` cannot be written by authors; macros use them.
    """

    name: str
    overloads: tuple[Overload, ...]
    check: LiteralCheck | None = None
    by_value: bool = False
    """Whether the kind of the value decides which overload runs, whatever was declared: data that
    is read raw (cel.md §5.1) may be of another kind than its schema says."""


class MacroContext(Protocol):
    """What a macro may ask for while it rewrites a call."""

    def fail(self, node: Node, problem: str) -> NoReturn:
        """Report a syntax error at `node` and stop."""


Expansion: TypeAlias = "Callable[[MacroContext, Call], Node | None]"
"""Rewrites the call (`target`, `args` unexpanded no more: inner macros are expanded already).

Returns None to leave the call as it is.
"""


@dataclass(frozen=True, slots=True)
class Macro:
    """A call that is rewritten while parsing.

    `namespace` asks for a target that is this very name (`cel.bind`, `runtime.newCondition`);
    otherwise `member` says whether the call needs a target. `arity` counts the arguments without
    it.
    """

    name: str
    arity: int
    expand: Expansion
    member: bool = True
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Library:
    """Functions and macros that an environment takes up together."""

    name: str
    functions: tuple[Function, ...] = ()
    macros: tuple[Macro, ...] = ()
    variables: Mapping[str, CelType] = field(default_factory=dict)
    """Names with a type that the library brings along: type names, constants."""
    constants: Mapping[str, object] = field(default_factory=dict)
    """The run-time values of those variables."""


def function(
    name: str,
    overloads: Iterable[Overload],
    *,
    check: LiteralCheck | None = None,
    by_value: bool = False,
) -> Function:
    """Return a function over `overloads`."""
    return Function(name, tuple(overloads), check, by_value)


def member(name: str, *params: CelType, result: CelType, call: Implementation) -> Overload:
    """Return an overload called as `params[0].f(params[1:])`."""
    return Overload(name, params, result, call, member=True)


def free(name: str, *params: CelType, result: CelType, call: Implementation) -> Overload:
    """Return an overload called as `f(params)`."""
    return Overload(name, params, result, call)
