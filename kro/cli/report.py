"""What is wrong, where it stands, and how a person or an editor is told.

Source: spec "API surface and operations" §10.1; the line format is the one compilers use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kro.errors import Excerpt
from kro.refs import JsonObject, JsonValue

_LONGEST: Final = 800
"""Characters of a message in a text."""
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


class Severity(StrEnum):
    """Whether the author has to change something."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing that is wrong, and its place in a file.

    `line` and `column` count from 1, in code points; both are 0 where no place is known.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    hint: str = ""
    severity: Severity = Severity.ERROR
    source: str = ""
    """The line of the file; of a very long one, what is around the place."""
    caret: int = 0
    """Where in `source` the place is, from 0."""
    expression: Excerpt | None = None
    """The expression, where its place within the line could not be told."""

    def text(self) -> str:
        """Return `file:line:column: path: message (hint)`, then the line with a caret."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        head = [place, "warning" if self.severity is Severity.WARNING else "", self.path]
        message = _in_one_line(self.message) + (f" ({self.hint})" if self.hint else "")
        lines = [": ".join(part for part in (*head, message) if part)]
        if self.line and self.source.strip():
            shown = Excerpt(text=self.source, line=1, column=self.caret).render(indent="")
            number = str(self.line)
            first, _, caret = shown.partition("\n")
            lines.append(f"  {number} | {first}")
            lines.append(f"  {' ' * len(number)} | {caret}")
        if self.expression is not None:
            lines.append(self.expression.render(indent="    "))
        return printable("\n".join(lines))

    def data(self) -> JsonObject:
        """Return the same as JSON."""
        data: JsonObject = {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "severity": self.severity.value,
            "message": self.message,
            "hint": self.hint,
            "source": self.source,
        }
        if self.expression is not None:
            data["expression"] = self.expression.render(indent="")
        return data


def _in_one_line(message: str) -> str:
    """Return a message without line ends, and without the middle of a very long expression."""
    line = re.sub(r"\s*\n\s*", " ", message)
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"
    return line


def printable(text: str) -> str:
    """Return a text that cannot steer a terminal: control characters are written out."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Return whether any of them is more than a warning."""
    return any(found.severity is Severity.ERROR for found in diagnostics)


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics as they stand in each file; the files keep their order."""
    found = list(dict.fromkeys(diagnostics))
    files = {name: rank for rank, name in enumerate(dict.fromkeys(one.file for one in found))}
    return sorted(found, key=lambda one: (files[one.file], one.line, one.column))


def as_text(diagnostics: Sequence[Diagnostic]) -> str:
    """Return all of them, one below the other."""
    return "\n".join(found.text() for found in diagnostics)


def as_data(diagnostics: Sequence[Diagnostic]) -> list[JsonValue]:
    """Return all of them as JSON."""
    return [found.data() for found in diagnostics]
