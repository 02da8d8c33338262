"""One version of one object as it lies in a store: JSON text plus what routing needs.

Why text and not a tree of dicts: a decoded object costs five to ten times its text, keeps the
garbage collector busy, and could be changed by a reader. Text is compact, cannot be changed, and
decodes in microseconds when a pass wants to read it; most objects are never read between two
events. What every event needs (name, version, labels, generation) is decoded once and shared.

Source: spec "Controller runtime" P-047…P-050, 3.3.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Final, TypeAlias

import msgspec
import orjson

from kro.refs import JsonObject, NamespacedName
from kro.runtime.client.wire import Buffer, decode_object

Transform: TypeAlias = Callable[[bytes], bytes]
"""Makes of an object's JSON text the text that is kept: the same object, with less in it."""

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_LAST_APPLIED: Final = LAST_APPLIED.encode()
_MANAGED_FIELDS: Final = b'"managedFields":'


class _ObjectMeta(msgspec.Struct, rename="camel", gc=False):
    name: str
    resource_version: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None


class _Object(msgspec.Struct, gc=False):
    metadata: _ObjectMeta


class _Ownership(msgspec.Struct, rename="camel", gc=False):
    managed_fields: msgspec.Raw = msgspec.Raw()


class _OwnedObject(msgspec.Struct, gc=False):
    metadata: _Ownership


class _FieldManager(msgspec.Struct, gc=False):
    manager: str = ""


_OBJECT: Final = msgspec.json.Decoder(_Object)
_OWNED_OBJECT: Final = msgspec.json.Decoder(_OwnedObject)
_RAW_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_FIELD_MANAGER: Final = msgspec.json.Decoder(_FieldManager)


class Stored(msgspec.Struct, frozen=True, gc=False):
    """One version of one object; compact, and never changed.

    Shape: `flat_labels` is key, value, key, value, …; `data` is the object's JSON text after the
    informer's transform.
    """

    name: NamespacedName
    resource_version: str
    uid: str
    generation: int
    deleting: bool
    flat_labels: tuple[str, ...]
    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Stored:
        """Return the object that a JSON text holds.

        Raises:
            ValueError: the text is no JSON object with `metadata.name`.
        """
        meta = _OBJECT.decode(data).metadata
        labels = meta.labels
        return cls(
            NamespacedName(sys.intern(meta.namespace), meta.name),
            meta.resource_version,
            meta.uid,
            meta.generation,
            meta.deletion_timestamp is not None,
            tuple(map(sys.intern, chain.from_iterable(labels.items()))) if labels else (),
            data,
        )

    def label(self, key: str) -> str | None:
        """Return the value of one label, or None when the object does not carry it."""
        flat = self.flat_labels
        for at in range(0, len(flat), 2):
            if flat[at] == key:
                return flat[at + 1]
        return None

    def labels(self) -> dict[str, str]:
        """Return all labels."""
        flat = self.flat_labels
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def object(self) -> JsonObject:
        """Return the object, decoded anew: the caller may do with it what it likes."""
        return decode_object(self.data)


def decoder(transform: Transform) -> Callable[[Buffer], Stored]:
    """Return what makes stored objects of the texts that come from the wire."""

    def decode(data: Buffer) -> Stored:
        return Stored.of(transform(bytes(data)))

    return decode


def strip(data: bytes) -> bytes:
    """Return the text without managedFields and without the last-applied annotation."""
    return _keep(data, ())


@cache
def keep_managed_fields(*managers: str) -> Transform:
    """Return a transform like `strip` that keeps the managedFields entries of these managers.

    The same managers give the same transform, so that informers can be shared.
    """

    def keep(data: bytes) -> bytes:
        return _keep(data, managers)

    return keep


def on_object(change: Callable[[JsonObject], JsonObject]) -> Transform:
    """Return a transform that works on the decoded object: simple, and some times slower."""

    def transform(data: bytes) -> bytes:
        return _encode(change(decode_object(data)))

    return transform


def _encode(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:  # deeper than orjson writes, though not deeper than it reads
        raise ValueError("the object cannot be written as JSON again") from error


def _keep(data: bytes, managers: Sequence[str]) -> bytes:
    if _LAST_APPLIED in data:
        data = _without_last_applied(data)
    entries = bytes(_OWNED_OBJECT.decode(data).metadata.managed_fields)
    if not entries or entries == b"null":
        return data
    kept = [
        bytes(entry)
        for entry in (_RAW_LIST.decode(entries) if managers else ())
        if _FIELD_MANAGER.decode(entry).manager in managers
    ]
    return _splice(data, entries, b"[" + b",".join(kept) + b"]" if kept else b"")


def _splice(data: bytes, entries: bytes, kept: bytes) -> bytes:
    """Put `kept` in the place of the managedFields' value, or cut the whole field when it is empty.

    The text is cut where it stands when the field can be found beyond doubt, which is so for
    everything that an API server writes; otherwise it is decoded and encoded again.
    """
    start = data.find(_MANAGED_FIELDS)
    value = start + len(_MANAGED_FIELDS)
    end = value + len(entries)
    if start < 0 or not data.startswith(entries, value) or data.find(_MANAGED_FIELDS, end) >= 0:
        return _splice_slowly(data, kept)
    if kept:
        return b"".join((data[:value], kept, data[end:]))
    if data[end : end + 1] == b",":
        end += 1
    elif data[start - 1 : start] == b",":
        start -= 1
    return data[:start] + data[end:]


def _splice_slowly(data: bytes, kept: bytes) -> bytes:
    value = orjson.loads(data)
    if kept:
        value["metadata"]["managedFields"] = orjson.loads(kept)
    else:
        del value["metadata"]["managedFields"]
    return _encode(value)


def _without_last_applied(data: bytes) -> bytes:
    value = orjson.loads(data)
    annotations = value.get("metadata", {}).get("annotations")
    if isinstance(annotations, dict) and annotations.pop(LAST_APPLIED, None) is not None:
        if not annotations:
            del value["metadata"]["annotations"]
        return _encode(value)
    return data
