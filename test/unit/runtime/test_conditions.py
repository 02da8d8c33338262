from __future__ import annotations

from kro.refs import JsonValue
from kro.runtime import find_condition, with_condition


def ready(before: list[JsonValue], status: str, now: str, message: str = "") -> list[JsonValue]:
    return with_condition(
        before,
        type="Ready",
        status=status,
        reason="R",
        message=message,
        generation=2,
        now=now,
    )


def test_transition_time_moves_only_with_the_status() -> None:
    first = ready([], "False", "t1")
    second = ready(first, "False", "t2", message="other")
    third = ready(second, "True", "t3")

    times = [
        (find_condition(each, "Ready") or {})["lastTransitionTime"] for each in (second, third)
    ]
    assert times == ["t1", "t3"]


def test_other_conditions_and_the_input_are_left_alone() -> None:
    other: JsonValue = {"type": "Other", "status": "True"}
    before: list[JsonValue] = [other]

    after = ready(before, "True", "t1")

    assert before == [other]
    assert after[0] is other
    assert ready(after, "True", "t2") == after
