"""Informers while the API server and etcd end, come back, forget, and go back in time.

On a control plane of this module alone. Source: spec "Controller runtime" part 4.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from kro.refs import GVR, NamespacedName
from kro.runtime import Informed, Informers, InformerState, LoopClock, Scope
from kro.runtime import reflector as reflector_module
from kro.runtime.client import Client, ClusterConfig, Transport, load_config
from kro.runtime.leader import LeaderElector
from kro.runtime.lease import LeaseSettings
from support.components import Components
from support.controlplane import ControlPlane
from support.invariants import Told, check_store, until
from support.tcp_proxy import Connection, TcpProxy

# Connections that are cut while TLS says goodbye are left to the collector when a test's loop ends.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CONFIGMAPS = GVR("", "v1", "configmaps")


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    if os.environ.get("KRO_KUBECONFIG"):
        pytest.skip("needs a control plane of its own; KRO_KUBECONFIG names somebody's")
    plane = ControlPlane(f"kro-history-{os.getpid()}")
    plane.up(say=lambda _: None, dies_with=os.getpid())
    try:
        yield plane
    finally:
        plane.down()


class Stage:
    """Config maps on that control plane, watched through a proxy that can keep us away."""

    def __init__(self, plane: ControlPlane, proxy: TcpProxy, config: ClusterConfig) -> None:
        self.components = Components(plane)
        self.proxy = proxy
        self.mark = f"h{uuid.uuid4().hex[:12]}"
        self.selector = f"mark={self.mark}"
        self.direct = Client(Transport(config, user_agent="oracle"))
        self.told = Told()
        self.things: Informed

    async def write(self, name: str) -> None:
        key = NamespacedName("default", f"{self.mark}-{name}")
        body: Any = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**key._asdict(), "labels": {"mark": self.mark}},
            "data": {"at": uuid.uuid4().hex},
        }
        await self.direct.apply(CONFIGMAPS, key, body, field_manager="test")

    async def remove(self, name: str) -> None:
        await self.direct.delete(CONFIGMAPS, NamespacedName("default", f"{self.mark}-{name}"))

    async def check(self) -> None:
        await check_store(self.direct, self.things, self.told, self.selector)

    def loads(self) -> int:
        return sum(self.things.status().relists.values())

    async def move(self, target: tuple[str, int]) -> None:
        """Bring the informer to another API server, as the end of its own would."""
        self.away()
        self.proxy.target = target
        await self.proxy.accept()

    def away(self) -> None:
        """Keep the informer from the API server."""
        self.proxy.refuse()
        for connection in self.proxy.alive:
            connection.reset()


@pytest_asyncio.fixture
async def stage(plane: ControlPlane) -> AsyncIterator[Stage]:
    config = load_config(str(plane.kubeconfig))
    parts = urlsplit(config.server)
    async with TcpProxy(str(parts.hostname), int(parts.port or 443)) as proxy:
        stage = Stage(plane, proxy, config)
        for name in "ab":
            await stage.write(name)
        ours = dataclasses.replace(config, server=f"https://127.0.0.1:{proxy.port}")
        client = Client(Transport(ours, user_agent="under-test"))
        informers = Informers(client=client, clock=LoopClock(), linger_s=0.0)
        run = asyncio.create_task(informers.run())
        try:
            with informers.watch(CONFIGMAPS, Scope(selector=stage.selector)) as stage.things:
                stage.things.add_handler(stage.told)
                assert await stage.things.wait_synced(30)
                yield stage
        finally:
            run.cancel()
            await asyncio.wait([run])
            await client.aclose()
            await stage.direct.aclose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["F-10", "F-11"])
async def test_an_api_server_that_restarts_is_followed(
    stage: Stage, number: signal.Signals
) -> None:
    """F-10, F-11, shortened to two restarts: recovery within 15 s of its being ready.

    The new process has a history from its own start on, so that a cursor from before may be lost.
    """
    for at in range(2):
        await stage.components.restart(number)
        await stage.write(f"w{at}")
        async with asyncio.timeout(15):
            await stage.check()


async def test_a_history_that_ended_with_its_process_is_loaded_anew(stage: Stage) -> None:
    """F-22: away, 120 writes and a deletion, a new API server; then tombstones and all."""
    stage.away()
    await stage.remove("a")
    for at in range(120):
        await stage.write(f"w{at % 5}")
    await stage.components.restart()
    await stage.proxy.accept()
    await stage.check()

    assert stage.loads() == 2
    assert "expired" in stage.things.status().relists


async def test_a_history_that_was_compacted_is_loaded_anew(stage: Stage) -> None:
    """F-23: without a watch cache, etcd itself answers 410."""
    await stage.components.restart(signal.SIGTERM, "--watch-cache=false")
    try:
        await stage.check()
        stage.away()
        await stage.remove("a")
        for at in range(20):
            await stage.write(f"w{at % 5}")
        page = await stage.direct.list_all(CONFIGMAPS)
        await stage.components.compact(int(page.resource_version))
        await stage.proxy.accept()
        await stage.check()

        assert "expired" in stage.things.status().relists
    finally:
        await stage.components.restart()


async def test_a_server_that_went_back_in_time_is_believed(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-26, with a silence limit of two seconds in place of 75: the old truth is the truth."""
    monkeypatch.setattr(reflector_module, "SILENCE_S", 2.0)
    await stage.components.backup(tmp_path / "backup")
    await stage.write("before")
    await stage.check()
    for at in range(60):
        await stage.write(f"lost{at}")
    await stage.check()
    await stage.components.restore(tmp_path / "backup")
    await stage.check()

    assert len(stage.things) == 2
    await stage.write("c")
    await stage.check()


