"""A compiled expression: evaluate it with values, trace it, ask for its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from kro.cel import budget
from kro.cel.celtypes import CelType
from kro.cel.emit import Program
from kro.cel.failures import BudgetExceeded, DataMissing, Failure
from kro.cel.library.conditions import Condition
from kro.cel.output import to_native
from kro.cel.source import Template
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
    """Its text; of a template, the text of the CEL that it means."""
    start: int
    """Where it starts in `Template.source`."""
    value: Any
    """The native value; a text if the value has no native form."""
    failure: str
    """Why there is no value; empty if there is one."""


Tracer: TypeAlias = (
    "Callable[[Callable[[int, int, Value], None]], tuple[Program, Mapping[int, tuple[int, int]]]]"
)
"""Compiles once more, so that start, end and value of each sub-expression are reported.

Shape: beside the program, start and end of sub-expressions by the offset that errors have.
"""


class Expression:
    """A checked expression, compiled once. Immutable; evaluations may run in parallel threads."""

    __slots__ = ("_program", "_run", "_tracer", "template", "type")

    def __init__(
        self, template: Template, type_: CelType, program: Program, tracer: Tracer
    ) -> None:
        self.template = template
        self.type = type_
        self._program = program
        self._run = program.run
        self._tracer = tracer

    @property
    def source(self) -> str:
        """The text as the author wrote it."""
        return self.template.text

    def evaluate(self, bindings: Mapping[str, Any]) -> NativeValue | Pending:
        """Return the native value, or that data is missing.

        `bindings` are plain JSON or values from `wrap`, by variable. The result may share parts
        with them; neither may be changed.

        Raises:
            EvaluationError: the expression failed in a way that waiting does not heal.
        """
        return self._evaluated(bindings, to_native)  # type: ignore[no-any-return]

    def conditions(self, bindings: Mapping[str, Any]) -> tuple[Condition, ...] | Pending:
        """Return the conditions that an entry of `status.conditions` gives: one or a list's.

        Raises:
            EvaluationError: it failed, or its value is something else.
        """
        return self._evaluated(bindings, _conditions)  # type: ignore[no-any-return]

    def _evaluated(self, bindings: Mapping[str, Any], convert: Callable[[Value], Any]) -> Any:
        budget.restart()
        try:
            return convert(self._run(bindings))
        except DataMissing as missing:
            position, name = self._program.place(missing)
            return Pending(missing.problem, name, self.template.excerpt(position))
        except (Failure, BudgetExceeded) as failure:
            raise self._error(failure, failure.problem) from None
        except RecursionError as failure:
            raise self._error(failure, "the value is nested too deeply") from None

    def _error(self, failure: BaseException, problem: str) -> EvaluationError:
        position, _ = self._program.place(failure)
        return EvaluationError(problem, excerpt=self.template.excerpt(position))

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

        Elements of comprehensions appear once per element. A failure ends the list, unless an
        operator absorbed it.
        """
        steps: list[Step] = []
        source = self.template.source

        def record(start: int, end: int, value: Value) -> None:
            steps.append(Step(source[start:end], start, _shown(value), ""))

        program, spans = self._tracer(record)
        budget.restart()
        try:
            program.run(bindings)
        except (Failure, BudgetExceeded) as failure:
            position, _ = program.place(failure)
            start, end = spans.get(position, (position, len(source)))
            steps.append(Step(source[start:end], start, None, failure.problem))
        return tuple(steps)


def _conditions(value: Value) -> tuple[Condition, ...]:
    found = tuple(value) if is_list(value) else (value,)
    for one in found:
        if not isinstance(one, Condition):
            raise Failure(f"must return a Condition or a list of them, got {type_name(one)}")
    return found


def _shown(value: Value) -> Any:
    try:
        return to_native(value)
    except Failure:
        return repr(value)
