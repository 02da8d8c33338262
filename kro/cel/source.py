"""Expressions in YAML strings: find `${...}`, lower string templates to CEL, map positions back.

The scanner knows nothing of CEL but double quotes, backslashes and braces (spec: cel.md §1.1). What
it finds is lowered to one CEL text; every position in that text can be traced to the author's own.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kro.errors import Excerpt, ExpressionError

OPEN: Final = "${"
_MARK: Final = re.compile(r'["\\{}]|\$\{')


@dataclass(frozen=True, slots=True)
class Match:
    """One `${...}`: the text between the braces, and where the whole of it starts and ends."""

    source: str
    start: int
    end: int


_STEPS_AT_LEAST: Final = 4096
_STEPS_PER_CHARACTER: Final = 16
"""Quotes, backslashes and braces that one scan looks at, for each character of the text.

Openings that never close are looked at again and again; the limit keeps texts made of them from
taking time by the square of their length.
"""


def scan(text: str) -> tuple[Match, ...]:
    """Return all complete expressions in `text`, in order.

    An expression that never closes is plain text.

    Raises:
        ExpressionError: `${` inside an open expression and outside a double-quoted literal, or far
            too many openings that never close.
    """
    found: list[Match] = []
    steps = _STEPS_AT_LEAST + _STEPS_PER_CHARACTER * len(text)
    start = text.find(OPEN)
    while start >= 0:
        depth = 1
        quoted = False
        position = start + 2
        while depth and (mark := _MARK.search(text, position)) is not None:
            at = mark.start()
            position = at + 1
            steps -= 1
            character = text[at]
            if character == '"':
                quoted = not quoted
            elif quoted:
                if character == "\\":
                    position = at + 2
            elif character == "{":
                depth += 1
            elif character == "}":
                depth -= 1
            elif character == "$" and text[at - 1] != '"':
                raise ExpressionError(
                    "nested expressions are not allowed unless inside string literals",
                    excerpt=excerpt(text, at),
                )
        if depth == 0:
            found.append(Match(text[start + 2 : position - 1], start, position))
            start = text.find(OPEN, position)
        else:
            start = text.find(OPEN, start + 1)
        if steps < 0:
            raise ExpressionError(
                "too many expressions that never close",
                excerpt=excerpt(text, max(start, 0)),
                hint='write "${" for a literal ${ within an expression',
            )
    return tuple(found)


def is_standalone(text: str, matches: Sequence[Match]) -> bool:
    """Return whether the whole text is one expression, whose result replaces the field."""
    return len(matches) == 1 and matches[0].start == 0 and matches[0].end == len(text)


@dataclass(frozen=True, slots=True)
class Template:
    """An author's text and the CEL that it means.

    Shape: `offsets` are ascending pairs of an offset in `source` and the offset in `text` that it
    comes from; between two of them both count alike.
    """

    text: str
    matches: tuple[Match, ...]
    standalone: bool
    source: str
    offsets: tuple[tuple[int, int], ...] = ((0, 0),)

    @classmethod
    def bare(cls, source: str) -> Template:
        """Return the template for CEL without `${}` around it."""
        return cls(source, (), True, source)

    @classmethod
    def literal(cls, text: str) -> Template:
        """Return the template for a text without expressions: a string literal."""
        return cls(text, (), False, quote(text), ((0, 0), (1, 0)))

    def excerpt(self, position: int) -> Excerpt:
        """Return the author's place for an offset in `source`."""
        index = bisect_right(self.offsets, position, key=lambda pair: pair[0]) - 1
        start, shown = self.offsets[index]
        limit = len(self.text)
        if index + 1 < len(self.offsets):
            limit = self.offsets[index + 1][1]
        return excerpt(self.text, min(shown + position - start, limit))


def parse_template(text: str) -> Template | None:
    """Return what a YAML string means, or None if it has no expression.

    Raises:
        ExpressionError: nested expressions.
    """
    if OPEN not in text:
        return None
    matches = scan(text)
    if not matches:
        return None
    if is_standalone(text, matches):
        return Template(text, matches, True, matches[0].source, ((0, 2),))
    parts: list[str] = []
    offsets: list[tuple[int, int]] = []
    length = 0

    def add(piece: str, start: int, origin: int) -> None:
        nonlocal length
        if parts:
            parts.append(" + ")
            length += 3
        offsets.append((length, start))
        offsets.append((length + 1, origin))
        parts.append(piece)
        length += len(piece)

    end = 0
    for match in matches:
        if match.start > end:
            add(quote(text[end : match.start]), end, end)
        add(f"({match.source})", match.start, match.start + 2)
        end = match.end
    if end < len(text):
        add(quote(text[end:]), end, end)
    return Template(text, matches, False, "".join(parts), tuple(offsets))


_ESCAPES: Final = {
    "\\": "\\\\",
    '"': '\\"',
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_ESCAPED: Final = re.compile(r'[\\"\n\r\t]')


def quote(text: str) -> str:
    """Return a CEL literal that evaluates to exactly `text`."""
    return '"' + _ESCAPED.sub(lambda found: _ESCAPES[found[0]], text) + '"'


def excerpt(text: str, position: int) -> Excerpt:
    """Return line and column of an offset in `text`."""
    position = min(max(position, 0), len(text))
    start = text.rfind("\n", 0, position) + 1
    return Excerpt(text=text, line=text.count("\n", 0, position) + 1, column=position - start)
