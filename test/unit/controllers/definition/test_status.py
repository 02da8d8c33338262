"""What a pass writes into a definition's status, and when it writes nothing."""

from __future__ import annotations

from typing import cast

import pytest

from kro.controllers.definition.status import (
    AWAITS_COMPILATION,
    CONTROLLER_READY,
    GRAPH_ACCEPTED,
    KIND_READY,
    RESOLVED,
    Report,
)
from kro.refs import JsonObject

NOW = "2026-01-02T00:00:00Z"


def _definition(status: JsonObject | None = None, *, generation: int = 1) -> JsonObject:
    metadata: JsonObject = {
        "name": "shop",
        "uid": "u",
        "generation": generation,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {"metadata": metadata, **({"status": status} if status else {})}


def _served(definition: JsonObject) -> Report:
    report = Report.of(definition, now=NOW)
    report.conditions.set(RESOLVED, "True", "Resolved", "revision 1 compiled and active")
    report.conditions.set(GRAPH_ACCEPTED, "True", "Valid", "valid")
    report.conditions.set(KIND_READY, "True", "Ready", "kind Shop has been accepted and ready")
    report.conditions.set(CONTROLLER_READY, "True", "Running", "controller is running")
    report.issued(1)
    return report


def _written(report: Report) -> JsonObject:
    status = {**cast("JsonObject", report.definition.get("status", {})), **report.patch()}
    return {key: value for key, value in status.items() if value is not None}


def test_a_settled_definition_is_not_written_again() -> None:
    """A pass that finds all as it was makes no request."""
    status = _written(_served(_definition()))

    assert _served(_definition(status)).patch() == {}


def test_a_definition_is_active_when_its_graph_kind_and_controller_are_fine() -> None:
    """Spec §7.5: whatever their generation, and whatever the revisions do."""
    status = _written(_served(_definition()))
    assert status["state"] == "Active"

    compiling = Report.of(_definition(status, generation=2), now=NOW)
    compiling.conditions.set(RESOLVED, "Unknown", AWAITS_COMPILATION, "wait")

    assert compiling.state == "Active"
    assert not compiling.conditions.ready


def test_an_order_that_is_cleared_leaves_no_key_behind() -> None:
    """A merge patch removes a key by null; one that is not there needs none."""
    report = Report.of(_definition({"topologicalOrder": ["a"], "state": "Inactive"}), now=NOW)

    report.show(None)

    patch = report.patch()
    assert patch["topologicalOrder"] is None
    assert "resources" not in patch


def test_the_highest_number_is_never_lowered() -> None:
    """Spec §6.4: it is a high-water mark."""
    report = Report.of(_definition({"lastIssuedRevision": 9}), now=NOW)

    report.issued(3)

    assert report.last_issued == 9
    assert "lastIssuedRevision" not in report.patch()


@pytest.mark.parametrize(("generation", "awaits"), [(1, True), (2, False)])
def test_compilation_is_awaited_for_one_generation(generation: int, awaits: bool) -> None:
    """What the status says of an older spec is no news of this one."""
    report = Report.of(_definition(), now=NOW)
    report.conditions.set(RESOLVED, "Unknown", AWAITS_COMPILATION, "wait")

    later = Report.of(_definition(_written(report), generation=generation), now=NOW)

    assert later.awaits_compilation is awaits


def test_the_condition_of_an_older_release_is_dropped() -> None:
    """Spec §5.2: `ResourceGraphAccepted`, the name before v0.9."""
    old: JsonObject = {"type": "ResourceGraphAccepted", "status": "True"}

    report = Report.of(_definition({"conditions": [old]}), now=NOW)

    assert report.conditions.get("ResourceGraphAccepted") is None
