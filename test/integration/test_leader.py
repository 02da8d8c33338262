"""Leader election against a real API server, with short durations."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client import (
    Client,
    ClusterConfig,
    NotFoundError,
    NotLeadingError,
    Transport,
    load_config,
)
from kro.runtime.leader import LeaderElector, LeadershipLostError
from kro.runtime.lease import LeaseSettings
from support.controlplane import Cluster
from support.http_proxy import HttpProxy

LEASES = GVR("coordination.k8s.io", "v1", "leases")
CONFIG_MAPS = GVR("", "v1", "configmaps")
QUICK = LeaseSettings(lease_duration_s=3.0, renew_deadline_s=2.0, retry_period_s=0.3)


@pytest.fixture
def config(kubeconfig: Path) -> ClusterConfig:
    """The administrator's way to the cluster."""
    return load_config(str(kubeconfig))


@pytest.fixture
async def client(config: ClusterConfig) -> AsyncIterator[Client]:
    """A client that no gate holds back."""
    client = Client(Transport(config, user_agent="kro/test"))
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def lease(client: Client) -> AsyncIterator[NamespacedName]:
    """The name of a lease, removed after the test."""
    name = NamespacedName("default", f"lease-{uuid4().hex[:8]}")
    try:
        yield name
    finally:
        with suppress(NotFoundError):
            await client.delete(LEASES, name)


@asynccontextmanager
async def running(elector: LeaderElector) -> AsyncIterator[asyncio.Task[None]]:
    """Run an elector for the length of the block; leaving it is a clean exit."""
    task = asyncio.create_task(elector.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LeadershipLostError):
            await task


def elector(
    config: ClusterConfig,
    lease: NamespacedName,
    identity: str,
    *,
    settings: LeaseSettings = QUICK,
    on_change: Callable[[bool], None] = lambda leading: None,
) -> LeaderElector:
    """Return an elector that never ends this process."""
    return LeaderElector(
        config,
        lease=lease,
        user_agent="kro/test leader-election",
        identity=identity,
        settings=settings,
        on_change=on_change,
        end_process=lambda: None,
    )


async def spec(client: Client, lease: NamespacedName) -> JsonObject:
    """Return the record as it stands."""
    found = (await client.get(LEASES, lease))["spec"]
    assert isinstance(found, dict)
    return found


async def test_one_leads_and_the_next_follows_a_clean_exit_at_once(
    config: ClusterConfig, client: Client, lease: NamespacedName
) -> None:
    """A released lease names nobody, so the standby needs no full duration."""
    changes: list[bool] = []
    first = elector(config, lease, "first", on_change=changes.append)
    second = elector(config, lease, "second")

    async with running(second) as follower:
        await asyncio.wait_for(second.led(), 5)
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower
    assert (await spec(client, lease))["holderIdentity"] == ""
    assert not second.is_leader

    async with running(first):
        await asyncio.wait_for(first.led(), 5)
        record = await spec(client, lease)
        assert record["holderIdentity"] == "first"
        assert record["leaseTransitions"] == 1
        assert first.is_leader
        assert first.problem() is None
        assert changes == [True]
        third = elector(config, lease, "third")
        async with running(third):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(third.led(), 4)
            assert first.is_leader
            assert third.holder == "first"
            assert not third.is_leader
    assert changes == [True, False]


async def test_a_leader_that_vanished_is_followed_after_its_lease(
    config: ClusterConfig, client: Client, lease: NamespacedName
) -> None:
    """Without a release the successor waits a full duration since it saw the record change."""
    crashed = LeaseSettings(
        lease_duration_s=3.0, renew_deadline_s=2.0, retry_period_s=0.3, release=False
    )
    first = elector(config, lease, "first", settings=crashed)
    async with running(first):
        await asyncio.wait_for(first.led(), 5)
    assert (await spec(client, lease))["holderIdentity"] == "first"

    second = elector(config, lease, "second")
    started = time.monotonic()
    async with running(second):
        await asyncio.wait_for(second.led(), 10)
        assert time.monotonic() - started >= 3.0
        assert (await spec(client, lease))["leaseTransitions"] == 1


