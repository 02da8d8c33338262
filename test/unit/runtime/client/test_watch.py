"""Watch streams: framing, events, and every way in which a stream can go wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from kro.refs import GVR, JsonObject
from kro.runtime.client import (
    Bookmark,
    Change,
    ChangeType,
    ConnectionLostError,
    ExpiredError,
    ForbiddenError,
    GoneError,
    Limits,
    ProtocolError,
    RequestTimeoutError,
    ServerError,
    SilentStreamError,
    TooLargeError,
    TooManyRequestsError,
    WatchLimitError,
    WatchStream,
)
from kro.runtime.client.watch import Framer
from unit.runtime.client.conftest import Handler, Rig

THINGS = GVR("example.com", "v1", "things")


def line(kind: str, name: str = "a", **more: object) -> bytes:
    """Return an event as the API server writes it."""
    thing = {"kind": "Thing", "apiVersion": "example.com/v1", "metadata": {"name": name, **more}}
    return json.dumps({"type": kind, "object": thing}, ensure_ascii=False).encode() + b"\n"


def error_line(code: int, reason: str) -> bytes:
    """Return an error event as the API server writes it."""
    status = {"kind": "Status", "status": "Failure", "code": code, "reason": reason}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


def streaming(*pieces: bytes, then: str = "end") -> Handler:
    """Return a handler that sends the pieces one by one, then ends, cuts or hangs."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then == "cut":
            assert request.transport is not None
            request.transport.close()
        elif then == "hang":
            # Ends when the client leaves.
            await request.content.wait_eof()
            await asyncio.Event().wait()
        return response

    return handle


async def read(stream: WatchStream[JsonObject]) -> AsyncIterator[tuple[str, str]]:
    """Yield type and name of each change, `BOOKMARK` and cursor of each bookmark."""
    async for events in stream:
        assert events
        for event in events:
            match event:
                case Change(type=kind, object=obj):
                    metadata = obj["metadata"]
                    assert isinstance(metadata, dict)
                    yield kind.value, str(metadata["name"])
                case Bookmark(resource_version=cursor):
                    yield "BOOKMARK", cursor


async def watch_all(rig: Rig) -> tuple[list[tuple[str, str]], WatchStream[JsonObject]]:
    """Watch to the clean end and return what was seen."""
    async with rig.client.watch(THINGS) as stream:
        return [each async for each in read(stream)], stream


async def watch_until(
    rig: Rig, error: type[Exception]
) -> tuple[list[tuple[str, str]], WatchStream[JsonObject]]:
    """Watch until exactly `error` is raised and return what was seen before."""
    seen: list[tuple[str, str]] = []

    async def follow() -> None:
        async for each in read(stream):
            seen.append(each)  # noqa: PERF401 - a comprehension would lose what came before

    async with rig.client.watch(THINGS) as stream:
        with pytest.raises(error) as raised:
            await follow()
    assert type(raised.value) is error
    return seen, stream


@given(
    lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), max_size=8),
    cuts=st.lists(st.integers(min_value=0), max_size=12),
)
def test_any_split_gives_the_same_lines(lines: list[str], cuts: list[int]) -> None:
    """Framing does not depend on how the bytes were cut, even inside a character."""
    data = "".join(f"{text}\n" for text in lines).encode()
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    framer = Framer()

    got = [one for start, end in pairwise(places) for one in framer.feed(data[start:end])]

    assert got == [text.encode() for text in lines]
    assert framer.held_bytes == 0


async def test_an_unfinished_line_never_grows_beyond_its_cap(rig: Rig) -> None:
    """A line without end is given up at the cap; what came before is delivered."""
    rig.client = rig.connect(limits=Limits(line_bytes=1000))
    endless = [b"x" * 500] * 100
    rig.server.script(streaming(line("ADDED", "a"), *endless, then="hang"))

    seen, stream = await watch_until(rig, TooLargeError)

    assert seen == [("ADDED", "a")]
    assert stream.cause == "too_large"
    await rig.client.aclose()


