from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime import Recorder
from kro.runtime.client import ForbiddenError, NotFoundError, PatchKind
from kro.runtime.recorder import LINE_LIMIT
from support.apiserver import answer
from support.clock import FakeClock, settle

REGARDING: JsonObject = {
    "apiVersion": "kro.run/v1",
    "kind": "App",
    "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7"},
    "spec": {"password": "secret"},
}


class Events:
    """The API server's events, as a client of it sees them."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.refuse = False

    async def create(self, gvr: GVR, body: JsonObject, *, namespace: str) -> JsonObject:
        if self.refuse:
            raise answer(ForbiddenError, 403)
        metadata: Any = body["metadata"]
        assert metadata["namespace"] == namespace
        self.objects[metadata["name"]] = dict(body)
        return body

    async def patch(
        self, gvr: GVR, name: NamespacedName, body: Mapping[str, Any], *, kind: PatchKind
    ) -> JsonObject:
        if name.name not in self.objects:
            raise answer(NotFoundError, 404)
        self.objects[name.name].update(body)
        return {}


@asynccontextmanager
async def recording(events: Events, clock: FakeClock) -> AsyncIterator[Recorder]:
    recorder = Recorder(events, clock=clock)  # type: ignore[arg-type]  # what it uses of a client
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_an_event_is_written_in_the_voice_of_its_component() -> None:
    events = Events()
    async with recording(events, FakeClock()) as recorder:
        voice = recorder.component("kro/apps.kro.run-controller")
        voice.event(REGARDING, type="Warning", reason="Ready", note="True -> False: Broken")
        await settle()

    (event,) = events.objects.values()
    assert event["involvedObject"] == {
        "apiVersion": "kro.run/v1",
        "kind": "App",
        "name": "a",
        "namespace": "n",
        "uid": "u",
        "resourceVersion": "7",
    }
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "Ready", 1)
    assert event["source"] == {"component": "kro/apps.kro.run-controller"}
    assert event["firstTimestamp"] == "2026-01-01T00:00:00Z"
    assert "secret" not in str(event)


async def test_events_of_cluster_scoped_objects_live_in_default() -> None:
    events = Events()
    async with recording(events, FakeClock()) as recorder:
        scoped: JsonObject = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
        recorder.component("c").event(scoped, type="Normal", reason="R", note="n")
        await settle()

    (event,) = events.objects.values()
    assert event["metadata"]["namespace"] == "default"


async def test_the_same_event_again_is_counted() -> None:
    events, clock = Events(), FakeClock()
    async with recording(events, clock) as recorder:
        voice = recorder.component("c")
        for _ in range(3):
            voice.event(REGARDING, type="Normal", reason="R", note="n")
            await clock.advance(60.0)
        voice.event(REGARDING, type="Normal", reason="R", note="other")
        await settle()
        await clock.advance(3600.0)
        voice.event(REGARDING, type="Normal", reason="R", note="n")
        await settle()

    assert sorted(event["count"] for event in events.objects.values()) == [1, 1, 3]


async def test_an_event_that_the_server_forgot_is_written_anew() -> None:
    events = Events()
    async with recording(events, FakeClock()) as recorder:
        voice = recorder.component("c")
        voice.event(REGARDING, type="Normal", reason="R", note="n")
        await settle()
        events.objects.clear()
        voice.event(REGARDING, type="Normal", reason="R", note="n")
        await settle()

    (event,) = events.objects.values()
    assert event["count"] == 2


async def test_refused_events_are_dropped_and_counted() -> None:
    events = Events()
    events.refuse = True
    async with recording(events, FakeClock()) as recorder:
        recorder.component("c").event(REGARDING, type="Normal", reason="R", note="n")
        await settle()

        assert recorder.dropped == 1


async def test_the_line_is_bounded() -> None:
    """P-150."""
    recorder = Recorder(Events(), clock=FakeClock())  # type: ignore[arg-type]  # not run
    voice = recorder.component("c")
    for at in range(LINE_LIMIT + 50):
        voice.event(REGARDING, type="Normal", reason="R", note=f"n{at}")

    assert recorder.dropped == 50


async def test_long_notes_are_cut_to_what_the_server_takes() -> None:
    events = Events()
    async with recording(events, FakeClock()) as recorder:
        recorder.component("c").event(REGARDING, type="Normal", reason="R", note="ü" * 2000)
        await settle()

    (event,) = events.objects.values()
    assert len(event["message"].encode()) <= 1024
