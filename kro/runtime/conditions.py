"""Typed status facts, as every Kubernetes object carries them in `status.conditions`.

Source: Kubernetes API conventions, "Typical status properties".
"""

from __future__ import annotations

from collections.abc import Sequence

from kro.refs import JsonObject, JsonValue


def find_condition(conditions: Sequence[JsonValue], type: str) -> JsonObject | None:
    """Return the condition of this type, or None."""
    for condition in conditions:
        if isinstance(condition, dict) and condition.get("type") == type:
            return condition
    return None


def with_condition(
    conditions: Sequence[JsonValue],
    *,
    type: str,
    status: str,
    reason: str,
    message: str,
    generation: int,
    now: str,
) -> list[JsonValue]:
    """Return the conditions with this one set, in its place or at the end.

    `lastTransitionTime` moves only with the status; equal input gives equal output.
    """
    known = find_condition(conditions, type)
    moved = known is None or known.get("status") != status
    fact: JsonObject = {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": now
        if known is None or moved
        else known.get("lastTransitionTime", now),
    }
    if known is None:
        return [*conditions, fact]
    return [fact if condition is known else condition for condition in conditions]
