"""What the API server would refuse is an author error with a path.

That both sides agree is proved in test/integration/test_generated_crds.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from kro.schema import (
    build_spec_schema,
    check_crd,
    check_spec_schema,
    synthesize_crd,
    validations,
)


def check(spec: Any, types: Any = None) -> list[tuple[str, str]]:
    """Return path and problem of every error."""
    found = check_spec_schema(spec, build_spec_schema(spec, types))
    return [(error.path, error.problem) for error in found]


def test_the_path_is_as_deep_as_the_author_wrote() -> None:
    """Below a custom type or a list, the problem says where."""
    types: Any = {"Row": {"w": "integer | default=1 maximum=0"}}

    found = check({"a": {"rows": "[]Row"}}, types)

    assert found == [("spec.a.rows", "in [].w: default must be at most 0")]


def test_defaults_of_map_values_are_not_looked_at() -> None:
    """The API server does not look either."""
    assert check({"m": "map[string]Bad"}, {"Bad": "integer | default=1 maximum=0"}) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param('Two | default={"a":1,"z":2}', "default.z is no field", id="unknown field"),
        pytest.param("Two | default={}", "default.a is required", id="required field"),
        pytest.param("[]Two | uniqueItems=true", "cannot hold objects", id="set of objects"),
        pytest.param("[]Two | listType=map", "needs a listMapKey", id="map without keys"),
        pytest.param("[]Two | listType=map listMapKey=b", "must be a required field", id="key"),
        pytest.param("[]Two | listType=map listMapKey=c", "must be a scalar", id="nested key"),
        pytest.param("[]Fixed", "immutable cannot be used", id="transition rule in a list"),
    ],
)
def test_what_the_api_server_refuses(text: str, problem: str) -> None:
    """Each rule of simpleschema.md §8.1 has its sentence."""
    types: Any = {
        "Two": {"a": "integer | required=true", "b": "string", "c": "[]string | required=true"},
        "Fixed": {"x": "string | immutable=true"},
    }

    (found, *_) = check({"f": text}, types)

    assert found[0] == "spec.f"
    assert problem in found[1]


def test_old_self_in_a_text_is_no_transition_rule() -> None:
    """Only the name counts, not a literal that spells it."""
    types: Any = {"T": "string | validation=\"self != 'oldSelf'\""}

    assert check({"f": "[]T"}, types) == []


def test_rules_are_handed_out_with_the_type_they_speak_about() -> None:
    """The layer that can compile CEL needs the schema of `self`."""
    spec: Any = {"a": {"n": 'integer | validation="self > 1" immutable=true'}}

    rules = list(validations(spec, build_spec_schema(spec, None)))

    assert [(r.path, r.index, r.rule, r.uses_old_self) for r in rules] == [
        ("spec.a.n", 0, "self > 1", False),
        ("spec.a.n", 1, "self == oldSelf", True),
    ]
    assert rules[0].schema["type"] == "integer"


def test_a_sound_crd_is_not_refused() -> None:
    """Labels, annotations, columns and names that are legal pass."""
    schema: Any = {
        "apiVersion": "v1alpha1",
        "kind": "Thing",
        "group": "x.example.com",
        "shortNames": ["th"],
        "metadata": {"labels": {"a.b/c_d": ""}, "annotations": {"Docs": "any text"}},
        "additionalPrinterColumns": [{"name": "A", "type": "date", "jsonPath": ".a"}],
    }

    assert check_crd(synthesize_crd(schema, {"type": "object"}, None)) == []


def test_a_crd_that_etcd_cannot_hold_is_refused() -> None:
    """Its size grows with every use of a custom type."""
    text = "string | description=" + "x" * 100_000
    spec: Any = {f"f{index}": "T" for index in range(20)}
    schema: Any = {"apiVersion": "v1", "kind": "Big", "group": "x.example.com"}

    crd = synthesize_crd(schema, build_spec_schema(spec, {"T": text}), None)

    (error,) = check_crd(crd)
    assert error.path == "spec.schema"