async def test_a_leader_that_is_replaced_loses_for_ever(
    config: ClusterConfig, client: Client, lease: NamespacedName
) -> None:
    """Another holder in the record closes the gate and ends `run`."""
    first = elector(config, lease, "first")
    async with running(first) as task:
        await asyncio.wait_for(first.led(), 5)
        await client.patch(LEASES, lease, {"spec": {"holderIdentity": "somebody"}})

        with pytest.raises(LeadershipLostError, match="another process"):
            await asyncio.wait_for(asyncio.shield(task), 5)

    assert not first.is_leader
    assert first.problem() is not None
    with pytest.raises(NotLeadingError):
        first.gate.permit()
    assert (await spec(client, lease))["holderIdentity"] == "somebody"


async def test_a_deleted_or_odd_lease_is_made_whole(
    config: ClusterConfig, client: Client, lease: NamespacedName
) -> None:
    """Deleting it, zeroing the duration, adding fields: the leader repairs and goes on."""
    first = elector(config, lease, "first")

    async def holds(uid: object) -> bool:
        with suppress(NotFoundError):
            found = await client.get(LEASES, lease)
            metadata, record = found["metadata"], found["spec"]
            assert isinstance(metadata, dict)
            assert isinstance(record, dict)
            return metadata["uid"] != uid and record["leaseDurationSeconds"] == 3
        return False

    async with running(first):
        await asyncio.wait_for(first.led(), 5)
        before = await client.get(LEASES, lease)
        assert isinstance(before["metadata"], dict)
        await client.delete(LEASES, lease)
        async with asyncio.timeout(5):
            while not await holds(before["metadata"]["uid"]):  # noqa: ASYNC110 - rings no bell
                await asyncio.sleep(0.05)
        await client.patch(LEASES, lease, {"spec": {"leaseDurationSeconds": 1, "renewTime": None}})
        async with asyncio.timeout(5):
            while not await holds(""):  # noqa: ASYNC110 - rings no bell
                await asyncio.sleep(0.05)
        assert first.is_leader


async def test_the_lead_survives_a_busy_main_loop(
    config: ClusterConfig, client: Client, lease: NamespacedName
) -> None:
    """Renewal has its own thread: a loop that is blocked for longer than the deadline keeps it."""
    first = elector(config, lease, "first")
    async with running(first):
        await asyncio.wait_for(first.led(), 5)

        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            sum(range(10_000))

        assert first.is_leader
        assert (await spec(client, lease))["holderIdentity"] == "first"


async def test_the_gate_of_a_standby_refuses_writes_before_they_are_sent(
    config: ClusterConfig, client: Client, lease: NamespacedName
) -> None:
    """A client behind the gate reads, and writes only while it leads."""
    first, second = elector(config, lease, "first"), elector(config, lease, "second")
    name = NamespacedName("default", f"gated-{uuid4().hex[:8]}")
    body: JsonObject = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name.name, "namespace": name.namespace},
    }
    leading = Client(Transport(config, user_agent="kro/test"), gate=first.gate)
    waiting = Client(Transport(config, user_agent="kro/test"), gate=second.gate)
    try:
        async with running(first):
            await asyncio.wait_for(first.led(), 5)
            async with running(second):
                with pytest.raises(NotLeadingError):
                    await waiting.apply(CONFIG_MAPS, name, body, field_manager="test")
                await leading.apply(CONFIG_MAPS, name, body, field_manager="test")
                assert await waiting.get(CONFIG_MAPS, name)
                await leading.delete(CONFIG_MAPS, name)
    finally:
        await leading.aclose()
        await waiting.aclose()


