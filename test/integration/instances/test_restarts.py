# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios that need a controller of their own: restarts, upgrades, feature gates.

Source: spec instance-runtime.md §8, §10: A-18, H-12, I-06, I-07, I-13, J-01 to J-03.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from kro import names
from kro.refs import GVR, NamespacedName
from support.kube import CONFIGMAPS, SECRETS, Kube
from support.lab import (
    WIDGETS,
    Lab,
    annotations_of,
    is_settled,
    labels_of,
    uid,
    version,
)
from support.operator import Operator, Surroundings

GATES = ("CELOmitFunction", "InstanceConditionEvents")
EVENTS = GVR("", "v1", "events")


@pytest_asyncio.fixture
async def process(private_cluster: Surroundings) -> AsyncIterator[Operator]:
    """A controller that the test may kill, on a cluster of its own, with omit() allowed."""
    with Operator(
        private_cluster.controller_kubeconfig,
        private_cluster.log,
        flags=[f"--feature-gates={','.join(f'{gate}=true' for gate in GATES)}"],
    ) as operator:
        await operator.ready()
        yield operator


@pytest_asyncio.fixture
async def lab(private_cluster: Surroundings, process: Operator) -> AsyncIterator[Lab]:
    """A lab on the private cluster."""
    async with Kube(private_cluster.kubeconfig) as kube:
        opened = await Lab.opened(kube)
        yield opened
        await opened.close()


NET = """
schema: {kind: Net, spec: {}, status: {last: "${nat.status.handle}"}}
resources:
- id: vpc
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-vpc"}}
- id: subnet
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-subnet"}, spec: {feed: "${vpc.status.handle}"}}
- id: nat
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-nat"}, spec: {feed: "${subnet.status.handle}"}}
"""
CHAIN = """
schema: {kind: Chain, spec: {v: "string | default=x", n: "integer | default=3"}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-a"}, data: {v: "${schema.spec.v}"}}
- id: b
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-b"}, data: {v: "${a.data.v}"}}
- id: c
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}-c"}, stringData: {v: "${b.data.v}"}}
- id: many
  forEach: [{i: "${lists.range(schema.spec.n)}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-m${string(i)}"}, data: {v: "${b.data.v}"}}
"""


async def test_i_06_restart_half_way(lab: Lab, process: Operator) -> None:
    """What happened meanwhile is found, and nothing is made twice."""
    await lab.define(NET)
    await lab.create("Net", "n")
    await lab.widget("n-vpc", handle="v")
    subnet = await lab.kube.until(WIDGETS, "n-subnet", bool, lab.namespace)
    process.stop()
    await lab.widget("n-subnet", handle="s")
    process.start()
    await lab.kube.until(WIDGETS, "n-nat", bool, lab.namespace)
    await lab.settled("Net", "n")
    after = await lab.kube.until(WIDGETS, "n-subnet", bool, lab.namespace)
    assert uid(after) == uid(subnet)


async def test_a_18_restart_writes_nothing(lab: Lab, process: Operator) -> None:
    """A settled instance and its children keep their versions over a restart."""
    await lab.define(CHAIN)
    await lab.create("Chain", "x")
    await lab.settled("Chain", "x")

    async def versions() -> dict[str, str]:
        found = {name: version(cm) for name, cm in (await lab.cms()).items()}
        return found | {"": version(await lab.get("Chain", "x"))}

    before = await versions()
    process.kill()
    process.start()
    await process.ready()
    await lab.create("Chain", "y")
    await lab.settled("Chain", "y")
    assert before.items() <= (await versions()).items()


async def test_i_07_restart_during_deletion(lab: Lab, process: Operator) -> None:
    """The deletion continues where it was."""
    await lab.define(CHAIN)
    await lab.create("Chain", "x")
    await lab.settled("Chain", "x")
    await lab.hold(CONFIGMAPS, "x-m0")
    await lab.delete("Chain", "x")
    await lab.until_cm("x-m0", lambda cm: "deletionTimestamp" in cm["metadata"])
    process.kill()
    process.start()
    await process.ready()
    assert "deletionTimestamp" not in (await lab.until_cm("x-a"))["metadata"]
    await lab.let_go(CONFIGMAPS, "x-m0")
    await lab.gone("Chain", "x")
    assert await lab.cms() == {}


async def test_h_12_missing_apply_order(lab: Lab, process: Operator) -> None:
    """An object that does not say its wave goes in the last one."""
    await lab.define(CHAIN)
    await lab.create("Chain", "x", {"n": 0})
    await lab.settled("Chain", "x")
    process.stop()
    patch = {"metadata": {"annotations": {names.APPLY_ORDER: None}}}
    await lab.kube.merge(SECRETS, "x-c", patch, lab.namespace)
    await lab.hold(CONFIGMAPS, "x-a")
    await lab.delete("Chain", "x")
    process.start()
    await lab.until_cm("x-a", lambda cm: "deletionTimestamp" in cm["metadata"])
    assert await lab.cm("x-b") is None
    last = await lab.kube.get(SECRETS, "x-c", lab.namespace)
    assert last is not None
    assert "deletionTimestamp" not in last["metadata"]
    await lab.let_go(CONFIGMAPS, "x-a")
    await lab.gone("Chain", "x")


