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
from collections.abc import Callable, Mapping
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
    hits: int = 0


class HttpProxy:
    """Listens on a free port of the loopback and passes requests on to one API server."""

    def __init__(self, server: str, *, certificates: Path | None = None) -> None:
        self._upstream = server
        self._certificates = certificates
        self.rules: list[Rule] = []
        self.seen: list[Seen] = []
        self.url = ""
        self._chance = random.Random(11)
        self._session: aiohttp.ClientSession | None = None
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
        context = None
        if self._certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(
                self._certificates / "apiserver.crt", self._certificates / "apiserver.key"
            )
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"

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

    def add(self, match: Callable[[Seen], bool], **fields: object) -> Rule:
        """Add a rule and return it; its `hits` tell how often it applied."""
        rule = Rule(match=match, **fields)  # type: ignore[arg-type]  # fields of a Rule
        self.rules.append(rule)
        return rule

    def count(self, match: Callable[[Seen], bool]) -> int:
        """Return how many requests of that kind came."""
        return sum(1 for each in self.seen if match(each))

    def _rule(self, seen: Seen) -> Rule | None:
        for rule in self.rules:
            if rule.times is not None and rule.hits >= rule.times:
                continue
            if rule.match(seen) and self._chance.random() < rule.probability:
                rule.hits += 1
                return rule
        return None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        seen = Seen(request.method, request.path, dict(request.query), loop.time())
        self.seen.append(seen)
        rule = self._rule(seen) or Rule(match=lambda _: True)
        await asyncio.sleep(rule.delay_s)
        if rule.status is not None and not rule.after:
            return web.Response(status=rule.status, body=rule.body, headers=rule.headers)
        try:
            return await self._pass(request, rule)
        except (aiohttp.ClientError, ConnectionError):
            # The server is away: so is its connection.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _pass(self, request: web.Request, rule: Rule) -> web.StreamResponse:
        assert self._session is not None
        query = dict(request.query) if rule.query is None else rule.query(dict(request.query))
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        async with self._session.request(
            request.method,
            self._upstream + request.path,
            params=query,
            data=await request.read() or None,
            headers=headers,
        ) as answer:
            if rule.status is not None:
                await answer.read()
                return web.Response(status=rule.status, body=rule.body, headers=rule.headers)
            passed = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
            response = web.StreamResponse(status=answer.status, headers=passed)
            await response.prepare(request)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await _carry(answer, response, rule.lines)
            return response


async def _carry(
    answer: aiohttp.ClientResponse, response: web.StreamResponse, lines: Lines | None
) -> None:
    if lines is None:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        return
    held = b""
    async for chunk in answer.content.iter_any():
        *whole, held = (held + chunk).split(b"\n")
        for line in whole:
            for changed in lines(line):
                await response.write(changed + b"\n")
