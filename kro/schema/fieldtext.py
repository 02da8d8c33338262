"""Field texts: `type-part | marker=value …` → a type and a list of markers, with positions.

Two hand-written scanners, because the grammar is defined by what they do: the type part is
read from the left, one prefix at a time; the marker part is one pass over its characters with a
state of five variables. Source: simpleschema.md §1.3 and §2.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from kro.errors import Excerpt
from kro.schema.literals import WHITE, shortened
from kro.schema.suggest import nearest

MAX_PREFIXES: Final = 16
"""How many `[]` and `map[string]` may be stacked in one type."""

_WHITE: Final = frozenset(WHITE)
_ESCAPE: Final = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True)
class TypeText:
    """A parsed type: prefixes from the outside in, around a word or the name of a custom type."""

    prefixes: tuple[str, ...]
    """Each `[]` or `map[string]`."""
    name: str
    column: int
    """Where the name starts in the field text."""


class Marker(NamedTuple):
    """One `key=value` of the marker part; `offset` is where its key starts in the field text."""

    key: str
    value: str
    offset: int


class TextError(Exception):
    """A field text is wrong at `offset`; the caller knows which field it is of."""

    def __init__(self, problem: str, offset: int, hint: str = "") -> None:
        super().__init__(problem)
        self.problem, self.offset, self.hint = problem, offset, hint


def excerpt(text: str, offset: int) -> Excerpt:
    """Return the place `offset` of a field text as line and column."""
    offset = min(max(offset, 0), len(text))
    line = text.count("\n", 0, offset) + 1
    return Excerpt(text=text, line=line, column=offset - (text.rfind("\n", 0, offset) + 1))


def split(text: str) -> tuple[str, int | None]:
    """Return the type part, and where the marker part starts (None: the text has no `|`)."""
    bar = text.find("|")
    return (text, None) if bar < 0 else (text[:bar], bar + 1)


def parse_type(text: str) -> TypeText:
    """Return the type that a field's type part spells.

    Raises:
        TextError: the text is empty, or a prefix is incomplete, or there are too many of them.
    """
    end = len(text.rstrip(WHITE))
    rest = text.strip(WHITE)
    if not rest:
        raise TextError("empty type", 0, "write a type such as string or []integer")
    prefixes: list[str] = []
    while True:
        offset = end - len(rest)
        if len(prefixes) > MAX_PREFIXES:
            problem = f'type nesting too deep (max {MAX_PREFIXES}): "{shortened(rest)}"'
            raise TextError(problem, offset)
        if rest.startswith("[]"):
            prefix, problem = "[]", "empty slice element type"
        elif rest.startswith("map[string]"):
            prefix, problem = "map[string]", "map value type is required"
        elif rest.startswith("map["):
            raise TextError("map key must be string", offset, "write map[string] and a type")
        else:
            return TypeText(tuple(prefixes), rest, offset)
        prefixes.append(prefix)
        rest = rest[len(prefix) :].lstrip(WHITE)
        if not rest:
            raise TextError(problem, offset, f"write a type after {prefix}")


class _Lexer:
    """One pass over the marker part; every method is one row or two of the spec's table."""

    def __init__(self, text: str, start: int, known: frozenset[str]) -> None:
        self.text = text
        self.start = start
        self.known = known
        self.markers: list[Marker] = []
        self.unknown: list[TextError] = []
        self.key: str | None = None
        self.key_offset = start
        self.buffer: list[str] = []
        self.quoted = False
        self.escaped = False
        self.depth = 0

    def run(self) -> None:
        """Read to the end of the text; raise `TextError` where reading cannot go on."""
        for offset in range(self.start, len(self.text)):
            char = self.text[offset]
            if not self.quoted and self.depth == 0:
                if char == "=" and self.key is None:
                    self.open_marker(offset)
                    continue
                if char in _WHITE:
                    if self.key is not None:
                        self.close_marker()
                    continue
            if self.key is None and not self.buffer:
                self.key_offset = offset
            self.buffer.append(char)
            self.nest(char, offset)
        if self.key is None:
            raise self.left_over()
        if self.quoted:
            raise TextError("unclosed quote", self.key_offset, 'end the value with "')
        if self.depth > 0:
            raise TextError("unclosed bracket/brace", self.key_offset)
        self.close_marker()

    def nest(self, char: str, offset: int) -> None:
        """Follow quotes, escapes and brackets."""
        if char == '"' and not self.escaped:
            self.quoted = not self.quoted
        elif char == "\\" and self.quoted and not self.escaped:
            self.escaped = True
        elif self.quoted:
            self.escaped = False
        elif char in "{[":
            self.depth += 1
        elif char in "}]":
            self.depth -= 1
            if self.depth < 0:
                raise TextError("unmatched closing bracket/brace", offset)

    def open_marker(self, offset: int) -> None:
        key = "".join(self.buffer).strip(WHITE)
        self.buffer.clear()
        if not key:
            raise TextError("empty marker key", offset, "write the marker's name before =")
        if key not in self.known:
            shown = shortened(key)
            problem = f'invalid marker key "{shown}": unknown marker: {shown}'
            self.unknown.append(TextError(problem, self.key_offset, _unknown_hint(key, self.known)))
        self.key = key

    def close_marker(self) -> None:
        assert self.key is not None
        value = "".join(self.buffer)
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = _unescape(value[1:-1])
        else:
            value = value.strip(WHITE)
        self.markers.append(Marker(self.key, value, self.key_offset))
        self.key = None
        self.buffer.clear()

    def left_over(self) -> TextError:
        word = "".join(self.buffer)
        if word:
            shown = shortened(word)
            hint = f"write {word}=…" if word in self.known else "a marker is written name=value"
            if self.markers and word not in self.known:
                hint = "put a value that holds spaces in double quotes"
            return TextError(f"marker key '{shown}' without a value", self.key_offset, hint)
        hint = "remove the white space at its end" if self.markers else "remove the |"
        return TextError("marker key '' without a value", len(self.text), hint)


def lex_markers(
    text: str, start: int, known: frozenset[str]
) -> tuple[list[Marker], list[TextError]]:
    """Return the markers from offset `start` on, and what is wrong with the marker part.

    A marker whose name is not in `known` is an error and reading goes on; any other error ends
    the reading and is the last of the list.
    """
    lexer = _Lexer(text, start, known)
    try:
        lexer.run()
    except TextError as error:
        return lexer.markers, [*lexer.unknown, error]
    return lexer.markers, lexer.unknown


def _unescape(body: str) -> str:
    if "\\" not in body:
        return body
    return _ESCAPE.sub(r"\1", body)


def _unknown_hint(key: str, known: frozenset[str]) -> str:
    if "|" in key:
        return "markers are separated by spaces, not by |"
    if key.startswith('"'):
        return "write the marker's name without quotes"
    for name in sorted(known):
        if key.endswith(name):
            return f"{key[: -len(name)].rstrip(',')} before {name} has no value"
    near = nearest(key, known)
    return f"did you mean {near}?" if near else "known markers: " + ", ".join(sorted(known))