async def test_i_13_taking_over_from_an_earlier_version(lab: Lab, process: Operator) -> None:
    """Children and inventories of another version are kept, and brought up to date."""
    await lab.define(CHAIN)
    await lab.create("Chain", "x")
    await lab.settled("Chain", "x")
    process.stop()
    old = {"labels": {names.KRO_VERSION: "0.0.1"}}
    without = {
        **old,
        "annotations": {
            names.APPLYSET_INVENTORY_HASH: None,
            names.APPLYSET_TOOLING: "kro/0.0.1",
        },
    }
    await lab.kube.merge(lab.gvr("Chain"), "x", {"metadata": without}, lab.namespace)
    for name in await lab.cms():
        target = NamespacedName(lab.namespace, name)
        await lab.kube.client.patch(CONFIGMAPS, target, {"metadata": old})
    before = {name: uid(cm) for name, cm in (await lab.cms()).items()}
    process.start()

    def current(obj: Any) -> bool:
        return (
            labels_of(obj)[names.KRO_VERSION] != "0.0.1"
            and names.APPLYSET_INVENTORY_HASH in annotations_of(obj)
            and is_settled(obj)
        )

    live = await lab.until("Chain", "x", current)
    assert annotations_of(live)[names.APPLYSET_TOOLING] != "kro/0.0.1"
    for name in before:
        await lab.until_cm(name, lambda cm: labels_of(cm)[names.KRO_VERSION] != "0.0.1")
    assert {name: uid(cm) for name, cm in (await lab.cms()).items()} == before
    await lab.delete("Chain", "x")
    await lab.gone("Chain", "x")
    await lab.create("Chain", "x")
    await lab.settled("Chain", "x")


OPT = """
schema: {kind: Opt, spec: {extra: 'string | default=""', verbose: "boolean | default=false"}}
resources:
- id: cm
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}"}
    data:
      always: "1"
      extra: "${schema.spec.extra == '' ? omit() : schema.spec.extra}"
- id: w
  template:
    apiVersion: lab.example.com/v1
    kind: Widget
    metadata: {name: "${schema.metadata.name}"}
    spec:
      config:
        args: ["-a", "${schema.spec.verbose ? '-v' : omit()}", "-z"]
        empty: {only: "${schema.spec.verbose ? 'x' : omit()}"}
"""


async def test_j_01_optional_key(lab: Lab) -> None:
    """It comes and goes; what another manager set stays."""
    await lab.define(OPT)
    await lab.create("Opt", "o")
    await lab.settled("Opt", "o")
    assert (await lab.until_cm("o"))["data"] == {"always": "1"}
    await lab.edit("Opt", "o", extra="x")
    await lab.until_cm("o", lambda cm: cm["data"].get("extra") == "x")
    await lab.edit("Opt", "o", extra="")
    await lab.until_cm("o", lambda cm: "extra" not in cm["data"])
    await lab.edit_cm("o", extra="theirs")
    await lab.edit_cm("o", always="drift")
    found = await lab.until_cm("o", lambda cm: cm["data"]["always"] == "1")
    assert found["data"]["extra"] == "theirs"


async def test_j_02_and_03_list_elements_and_empty_containers(lab: Lab) -> None:
    """Positions close up; a container that lost everything stays."""
    await lab.define(OPT)
    await lab.create("Opt", "o")
    await lab.settled("Opt", "o")
    found = await lab.kube.get(WIDGETS, "o", lab.namespace)
    assert found is not None
    assert found["spec"]["config"] == {"args": ["-a", "-z"], "empty": {}}
    await lab.edit("Opt", "o", verbose=True)
    await lab.kube.until(
        WIDGETS,
        "o",
        lambda obj: obj["spec"]["config"] == {"args": ["-a", "-v", "-z"], "empty": {"only": "x"}},
        lab.namespace,
    )


async def test_events_behind_their_gate(lab: Lab) -> None:
    """Each change of a condition's status is an event on the instance."""
    await lab.define("""
schema: {kind: Gate, spec: {}}
resources:
- id: door
  readyWhen: ["${door.status.phase == 'open'}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
""")
    await lab.create("Gate", "g")
    await lab.says("Gate", "g", "readyWhen")
    await lab.widget("g", phase="open")
    live = await lab.settled("Gate", "g")
    expected = {
        ("Normal", "InstanceManaged", "none -> True: Managed"),
        ("Warning", "ResourcesReady", "none -> False: NotReady"),
        ("Normal", "ResourcesReady", "False -> True: AllResourcesReady"),
        ("Normal", "Ready", "False -> True: Ready"),
    }

    async def recorded() -> set[tuple[str, str, str]]:
        page = await lab.kube.client.list(EVENTS, namespace=lab.namespace)
        items: list[Any] = list(page.items)
        return {
            (item["type"], item["reason"], item["message"])
            for item in items
            if item["involvedObject"]["uid"] == uid(live)
        }

    end = time.monotonic() + 15
    while not expected <= await recorded():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)  # events are written in the background
