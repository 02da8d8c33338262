"""kro's own CRDs, as they stand in config/crd."""

from __future__ import annotations

from typing import Any

from kro.schema import apply_defaults, definition_crd, revision_crd, validate_value


def root(crd: Any) -> Any:
    """Return the properties of a CRD's schema."""
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]


def test_a_revision_holds_a_spec_of_the_definitions_own_schema() -> None:
    """What is accepted in a definition can be frozen, rule for rule."""
    snapshot = root(revision_crd())["spec"]["properties"]["snapshot"]["properties"]

    assert snapshot["spec"] == root(definition_crd())["spec"]


def test_defaults_of_a_definition() -> None:
    """Group and scope are filled in at admission."""
    spec: Any = {"schema": {"apiVersion": "v1", "kind": "EmptyThing"}}

    filled: Any = apply_defaults(spec, root(definition_crd())["spec"])

    assert filled["schema"]["group"] == "kro.run"
    assert filled["schema"]["scope"] == "Namespaced"
    assert validate_value(filled, root(definition_crd())["spec"]) == []
