"""Micro-controllers on a real API server: kinds that come, go, and come back."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime import (
    Coordinator,
    Informers,
    InformerState,
    LoopClock,
    ObjectKey,
    Outcome,
    Registry,
    RegistrySettings,
    Scope,
    Settled,
    Slots,
)
from kro.runtime.client import Client, NotFoundError, StatusError, Transport, load_config
from kro.runtime.discovery import Discovery, KindNotServedError
from support.controlplane import Cluster
from support.invariants import check_tasks, until

CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
CONFIGMAPS = GVR("", "v1", "configmaps")


def definition(group: str) -> JsonObject:
    loose: Any = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "plural": "gadgets",
                "singular": "gadget",
                "kind": "Gadget",
                "listKind": "GadgetList",
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": loose, "status": loose},
                        }
                    },
                }
            ],
        },
    }


class Stage:
    """A registry on a kind of this test alone, whose passes are noted."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.group = f"g{uuid.uuid4().hex[:10]}.example.com"
        self.gadgets = GVR(self.group, "v1", "gadgets")
        self.crd = NamespacedName("", f"gadgets.{self.group}")
        clock = LoopClock()
        self.discovery = Discovery(client)
        self.informers = Informers(client=client, clock=clock, served=self._served, linger_s=0.0)
        self.registry = Registry(
            informers=self.informers,
            clock=clock,
            slots=Slots(8, clock=clock),
            settings=RegistrySettings(drain_s=5.0),
        )
        self.coordinator = Coordinator(
            informers=self.informers, enqueue=self.registry.enqueue, clock=clock
        )
        self.registry.coordinator = self.coordinator
        self.passes: list[tuple[str, bool]] = []

    async def _served(self, gvr: GVR) -> bool:
        self.discovery.forget(gvr.group, gvr.version)
        try:
            await self.discovery.kind(gvr)
        except KindNotServedError:
            return False
        return True

    async def reconcile(self, name: NamespacedName) -> Outcome:
        micro = self.registry.get(self.gadgets)
        there = micro is not None and micro.informed.get(name) is not None
        self.passes.append((name.name, there))
        return Settled()

    async def define(self) -> None:
        await self.client.apply(CRDS, self.crd, definition(self.group), field_manager="test")

    async def write(self, name: str, at: int = 0) -> JsonObject:
        key = NamespacedName("default", name)
        body: JsonObject = {
            "apiVersion": f"{self.group}/v1",
            "kind": "Gadget",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"at": at},
        }
        async with asyncio.timeout(20):
            while True:
                try:
                    return await self.client.apply(self.gadgets, key, body, field_manager="test")
                except StatusError:  # the CRD is being established
                    await asyncio.sleep(0.1)


@pytest_asyncio.fixture
async def stage(cluster: Cluster) -> AsyncIterator[Stage]:
    before = len(asyncio.all_tasks())
    config = load_config(str(cluster.kubeconfig))
    client = Client(Transport(config, user_agent="registry-test"))
    stage = Stage(client)
    parts = (stage.informers.run, stage.registry.run, stage.coordinator.run)
    tasks = [asyncio.ensure_future(part()) for part in parts]
    try:
        yield stage
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        with contextlib.suppress(NotFoundError):
            await client.delete(CRDS, stage.crd)
        await client.aclose()
    await check_tasks(before)


async def test_a_kind_is_synced_when_it_is_served_and_not_before(stage: Stage) -> None:
    """P-061: an instance that is created right then is reconciled."""
    stage.registry.start(stage.gadgets, stage.reconcile)
    early = await stage.registry.wait_synced(stage.gadgets, 0.5)
    await stage.define()
    await stage.write("first")
    synced = await stage.registry.wait_synced(stage.gadgets, 30)
    await until(lambda: ("first", True) in stage.passes)

    assert (early, synced) == (False, True)


async def test_a_kind_that_goes_takes_its_instances_along_and_may_come_back(stage: Stage) -> None:
    """P-021, F-60, F-61."""
    await stage.define()
    micro = stage.registry.start(stage.gadgets, stage.reconcile)
    await stage.write("one")
    await until(lambda: ("one", True) in stage.passes)
    await stage.client.delete(CRDS, stage.crd)
    await until(lambda: ("one", False) in stage.passes)
    await until(lambda: micro.informed.state is InformerState.ABSENT)
    stage.passes.clear()
    gone = len(micro.informed)

    async with asyncio.timeout(20):
        while True:
            try:
                await stage.define()
            except StatusError:  # the CRD is still being deleted
                await asyncio.sleep(0.1)
            else:
                break
    await stage.write("two")
    stage.informers.retry(stage.gadgets)
    await until(lambda: ("two", True) in stage.passes)

    assert gone == 0
    assert micro.informed.state is InformerState.SYNCED


async def test_only_changes_of_the_spec_lead_to_passes(stage: Stage) -> None:
    """P-067, P-058: neither a status nor a label does, nor our own write."""
    await stage.define()
    stage.registry.start(stage.gadgets, stage.reconcile)
    await stage.write("one")
    await until(lambda: len(stage.passes) == 1)
    name = NamespacedName("default", "one")
    await stage.client.patch(
        stage.gadgets, name, {"status": {"phase": "here"}}, subresource="status"
    )
    labelled = await stage.client.patch(stage.gadgets, name, {"metadata": {"labels": {"a": "b"}}})
    micro = stage.registry.get(stage.gadgets)
    assert micro is not None
    metadata: Any = labelled["metadata"]
    assert await micro.informed.wait_seen(name, metadata["resourceVersion"], 10)
    quiet = len(stage.passes)
    await stage.write("one", at=1)
    await until(lambda: len(stage.passes) == 2)

    assert quiet == 1


async def test_an_object_that_an_instance_declared_wakes_it(stage: Stage) -> None:
    """P-066, P-073: by name and by selector; without the declaration no informer is left."""
    await stage.define()
    stage.registry.start(stage.gadgets, stage.reconcile)
    await stage.write("one")
    await until(lambda: len(stage.passes) == 1)
    mark = stage.group.partition(".")[0]
    with stage.coordinator.cycle(ObjectKey(stage.gadgets, NamespacedName("default", "one"))) as it:
        watched = it.watch_selector("n", CONFIGMAPS, f"mark={mark}", scope=Scope())
    assert await watched.wait_synced(30)
    await asyncio.sleep(0.2)
    stage.passes.clear()
    body: JsonObject = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": mark, "namespace": "default", "labels": {"mark": mark}},
    }
    key = NamespacedName("default", mark)
    await stage.client.apply(CONFIGMAPS, key, body, field_manager="test")
    await until(lambda: stage.passes == [("one", True)])
    await stage.client.delete(CONFIGMAPS, key)
    await until(lambda: len(stage.passes) == 2)
    await stage.registry.stop(stage.gadgets)

    assert len(stage.informers) == 0


async def test_a_definition_that_comes_and_goes_leaves_nothing(stage: Stage) -> None:
    """F-62, P-149, shortened to forty cycles: epochs hold, no informer is left."""
    await stage.define()
    await stage.write("one")
    for at in range(40):
        stage.registry.start(stage.gadgets, stage.reconcile)
        await asyncio.sleep(at % 5 * 0.01)
        await stage.registry.stop(stage.gadgets)
    left = len(stage.informers)
    stage.passes.clear()
    stage.registry.start(stage.gadgets, stage.reconcile)
    await until(lambda: stage.passes == [("one", True)])

    assert left == 0
