"""kro's own conditions, and how Ready follows."""

from __future__ import annotations

from kro.controllers.instance.conditions import (
    BuiltInConditions,
    ConditionStatus,
    ConditionType,
)
from kro.refs import JsonObject

CREATED, EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:09Z"
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def started(
    persisted: list[JsonObject] | None = None,
    *,
    generation: int = 1,
    now: str = EARLY,
    deleting: bool = False,
) -> BuiltInConditions:
    """Return the conditions at the start of a pass."""
    return BuiltInConditions(
        persisted or [], generation=generation, created=CREATED, now=now, deleting=deleting
    )


def healthy(*, generation: int = 1, now: str = EARLY) -> BuiltInConditions:
    """Return the conditions after a pass that found everything well."""
    conditions = started(generation=generation, now=now)
    for name in ConditionType:
        conditions.set(name, TRUE, "Fine", "all is well")
    return conditions


def by_type(conditions: BuiltInConditions) -> dict[str, JsonObject]:
    """Return the conditions by their type."""
    return {str(entry["type"]): entry for entry in conditions.as_list()}


def test_new_instance_awaits_reconciliation() -> None:
    """Every condition is there from the first pass on, unknown since the instance exists."""
    entries = started().as_list()
    assert [entry["type"] for entry in entries][-1] == "Ready"
    assert {entry["type"] for entry in entries} == {"Ready", *ConditionType}
    for entry in entries:
        assert entry["status"] == "Unknown"
        assert entry["reason"] == "AwaitingReconciliation"
        assert entry["message"] == f'condition "{entry["type"]}" is awaiting reconciliation'
        assert entry["lastTransitionTime"] == CREATED
        assert entry["observedGeneration"] == 1


def test_ready_follows_when_all_are_true() -> None:
    """Ready is True with an empty message, and the last of the list."""
    conditions = healthy()
    assert [entry["type"] for entry in conditions.as_list()] == [
        "InstanceManaged",
        "GraphResolved",
        "ResourcesReady",
        "Ready",
    ]
    assert by_type(conditions)["Ready"] == {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": EARLY,
        "observedGeneration": 1,
    }
    assert conditions.is_ready


def test_ready_copies_what_is_false_before_what_is_unknown() -> None:
    """A failure explains more than something not looked at yet."""
    conditions = started()
    conditions.set(ConditionType.MANAGED, TRUE, "Managed", "m")
    conditions.set(ConditionType.RESOURCES, FALSE, "NotReady", "no door")
    ready = by_type(conditions)["Ready"]
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "NotReady", "no door")
    assert not conditions.is_ready


def test_unknown_decides_while_nothing_is_false() -> None:
    """While an instance is deleted, Ready says so."""
    conditions = started(healthy().as_list(), generation=2, deleting=True)
    conditions.set(ConditionType.RESOURCES, UNKNOWN, "UnderDeletion", "deleting resources")
    ready = by_type(conditions)["Ready"]
    assert (ready["status"], ready["reason"]) == ("Unknown", "UnderDeletion")


def test_deletion_carries_all_conditions_to_the_new_generation() -> None:
    """What was true before the deletion is still true of the object being deleted."""
    conditions = started(healthy().as_list(), generation=2, deleting=True)
    conditions.set(ConditionType.RESOURCES, UNKNOWN, "UnderDeletion", "deleting resources")
    entries = by_type(conditions)
    assert {entry["observedGeneration"] for entry in entries.values()} == {2}
    assert entries["InstanceManaged"]["status"] == "True"


def test_transition_time_moves_with_the_status_only() -> None:
    """Another message or generation leaves the time of the last transition alone."""
    conditions = started(healthy().as_list(), generation=2, now=LATE)
    for name in ConditionType:
        conditions.set(name, TRUE, "Fine", "still well")
    assert {entry["lastTransitionTime"] for entry in conditions.as_list()} == {EARLY}
    conditions.set(ConditionType.RESOURCES, FALSE, "NotReady", "lost")
    entries = by_type(conditions)
    assert entries["ResourcesReady"]["lastTransitionTime"] == LATE
    assert entries["Ready"]["lastTransitionTime"] == LATE
    assert entries["GraphResolved"]["lastTransitionTime"] == EARLY


def test_stale_conditions_leave_ready_as_it_is() -> None:
    """A condition of an older generation is unhealthy, but says nothing new."""
    conditions = started(healthy().as_list(), generation=2, now=LATE)
    conditions.set(ConditionType.MANAGED, TRUE, "Fine", "all is well")
    ready = by_type(conditions)["Ready"]
    assert (ready["status"], ready["observedGeneration"]) == ("True", 1)
    assert not conditions.is_ready


def test_repeating_what_is_known_changes_nothing() -> None:
    """A settled instance keeps byte for byte the conditions it has."""
    before = healthy().as_list()
    conditions = started(before, now=LATE)
    for name in ConditionType:
        conditions.set(name, TRUE, "Fine", "all is well")
    assert conditions.as_list() == before


def test_types_of_others_vanish() -> None:
    """Only the four built-in types are written."""
    foreign: JsonObject = {"type": "AppReady", "status": "True"}
    assert "AppReady" not in by_type(started([foreign, *healthy().as_list()]))
