"""The type checker: overloads by unification, fields against schemas, all errors at once.

Each node is visited once; a node that was reported has the type `ERROR`, which fits everything, so
that one mistake is one error. Results are kept by node and finished at the end, when all variables
are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Protocol

from kro.cel.celtypes import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    UINT,
    CelType,
    Kind,
    list_of,
    map_of,
    optional_of,
)
from kro.cel.fieldnames import KEYWORDS
from kro.cel.functions import LiteralCheck, Overload
from kro.cel.operators import CROSS_TYPE_COMPARISONS
from kro.cel.syntax import (
    Bind,
    Call,
    Fold,
    FoldKind,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    MessageLiteral,
    Node,
    OptionalMap,
    Select,
)
from kro.cel.unify import Substitution, finished, instantiate, most_general, parameters
from kro.cel.values import Uint


@dataclass(frozen=True, slots=True)
class Signatures:
    """All that an environment knows about one function name."""

    name: str
    overloads: tuple[Overload, ...]
    checks: tuple[LiteralCheck, ...] = ()
    by_value: bool = False


class Names(Protocol):
    """What the checker asks the environment."""

    @property
    def container(self) -> str:
        """The namespace that names are looked up in first; empty in kro's environment."""

    def variable(self, name: str) -> CelType | None:
        """Return the type of a declared variable."""

    def signatures(self, name: str) -> Signatures | None:
        """Return the overloads of a function."""

    def variables(self) -> Iterable[str]:
        """Return the names of all declared variables."""

    def functions(self) -> Iterable[str]:
        """Return the names of all functions."""

    @property
    def unchecked(self) -> bool:
        """Whether nothing is reported: all is dyn then, and fails when it is evaluated."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One type error."""

    node: Node
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checker found: types by node, names it resolved, calls with their candidates."""

    types: Mapping[Node, CelType]
    names: Mapping[Node, str]
    """Selections and identifiers that stand for a (qualified) variable, by its full name."""
    calls: Mapping[Node, tuple[Signatures, tuple[Overload, ...], bool]]
    """A call's function, the overloads that may apply, and whether its target is a namespace."""
    problems: tuple[Problem, ...]


_CROSS_TYPE: Final[Mapping[str, tuple[Overload, ...]]] = {
    function.name: function.overloads for function in CROSS_TYPE_COMPARISONS.functions
}
_YAML_BOOLEANS: Final[Mapping[str, str]] = {
    "on": "true",
    "yes": "true",
    "y": "true",
    "off": "false",
    "no": "false",
    "n": "false",
}
"""Words that YAML 1.1, and with it kubectl, takes for booleans, also as names of fields."""
_LITERALS: Final[Mapping[type, CelType]] = {
    type(None): NULL,
    bool: BOOL,
    int: INT,
    Uint: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
}