async def test_a_standby_ends_at_once(config: ClusterConfig, lease: NamespacedName) -> None:
    """Stopping while somebody else leads takes no lease duration and no write."""
    first, second = elector(config, lease, "first"), elector(config, lease, "second")
    async with running(first):
        await asyncio.wait_for(first.led(), 5)
        async with running(second):
            await asyncio.sleep(0.3)
            started = time.monotonic()
        assert time.monotonic() - started < 2
        assert first.is_leader


async def test_a_lease_whose_taking_was_not_answered_is_released_too(
    cluster: Cluster, client: Client, lease: NamespacedName
) -> None:
    """F-68: whoever ends before it knows that it leads leaves no lease to be waited for."""
    certificates = cluster.kubeconfig.parent / "certificates"
    found = certificates if certificates.is_dir() else None
    config = load_config(str(cluster.kubeconfig))
    with HttpProxy(config.server, certificates=found) as proxy:
        proxy.add(lambda seen: seen.method == "POST", status=503, after=True, times=1)
        again = proxy.add(lambda seen: seen.method == "PUT", delay_s=10.0, times=1)
        proxied = ClusterConfig(server=proxy.url, tls=config.tls, credentials=config.credentials)
        first = elector(proxied, lease, "first")
        async with running(first):
            async with asyncio.timeout(5):
                while not again.hits:  # noqa: ASYNC110 - another thread counts
                    await asyncio.sleep(0.01)
            assert (await spec(client, lease))["holderIdentity"] == "first"
            assert not first.is_leader

    assert (await spec(client, lease))["holderIdentity"] == ""


async def test_an_api_server_that_does_not_answer_costs_the_lead(
    config: ClusterConfig, lease: NamespacedName
) -> None:
    """Renewals that hang count as no success: the gate closes in time, `run` raises."""
    cut = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if cut.is_set():
                continue  # a black hole: read and never answered
            writer.write(data)
            await writer.drain()
        writer.close()

    host, _, port = config.server.removeprefix("https://").rpartition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(relay(reader, back))
                group.create_task(relay(there, writer))
        finally:
            back.close()
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    through = server.sockets[0].getsockname()[1]
    proxied = ClusterConfig(
        server=f"https://127.0.0.1:{through}", tls=config.tls, credentials=config.credentials
    )
    first = elector(proxied, lease, "first")
    async with server:
        async with running(first) as task:
            await asyncio.wait_for(first.led(), 5)
            cut.set()
            started = time.monotonic()
            with pytest.raises(LeadershipLostError, match="no renewal"):
                await asyncio.wait_for(asyncio.shield(task), 5)
            assert time.monotonic() - started < 2.3
            assert not first.is_leader
        server.close()


async def test_renewals_that_hang_cost_the_lead(
    cluster: Cluster, config: ClusterConfig, client: Client, lease: NamespacedName
) -> None:
    """F-52: the API server takes every renewal and never answers; all else works."""
    certificates = cluster.kubeconfig.parent / "certificates"
    with HttpProxy(
        config.server, certificates=certificates if certificates.is_dir() else None
    ) as proxy:
        proxied = ClusterConfig(server=proxy.url, tls=config.tls, credentials=config.credentials)
        first = elector(proxied, lease, "first")
        async with running(first) as task:
            await asyncio.wait_for(first.led(), 5)
            hanging = proxy.add(lambda seen: seen.method == "PUT", delay_s=30.0)
            with pytest.raises(LeadershipLostError, match="no renewal"):
                await asyncio.wait_for(asyncio.shield(task), 10)

            assert hanging.hits > 0
            assert not first.is_leader
            with pytest.raises(NotLeadingError):
                first.gate.permit()


