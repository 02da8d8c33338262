"""kro's own conditions of an instance: what each says, and how `Ready` follows from the others.

Source: spec instance-runtime.md §6.3, api-and-operations.md §5.1, §5.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, cast

from kro.refs import JsonObject

READY: Final = "Ready"


class ConditionType(StrEnum):
    """The conditions that `Ready` depends on."""

    MANAGED = "InstanceManaged"
    RESOLVED = "GraphResolved"
    RESOURCES = "ResourcesReady"


BUILT_IN: Final = frozenset({READY, *ConditionType})


class ConditionStatus(StrEnum):
    """Values of a condition's `status`."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class BuiltInConditions:
    """The four built-in conditions of one instance during one pass.

    Args:
        persisted: conditions as the API server holds them; other types are ignored.
        created: the instance's creationTimestamp, the transition time of a condition that is new.
        now: RFC 3339, UTC, whole seconds.
        deleting: whether a change of one condition carries all others to the new generation.
    """

    def __init__(
        self,
        persisted: Iterable[JsonObject],
        *,
        generation: int,
        created: str,
        now: str,
        deleting: bool = False,
    ) -> None:
        self._generation = generation
        self._created = created
        self._now = now
        self._deleting = deleting
        self._entries: list[JsonObject] = []
        for condition in persisted:
            known = {str(entry["type"]) for entry in self._entries}
            if condition.get("type") in BUILT_IN - known:
                self._entries.append(dict(condition))
        for name in (READY, *ConditionType):
            if self._find(name) is None:
                self._entries.append(
                    self._entry(
                        name,
                        ConditionStatus.UNKNOWN,
                        "AwaitingReconciliation",
                        f'condition "{name}" is awaiting reconciliation',
                        created,
                    )
                )
        self._sort()

    def set(self, name: ConditionType, status: ConditionStatus, reason: str, message: str) -> None:
        """State a condition for the current generation, and let `Ready` follow."""
        if self._put(name, status, reason, message):
            self._follow()

    def as_list(self) -> list[JsonObject]:
        """Return the conditions as they go on the wire: by last transition, `Ready` last."""
        return [dict(entry) for entry in self._entries]

    @property
    def is_ready(self) -> bool:
        """Whether `Ready` is True for the current generation."""
        ready = cast("JsonObject", self._find(READY))
        return ready["status"] == ConditionStatus.TRUE and self._is_current(ready)

    def _entry(
        self, name: str, status: str, reason: str, message: str, transition: object
    ) -> JsonObject:
        entry: JsonObject = {
            "type": str(name),
            "status": str(status),
            "reason": reason,
            "message": message,
            "lastTransitionTime": cast("str", transition),
        }
        if self._generation:
            entry["observedGeneration"] = self._generation
        return entry

    def _find(self, name: str) -> JsonObject | None:
        return next((entry for entry in self._entries if entry.get("type") == name), None)

    def _is_current(self, entry: JsonObject) -> bool:
        return entry.get("observedGeneration", 0) == self._generation

    def _put(self, name: str, status: str, reason: str, message: str) -> bool:
        old = cast("JsonObject", self._find(name))
        same = old.get("status") == status
        transition = (old.get("lastTransitionTime") or self._created) if same else self._now
        new = self._entry(name, status, reason, message, transition)
        if new == old:
            return False
        self._entries.remove(old)
        self._entries.append(new)
        if self._deleting and self._generation:
            for entry in self._entries:
                entry["observedGeneration"] = self._generation
        self._sort()
        return True

    def _sort(self) -> None:
        self._entries.sort(
            key=lambda entry: (entry["type"] == READY, str(entry.get("lastTransitionTime") or ""))
        )

    def _follow(self) -> None:
        dependents = [cast("JsonObject", self._find(name)) for name in ConditionType]
        unhealthy = [
            entry
            for entry in dependents
            if entry["status"] != ConditionStatus.TRUE or not self._is_current(entry)
        ]
        if not unhealthy:
            self._put(READY, ConditionStatus.TRUE, READY, "")
            return
        unhealthy.sort(key=lambda entry: str(entry.get("lastTransitionTime") or ""), reverse=True)
        for status in (ConditionStatus.FALSE, ConditionStatus.UNKNOWN):
            for entry in unhealthy:
                if entry["status"] == status:
                    reason, message = (
                        str(entry.get("reason") or ""),
                        str(entry.get("message") or ""),
                    )
                    self._put(READY, status, reason, message)
                    return
