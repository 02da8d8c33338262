"""The error tree: three branches, told apart by class and never by text.

    KroError
    ├── AuthorError              edit the definition or the expression; never retried
    │   ├── DefinitionError      the structure of a definition
    │   ├── SchemaError          SimpleSchema, status inference, generated CRD
    │   └── ExpressionError      one `${...}`: syntax, names, types
    ├── EvaluationError          an expression met data that it cannot work with; backoff
    ├── ClusterError             the API server or the way to it; backoff
    │   └── …                    one class a cause, in `kro.runtime.client.errors`
    └── InvariantError           our bug

Author errors are collected: a builder raises one `AuthorErrors` group that holds all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Self


class Retry(Enum):
    """What the worker loop does with a failed pass."""

    NEVER = "never"
    """Only a change of the object can help."""
    BACKOFF = "backoff"
    """Try again, each time later."""


class KroError(Exception):
    """Root of the tree. Code branches on the class; the message is for people only."""

    reason: ClassVar[str] = "InternalError"
    """Stable code: condition reason, metric label."""
    retry: ClassVar[Retry] = Retry.BACKOFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A place in a text that the author wrote: what the caret points at.

    Shape: `line` counts from 1, `column` from 0 (code points), both within `text`.
    """

    text: str
    line: int
    column: int

    def render(self, *, indent: str = "  ", width: int = 100) -> str:
        """Return the line of the text and, below it, a caret under the column.

        A line longer than `width` is cut around the column, with `…` where something is left out.
        """
        lines = self.text.split("\n")
        line = lines[self.line - 1] if 0 < self.line <= len(lines) else ""
        column = min(max(self.column, 0), len(line))
        start = max(0, min(column - width // 2, len(line) - width))
        shown = line[start : start + width].replace("\t", " ")
        caret = column - start
        if start > 0:
            shown, caret = "…" + shown[1:], max(caret, 1)
        if start + width < len(line):
            shown = shown[:-1] + "…"
        return f"{indent}{shown}\n{indent}{' ' * caret}^"


class AuthorError(KroError):
    """What the author wrote cannot work, whatever the cluster holds.

    `problem` is one sentence without position, `path` the YAML path within the definition or the
    instance (`spec.resources[2].template.spec.replicas`), `excerpt` the expression with the caret's
    place, `hint` what to write instead.
    """

    reason = "InvalidDefinition"
    retry = Retry.NEVER

    def __init__(
        self, problem: str, *, path: str = "", excerpt: Excerpt | None = None, hint: str = ""
    ) -> None:
        self.problem = problem
        self.path = path
        self.excerpt = excerpt
        self.hint = hint
        super().__init__(problem)

    def at(self, path: str) -> Self:
        """Return the same error, placed at `path` (for callers that know where the text stood)."""
        return type(self)(self.problem, path=path, excerpt=self.excerpt, hint=self.hint)

    def __str__(self) -> str:
        """Return path, problem and hint on one line, then the excerpt with its caret."""
        text = f"{self.path}: {self.problem}" if self.path else self.problem
        if self.hint:
            text += f" ({self.hint})"
        if self.excerpt is not None:
            text += "\n" + self.excerpt.render()
        return text


class DefinitionError(AuthorError):
    """The structure of a definition is wrong: names, kinds, references, cycles."""


class UnknownFieldError(DefinitionError):
    """A field that its kind does not have: what is wrong is the key, not the value below it."""


class SchemaError(AuthorError):
    """A SimpleSchema text, a status block or the CRD that follows from them is wrong."""

    reason = "InvalidSchema"


class ExpressionError(AuthorError):
    """An expression is wrong in itself: it does not parse, names something unknown, mixes types."""

    reason = "InvalidExpression"


class AuthorErrors(ExceptionGroup[AuthorError]):
    """All author errors of one text, in the order of the text."""

    def __new__(cls, message: str, errors: Sequence[AuthorError]) -> Self:
        """Group `errors`, which must not be empty."""
        return super().__new__(cls, message, errors)

    def derive(self, excs: Sequence[AuthorError]) -> AuthorErrors:  # type: ignore[override]
        """Return a group of the same class over other errors."""
        return AuthorErrors(self.message, excs)

    def __str__(self) -> str:
        """Return every error, one after the other."""
        return "\n".join(str(error) for error in self.exceptions)


class EvaluationError(KroError):
    """An expression failed on the data it met, and waiting will not heal it."""

    reason = "EvaluationFailed"

    def __init__(self, problem: str, *, path: str = "", excerpt: Excerpt | None = None) -> None:
        self.problem = problem
        self.path = path
        self.excerpt = excerpt
        super().__init__(problem)

    def at(self, path: str) -> Self:
        """Return the same error, placed at `path`."""
        return type(self)(self.problem, path=path, excerpt=self.excerpt)

    def __str__(self) -> str:
        """Return path and problem, then the expression with its caret."""
        text = f"{self.path}: {self.problem}" if self.path else self.problem
        if self.excerpt is not None:
            text += "\n" + self.excerpt.render()
        return text


class ClusterError(KroError):
    """The API server refused or could not be reached; the classes below say which."""

    reason = "ClusterError"


class InvariantError(KroError):
    """A promise between our own parts was broken: a bug of ours."""
