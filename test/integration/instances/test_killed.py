# ruff: noqa: E501 - definitions stand here as authors write them
"""A controller that ends after any single write: the next one comes to the same end.

Every write of a creation, an update and a deletion is the last one of some controller in this
process; some of them also of a real process, which is killed.

Source: spec instance-runtime.md §8.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest
import pytest_asyncio

from kro import names
from support.cut import Cut, behind_proxy, cut
from support.http_proxy import HttpProxy
from support.inprocess import running
from support.kube import CONFIGMAPS, SECRETS, Json, Kube
from support.lab import Lab, group_kinds, labels_of, uid, version
from support.operator import Operator, Surroundings

TEN = """
schema: {kind: Ten, spec: {v: string, n: "integer | default=5", more: "boolean | default=true", tail: "string | default=t"}, status: {last: "${c.data.v}"}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-a"}, data: {v: "${schema.spec.v}"}}
- id: b
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-b"}, data: {v: "${a.data.v}"}}
- id: c
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-c"}, data: {v: "${b.data.v}"}}
- id: d
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-d"}, data: {v: "${schema.spec.v}"}}
- id: e
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-e"}, data: {v: "constant"}}
- id: f
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-f"}, data: {v: "constant"}}
- id: s
  includeWhen: ["${schema.spec.more}"]
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}-s"}, stringData: {v: "${schema.spec.v}"}}
- id: u
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-u"}, data: {v: "${s.metadata.name}"}}
- id: t
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${schema.spec.tail}"}, data: {v: "constant"}}
- id: many
  forEach: [{i: "${lists.range(schema.spec.n)}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-m${string(i)}"}, data: {v: "${b.data.v}"}}
