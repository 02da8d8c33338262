"""A watch stream: bytes from the API server become typed events.

Lines are cut by hand, because aiohttp's line reader refuses long lines and copies each. A line
that is not a complete event ends the stream: it is never delivered, skipped or returned as text,
and the reader resumes from the last event that it got. Before any error is raised, everything that
came before it on the wire has been handed out.

Source: spec "Controller runtime" P-013, P-017, P-018, P-023, P-024, P-031 to P-033.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Generic, Self, TypeVar

import aiohttp
import msgspec

from kro.runtime.client.answers import as_client_error
from kro.runtime.client.errors import (
    ClientError,
    ConnectionLostError,
    ExpiredError,
    GoneError,
    ProtocolError,
    RequestTimeoutError,
    SilentStreamError,
    Status,
    StatusError,
    TooLargeError,
    status_error,
)
from kro.runtime.client.wire import BOOKMARK_DECODER, EVENT_DECODER, Decoder, decode_text

T = TypeVar("T")

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_STATUS_DECODER = msgspec.json.Decoder(Status)


class ChangeType(Enum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class Change(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """An object was added, modified, or deleted (then it is its last state)."""

    type: ChangeType
    object: T


class Bookmark(msgspec.Struct, frozen=True, gc=False):
    """Only a cursor: everything up to `resource_version` has been sent."""

    resource_version: str
    initial_events_end: bool


_CHANGES = {each.value: each for each in ChangeType}


class Framer:
    """Cuts a byte stream into lines, whatever the pieces are in which it comes."""

    __slots__ = ("_held", "held_bytes")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self.held_bytes = 0
        """How long the unfinished line is."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without their ends."""
        end = data.rfind(b"\n")
        if end < 0:
            self._held.append(data)
            self.held_bytes += len(data)
            return []
        lines = data[:end].split(b"\n")
        if self._held:
            self._held.append(lines[0])
            lines[0] = b"".join(self._held)
        rest = data[end + 1 :]
        self._held = [rest] if rest else []
        self.held_bytes = len(rest)
        return lines


class WatchStream(Generic[T]):
    """The events of one open watch, in lists of what had arrived together; a list is never empty.

    Iteration ends when the server closes the stream cleanly. It raises, once everything good has
    been handed out:

    Raises:
        ExpiredError: the cursor is no longer in the server's history.
        StatusError: the server ended the watch with another error.
        ConnectionLostError: the stream was cut; a fragment of a line is dropped.
        SilentStreamError: no byte came for `silence_s`.
        RequestTimeoutError: the server did not end the watch in its time.
        ProtocolError: a line is no event, or longer than the cap (TooLargeError).
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        decoder: Decoder[T],
        *,
        line_bytes: int,
        silence_s: float | None,
        deadline_s: float | None,
    ) -> None:
        self._response = response
        self._decoder = decoder
        self._framer = Framer()
        self._line_bytes = line_bytes
        self._loop = asyncio.get_running_loop()
        self._ends_at = None if deadline_s is None else self._loop.time() + deadline_s
        self.silence_s = silence_s
        """How long the stream may be silent; may be changed at any time, for the next wait."""
        self.last_byte_s = self._loop.time()
        """When the last byte came, by the clock of the loop."""
        self.events = 0
        """How many changes were decoded."""
        self.bookmarks = 0
        """How many bookmarks were decoded."""
        self.fragments = 0
        """How many unfinished lines were dropped: one at most, at the end."""
        self._ended = False
        self._failure: ClientError | None = None
        self.cause = "abandoned"
        """How the stream ended, as `Observer.stream_ended` says it."""

    def __aiter__(self) -> Self:
        """Return the stream itself: it can be read once."""
        return self

    async def __anext__(self) -> list[Change[T] | Bookmark]:
        """Return what has arrived, waiting for something if need be."""
        while not self._ended:
            lines: list[bytes] = []
            try:
                data = await self._read()
                self._ended = not data
                lines = self._framer.feed(data)
            except ClientError as error:
                self._end(error)
            events: list[Change[T] | Bookmark] = []
            try:
                for line in lines:
                    events.append(self._event(line))  # noqa: PERF401 - a bad line keeps the rest
                if self._framer.held_bytes > self._line_bytes:
                    raise self._too_long()
            except ClientError as error:
                self._end(error)
            if events:
                return events
        failure, self._failure = self._failure, None
        if self._framer.held_bytes:
            self.fragments = 1
        if failure is not None:
            raise failure
        if self.cause == "abandoned":
            self.cause = "closed"
        raise StopAsyncIteration

    def _end(self, failure: ClientError) -> None:
        self._ended = True
        self._failure = failure
        self.cause = _cause(failure)

    async def _read(self) -> bytes:
        """Return the next bytes, or nothing at the clean end of the stream."""
        loop = self._loop
        silent_at = None if self.silence_s is None else loop.time() + self.silence_s
        limits = [at for at in (silent_at, self._ends_at) if at is not None]
        try:
            async with asyncio.timeout_at(min(limits) if limits else None):
                data = await self._response.content.readany()
        except TimeoutError:
            if self._ends_at is not None and loop.time() >= self._ends_at:
                raise RequestTimeoutError("the server did not end the watch in its time") from None
            raise SilentStreamError(
                f"the watch was silent for {self.silence_s or 0:.0f} s"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise as_client_error(error, write=False, answered=True) from error
        self.last_byte_s = loop.time()
        return data

    def _too_long(self) -> TooLargeError:
        return TooLargeError(f"a line of the watch stream is over {self._line_bytes} bytes")

    def _event(self, line: bytes) -> Change[T] | Bookmark:
        if len(line) > self._line_bytes:
            raise self._too_long()
        raw = decode_text(EVENT_DECODER.decode, line, what="a line of the watch stream")
        change = _CHANGES.get(raw.type)
        if change is not None:
            made = decode_text(self._decoder, memoryview(raw.object), what="the object of an event")
            self.events += 1
            return Change(change, made)
        if raw.type == "BOOKMARK":
            metadata = decode_text(
                BOOKMARK_DECODER.decode, memoryview(raw.object), what="a bookmark"
            ).metadata
            self.bookmarks += 1
            ended = (metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
            return Bookmark(metadata.resource_version, ended)
        if raw.type == "ERROR":
            status = decode_text(
                _STATUS_DECODER.decode, memoryview(raw.object), what="an error event"
            )
            raise status_error(status.code or 500, status)
        raise ProtocolError("a line of the watch stream has an unknown event type")


def _cause(failure: ClientError | None) -> str:
    match failure:
        case None:
            return "closed"
        case ExpiredError() | GoneError():
            return "expired"
        case StatusError():
            return "refused"
        case SilentStreamError():
            return "silent"
        case RequestTimeoutError():
            return "overdue"
        case TooLargeError():
            return "too_large"
        case ConnectionLostError():
            return "cut"
    return "garbage"
