"""A compiled expression: evaluate it with values, trace it, ask for its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from kro.cel import budget
from kro.cel.check import Checked
from kro.cel.codegen import FILE, Generator, Program
from kro.cel.failures import BudgetExceeded, DataMissing, Failure
from kro.cel.library.conditions import Condition
from kro.cel.output import to_native
from kro.cel.parser import children
from kro.cel.syntax import Ast, Ident, Node
from kro.cel.types import CelType
from kro.cel.values import Omit, Value, is_list, type_name
from kro.errors import EvaluationError, Excerpt
from kro.refs import JsonValue

NativeValue: TypeAlias = "JsonValue | Omit"
"""What leaves CEL: JSON, or the sentinel `OMIT`, alone or inside lists and maps."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The data that the expression needs is not there yet; a later evaluation may succeed."""

    problem: str
    """For people: `no such key: ip`."""
    on: str
    """The variable that the failing part reads; empty if it reads none, or several."""
    excerpt: Excerpt
    """The sub-expression that found nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """The value of a sub-expression in one evaluation."""

    source: str
    start: int
    value: Any
    """The native value, or a text if the value has no native form."""
    failure: str
    """Why there is no value; empty if there is one."""


class Expression:
    """A checked expression, compiled once. Immutable; evaluations may run in parallel threads."""

    __slots__ = ("_checked", "_constants", "_operations", "_program", "_run", "ast", "type")

    def __init__(
        self,
        ast: Ast,
        checked: Checked,
        constants: Mapping[str, object],
        operations: Mapping[str, object],
    ) -> None:
        self.ast = ast
        self.type: CelType = checked.types[ast.root]
        self._checked = checked
        self._constants = constants
        self._operations = operations
        generator = Generator(checked, constants, operations)
        self._program: Program = generator.program(ast.root)
        self._run = self._program.run

    @property
    def source(self) -> str:
        """The text as the author wrote it."""
        return self.ast.template.text

    def evaluate(self, bindings: Mapping[str, Any]) -> NativeValue | Pending:
        """Return the native value, or that data is missing.

        `bindings` are plain JSON or values from `wrap`, by variable. The result may share parts with
        them; neither may be changed.

        Raises:
            EvaluationError: the expression failed in a way that waiting does not heal.
        """
        return self._evaluated(bindings, to_native)  # type: ignore[no-any-return]

    def conditions(self, bindings: Mapping[str, Any]) -> tuple[Condition, ...] | Pending:
        """Return the conditions that an entry of `status.conditions` gives: one, or those of a list.

        Raises:
            EvaluationError: it failed, or its value is something else.
        """
        return self._evaluated(bindings, _conditions)  # type: ignore[no-any-return]

    def _evaluated(self, bindings: Mapping[str, Any], convert: Callable[[Value], Any]) -> Any:
        budget.restart()
        try:
            return convert(self._run(bindings))
        except DataMissing as missing:
            node = self._failing(missing)
            return Pending(missing.problem, _root(node), self._excerpt(node))
        except (Failure, BudgetExceeded) as failure:
            raise self._error(failure, failure.problem) from None
        except RecursionError as failure:
            raise self._error(failure, "the value is nested too deeply") from None

    def value(self, bindings: Mapping[str, Any]) -> Value:
        """Return the CEL value itself (`kro.cel.values`), for tests of the language.

        Raises:
            Failure: the evaluation failed.
            BudgetExceeded: it went on for too long.
        """
        budget.restart()
        return self._run(bindings)

    def trace(self, bindings: Mapping[str, Any]) -> tuple[Step, ...]:
        """Return every sub-expression that was evaluated, in the order of evaluation.

        Elements of comprehensions appear once per element. A failure ends the list, unless an operator
        absorbed it.
        """
        steps: list[Step] = []
        generator = Generator(self._checked, self._constants, self._operations, traced=True)

        def record(number: int, value: Value) -> None:
            node = generator.recorded[number]
            steps.append(Step(self._text(node), node.pos, _shown(value), ""))

        program = generator.program(self.ast.root, record)
        budget.restart()
        try:
            program.run(bindings)
        except (Failure, BudgetExceeded) as failure:
            node = _node_of(failure, program) or self.ast.root
            steps.append(Step(self._text(node), node.pos, None, failure.problem))
        return tuple(steps)

    def _text(self, node: Node) -> str:
        """Return the text of a sub-expression."""
        start, end = node.pos, node.pos
        stack = [node]
        while stack:
            part = stack.pop()
            start, end = min(start, part.pos), max(end, part.pos)
            stack.extend(children(part))
        return self.ast.template.source[start : _word_end(self.ast.template.source, end)]

    def _failing(self, failure: BaseException) -> Node:
        return _node_of(failure, self._program) or self.ast.root

    def _excerpt(self, node: Node) -> Excerpt:
        return self.ast.template.excerpt(node.pos)

    def _error(self, failure: BaseException, problem: str) -> EvaluationError:
        return EvaluationError(problem, excerpt=self._excerpt(self._failing(failure)))


def _conditions(value: Value) -> tuple[Condition, ...]:
    found = tuple(value) if is_list(value) else (value,)
    for one in found:
        if not isinstance(one, Condition):
            raise Failure(f"expected a Condition or a list of them, got {type_name(one)}")
    return found


def _node_of(failure: BaseException, program: Program) -> Node | None:
    """Return the node at whose line the failure passed through the generated code."""
    found: Node | None = None
    traceback = failure.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE:
            found = program.nodes[traceback.tb_lineno]
        traceback = traceback.tb_next
    return found


def _root(node: Node) -> str:
    """Return the only name that a sub-expression reads, or an empty text."""
    names: set[str] = set()
    stack = [node]
    while stack:
        part = stack.pop()
        if type(part) is Ident:
            names.add(part.name)
        stack.extend(children(part))
    return names.pop() if len(names) == 1 else ""


def _shown(value: Value) -> Any:
    try:
        return to_native(value)
    except Failure:
        return repr(value)


def _word_end(source: str, start: int) -> int:
    """Return the end of the token at `start`."""
    end = start + 1
    if start < len(source) and source[start] in "'\"":
        while end < len(source) and source[end] != source[start]:
            end += 2 if source[end] == "\\" else 1
        return end + 1
    while end < len(source) and (source[end].isalnum() or source[end] in "_."):
        end += 1
    while end < len(source) and source[end] in ")]}":
        end += 1
    return end
