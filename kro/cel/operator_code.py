"""Generated code of operators: a fast path for the expected kind, then the general operation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

from kro.cel.celtypes import CelType, Kind
from kro.cel.emit import Emitter, Operand
from kro.cel.syntax import Call, Node

CLASSES: Final[Mapping[Kind, str]] = {
    Kind.STRING: "str",
    Kind.INT: "int",
    Kind.DOUBLE: "float",
    Kind.BOOL: "bool",
    Kind.BYTES: "bytes",
    Kind.UINT: "Uint",
}
"""Kinds that exactly one Python class stands for, by its name in generated code."""

BINARY: Final[Mapping[str, str]] = {
    "_+_": "add",
    "_-_": "subtract",
    "_*_": "multiply",
    "_/_": "divide",
    "_%_": "remainder",
    "_==_": "equal",
    "_!=_": "unequal",
    "_<_": "less",
    "_<=_": "less_equal",
    "_>_": "greater",
    "_>=_": "greater_equal",
    "@in": "contains",
    "_[_]": "index",
    "_[?_]": "find",
    "@mapInsert": "insert",
}
_SYMBOLS: Final[Mapping[str, str]] = {
    "_+_": "+",
    "_-_": "-",
    "_*_": "*",
    "_<_": "<",
    "_<=_": "<=",
    "_>_": ">",
    "_>=_": ">=",
    "_==_": "==",
    "_!=_": "!=",
}
_FAST: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.INT: frozenset(_SYMBOLS),
    Kind.DOUBLE: frozenset({"_+_", "_-_", "_*_", "_==_", "_!=_"}),
    Kind.STRING: frozenset(_SYMBOLS) - {"_-_", "_*_"},
}
_BOOLEAN: Final = frozenset(
    {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_&&_", "_||_", "!_"}
)


class OperatorCode(Emitter):
    """Generates operators; what their operands are is up to the class below."""

    _loops: int
    """How many comprehensions are around the code that is being generated."""
    _nesting: int
    """How many blocks are."""
    _traced: bool
    """Whether every sub-expression must be evaluated on its own."""

    @abstractmethod
    def _value(self, node: Node) -> Operand:
        """Generate what computes `node`, and return where its value then is."""

    @abstractmethod
    def _named(self, part: Node) -> Operand:
        """Generate `part` so that its text is a name."""

    @abstractmethod
    def _static(self, node: Node) -> CelType:
        """Return the type that the checker found."""

    def _negation(self, node: Call) -> Operand:
        return self._set(f"negate({self._value(node.args[0]).text})")

    def _binary(self, node: Call) -> Operand:
        function = node.function
        if function == "_+_" and not self._traced:
            parts = self._parts(node)
            if len(parts) > 2:
                return self._joined(parts)
        left = self._value(node.args[0])
        right = self._value(node.args[1])
        general = f"{BINARY[function]}({left.text}, {right.text})"
        kind = Kind.BOOL if function in _BOOLEAN else None
        operands = {
            (operand.kind or self._static(part).kind)
            for operand, part in zip((left, right), node.args, strict=True)
        }
        shared = operands.pop() if len(operands) == 1 else None
        if shared is None or function not in _FAST.get(shared, ()):
            return self._set(general, kind)
        name = CLASSES[shared]
        guards = [
            f"type({operand.text}) is {name}" for operand in (left, right) if operand.kind is None
        ]
        target = self._fresh()
        if not guards:
            self._quick(function, shared, target, left, right)
            return Operand(target, kind or shared)
        with self._indented(f"if {' and '.join(guards)}:"):
            self._quick(function, shared, target, left, right)
        with self._indented("else:"):
            self._line(f"{target} = {general}")
        return Operand(target, kind)

    def _parts(self, node: Call) -> list[Node]:
        """Return what `a + b + c` joins if all of it is text."""
        parts: list[Node] = []
        at: Node = node
        while type(at) is Call and at.function == "_+_" and len(at.args) == 2:
            parts.append(at.args[1])
            at = at.args[0]
        parts.append(at)
        if any(self._static(part).kind is not Kind.STRING for part in parts):
            return []
        return parts[::-1]

    def _joined(self, parts: list[Node]) -> Operand:
        """Generate the text that a string template comes to."""
        operands = [self._value(part) for part in parts]
        guards = [f"type({operand.text}) is str" for operand in operands if operand.kind is None]
        texts = [operand.text for operand in operands]
        target = self._fresh()
        if not guards:
            self._line(f"{target} = {' + '.join(texts)}")
            self._line(f"if len({target}) > 256: charge(len({target}) >> 4)")
            return Operand(target, Kind.STRING)
        with self._indented(f"if {' and '.join(guards)}:"):
            self._line(f"{target} = {' + '.join(texts)}")
            self._line(f"if len({target}) > 256: charge(len({target}) >> 4)")
        with self._indented("else:"):
            self._line(f"{target} = add_all({', '.join(texts)})")
        return Operand(target)

    def _quick(self, function: str, kind: Kind, target: str, left: Operand, right: Operand) -> None:
        """Generate an operator on two values of the Python class of `kind`."""
        compares = function not in {"_+_", "_-_", "_*_"}
        if (
            kind is Kind.STRING
            and compares
            and self._loops
            and not (left.constant or right.constant)
        ):
            self._line(f"if len({left.text}) > 1024: charge(len({left.text}) >> 6)")
        self._line(f"{target} = {left.text} {_SYMBOLS[function]} {right.text}")
        if compares:
            return
        if kind is Kind.INT:
            within = f"-9223372036854775808 <= {target} <= 9223372036854775807"
            self._line(f"if not {within}: {BINARY[function]}({left.text}, {right.text})")
        elif kind is Kind.STRING:
            self._line(f"if len({target}) > 256: charge(len({target}) >> 4)")

    def _complement(self, node: Call) -> Operand:
        operand = self._value(node.args[0])
        if operand.kind is Kind.BOOL:
            return self._set(f"not {operand.text}", Kind.BOOL)
        return self._set(f"complement({operand.text})", Kind.BOOL)

    def _conditional(self, node: Call) -> Operand:
        condition = self._named(node.args[0])
        target = self._fresh()
        kinds: list[Kind | None] = []
        self._nesting += 1
        for header, branch in ((f"if {condition.text} is True:", 1), ("else:", 2)):
            if branch == 2 and condition.kind is not Kind.BOOL:
                with self._indented(f"elif {condition.text} is not False:"):
                    self._line("raise NoSuchOverload")
            with self._indented(header):
                chosen = self._value(node.args[branch])
                self._line(f"{target} = {chosen.text}")
                kinds.append(chosen.kind)
        self._nesting -= 1
        return Operand(target, kinds[0] if kinds[0] is kinds[1] else None)

    def _logic(self, node: Call) -> Operand:
        """Generate `a && b && …`: a false operand decides, else the first failure is raised."""
        decides = node.function == "_||_"
        target = self._fresh()
        failure = self._fresh("e")
        self._line(f"{target} = {failure} = None")
        self._nesting += 1
        for position, part in enumerate(node.args):
            if position:
                self._line(f"if {target} is None:")
                self._indent += 1
            with self._indented("try:"):
                operand = self._named(part)
                self._line(f"if {operand.text} is {decides}: {target} = {decides}")
                if operand.kind is not Kind.BOOL:
                    self._line(f"elif {operand.text} is not {not decides}: raise NoSuchOverload")
            caught = self._fresh("x")
            with self._indented(f"except Failure as {caught}:"):
                self._line(f"if {failure} is None: {failure} = {caught}")
            if position:
                self._indent -= 1
        self._nesting -= 1
        with self._indented(f"if {target} is None:"):
            self._line(f"if {failure} is not None: raise {failure}")
            self._line(f"{target} = {not decides}")
        return Operand(target, Kind.BOOL)

    def _or(self, node: Call) -> Operand:
        """Generate `a.orValue(b)`, `a.or(b)`: `b` is evaluated only if `a` has no content."""
        assert node.target is not None
        optional = self._named(node.target)
        target = self._fresh()
        self._nesting += 1
        if optional.kind is not Kind.OPTIONAL:
            # What is no optional counts as content.
            self._line(f"if type({optional.text}) is not Optional: {target} = {optional.text}")
        test = "if" if optional.kind is Kind.OPTIONAL else "elif"
        with self._indented(f"{test} {optional.text}.has_value:"):
            content = optional.text if node.function == "or" else f"{optional.text}.content"
            self._line(f"{target} = {content}")
        with self._indented("else:"):
            other = self._named(node.args[0])
            if node.function == "or" and other.kind is not Kind.OPTIONAL:
                self._line(f"if type({other.text}) is not Optional: raise NoSuchOverload")
            self._line(f"{target} = {other.text}")
        self._nesting -= 1
        return Operand(target)
