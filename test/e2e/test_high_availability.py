"""Two and more replicas: the leader is killed, hangs, is stopped, replaced, cut off, and absent.

In all of it instances are created, and in the end every one of them is Ready, with each of its
children made once and by the replica that led at that instant.

The durations of the lease are the defaults, but where a test says that they are shortened.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import pytest_asyncio
import yaml

from integration.conftest import install_crds
from kro.refs import GVR
from support.http_proxy import HttpProxy
from support.kube import CONFIGMAPS, DEFINITIONS, DEPLOYMENTS, NAMESPACES, SERVICES, Kube
from support.lab import is_served, is_settled
from support.manifests import configmap, definition, endpoint, instance, unique
from support.replicas import (
    LEASE,
    NAMESPACE,
    Entry,
    Replica,
    Stage,
    check_one_writer,
    creations,
    is_work,
    leader_of,
    stage,
    terms,
)
from support.tcp_proxy import TcpProxy
from support.wire import writes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("KRO_KUBECONFIG" in os.environ, reason="needs users of its own"),
]

EVENTS: Final = GVR("", "v1", "events")
CHILDREN: Final = ("configmaps", "deployments", "services")
DURATION_S: Final = 15.0
QUICK: Final = (
    "--leader-election-lease-duration=5s",
    "--leader-election-renew-deadline=3s",
    "--leader-election-retry-period=1s",
)


@pytest.fixture(scope="module")
def cluster_of_replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A control plane where replicas are known by name."""
    with stage(tmp_path_factory.mktemp("replicas")) as made:
        asyncio.run(_prepare(made))
        yield made


async def _prepare(made: Stage) -> None:
    async with Kube(made.kubeconfig) as kube:
        await install_crds(kube)
        await kube.namespace(NAMESPACE)


@pytest_asyncio.fixture
async def kube(cluster_of_replicas: Stage) -> AsyncIterator[Kube]:
    """An administrator."""
    async with Kube(cluster_of_replicas.kubeconfig) as user:
        yield user


def app(kind: str, *, extra: str = "") -> dict[str, Any]:
    """Return a definition with three children, each of which reads the one before."""
    own = "${schema.metadata.name}"
    resources: list[dict[str, Any]] = [
        configmap("settings", name=f"{own}-settings", data={"v": "${schema.spec.v}"}),
        {
            "id": "web",
            "template": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": own},
                "spec": {
                    "selector": {"matchLabels": {"app": own}},
                    "template": {
                        "metadata": {"labels": {"app": own}},
                        "spec": {
                            "containers": [
                                {
                                    "name": "web",
                                    "image": "web",
                                    "env": [{"name": "V", "value": "${settings.data.v}"}],
                                }
                            ]
                        },
                    },
                },
            },
        },
        {
            "id": "front",
            "template": {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": own},
                "spec": {
                    "selector": {"app": "${web.metadata.name}"},
                    "ports": [{"port": 80}],
                },
            },
        },
    ]
    if extra:
        resources.append(configmap(extra, name=f"{own}-{extra}", data={"v": "${schema.spec.v}"}))
    return definition(kind, resources, spec={"v": "string | default=first"})


