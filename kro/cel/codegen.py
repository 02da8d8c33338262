"""From a checked tree to a Python function: three-address code, one statement a line.

The types that the checker found only choose which fast path is tried first; each fast path looks at
the values it meets, and what does not fit goes through the general operation. So data that is not
what its schema says behaves as it must.

CPython allows 100 levels of indentation and 20 nested blocks: what would nest deeper becomes a
function of its own, which takes the local names that are in scope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from kro.cel.celtypes import DYN, CelType, Kind
from kro.cel.check import Checked
from kro.cel.emit import Operand, Program, Variable
from kro.cel.fieldnames import unescape_field
from kro.cel.functions import Overload
from kro.cel.operator_code import BINARY, CLASSES, OperatorCode
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
from kro.cel.values import Value, kind_of

MAX_NESTING: Final = 12
"""Blocks within one generated function; far below CPython's 20."""

Recorder = Callable[[Node, Value], None]
"""Gets each sub-expression with its value, when an evaluation is traced."""


_READ_ALIKE: Final = frozenset({Kind.STRING, Kind.INT, Kind.DOUBLE, Kind.BOOL, Kind.DYN})
"""Kinds that are the same Python value with and without schema, if that value has their class."""


class Generator(OperatorCode):
    """Generates the code of one expression."""

    def __init__(
        self,
        checked: Checked,
        constants: Mapping[str, object],
        operations: Mapping[str, object],
        record: Recorder | None = None,
    ) -> None:
        super().__init__(operations)
        self._checked = checked
        self._constants = constants
        self._record = record
        self._traced = record is not None
        self._recorder = "" if record is None else self._give(record, "r")
        self._nesting = 0
        self._loops = 0
        self._scope: dict[str, Variable] = {}

    def program(self, root: Node) -> Program:
        """Return the compiled function for the tree."""
        self._node = root
        return self.finish(root, self._value(root).text)

    def _static(self, node: Node) -> CelType:
        return self._checked.types.get(node, DYN)

    # Values

    def _value(self, node: Node) -> Operand:
        """Generate what computes `node`, and return where its value then is."""
        if self._nesting >= MAX_NESTING or self._indent > 60:
            return self._outlined(node)
        outer, self._node = self._node, node
        generate = _NODES[type(node)]
        if type(node) is Call and node.target is None:
            generate = _OPERATORS.get(node.function, generate)
        result = generate(self, node)
        if self._record is not None:
            self._line(f"{self._recorder}({self._give(node)}, {result.text})")
        self._node = outer
        return result

    def _outlined(self, node: Node) -> Operand:
        """Generate `node` as a function of its own and call it."""
        name = self._fresh("f")
        local = [variable.text for variable in self._scope.values() if not variable.constant]
        names = ["b", *dict.fromkeys(local)]
        nesting, self._nesting = self._nesting, 0
        with self._function(f"def {name}({', '.join(names)}):"):
            result = self._value(node)
            self._line(f"return {result.text}")
        self._nesting = nesting
        return self._set(f"{name}({', '.join(names)})", result.kind)

    def _fails(self, problem: str) -> Operand:
        """Generate what always fails; the tree was not checked."""
        self._line(f"raise Failure({problem!r})")
        return Operand("None")

    def _named(self, part: Node) -> Operand:
        """Generate `part` so that its text is a name: constants have no attributes, no identity."""
        operand = self._value(part)
        return self._set(operand.text, operand.kind) if operand.constant else operand

    def _message(self, node: MessageLiteral) -> Operand:
        return self._fails(f"undeclared reference to '{node.name}'")

    def _literal(self, node: Literal) -> Operand:
        value = node.value
        kind = kind_of(value)
        if value is None or type(value) in {bool, str, bytes, int}:
            return Operand(repr(value), kind, constant=True)
        if type(value) is float:
            if math.isfinite(value):
                return Operand(f"({value!r})", kind, constant=True)
            return Operand("(-INF)" if value < 0 else "INF", kind, constant=True)
        return Operand(self._give(value), kind, constant=True)

    def _ident(self, node: Ident) -> Operand:
        name = self._checked.names.get(node)
        if name is None:
            variable = self._scope[node.name]
            if variable.deferred:
                self._line(f"if isinstance({variable.text}, Failure): raise {variable.text}")
            return Operand(variable.text, variable.kind)
        return self._declared(name)

    def _declared(self, name: str) -> Operand:
        if name in self._constants:
            return Operand(self._give(self._constants[name]), constant=True)
        read = self._read.get(name)
        if read is None:
            read = self._set(f"b[{name!r}] if {name!r} in b else variable(b, {name!r})")
            self._read[name] = read
        return read

    def _select(self, node: Select) -> Operand:
        name = self._checked.names.get(node)
        if name is not None:
            return self._declared(name)
        path = self._path(node)
        if path is not None:
            return path
        return self._selected(node, self._named(node.operand))

    def _selected(self, node: Select, operand: Operand) -> Operand:
        if node.test:
            return self._set(f"has({operand.text}, {node.field!r})", Kind.BOOL)
        if node.optional:
            return self._set(f"find({operand.text}, {node.field!r})", Kind.OPTIONAL)
        text, key = operand.text, repr(node.field)
        if self._static(node.operand).kind not in {Kind.DYN, Kind.MAP}:
            return self._set(f"select({text}, {key})")
        quick = f"{text}[{key}] if type({text}) is dict and {key} in {text}"
        return self._set(f"{quick} else select({text}, {key})")

    # Paths from variables into typed data

    def _path(self, node: Select) -> Operand | None:
        """Generate the fast path for `schema.spec.name`: plain dict lookups, then one class check.

        It holds for wrapped and for plain data alike: a scalar of the expected class is read the
        same way with and without schema. Everything else goes the general way.
        """
        if self._record is not None:
            return None
        steps: list[Select] = []
        at: Node = node
        while type(at) is Select and at not in self._checked.names:
            if at.optional or (at.test and at is not node):
                return None
            steps.append(at)
            at = at.operand
        if type(at) is not Ident or not self._quick_root(self._static(at)):
            return None
        kind = self._static(node).kind
        if kind not in _READ_ALIKE:
            return None
        steps.reverse()
        if any(unescape_field(step.field) != step.field for step in steps):
            return None
        fields = [step.field for step in steps]
        base = self._value(at)
        target = self._fresh()
        lookups = "".join(f"[{field!r}]" for field in fields)
        classes = "SCALARS" if node.test or kind is Kind.DYN else f"({CLASSES[kind]},)"
        with self._indented("try:"):
            raw = f"({base.text}.raw if type({base.text}) is Object else {base.text})"
            self._line(f"{target} = {raw}{lookups}")
            self._line(f"if type({target}) not in {classes}: raise KeyError")
            if node.test:
                self._line(f"{target} = True")
        with self._indented("except (KeyError, TypeError, IndexError):"):
            if node.test:
                general = f"has(walk({base.text}, {fields[:-1]}), {fields[-1]!r})"
            else:
                general = f"walk({base.text}, {fields})"
            self._line(f"{target} = {general}", *steps)
        return Operand(target, Kind.BOOL if node.test else None)

    def _quick_root(self, type_: CelType) -> bool:
        """Return whether data of this type may be read without its schema."""
        return type_.kind is Kind.STRUCT and type_.view is not None

    # Calls

    def _call(self, node: Call) -> Operand:
        known = self._checked.calls.get(node)
        if known is None:
            return self._unbound(node)
        signatures, overloads, namespaced = known
        if node.target is not None and not namespaced:
            if node.function in {"or", "orValue"} and len(node.args) == 1:
                return self._or(node)
            arguments = [self._value(part) for part in (node.target, *node.args)]
        else:
            arguments = [self._value(part) for part in node.args]
        if signatures.name == "dyn":
            return Operand(arguments[0].text, arguments[0].kind, arguments[0].constant)
        otherwise = signatures.overloads if signatures.by_value else overloads
        return self._invoke(overloads, arguments, otherwise)

    def _unbound(self, node: Call) -> Operand:
        for argument in node.args:
            self._value(argument)
        return self._fails(f"unbound function: {node.function}")

    def _invoke(
        self,
        overloads: tuple[Overload, ...],
        arguments: list[Operand],
        otherwise: tuple[Overload, ...],
    ) -> Operand:
        """Call what the checker found; values of other kinds go to `otherwise`."""
        texts = ", ".join(argument.text for argument in arguments)
        result = _known_kind(overloads)
        guards: list[str] = []
        direct = len(overloads) == 1 and len(overloads[0].params) == len(arguments)
        if direct:
            for param, argument in zip(overloads[0].params, arguments, strict=True):
                guard = _guard(param, argument)
                if guard is None:
                    direct = False
                elif guard:
                    guards.append(guard)
        if not direct:
            table = self._give(otherwise, "o")
            return self._set(f"dispatch({table}, {texts})", result)
        call = self._give(overloads[0].call, "c")
        if not guards:
            return self._set(f"{call}({texts})", result)
        target = self._fresh()
        with self._indented(f"if {' and '.join(guards)}:"):
            self._line(f"{target} = {call}({texts})")
        with self._indented("else:"):
            table = self._give(otherwise, "o")
            self._line(f"{target} = dispatch({table}, {texts})")
        return Operand(target, result)

    # Literals of collections

    def _list(self, node: ListLiteral) -> Operand:
        if not node.optional:
            parts = [self._value(element).text for element in node.elements]
            return self._set(f"[{', '.join(parts)}]", Kind.LIST)
        target = self._set("[]", Kind.LIST)
        for position, element in enumerate(node.elements):
            operand = self._named(element)
            if position in node.optional:
                self._line(
                    f"{target.text}.extend(({operand.text}.content,) if "
                    f"content({operand.text}).has_value else ())"
                )
            else:
                self._line(f"{target.text}.append({operand.text})")
        return target

    def _map(self, node: MapLiteral) -> Operand:
        entries: list[tuple[Operand, Operand, bool]] = []
        for entry in node.entries:
            key = self._value(entry.key)
            value = (self._named if entry.optional else self._value)(entry.value)
            entries.append((key, value, entry.optional))
        if all(key.kind is Kind.STRING and not optional for key, _, optional in entries):
            texts = ", ".join(f"{key.text}: {value.text}" for key, value, _ in entries)
            return self._set("{" + texts + "}", Kind.MAP)
        pairs = self._set("[]")
        for key, value, optional in entries:
            if optional:
                self._line(
                    f"if content({value.text}).has_value: "
                    f"{pairs.text}.append(({key.text}, {value.text}.content))"
                )
            else:
                self._line(f"{pairs.text}.append(({key.text}, {value.text}))")
        return self._set(f"literal_map({pairs.text})", Kind.MAP)

    # Macros

    @contextmanager
    def _binding(self, names: Mapping[str, Variable]) -> Iterator[None]:
        outer = self._scope
        self._scope = {**outer, **names}
        try:
            yield
        finally:
            self._scope = outer

    def _bind(self, node: Bind) -> Operand:
        """Generate `cel.bind`: the value is computed first, its failure raised where it is read."""
        if type(node.init) in {Literal, ListLiteral} and not _may_fail(node.init):
            init = self._value(node.init)
            bound = Variable(init.text, kind=init.kind, constant=init.constant)
        else:
            name = self._fresh("v")
            self._nesting += 1
            with self._indented("try:"):
                init = self._value(node.init)
                self._line(f"{name} = {init.text}")
            caught = self._fresh("x")
            with self._indented(f"except Failure as {caught}:"):
                self._line(f"{name} = {caught}")
            self._nesting -= 1
            bound = Variable(name, deferred=True)
        with self._binding({node.name: bound}):
            return self._value(node.body)

    def _optional_map(self, node: OptionalMap) -> Operand:
        optional = self._named(node.target)
        if optional.kind is not Kind.OPTIONAL:
            self._line(f"if type({optional.text}) is not Optional: raise NoSuchOverload")
        target = self._fresh()
        name = self._fresh("v")
        self._nesting += 1
        with self._indented(f"if {optional.text}.has_value:"):
            self._line(f"{name} = {optional.text}.content")
            with self._binding({node.name: Variable(name)}):
                body = self._value(node.body)
            self._line(
                f"{target} = {body.text}" if node.flat else f"{target} = Optional({body.text})"
            )
        with self._indented("else:"):
            self._line(f"{target} = NONE")
        self._nesting -= 1
        return Operand(target, None if node.flat else Kind.OPTIONAL)

    def _fold(self, node: Fold) -> Operand:
        over = self._value(node.range)
        names = [self._fresh("v") for _ in node.names]
        one = len(names) == 1
        source = (
            f"elements({over.text})"
            if one and node.kind is not FoldKind.MAP
            else f"pairs({over.text})"
        )
        target = self._fresh()
        self._line(f"{target} = {_INITIAL[node.kind]}")
        failure = self._fresh("e")
        if node.kind in {FoldKind.ALL, FoldKind.EXISTS}:
            self._line(f"{failure} = None")
        bound = {name: Variable(text) for name, text in zip(node.names, names, strict=True)}
        self._nesting += 2
        self._loops += 1
        with self._indented(f"for {', '.join(names)} in {source}:"), self._binding(bound):
            if node.kind in {FoldKind.ALL, FoldKind.EXISTS}:
                self._quantified(node, target, failure)
            else:
                self._collected(node, target, names)
        self._nesting -= 2
        self._loops -= 1
        if node.kind in {FoldKind.ALL, FoldKind.EXISTS}:
            undecided = node.kind is FoldKind.ALL
            self._line(f"if {target} is {undecided} and {failure} is not None: raise {failure}")
            return Operand(target, Kind.BOOL)
        if node.kind is FoldKind.EXISTS_ONE:
            return self._set(f"{target} == 1", Kind.BOOL)
        if node.kind is FoldKind.MAP:
            return self._set(f"literal_map({target})", Kind.MAP)
        return Operand(target, Kind.LIST if node.kind is FoldKind.LIST else Kind.MAP)

    def _quantified(self, node: Fold, target: str, failure: str) -> None:
        """Generate the body of `all` and `exists`: failures wait for an element that decides."""
        decides = node.kind is FoldKind.EXISTS
        assert node.predicate is not None
        with self._indented("try:"):
            operand = self._named(node.predicate)
            with self._indented(f"if {operand.text} is {decides}:"):
                self._line(f"{target} = {decides}")
                self._line("break")
            if operand.kind is not Kind.BOOL:
                self._line(f"if {operand.text} is not {not decides}: raise NoSuchOverload")
        caught = self._fresh("x")
        with self._indented(f"except Failure as {caught}:"):
            self._line(f"if {failure} is None: {failure} = {caught}")

    def _collected(self, node: Fold, target: str, names: list[str]) -> None:
        if node.predicate is not None:
            operand = self._named(node.predicate)
            if node.kind is FoldKind.EXISTS_ONE:
                self._line(f"if {operand.text} is True: {target} += 1")
                if operand.kind is not Kind.BOOL:
                    self._line(f"elif {operand.text} is not False: raise NoSuchOverload")
                return
            if operand.kind is not Kind.BOOL:
                self._line(f"if type({operand.text}) is not bool: raise NoSuchOverload")
            self._line(f"if not {operand.text}: continue")
        assert node.body is not None
        body = self._value(node.body)
        if node.kind is FoldKind.LIST:
            self._line(f"{target}.append({body.text})")
        elif node.kind is FoldKind.MAP:
            self._line(f"{target}.append(({names[0]}, {body.text}))")
        else:
            self._line(f"{target} = insert({target}, {body.text})")


