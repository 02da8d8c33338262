"""Discovery against a real API server, while kinds come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from kro.refs import GVK, GVR, GroupKind, JsonObject, Mapped, NamespacedName
from kro.runtime.client import (
    Client,
    NotFoundError,
    ServiceUnavailableError,
    Transport,
    load_config,
)
from kro.runtime.discovery import Discovery, KindNotServedError

CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")

API_SERVICES = GVR("apiregistration.k8s.io", "v1", "apiservices")


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    """A client of the administrator."""
    client = Client(Transport(load_config(str(kubeconfig)), user_agent="kro/test"))
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def group(client: Client) -> AsyncIterator[str]:
    """An API group for one test, whose CRD is deleted after it."""
    name = f"d{uuid4().hex[:8]}.example.com"
    try:
        yield name
    finally:
        with suppress(NotFoundError):
            await client.delete(CRDS, NamespacedName("", f"things.{name}"))


def crd(group: str, *fields: str) -> JsonObject:
    """Return the CRD of kind Thing with string fields in its spec."""
    spec: JsonObject = {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
                }
            ],
        },
    }


async def eventually(attempt: Callable[[], Awaitable[bool]]) -> None:
    """Return once `attempt` holds: the API server publishes new kinds a moment late."""
    async with asyncio.timeout(20):
        while not await attempt():  # noqa: ASYNC110 - the cluster rings no bell
            await asyncio.sleep(0.05)


async def test_built_in_kinds_are_mapped(client: Client) -> None:
    """Kinds, endpoints, scopes and verbs as the API server has them."""
    discovery = Discovery(client)

    assert await discovery.mapping(GVK("apps", "v1", "Deployment")) == Mapped(
        GVR("apps", "v1", "deployments"), True
    )
    assert await discovery.mapping(GVK("", "v1", "Namespace")) == Mapped(
        GVR("", "v1", "namespaces"), False
    )
    assert await discovery.kind(GVR("", "v1", "configmaps")) == (GVK("", "v1", "ConfigMap"), True)
    assert "watch" in await discovery.verbs(GVR("", "v1", "configmaps"))
    assert "watch" not in await discovery.verbs(GVR("", "v1", "bindings"))
    assert await discovery.mapping_of(GroupKind("networking.k8s.io", "Ingress")) == (
        GVK("networking.k8s.io", "v1", "Ingress"),
        Mapped(GVR("networking.k8s.io", "v1", "ingresses"), True),
    )
    assert (await discovery.mapping_of(GroupKind("", "Secret")))[0] == GVK("", "v1", "Secret")


@pytest.mark.parametrize(
    "gvk",
    [
        pytest.param(GVK("apps", "v1", "Nothing"), id="kind"),
        pytest.param(GVK("apps", "v9", "Deployment"), id="version"),
        pytest.param(GVK("nowhere.example", "v1", "Thing"), id="group"),
    ],
)
async def test_what_is_not_served_says_so(client: Client, gvk: GVK) -> None:
    """A kind that is not there is told from a server that could not be asked."""
    discovery = Discovery(client)

    with pytest.raises(KindNotServedError):
        await discovery.mapping(gvk)
    with pytest.raises(KindNotServedError):
        await discovery.mapping_of(GroupKind(gvk.group, f"{gvk.kind}X"))
    assert await discovery.schema_document(gvk) is None


async def test_a_new_kind_is_found_once_it_is_forgotten(client: Client, group: str) -> None:
    """`forget` is what a CRD event calls: mapping and schema then follow the cluster."""
    discovery = Discovery(client)
    gvk = GVK(group, "v1", "Thing")
    with pytest.raises(KindNotServedError):
        await discovery.mapping(gvk)

    await client.create(CRDS, crd(group, "one"))

    async def is_mapped() -> bool:
        discovery.forget(group)
        return await discovery.is_served(GVR(group, "v1", "things"))

    await eventually(is_mapped)
    assert discovery.known(gvk) == Mapped(GVR(group, "v1", "things"), True)
    assert await discovery.mapping_of(GroupKind(group, "Thing")) == (
        gvk,
        Mapped(GVR(group, "v1", "things"), True),
    )

    async def properties() -> set[str]:
        discovery.forget(group)
        document = await discovery.schema_document(gvk)
        return set(_spec_of(document)) if document is not None else set()

    async def has_one() -> bool:
        return await properties() == {"one"}

    await eventually(has_one)

    await client.patch(
        CRDS, NamespacedName("", f"things.{group}"), {"spec": crd(group, "one", "two")["spec"]}
    )

    async def has_two() -> bool:
        return await properties() == {"one", "two"}

    await eventually(has_two)

    await client.delete(CRDS, NamespacedName("", f"things.{group}"))

    async def is_gone() -> bool:
        discovery.forget(group)
        return not await discovery.is_served(GVR(group, "v1", "things"))

    await eventually(is_gone)


async def test_a_schema_comes_with_all_that_it_refers_to(client: Client) -> None:
    """The part of a document is closed under references, and far smaller than the whole."""
    discovery = Discovery(client)

    part = await discovery.schema_document(GVK("apps", "v1", "Deployment"))
    document = await discovery.openapi("apps", "v1")
    assert part is not None
    assert document is not None
    whole = await document.whole()

    schemas, everything = _schemas(part), _schemas(whole)
    assert "io.k8s.api.apps.v1.Deployment" in schemas
    assert "io.k8s.api.core.v1.PodSpec" in schemas
    assert "io.k8s.api.apps.v1.StatefulSet" not in schemas
    assert _refs(part) <= set(schemas)
    assert all(schemas[name] == everything[name] for name in schemas)
    assert GVK("apps", "v1", "StatefulSet") in document.kinds


async def test_look_ups_at_once_share_their_requests(kubeconfig: Path) -> None:
    """A hundred look-ups at the start cost what one costs."""
    paths: list[str] = []

    class Counting(Client):
        async def read(self, path: str, **options: object) -> bytes:
            paths.append(path)
            return await super().read(path, **options)  # type: ignore[arg-type]

    transport = Transport(load_config(str(kubeconfig)), user_agent="kro/test")
    counting = Counting(transport)
    discovery = Discovery(counting)
    try:
        await asyncio.gather(
            *(discovery.mapping(GVK("apps", "v1", "Deployment")) for _ in range(50)),
            *(discovery.schema_document(GVK("apps", "v1", "Deployment")) for _ in range(50)),
        )
    finally:
        await counting.aclose()

    assert len(paths) == 4
    assert len(set(paths)) == 4


def _spec_of(document: JsonObject) -> JsonObject:
    for schema in _schemas(document).values():
        assert isinstance(schema, dict)
        properties = schema.get("properties", {})
        assert isinstance(properties, dict)
        spec = properties.get("spec")
        if isinstance(spec, dict):
            found = spec["properties"]
            assert isinstance(found, dict)
            return found
    return {}


def _schemas(document: JsonObject) -> JsonObject:
    components = document["components"]
    assert isinstance(components, dict)
    schemas = components["schemas"]
    assert isinstance(schemas, dict)
    return schemas


def _refs(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {str(node["$ref"]).rpartition("/")[2]} if "$ref" in node else set()
        return own.union(*(_refs(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_refs(value) for value in node))
    return set()


async def test_an_api_server_behind_ours_that_is_down_costs_its_own_group_only(
    client: Client, group: str
) -> None:
    """An APIService without backend fails for who asks for it, and for nobody else."""
    name = NamespacedName("", f"v1.{group}")
    service: JsonObject = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name.name},
        "spec": {
            "group": group,
            "version": "v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 15,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "default", "name": "nowhere"},
        },
    }
    await client.apply(API_SERVICES, name, service, field_manager="test")
    try:
        discovery = Discovery(client)

        async def is_down() -> bool:
            discovery.forget(group)
            try:
                await discovery.mapping(GVK(group, "v1", "Thing"))
            except ServiceUnavailableError:
                return True
            except KindNotServedError:
                return False
            raise AssertionError("a server that is not there serves nothing")

        await eventually(is_down)
        assert await discovery.mapping(GVK("apps", "v1", "Deployment"))
        assert await discovery.schema_document(GVK("apps", "v1", "Deployment"))
        # A process that starts now is not stopped by it either.
        assert await Discovery(client).mapping(GVK("", "v1", "ConfigMap"))
    finally:
        await client.delete(API_SERVICES, name)
