"""Definitions with their revisions and CRDs, as tests of their life cycle look at them."""

from __future__ import annotations

from typing import Any

from kro.refs import GVR
from support.kube import CRDS, DEFINITIONS, Json, Kube, condition, is_ready
from support.manifests import configmap, definition, endpoint

REVISIONS = GVR("internal.kro.run", "v1alpha1", "graphrevisions")


def greeter(kind: str, *, text: str = "${schema.spec.message}", **more: Any) -> Json:
    """Return a definition of one ConfigMap; `text` is what it says."""
    return definition(
        kind,
        [configmap("config", name="${schema.metadata.name}", data={"text": text})],
        spec={"message": "string | default=hello", "copies": "integer | default=1"},
        status={"text": "${config.data.text}"},
        **more,
    )


def using(kind: str, inner: str, **spec: str) -> Json:
    """Return a definition of one object of another generated kind."""
    resource = {
        "id": "inner",
        "template": {
            "apiVersion": "kro.run/v1alpha1",
            "kind": inner,
            "metadata": {"name": "${schema.metadata.name}"},
            "spec": spec,
        },
    }
    return definition(kind, [resource], spec={"message": "string | default=hi"})


def crd_name(kind: str) -> str:
    """Return the name of the CRD of a generated kind."""
    return f"{endpoint(kind).resource}.kro.run"


async def serve(kube: Kube, wanted: Json) -> Json:
    """Apply the definition and return it once it is Ready."""
    applied = await kube.apply(wanted, gvr=DEFINITIONS)
    generation = applied["metadata"]["generation"]
    return await kube.until(
        DEFINITIONS,
        wanted["metadata"]["name"],
        lambda d: is_ready(d) and d["metadata"]["generation"] >= generation,
    )


async def until_says(kube: Kube, name: str, kind: str, status: str, text: str = "") -> Json:
    """Wait until the definition's condition says so for the generation that there is now."""

    def says(found: Json) -> bool:
        said = condition(found, kind)
        return (
            said.get("status") == status
            and said.get("observedGeneration") == found["metadata"]["generation"]
            and text in said.get("message", "")
        )

    return await kube.until(DEFINITIONS, name, says)


async def revisions(kube: Kube, name: str) -> list[Json]:
    """Return the definition's revisions by number."""
    page = await kube.client.list(REVISIONS, field_selector=f"spec.snapshot.name={name}")
    return sorted(page.items, key=lambda revision: revision["spec"]["revision"])


async def numbers(kube: Kube, name: str) -> list[int]:
    """Return the numbers of the definition's revisions."""
    return [revision["spec"]["revision"] for revision in await revisions(kube, name)]


async def served_crd(kube: Kube, kind: str) -> Json:
    """Return the CRD of a generated kind."""
    found = await kube.get(CRDS, crd_name(kind))
    assert found is not None
    return found
