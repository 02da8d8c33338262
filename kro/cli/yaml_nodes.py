"""YAML as a tree of values with their places, in bounded time and memory.

Works on libyaml's events with a stack of its own, so that neither nesting nor aliases can exhaust
Python's. What an alias stands for counts as often as it is used.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs hide it
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from kro.cli.scalars import ScalarError, plain, tagged
from kro.refs import JsonValue

MAX_NODES: Final = 500_000
"""Values in one file; aliases count with all they stand for."""
MAX_DEPTH: Final = 150
"""Levels of nesting; a manifest has about twenty."""
MAX_PROBLEMS: Final = 100
"""Mistakes after which the rest of a file is not looked at."""

_MERGE: Final = "<<"
_TAGS_OF_CONTAINERS: Final = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class Node:
    """One value and its place: `start` and `end` are offsets into the text.

    Shape: `children` are, of an object, the offset of each key with its node, by key; of a list,
    its nodes; of a scalar None. `value` shares its parts with the values of the children.
    """

    __slots__ = ("children", "end", "start", "value")

    def __init__(self, value: JsonValue, children: Children, start: int, end: int) -> None:
        self.value = value
        self.children = children
        self.start = start
        self.end = end


Children: TypeAlias = "dict[str, tuple[int, Node]] | list[Node] | None"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in the YAML itself."""

    offset: int
    problem: str
    hint: str = ""


