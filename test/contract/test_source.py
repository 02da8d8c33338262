"""What a reflector relies on, held against the fake API server and against a real one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
import pytest_asyncio

from kro.refs import JsonObject, NamespacedName
from kro.runtime import Stored
from kro.runtime.client import (
    Bookmark,
    Change,
    Client,
    ExpiredError,
    ResourceVersionTooLargeError,
    Transport,
    encode,
    load_config,
)
from kro.runtime.source import Source, Stream
from kro.runtime.stored import decoder, strip
from support.apiserver import CONFIGMAPS, FakeApiServer

DECODE = decoder(strip)


class Server(Protocol):
    """Somewhere to write config maps, and the way a reflector reads them."""

    source: Source
    mark: str
    """A label value of this test's own objects."""

    async def put(self, name: str, **labels: str) -> Stored: ...

    async def delete(self, name: str) -> None: ...


class Fake:
    def __init__(self) -> None:
        self._server = FakeApiServer()
        self.source: Source = self._server
        self.mark = "mine"

    async def put(self, name: str, **labels: str) -> Stored:
        written = self._server.put(name, labels={"mark": self.mark, **labels})
        return DECODE(_text(written))

    async def delete(self, name: str) -> None:
        self._server.delete(name)


class Real:
    def __init__(self, client: Client) -> None:
        self._client = client
        self.source: Source = client
        self.mark = f"m{uuid.uuid4().hex[:12]}"

    def _name(self, name: str) -> NamespacedName:
        return NamespacedName("default", f"{self.mark}-{name}")

    async def put(self, name: str, **labels: str) -> Stored:
        key = self._name(name)
        marked: JsonObject = {"mark": self.mark, **labels}
        written = await self._client.apply(
            CONFIGMAPS,
            key,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": key.name, "namespace": key.namespace, "labels": marked},
                "data": {"at": uuid.uuid4().hex},
            },
            field_manager="contract",
        )
        return DECODE(_text(written))

    async def delete(self, name: str) -> None:
        await self._client.delete(CONFIGMAPS, self._name(name))


def _text(obj: JsonObject) -> bytes:
    return encode(obj)


@pytest_asyncio.fixture(params=["fake", pytest.param("real", marks=pytest.mark.integration)])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "fake":
        yield Fake()
        return
    kubeconfig: Any = request.getfixturevalue("kubeconfig")
    transport = Transport(load_config(str(kubeconfig)), user_agent="contract")
    client = Client(transport)
    try:
        yield Real(client)
    finally:
        await client.aclose()


class Reader:
    """Takes events from a stream, one at a time."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream.__aiter__()
        self._events: list[Change[Stored] | Bookmark] = []

    async def next(self) -> Change[Stored] | Bookmark:
        async with asyncio.timeout(10):
            while not self._events:
                self._events = await anext(self._stream)
            return self._events.pop(0)

    async def change(self) -> tuple[str, str]:
        """Return type and label `app` of the next change; bookmarks are passed over."""
        while not isinstance(event := await self.next(), Change):
            pass
        return event.type.value, event.object.label("app") or ""


def opened(server: Server, cursor: str, *, initial: bool = False, selector: str = "") -> Any:
    return server.source.watch(
        CONFIGMAPS,
        namespace="default",
        label_selector=f"mark={server.mark}" + (f",{selector}" if selector else ""),
        field_selector="",
        resource_version=cursor,
        timeout_s=60,
        send_initial_events=initial,
        silence_s=None,
        decode=DECODE,
    )


async def listed(server: Server, floor: str = "") -> tuple[list[Stored], str]:
    items: list[Stored] = []
    cursor = ""
    async for page in server.source.pages(
        CONFIGMAPS,
        limit=2,
        namespace="default",
        label_selector=f"mark={server.mark}",
        field_selector="",
        resource_version=floor,
        resource_version_match="NotOlderThan" if floor else "",
        retry=False,
        decode=DECODE,
    ):
        items += page.items
        cursor = page.resource_version
    return items, cursor


async def test_a_streamed_list_ends_with_a_bookmark_and_goes_on(server: Server) -> None:
    """P-003."""
    await server.put("a", app="1")
    await server.put("b", app="2")

    async with opened(server, "", initial=True) as stream:
        reader = Reader(stream)
        initial = {await reader.change(), await reader.change()}
        while not isinstance(end := await reader.next(), Bookmark):
            pytest.fail("an object after the initial ones")
        await server.put("a", app="3")
        await server.delete("b")
        later = [await reader.change(), await reader.change()]

    assert initial == {("ADDED", "1"), ("ADDED", "2")}
    assert end.initial_events_end
    assert later == [("MODIFIED", "3"), ("DELETED", "2")]


async def test_a_watch_goes_on_from_the_cursor_of_a_list(server: Server) -> None:
    """P-002: everything since, and nothing from before."""
    for name in "abcde":
        await server.put(name, app="1")
    items, cursor = await listed(server)
    await server.put("a", app="2")
    await server.put("f", app="3")

    async with opened(server, cursor) as stream:
        reader = Reader(stream)
        changes = [await reader.change(), await reader.change()]

    assert len(items) == 5
    assert changes == [("MODIFIED", "2"), ("ADDED", "3")]


async def test_a_watch_resumes_from_the_version_of_an_event(server: Server) -> None:
    """P-007."""
    await server.put("a", app="1")
    second = await server.put("a", app="2")
    await server.put("a", app="3")

    async with opened(server, second.resource_version) as stream:
        assert await Reader(stream).change() == ("MODIFIED", "3")


async def test_a_deletion_has_a_version_of_its_own(server: Server) -> None:
    """The last state of the object, under a version that is newer: a cursor like any other."""
    last = await server.put("a", app="1")
    _, cursor = await listed(server)
    await server.delete("a")
    await server.put("b", app="2")

    async with opened(server, cursor) as stream:
        event = await Reader(stream).next()
        assert isinstance(event, Change)
    async with opened(server, event.object.resource_version) as stream:
        after = await Reader(stream).change()

    assert event.object.uid == last.uid
    assert int(event.object.resource_version) > int(last.resource_version)
    assert after == ("ADDED", "2")


async def test_what_leaves_a_selection_is_deleted_and_what_enters_is_added(
    server: Server,
) -> None:
    """P-057: the deletion's version is that of the write."""
    await server.put("a", app="in")
    _, cursor = await listed(server)

    async with opened(server, cursor, selector="app=in") as stream:
        reader = Reader(stream)
        left = await server.put("a", app="out")
        first = await reader.next()
        await server.put("a", app="in")
        second = await reader.change()

    assert isinstance(first, Change)
    assert first.type.value == "DELETED"
    assert first.object.resource_version == left.resource_version
    assert second == ("ADDED", "in")


async def test_a_cursor_from_before_the_history_is_refused(server: Server) -> None:
    """P-009: on opening or as the first event."""
    if isinstance(server, Real):
        pytest.skip("a young API server has its whole history; faults/ makes one lose it")
    await server.put("a")

    with pytest.raises(ExpiredError):
        async with opened(server, "1") as stream:
            await Reader(stream).next()


async def test_a_list_from_the_future_is_refused(server: Server) -> None:
    """P-010."""
    last = await server.put("a")

    with pytest.raises(ResourceVersionTooLargeError):
        await listed(server, str(int(last.resource_version) + 1_000_000))


async def test_a_watch_from_the_future_is_accepted_and_silent(server: Server) -> None:
    """P-011: why silence is looked into."""
    last = await server.put("a")

    async with opened(server, str(int(last.resource_version) + 1_000_000)) as stream:
        await server.put("b")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await Reader(stream).next()
