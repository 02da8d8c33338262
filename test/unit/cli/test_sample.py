from __future__ import annotations

import pytest

from kro.cli.sample import sample_instance
from kro.refs import JsonObject
from kro.schema import build_spec_schema, synthesize_crd, validate_value


def sample(spec: JsonObject, *, scope: str = "Namespaced") -> JsonObject:
    schema = build_spec_schema(spec, None)
    crd = synthesize_crd(
        {"group": "kro.run", "apiVersion": "v1", "kind": "Thing", "scope": scope}, schema, None
    )
    made = sample_instance(crd)
    assert validate_value(made.get("spec", {}), schema) == []
    return made


def test_sample_is_a_manifest_that_can_be_applied() -> None:
    """Kind, name and namespace are there; nothing that a server sets is."""
    assert sample({"name": "string"}) == {
        "apiVersion": "kro.run/v1",
        "kind": "Thing",
        "metadata": {"name": "thing-sample", "namespace": "default"},
        "spec": {"name": "dummy-string-0"},
    }
    assert "namespace" not in sample({"a": "string"}, scope="Cluster")["metadata"]  # type: ignore[operator]


@pytest.mark.parametrize(
    "field",
    [
        "string | default=x",
        'string | enum="b,a"',
        "string | minLength=30",
        "string | maxLength=2",
        "integer",
        "integer | minimum=7 maximum=7",
        "integer | minimum=-9 maximum=-3",
        "integer | minimum=20000",
        "float | minimum=0.1 maximum=0.2",
        "boolean",
        "[]integer | minItems=3",
        "[]string | minItems=1 maxItems=1",
        "map[string]boolean",
        "[]map[string]integer",
        "object",
    ],
)
def test_every_field_is_filled_and_fits_its_schema(field: str) -> None:
    """Bounds, enums and defaults are kept; optional fields are there, too."""
    spec = sample({"field": field})["spec"]

    assert isinstance(spec, dict)
    assert "field" in spec


def test_sample_is_the_same_every_time() -> None:
    """So that it can be compared and kept in version control."""
    spec: JsonObject = {"a": "string", "b": {"c": "[]string", "d": "integer"}}

    assert sample(spec) == sample(spec)