"""
CREATED = ("a", "b", "c", "d", "e", "f", "m0", "m1", "m2", "m3", "m4", "s", "t", "u")
EDIT = {"v": "new", "n": 3, "more": False, "tail": "z"}
UPDATED = ("a", "b", "c", "d", "e", "f", "m0", "m1", "m2", "z")
CREATION, UPDATE, DELETION = 17, 15, 15
"""Writes: finalizer, inventory, 14 objects and the status; 8 objects, 5 prunes, inventory and
status; 14 objects and the finalizer."""

Children: TypeAlias = dict[str, Json]


class Mortal:
    """One definition, and controllers of it that live one after the other behind a proxy."""

    def __init__(
        self,
        lab: Lab,
        proxy: HttpProxy,
        life: Callable[[], AbstractAsyncContextManager[None]],
        end: Callable[[], None],
    ) -> None:
        self.lab, self._proxy, self.life, self._end = lab, proxy, life, end

    def cut(self, name: str, writes: int) -> AbstractContextManager[Cut]:
        """End the controller that lives after so many writes about one instance."""

        def about(path: str) -> bool:
            return f"/{name}-" in path or f"{path}/".find(f"/{name}/") > 0

        return cut(self._proxy, about=about, after=writes, end=self._end)

    async def children(self, name: str) -> Children:
        """Return the objects of an instance by the end of their names, whatever their labels."""
        found: Children = {}
        for gvr in (CONFIGMAPS, SECRETS):
            page = await self.lab.kube.client.list(gvr, namespace=self.lab.namespace)
            items: list[Any] = list(page.items)
            for item in items:
                first, _, last = item["metadata"]["name"].partition("-")
                if first == name:
                    assert last not in found
                    found[last] = item
        return found


class Trial(Protocol):
    """What is done to one instance after the other, and what must come of each."""

    async def prepare(self, name: str) -> None:
        """Make the instance that something is to be done to."""
        ...

    async def act(self, name: str) -> object:
        """Do it."""
        ...

    async def finished(self, name: str) -> object:
        """Return once all that follows from it is done."""
        ...

    async def died(self, name: str) -> None:
        """Look at what the controller that ended has left."""
        ...

    async def check(self, name: str) -> None:
        """Hold that the controllers after it have come to the right end."""
        ...


async def killed_after_each(mortal: Mortal, trial: Trial, limits: Iterable[int]) -> int:
    """Let a controller end after each of these numbers of writes that follow a deed.

    The controller after it brings that instance to its end, and ends on the next one. Return after
    how many writes there was nothing left to do, or the last number.
    """
    before, made = "", 0
    for limit in limits:
        name = f"x{limit}"
        with mortal.cut(name, limit) as found:
            async with mortal.life():
                if before:
                    await trial.check(before)
                await trial.prepare(name)
                found.arm()
                await trial.act(name)
                over = asyncio.ensure_future(found.done())
                whole = asyncio.ensure_future(trial.finished(name))
                await asyncio.wait((over, whole), return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if whole.done():
                    whole.result()
                    await trial.check(name)
                    return found.made
                whole.cancel()
        await trial.died(name)
        before, made = name, limit
    async with mortal.life():
        await trial.check(before)
    return made


class Creation:
    """All objects are there in the end, once, and none of the early ones was made anew."""

    def __init__(self, mortal: Mortal) -> None:
        self._mortal, self._lab = mortal, mortal.lab
        self._early: dict[str, str] = {}

    async def prepare(self, name: str) -> None:
        self._early = {}

    async def act(self, name: str) -> None:
        await self._lab.create("Ten", name, {"v": "old"})

    async def finished(self, name: str) -> None:
        await self._lab.settled("Ten", name)

    async def died(self, name: str) -> None:
        self._early = uids(await self._mortal.children(name))

    async def check(self, name: str) -> None:
        live = await self._lab.settled("Ten", name)
        found = await self._mortal.children(name)
        assert tuple(sorted(found)) == CREATED, name
        assert self._early.items() <= uids(found).items(), name
        assert group_kinds(live) == "ConfigMap,Secret"
        assert live["status"]["last"] == "old"


class Update:
    """What the edit concerns is changed, pruned or renamed; what it does not is not even written."""

    def __init__(self, mortal: Mortal) -> None:
        self._mortal, self._lab = mortal, mortal.lab
        self._before: Children = {}

    async def prepare(self, name: str) -> None:
        await self._lab.create("Ten", name, {"v": "old"})
        await self._lab.settled("Ten", name)
        self._before = await self._mortal.children(name)

    async def act(self, name: str) -> None:
        await self._lab.edit("Ten", name, **EDIT)

    async def finished(self, name: str) -> None:
        await self._lab.settled("Ten", name)

    async def died(self, name: str) -> None:
        """Nothing to remember: what was there before the edit tells."""

    async def check(self, name: str) -> None:
        live = await self._lab.settled("Ten", name)
        found = await self._mortal.children(name)
        assert tuple(sorted(found)) == UPDATED, name
        stayed = found.keys() & self._before.keys()
        assert {end: uid(self._before[end]) for end in stayed}.items() <= uids(found).items(), name
        for end in ("e", "f"):
            assert version(found[end]) == version(self._before[end]), name
        assert {found[end]["data"]["v"] for end in ("a", "b", "c", "d", "m0", "m2")} == {"new"}
        assert {labels_of(found[f"m{at}"])[names.COLLECTION_SIZE] for at in range(3)} == {"3"}
        assert group_kinds(live) == "ConfigMap"
        assert live["status"]["last"] == "new"


class Deletion:
    """Everything goes, and nothing comes back."""

    def __init__(self, mortal: Mortal) -> None:
        self._mortal, self._lab = mortal, mortal.lab

    async def prepare(self, name: str) -> None:
        await self._lab.create("Ten", name, {"v": "old"})
        await self._lab.settled("Ten", name)

    async def act(self, name: str) -> None:
        await self._lab.delete("Ten", name)

    async def finished(self, name: str) -> None:
        await self._lab.gone("Ten", name)

    async def died(self, name: str) -> None:
        """Nothing to remember."""

    async def check(self, name: str) -> None:
        await self._lab.gone("Ten", name)
        assert await self._mortal.children(name) == {}, name


def uids(found: Children) -> dict[str, str]:
    """Return the uid of each object."""
    return {end: uid(obj) for end, obj in found.items()}


@pytest_asyncio.fixture
async def abandoned(cluster: Any, kube: Kube, tmp_path: Path) -> AsyncIterator[Mortal]:
    """Controllers in this process: what they leave is what a killed one leaves, at less cost."""
    lab = await Lab.opened(kube)
    loop = asyncio.get_running_loop()
    kubeconfig = tmp_path / "kubeconfig"
    tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        async with running(kubeconfig) as (controller, task):
            tasks.append(task)
            await controller.serve(lab, TEN)
            yield

    def end() -> None:
        loop.call_soon_threadsafe(tasks[-1].cancel)

    with behind_proxy(cluster.kubeconfig, kubeconfig) as proxy:
        yield Mortal(lab, proxy, life, end)


@pytest_asyncio.fixture
async def killed(private_cluster: Surroundings, tmp_path: Path) -> AsyncIterator[Mortal]:
    """Processes that are killed by a signal which they cannot catch."""
    kubeconfig = tmp_path / "kubeconfig"
    with behind_proxy(private_cluster.controller_kubeconfig, kubeconfig) as proxy:
        process = Operator(kubeconfig, private_cluster.log)

        @asynccontextmanager
        async def life() -> AsyncIterator[None]:
            process.start()
            try:
                yield
            finally:
                process.kill()

        async with Kube(private_cluster.kubeconfig) as kube:
            lab = await Lab.opened(kube)
            async with life():
                await lab.define(TEN)
            yield Mortal(lab, proxy, life, process.kill)


async def test_creation_is_finished_after_any_write(abandoned: Mortal) -> None:
    """Finalizer, inventory, 14 objects, status: whichever is the last of a controller."""
    made = await killed_after_each(abandoned, Creation(abandoned), itertools.count(1))
    assert made == CREATION


async def test_update_is_finished_after_any_write(abandoned: Mortal) -> None:
    """An edit that changes, renames, prunes and shrinks ends in the same state."""
    assert await killed_after_each(abandoned, Update(abandoned), itertools.count(1)) == UPDATE


async def test_deletion_is_finished_after_any_write(abandoned: Mortal) -> None:
    """Every wave, and the finalizer at last."""
    assert await killed_after_each(abandoned, Deletion(abandoned), itertools.count(1)) == DELETION


@pytest.mark.parametrize(
    ("trial", "limits"),
    [
        pytest.param(Creation, (1, 2, 7), id="creation"),
        pytest.param(Update, (1, 6, 10), id="update"),
        pytest.param(Deletion, (1, 8, 14), id="deletion"),
    ],
)
async def test_killed_process_leaves_as_little(
    killed: Mortal, trial: Callable[[Mortal], Trial], limits: tuple[int, ...]
) -> None:
    """SIGKILL in the middle of it makes no difference to what the next process finds."""
    assert await killed_after_each(killed, trial(killed), limits) == limits[-1]