async def test_of_two_api_servers_one_falls_behind(stage: Stage) -> None:
    """F-12, F-13: connections move with the servers' restarts; a laggard's past is never believed.

    Shortened to two moves, and four seconds with a server that is cut off from etcd.
    """
    first = stage.proxy.target
    async with (
        TcpProxy(*stage.components.etcd_address()) as etcd,
        stage.components.second_api_server(f"http://127.0.0.1:{etcd.port}") as second,
    ):
        for target in (second, first):
            await stage.move(target)
            await stage.write("moved")
            async with asyncio.timeout(15):
                await stage.check()

        etcd.opened = Connection.freeze
        for connection in etcd.alive:
            connection.freeze()
        await stage.remove("a")
        for at in range(20):
            await stage.write(f"w{at}")
        await stage.check()
        newest = dict(stage.told.versions)
        await stage.move(second)
        await asyncio.sleep(4)
        behind = dict(stage.told.versions)

        etcd.opened = lambda connection: None
        for connection in etcd.alive:
            connection.resume()
        await stage.write("w1")
        await stage.check()
        await stage.move(first)
        await stage.check()

    assert behind == newest


async def test_a_slow_etcd_costs_time_and_no_lead(stage: Stage, plane: ControlPlane) -> None:
    """F-45, shortened to four seconds in which etcd stands still for half a second at a time."""
    settings = LeaseSettings(lease_duration_s=6.0, renew_deadline_s=4.0, retry_period_s=0.5)
    elector = LeaderElector(
        load_config(str(plane.kubeconfig)),
        lease=NamespacedName("default", stage.mark),
        user_agent="kro/test",
        settings=settings,
        end_process=lambda: None,
    )
    run = asyncio.create_task(elector.run())
    await asyncio.wait_for(elector.led(), 10)
    for at in range(5):
        write = asyncio.create_task(stage.write(f"slow{at}"))
        await stage.components.pause("etcd", 0.5)
        await write
        await asyncio.sleep(0.2)
        assert elector.is_leader
    await stage.check()
    run.cancel()
    await asyncio.wait([run])

    assert stage.loads() == 1


async def test_an_api_server_that_is_away_is_waited_for(stage: Stage) -> None:
    """F-09, F-44, shortened to ten seconds of etcd's absence."""
    await asyncio.to_thread(stage.components.end, "etcd", signal.SIGKILL)
    await asyncio.sleep(10)
    stage.components.start("etcd")
    await stage.components.ready()
    async with asyncio.timeout(60):
        while True:
            try:
                await stage.write("after")
            except Exception:  # noqa: BLE001 - whatever the API server says until etcd is back
                await asyncio.sleep(0.5)
            else:
                break
    await stage.check()
    await until(lambda: stage.things.state is InformerState.SYNCED)