async def test_events_arrive_in_order_with_their_types(rig: Rig) -> None:
    """Changes and bookmarks are typed values, in the order of the wire."""
    rig.server.script(
        streaming(
            line("ADDED", "a") + line("MODIFIED", "ä")[:40],
            line("MODIFIED", "ä")[40:],
            line("BOOKMARK", "", resourceVersion="17"),
            line("DELETED", "a"),
        )
    )

    seen, stream = await watch_all(rig)

    assert seen == [("ADDED", "a"), ("MODIFIED", "ä"), ("BOOKMARK", "17"), ("DELETED", "a")]
    assert (stream.events, stream.bookmarks, stream.cause) == (3, 1, "closed")
    assert rig.observer.ends == ["closed"]


async def test_the_bookmark_that_ends_the_initial_events_says_so(rig: Rig) -> None:
    """Only the annotated bookmark ends a streamed list."""
    rig.server.script(
        streaming(
            line("BOOKMARK", "", resourceVersion="1"),
            line(
                "BOOKMARK",
                "",
                resourceVersion="2",
                annotations={"k8s.io/initial-events-end": "true"},
            ),
        )
    )
    events: list[object] = []

    async with rig.client.watch(THINGS, send_initial_events=True) as stream:
        async for some in stream:
            events += some

    assert events == [Bookmark("1", False), Bookmark("2", True)]
    query = rig.server.requests[0].query
    assert query["sendInitialEvents"] == "true"
    assert query["resourceVersionMatch"] == "NotOlderThan"
    assert query["allowWatchBookmarks"] == "true"


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"not json\n", id="text"),
        pytest.param(b"\n", id="empty line"),
        pytest.param(b"<html><body>login</body></html>\n", id="web page"),
        pytest.param(b'{"type":"ADDED"}\n', id="event without object"),
        pytest.param(b'{"type":"ADDED","object":[1]}\n', id="object that is none"),
        pytest.param(b'{"type":"PAUSED","object":{}}\n', id="unknown type"),
        pytest.param(line("ADDED", "b")[:-9] + b"\n", id="half an event"),
        pytest.param(b'{"type":"ADDED","object":{"a":"\xff"}}\n', id="no UTF-8"),
        pytest.param(b'{"type":"ADDED","object":' + b"[" * 5000 + b"\n", id="deep nesting"),
    ],
)
async def test_garbage_ends_the_stream_after_what_was_good(rig: Rig, garbage: bytes) -> None:
    """A bad line is neither delivered nor skipped; the events before it are delivered."""
    rig.server.script(streaming(line("ADDED", "a") + garbage + line("ADDED", "c")))

    seen, stream = await watch_until(rig, ProtocolError)

    assert seen == [("ADDED", "a")]
    assert stream.cause == "garbage"


async def test_a_fragment_at_the_end_is_dropped(rig: Rig) -> None:
    """What a cut leaves behind is no event; it is counted."""
    rig.server.script(streaming(line("ADDED", "a"), line("ADDED", "b")[:30]))

    seen, stream = await watch_all(rig)

    assert seen == [("ADDED", "a")]
    assert stream.fragments == 1


async def test_a_cut_is_an_error_after_what_was_good(rig: Rig) -> None:
    """A connection that ends without the end of the body is not a clean end."""
    rig.server.script(streaming(line("ADDED", "a"), line("ADDED", "b")[:30], then="cut"))

    seen, stream = await watch_until(rig, ConnectionLostError)

    assert seen == [("ADDED", "a")]
    assert (stream.cause, stream.fragments) == ("cut", 1)


async def test_a_line_above_the_cap_ends_the_stream(rig: Rig) -> None:
    """Memory stays bounded whatever the server sends."""
    rig.client = rig.connect(limits=Limits(line_bytes=1000))
    rig.server.script(streaming(line("ADDED", "a"), line("ADDED", "b" * 5000)))

    seen, stream = await watch_until(rig, TooLargeError)

    assert seen == [("ADDED", "a")]
    assert stream.cause == "too_large"


