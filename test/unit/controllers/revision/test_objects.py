"""Which of a definition's revisions counts, and what is written into them."""

from __future__ import annotations

from typing import cast

import pytest

from kro.controllers.revision import Family, adopted, new_revision, number_of
from kro.refs import JsonObject, JsonValue

DEFINITION: JsonObject = {
    "metadata": {"name": "shop", "uid": "u-2", "generation": 7},
    "spec": {"schema": {"kind": "Shop"}},
}
OURS: JsonObject = {
    "apiVersion": "kro.run/v1alpha1",
    "kind": "ResourceGraphDefinition",
    "name": "shop",
    "uid": "u-2",
    "controller": True,
}
STALE: JsonObject = {**OURS, "uid": "u-1"}
OTHER: JsonObject = {"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "u-0"}


def _revision(
    number: int, *, going: bool = False, owners: list[JsonValue] | None = None
) -> JsonObject:
    metadata: JsonObject = {"name": f"shop-r{number:05}", "uid": f"r-{number}"}
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    if owners is not None:
        metadata["ownerReferences"] = owners
    return {"metadata": metadata, "spec": {"revision": number, "snapshot": {"name": "shop"}}}


def _numbers(revisions: tuple[JsonObject, ...]) -> list[int]:
    return [number_of(revision) for revision in revisions]


@pytest.mark.parametrize(
    ("live", "going", "latest", "unsettled"),
    [
        pytest.param([], [], None, False, id="none"),
        pytest.param([2, 10, 1], [], 10, False, id="the highest number counts, not the name"),
        pytest.param([3, 4], [1, 2], 4, False, id="older ones that go hold nothing up"),
        pytest.param([3], [4], 3, True, id="the latest one goes"),
        pytest.param([], [1], None, True, id="all go"),
    ],
)
def test_the_latest_live_revision_counts(
    live: list[int], going: list[int], latest: int | None, unsettled: bool
) -> None:
    """What goes and was followed already, such as by retention, is nobody's concern."""
    family = Family.of([*map(_revision, live), *(_revision(n, going=True) for n in going)])

    assert (number_of(family.latest) if family.latest else None) == latest
    assert family.unsettled is unsettled


@pytest.mark.parametrize(
    ("kept", "gone"), [(5, [1]), (2, [1, 2, 3, 4]), (6, []), (9, []), (0, []), (-1, [])]
)
def test_retention_lets_the_oldest_live_ones_go(kept: int, gone: list[int]) -> None:
    """Spec §6.10: the M highest stay; M of 0 or less keeps all."""
    family = Family.of([_revision(7, going=True), *map(_revision, range(6, 0, -1))])

    assert _numbers(family.beyond(kept)) == gone


def test_a_new_revision_freezes_the_spec_under_its_number() -> None:
    """Spec §6.2; and it is born with its finalizer."""
    revision = new_revision(DEFINITION, 12, spec_hash="0123456789abcdef", version="1.0+dirty")

    metadata = cast("JsonObject", revision["metadata"])
    assert metadata == {
        "name": "shop-r00012",
        "labels": {
            "kro.run/owned": "true",
            "kro.run/kro-version": "1.0-dirty",
            "kro.run/resource-graph-definition-name": "shop",
            "kro.run/graph-revision-hash": "0123456789abcdef",
        },
        "finalizers": ["kro.run/finalizer"],
        "ownerReferences": [OURS],
    }
    snapshot = {"name": "shop", "generation": 7, "spec": DEFINITION["spec"]}
    assert revision["spec"] == {"revision": 12, "snapshot": snapshot}


@pytest.mark.parametrize(
    ("owners", "wanted"),
    [
        pytest.param(None, [OURS], id="orphan"),
        pytest.param([STALE], [OURS], id="an earlier definition of the name"),
        pytest.param([OTHER], [OTHER, OURS], id="others stay"),
        pytest.param([OTHER, STALE], [OTHER, OURS], id="replaced in its place"),
        pytest.param([STALE, OTHER], [OURS, OTHER], id="replaced in its place, first"),
        pytest.param([{**OURS, "controller": False}], [OURS], id="owner but not controller"),
    ],
)
def test_a_live_revision_is_adopted(
    owners: list[JsonValue] | None, wanted: list[JsonValue]
) -> None:
    """Spec §7.3 step 3: by this very definition, told by its uid."""
    revision = adopted(_revision(1, owners=owners), DEFINITION)

    assert revision is not None
    assert cast("JsonObject", revision["metadata"])["ownerReferences"] == wanted


def test_a_revision_that_is_owned_already_is_not_written() -> None:
    """Adoption happens once."""
    assert adopted(_revision(1, owners=[OTHER, OURS]), DEFINITION) is None
