"""The status of an instance: put together from scratch, written only when it differs.

Source: spec instance-runtime.md §6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

import orjson

from kro.controllers.instance.conditions import BUILT_IN
from kro.controllers.instance.kind import Kind
from kro.controllers.instance.parent import name_of_instance
from kro.graph.evaluation import InstanceState, wire_number
from kro.refs import JsonObject, JsonValue, NamespacedName
from kro.runtime.client import ConflictError, NotFoundError

_ATTEMPTS = 5
_ATTEMPT_DELAY_S = 0.01


def status_of(live: JsonObject) -> JsonObject:
    """Return the status that an instance carries, empty if it has none."""
    status = live.get("status")
    return status if isinstance(status, dict) else {}


def conditions_of(live: JsonObject) -> list[JsonObject]:
    """Return the conditions that an instance carries; what is no condition is ignored."""
    found = status_of(live).get("conditions")
    return [
        entry
        for entry in (found if isinstance(found, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("type"), str)
    ]


def whole(state: InstanceState, conditions: list[JsonObject], fields: JsonObject) -> JsonObject:
    """Return a status of kro's own entries and the author's fields."""
    return {**fields, "state": str(state), "conditions": cast("JsonValue", conditions)}


def with_author_conditions(persisted: Iterable[JsonObject], own: JsonObject) -> list[JsonObject]:
    """Return the author's conditions as they are, with one of kro's in front.

    Of conditions with kro's type the author's gives way: an instance that is being deleted says so.
    """
    return [own, *(entry for entry in persisted if entry.get("type") != own["type"])]


def has_author_conditions(live: JsonObject) -> bool:
    """Return whether the conditions on an instance are its author's rather than kro's own."""
    return any(entry["type"] not in BUILT_IN for entry in conditions_of(live))


def is_equal(left: JsonObject, right: JsonObject) -> bool:
    """Return whether two statuses are the same JSON; 3 and 3.0 are."""
    return _canonical(left) == _canonical(right)


def _canonical(status: JsonObject) -> bytes:
    return orjson.dumps(wire_number(status), option=orjson.OPT_SORT_KEYS)


async def write_status(kind: Kind, live: JsonObject, status: JsonObject) -> JsonObject:
    """Return the instance with this status; nothing is sent when it carries it already.

    The write is based on the version in hand and repeated on a fresh one when that was outdated.
    It is given up when the instance has another spec by now, or is another one: what is to be
    written is about the past, and the pass that the change has called will do better.

    Raises:
        ClusterError: the write failed, or kept colliding with writes of others.
    """
    before, name = live, name_of_instance(live)
    for attempt in range(_ATTEMPTS):
        if is_equal(status_of(live), status):
            return live
        try:
            with kind.instances.writing(name):
                answer = await kind.client.update(
                    kind.mapped.gvr, name, {**live, "status": status}, subresource="status"
                )
        except NotFoundError:
            return live
        except ConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
            fresh = await _fresher(kind, name, live)
            if fresh is None or _identity(fresh) != _identity(live):
                return live
            live = fresh
            continue
        kind.instances.observe(answer, writer=kind.key(name))
        _report(kind, before, answer)
        return answer
    return live


async def _fresher(kind: Kind, name: NamespacedName, live: JsonObject) -> JsonObject | None:
    """Return a newer version: from the store if it has come there, else from the server."""
    await asyncio.sleep(_ATTEMPT_DELAY_S)
    known = kind.instances.get(name)
    if known is None or _version(known) != _version(live):
        return known
    try:
        return await kind.client.get(kind.mapped.gvr, name)
    except NotFoundError:
        return None


def _identity(live: JsonObject) -> tuple[object, object]:
    metadata = cast("JsonObject", live["metadata"])
    return metadata.get("uid"), metadata.get("generation")


def _version(live: JsonObject) -> object:
    return cast("JsonObject", live["metadata"]).get("resourceVersion")


def _report(kind: Kind, before: JsonObject, after: JsonObject) -> None:
    old, new = status_of(before).get("state"), status_of(after).get("state")
    if old != new:
        kind.metrics.state_changed(kind.gvk, str(old or ""), str(new or ""))
    if kind.settings.condition_metrics:
        kind.metrics.conditions_persisted(
            kind.mapped.gvr, name_of_instance(after), conditions_of(after)
        )
    if kind.settings.condition_events and kind.recorder is not None:
        _record_events(kind, before, after)


def _record_events(kind: Kind, before: JsonObject, after: JsonObject) -> None:
    statuses = {str(entry["type"]): entry.get("status") for entry in conditions_of(before)}
    for entry in conditions_of(after):
        name, status = str(entry["type"]), entry.get("status")
        old = statuses.get(name)
        if kind.recorder is not None and old != status:
            kind.recorder.event(
                after,
                type="Normal" if status == "True" else "Warning",
                reason=name,
                note=f"{old or 'none'} -> {status}: {entry.get('reason') or ''}",
            )