@pytest.mark.parametrize(
    ("code", "reason", "error", "cause"),
    [
        pytest.param(410, "Expired", ExpiredError, "expired", id="expired"),
        pytest.param(410, "Gone", GoneError, "expired", id="gone"),
        pytest.param(429, "TooManyRequests", TooManyRequestsError, "refused", id="throttled"),
        pytest.param(500, "InternalError", ServerError, "refused", id="broken"),
        pytest.param(403, "Forbidden", ForbiddenError, "refused", id="forbidden"),
    ],
)
async def test_an_error_event_is_raised_after_what_was_good(
    rig: Rig, code: int, reason: str, error: type[Exception], cause: str
) -> None:
    """Errors inside a stream have the classes that errors of requests have."""
    rig.server.script(streaming(line("ADDED", "a") + error_line(code, reason)))

    seen, stream = await watch_until(rig, error)

    assert seen == [("ADDED", "a")]
    assert stream.cause == cause


async def test_silence_ends_the_stream(rig: Rig) -> None:
    """A peer that says nothing is given up after `silence_s`, which may change on the way."""
    rig.server.script(streaming(line("ADDED", "a"), then="hang"))
    seen: list[object] = []

    async def follow() -> None:
        async with rig.client.watch(THINGS, silence_s=60) as stream:
            async for events in stream:
                seen.extend(events)
                stream.silence_s = 0.02

    with pytest.raises(SilentStreamError):
        await follow()

    assert len(seen) == 1
    assert rig.observer.ends == ["silent"]


async def test_a_stream_that_the_server_does_not_end_is_ended(rig: Rig) -> None:
    """Chatter does not keep a stream open beyond its deadline."""
    rig.server.script(streaming(line("ADDED", "a"), then="hang"))

    async def follow() -> None:
        async with rig.client.watch(THINGS, timeout_s=-30) as stream:
            async for _ in stream:
                pass

    with pytest.raises(RequestTimeoutError):
        await follow()

    assert rig.observer.ends == ["overdue"]


async def test_leaving_early_closes_the_connection(rig: Rig) -> None:
    """A reader may stop in the middle; the slot is free again."""
    rig.client = rig.connect(limits=Limits(watches=1))
    rig.server.script(streaming(line("ADDED", "a"), then="hang"))

    for _ in range(3):
        async with rig.client.watch(THINGS) as stream:
            async for events in stream:
                assert events[0] == Change(
                    ChangeType.ADDED,
                    {
                        "kind": "Thing",
                        "apiVersion": "example.com/v1",
                        "metadata": {"name": "a"},
                    },
                )
                break

    assert rig.observer.ends == ["abandoned"] * 3
    await rig.client.aclose()


async def test_open_watches_have_a_cap(rig: Rig) -> None:
    """The watch that would be one too many is refused without a request."""
    rig.client = rig.connect(limits=Limits(watches=1))
    rig.server.script(streaming(line("ADDED", "a"), then="hang"))

    async with rig.client.watch(THINGS):
        with pytest.raises(WatchLimitError):
            async with rig.client.watch(THINGS):
                pass

    assert len(rig.server.requests) == 1
    await rig.client.aclose()


async def test_opening_tells_its_errors_apart(rig: Rig) -> None:
    """A refused opening raises what the server said; a web page is no stream."""
    rig.server.script(
        web.json_response({"kind": "Status", "code": 410, "reason": "Expired"}, status=410),
        web.Response(text="<html>login</html>", content_type="text/html"),
    )

    with pytest.raises(ExpiredError):
        async with rig.client.watch(THINGS, resource_version="1"):
            pass
    with pytest.raises(ProtocolError):
        async with rig.client.watch(THINGS, resource_version="1"):
            pass

    assert rig.observer.attempts == [("GET", "watch", "410"), ("GET", "watch", "<error>")]


async def test_a_decoder_of_the_caller_reads_the_objects(rig: Rig) -> None:
    """Objects pass through the caller's decoder, and its ValueError is garbage on the wire."""
    rig.server.script(streaming(line("ADDED", "a") + line("ADDED", "bad")))

    def decode(data: bytes | memoryview) -> bytes:
        if b'"bad"' in bytes(data):
            raise ValueError("not for me")
        return bytes(data)

    seen: list[object] = []

    async def follow() -> None:
        async with rig.client.watch(THINGS, decode=decode) as stream:
            async for events in stream:
                seen.extend(events)

    with pytest.raises(ProtocolError):
        await follow()

    assert len(seen) == 1
    assert isinstance(seen[0], Change)
    assert json.loads(seen[0].object)["metadata"] == {"name": "a"}
