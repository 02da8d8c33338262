"""Probes and metrics over HTTP, served from a thread of their own.

The thread is what makes the probes tell the truth: they answer, and say no, while the main loop is
busy or stuck. So checks and exposition are called in that thread; they only read.

The server is small on purpose: GET and HEAD, one answer a connection, a bound on connections and a
deadline for each. A scraper that hangs, or a hundred of them, costs nothing else.

Source: spec "API surface and operations" §7.5; "Controller runtime" P-142, F-72.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from kro.errors import KroError

Check = Callable[[], "str | None"]
"""Says what is wrong, or None. Called in the server's thread: quick, and only reading."""

_HEAD_BYTES = 16 * 1024
_CONNECTIONS = 32
_DEADLINE_S = 10.0
_TEXT = "text/plain; charset=utf-8"
_METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
}


class ListenError(KroError):
    """An address cannot be listened on."""

    reason = "InvalidAddress"


class Address(NamedTuple):
    """Where to listen; an empty host means every interface."""

    host: str
    port: int


def parse_address(text: str) -> Address | None:
    """Return what `:8079`, `127.0.0.1:8079` or `[::1]:8079` means; None for `0` and nothing.

    Raises:
        ListenError: it is no address.
    """
    if text in ("", "0"):
        return None
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ListenError(f"{text!r} is no address to listen on: write host:port, :port or 0")
    if (":" in bare) != (host == f"[{bare}]"):
        raise ListenError(f"{text!r} is no address to listen on: write [address]:port for IPv6")
    return Address(bare, int(port))


class Answer(NamedTuple):
    """What a path answers."""

    code: int
    body: bytes
    content_type: str = _TEXT


Handler = Callable[[str, Mapping[str, list[str]]], Answer]
"""Path and query → answer. Called in the server's thread."""


@dataclass(slots=True)
class Probes:
    """The paths `/healthz` and `/readyz`, with one sub-path a check.

    The mappings may be replaced while the server runs, not changed.
    """

    live: Mapping[str, Check] = field(default_factory=dict)
    ready: Mapping[str, Check] = field(default_factory=dict)

    def __call__(self, path: str, query: Mapping[str, list[str]]) -> Answer:
        """Answer `ok` or what is wrong; `?verbose` lists all checks, `?exclude=` leaves one out."""
        root, _, single = path.strip("/").partition("/")
        match root:
            case "healthz":
                checks = self.live
            case "readyz":
                checks = self.ready
            case _:
                return Answer(404, b"not found\n")
        # The check that kro (Go) has: it says that the process answers.
        checks = {root: lambda: None, **checks}
        if single:
            if single not in checks:
                return Answer(404, b"no such check\n")
            checks = {single: checks[single]}
        excluded = set(query.get("exclude", ()))
        return _report(root, checks, excluded, verbose="verbose" in query and not single)


def _report(root: str, checks: Mapping[str, Check], excluded: set[str], *, verbose: bool) -> Answer:
    lines: list[str] = []
    failed = False
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
            continue
        problem = check()
        failed = failed or problem is not None
        lines.append(f"[+]{name} ok" if problem is None else f"[-]{name} failed: {problem}")
    unknown = sorted(excluded - set(checks))
    if unknown:
        lines.append(f"warn: some checks cannot be excluded: no matches for {', '.join(unknown)}")
    if not failed and not verbose:
        return Answer(200, b"ok")
    lines.append(f"{root} check {'failed' if failed else 'passed'}")
    return Answer(500 if failed else 200, ("\n".join(lines) + "\n").encode())


def metrics_handler(exposition: Callable[[], bytes]) -> Handler:
    """Return the handler of `/metrics`; `exposition` gives the text format of Prometheus."""

    def answer(path: str, query: Mapping[str, list[str]]) -> Answer:
        if path != "/metrics":
            return Answer(404, b"not found\n")
        return Answer(200, exposition(), _METRICS_TEXT)

    return answer


class HttpServer:
    """Serves each handler at its address for the length of an `async with` block.

    Guarantees: entering fails if an address cannot be had; after that all answer until the block is
    left, whatever the caller's loop does. Every address has its own bound on connections.
    """

    def __init__(self, handlers: Iterable[tuple[Address, Handler]]) -> None:
        self._handlers = list(handlers)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._problem: ListenError | None = None
        self.ports: tuple[int, ...] = ()
        """The ports that are really listened on, in the order of the handlers."""

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            ListenError: an address is taken, or is none of ours.
        """
        if not self._handlers:
            return self
        started = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(loop, started)), name="http", daemon=True
        )
        self._thread.start()
        await started.wait()
        if self._problem is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            raise self._problem
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening, and cut what is still open."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join)
        self._thread = None

    async def _serve(self, caller: asyncio.AbstractEventLoop, started: asyncio.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        servers: list[asyncio.Server] = []
        listeners: list[_Listener] = []
        try:
            for address, handler in self._handlers:
                listener = _Listener(handler)
                try:
                    server = await asyncio.start_server(
                        listener.connected,
                        address.host or None,
                        address.port,
                        limit=_HEAD_BYTES,
                        backlog=_CONNECTIONS,
                    )
                except OSError as error:
                    self._problem = ListenError(
                        f"cannot listen on {address.host}:{address.port}:"
                        f" {error.strerror or type(error).__name__}"
                    )
                    self._stop.set()
                    break
                servers.append(server)
                listeners.append(listener)
            self.ports = tuple(server.sockets[0].getsockname()[1] for server in servers)
            caller.call_soon_threadsafe(started.set)
            await self._stop.wait()
        finally:
            for server in servers:
                server.close()
            for listener in listeners:
                listener.cut()


class _Listener:
    """The connections to one address."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, or close it at once if too many are open."""
        if len(self._tasks) >= _CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cut(self) -> None:
        """End every connection; the loop that ends after this waits for the tasks."""
        for task in self._tasks:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(_respond(head, self._handler))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except TimeoutError:
            pass  # The peer had its time.
        finally:
            writer.transport.abort()


def _respond(head: bytes, handler: Handler) -> bytes:
    """Return the whole answer to a request, of which only the first line matters."""
    try:
        method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        method, answer = "GET", Answer(400, b"bad request\n")
    else:
        if method in ("GET", "HEAD"):
            answer = handler(parts.path, query)
        else:
            answer = Answer(405, b"method not allowed\n")
    code, body, content_type = answer
    lines = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return lines.encode() + (b"" if method == "HEAD" else body)