class Load:
    """Instances of a kind of its own, created one after the other."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.kind = unique("Load")
        self.namespace = unique("load")
        self.since = time.time()
        self._made = itertools.count()
        self.names: list[str] = []

    async def define(self) -> None:
        """Let the kind be served; a replica must lead."""
        await self.kube.namespace(self.namespace)
        await self.kube.apply(app(self.kind))
        await self.kube.until(DEFINITIONS, self.kind.lower(), is_served)

    async def create(self) -> None:
        """Create one more."""
        name = f"x{next(self._made)}"
        await self.kube.apply(instance(self.kind, name, self.namespace), gvr=endpoint(self.kind))
        self.names.append(name)

    async def run(self, every_s: float, over: asyncio.Event) -> None:
        """Create one after the other until it is over."""
        while not over.is_set():
            await self.create()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), every_s)

    @asynccontextmanager
    async def running(self, every_s: float = 0.5) -> AsyncIterator[None]:
        """Create one after the other for the length of the block."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.run(every_s, over))
            try:
                yield
            finally:
                over.set()

    async def settled(self) -> None:
        """Wait until every one is Ready."""
        for name in self.names:
            await self.kube.until(
                endpoint(self.kind), name, is_settled, self.namespace, timeout_s=60
            )

    async def left(self) -> int:
        """Return how many are not Ready."""
        page = await self.kube.client.list_all(endpoint(self.kind), namespace=self.namespace)
        return sum(not is_settled(each) for each in items(page))

    async def check(self, entries: Sequence[Entry]) -> None:
        """Hold that nothing was lost and nothing done twice."""
        there = {}
        for gvr in (CONFIGMAPS, DEPLOYMENTS, SERVICES):
            page = await self.kube.client.list_all(gvr, namespace=self.namespace)
            there[gvr.resource] = items(page)
        names = {
            resource: sorted(each["metadata"]["name"] for each in found)
            for resource, found in there.items()
        }
        assert names == {
            "configmaps": sorted(f"{name}-settings" for name in self.names),
            "deployments": sorted(self.names),
            "services": sorted(self.names),
        }
        assert {each["metadata"]["generation"] for each in there["deployments"]} == {1}
        mine = [each for each in entries if each.namespace == self.namespace]
        made = creations(mine, CHILDREN)
        assert set(made) == {(resource, name) for resource in names for name in names[resource]}
        assert set(made.values()) == {1}, made.most_common(3)
        gone = [each for each in mine if each.verb.startswith("delete")]
        assert gone == []
        check_one_writer(entries)
        await self.kube.delete(DEFINITIONS, self.kind.lower())
        await self.kube.delete(NAMESPACES, self.namespace)


def items(page: Any) -> list[dict[str, Any]]:
    """Return the objects of a page, to be looked into freely."""
    return list(page.items)


def stop_all(replicas: Sequence[Replica]) -> None:
    """End what a test that failed has left."""
    for each in replicas:
        each.kill()


async def test_a_leader_that_hangs_or_is_killed_or_stopped_is_followed(
    cluster_of_replicas: Stage, kube: Kube
) -> None:
    """At most 20 s, 20 s and 5 s; who slept writes nothing more, and ends.

    The hanging one wakes while the one that followed it is dead already, and nobody leads.
    """
    load = Load(kube)
    first, *others = replicas = [cluster_of_replicas.replica(letter) for letter in "abc"]
    try:
        first.start()
        await leader_of([first], within_s=30)
        for each in others:
            each.start()
        await asyncio.gather(*(each.ready() for each in replicas))
        assert [each.probe("/healthz") for each in others] == [200, 200]
        assert not any(each.leads() for each in others)
        await load.define()
        async with load.running():
            first.signal(signal.SIGSTOP)
            hung = time.time()
            assert await asyncio.to_thread(first.probe, "/healthz") is None
            second = await leader_of(others, within_s=20)

            second.kill()
            killed = time.time()
            [third] = [each for each in others if each is not second]
            await asyncio.sleep(max(0.0, hung + 30 - time.time()))
            first.signal(signal.SIGCONT)
            woken = time.time()
            await first.ends(1)
            await leader_of([third], within_s=killed + 20 - time.time())

            first.start()
            await first.ready()
            stopped = time.time()
            await third.ended()
            await leader_of([first], within_s=stopped + 5 - time.time())
        await load.settled()
        await first.ended()

        entries = cluster_of_replicas.entries(since=load.since)
        held = terms(entries)
        assert [term.user for term in held] == [each.user for each in (first, second, third, first)]
        gaps = [after.first - before.last for before, after in itertools.pairwise(held)]
        told = ("hung", hung), ("killed", killed), ("stopped", stopped)
        for (what, at), term in zip(told, held[1:], strict=True):
            print(f"{what}: followed after {term.first - at:.1f} s")
        assert min(gaps[:2]) >= DURATION_S
        assert held[1].first - hung <= 20
        assert held[2].first - killed <= 20
        assert held[3].first - stopped <= 5
        late = [
            each
            for each in entries
            if each.user == first.user and each.is_write and hung + 0.1 < each.received < stopped
        ]
        assert [each for each in late if each.code < 400 or each.received >= woken] == []
        await load.check(entries)
        assert await announcements(kube) >= {"became leader", "stopped leading"}
    finally:
        stop_all(replicas)


async def announcements(kube: Kube) -> set[str]:
    """Return what the events about the lease say, without the identity before it."""
    page = await kube.client.list(EVENTS, namespace=NAMESPACE)
    about = [each for each in items(page) if each["involvedObject"]["name"] == LEASE]
    assert {(each["type"], each["reason"]) for each in about} == {("Normal", "LeaderElection")}
    return {each["message"].partition(" ")[2] for each in about}


