"""SIGKILL after every single write of a definition's life: the next process ends where one would.

The writes are not listed here: they are counted in the API server's audit log, and the process is
killed as soon as the nth one stands there, for every n until the work is done before the nth.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio

from kro.runtime.client import NotFoundError
from support.audit import AuditLog, log_of
from support.generated import crd_name, greeter, revisions, serve
from support.kube import CONFIGMAPS, CRDS, DEFINITIONS, Json, Kube, is_ready
from support.manifests import endpoint, instance, unique
from support.operator import Operator, Surroundings

NAMESPACE = "crashes"

VOLATILE = frozenset(
    {
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
        "lastTransitionTime",
        "kro.run/resource-graph-definition-id",
        "kro.run/instance-id",
        "kro.run/graph-revision-hash",
        "applyset.kubernetes.io/id",
        "applyset.kubernetes.io/part-of",
        "internal.kro.run/applyset-inventory-hash",
    }
)
"""Keys whose values differ between two definitions that are the same but for their names."""


class Crashing:
    """A controller that is killed and started again, and what there is to see afterwards."""

    def __init__(self, kube: Kube, process: Operator, surroundings: Surroundings) -> None:
        self.kube, self.process = kube, process
        self._surroundings = surroundings

    async def killed_after(
        self, count: int, log: AuditLog, done: Callable[[], Awaitable[bool]]
    ) -> bool:
        """Kill the process once it has made so many writes; return False if it was done before."""
        seen: list[str] = []
        while True:
            seen += [str(write) for write in log.writes()]
            if len(seen) >= count:
                self.process.kill()
                self.process.start()
                return True
            if await done():
                seen += [str(write) for write in log.writes()]
                if len(seen) < count:
                    return False
            await asyncio.sleep(0.001)

    def log(self) -> AuditLog:
        """Return the log of the writes from now on."""
        return log_of(self._surroundings)

    async def state(self, kind: str) -> Json:
        """Return all that belongs to a definition, as it would be for any other name."""
        name = kind.lower()
        found = {
            "definition": await self.kube.get(DEFINITIONS, name),
            "crd": await self.kube.get(CRDS, crd_name(kind)),
            "revisions": await revisions(self.kube, name),
            "instance": await self._instance(kind),
            "child": await self.kube.get(CONFIGMAPS, name, NAMESPACE),
        }
        return {part: _plain(value, kind) for part, value in found.items()}

    async def _instance(self, kind: str) -> Json | None:
        try:
            return await self.kube.get(endpoint(kind), kind.lower(), NAMESPACE)
        except NotFoundError:
            return None

    async def until_served(self, kind: str, text: str) -> None:
        """Wait until definition and instance are Ready and the child says `text`."""
        name = kind.lower()
        await self.kube.until(DEFINITIONS, name, is_ready)
        await self.kube.until(CONFIGMAPS, name, lambda c: c["data"]["text"] == text, NAMESPACE)
        await self.kube.until(
            endpoint(kind),
            name,
            lambda o: is_ready(o) and o["status"].get("text") == text,
            NAMESPACE,
        )

    async def is_served(self, kind: str, text: str) -> bool:
        """Whether that is so now."""
        name = kind.lower()
        served = await self.kube.get(DEFINITIONS, name)
        held = await self._instance(kind)
        return bool(
            served
            and is_ready(served)
            and held
            and is_ready(held)
            and held["status"].get("text") == text
        )

    async def is_gone(self, kind: str) -> bool:
        """Whether nothing is left but what the garbage collector takes."""
        found = await self.state(kind)
        return not any(found[part] for part in ("definition", "crd", "instance", "child"))


def _plain(value: Any, kind: str) -> Any:
    match value:
        case dict():
            return {k: _plain(v, kind) for k, v in value.items() if k not in VOLATILE}
        case list():
            items = [_plain(item, kind) for item in value]
            typed = all(isinstance(item, dict) and "type" in item for item in items)
            return sorted(items, key=lambda item: item["type"]) if typed else items
        case str():
            return value.replace(kind, "Kind").replace(kind.lower(), "kind")
    return value


def _edited(kind: str) -> Json:
    """Return the greeter with another text and another field: the CRD changes too."""
    wanted = greeter(kind, text="${schema.spec.message} ${schema.spec.colour}")
    wanted["spec"]["schema"]["spec"]["colour"] = "string | default=blue"
    return wanted


def _mine(kind: str) -> Json:
    return instance(kind, kind.lower(), NAMESPACE)


@pytest_asyncio.fixture
async def crashing(private_cluster: Surroundings) -> AsyncIterator[Crashing]:
    """A running controller that may be killed, with the rights to delete CRDs."""
    process = Operator(
        private_cluster.controller_kubeconfig, private_cluster.log, flags=["--allow-crd-deletion"]
    )
    async with Kube(private_cluster.kubeconfig) as kube:
        await kube.namespace(NAMESPACE)
        with process:
            await process.ready()
            yield Crashing(kube, process, private_cluster)


async def test_killed_after_every_write_of_a_creation(crashing: Crashing) -> None:
    """One revision, one CRD, everything Ready, as if nothing had happened."""
    kube = crashing.kube
    reference = unique("Created")
    await serve(kube, greeter(reference))
    wanted = await crashing.state(reference)

    for count in itertools.count(1):
        kind = unique("Created")
        log = crashing.log()
        await kube.apply(greeter(kind))

        async def done(kind: str = kind) -> bool:
            found = await kube.get(DEFINITIONS, kind.lower())
            return found is not None and is_ready(found)

        if not await crashing.killed_after(count, log, done):
            break
        await kube.until(DEFINITIONS, kind.lower(), is_ready)
        assert await crashing.state(kind) == wanted, f"after write {count}"
    assert count > 5, "finalizer, revision, its status, CRD and the definition's status are written"


async def test_killed_after_every_write_of_an_edit(crashing: Crashing) -> None:
    """Exactly one more revision; CRD and instance are on it."""
    kube = crashing.kube
    reference = unique("Changed")
    await serve(kube, greeter(reference))
    await kube.apply(_mine(reference), gvr=endpoint(reference))
    await crashing.until_served(reference, "hello")
    await serve(kube, _edited(reference))
    await crashing.until_served(reference, "hello blue")
    wanted = await crashing.state(reference)

    for count in itertools.count(1):
        kind = unique("Changed")
        await serve(kube, greeter(kind))
        await kube.apply(_mine(kind), gvr=endpoint(kind))
        await crashing.until_served(kind, "hello")
        log = crashing.log()
        await kube.apply(_edited(kind))

        async def done(kind: str = kind) -> bool:
            return await crashing.is_served(kind, "hello blue")

        if not await crashing.killed_after(count, log, done):
            break
        await crashing.until_served(kind, "hello blue")
        assert await crashing.state(kind) == wanted, f"after write {count}"
    assert count > 6, "revision, its status, CRD, definition, child and instance are written"


async def test_killed_after_every_write_of_a_deletion(crashing: Crashing) -> None:
    """Definition, CRD, instance and its object are gone; no finalizer is left to hang on."""
    kube = crashing.kube
    for count in itertools.count(1):
        kind = unique("Deleted")
        await serve(kube, greeter(kind))
        await kube.apply(_mine(kind), gvr=endpoint(kind))
        await crashing.until_served(kind, "hello")
        log = crashing.log()
        await kube.delete(DEFINITIONS, kind.lower())

        async def done(kind: str = kind) -> bool:
            return await crashing.is_gone(kind)

        if not await crashing.killed_after(count, log, done):
            break
        await kube.until_gone(DEFINITIONS, kind.lower())
        await kube.until_gone(CRDS, crd_name(kind))
        assert await done(), f"after write {count}"
    assert count > 4, "CRD, finalizer, child and the instance's finalizer are written"
