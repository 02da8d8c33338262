"""What expressions may name, and the way from their text to something that runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Self, TypeVar

from kro.cel import library as libraries
from kro.cel.celtypes import CelType
from kro.cel.check import Checked, Checker, Signatures
from kro.cel.codegen import Generator, Recorder
from kro.cel.emit import Program
from kro.cel.expression import Expression
from kro.cel.functions import Library, LiteralCheck, Macro, Overload
from kro.cel.lexer import SyntaxFault
from kro.cel.macros import MACROS
from kro.cel.operators import OPERATORS
from kro.cel.parser import MAX_DEPTH, Parser, height
from kro.cel.references import References, references
from kro.cel.source import Template
from kro.cel.syntax import Ast, Literal, Node
from kro.cel.values import Value
from kro.errors import AuthorErrors, ExpressionError

_T = TypeVar("_T")
_SHALLOW: Final = 40
"""Trees up to this height are worked on in the caller's own stack."""

KRO_LIBRARIES: Final = (OPERATORS, MACROS, libraries.STANDARD, *libraries.KRO)


class Vocabulary:
    """The functions, macros and constants of some libraries, merged. Frozen once built."""

    def __init__(self, libraries: Iterable[Library]) -> None:
        overloads: dict[str, list[Overload]] = {}
        checks: dict[str, list[LiteralCheck]] = {}
        by_value: set[str] = set()
        macros: dict[tuple[str, int, bool], tuple[Macro, ...]] = {}
        self.types: dict[str, CelType] = {}
        self.constants: dict[str, object] = {}
        for library in libraries:
            for function in library.functions:
                overloads.setdefault(function.name, []).extend(function.overloads)
                if function.by_value:
                    by_value.add(function.name)
                if function.check is not None:
                    checks.setdefault(function.name, []).append(function.check)
            for macro in library.macros:
                key = (macro.name, macro.arity, macro.member or bool(macro.namespace))
                macros[key] = (*macros.get(key, ()), macro)
            self.types.update(library.variables)
            self.constants.update(library.constants)
        self.macros: Final[Mapping[tuple[str, int, bool], tuple[Macro, ...]]] = macros
        self.functions: Final[Mapping[str, Signatures]] = {
            name: Signatures(name, tuple(found), tuple(checks.get(name, ())), name in by_value)
            for name, found in overloads.items()
        }

    def is_function(self, name: str) -> bool:
        """Return whether any library has a function of this name."""
        return name in self.functions


_KRO: Final = Vocabulary(KRO_LIBRARIES)
_KRO_OMIT: Final = Vocabulary((*KRO_LIBRARIES, libraries.OMIT_LIBRARY))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the conformance tests of the language want it where kro's environment differs."""

    container: str = ""
    """A namespace that names are looked up in first."""
    unchecked: bool = False
    """Evaluate without type check: all is dyn."""
    operations: Mapping[str, object] = field(default_factory=dict)
    """Replacements of run-time operations (see `kro.cel.codegen`), by name."""