class Checker:
    """Checks one expression."""

    def __init__(self, names: Names) -> None:
        self._environment = names
        self._substitution = Substitution()
        self._types: dict[Node, CelType] = {}
        self._names: dict[Node, str] = {}
        self._calls: dict[Node, tuple[Signatures, tuple[Overload, ...], bool]] = {}
        self._problems: list[Problem] = []
        self._scope: dict[str, CelType] = {}
        self._widened = False
        """Whether a macro has bound a name so far.

        From there on cel-go's checker admits orders between kinds of numbers, which it refuses
        before; definitions that it accepts must stay valid.
        """

    def check(self, root: Node) -> Checked:
        """Return types and problems of the whole tree."""
        self._check(root)
        types = {node: finished(type_, self._substitution) for node, type_ in self._types.items()}
        if not self._problems:
            for call, (signatures, _, _) in self._calls.items():
                for check in signatures.checks:
                    check(call, types.__getitem__, self._report)  # type: ignore[arg-type]
        problems = sorted(self._problems, key=lambda problem: problem.node.pos)
        return Checked(types, self._names, self._calls, tuple(problems))

    def _check(self, node: Node) -> CelType:
        self._types[node] = type_ = _VISITS[type(node)](self, node)
        return type_

    def _known(self, type_: CelType) -> CelType:
        return self._substitution.apply(type_)

    def _report(self, node: Node, problem: str, hint: str = "") -> CelType:
        if self._environment.unchecked:
            return DYN
        self._problems.append(Problem(node, problem, hint))
        return ERROR

    @contextmanager
    def _binding(self, names: Mapping[str, CelType]) -> Iterator[None]:
        self._widened = True
        outer = self._scope
        self._scope = {**outer, **names}
        try:
            yield
        finally:
            self._scope = outer

    def _literal(self, node: Literal) -> CelType:
        return _LITERALS[type(node.value)]

    # Names

    def _candidates(self, name: str) -> Iterator[str]:
        """Yield the full names that `name` may stand for, innermost namespace first."""
        container = self._environment.container
        if name.startswith("."):
            yield name[1:]
            return
        while container:
            yield f"{container}.{name}"
            container = container.rpartition(".")[0]
        yield name

    def _variable(self, name: str) -> tuple[str, CelType] | None:
        for candidate in self._candidates(name):
            type_ = self._environment.variable(candidate)
            if type_ is not None:
                return candidate, type_
        return None

    def _ident(self, node: Ident) -> CelType:
        if not node.absolute and node.name in self._scope:
            return self._scope[node.name]
        found = self._variable(f".{node.name}" if node.absolute else node.name)
        if found is not None:
            self._names[node], type_ = found
            return type_
        self._names[node] = node.name
        problem = f"undeclared reference to '{node.name}'"
        if node.name in _TYPE_NAMES:
            problem += " (reference to undefined type: type names are no values here)"
        return self._report(
            node,
            problem,
            _did_you_mean(node.name, [*self._scope, *self._environment.variables()]),
        )

    def _qualified(self, node: Node) -> str | None:
        """Return `a.b.c` for plain selections from a name that no macro has bound."""
        parts: list[str] = []
        while type(node) is Select and not node.optional and not node.test:
            parts.append(node.field)
            node = node.operand
        if type(node) is not Ident or (node.name in self._scope and not node.absolute):
            return None
        parts.append(f".{node.name}" if node.absolute else node.name)
        return ".".join(reversed(parts))

    def _select(self, node: Select) -> CelType:
        if not node.test and not node.optional:
            qualified = self._qualified(node)
            if qualified is not None and (found := self._variable(qualified)) is not None:
                self._names[node], type_ = found
                return type_
        operand = self._known(self._check(node.operand))
        optional = node.optional
        if operand.kind is Kind.OPTIONAL:
            optional = True
            operand = self._known(operand.params[0])
        type_ = self._field(node, operand)
        if type_ is ERROR:
            return ERROR
        if node.test:
            return BOOL
        return optional_of(type_) if optional else type_

    def _field(self, node: Select, operand: CelType) -> CelType:
        kind = operand.kind
        if kind is Kind.MAP:
            return operand.params[1]
        if kind is Kind.STRUCT:
            name = f"__{node.field}__" if node.field in KEYWORDS else node.field
            found = operand.fields.get(name)
            if found is not None:
                return found
            if operand.open:
                return DYN
            return self._undefined(node, operand)
        if kind is Kind.VARIABLE:
            self._substitution.assignable(DYN, operand)
            return DYN
        if kind is Kind.DYN:
            return DYN
        if kind is Kind.ERROR:
            return ERROR
        return self._report(node, f"type '{self._show(operand)}' does not support field selection")

    def _undefined(self, node: Select, operand: CelType) -> CelType:
        hint = _did_you_mean(node.field, operand.fields)
        if not hint and not operand.fields:
            hint = f"{operand} declares no fields"
        boolean = _YAML_BOOLEANS.get(node.field.lower())
        if f"__{boolean}__" in operand.fields:
            hint = f'YAML reads {node.field} as {boolean}: declare it as "{node.field}"'
        return self._report(node, f"undefined field '{node.field}'", hint)

    # Calls

    def _call(self, node: Call) -> CelType:
        function = node.function
        if node.target is None:
            if function == "_&&_" or function == "_||_":
                return self._logic(node)
            arguments = [self._check(argument) for argument in node.args]
            for candidate in self._candidates(function):
                signatures = self._environment.signatures(candidate)
                if signatures is not None:
                    return self._resolve(node, signatures, None, arguments, namespaced=False)
            return self._unknown_function(node)
        qualified = self._qualified(node.target)
        if qualified is not None:
            for candidate in self._candidates(f"{qualified}.{function}"):
                signatures = self._environment.signatures(candidate)
                if signatures is not None:
                    arguments = [self._check(argument) for argument in node.args]
                    return self._resolve(node, signatures, None, arguments, namespaced=True)
        target = self._check(node.target)
        arguments = [self._check(argument) for argument in node.args]
        signatures = self._environment.signatures(function)
        if signatures is None:
            return self._unknown_function(node)
        return self._resolve(node, signatures, target, arguments, namespaced=False)

    def _unknown_function(self, node: Call) -> CelType:
        known = self._environment.functions() if node.function.isidentifier() else ()
        return self._report(
            node,
            f"undeclared reference to '{node.function}'",
            _did_you_mean(node.function, known),
        )

    def _logic(self, node: Call) -> CelType:
        for argument in node.args:
            type_ = self._check(argument)
            if not self._substitution.assignable(type_, BOOL):
                self._mismatch(argument, node.function, (BOOL, type_))
        return BOOL

    def _resolve(
        self,
        node: Call,
        signatures: Signatures,
        target: CelType | None,
        arguments: Sequence[CelType],
        *,
        namespaced: bool,
    ) -> CelType:
        got = arguments if target is None else (target, *arguments)
        result: CelType | None = None
        fitting: list[Overload] = []
        overloads = signatures.overloads
        if self._widened:
            overloads += _CROSS_TYPE.get(signatures.name, ())
        for overload in overloads:
            if overload.member is (target is None) or len(overload.params) != len(got):
                continue
            params, declared = overload.params, overload.result
            free = parameters((*params, declared))
            if free:
                variables = {name: self._substitution.fresh() for name in sorted(free)}
                params = tuple([instantiate(param, variables) for param in params])
                declared = instantiate(declared, variables)
            if not self._substitution.all_assignable(got, params):
                continue
            fitting.append(overload)
            found = self._known(declared)
            if result is None:
                result = found
            elif result.kind is not Kind.DYN and found != result:
                result = DYN
        if self._environment.unchecked:
            fitting = list(overloads)
        elif result is None:
            self._mismatch(node, node.function, got, member=target is not None)
            return ERROR
        if node.function in {"_[_]", "_[?_]"}:
            self._key(node.args[1])
        self._calls[node] = (signatures, tuple(fitting), namespaced)
        return DYN if result is None else result

    def _key(self, node: Node) -> None:
        """Report a literal key that nothing can have."""
        if type(node) is Literal and (node.value is None or type(node.value) is bytes):
            self._report(node, f"invalid qualifier type: {_LITERALS[type(node.value)]}")

    def _mismatch(
        self, node: Node, function: str, got: Sequence[CelType], *, member: bool = False
    ) -> None:
        shown = [self._show(type_) for type_ in got]
        applied = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
        self._report(
            node,
            f"found no matching overload for '{function}' applied to '{applied}'",
            _advice(function, shown),
        )

    def _show(self, type_: CelType) -> str:
        return str(finished(type_, self._substitution))

    # Literals of collections

    def _join(self, types: Sequence[CelType]) -> CelType:
        """Return the element type of a literal: the common type, or dyn."""
        if not types:
            return self._substitution.fresh()
        joined = types[0]
        for type_ in types[1:]:
            if joined.kind is Kind.DYN:
                break
            if self._substitution.assignable(joined, type_):
                joined = most_general(joined, type_)
            else:
                joined = DYN
        return joined

    def _content(self, node: Node) -> CelType:
        """Return the content type of an element written with `?`."""
        type_ = self._known(self._check(node))
        if type_.kind is Kind.OPTIONAL:
            return type_.params[0]
        if type_.kind not in {Kind.DYN, Kind.ERROR}:
            self._report(
                node,
                f"expected type '{self._show(optional_of(type_))}' but found '{self._show(type_)}'",
            )
        return type_

    def _list(self, node: ListLiteral) -> CelType:
        return list_of(
            self._join(
                [
                    self._content(element) if index in node.optional else self._check(element)
                    for index, element in enumerate(node.elements)
                ]
            )
        )

    def _map(self, node: MapLiteral) -> CelType:
        keys: list[CelType] = []
        values: list[CelType] = []
        for entry in node.entries:
            keys.append(self._check(entry.key))
            value = entry.value
            values.append(self._content(value) if entry.optional else self._check(value))
        return map_of(self._join(keys), self._join(values))

    def _message(self, node: MessageLiteral) -> CelType:
        for entry in node.entries:
            self._check(entry.value)
        return self._report(node, f"undeclared reference to '{node.name}'")

    # Macros

    def _fold(self, node: Fold) -> CelType:
        over = self._known(self._check(node.range))
        first, second = self._elements(node, over)
        names = (first, second) if len(node.names) == 2 else (second,)
        if len(node.names) == 1 and over.kind is Kind.MAP:
            names = (first,)
        with self._binding(dict(zip(node.names, names, strict=True))):
            predicate = None if node.predicate is None else self._check(node.predicate)
            body = None if node.body is None else self._check(node.body)
        result = self._fold_result(node.kind, first, body)
        if predicate is not None and not self._substitution.assignable(predicate, BOOL):
            assert node.predicate is not None
            if node.kind is FoldKind.ALL or node.kind is FoldKind.EXISTS:
                operator = "_&&_" if node.kind is FoldKind.ALL else "_||_"
                self._mismatch(node.predicate, operator, (BOOL, predicate))
            else:
                accumulated = INT if node.kind is FoldKind.EXISTS_ONE else result
                self._mismatch(node.predicate, "_?_:_", (predicate, accumulated, accumulated))
        if node.kind is FoldKind.ENTRIES and body is not None:
            empty = map_of(self._substitution.fresh(), self._substitution.fresh())
            if not self._substitution.assignable(body, empty):
                assert node.body is not None
                self._mismatch(node.body, "cel.@mapInsert", (map_of(DYN, DYN), body))
                return ERROR
            return empty if self._known(body).kind is not Kind.MAP else body
        return result

    def _elements(self, node: Fold, over: CelType) -> tuple[CelType, CelType]:
        """Return the types of index or key, and of element or value."""
        kind = over.kind
        if kind is Kind.LIST:
            return INT, over.params[0]
        if kind is Kind.MAP:
            return over.params[0], over.params[1]
        if kind is Kind.VARIABLE:
            self._substitution.assignable(DYN, over)
        elif kind not in {Kind.DYN, Kind.ERROR}:
            self._report(
                node.range,
                f"expression of type '{self._show(over)}' cannot be range of a comprehension "
                "(must be list, map, or dynamic)",
            )
            return ERROR, ERROR
        return DYN, DYN

    def _fold_result(self, kind: FoldKind, key: CelType, body: CelType | None) -> CelType:
        if kind is FoldKind.LIST:
            assert body is not None
            return list_of(body)
        if kind is FoldKind.MAP:
            assert body is not None
            return map_of(key, body)
        return MAP_ERROR if kind is FoldKind.ENTRIES else BOOL

    def _bind(self, node: Bind) -> CelType:
        init = self._check(node.init)
        with self._binding({node.name: init}):
            return self._check(node.body)

    def _optional_map(self, node: OptionalMap) -> CelType:
        target = self._known(self._check(node.target))
        content = target.params[0] if target.kind is Kind.OPTIONAL else self._substitution.fresh()
        if target.kind not in {Kind.OPTIONAL, Kind.DYN, Kind.NULL, Kind.ERROR}:
            self._mismatch(node, "hasValue", (target,), member=True)
            content = ERROR
        with self._binding({node.name: content}):
            body = self._check(node.body)
        if not node.flat:
            return optional_of(body)
        none = optional_of(self._substitution.fresh())
        if not self._substitution.assignable(body, none):
            self._mismatch(node.body, "_?_:_", (BOOL, body, none))
            return ERROR
        return none


