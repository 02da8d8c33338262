"""Whether an apply would change nothing, told from values and field ownership."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kro.controllers.instance.ownership import (
    holds,
    is_same,
    owned_fields,
    owned_values,
    without_managed_fields,
)

DESIRED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "team-a", "labels": {"app": "web"}},
    "spec": {
        "selector": {"app": "web"},
        "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}],
        "externalIPs": ["10.0.0.1"],
    },
}
FIELDS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:selector": {},
        "f:externalIPs": {},
        "f:ports": {
            'k:{"port":53,"protocol":"UDP"}': {".": {}, "f:port": {}, "f:protocol": {}},
            'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}},
        },
    },
}
LIVE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "web",
        "namespace": "team-a",
        "uid": "u1",
        "resourceVersion": "7",
        "labels": {"app": "web", "color": "blue"},
        "managedFields": [
            {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {}},
            {
                "manager": "kro.run/applyset",
                "operation": "Apply",
                "apiVersion": "v1",
                "fieldsV1": FIELDS,
            },
        ],
    },
    "spec": {
        "selector": {"app": "web"},
        "externalIPs": ["10.0.0.1"],
        "clusterIP": "10.9.9.9",
        "ports": [
            {"port": 53, "protocol": "UDP", "targetPort": 53},
            {"port": 80, "protocol": "TCP", "targetPort": 80},
        ],
    },
}


def changed(value: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    """Return a copy of the value with something else at a dotted path."""
    result = copy.deepcopy(value)
    holder: Any = result
    *parents, last = path.split(".")
    for key in parents:
        holder = holder[int(key) if key.isdigit() else key]
    if new is None:
        del holder[last]
    else:
        holder[int(last) if last.isdigit() else last] = new
    return result


def test_live_object_that_holds_everything_needs_no_apply() -> None:
    """Defaults, fields of others and the order of a keyed list do not matter."""
    assert holds(DESIRED, LIVE, owned_fields(LIVE))


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        pytest.param(changed(DESIRED, "spec.selector.app", "x"), LIVE, id="another value"),
        pytest.param(changed(DESIRED, "metadata.labels.team", "x"), LIVE, id="a new field"),
        pytest.param(changed(DESIRED, "metadata.labels", None), LIVE, id="a dropped field"),
        pytest.param(changed(DESIRED, "spec.ports.1", {"port": 54}), LIVE, id="another list item"),
        pytest.param(
            changed(DESIRED, "spec.ports", [{"port": 80}]), LIVE, id="a dropped list item"
        ),
        pytest.param(DESIRED, changed(LIVE, "spec.selector.app", "x"), id="live value changed"),
        pytest.param(DESIRED, changed(LIVE, "metadata.labels.app", None), id="live field removed"),
        pytest.param(DESIRED, changed(LIVE, "spec.ports.0.port", 54), id="live list item changed"),
        pytest.param(changed(DESIRED, "apiVersion", "v2"), LIVE, id="another version"),
    ],
)
def test_any_difference_asks_for_an_apply(desired: dict[str, Any], live: dict[str, Any]) -> None:
    """What is missing, other, too much, or no longer wanted: the API server decides."""
    assert not holds(desired, live, owned_fields(live))


def test_equal_values_without_ownership_ask_for_an_apply() -> None:
    """A field of somebody else may go whenever its owner wants."""
    unowned = copy.deepcopy(LIVE)
    del unowned["metadata"]["managedFields"][1]["fieldsV1"]["f:metadata"]
    assert not holds(DESIRED, unowned, owned_fields(unowned))
    assert not holds(DESIRED, changed(LIVE, "metadata.managedFields", []), None)


def test_ownership_by_update_or_of_a_subresource_does_not_count() -> None:
    """Only what was applied under our name to the object itself is ours."""
    entries = LIVE["metadata"]["managedFields"]
    updated = changed(LIVE, "metadata.managedFields", [{**entries[1], "operation": "Update"}])
    status = changed(LIVE, "metadata.managedFields", [{**entries[1], "subresource": "status"}])
    assert owned_fields(updated) is None
    assert owned_fields(status) is None


def test_sets_are_compared_by_value() -> None:
    """A set owns its members one by one; members of others are allowed."""
    fields: dict[str, Any] = {"f:spec": {"f:tags": {'v:"a"': {}, 'v:"b"': {}}}, "f:metadata": {}}
    desired: dict[str, Any] = {"apiVersion": "v1", "metadata": {}, "spec": {"tags": ["b", "a"]}}
    live: dict[str, Any] = {"apiVersion": "v1", "metadata": {}, "spec": {"tags": ["z", "a", "b"]}}
    assert holds(desired, live, fields)
    assert not holds(desired, {**live, "spec": {"tags": ["a"]}}, fields)
    assert not holds({**desired, "spec": {"tags": ["a", "c"]}}, live, fields)


def test_owned_values_change_exactly_with_what_we_own() -> None:
    """Fields of others leave the owned part alone; a change in our fields shows."""
    mine = owned_values(LIVE, FIELDS)
    assert owned_values(changed(LIVE, "metadata.labels.color", "red"), FIELDS) == mine
    assert owned_values(changed(LIVE, "spec.ports.1.targetPort", 8080), FIELDS) == mine
    assert owned_values(changed(LIVE, "spec.selector.app", "x"), FIELDS) != mine
    assert owned_values(changed(LIVE, "spec.externalIPs.0", "10.0.0.2"), FIELDS) != mine


def test_owned_field_that_cannot_be_seen_has_no_value() -> None:
    """What the API server keeps elsewhere, as `stringData`, is never taken for unchanged."""
    with pytest.raises(LookupError):
        owned_values({"data": {"k": "dg=="}}, {"f:stringData": {"f:k": {}}})


def test_managed_fields_are_taken_off_a_copy() -> None:
    """Expressions do not see managed fields, and the stored object is not touched."""
    stripped: dict[str, Any] = without_managed_fields(LIVE)
    assert "managedFields" not in stripped["metadata"]
    assert "managedFields" in LIVE["metadata"]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        pytest.param(1, 1.0, True, id="whole float"),
        pytest.param(1, True, False, id="a boolean is no number"),
        pytest.param(0, None, False, id="null is no number"),
        pytest.param({"a": [1]}, {"a": [1.0]}, True, id="nested"),
        pytest.param({"a": 1}, {"a": 1, "b": None}, False, id="another key"),
    ],
)
def test_json_equality(left: Any, right: Any, same: bool) -> None:
    """JSON knows one kind of number, and booleans are none of it."""
    assert is_same(left, right) is same
