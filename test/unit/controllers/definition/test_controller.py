"""Which events of a definition are worth a pass."""

from __future__ import annotations

import pytest

from kro import names
from kro.controllers.definition import DefinitionController
from kro.refs import JsonObject, JsonValue

ALLOWED: JsonValue = {names.ALLOW_BREAKING_CHANGES: "true"}


def _definition(**metadata: JsonValue) -> JsonObject:
    return {"metadata": {"name": "shop", "uid": "u", "generation": 1, **metadata}}


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(None, _definition(), True, id="came"),
        pytest.param(_definition(), None, True, id="went"),
        pytest.param(_definition(), _definition(generation=2), True, id="spec"),
        pytest.param(_definition(), _definition(uid="v"), True, id="another of that name"),
        pytest.param(_definition(), _definition(deletionTimestamp="t"), True, id="is deleted"),
        pytest.param(_definition(), _definition(annotations=ALLOWED), True, id="permitted"),
        pytest.param(_definition(annotations=ALLOWED), _definition(), True, id="no longer so"),
        pytest.param(
            _definition(),
            _definition(annotations={names.ALLOW_BREAKING_CHANGES: "True"}),
            False,
            id="permission misspelled",
        ),
        pytest.param(_definition(), _definition(annotations={"a": "b"}), False, id="annotation"),
        pytest.param(_definition(), _definition(labels={"a": "b"}), False, id="label"),
        pytest.param(
            _definition(),
            {**_definition(resourceVersion="2"), "status": {"state": "Active"}},
            False,
            id="status",
        ),
        pytest.param(
            _definition(deletionTimestamp="t", finalizers=["a"]),
            _definition(deletionTimestamp="t"),
            True,
            id="a finalizer goes while it is deleted",
        ),
    ],
)
def test_only_what_a_pass_looks_at_wakes_it(
    old: JsonObject | None, new: JsonObject | None, wanted: bool
) -> None:
    """Spec §7.1: in particular not the status, which is written by the pass itself."""
    assert DefinitionController.wants(old, new) is wanted
