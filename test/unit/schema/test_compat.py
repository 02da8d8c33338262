"""Verdicts on updates beyond those of the conformance cases."""

from __future__ import annotations

from typing import Any

import pytest

from kro.schema import CompatibilityError, compare_schemas, compare_versions


def schema(**field: Any) -> Any:
    """Return an object with one field."""
    return {"type": "object", "properties": {"a": field}}


def version(name: str = "v1", **extra: Any) -> Any:
    """Return an entry of `spec.versions`."""
    held = {"openAPIV3Schema": schema(type="string")}
    return {"name": name, "served": True, "schema": held, "subresources": {"status": {}}, **extra}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param({"default": 1}, {"default": 1.0}, id="number with a fraction of zero"),
        pytest.param({"default": {"b": 1, "a": 2}}, {"default": {"a": 2, "b": 1}}, id="key order"),
        pytest.param({"default": None}, {}, id="a null default is dropped by the API server"),
        pytest.param({"enum": ["<a>", "b"]}, {"enum": ["b", "<a>"]}, id="enum in another order"),
        pytest.param({"enum": [0, 1]}, {"enum": [-0.0, 1]}, id="minus zero"),
    ],
)
def test_the_same_value_written_differently_is_no_change(old: Any, new: Any) -> None:
    """The API server returns defaults and enums re-encoded; else every pass would write."""
    assert not compare_schemas(schema(type="x", **old), schema(type="x", **new))


def test_changes_are_sorted_by_path_and_the_summary_counts_the_rest() -> None:
    """The report does not depend on the order of a mapping."""
    old: Any = {"type": "object", "properties": {k: {"type": "string"} for k in "dbca"}}

    found = compare_schemas(old, {"type": "object", "properties": {}})

    assert found.summary() == (
        "Property a was removed; Property b was removed; Property c was removed; and 1 more changes"
    )


def test_a_required_property_that_is_new_is_called_required() -> None:
    """The text says what the verdict means."""
    old: Any = {"type": "object", "properties": {}}

    found = compare_schemas(old, {**schema(type="string"), "required": ["a"]})

    assert found.summary() == "Required property a was added"


@pytest.mark.parametrize(
    ("new", "path"),
    [
        pytest.param(version("v2"), "version", id="another version"),
        pytest.param(version(served=False), "version.served", id="not served any more"),
        pytest.param(version(subresources={}), "version.subresources.status", id="status gone"),
    ],
)
def test_changes_of_the_version_itself_are_breaking(new: Any, path: str) -> None:
    """They take stored or served instances away."""
    found = compare_versions([version()], [new])

    assert [change.path for change in found.breaking] == [path]


def test_what_cannot_be_compared_is_an_error() -> None:
    """Generated CRDs have exactly one version, with a schema."""
    with pytest.raises(CompatibilityError, match="got 1 old and 2 new versions"):
        compare_versions([version()], [version(), version("v2")])
    with pytest.raises(CompatibilityError, match="old version v1 has no schema"):
        compare_versions([version(schema={})], [version()])
