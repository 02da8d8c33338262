"""Conditions of an instance in expressions."""

from __future__ import annotations

from typing import Any

import pytest

from kro.cel import DYN, RUNTIME, RUNTIME_VALUE, Condition, Environment, Pending
from kro.errors import AuthorErrors, EvaluationError

_READY = {
    "status": {
        "conditions": [
            {"type": "Other", "status": "False"},
            {"type": "Ready", "status": "True", "reason": "Up", "message": 5},
            {"type": "Ready", "status": "False"},
        ]
    }
}


def _run(expression: str, **variables: Any) -> Any:
    environment = Environment({"runtime": RUNTIME, **dict.fromkeys(variables, DYN)})
    return environment.compile(expression).evaluate({"runtime": RUNTIME_VALUE, **variables})


@pytest.mark.parametrize(
    ("field", "expected"),
    [("type", "Ready"), ("status", "True"), ("reason", "Up"), ("message", "")],
)
def test_the_first_condition_of_a_type_is_read(field: str, expected: str) -> None:
    """Members that are no strings read as the empty text."""
    assert _run(f"runtime.condition(o, 'Ready').{field}", o=_READY) == expected


@pytest.mark.parametrize(
    "holder",
    [
        pytest.param({}, id="no status"),
        pytest.param({"status": None}, id="status null"),
        pytest.param({"status": {}}, id="no conditions"),
        pytest.param({"status": {"conditions": None}}, id="conditions null"),
        pytest.param({"status": {"conditions": []}}, id="none at all"),
        pytest.param({"status": {"conditions": ["x", None, {"type": 1}]}}, id="none of that type"),
    ],
)
def test_a_missing_condition_is_empty(holder: Any) -> None:
    """Its four fields are empty texts; nothing is pending."""
    assert _run("runtime.condition(o, 'Ready').status == ''", o=holder) is True


@pytest.mark.parametrize(
    ("holder", "fragment"),
    [
        pytest.param(1, "must be an object", id="no object"),
        pytest.param({"status": 1}, "status must be an object", id="status no object"),
        pytest.param(
            {"status": {"conditions": 1}}, "conditions must be a list", id="conditions no list"
        ),
    ],
)
def test_data_of_the_wrong_shape_is_an_error(holder: Any, fragment: str) -> None:
    """What is no object with a list of conditions cannot be read."""
    with pytest.raises(EvaluationError, match=fragment):
        _run("runtime.condition(o, 'Ready')", o=holder)


@pytest.mark.parametrize(
    ("argument", "fragment"),
    [
        ("{type: 'A'}", "'status' is required"),
        ("{status: 'True'}", "'type' is required"),
        ("{'type': 'A', status: 'True'}", "keys must be bare identifiers"),
        ("{type: 'A', status: 'True', kind: 'x'}", 'unknown key "kind" (allowed: type, status'),
        ("{type: 'A', type: 'B', status: 'True'}", 'duplicate key "type"'),
        ("o", "argument must be a map literal"),
        ("{type: '', status: 'True'}", "type must not be empty"),
        ("{type: 'A', status: 'Yes'}", 'got "Yes"'),
        ("{type: 1, status: 2}", "no matching overload"),
    ],
)
def test_wrong_literals_are_found_when_compiled(argument: str, fragment: str) -> None:
    """Shape, keys and literal values are checked before anything runs."""
    with pytest.raises(AuthorErrors) as caught:
        _run(f"runtime.newCondition({argument})", o={})
    assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "fragment"),
    [
        ("{type: o, status: 'True'}", "type must not be empty"),
        ("{type: 'A', status: o}", "status must be"),
        ("{type: 'A', status: 'True', reason: dyn(1)}", "reason must be a string, got int"),
    ],
)
def test_wrong_values_are_found_when_they_are_known(argument: str, fragment: str) -> None:
    """Computed values are checked when the condition is made."""
    with pytest.raises(EvaluationError, match=fragment):
        _run(f"runtime.newCondition({argument})", o="")


def test_missing_reason_and_message_are_empty() -> None:
    """Only type and status are required."""
    made = "runtime.newCondition({type: 'A', status: 'Unknown'})"

    assert _run(f"{made}.reason + {made}.message + {made}.status") == "Unknown"


def test_a_condition_does_not_leave_as_a_value() -> None:
    """Only status.conditions can take one."""
    with pytest.raises(EvaluationError, match="unsupported type"):
        _run("[runtime.newCondition({type: 'A', status: 'True'})]")


def test_conditions_are_equal_by_their_fields() -> None:
    """Equality and hash go by the four texts."""
    one, other = Condition("A", "True"), Condition("A", "True", "", "")

    assert one == other
    assert hash(one) == hash(other)
    assert one != Condition("A", "False")
    assert list(one.names()) == ["type", "status", "reason", "message"]


def test_a_value_that_is_not_there_yet_is_pending() -> None:
    """A condition over missing data waits."""
    made = _run("runtime.newCondition({type: 'A', status: o.s}).status", o={})

    assert isinstance(made, Pending)