PROCESS = """
import asyncio, sys, time
from kro.logs import configure
from kro.refs import GVR, NamespacedName
from kro.runtime.client import (
    Client, ClientError, NotLeadingError, Transport, load_config
)
from kro.runtime.leader import LeaderElector, LeadershipLostError
from kro.runtime.lease import LeaseSettings

async def main(kubeconfig, lease, mode):
    config = load_config(kubeconfig)
    settings = LeaseSettings(lease_duration_s=3.0, renew_deadline_s=2.0, retry_period_s=0.3)
    elector = LeaderElector(config, lease=NamespacedName("default", lease), user_agent="kro/test",
                            identity="process", settings=settings, stuck_s=1.0)
    client = Client(Transport(config, user_agent="kro/test"), gate=elector.gate)
    name = NamespacedName("default", lease)
    body = {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": lease, "namespace": "default"}, "data": {}}

    async def write():
        await elector.led()
        print("leading", flush=True)
        if mode == "stuck":
            time.sleep(60)
        if mode == "stubborn":
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    print("refuses to end", flush=True)
        while True:
            body["data"]["at"] = str(time.time())
            try:
                await client.apply(GVR("", "v1", "configmaps"), name, body, field_manager="test")
            except NotLeadingError:
                print("refused", flush=True)
                await asyncio.sleep(0.01)
            except ClientError as error:
                print("failed", error.reason, flush=True)  # the one that was on its way
            else:
                print("wrote", time.time(), flush=True)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            group.create_task(elector.run())
    except* LeadershipLostError:
        sys.exit(7)

configure(encoder="json", verbosity=0, time_encoding="epoch")
asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def process(
    kubeconfig: Path, lease: NamespacedName, mode: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a leader that writes as fast as it can in a process of its own, once it leads."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, str(kubeconfig), lease.name, mode,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert started.stdout is not None
    try:
        assert await asyncio.wait_for(started.stdout.readline(), 20) == b"leading\n"
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def test_a_frozen_leader_writes_nothing_after_it_wakes(
    kubeconfig: Path, client: Client, config: ClusterConfig, lease: NamespacedName
) -> None:
    """While it slept another leads; on waking the gate refuses, and the process ends."""
    try:
        async with process(kubeconfig, lease, "write") as frozen:
            assert frozen.stdout is not None
            assert (await asyncio.wait_for(frozen.stdout.readline(), 10)).startswith(b"wrote")
            frozen.send_signal(signal.SIGSTOP)
            successor = elector(config, lease, "successor")
            async with running(successor):
                await asyncio.wait_for(successor.led(), 15)
                taken = time.time()
                frozen.send_signal(signal.SIGCONT)
                output, _ = await asyncio.wait_for(frozen.communicate(), 15)
                assert successor.is_leader
        assert frozen.returncode == 7
        writes = [
            float(line.split()[1]) for line in output.splitlines() if line.startswith(b"wrote")
        ]
        # One write may have been on its way when the process was frozen.
        assert len([each for each in writes if each > taken]) <= 1
        late = await client.get(CONFIG_MAPS, lease)
        assert isinstance(late["data"], dict)
        assert float(str(late["data"]["at"])) < taken
    finally:
        with suppress(NotFoundError):
            await client.delete(CONFIG_MAPS, lease)


async def test_a_stuck_leader_is_ended_by_its_lease_thread(
    kubeconfig: Path, lease: NamespacedName
) -> None:
    """A main loop that stands still does not keep the lead: the process ends, with its stacks."""
    async with process(kubeconfig, lease, "stuck") as stuck:
        _, errors = await asyncio.wait_for(stuck.communicate(), 15)
    assert stuck.returncode == 1
    assert b"main loop is stuck" in errors
    assert b"time.sleep" in errors or b"in write" in errors


async def test_a_process_that_refuses_to_end_is_ended_after_the_loss(
    kubeconfig: Path, client: Client, lease: NamespacedName
) -> None:
    """Losing is terminal within five seconds, whatever a task does about its cancellation."""
    async with process(kubeconfig, lease, "stubborn") as stubborn:
        await client.patch(LEASES, lease, {"spec": {"holderIdentity": "somebody"}})
        started = time.monotonic()
        output, _ = await asyncio.wait_for(stubborn.communicate(), 15)
    assert b"refuses to end" in output
    assert stubborn.returncode == 1
    assert time.monotonic() - started < 8
