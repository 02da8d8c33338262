"""A root condition and the ones it depends on, as one pass sees and changes them.

Source: spec "API surface and operations" §5.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from kro.refs import JsonObject, JsonValue

Status: TypeAlias = Literal["True", "False", "Unknown"]

READY: Final = "Ready"
AWAITING: Final = "AwaitingReconciliation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One typed status fact. An empty `reason` is left out on the wire; `message` may be None."""

    type: str
    status: str
    reason: str = ""
    message: str | None = None
    observed_generation: int = 0
    last_transition_time: str = ""

    @classmethod
    def parse(cls, wire: Mapping[str, JsonValue]) -> Condition | None:
        """Return the condition that the entry holds, or None where it is no condition."""
        kind, status = wire.get("type"), wire.get("status")
        generation = wire.get("observedGeneration", 0)
        texts = [wire.get(key, "") for key in ("reason", "lastTransitionTime")]
        message = wire.get("message")
        if not isinstance(kind, str) or not isinstance(status, str) or not kind:
            return None
        if not isinstance(generation, int) or not all(isinstance(text, str) for text in texts):
            return None
        return cls(
            type=kind,
            status=status,
            reason=str(texts[0]),
            message=message if isinstance(message, str) else None,
            observed_generation=generation,
            last_transition_time=str(texts[1]),
        )

    def wire(self) -> JsonObject:
        """Return the entry as it stands in `status.conditions`."""
        entry: JsonObject = {"type": self.type, "status": self.status}
        if self.reason:
            entry["reason"] = self.reason
        if self.message is not None:
            entry["message"] = self.message
        if self.last_transition_time:
            entry["lastTransitionTime"] = self.last_transition_time
        if self.observed_generation:
            entry["observedGeneration"] = self.observed_generation
        return entry


class ConditionSet:
    """The conditions of one object for the length of one pass: `Ready` and its dependents.

    Every dependent is there from the start, `Unknown` where it was not yet decided. Setting one
    stamps the object's generation, moves its time only with its status, and recomputes `Ready`:
    True when all dependents are True for this generation; else what the most recently changed
    False one says, else the most recently changed Unknown one. Dependents that are True but of an
    older generation leave `Ready` as it is.

    Args:
        owner: the object: generation, creation time and deletion come from its metadata.
        stored: the entries that the object has now; what is no condition is dropped.
        now: RFC 3339, whole seconds, UTC.
    """

    def __init__(
        self,
        dependents: Iterable[str],
        *,
        owner: Mapping[str, JsonValue],
        stored: Iterable[JsonValue],
        now: str,
        retired: Iterable[str] = (),
    ) -> None:
        metadata = owner.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        generation = metadata.get("generation", 0)
        self._generation = generation if isinstance(generation, int) else 0
        self._created = str(metadata.get("creationTimestamp", now))
        self._deleting = "deletionTimestamp" in metadata
        self._now = now
        self._dependents = tuple(str(kind) for kind in dependents)
        dropped = frozenset(retired)
        self._all: list[Condition] = []
        for entry in stored:
            condition = Condition.parse(entry) if isinstance(entry, dict) else None
            if condition is None or condition.type in dropped or self.get(condition.type):
                continue  # of two entries of one type, the first counts
            self._all.append(condition)
        for kind in (*self._dependents, READY):
            if self.get(kind) is None:
                self._put(
                    Condition(
                        type=kind,
                        status="Unknown",
                        reason=AWAITING,
                        message=f'condition "{kind}" is awaiting reconciliation',
                        observed_generation=self._generation,
                        last_transition_time=self._created,
                    )
                )

    @property
    def generation(self) -> int:
        """The object's generation, which every condition that is set now carries."""
        return self._generation

    def get(self, kind: str) -> Condition | None:
        """Return the condition of that type."""
        return next((c for c in self._all if c.type == kind), None)

    def is_true(self, kind: str) -> bool:
        """Whether that condition is True, of whatever generation."""
        condition = self.get(kind)
        return condition is not None and condition.status == "True"

    @property
    def ready(self) -> bool:
        """Whether `Ready` is True for the current generation."""
        root = self.get(READY)
        return (
            root is not None
            and root.status == "True"
            and root.observed_generation == self._generation
        )

    def set(self, kind: str, status: Status, reason: str, message: str = "") -> None:
        """Make the condition say this, for the current generation, and recompute `Ready`."""
        if self._set(kind, status, reason, message) and kind != READY:
            self._roll_up()

    def wire(self) -> list[JsonValue]:
        """Return the entries: by time of change, `Ready` last."""
        return [condition.wire() for condition in self._all]

    def _set(self, kind: str, status: str, reason: str, message: str) -> bool:
        before = self.get(kind)
        if before is not None:
            since = before.last_transition_time if before.status == status else self._now
        else:
            since = self._created if kind in (*self._dependents, READY) else self._now
        after = Condition(
            type=str(kind),  # expressions read conditions, and know no enumerations
            status=status,
            reason=reason,
            message=message,
            observed_generation=self._generation,
            last_transition_time=since,
        )
        if after == before:
            return False
        if self._deleting:
            self._all = [replace(c, observed_generation=self._generation) for c in self._all]
        self._put(after)
        return True

    def _put(self, condition: Condition) -> None:
        others = [c for c in self._all if c.type != condition.type]
        self._all = sorted(
            (*others, condition), key=lambda c: (c.type == READY, c.last_transition_time)
        )

    def _roll_up(self) -> None:
        mine = [c for c in self._all if c.type in self._dependents]
        unhealthy = [
            c for c in mine if c.status != "True" or c.observed_generation != self._generation
        ]
        if not unhealthy:
            self._set(READY, "True", "Ready", "")
            return
        latest_first = sorted(unhealthy, key=lambda c: c.last_transition_time, reverse=True)
        for status in ("False", "Unknown"):
            decisive = next((c for c in latest_first if c.status == status), None)
            if decisive is not None:
                self._set(READY, status, decisive.reason, decisive.message or "")
                return
