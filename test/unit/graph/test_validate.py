"""Names, identity, scope and metadata."""

from __future__ import annotations

from typing import Any

import pytest

from kro.graph.validate import RESERVED_WORDS
from support.definitions import compiled, config_map, definition, errors_of

NAMESPACE: Any = {
    "id": "space",
    "template": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}},
}


def test_reserved_words_are_those_of_kro_and_cel() -> None:
    """53 in all; names of CEL types and functions are free."""
    assert len(RESERVED_WORDS) == 53
    compiled(definition(*[config_map(id_) for id_ in ("string", "size", "lists", "type", "has")]))


@pytest.mark.parametrize("id_", sorted(RESERVED_WORDS))
def test_reserved_word_is_neither_id_nor_iterator(id_: str) -> None:
    """Exactly one error each, with its place."""
    [error] = errors_of(definition(config_map(id_)))
    iterators = errors_of(
        definition(config_map("x", name="${y}", forEach=[{id_: "${schema.spec.tags}"}]))
    )

    assert error.path == "spec.resources[0].id"
    assert "is a reserved keyword in KRO" in error.problem
    assert f'forEach iterator name "{id_}" is a reserved keyword' in str(iterators)


@pytest.mark.parametrize("id_", ["Box", "my-box", "my_box", "1box", "", "box\n", "böx", "a b"])
def test_id_is_lower_camel_case_in_full(id_: str) -> None:
    """A trailing newline does not pass either."""
    [error] = errors_of(definition(config_map(id_, name="x")))

    assert "is not a valid KRO resource id: must be lower camelCase" in error.problem


@pytest.mark.parametrize(
    ("id_", "hint"),
    [("my-box", 'write "myBox"'), ("Box", 'write "box"'), ("spec_", ""), ("1", "")],
)
def test_usable_spelling_is_offered(id_: str, hint: str) -> None:
    """A hint is right, or it is not there."""
    [error] = errors_of(definition(config_map(id_)))

    assert error.hint == hint


@pytest.mark.parametrize("namespace", ["x", "", None, "${schema.spec.name}"])
def test_cluster_scoped_resource_has_no_namespace(namespace: str | None) -> None:
    """Whatever stands there counts as present."""
    entry = {**NAMESPACE, "template": {**NAMESPACE["template"], "metadata": {"name": "x"}}}
    entry["template"]["metadata"]["namespace"] = namespace

    [error] = errors_of(definition(entry))

    assert error.path == "spec.resources[0].template.metadata.namespace"
    assert "is cluster-scoped and must not set metadata.namespace" in error.problem


def test_namespaced_resource_of_a_cluster_scoped_instance_names_its_namespace() -> None:
    """Selectors may range over all namespaces; everything else says where it lives."""
    selector = {
        "id": "all",
        "externalRef": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"selector": {}}},
    }
    placed = config_map("placed")
    placed["template"]["metadata"]["namespace"] = "${schema.spec.name}"

    compiled(definition(NAMESPACE, selector, placed, scope="Cluster"))
    [error] = errors_of(definition(config_map("lost"), scope="Cluster"))

    assert "must set metadata.namespace when the instance CRD is cluster-scoped" in error.problem


@pytest.mark.parametrize("prefix", ["kro.run/", "internal.kro.run/"])
@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_metadata_of_kro_is_not_for_authors(prefix: str, field: str) -> None:
    """Look-alikes pass."""
    entry = config_map("a")
    entry["template"]["metadata"][field] = {f"{prefix}x": "y", "team.kro.run/x": "y"}

    [error] = errors_of(definition(entry))

    assert error.path == f'spec.resources[0].template.metadata.{field}["{prefix}x"]'
    assert f'{field} with prefix "{prefix}" are reserved' in error.problem