class Environment:
    """Declared variables over a vocabulary: parses, checks and compiles expressions.

    Immutable, and safe to use from several threads.
    """

    def __init__(
        self,
        variables: Mapping[str, CelType] | None = None,
        *,
        omit: bool = False,
        vocabulary: Vocabulary | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        """Declare `variables`; `omit` admits `omit()`. The rest is for tests of the language."""
        self._vocabulary = vocabulary or (_KRO_OMIT if omit else _KRO)
        self._variables = dict(variables or {})
        self._omit = omit
        self._dialect = dialect or Dialect()

    def extend(self, variables: Mapping[str, CelType]) -> Self:
        """Return an environment that has `variables`, too; they hide those of the same name."""
        return type(self)(
            {**self._variables, **variables},
            omit=self._omit,
            vocabulary=self._vocabulary,
            dialect=self._dialect,
        )

    # What the checker asks

    @property
    def container(self) -> str:
        """The namespace that names are looked up in first."""
        return self._dialect.container

    @property
    def unchecked(self) -> bool:
        """Whether the checker reports nothing."""
        return self._dialect.unchecked

    def variable(self, name: str) -> CelType | None:
        """Return the type of a declared variable."""
        found = self._variables.get(name)
        return self._vocabulary.types.get(name) if found is None else found

    def variables(self) -> Iterable[str]:
        """Return the names of all declared variables."""
        return [*self._variables, *self._vocabulary.types]

    def signatures(self, name: str) -> Signatures | None:
        """Return the overloads of a function."""
        return self._vocabulary.functions.get(name)

    def functions(self) -> Iterable[str]:
        """Return the names of all functions that authors can call."""
        return [name for name in self._vocabulary.functions if name.isidentifier()]

    # What users ask

    def parse(self, source: str | Template) -> Ast:
        """Return the syntax tree of bare CEL or of a template.

        Raises:
            AuthorErrors: the syntax error.
        """
        template = Template.bare(source) if isinstance(source, str) else source

        def parse() -> Ast:
            root = Parser(template.source, self._vocabulary.macros).parse()
            depth, deepest = height(root)
            if depth > MAX_DEPTH:
                raise SyntaxFault(deepest.pos, f"expression recursion limit exceeded: {MAX_DEPTH}")
            return Ast(root, template, depth)

        try:
            return _with_room(_brackets(template.source), parse)
        except SyntaxFault as fault:
            error = ExpressionError(fault.problem, excerpt=template.excerpt(fault.pos))
            raise AuthorErrors("the expression does not parse", [error]) from None

    def references(self, ast: Ast, known: Container[str]) -> References:
        """Return the names that an expression uses; `known` holds those that exist."""
        return references(ast, known, is_function=self._vocabulary.is_function)

    def compile(self, source: str | Template | Ast) -> Expression:
        """Return the checked and compiled expression.

        Raises:
            AuthorErrors: the syntax error, or all type errors in the order of the text.
        """
        ast = source if isinstance(source, Ast) else self.parse(source)

        def compiled() -> Expression:
            checked = Checker(self).check(ast.root)
            if checked.problems:
                raise self._errors(ast, checked)
            program = self._program(ast.root, checked)
            tracer = partial(self._traced, ast.template)
            return Expression(ast.template, checked.types[ast.root], program, tracer)

        try:
            return _with_room(ast.depth, compiled)
        except RecursionError:
            error = ExpressionError(
                "the expression is nested too deeply", excerpt=ast.template.excerpt(ast.root.pos)
            )
            raise AuthorErrors("the expression cannot be compiled", [error]) from None

    def _program(self, root: Node, checked: Checked, record: Recorder | None = None) -> Program:
        constants = self._vocabulary.constants
        return Generator(checked, constants, self._dialect.operations, record).program(root)

    def _traced(
        self, template: Template, report: Callable[[int, int, Value], None]
    ) -> tuple[Program, Mapping[int, tuple[int, int]]]:
        """Return a program that reports start, end and value of its sub-expressions.

        Beside it, start and end of the sub-expressions by the offset that errors about them have.
        """
        spans: dict[Node, tuple[int, int]] = {}

        def record(node: Node, value: Value) -> None:
            if node in spans and type(node) is not Literal:
                report(*spans[node], value)

        def compiled() -> tuple[Program, Mapping[int, tuple[int, int]]]:
            root = Parser(template.source, self._vocabulary.macros, spans).parse()
            program = self._program(root, Checker(self).check(root), record)
            return program, {node.pos: span for node, span in spans.items()}

        return _with_room(_brackets(template.source), compiled)

    def _errors(self, ast: Ast, checked: Checked) -> AuthorErrors:
        return AuthorErrors(
            "the expression does not type-check",
            [
                ExpressionError(
                    problem.text,
                    excerpt=ast.template.excerpt(problem.node.pos),
                    hint=self._gated(problem.text) or problem.hint,
                )
                for problem in checked.problems
            ],
        )

    def _gated(self, problem: str) -> str:
        """Return the hint for a function that a feature gate holds back."""
        if problem == "undeclared reference to 'omit'" and not self._omit:
            return "omit() requires the CELOmitFunction feature gate to be enabled"
        return ""


def _brackets(source: str) -> int:
    """Return an upper bound of the nesting of brackets and conditions."""
    return source.count("(") + source.count("[") + source.count("{") + source.count("?")


def _with_room(depth: int, work: Callable[[], _T]) -> _T:
    """Return `work()`, on a fresh stack if it may recurse deeply.

    Python counts frames by thread. A caller that is deep in its own stack would otherwise make a
    legal expression fail.
    """
    if depth <= _SHALLOW:
        return work()
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((True, work()))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller
            outcome.extend((False, error))

    thread = threading.Thread(target=run, name="cel-deep-expression", daemon=True)
    thread.start()
    thread.join()
    succeeded, result = outcome
    if not succeeded:
        raise result
    return result  # type: ignore[no-any-return]
