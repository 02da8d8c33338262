"""How a controller ends: while passes run, at awkward moments, and when it is told twice.

Source: spec "Controller runtime" P-138 to P-141, F-67, F-68.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from kro.refs import GVR, NamespacedName
from support.http_proxy import Seen
from support.kube import DEFINITIONS, Kube, is_ready
from support.manifests import chain, endpoint, instance, unique
from support.operator import Surroundings
from support.wire import Wire, wired, writes

KIND = "Ending"
NAMESPACE = "ending"
LEASES = GVR("coordination.k8s.io", "v1", "leases")
LEASE = NamespacedName("default", "controller.kro.run")
ELECTION = ("--leader-elect", "--leader-election-namespace=default")


def of_children(seen: Seen) -> bool:
    return writes(seen) and "/configmaps/" in seen.path


async def busy(kube: Kube, wire: Wire, *, delay_s: float) -> list[str]:
    """Let ten instances be worked on, whose children take that long to write."""
    await wire.operator.ready()
    await kube.namespace(NAMESPACE)
    await kube.apply(chain(KIND, 2))
    await kube.until(DEFINITIONS, KIND.lower(), is_ready)
    rule = wire.proxy.add(of_children, delay_s=delay_s)
    names = [unique("e") for _ in range(10)]
    for name in names:
        await kube.apply(instance(KIND, name, NAMESPACE, {"v": "x"}), gvr=endpoint(KIND))
    await wire.until(lambda: rule.hits >= 10)
    return names


async def holder(kube: Kube) -> object:
    record = (await kube.client.get(LEASES, LEASE))["spec"]
    assert isinstance(record, dict)
    return record.get("holderIdentity")


async def test_passes_end_before_the_lease_is_released(
    private_cluster: Surroundings, tmp_path: Path
) -> None:
    """F-67, P-132, P-138: with writes that take two seconds, none of which is given up."""
    with wired(private_cluster, tmp_path, flags=ELECTION) as wire:
        wire.operator.start()
        async with Kube(private_cluster.kubeconfig) as kube:
            await busy(kube, wire, delay_s=2.0)
            wire.operator.signal(signal.SIGTERM)

            assert wire.operator.wait_exit(30) == 0
            assert await holder(kube) == ""
            last = max(seen.at_s for seen in wire.proxy.seen if of_children(seen))
            released = max(
                seen.at_s
                for seen in wire.proxy.seen
                if seen.method == "PUT" and "/leases/" in seen.path
            )
            assert released >= last + 2.0


async def test_passes_that_take_too_long_are_cancelled_and_said(
    private_cluster: Surroundings, tmp_path: Path
) -> None:
    """F-67, P-141: the drain has one second; the next process does what this one could not."""
    flags = (*ELECTION, "--graceful-shutdown-timeout=1s")
    with wired(private_cluster, tmp_path, flags=flags) as wire:
        wire.operator.start()
        async with Kube(private_cluster.kubeconfig) as kube:
            names = await busy(kube, wire, delay_s=20.0)
            wire.operator.signal(signal.SIGTERM)

            assert wire.operator.wait_exit(15) == 1
            assert await holder(kube) == ""
            wire.proxy.rules.clear()
            wire.operator.start()
            for name in names:
                await kube.until(endpoint(KIND), name, is_ready, NAMESPACE)


async def test_a_second_signal_ends_it_at_once(
    private_cluster: Surroundings, tmp_path: Path
) -> None:
    """F-68, P-139: in the middle of the drain."""
    with wired(private_cluster, tmp_path, flags=ELECTION) as wire:
        wire.operator.start()
        async with Kube(private_cluster.kubeconfig) as kube:
            await busy(kube, wire, delay_s=30.0)
            wire.operator.signal(signal.SIGTERM)
            await wire.until(lambda: "signal received" in wire.operator.last_lines())
            started = time.monotonic()
            wire.operator.signal(signal.SIGTERM)

            assert wire.operator.wait_exit(15) == 1
            assert time.monotonic() - started < 5
            # It had no time to give the lease back; the next process must not have to wait.
            await kube.client.delete(LEASES, LEASE)


@pytest.mark.parametrize("moment", ["in the initial load", "while another leads"])
async def test_it_ends_at_once_where_nothing_runs_yet(
    private_cluster: Surroundings, tmp_path: Path, moment: str
) -> None:
    """F-68: within two seconds, with some slack for a machine that is busy.

    P-142: until the first load the process is alive and not ready.
    """
    loading = "load" in moment
    with wired(private_cluster, tmp_path, flags=() if loading else ELECTION) as wire:
        async with Kube(private_cluster.kubeconfig) as kube:
            if loading:
                waited_for = wire.proxy.add(lambda seen: seen.is_watch, delay_s=30.0)
            else:
                await kube.client.create(
                    LEASES,
                    {
                        "apiVersion": "coordination.k8s.io/v1",
                        "kind": "Lease",
                        "metadata": {"name": LEASE.name, "namespace": LEASE.namespace},
                        "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600},
                    },
                    namespace=LEASE.namespace,
                )
                waited_for = wire.proxy.add(lambda seen: "/leases" in seen.path)
            wire.operator.start()
            await wire.until(lambda: waited_for.hits > 0)
            alive, ready = wire.operator.says("healthz"), wire.operator.says("readyz")
            started = time.monotonic()
            wire.operator.signal(signal.SIGTERM)

            assert wire.operator.wait_exit(15) == 0
            assert time.monotonic() - started < 4
            assert alive == (200, "ok")
            if loading:
                assert ready[0] == 500
                assert "not loaded yet: " in ready[1]
            else:
                assert await holder(kube) == "somebody"
                await kube.client.delete(LEASES, LEASE)
