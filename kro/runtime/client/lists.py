"""Answers to lists: the envelope first, the items one by one, other tasks in between.

Source: spec "Controller runtime" P-005, P-038.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

import msgspec

from kro.runtime.client.wire import (
    LIST_DECODER,
    TYPE_META_DECODER,
    Decoder,
    RawList,
    decode_text,
    encode,
)

T = TypeVar("T")

_SLICE_BYTES = 128 * 1024
"""How much of a page is decoded before other tasks get a turn: about a millisecond."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One answer to a list: its items and how to go on."""

    items: list[T]
    resource_version: str
    """The cursor of the collection, from which a watch continues."""
    continue_token: str = ""
    """Where the next page starts; empty on the last."""
    remaining: int | None = None
    """How many items follow, if the server says so."""


async def decode_page(body: bytes, decoder: Decoder[T]) -> Page[T]:
    """Decode a list, letting other tasks run in between.

    Built-in kinds leave `apiVersion` and `kind` out of the items; they are put back.
    """
    raw: RawList = decode_text(LIST_DECODER.decode, body, what="the list")
    texts = raw.items or []
    prefix = _type_prefix(raw, bytes(texts[0])) if texts else b""
    items: list[T] = []
    size = 0
    for text in texts:
        view = memoryview(text)
        item = prefix + view[1:] if prefix else view
        items.append(decode_text(decoder, item, what="an item of the list"))
        size += len(view)
        if size >= _SLICE_BYTES:
            size = 0
            await asyncio.sleep(0)
    metadata = raw.metadata
    return Page(items, metadata.resource_version, metadata.continue_, metadata.remaining_item_count)


def _type_prefix(raw: RawList, first: bytes) -> bytes:
    """Return what stands in place of the opening brace of every item, or nothing."""
    known = decode_text(TYPE_META_DECODER.decode, first, what="an item of the list")
    if known.kind or first == b"{}" or not raw.kind.endswith("List"):
        return b""
    kind = encode(raw.kind.removesuffix("List"))
    return b'{"apiVersion":' + encode(raw.api_version) + b',"kind":' + kind + b","