async def test_a_rolling_upgrade_under_load_loses_nothing_and_does_nothing_twice(
    cluster_of_replicas: Stage, kube: Kube
) -> None:
    """As a Deployment does it: the new one is Ready, then the old one gets SIGTERM.

    The new one loads what there is while it waits.
    """
    load = Load(kube)
    patient = ["--graceful-shutdown-timeout=-1s"]  # for ever: passes in flight do end
    old = cluster_of_replicas.replica("a", flags=patient)
    new = cluster_of_replicas.replica("b", flags=["--enable-controller-warmup"])
    try:
        old.start()
        await leader_of([old], within_s=30)
        await load.define()
        new.start()
        await new.ready()
        await new.has_loaded(3)
        for _ in range(25):
            await load.create()
        begun = time.time()
        ending = asyncio.create_task(old.ended())
        for _ in range(25):
            await load.create()
            await asyncio.sleep(0.05)
        await ending
        await leader_of([new], within_s=begun + 5 - time.time())
        await load.settled()
        await new.ended()

        entries = cluster_of_replicas.entries(since=load.since)
        assert [term.user for term in terms(entries)] == [old.user, new.user]
        print(f"replaced: followed after {terms(entries)[1].first - begun:.1f} s")
        assert len(load.names) == 50
        await load.check(entries)
    finally:
        stop_all([old, new])


async def test_the_lease_is_given_back_after_the_last_pass(
    cluster_of_replicas: Stage, kube: Kube
) -> None:
    """F-67, with an API server that takes 0.3 s for every write: what has begun is finished.

    What has not begun is the next one's.
    """
    load = Load(kube)
    config = yaml.safe_load(cluster_of_replicas.kubeconfig_of("a").read_text())
    [cluster] = config["clusters"]
    certificates = cluster_of_replicas.kubeconfig.parent / "certificates"
    with HttpProxy(cluster["cluster"]["server"], certificates=certificates) as proxy:
        cluster["cluster"]["server"] = proxy.url
        slowly = cluster_of_replicas.kubeconfig_of("a").with_name("slowly")
        slowly.write_text(yaml.safe_dump(config))
        busy = cluster_of_replicas.replica("a", kubeconfig=slowly)
        fresh = cluster_of_replicas.replica("b")
        try:
            busy.start()
            await leader_of([busy], within_s=30)
            await load.define()
            proxy.add(writes, delay_s=0.3)
            for _ in range(50):
                await load.create()
            await kube.until(CONFIGMAPS, "x0-settings", bool, load.namespace)
            await busy.ended()
            left = await load.left()
            fresh.start()
            await load.settled()
            await fresh.ended()

            entries = cluster_of_replicas.entries(since=load.since)
            before, after = terms(entries)
            assert (before.user, after.user) == (busy.user, fresh.user)
            written = [e.answered for e in entries if e.user == busy.user and is_work(e)]
            assert max(written) <= before.last
            assert 0 < left < 50
            await load.check(entries)
        finally:
            stop_all([busy, fresh])


async def test_a_leader_that_is_cut_off_stops_before_anybody_follows(
    cluster_of_replicas: Stage, kube: Kube
) -> None:
    """Nothing that it sends arrives: it ends, with 1, before its lease does.

    With shortened durations: 5 s, 3 s, 1 s.
    """
    load = Load(kube)
    config = yaml.safe_load(cluster_of_replicas.kubeconfig_of("a").read_text())
    [cluster] = config["clusters"]
    host, _, port = cluster["cluster"]["server"].removeprefix("https://").rpartition(":")
    async with TcpProxy(host, int(port)) as proxy:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
        through = cluster_of_replicas.kubeconfig_of("a").with_name("through-proxy")
        through.write_text(yaml.safe_dump(config))
        cut = cluster_of_replicas.replica("a", flags=QUICK, kubeconfig=through)
        other = cluster_of_replicas.replica("b", flags=QUICK)
        try:
            cut.start()
            await leader_of([cut], within_s=30)
            other.start()
            await other.ready()
            await load.define()
            async with load.running(0.1):
                await asyncio.sleep(1.0)
                for connection in proxy.alive:
                    connection.black_hole()
                proxy.opened = lambda connection: connection.black_hole()
                gone = time.time()
                await cut.ends(1, within_s=10)
                ended = time.time()
                await leader_of([other], within_s=20)
            await load.settled()
            await other.ended()

            entries = cluster_of_replicas.entries(since=load.since)
            before, after = terms(entries)
            assert (before.user, after.user) == (cut.user, other.user)
            print(f"cut off: ended after {ended - gone:.1f} s, {after.first - gone:.1f} s")
            assert after.first - before.last >= 5
            assert ended - gone < 3 + 5, "the renew deadline, and five seconds to end"
            await load.check(entries)
        finally:
            stop_all([cut, other])


