"""What a test says to the API server, and how it waits: by watching, not by sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from kro.refs import GVK, GVR, NamespacedName
from kro.runtime.client import (
    Bookmark,
    Change,
    ChangeType,
    Client,
    NotFoundError,
    Transport,
    load_config,
)
from kro.runtime.discovery import Discovery

Json: TypeAlias = dict[str, Any]
"""In tests an object is looked into freely."""

CONFIGMAPS = GVR("", "v1", "configmaps")
SECRETS = GVR("", "v1", "secrets")
SERVICES = GVR("", "v1", "services")
NAMESPACES = GVR("", "v1", "namespaces")
DEPLOYMENTS = GVR("apps", "v1", "deployments")
INGRESSES = GVR("networking.k8s.io", "v1", "ingresses")
CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
DEFINITIONS = GVR("kro.run", "v1alpha1", "resourcegraphdefinitions")

WAIT_S = 30.0


class Kube:
    """A user of the cluster: applies, edits, deletes, and waits for what comes of it.

    `apply` is server-side apply as the manager `test`, `merge` a JSON merge patch.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._stack = AsyncExitStack()
        self.client: Client
        self.discovery: Discovery

    async def __aenter__(self) -> Self:
        transport = Transport(load_config(str(self._kubeconfig)), user_agent="test")
        self.client = Client(transport)
        self._stack.push_async_callback(self.client.aclose)
        self.discovery = Discovery(self.client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def gvr_of(self, manifest: Mapping[str, Any]) -> GVR:
        """Return where the manifest's kind is served."""
        return (await self.discovery.mapping(GVK.of_object(manifest))).gvr

    async def apply(self, manifest: Mapping[str, Any], *, gvr: GVR | None = None) -> Json:
        """Apply the manifest and return the object."""
        return await self.client.apply(
            gvr or await self.gvr_of(manifest),
            name_of(manifest),
            dict(manifest),
            field_manager="test",
        )

    async def get(self, gvr: GVR, name: str, namespace: str = "") -> Json | None:
        """Return the object, or None if there is none."""
        try:
            return await self.client.get(gvr, NamespacedName(namespace, name))
        except NotFoundError:
            return None

    async def merge(
        self, gvr: GVR, name: str, patch: Mapping[str, Any], namespace: str = "", **options: Any
    ) -> Json:
        """Merge the patch into the object."""
        return await self.client.patch(gvr, NamespacedName(namespace, name), dict(patch), **options)

    async def delete(self, gvr: GVR, name: str, namespace: str = "") -> None:
        """Ask for the object's deletion; that it is gone already is fine."""
        try:
            await self.client.delete(gvr, NamespacedName(namespace, name))
        except NotFoundError:
            return

    async def namespace(self, name: str) -> str:
        """Make the namespace and return its name."""
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.apply(manifest, gvr=NAMESPACES)
        return name

    async def until(
        self,
        gvr: GVR,
        name: str,
        holds: Callable[[Json], object],
        namespace: str = "",
        *,
        timeout_s: float = WAIT_S,
    ) -> Json:
        """Wait until the object is there and `holds`, and return it.

        Raises:
            AssertionError: not in time; the message shows the object as it was last.
        """
        last: Json | None = None
        try:
            async with asyncio.timeout(timeout_s):
                async for last in self.versions(gvr, name, namespace):
                    if last is not None and holds(last):
                        return last
        except TimeoutError:
            pass
        raise AssertionError(f"{gvr} {namespace}/{name}: not in {timeout_s} s; last seen: {last}")

    async def until_gone(
        self, gvr: GVR, name: str, namespace: str = "", *, timeout_s: float = WAIT_S
    ) -> None:
        """Wait until there is no such object.

        Raises:
            AssertionError: it is still there; the message shows it.
        """
        last: Json | None = None
        try:
            async with asyncio.timeout(timeout_s):
                async for last in self.versions(gvr, name, namespace):
                    if last is None:
                        return
        except TimeoutError:
            pass
        raise AssertionError(f"{gvr} {namespace}/{name}: still there: {last}")

    async def versions(self, gvr: GVR, name: str, namespace: str) -> AsyncIterator[Json | None]:
        """Yield the object as it is and at each change, for ever; None while there is none."""
        selector = f"metadata.name={name}"
        while True:
            try:
                page = await self.client.list(gvr, namespace=namespace, field_selector=selector)
            except NotFoundError:
                yield None
                await asyncio.sleep(0.05)  # the kind itself is not served yet: nothing to watch
                continue
            yield page.items[0] if page.items else None
            async with self.client.watch(
                gvr,
                namespace=namespace,
                field_selector=selector,
                resource_version=page.resource_version,
                timeout_s=60,
            ) as stream:
                async for events in stream:
                    for event in events:
                        match event:
                            case Change(type=ChangeType.DELETED):
                                yield None
                            case Change(object=found):
                                yield found
                            case Bookmark():
                                pass


def name_of(manifest: Mapping[str, Any]) -> NamespacedName:
    """Return the manifest's namespace and name."""
    metadata = manifest["metadata"]
    return NamespacedName(metadata.get("namespace", ""), metadata["name"])


def condition(manifest: Mapping[str, Any], kind: str) -> Json:
    """Return the condition of that type, or an empty one."""
    for entry in manifest.get("status", {}).get("conditions", []):
        if entry["type"] == kind:
            return dict(entry)
    return {}


def is_ready(manifest: Mapping[str, Any]) -> bool:
    """Whether the object is Ready for its current generation."""
    ready = condition(manifest, "Ready")
    return (
        ready.get("status") == "True"
        and ready.get("observedGeneration", 0) == manifest["metadata"]["generation"]
    )
