"""An HTTP proxy that changes answers: it ends TLS with the API server's own certificate.

Rules are asked in their order; the first that matches decides. What no rule matches passes. The
proxy has a thread and a loop of its own, so that neither its tasks nor its work are taken for those
of what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "content-encoding", "host"})


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came to the proxy."""

    method: str
    path: str
    query: Mapping[str, str]
    at_s: float
    authorization: str = field(default="", repr=False)
    agent: str = ""

    @property
    def is_watch(self) -> bool:
        """Whether it opens a watch."""
        return self.query.get("watch") in ("true", "1")

    @property
    def is_list(self) -> bool:
        """Whether it is a read of many that is no watch."""
        return self.method == "GET" and not self.is_watch and "limit" in self.query


Lines = Callable[[bytes], "list[bytes]"]


@dataclass(slots=True, kw_only=True)
class Rule:
    """What to do to which requests; with nothing else set, they pass."""

    match: Callable[[Seen], bool]
    times: int | None = None
    """How often it applies; None: always."""
    probability: float = 1.0
    status: int | None = None
    """Answer with this instead of asking, or, with `after`, instead of the true answer."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: bool = False
    """Carry the request out first: the write takes effect, the answer is lost."""
    delay_s: float = 0.0
    """Before the headers of the answer."""
    query: Callable[[dict[str, str]], dict[str, str]] | None = None
    """Changes the query on the way to the server."""
    lines: Lines | None = None
    """Changes each line of a watch on the way back: none, one or more."""
    bytes_per_s: int | None = None
    """How fast the body comes."""
    cut_after: int | None = None
    """After how many bytes of the body the connection breaks."""
    raw: bytes | None = None
    """Sent in place of an answer, HTTP or not; then the connection breaks."""
    applied: list[Seen] = field(default_factory=list)

    @property
    def hits(self) -> int:
        """How often it has applied."""
        return len(self.applied)


class HttpProxy:
    """Listens on a free port of the loopback and passes requests on to one API server."""

    def __init__(self, server: str, *, certificates: Path | None = None) -> None:
        self._upstream = server
        self._certificates = certificates
        self.rules: list[Rule] = []
        self.seen: list[Seen] = []
        self.identities: dict[str, str] = {}
        """What the API server is shown for an Authorization that it does not know."""
        self.url = ""
        self._chance = random.Random(11)
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._open_requests: dict[int, web.Request] = {}  # a request cannot be hashed
        self._runner: web.AppRunner | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="http proxy", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        if self._certificates is not None:
            self.present()
            # Asked at each handshake, so that the certificate can be another one later.
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.sni_callback = self._choose
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"

    async def _close(self) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._session.close()
        await self._runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=5)
        # A connection that was cut in the middle of an answer says goodbye by TLS first, and the
        # loop ends before the API server has answered that.
        for transport in list(getattr(self._loop, "_transports", {}).values()):
            transport.abort()
        await asyncio.sleep(0)

    def add(self, match: Callable[[Seen], bool], **fields: object) -> Rule:
        """Add a rule and return it; its `hits` tell how often it applied."""
        rule = Rule(match=match, **fields)  # type: ignore[arg-type]  # fields of a Rule
        self.rules.append(rule)
        return rule

    def present(self, certificate: Path | None = None, key: Path | None = None) -> None:
        """Show new connections this certificate; without one, the API server's own."""
        assert self._certificates is not None
        self._shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._shown.load_cert_chain(
            certificate or self._certificates / "apiserver.crt",
            key or self._certificates / "apiserver.key",
        )

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._shown

    def cut(self) -> None:
        """Break every request that is being answered: all streams, above all."""

        def cut() -> None:
            for request in self._open_requests.values():
                _abort(request)

        self._loop.call_soon_threadsafe(cut)

    def count(self, match: Callable[[Seen], bool]) -> int:
        """Return how many requests of that kind came."""
        return sum(1 for each in self.seen if match(each))

    def _rule(self, seen: Seen) -> Rule | None:
        for rule in self.rules:
            if rule.times is not None and rule.hits >= rule.times:
                continue
            if rule.match(seen) and self._chance.random() < rule.probability:
                rule.applied.append(seen)
                return rule
        return None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        seen = Seen(
            request.method,
            request.path,
            dict(request.query),
            loop.time(),
            request.headers.get("Authorization", ""),
            request.headers.get("User-Agent", ""),
        )
        self.seen.append(seen)
        rule = self._rule(seen) or Rule(match=lambda _: True)
        self._open_requests[id(request)] = request
        try:
            await asyncio.sleep(rule.delay_s)
            if rule.raw is not None:
                return _spoil(request, rule.raw)
            if rule.status is not None and not rule.after:
                return await _answer(request, rule)
            return await self._pass(request, rule)
        except (aiohttp.ClientError, ConnectionError):
            # The server is away: so is its connection.
            _abort(request)
            return web.Response(status=502)
        finally:
            del self._open_requests[id(request)]

    async def _pass(self, request: web.Request, rule: Rule) -> web.StreamResponse:
        assert self._session is not None
        query = dict(request.query) if rule.query is None else rule.query(dict(request.query))
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        shown = headers.get("Authorization", "")
        if shown in self.identities:
            headers["Authorization"] = self.identities[shown]
        async with self._session.request(
            request.method,
            self._upstream + request.path,
            params=query,
            data=await request.read() or None,
            headers=headers,
        ) as answer:
            if rule.status is not None:
                await answer.read()
                return await _answer(request, rule)
            passed = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
            response = web.StreamResponse(status=answer.status, headers=passed)
            await response.prepare(request)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await _carry(request, response, _changed(answer, rule.lines), rule)
            return response


async def _answer(request: web.Request, rule: Rule) -> web.StreamResponse:
    """Answer what the rule says."""
    assert rule.status is not None
    response = web.StreamResponse(status=rule.status, headers=rule.headers)
    response.content_length = len(rule.body)
    await response.prepare(request)

    async def body() -> AsyncIterator[bytes]:
        yield rule.body

    await _carry(request, response, body(), rule)
    return response


async def _changed(answer: aiohttp.ClientResponse, lines: Lines | None) -> AsyncIterator[bytes]:
    """Yield the body of the true answer, line by line where lines are to be changed."""
    held = b""
    async for chunk in answer.content.iter_any():
        if lines is None:
            yield chunk
            continue
        *whole, held = (held + chunk).split(b"\n")
        for line in whole:
            for changed in lines(line):
                yield changed + b"\n"


async def _carry(
    request: web.Request,
    response: web.StreamResponse,
    chunks: AsyncIterator[bytes],
    rule: Rule,
) -> None:
    """Send the body, as slowly and as far as the rule says."""
    sent = 0
    async for chunk in chunks:
        if rule.cut_after is not None:
            chunk = chunk[: rule.cut_after - sent]
        step = len(chunk) if rule.bytes_per_s is None else max(rule.bytes_per_s // 10, 1)
        for start in range(0, len(chunk), max(step, 1)):
            await response.write(chunk[start : start + step])
            if rule.bytes_per_s is not None:
                await asyncio.sleep(0.1)
        sent += len(chunk)
        if sent == rule.cut_after:
            _abort(request)
            return


def _spoil(request: web.Request, raw: bytes) -> web.StreamResponse:
    """Send bytes that are no answer, and close."""
    transport = request.transport
    if isinstance(transport, asyncio.Transport):
        transport.write(raw)
        transport.close()
    return web.Response(status=502)  # to nobody: the connection is closed


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
