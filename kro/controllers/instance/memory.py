"""What was applied to which live version: the reason why most applies need not be sent.

Kept per instance, lost with the process; a new process compares values and ownership instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias, cast

import orjson

from kro.controllers.instance.ownership import holds, owned_fields, owned_values
from kro.refs import GVR, JsonObject, NamespacedName

ChildKey: TypeAlias = tuple[GVR, NamespacedName]


@dataclass(frozen=True, slots=True)
class Written:
    """One object as an apply left it."""

    desired: bytes
    """Digest of what was applied."""
    uid: str
    resource_version: str
    owned: bytes
    """Digest of the fields that our manager owned afterwards, with their values.

    Empty when some of them cannot be seen: then only the very same version needs no apply.
    """


class Memory:
    """What passes over the instances of one kind applied last, and how often they failed to."""

    def __init__(self) -> None:
        self._written: dict[NamespacedName, dict[ChildKey, Written]] = {}
        self._failures: dict[NamespacedName, tuple[int, int]] = {}
        """Generation, and passes over it that failed one after the other."""

    def holds(
        self, instance: NamespacedName, key: ChildKey, desired: JsonObject, live: JsonObject
    ) -> bool:
        """Return whether an apply of `desired` would change nothing in `live`.

        True when this was applied to this version already, when what our field manager owns is
        unchanged since, or when values and ownership show it. What cannot be written is held by
        nothing: the attempt will say why.
        """
        digest = _digest(desired)
        if not digest:
            return False
        uid, version = _version(live)
        known = self._written.get(instance, {}).get(key)
        if known is not None and known.desired == digest and known.uid == uid:
            if known.resource_version == version:
                return True
            if known.owned and known.owned == _owned(live):
                self._put(instance, key, Written(digest, uid, version, known.owned))
                return True
        if holds(desired, live, owned_fields(live)):
            self._put(instance, key, Written(digest, uid, version, _owned(live)))
            return True
        return False

    def note(
        self, instance: NamespacedName, key: ChildKey, desired: JsonObject, answer: JsonObject
    ) -> None:
        """Remember that `desired` was applied, and what the API server made of it."""
        self._put(instance, key, Written(_digest(desired), *_version(answer), _owned(answer)))

    def keep_only(self, instance: NamespacedName, keys: Collection[ChildKey]) -> None:
        """Forget the instance's children that are not among `keys`."""
        written = self._written.get(instance)
        if written is not None and len(written) > len(keys):
            self._written[instance] = {key: written[key] for key in keys if key in written}

    def failed(self, instance: NamespacedName, generation: int) -> int:
        """Count a pass that could not do its work; return how many did so since it was edited."""
        known, count = self._failures.get(instance, (generation, 0))
        count = count + 1 if known == generation else 1
        self._failures[instance] = (generation, count)
        return count

    def succeeded(self, instance: NamespacedName) -> None:
        """Forget the failures of an instance."""
        self._failures.pop(instance, None)

    def forget(self, instance: NamespacedName) -> None:
        """Forget everything about an instance."""
        self._written.pop(instance, None)
        self._failures.pop(instance, None)

    def _put(self, instance: NamespacedName, key: ChildKey, written: Written) -> None:
        self._written.setdefault(instance, {})[key] = written


def _digest(value: object) -> bytes:
    """Return a digest of what a JSON value says; empty when it cannot be written as JSON."""
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return b""
    return hashlib.blake2b(data, digest_size=16).digest()


def _owned(live: JsonObject) -> bytes:
    """Return the digest of what our field manager owns; empty when it cannot be seen."""
    fields = owned_fields(live)
    if fields is None:
        return b""
    try:
        return _digest([fields, owned_values(live, fields)])
    except LookupError:
        return b""


def _version(live: JsonObject) -> tuple[str, str]:
    metadata = cast("JsonObject", live["metadata"])
    return str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or "")
