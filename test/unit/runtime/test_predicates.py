from __future__ import annotations

import pytest

from kro.refs import JsonObject
from kro.runtime import spec_changed


def thing(**metadata: object) -> JsonObject:
    return {"metadata": {"generation": 1, "uid": "u", **metadata}}  # type: ignore[dict-item]


GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a", "b"]}


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(None, thing(), True, id="added"),
        pytest.param(thing(), None, True, id="deleted"),
        pytest.param(thing(), thing(generation=2), True, id="spec changed"),
        pytest.param(thing(), thing(uid="v"), True, id="another object"),
        pytest.param(thing(), thing(labels={"a": "b"}), False, id="labels"),
        pytest.param(thing(), thing(finalizers=["a"]), False, id="finalizer added"),
        pytest.param(thing(), thing(**GOING), True, id="deletion began"),
        pytest.param(thing(**GOING), thing(**GOING), False, id="still being deleted"),
        pytest.param(
            thing(**GOING),
            thing(**{**GOING, "finalizers": ["a"]}),
            True,
            id="a finalizer was taken away",
        ),
    ],
)
def test_what_leads_to_a_pass_of_the_object_itself(
    old: JsonObject | None, new: JsonObject | None, wanted: bool
) -> None:
    """P-067."""
    assert spec_changed(old, new) is wanted
