"""One definition that comes, changes and goes two hundred times; two hundred instances at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.audit import log_of
from support.generated import greeter, numbers, serve
from support.kube import CONFIGMAPS, DEFINITIONS, Json, Kube, is_ready
from support.manifests import configmap, definition, endpoint, instance, unique
from support.operator import Operator, Surroundings

CYCLES = 200
INSTANCES = 200
MAY_GROW = {"files": 4, "threads": 6}
"""By open connections, and by the threads of a pool of six that is filled as it is used."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def process(private_cluster: Surroundings) -> Iterator[Operator]:
    """A controller of this module alone, so that its figures are its own."""
    with Operator(private_cluster.controller_kubeconfig, private_cluster.log) as operator:
        asyncio.run(operator.ready())
        yield operator


def _metric(process: Operator, name: str) -> float:
    """Return the sum of a metric's series."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in process.metrics().splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    )


def _held(process: Operator) -> dict[str, float]:
    """Return what the process holds: what must not grow."""
    folder = Path("/proc") / str(process.pid)
    return {
        "kinds": _metric(process, "dynamic_controller_gvr_count"),
        "informers": _metric(process, "dynamic_controller_watch_count"),
        "watched instances": _metric(process, "dynamic_controller_instance_watch_count"),
        "watches": _metric(process, "dynamic_controller_watch_request_count"),
        "files": len(list((folder / "fd").iterdir())),
        "threads": len(list((folder / "task").iterdir())),
        "revisions": _metric(process, "graph_revision_registry_entries"),
    }


def _resident_mib(process: Operator) -> float:
    status = (Path("/proc") / str(process.pid) / "status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def test_two_hundred_lives_of_one_definition(
    process: Operator, private_cluster: Surroundings
) -> None:
    """F-62: while its instances live on; never two micro-controllers, nothing is leaked."""
    kind, seed = unique("Cycled"), random.Random(62)
    async with Kube(private_cluster.kubeconfig) as kube:
        namespace = await kube.namespace(unique("cycled"))

        async def settled(text: str) -> None:
            await serve(kube, greeter(kind, text=text))
            for name in ("one", "two", "three"):
                await kube.until(CONFIGMAPS, name, lambda c: c["data"]["text"] == text, namespace)
                await kube.until(endpoint(kind), name, is_ready, namespace)

        await serve(kube, greeter(kind, text="first"))
        for name in ("one", "two", "three"):
            await kube.apply(instance(kind, name, namespace), gvr=endpoint(kind))
        for warm_up in range(6):  # as many revisions as are kept
            await settled(f"warm-up {warm_up}")
        before, memory = _held(process), _resident_mib(process)
        uids = [
            (await kube.get(CONFIGMAPS, n, namespace) or {})["metadata"]["uid"]
            for n in ("one", "two")
        ]

        for cycle in range(CYCLES):
            await kube.delete(DEFINITIONS, kind.lower())
            await asyncio.sleep(seed.uniform(0, 0.1))
            await kube.until_gone(DEFINITIONS, kind.lower())
            await kube.apply(greeter(kind, text=f"{cycle} a"))
            await asyncio.sleep(seed.uniform(0, 0.1))
            await kube.apply(greeter(kind, text=f"{cycle} b"))
            await asyncio.sleep(seed.uniform(0, 0.2))
            if cycle % 20 == 0:
                assert (
                    await asyncio.to_thread(_metric, process, "dynamic_controller_gvr_count") == 1
                )
        await settled("last")

        after = _held(process)
        grown = {k: v for k, v in after.items() if v > before[k] + MAY_GROW.get(k, 0)}
        assert grown == {}, before
        assert _resident_mib(process) < memory + 20
        assert [
            (await kube.get(CONFIGMAPS, n, namespace) or {})["metadata"]["uid"]
            for n in ("one", "two")
        ] == uids
        assert len(await numbers(kube, kind.lower())) <= 6
        assert _metric(process, "controller_runtime_reconcile_panics_total") == 0


def _pair(kind: str, text: str) -> Json:
    return definition(
        kind,
        [
            configmap("a", name="${schema.metadata.name}-a", data={"text": text}),
            configmap("b", name="${schema.metadata.name}-b", data={"text": text}),
        ],
        status={"a": "${a.data.text}", "b": "${b.data.text}"},
    )


async def test_an_edit_reaches_each_of_two_hundred_instances_exactly_once(
    process: Operator, private_cluster: Surroundings
) -> None:
    """Every object is written once and every status once; none is ever half on each revision."""
    kind = unique("Many")
    async with Kube(private_cluster.kubeconfig) as kube:
        namespace = await kube.namespace(unique("many"))
        names = [f"i{number}" for number in range(INSTANCES)]
        await serve(kube, _pair(kind, "old"))
        some = asyncio.Semaphore(16)

        async def create(name: str) -> None:
            async with some:
                await kube.apply(instance(kind, name, namespace), gvr=endpoint(kind))

        async def ready(name: str, text: str) -> None:
            def says(found: Json) -> bool:
                status = found.get("status", {})
                assert status.get("a", text) == status.get("b", text) or text == "old"
                return is_ready(found) and status.get("a") == status.get("b") == text

            async with some:
                await kube.until(endpoint(kind), name, says, namespace, timeout_s=60)

        await asyncio.gather(*map(create, names))
        await asyncio.gather(*(ready(name, "old") for name in names))
        log = log_of(private_cluster)

        await serve(kube, _pair(kind, "new"))
        await asyncio.gather(*(ready(name, "new") for name in names))

        await serve(kube, greeter(unique("Later")))  # what was under way then is over now
        written = Counter((w.resource, w.name) for w in log.writes() if w.namespace == namespace)
        children = {("configmaps", f"{name}-{part}"): 1 for name in names for part in "ab"}
        statuses = {(f"{endpoint(kind).resource}/status", name): 1 for name in names}
        assert written == {**children, **statuses}
