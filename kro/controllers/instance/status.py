"""The status of an instance: put together from scratch, written only when it differs.

Source: spec instance-runtime.md §6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from kro.controllers.instance.conditions import BUILT_IN
from kro.controllers.instance.kind import Kind
from kro.controllers.instance.ownership import is_same
from kro.controllers.instance.parent import name_of_instance
from kro.graph.evaluation import InstanceState
from kro.logs import verbosity
from kro.refs import JsonObject, JsonValue, NamespacedName
from kro.runtime.client import ConflictError, NotFoundError

_ATTEMPTS = 5
_STREAM_WAIT_S = 0.01
"""How long the watch may take to bring the version that a write collided with; then we read it."""


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
        if is_same(status_of(live), status):
            return live
        try:
            with kind.instances.writing(name):
                answer = await kind.client.update(
                    kind.mapped.gvr, name, _only_status(live, status), subresource="status"
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


def _only_status(live: JsonObject, status: JsonObject) -> JsonObject:
    """Return what a write of the status says; the API server looks at nothing else of the object.

    So no spec, however large or deep, stands in the way of a word to its author.
    """
    metadata = cast("JsonObject", live["metadata"])
    kept = ("name", "namespace", "uid", "resourceVersion")
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "status": status,
    }


async def _fresher(kind: Kind, name: NamespacedName, live: JsonObject) -> JsonObject | None:
    """Return a newer version: from the store if it has come there, else from the server."""
    if await kind.instances.wait_changed(name, _version(live), _STREAM_WAIT_S):
        return kind.instances.get(name)
    try:
        return await kind.client.get(kind.mapped.gvr, name)
    except NotFoundError:
        return None


def _identity(live: JsonObject) -> tuple[object, object]:
    metadata = cast("JsonObject", live["metadata"])
    return metadata.get("uid"), metadata.get("generation")


def _version(live: JsonObject) -> str:
    return str(cast("JsonObject", live["metadata"]).get("resourceVersion"))


def _report(kind: Kind, before: JsonObject, after: JsonObject) -> None:
    old, new = status_of(before).get("state"), status_of(after).get("state")
    if old != new:
        kind.metrics.state_changed(kind.gvk, str(old or ""), str(new or ""))
    if kind.settings.condition_metrics:
        kind.metrics.conditions_persisted(
            kind.mapped.gvr, name_of_instance(after), conditions_of(after)
        )
    if verbosity() >= 2 or kind.settings.condition_events:
        _tell_transitions(kind, before, after)


def _tell_transitions(kind: Kind, before: JsonObject, after: JsonObject) -> None:
    """Tell of every condition whose status is another now: to the log, and to the user."""
    statuses = {str(entry["type"]): entry.get("status") for entry in conditions_of(before)}
    for entry in conditions_of(after):
        condition, status = str(entry["type"]), entry.get("status")
        old, reason = statuses.get(condition) or "none", entry.get("reason") or ""
        if old == status:
            continue
        if kind.settings.condition_events and kind.recorder is not None:
            kind.recorder.event(
                after,
                type="Normal" if status == "True" else "Warning",
                reason=condition,
                note=f"{old} -> {status}: {reason}",
            )
        if verbosity() >= 2:
            name = name_of_instance(after)
            kind.log.debug(
                "condition changed",
                namespace=name.namespace,
                name=name.name,
                condition=condition,
                before=old,
                after=status,
                reason=reason,
            )
