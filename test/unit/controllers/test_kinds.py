"""Schemas are fetched once, whoever asks for them and however many at once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from kro.controllers.kinds import Kinds
from kro.errors import ClusterError
from kro.refs import GVK, GVR, JsonObject, Mapped
from kro.runtime import Discovery, Informed, KindNotServedError
from kro.runtime.client import Client
from support.clock import settle

PODS = GVK("", "v1", "Pod")
NODES = GVK("", "v1", "Node")


class NoCrds:
    """A store without a single CRD."""

    def by_index(self, index: str, value: str) -> list[JsonObject]:
        """Return none."""
        return []


class Document:
    """An OpenAPI document that has every kind."""

    async def closure(self, kind: GVK) -> JsonObject:
        """Return a schema."""
        described: Any = [{"group": kind.group, "version": kind.version, "kind": kind.kind}]
        schema = {"type": "object", "x-kubernetes-group-version-kind": described}
        return cast("JsonObject", {"components": {"schemas": {"it": schema}}})


class Served:
    """Discovery that answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[GVK] = []
        self.let = asyncio.Event()
        self.error: Exception | None = None

    async def mapping(self, kind: GVK) -> Mapped:
        """Return where the kind is served, later."""
        self.asked.append(kind)
        await self.let.wait()
        if self.error is not None:
            raise self.error
        return Mapped(GVR(kind.group, kind.version, f"{kind.kind.lower()}s"), namespaced=True)

    async def openapi(self, group: str, version: str) -> Document:
        """Return the document."""
        return Document()


class Counts:
    """What looking up told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.size = (0, 0)

    def looked_up(self, *, known: bool) -> None:
        """Note a hit or a miss."""
        self.told.append("hit" if known else "miss")

    def fetched(self, duration_s: float, *, failed: bool) -> None:
        """Note a fetch."""
        self.told.append("failed" if failed else "fetched")

    def shared(self) -> None:
        """Note a fetch that was spared."""
        self.told.append("shared")

    def kept(self, schemas: int, *, evicted: int = 0) -> None:
        """Note the size."""
        self.size = (schemas, self.size[1] + evicted)


def kinds(served: Served, counts: Counts) -> Kinds:
    """Return kinds on a discovery alone."""
    return Kinds(
        client=cast("Client", None),
        crds=cast("Informed", NoCrds()),
        discovery=cast("Discovery", served),
        metrics=counts,
    )


async def test_look_ups_of_one_kind_at_once_are_one_fetch() -> None:
    """Spec "graph and RGD controller" §4.2: they are merged, and later ones find it known."""
    served, counts = Served(), Counts()
    under_test = kinds(served, counts)

    both = [asyncio.create_task(under_test.fetch([PODS])) for _ in "ab"]
    other = asyncio.create_task(under_test.fetch([NODES]))
    await settle()
    served.let.set()
    fetched = [await task for task in both]
    await other
    await under_test.fetch([PODS])

    assert served.asked == [PODS, NODES]
    assert fetched[0].fingerprint == fetched[1].fingerprint
    assert sorted(counts.told) == ["fetched", "fetched", "hit", "miss", "miss", "miss", "shared"]
    assert counts.size == (2, 0)


@pytest.mark.parametrize("error", [KindNotServedError(PODS), ClusterError("away")])
async def test_what_failed_is_not_kept(error: Exception) -> None:
    """The next look-up asks again; one that waited meanwhile asks for itself."""
    served, counts = Served(), Counts()
    served.let.set()
    served.error = error
    under_test = kinds(served, counts)

    for _ in "ab":
        if isinstance(error, KindNotServedError):
            assert (await under_test.fetch([PODS])).missing == {PODS}
        else:
            with pytest.raises(ClusterError):
                await under_test.fetch([PODS])

    assert served.asked == [PODS, PODS]
    assert counts.told == ["miss", "failed", "miss", "failed"]


async def test_a_kind_that_nobody_uses_is_dropped() -> None:
    """What is kept is bounded by what definitions use."""
    served, counts = Served(), Counts()
    served.let.set()
    under_test = kinds(served, counts)
    under_test.use("one", [PODS])
    await under_test.fetch([PODS])

    under_test.use("one", [])

    assert counts.size == (0, 1)


async def test_a_cancelled_look_up_does_not_end_the_others() -> None:
    """Who waits for the same kind then fetches it."""
    served, counts = Served(), Counts()
    under_test = kinds(served, counts)
    first = asyncio.create_task(under_test.fetch([PODS]))
    await settle()
    second = asyncio.create_task(under_test.fetch([PODS]))
    await settle()

    first.cancel()
    await settle()
    served.let.set()

    assert PODS not in (await second).missing
