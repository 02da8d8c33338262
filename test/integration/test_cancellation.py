# ruff: noqa: E501 - definitions stand here as authors write them
"""F-73 where it takes an API server: the pass over an instance, and the lease of a leader.

Each is struck at every suspension in turn, those of its own tasks included.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from kro.graph.evaluation import is_terminating
from kro.refs import GVR, NamespacedName
from kro.runtime import Outcome, Reconcile
from kro.runtime.client import Client, NotFoundError, NotLeadingError, Transport, load_config
from kro.runtime.leader import LeaderElector
from kro.runtime.lease import LeaseSettings
from support.cancellation import Suspensions, at_every_suspension
from support.inprocess import InProcess, in_process
from support.invariants import until
from support.kube import CONFIGMAPS, Json, is_ready
from support.lab import Lab

LEASES = GVR("coordination.k8s.io", "v1", "leases")
QUICK = LeaseSettings(lease_duration_s=3.0, renew_deadline_s=2.0, retry_period_s=0.1)
PAIR = """
schema: {kind: Pair, spec: {v: string}, status: {v: "${b.data.v}"}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-a"}, data: {v: "${schema.spec.v}"}}
- id: c
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-c"}, data: {v: "${schema.spec.v}"}}
- id: b
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-b"}, data: {v: "${a.data.v}"}}
"""


@pytest_asyncio.fixture
async def stage(cluster: Any) -> AsyncIterator[tuple[InProcess, Lab]]:
    async with in_process(cluster.kubeconfig) as (controller, lab):
        yield controller, lab
        await lab.close()


def any_pass(_: NamespacedName) -> bool:
    return True


class Struck:
    """Strikes one pass over one instance, and leaves all others alone."""

    def __init__(self) -> None:
        self.target = ""
        self.is_due: Callable[[NamespacedName], bool] = any_pass
        self.suspensions = Suspensions(0)
        self.over = asyncio.Event()

    def aim(
        self,
        name: str,
        suspensions: Suspensions,
        is_due: Callable[[NamespacedName], bool] = any_pass,
    ) -> None:
        """Strike the next pass over the instance that is due: by default, just the next one."""
        self.target, self.suspensions, self.is_due = name, suspensions, is_due
        self.over.clear()

    def around(self, reconcile: Reconcile) -> Reconcile:
        async def stepped(name: NamespacedName) -> Outcome:
            if name.name != self.target or not self.is_due(name):
                return await reconcile(name)
            self.target = ""
            try:
                return await self.suspensions.run(reconcile(name), tasks=True)
            finally:
                self.over.set()

        return stepped


async def test_a_pass_that_is_cancelled_anywhere_is_finished_by_the_next(
    stage: tuple[InProcess, Lab],
) -> None:
    """F-73, P-101, P-140: creation and deletion, with nothing made twice and nothing left over."""
    controller, lab = stage
    graph = await controller.serve(lab, PAIR)
    gvr = graph.instance.mapped.gvr
    struck = Struck()
    micro = controller.swap(gvr, struck.around)
    number = 0

    def is_going(name: NamespacedName) -> bool:
        return is_terminating(micro.informed.get(name) or {"metadata": {}})

    async def attempt(suspensions: Suspensions, *, deletion: bool) -> None:
        nonlocal number
        number += 1
        name = f"p{number}"
        if not deletion:
            struck.aim(name, suspensions)
        await lab.create("Pair", name, {"v": "x"})
        if not deletion:
            await asyncio.wait_for(struck.over.wait(), 30)
        early = await uids(lab, name)
        # What cancelled it would have come from an end of the process: so begin anew.
        micro.controller.enqueue(NamespacedName(lab.namespace, name))
        await lab.kube.until(gvr, name, is_ready, lab.namespace)
        settled = await uids(lab, name)
        assert sorted(settled) == [f"{name}-{node}" for node in "abc"]
        assert early.items() <= settled.items()
        if deletion:
            struck.aim(name, suspensions, is_going)
        await lab.delete("Pair", name)
        if deletion:
            await asyncio.wait_for(struck.over.wait(), 30)
            micro.controller.enqueue(NamespacedName(lab.namespace, name))
        await lab.kube.until_gone(gvr, name, lab.namespace)
        assert await uids(lab, name) == {}

    created = await at_every_suspension(lambda s: attempt(s, deletion=False))
    deleted = await at_every_suspension(lambda s: attempt(s, deletion=True))

    assert created > 5
    assert deleted > 3
    await until(lambda: micro.controller.queue.leased == micro.controller.running == 0)


async def uids(lab: Lab, name: str) -> dict[str, str]:
    page = await lab.kube.client.list(CONFIGMAPS, namespace=lab.namespace)
    found: list[Any] = [each["metadata"] for each in page.items]
    return {each["name"]: each["uid"] for each in found if each["name"].startswith(f"{name}-")}


class StruckElector(LeaderElector):
    """Competes until the nth suspension of its thread, and is told to stop there."""

    suspensions: Suspensions

    async def _compete(self, client: Client) -> None:
        await self.suspensions.run(super()._compete(client), tasks=True)


@pytest.mark.parametrize("free", [True, False], ids=["leading", "waiting for another"])
async def test_a_lease_that_is_given_up_anywhere_is_free_or_never_was_ours(
    cluster: Any, free: bool
) -> None:
    """F-73, P-132: the gate is shut, the record names nobody of us, the thread is gone.

    Through the first suspensions: the connection, the acquisition and some renewals or looks.
    """
    config = load_config(str(cluster.kubeconfig))
    client = Client(Transport(config, user_agent="kro/test"))
    main = asyncio.get_running_loop()
    holders = []
    for at in range(1, 21 if free else 11):
        lease = NamespacedName("default", f"struck-{uuid4().hex[:8]}")
        if not free:
            await client.create(LEASES, held_by_somebody(lease), namespace="default")
        elector = StruckElector(
            config, lease=lease, user_agent="kro/test", settings=QUICK, end_process=lambda: None
        )
        run = asyncio.create_task(elector.run())
        elector.suspensions = Suspensions(
            at,
            lambda run=run: main.call_soon_threadsafe(run.cancel),  # type: ignore[misc]
        )
        await asyncio.wait([run], timeout=20)
        assert run.cancelled(), f"at the {at}th suspension"
        with pytest.raises(NotLeadingError):
            elector.gate.permit()
        with suppress(NotFoundError):
            record: Any = (await client.get(LEASES, lease))["spec"]
            holders.append(record["holderIdentity"])
            await client.delete(LEASES, lease)
    await client.aclose()

    assert set(holders) == ({""} if free else {"somebody"})
    assert not [each for each in threading.enumerate() if each.name == "lease"]


def held_by_somebody(lease: NamespacedName) -> Json:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": lease.name, "namespace": lease.namespace},
        "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600},
    }
