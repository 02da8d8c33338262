"""The gauge of conditions says how long each has been so, and ends with what it is about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kro.metrics.conditions import ConditionAges
from kro.refs import JsonObject, NamespacedName

GVR_ = "kro.run/v1alpha1, Resource=webs"
NAME = NamespacedName("team-a", "web")
NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC).timestamp()


def ready(status: str = "True", since: str | None = "2026-01-01T00:00:00Z") -> JsonObject:
    """Return the condition Ready."""
    return {"type": "Ready", "status": status, "reason": "Why", "lastTransitionTime": since}


def ages(conditions: ConditionAges) -> dict[tuple[str, str, str], float]:
    """Return the age by instance, type and status."""
    return {
        (s.labels["name"], s.labels["condition_type"], s.labels["condition_status"]): s.value
        for family in conditions.collect()
        for s in family.samples
    }


@pytest.mark.parametrize(
    ("since", "age"),
    [
        pytest.param("2026-01-01T00:00:00Z", 60.0, id="a minute ago"),
        pytest.param("2026-01-01T01:00:30+01:00", 30.0, id="another time zone"),
        pytest.param("2026-01-01T00:02:00Z", 0.0, id="in the future: not below zero"),
        pytest.param("0001-01-01T00:00:00Z", 0.0, id="zero time: from first sight"),
        pytest.param(None, 0.0, id="none: from first sight"),
        pytest.param("yesterday", 0.0, id="no time: from first sight"),
    ],
)
def test_age_is_the_time_since_the_last_transition(since: str | None, age: float) -> None:
    """Spec 1.13: computed at scrape, clamped at 0; a zero time anchors at first sight."""
    conditions = ConditionAges(lambda: NOW)

    conditions.show(GVR_, NAME, [ready(since=since)])

    assert ages(conditions) == {("web", "Ready", "True"): age}


def test_an_anchor_stays_until_the_status_changes() -> None:
    """What has no time of its own counts from when it was first seen so."""
    at = [NOW]
    conditions = ConditionAges(lambda: at[0])
    conditions.show(GVR_, NAME, [ready(since=None)])

    at[0] += 10
    conditions.show(GVR_, NAME, [ready(since=None)])
    unchanged = ages(conditions)
    conditions.show(GVR_, NAME, [ready("False", since=None)])

    assert unchanged == {("web", "Ready", "True"): 10.0}
    assert ages(conditions) == {("web", "Ready", "False"): 0.0}


def test_there_is_one_series_a_condition_and_it_goes_with_it() -> None:
    """Spec §8.2: dropped when the condition, the instance or the kind disappears."""
    conditions = ConditionAges(lambda: NOW)
    other = NamespacedName("team-a", "other")
    conditions.show(GVR_, NAME, [ready(), {"type": "Synced", "status": "True"}])
    conditions.show(GVR_, other, [ready()])

    conditions.show(GVR_, NAME, [ready("False")])
    of_one = ages(conditions)
    conditions.show(GVR_, NAME, [])
    conditions.show(GVR_, NamespacedName("team-a", "never-seen"), [])
    of_other = ages(conditions)
    conditions.forget_kind(GVR_)

    assert set(of_one) == {("web", "Ready", "False"), ("other", "Ready", "True")}
    assert set(of_other) == {("other", "Ready", "True")}
    assert ages(conditions) == {}
