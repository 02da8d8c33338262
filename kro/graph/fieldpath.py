"""Field paths: where in a manifest a value stands.

A path is a tuple of names and list positions. In text, names are joined by dots, a position is
`[i]`, and a name that is empty or holds a dot is `["name"]`:
`spec.containers[0].env[1].value`, `metadata.annotations["a.b/c"]`. The text has no escapes, so a
name with a bracket does not survive `parse`; code keeps tuples and prints them for people only.

Source: spec cel.md §1.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from kro.refs import JsonValue

FieldPath: TypeAlias = tuple[str | int, ...]


class FieldPathError(ValueError):
    """A text is not a field path."""


def join(path: Sequence[str | int]) -> str:
    """Return the text of a path; the empty path is the empty text."""
    parts: list[str] = []
    for segment in path:
        if isinstance(segment, int):
            parts.append(f"[{segment}]")
        elif not segment or "." in segment:
            parts.append(f'["{segment}"]')
        elif parts:
            parts.append(f".{segment}")
        else:
            parts.append(segment)
    return "".join(parts)


def below(base: str, path: Sequence[str | int]) -> str:
    """Return the text of `path` put behind the text of the path that it starts from."""
    text = join(path)
    return f"{base}{text}" if not text or not base or text[0] == "[" else f"{base}.{text}"


def parse(text: str) -> FieldPath:
    """Return the path that a text names.

    Raises:
        FieldPathError: a bracket does not close, or holds neither a position nor a quoted name.
    """
    return tuple(_segments(text))


def _segments(text: str) -> Iterator[str | int]:
    position = 0
    while position < len(text):
        character = text[position]
        if character == ".":
            position += 1
        elif text.startswith('["', position):
            end = text.find('"', position + 2)
            if end < 0:
                raise FieldPathError(
                    f"failed to parse path {text}: unterminated quote at position {position + 2}"
                )
            if not text.startswith("]", end + 1):
                raise FieldPathError(
                    f"failed to parse path {text}: expected ']' at position {end + 1}"
                )
            yield text[position + 2 : end]
            position = end + 2
        elif character == "[":
            end = text.find("]", position)
            if end < 0:
                raise FieldPathError(
                    f"failed to parse path {text}: unterminated array index at position {position}"
                )
            digits = text[position + 1 : end]
            if not (digits.isascii() and digits.isdigit()):
                raise FieldPathError(
                    f"failed to parse path {text}: invalid array index '{digits}' "
                    f"at position {position + 1}"
                )
            yield int(digits)
            position = end + 1
        else:
            end = position
            while end < len(text) and text[end] not in ".[":
                end += 1
            yield text[position:end]
            position = end


def get(value: object, path: FieldPath) -> object:
    """Return what stands at `path` within `value`.

    Raises:
        LookupError: the path leaves the value.
    """
    for segment in path:
        if isinstance(segment, int):
            if not isinstance(value, list):
                raise LookupError(segment)
            value = value[segment]
        else:
            if not isinstance(value, Mapping):
                raise LookupError(segment)
            value = value[segment]
    return value


def replace(value: JsonValue, path: FieldPath, new: JsonValue) -> None:
    """Put `new` at `path` within `value`, which is changed in place; the path must exist.

    Raises:
        LookupError: the path leaves the value, or is empty.
    """
    if not path:
        raise LookupError("the whole value cannot be replaced in place")
    match get(value, path[:-1]), path[-1]:
        case dict() as fields, str(name) if name in fields:
            fields[name] = new
        case list() as items, int(position) if position < len(items):
            items[position] = new
        case _:
            raise LookupError(path[-1])


def assemble(fields: Sequence[tuple[FieldPath, JsonValue]]) -> JsonValue:
    """Return a value built from scratch that holds every field at its path.

    A list that lacks elements in its middle has null there; at its end they are simply not there.
    The empty sequence gives the empty object.

    Raises:
        LookupError: two paths disagree on whether a place is an object or a list.
    """
    root: JsonValue = [] if fields and fields[0][0] and isinstance(fields[0][0][0], int) else {}
    for path, new in fields:
        holder = root
        for segment, following in pairwise(path):
            holder = _child(holder, segment, list if isinstance(following, int) else dict)
        _put(holder, path[-1], new)
    return root


def _child(
    holder: JsonValue, segment: str | int, kind: type[dict[str, JsonValue] | list[JsonValue]]
) -> JsonValue:
    found: JsonValue = None
    if isinstance(holder, dict) and isinstance(segment, str):
        found = holder.get(segment)
    elif isinstance(holder, list) and isinstance(segment, int) and segment < len(holder):
        found = holder[segment]
    if found is None:
        found = kind()
        _put(holder, segment, found)
    return found


def _put(holder: JsonValue, segment: str | int, new: JsonValue) -> None:
    if isinstance(holder, dict) and isinstance(segment, str):
        holder[segment] = new
    elif isinstance(holder, list) and isinstance(segment, int):
        holder.extend([None] * (segment + 1 - len(holder)))
        holder[segment] = new
    else:
        raise LookupError(segment)