async def test_what_changes_while_no_controller_runs_is_taken_up_at_the_start(
    cluster_of_replicas: Stage, kube: Kube
) -> None:
    """Edits, deletions and new objects, of children, instances and definitions.

    The lease names nobody after a clean stop, so the next process leads at once.
    """
    kind, doomed, born = unique("Kept"), unique("Doomed"), unique("Born")
    namespace = await kube.namespace(unique("absent"))
    only = cluster_of_replicas.replica("a")

    async def create(of: str, name: str) -> None:
        await kube.apply(instance(of, name, namespace), gvr=endpoint(of))

    async def settled(of: str, name: str) -> dict[str, Any]:
        return await kube.until(endpoint(of), name, is_settled, namespace)

    try:
        only.start()
        await leader_of([only], within_s=30)
        for each in (kind, doomed):
            await kube.apply(app(each, extra="old"))
            await kube.until(DEFINITIONS, each.lower(), is_served)
        for name in ("edited", "robbed", "deleted", "idle"):
            await create(kind, name)
            await settled(kind, name)
        await create(doomed, "orphan")
        await settled(doomed, "orphan")
        kept = await kube.get(DEPLOYMENTS, "idle", namespace)
        await only.ended()

        await kube.merge(endpoint(kind), "edited", {"spec": {"v": "second"}}, namespace)
        await kube.delete(CONFIGMAPS, "robbed-settings", namespace)
        await kube.merge(DEPLOYMENTS, "robbed", {"spec": {"replicas": 3}}, namespace)
        strange = {"spec": {"selector": {"app": "strange"}}}
        await kube.merge(SERVICES, "robbed", strange, namespace)
        await kube.delete(endpoint(kind), "deleted", namespace)
        await create(kind, "created")
        await kube.apply(app(kind, extra="new"))
        await kube.delete(DEFINITIONS, doomed.lower())
        await kube.delete(endpoint(doomed), "orphan", namespace)
        await kube.apply(app(born))
        only.start()

        await kube.until(DEFINITIONS, born.lower(), is_served)
        await kube.until(DEFINITIONS, kind.lower(), is_served)
        await kube.until_gone(DEFINITIONS, doomed.lower())
        await kube.until_gone(endpoint(kind), "deleted", namespace)
        await kube.until_gone(endpoint(doomed), "orphan", namespace)
        for name in ("edited", "robbed", "idle", "created"):
            await kube.until(CONFIGMAPS, f"{name}-new", bool, namespace)
            await kube.until_gone(CONFIGMAPS, f"{name}-old", namespace)
            await settled(kind, name)
        for gvr, name in ((CONFIGMAPS, "deleted-settings"), (DEPLOYMENTS, "orphan")):
            assert await kube.get(gvr, name, namespace) is None
        await kube.until(
            CONFIGMAPS, "edited-settings", lambda cm: cm["data"] == {"v": "second"}, namespace
        )
        await kube.until(CONFIGMAPS, "robbed-settings", bool, namespace)
        await kube.until(
            SERVICES, "robbed", lambda s: s["spec"]["selector"] == {"app": "robbed"}, namespace
        )
        after = await kube.get(DEPLOYMENTS, "idle", namespace)
        assert kept is not None
        assert after is not None
        assert after["metadata"]["uid"] == kept["metadata"]["uid"]
        assert after["metadata"]["generation"] == 1
        # A field that no template sets is its owner's, whoever that is.
        robbed = await kube.get(DEPLOYMENTS, "robbed", namespace)
        assert robbed is not None
        assert robbed["spec"]["replicas"] == 3
        await create(born, "first")
        await settled(born, "first")
        await only.ended()
    finally:
        stop_all([only])
