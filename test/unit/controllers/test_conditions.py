"""`Ready` follows its dependents, and times move with the status alone."""

from __future__ import annotations

from enum import StrEnum

from kro.controllers.conditions import ConditionSet
from kro.refs import JsonObject, JsonValue

CREATED = "2026-01-01T00:00:00Z"
NOW = "2026-01-01T00:00:10Z"
LATER = "2026-01-01T00:00:20Z"


def _owner(generation: int = 1, *, deleting: bool = False) -> JsonObject:
    metadata: JsonObject = {"generation": generation, "creationTimestamp": CREATED}
    if deleting:
        metadata["deletionTimestamp"] = NOW
    return {"metadata": metadata}


def _set(
    stored: list[JsonValue] | None = None,
    *,
    generation: int = 1,
    now: str = NOW,
    deleting: bool = False,
) -> ConditionSet:
    return ConditionSet(
        ("A", "B"), owner=_owner(generation, deleting=deleting), stored=stored or (), now=now
    )


def test_missing_conditions_start_unknown_at_creation() -> None:
    """Every dependent and the root exist from the first pass on."""
    wire = _set().wire()

    assert [(c["type"], c["status"], c["reason"]) for c in wire] == [  # type: ignore[call-overload, index]
        ("A", "Unknown", "AwaitingReconciliation"),
        ("B", "Unknown", "AwaitingReconciliation"),
        ("Ready", "Unknown", "AwaitingReconciliation"),
    ]
    assert {c["lastTransitionTime"] for c in wire} == {CREATED}  # type: ignore[call-overload, index]


def test_ready_when_all_are_true_for_this_generation() -> None:
    """The root is True with the reason `Ready` and an empty message that is present."""
    conditions = _set()

    conditions.set("A", "True", "Fine")
    conditions.set("B", "True", "Fine")

    assert conditions.ready
    assert conditions.wire()[-1] == {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": NOW,
        "observedGeneration": 1,
    }


def test_false_wins_over_unknown_and_the_latest_wins_among_equals() -> None:
    """The root copies status, reason and message of the decisive dependent."""
    conditions = _set()

    conditions.set("A", "False", "Broken", "a is broken")

    root = conditions.get("Ready")
    assert root is not None
    assert (root.status, root.reason, root.message) == ("False", "Broken", "a is broken")

    later = _set(conditions.wire(), now=LATER)
    later.set("B", "False", "Worse", "b is worse")

    root = later.get("Ready")
    assert root is not None
    assert root.reason == "Worse"


def test_true_but_stale_dependents_leave_the_root() -> None:
    """After a spec change the root keeps its value until a dependent is judged again."""
    first = _set()
    first.set("A", "True", "Fine")
    first.set("B", "True", "Fine")

    second = _set(first.wire(), generation=2, now=LATER)
    second.set("A", "True", "Fine")

    root = second.get("Ready")
    assert root is not None
    assert (root.status, root.observed_generation) == ("True", 1)
    assert not second.ready


def test_time_moves_only_with_the_status() -> None:
    """A new reason or generation is no transition."""
    first = _set()
    first.set("A", "False", "Broken", "x")

    second = _set(first.wire(), generation=2, now=LATER)
    second.set("A", "False", "StillBroken", "y")

    condition = second.get("A")
    assert condition is not None
    assert condition.last_transition_time == NOW
    assert condition.observed_generation == 2


def test_setting_what_is_there_changes_nothing() -> None:
    """A pass that finds the same facts writes the same list."""
    first = _set()
    first.set("A", "True", "Fine")
    before = first.wire()

    again = _set(before, now=LATER)
    again.set("A", "True", "Fine")

    assert again.wire() == before


def test_deletion_raises_the_generation_of_all() -> None:
    """While the object is deleted, every condition follows its generation."""
    first = _set()
    first.set("A", "True", "Fine")

    second = _set(first.wire(), generation=2, now=LATER, deleting=True)
    second.set("B", "Unknown", "UnderDeletion")

    assert {c["observedGeneration"] for c in second.wire()} == {2}  # type: ignore[call-overload, index]


def test_entries_that_are_no_conditions_are_dropped() -> None:
    """What somebody else wrote into the list does not break a pass."""
    conditions = _set([None, {"type": "A"}, {"type": 3, "status": "True"}, "x"])

    assert [c["type"] for c in conditions.wire()] == ["A", "B", "Ready"]  # type: ignore[call-overload, index]


def test_types_are_plain_text_whatever_names_them() -> None:
    """Expressions read conditions: an enumeration's member would be no string to them."""

    class Kind(StrEnum):
        A = "A"

    conditions = ConditionSet(Kind, owner=_owner(), stored=(), now=NOW)
    conditions.set(Kind.A, "True", "Fine")

    assert {type(c["type"]) for c in conditions.wire()} == {str}  # type: ignore[call-overload, index]
