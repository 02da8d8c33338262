"""Which events of an object concern its own controller, and how they reach its queue.

Source: spec "Controller runtime" 1.5, P-067, P-068.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from kro.refs import JsonObject, NamespacedName
from kro.runtime.controller import Controller
from kro.runtime.shared_informer import Event, Handler
from kro.runtime.stored import Stored
from kro.runtime.workqueue import Priority

Wants: TypeAlias = Callable[["JsonObject | None", "JsonObject | None"], bool]
"""Told the old and the new state of an object (None: there was or is none): is a pass needed?"""


def spec_changed(old: JsonObject | None, new: JsonObject | None) -> bool:
    """Tell whether the object came, went, began to go, or has another spec.

    While it is being deleted, a finalizer that somebody took away counts too. Status, labels and
    annotations do not.
    """
    if old is None or new is None:
        return True
    before, after = _metadata(old), _metadata(new)
    if before.get("generation") != after.get("generation"):
        return True
    if before.get("uid") != after.get("uid"):
        return True
    if "deletionTimestamp" not in after:
        return False
    return "deletionTimestamp" not in before or before.get("finalizers") != after.get("finalizers")


def any_change(old: JsonObject | None, new: JsonObject | None) -> bool:
    """Tell that every event needs a pass."""
    return True


def enqueue_object(controller: Controller, *, wants: Wants = spec_changed) -> Handler:
    """Return a handler that brings an object's own events to its controller's queue.

    What was there already comes at the lowest priority, what happens at the highest.
    """

    def handle(event: Event) -> None:
        if event.initial:
            controller.enqueue(event.name, Priority.SWEEP)
        elif event.doubted or wants(_object(event.old), _object(event.new)):
            controller.enqueue(event.name, Priority.CHANGE)

    return handle


def enqueue_mapped(
    controller: Controller, keys: Callable[[Stored], Iterable[NamespacedName]]
) -> Handler:
    """Return a handler that wakes the keys which an object names, or named before the change."""

    def handle(event: Event) -> None:
        woken = dict.fromkeys(keys(event.old)) if event.old is not None else {}
        if event.new is not None:
            woken |= dict.fromkeys(keys(event.new))
        for key in woken:
            controller.enqueue(key, Priority.SWEEP if event.initial else Priority.EVENT)

    return handle


def _object(stored: Stored | None) -> JsonObject | None:
    return None if stored is None else stored.object()


def _metadata(obj: JsonObject) -> JsonObject:
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
