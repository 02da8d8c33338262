"""From an error's path to line and column in the author's file.

Paths are matched against the keys that are there, not parsed: a key with dots or brackets is found
whichever way the path writes it.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final

from kro.cli.yaml_nodes import Node
from kro.errors import Excerpt

MAX_LINE: Final = 1000

_PROPERTIES: Final = re.compile(r"(?:[!&]\S*\s+)*")
"""Tag and anchor, which belong to a node and stand before its text."""
_INDEX: Final = re.compile(r"\[(\d{1,9})\]")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|\r?\n[ \t]*|.)")
_SPACE: Final = re.compile(r"\s*")


@dataclass(frozen=True)
class Text:
    """A file's contents under the name that errors show."""

    name: str
    content: str

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.content))]

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1, of an offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def around(self, offset: int) -> tuple[str, int]:
        """Return the line that holds an offset, and the offset within it.

        Of a line with more than `MAX_LINE` characters, the part around the offset is returned.
        """
        line, _ = self.position(offset)
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.content)
        if end - start > MAX_LINE:
            start = max(start, offset - MAX_LINE // 2)
            end = min(end, start + MAX_LINE)
        return self.content[start:end].rstrip("\r"), offset - start


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads."""

    node: Node
    key_start: int | None
    """Offset of the key that holds the node."""
    whole: bool
    """False: the path goes on to something that is not there."""


def find(root: Node, path: str) -> Found:
    """Return the node at `path`, or the deepest one on the way to it."""
    node, key_start, rest = root, None, path
    while rest:
        step = _step(node, rest)
        if step is None:
            return Found(node, key_start, whole=False)
        node, start, rest = step
        key_start = start if start is not None else node.start
    return Found(node, key_start, whole=True)


def offset_of(text: Text, found: Found, *, at_key: bool) -> int:
    """Return the offset that an error about what was found points at."""
    if found.key_start is not None and (at_key or not found.whole):
        return found.key_start
    properties = _PROPERTIES.match(text.content, found.node.start, found.node.end)
    return properties.end() if properties else found.node.start


def offset_within(text: Text, node: Node, excerpt: Excerpt) -> int | None:
    """Return the offset of an excerpt's caret in the file; None if that cannot be told."""
    if not isinstance(node.value, str):
        return None
    base = _base(node.value, excerpt.text)
    if base is None:
        return None
    lines = excerpt.text.split("\n")
    wanted = base + sum(len(line) + 1 for line in lines[: excerpt.line - 1]) + excerpt.column
    if wanted == len(node.value) and wanted > 0:
        before = _aligned(text.content, node, wanted - 1)
        return None if before is None else before + 1
    return _aligned(text.content, node, wanted)


def _base(value: str, part: str) -> int | None:
    """Return where the text of an excerpt starts within a scalar, if only one place is possible."""
    if value == part:
        return 0
    start = value.find(part) if part.strip() else -1
    if start < 0 or value.find(part, start + 1) >= 0:
        return None
    return start


def _step(node: Node, path: str) -> tuple[Node, int | None, str] | None:
    """Return the child that a path starts with, its key's offset, and the rest of the path."""
    if isinstance(node.children, list):
        index = _INDEX.match(path)
        if index is None or int(index[1]) >= len(node.children):
            return None
        return node.children[int(index[1])], None, path[index.end() :]
    if node.children is None:
        return None
    best: tuple[Node, int | None, str] | None = None
    for rest, key in _keys(path, node.children):
        start, child = node.children[key]
        if best is None or len(rest) < len(best[2]):
            best = child, start, rest
    return best


def _keys(path: str, keys: dict[str, tuple[int, Node]]) -> Iterator[tuple[str, str]]:
    """Yield what is left of the path behind each key that it may start with."""
    path = path.removeprefix(".")
    plain = re.match(r"[^.\[]+", path)
    if plain and plain[0] in keys:
        yield path[plain.end() :], plain[0]
    for key in keys:
        if "." not in key and "[" not in key and not path.startswith("["):
            continue
        for written in (key, f'["{key}"]', f"[{json.dumps(key, ensure_ascii=False)}]"):
            if path.startswith(written):
                rest = path[len(written) :]
                if not rest or rest[0] in ".[":
                    yield rest, key


def _aligned(content: str, node: Node, wanted: int) -> int | None:
    return next(islice(character_offsets(content, node), wanted, None), None)


def character_offsets(content: str, node: Node) -> Iterator[int]:
    """Yield where in the file each character of a text comes from, as far as that can be told."""
    properties = _PROPERTIES.match(content, node.start, node.end)
    start = properties.end() if properties else node.start
    first = content[start : start + 1]
    if first == "|":
        return _in_literal(content, start, node)
    if first == ">":
        return _in_flow(content, content.find("\n", start) + 1, node, "")
    quote = first if first in ("'", '"') else ""
    return _in_flow(content, start + len(quote), node, quote)


def _in_literal(content: str, start: int, node: Node) -> Iterator[int]:
    """Below `|`, every line stands as it is, behind the indentation of the first one."""
    value = str(node.value).split("\n")
    header_end = content.find("\n", start)
    if header_end < 0:
        return
    lines = content[header_end + 1 : node.end].split("\n")
    indent = _indent(lines)
    if re.search(r"\d", content[start:header_end]):  # the indentation is given: lines may have more
        indent -= _indent(value)
    offset = header_end + 1
    for shown, line in zip(value, lines, strict=False):
        for column in range(len(shown) + 1):
            yield offset + min(indent + column, len(line))
        offset += len(line) + 1


def _indent(lines: Sequence[str]) -> int:
    first = next((line for line in lines if line.strip()), "")
    return len(first) - len(first.lstrip(" "))


def _in_flow(content: str, start: int, node: Node, quote: str) -> Iterator[int]:
    """Elsewhere, line ends are folded into spaces: everything else comes one by one."""
    place = start
    for character in str(node.value):
        escape = _ESCAPE.match(content, place) if quote == '"' else None
        if not escape and not character.isspace():
            place = _SPACE.match(content, place).end()  # type: ignore[union-attr]
            escape = _ESCAPE.match(content, place) if quote == '"' else None
        while escape and escape[0][1:2] in "\r\n":
            place = escape.end()
            escape = _ESCAPE.match(content, place)
        if place >= node.end:
            return
        yield place
        if escape:
            place = escape.end()
        elif quote == "'" and character == "'":
            place += 2
        elif not character.isspace() or content[place] in " \t":
            place += 1
