"""A scripted HTTP server in the process, and a client that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from kro.refs import GVR
from kro.runtime.client import Client, ClusterConfig, Limits, Transport
from kro.runtime.client.credentials import Credentials, StaticCredentials

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeServer:
    """Answers every request with the handler of the moment and remembers what it was asked."""

    handler: Handler | None = None
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        assert self.handler is not None
        return await self.handler(request)

    def script(self, *answers: web.Response | Handler) -> None:
        """Give one answer a request; the last one again and again."""
        left = list(answers)

        async def play(request: web.Request) -> web.StreamResponse:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, web.Response):
                # An answer object can be sent once.
                return web.Response(
                    status=answer.status, body=answer.body, headers=answer.headers.copy()
                )
            return await answer(request)

        self.handler = play


@dataclass
class RecordingObserver:
    """Remembers what the client told."""

    attempts: list[tuple[str, str, str]] = field(default_factory=list)
    retries: list[tuple[str, str]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def attempt(
        self,
        *,
        method: str,
        verb: str,
        gvr: GVR | None,
        host: str,
        code: str,
        duration_s: float,
        sent_bytes: int,
        received_bytes: int,
    ) -> None:
        self.attempts.append((method, verb, code))

    def retried(self, *, method: str, code: str) -> None:
        self.retries.append((method, code))

    def limited(self, *, method: str, wait_s: float) -> None:
        self.waits.append(wait_s)

    def stream_ended(self, *, gvr: GVR, cause: str) -> None:
        self.ends.append(cause)

    def warned(self, text: str) -> None:
        self.warnings.append(text)


@dataclass
class Rig:
    """Server, client and what passed between them."""

    server: FakeServer
    observer: RecordingObserver
    pauses: list[float]
    """The waits that the client made, none of which took time."""
    client: Client
    config: ClusterConfig

    def connect(
        self,
        *,
        limits: Limits | None = None,
        credentials: Callable[[], Credentials] = StaticCredentials,
        server: str = "",
    ) -> Client:
        """Return another client, of which the rig does not take care."""

        async def sleep(delay_s: float) -> None:
            self.pauses.append(delay_s)

        config = ClusterConfig(server=server or self.server.url, credentials=credentials)
        return Client(
            Transport(
                config,
                user_agent="kro/test",
                limits=limits,
                observer=self.observer,
                sleep=sleep,
            )
        )


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running fake server with a client, both closed after the test."""
    server = FakeServer()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    pauses: list[float] = []
    observer = RecordingObserver()
    rig = Rig(server, observer, pauses, client=None, config=ClusterConfig(server=server.url))  # type: ignore[arg-type]
    rig.client = rig.connect()
    try:
        yield rig
    finally:
        await rig.client.aclose()
        await runner.cleanup()