_VISITS: Final[Mapping[type, Callable[[Checker, Any], CelType]]] = {
    Literal: Checker._literal,
    Ident: Checker._ident,
    Select: Checker._select,
    Call: Checker._call,
    ListLiteral: Checker._list,
    MapLiteral: Checker._map,
    MessageLiteral: Checker._message,
    Fold: Checker._fold,
    Bind: Checker._bind,
    OptionalMap: Checker._optional_map,
}
"""One table for all checkers: bound methods would make each of them a reference cycle."""
MAP_ERROR: Final = map_of(ERROR, ERROR)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, [one for one in known if one != name], n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def _advice(function: str, got: Sequence[str]) -> str:
    """Return what to write instead, for the mistakes that people make most."""
    if function == "_+_" and "string" in got:
        other = got[1] if got[0] == "string" else got[0]
        if other in {"int", "uint", "double", "bool", "bytes"}:
            return f"convert with string(...): {other} is not joined to a string by itself"
        if other.startswith("optional_type("):
            return "give a default with .orValue(...)"
    if any(type_.startswith("optional_type(") for type_ in got) and function in _COMPARED:
        return "give a default with .orValue(...)"
    if function in _COMPARED | {"_+_", "_-_", "_*_", "_/_"} and {"int", "double"} <= set(got):
        return "convert one side with double(...) or int(...)"
    if (
        function in _JOINING
        and any("__type_" in type_ for type_ in got)
        and not _SCALARS & set(got)
    ):
        return "an object's type is its own: put one side into dyn(...)"
    return ""


_TYPE_NAMES: Final = frozenset(
    {"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"}
)
_SCALARS: Final = frozenset({"bytes", "double", "int", "string", "uint"})
_JOINING: Final = frozenset({"_+_", "_==_", "_!=_", "_?_:_", "or", "orValue"})
"""Functions whose operands have one type, which an object shares with no other and no literal."""
_COMPARED: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
