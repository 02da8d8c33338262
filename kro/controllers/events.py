"""Which events of a CRD or a revision wake the passes over other objects.

A pass takes the answers of its own writes into the stores at once, so it knows them: an own write
wakes everybody else that it concerns, and not the pass that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kro.controllers.crd import is_established, names_conflict
from kro.refs import JsonObject, JsonValue, NamespacedName
from kro.runtime import Controller, Event, Handler, Priority, Stored, Wants


def enqueue_concerned(
    controller: Controller,
    keys: Callable[[Stored], Iterable[NamespacedName]],
    *,
    wants: Wants | None = None,
) -> Handler:
    """Return a handler that wakes the keys which an object names, or named before the change.

    Args:
        wants: whether an event is worth anything; without it, each is.
    """

    def handle(event: Event) -> None:
        if wants is not None and not wants(_object(event.old), _object(event.new)):
            return
        woken = dict.fromkeys(keys(event.old)) if event.old is not None else {}
        if event.new is not None:
            woken |= dict.fromkeys(keys(event.new))
        woken.pop(event.writer, None)  # type: ignore[call-overload]  # a writer may be anything
        for key in woken:
            controller.enqueue(key, Priority.SWEEP if event.initial else Priority.EVENT)

    return handle


def crd_moved(old: JsonObject | None, new: JsonObject | None) -> bool:
    """Whether a CRD came, went, or changed in what definitions look at.

    The API server writes its status several times before it serves the kind; only whether it does,
    or why not, matters.
    """
    return old is None or new is None or _decisive(old) != _decisive(new)


def _decisive(crd: JsonObject) -> tuple[object, ...]:
    metadata = crd.get("metadata")
    kept: dict[str, JsonValue] = dict(metadata) if isinstance(metadata, dict) else {}
    kept.pop("resourceVersion", None)
    return kept, is_established(crd), names_conflict(crd)


def _object(stored: Stored | None) -> JsonObject | None:
    return None if stored is None else stored.object()
