"""Shapes of the wire that the client itself reads, and JSON in both directions.

Only what steers is decoded here; objects stay raw until a decoder of the caller's choice reads
them. orjson decodes and encodes objects, msgspec picks single fields out of large texts without
building the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar, cast

import msgspec
import orjson

from kro.refs import JsonObject
from kro.runtime.client.errors import ProtocolError, UnencodableError

T = TypeVar("T")

Buffer: TypeAlias = bytes | memoryview
Decoder: TypeAlias = Callable[[Buffer], T]
"""Reads the JSON text of one object; raises ValueError when it is none.

The text is only valid during the call: what keeps it copies it.
"""


class ListMeta(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """The `metadata` of a list."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


class RawList(msgspec.Struct, rename="camel"):
    """A list whose items are still text."""

    kind: str = ""
    api_version: str = ""
    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] | None = None


class TypeMeta(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """What says which type an object is of."""

    kind: str = ""
    api_version: str = ""


class RawEvent(msgspec.Struct, frozen=True, gc=False):
    """One line of a watch stream."""

    type: str
    object: msgspec.Raw


class BookmarkMeta(msgspec.Struct, rename="camel", frozen=True):
    """The `metadata` of a bookmark."""

    resource_version: str
    annotations: dict[str, str] | None = None


class BookmarkObject(msgspec.Struct, frozen=True):
    """The object of a bookmark: nothing but a cursor."""

    metadata: BookmarkMeta


LIST_DECODER = msgspec.json.Decoder(RawList)
EVENT_DECODER = msgspec.json.Decoder(RawEvent)
BOOKMARK_DECODER = msgspec.json.Decoder(BookmarkObject)
TYPE_META_DECODER = msgspec.json.Decoder(TypeMeta)

DEEPEST: Final = 240
"""Levels that are kept of an object that cannot be read whole: orjson writes 254 at most."""
MOST_SEARCHED: Final = 16 * 1024 * 1024
"""Bytes of a text that are searched for depths: some objects of the largest size there is."""
_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


def decode_object(data: Buffer) -> JsonObject:
    """Return the object that a JSON text holds.

    Integers within 64 bit are exact, larger ones become floats, integral floats stay floats.

    Raises:
        ValueError: it is no JSON, or no object.
    """
    value = orjson.loads(data)
    if type(value) is not dict:
        raise ValueError("not a JSON object")
    return cast("JsonObject", value)


def decode_text(decoder: Decoder[T], data: Buffer, *, what: str) -> T:
    """Return what `decoder` makes of a text that came from the wire.

    Raises:
        ProtocolError: the text is not what the decoder wants. No part of the text is quoted.
    """
    try:
        return decoder(data)
    except (ValueError, RecursionError) as error:
        problem: Exception = error
    shallow = without_depths(bytes(data)) if len(data) <= MOST_SEARCHED else None
    if shallow is not None:
        try:
            return decoder(shallow)
        except (ValueError, RecursionError) as error:
            problem = error
    raise ProtocolError(f"{what} is not valid JSON of the expected shape") from problem


def without_depths(text: bytes) -> bytes | None:
    """Return the JSON text with null in place of all that is nested too deep; None if nothing is.

    The API server keeps objects that are nested thousands of levels deep, which no parser here
    reads. One such object, and anybody may make one, must not cost us all others of its kind.
    """
    depth, start = 0, 0
    kept: list[bytes] = []
    for found in _STRUCTURE.finditer(text):
        token = found[0]
        if token in (b"{", b"["):
            depth += 1
            if depth == DEEPEST + 1:
                kept.append(text[start : found.start()])
        elif token in (b"}", b"]"):
            if depth == DEEPEST + 1:
                kept.append(b"null")
                start = found.end()
            depth -= 1
    if not kept:
        return None
    return b"".join((*kept, text[start:]))


def encode(value: object) -> bytes:
    """Return the JSON text of `value`.

    Raises:
        UnencodableError: it holds something that JSON on the wire cannot carry. Nothing is quoted.
    """
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnencodableError(
            "the object cannot be written as JSON: a string that is not Unicode text, an integer"
            " beyond 64 bit, a key that is no string, or nesting that is too deep"
        ) from error