_NODES: Final[Mapping[type, Callable[[Generator, Any], Operand]]] = {
    Literal: Generator._literal,
    Ident: Generator._ident,
    Select: Generator._select,
    Call: Generator._call,
    ListLiteral: Generator._list,
    MapLiteral: Generator._map,
    MessageLiteral: Generator._message,
    Fold: Generator._fold,
    Bind: Generator._bind,
    OptionalMap: Generator._optional_map,
}
_OPERATORS: Final[Mapping[str, Callable[[Generator, Any], Operand]]] = {
    "_&&_": Generator._logic,
    "_||_": Generator._logic,
    "_?_:_": Generator._conditional,
    "!_": Generator._complement,
    "-_": Generator._negation,
    **dict.fromkeys(BINARY, Generator._binary),
}
_INITIAL: Final[Mapping[FoldKind, str]] = {
    FoldKind.ALL: "True",
    FoldKind.EXISTS: "False",
    FoldKind.EXISTS_ONE: "0",
    FoldKind.LIST: "[]",
    FoldKind.MAP: "[]",
    FoldKind.ENTRIES: "{}",
}


def _may_fail(node: Node) -> bool:
    return not (
        type(node) is Literal
        or (
            type(node) is ListLiteral
            and not node.optional
            and not any(map(_may_fail, node.elements))
        )
    )


def _guard(param: CelType, argument: Operand) -> str | None:
    """Return the test that an argument fits: empty if it surely does, None if there is none."""
    kind = param.kind
    if kind is Kind.DYN or kind is Kind.PARAM or argument.kind is kind:
        return ""
    name = CLASSES.get(kind)
    if name is not None:
        return f"type({argument.text}) is {name}"
    if kind is Kind.OPTIONAL:
        return f"type({argument.text}) is Optional"
    return None


def _known_kind(overloads: tuple[Overload, ...]) -> Kind | None:
    """Return the kind that every overload certainly returns."""
    kinds = {overload.result.kind for overload in overloads}
    kind = kinds.pop()
    return kind if not kinds and (kind in CLASSES or kind is Kind.OPTIONAL) else None