class _TooMuchError(Exception):
    """The text cannot be read any further."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.problem)
        self.fault = fault


@dataclass(slots=True)
class _Open:
    """An object or list whose end has not been read."""

    node: Node
    first: int
    """How many values there were before it."""
    anchor: str | None
    height: int = 1
    key: str | None = None
    """Of the entry whose value is awaited; None: the entry is left out."""
    key_start: int = 0
    is_merge: bool = False
    awaits_value: bool = False
    merges: list[tuple[int, Node]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Anchor:
    node: Node
    size: int
    height: int


def read_nodes(text: str) -> tuple[list[Node], list[Fault]]:
    """Return the root of each document, and what is wrong with the text.

    Documents after a syntax error are missing, documents before it are there. Empty documents are
    left out.
    """
    reader = _Reader(text)
    collects = gc.isenabled()
    gc.disable()  # nothing here is garbage, and looking for it takes half of the time
    try:
        for event in reader.events():
            reader.take(event)
            if len(reader.faults) > MAX_PROBLEMS:
                break
    except _TooMuchError as stop:
        reader.faults.append(stop.fault)
    finally:
        if collects:
            gc.enable()
    return reader.roots, reader.faults


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.roots: list[Node] = []
        self.faults: list[Fault] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchor | None] = {}
        self._count = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            ScalarEvent: self._take_scalar,
            MappingStartEvent: self._begin,
            SequenceStartEvent: self._begin,
            MappingEndEvent: self._finish,
            SequenceEndEvent: self._finish,
            AliasEvent: self._alias,
            DocumentStartEvent: self._begin_document,
            DocumentEndEvent: self._end_document,
        }

    def events(self) -> Iterator[Any]:
        try:
            parser = CParser(self._text)
            while parser.check_event():
                yield parser.get_event()
        except yaml.MarkedYAMLError as error:
            raise _TooMuchError(self._syntax_fault(error)) from error
        except yaml.reader.ReaderError as error:
            character = (
                error.character if isinstance(error.character, int) else ord(error.character)
            )
            problem = f"the character U+{character:04X} must not stand in YAML"
            hint = "write it as an escape in double quotes"
            raise _TooMuchError(Fault(self._forbidden(character), problem, hint)) from error

    def _forbidden(self, character: int) -> int:
        try:
            return max(self._text.find(chr(character)), 0)
        except (ValueError, OverflowError):
            return 0

    def _syntax_fault(self, error: yaml.MarkedYAMLError) -> Fault:
        mark = error.problem_mark or error.context_mark
        offset = mark.index if mark is not None else 0
        problem = str(error.problem or error.context or "the text is no YAML")
        if error.context and error.problem:
            problem = f"{error.problem} {error.context}"
        line = self._text[self._text.rfind("\n", 0, offset) + 1 : offset + 1]
        hint = ""
        if "\t" in line and not line.strip():
            hint = "YAML is indented with spaces, not with tabs"
        elif "mapping values are not allowed" in problem or (
            "expected key" in problem and "${" in line and ": " in line
        ):
            hint = "put a text that holds `: ` into quotes"
        elif "cannot start any token" in problem:
            hint = "put the text into quotes"
        return Fault(min(offset, len(self._text)), f"YAML: {problem}", hint)

    def take(self, event: Any) -> None:
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(event)

    def _take_scalar(self, event: Any) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            self._count_up(0, event)
        text = event.value
        is_plain = event.implicit[0] and event.tag is None
        try:
            value = plain(text) if is_plain else self._quoted(event)
        except ScalarError as error:
            self._fault(event, str(error))
            value = text
        node = Node(value, None, event.start_mark.index, event.end_mark.index)
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(node, 1, 0)
        self._add(node, 0, node.start, text, is_plain and text == _MERGE)

    def _quoted(self, event: Any) -> JsonValue:
        return str(event.value) if event.tag is None else tagged(event.tag, event.value)

    def _begin_document(self, _: Any) -> None:
        self._anchors.clear()

    def _end_document(self, _: Any) -> None:
        if self.roots and self.roots[-1].value is None:
            self.roots.pop()  # an empty document

    def _count_up(self, size: int, event: Any) -> None:
        self._count += size
        if self._count > MAX_NODES:
            problem = f"the file holds more than {MAX_NODES:,} values"
            raise _TooMuchError(Fault(event.start_mark.index, problem))

    def _fault(self, event: Any, problem: str, hint: str = "") -> None:
        self.faults.append(Fault(event.start_mark.index, problem, hint))

    def _begin(self, event: Any) -> None:
        self._count_up(1, event)
        if len(self._open) >= MAX_DEPTH:
            raise _TooMuchError(
                Fault(event.start_mark.index, f"is nested deeper than {MAX_DEPTH} levels")
            )
        if event.tag not in _TAGS_OF_CONTAINERS:
            self._fault(event, f"the tag {event.tag} has no meaning in a manifest")
        start = event.start_mark.index
        if isinstance(event, MappingStartEvent):
            node = Node({}, {}, start, start)
        else:
            node = Node([], [], start, start)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(node, self._count - 1, event.anchor))

    def _finish(self, event: Any) -> None:
        done = self._open.pop()
        done.node.end = event.end_mark.index
        if done.merges:
            self._merge(done)
        size = self._count - done.first
        if done.anchor:
            self._anchors[done.anchor] = _Anchor(done.node, size, done.height)
        self._add(done.node, done.height, done.node.start, None)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._fault(event, f"the alias *{event.anchor} has no anchor &{event.anchor} before it")
            found = None
        else:
            found = self._anchors[event.anchor]
            if found is None:
                self._fault(event, f"the alias *{event.anchor} stands within what it refers to")
        if found is None:
            found = _Anchor(Node(None, None, event.start_mark.index, event.end_mark.index), 1, 0)
        self._count_up(found.size, event)
        if len(self._open) + found.height > MAX_DEPTH:
            raise _TooMuchError(
                Fault(event.start_mark.index, f"is nested deeper than {MAX_DEPTH} levels")
            )
        value = found.node.value
        key = str(value) if not isinstance(value, dict | list) else None
        self._add(found.node, found.height, event.start_mark.index, key)

    def _add(
        self, node: Node, height: int, place: int, key: str | None, is_merge: bool = False
    ) -> None:
        """Put a whole value into what is open around it.

        Args:
            node: the value.
            height: its levels of nesting.
            place: where it, or the alias that stands for it, is in the text.
            key: its text, if it may be a key.
            is_merge: whether it is the key `<<`.
        """
        if not self._open:
            self.roots.append(node)
            return
        holder = self._open[-1]
        if height >= holder.height:
            holder.height = height + 1
        if type(holder.node.children) is list:
            holder.node.children.append(node)
            holder.node.value.append(node.value)  # type: ignore[union-attr]
        elif holder.awaits_value:
            self._put(holder, node)
        else:
            self._take_key(holder, node, key, is_merge, place)

    def _take_key(
        self, holder: _Open, node: Node, key: str | None, is_merge: bool, place: int
    ) -> None:
        holder.awaits_value, holder.is_merge = True, is_merge
        holder.key_start = place
        if key is None or node.value is None:
            what = "null" if node.value is None else "an object or a list"
            problem = f"a key must be a text, not {what}"
            self.faults.append(Fault(place, problem, "put the key into quotes"))
            holder.key = None
        else:
            holder.key = str(node.value).lower() if isinstance(node.value, bool) else key

    def _put(self, holder: _Open, node: Node) -> None:
        holder.awaits_value = False
        key, values, children = holder.key, holder.node.value, holder.node.children
        assert isinstance(values, dict)
        assert isinstance(children, dict)
        if key is None:
            return
        if holder.is_merge:
            holder.merges.append((holder.key_start, node))
            return
        if key in children:
            line = self._text.count("\n", 0, children[key][0]) + 1
            problem = f"the key {key!r:.80} stands here twice, first in line {line}"
            self.faults.append(Fault(holder.key_start, problem))
            return
        values[key] = node.value
        children[key] = (holder.key_start, node)

    def _merge(self, done: _Open) -> None:
        """Fill in the keys of merged objects where the object does not have them itself."""
        values, children = done.node.value, done.node.children
        assert isinstance(values, dict)
        assert isinstance(children, dict)
        for place, merged in done.merges:
            sources = merged.children if isinstance(merged.children, list) else [merged]
            for source in sources:
                if not isinstance(source.children, dict):
                    self.faults.append(Fault(place, "only objects can be merged with `<<`"))
                    continue
                for key, (key_start, node) in source.children.items():
                    if key not in children:
                        values[key] = node.value
                        children[key] = (key_start, node)
