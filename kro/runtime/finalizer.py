"""A finalizer holds an object's deletion back until what belongs to it is gone.

Both writes are JSON merge patches that carry the object's uid and resourceVersion: a list is
replaced whole by a merge patch, so it must be the list that was read.
"""

from __future__ import annotations

from collections.abc import Mapping

from kro.errors import ClusterError
from kro.refs import GVR, JsonObject, JsonValue, NamespacedName
from kro.runtime.client import Client, ConflictError, NotFoundError
from kro.runtime.informer import Informed

ATTEMPTS = 5
"""How often a write is tried on a fresh copy when others write the same object."""


def has_finalizer(manifest: Mapping[str, JsonValue], finalizer: str) -> bool:
    """Whether the object carries the finalizer."""
    return finalizer in _finalizers(manifest)


async def ensure_finalizer(
    client: Client, gvr: GVR, manifest: JsonObject, finalizer: str
) -> JsonObject:
    """Return the object with the finalizer on it; nothing is written where it is there.

    Raises:
        ConflictError: others kept writing the object.
        ClusterError: the write failed.
    """
    current = manifest
    problem: ClusterError | None = None
    for _ in range(ATTEMPTS):
        if has_finalizer(current, finalizer):
            return current
        try:
            wanted = [*_finalizers(current), finalizer]
            return await _write(client, gvr, current, wanted)
        except ConflictError as error:
            problem = error
            current = await client.get(gvr, _name(current))
    assert problem is not None
    raise problem


async def release_finalizer(
    client: Client,
    manifest: JsonObject,
    finalizer: str,
    *,
    store: Informed,
    writer: object | None = None,
) -> None:
    """Take the finalizer off an object that is being deleted; those of others stay.

    The store shows it at once: without the finalizer, or, if it was the last one, without the
    object. Another object of the same name is left alone.

    Args:
        store: the informer that the object was read from.
        writer: whose write it is: handlers of the store are told.

    Raises:
        ConflictError: others kept writing the object.
        ClusterError: the write failed.
    """
    gvr, name, uid = store.gvr, _name(manifest), str(_metadata(manifest).get("uid"))
    current = manifest
    problem: ClusterError | None = None
    for _ in range(ATTEMPTS):
        if not has_finalizer(current, finalizer):
            return
        left = [other for other in _finalizers(current) if other != finalizer]
        try:
            with store.writing(name):
                answer = await _write(client, gvr, current, left)
        except NotFoundError:
            return
        except ConflictError as error:
            problem = error
            try:
                current = await client.get(gvr, name)
            except NotFoundError:
                return
            if _metadata(current).get("uid") != uid:
                return
            continue
        if _finalizers(answer):
            store.observe(answer, writer=writer)
        else:
            store.forget(name, uid, writer=writer)
        return
    assert problem is not None
    raise problem


async def _write(
    client: Client, gvr: GVR, current: JsonObject, finalizers: list[str]
) -> JsonObject:
    metadata = _metadata(current)
    patch: JsonObject = {
        "metadata": {
            "finalizers": [*finalizers],
            "resourceVersion": metadata.get("resourceVersion"),
            "uid": metadata.get("uid"),
        }
    }
    return await client.patch(gvr, _name(current), patch)


def _finalizers(manifest: Mapping[str, JsonValue]) -> list[str]:
    finalizers = _metadata(manifest).get("finalizers")
    return [str(f) for f in finalizers] if isinstance(finalizers, list) else []


def _metadata(manifest: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    metadata = manifest.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _name(manifest: Mapping[str, JsonValue]) -> NamespacedName:
    metadata = _metadata(manifest)
    return NamespacedName(str(metadata.get("namespace", "")), str(metadata.get("name", "")))
