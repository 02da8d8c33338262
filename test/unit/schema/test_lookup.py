"""Sources of schemas and what they say when they have none."""

from __future__ import annotations

from typing import Any

import pytest

from kro.errors import AuthorErrors
from kro.refs import GVK, GVR, Mapped
from kro.schema import BundledSchemas, ChainedSchemas, CrdSchemas, SchemaNotFound

DEPLOYMENT = GVK("apps", "v1", "Deployment")


def crd(**spec: Any) -> Any:
    """Return a CRD manifest of the kind Thing."""
    names = {"kind": "Thing", "plural": "things"}
    root = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    versions = [
        {"name": "v1", "served": True, "schema": root},
        {"name": "v0", "served": False, "schema": root},
    ]
    base = {"group": "x.example.com", "names": names, "scope": "Cluster", "versions": versions}
    return {"kind": "CustomResourceDefinition", "metadata": {"name": "t"}, "spec": base | spec}


def test_a_crd_gives_its_served_versions_with_full_metadata() -> None:
    """The API server publishes the same."""
    schemas = CrdSchemas([crd()])

    schema: Any = schemas.schema(GVK("x.example.com", "v1", "Thing"))

    assert "ownerReferences" in schema["properties"]["metadata"]["properties"]
    assert schemas.mapping(GVK("x.example.com", "v1", "Thing")) == Mapped(
        GVR("x.example.com", "v1", "things"), False
    )
    with pytest.raises(SchemaNotFound):
        schemas.schema(GVK("x.example.com", "v0", "Thing"))


def test_crds_that_define_nothing_are_all_reported() -> None:
    """A folder of CRDs is read to its end."""
    with pytest.raises(AuthorErrors) as caught:
        CrdSchemas([crd(versions=[]), crd(group=None), crd()])

    assert len(caught.value.exceptions) == 2


def test_the_bundle_knows_the_built_in_kinds() -> None:
    """Schema, endpoint and scope come without a cluster."""
    bundled = BundledSchemas()

    schema: Any = bundled.schema(DEPLOYMENT)

    assert schema["properties"]["spec"]["properties"]["replicas"]["type"] == "integer"
    assert bundled.schema(DEPLOYMENT) is schema
    assert bundled.mapping(DEPLOYMENT) == Mapped(GVR("apps", "v1", "deployments"), True)
    assert bundled.mapping(GVK("", "v1", "Namespace")).namespaced is False
    assert bundled.kubernetes_version.startswith("v1.")


@pytest.mark.parametrize(
    ("gvk", "problem", "hint"),
    [
        pytest.param(
            GVK("apps", "v1", "Deployement"),
            'cannot resolve group version kind "apps/v1, Kind=Deployement": schema not found',
            "did you mean Deployment?",
            id="typo",
        ),
        pytest.param(
            GVK("apps", "v9", "Deployment"),
            'cannot resolve group version "apps/v9": schema not found',
            "Deployment exists in apps/v1",
            id="version",
        ),
        pytest.param(
            GVK("", "v1", "Deployment"),
            'cannot resolve group version kind "v1, Kind=Deployment": schema not found',
            "Deployment exists in apps/v1",
            id="group",
        ),
    ],
)
def test_a_missing_kind_is_told_with_what_may_have_been_meant(
    gvk: GVK, problem: str, hint: str
) -> None:
    """The author sees which of group, version and kind is wrong."""
    with pytest.raises(SchemaNotFound) as caught:
        BundledSchemas().schema(gvk)

    assert caught.value.problem == problem
    assert caught.value.hint == hint
    assert caught.value.at("spec.resources[0]").gvk == gvk


def test_a_chain_asks_its_sources_in_order() -> None:
    """The first that knows the kind answers; the most helpful error stands for all."""
    chain = ChainedSchemas(CrdSchemas([crd()]), BundledSchemas())

    assert chain.schema(DEPLOYMENT)
    assert chain.mapping(GVK("x.example.com", "v1", "Thing")).gvr.resource == "things"
    with pytest.raises(SchemaNotFound, match="did you mean Thing"):
        chain.schema(GVK("x.example.com", "v1", "Thng"))
