"""One request, one answer: pools, limits, identity and retries; and open streams for watches.

Nothing here knows objects. Every way to fail ends in an error of `kro.runtime.client.errors`, and
none of those holds a header or a body that we sent.

Source: spec "Controller runtime" P-107 to P-114, P-120, P-122, P-123.
"""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kro.refs import GVR
from kro.runtime.client.answers import as_client_error, expect_json, read_body, refusal
from kro.runtime.client.config import ClusterConfig
from kro.runtime.client.credentials import RECHECK_S, ClientCertificate
from kro.runtime.client.errors import (
    ClientError,
    StatusError,
    UnauthorizedError,
    WatchLimitError,
)
from kro.runtime.client.limiter import TokenBucket
from kro.runtime.client.observer import NullObserver, Observer
from kro.runtime.client.origin import current_origin
from kro.runtime.client.pool import Pool
from kro.runtime.client.redaction import SECRETS
from kro.runtime.client.retry import STARTING_WAITS_S, Attempt, Replay, is_starting, pause_s
from kro.runtime.client.tls import TlsSource, proxy_for

Sleep = Callable[[float], Awaitable[None]]

_LARGE_BODY = 512 * 1024
_WARNINGS_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a transport.

    Units: seconds, bytes, requests a second (`qps`; 0 or less: no limit).
    """

    qps: float = 0.0
    burst: int = 0
    connections: int = 64
    watches: int = 600
    watch_openings_per_s: float = 10.0
    total_s: float = 35.0
    list_total_s: float = 60.0
    connect_s: float = 10.0
    pool_s: float = 10.0
    connection_age_s: float = 600.0
    body_bytes: int = 128 * 1024 * 1024
    line_bytes: int = 32 * 1024 * 1024


class WriteGate(Protocol):
    """Whether this process may write just now."""

    def permit(self) -> float:
        """Return for how many seconds a write that starts now may run.

        Raises:
            NotLeadingError: it may not start.
        """


class OpenGate:
    """The gate of a process that nobody else competes with."""

    def permit(self) -> float:
        """Return infinity."""
        return float("inf")


@dataclass(slots=True, kw_only=True)
class Request:
    """What to send, and how it may be repeated."""

    verb: str
    method: str
    target: str
    """Path and query, percent-encoded."""
    gvr: GVR | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    replay: Replay = Replay.SAFE
    gate: WriteGate | None = None
    """Asked before every attempt of a write."""
    authorization: str | None = field(default=None, repr=False)
    """The identity that the last attempt was made with."""
    starts_kind: bool = False
    """A list or watch, which the storage of a new kind may refuse for some milliseconds."""
    loads: bool = False
    """A watch that brings the present state first. Whoever loads holds the number of loads at once
    low; only watches that resume come in hundreds at once, when an API server restarts."""

    @property
    def is_write(self) -> bool:
        """Whether it could change something."""
        return self.method != "GET"


class Transport:
    """The way to one API server under one identity.

    Concurrency: belongs to the event loop on which it is first used. Any call may be cancelled;
    that costs the connection and nothing else.

    Args:
        tagged: the user agent of a request ends with the id of its origin, so that the API server's
            audit log tells which pass sent it.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        user_agent: str,
        limits: Limits | None = None,
        observer: Observer | None = None,
        tagged: bool = False,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.limits = limits if limits is not None else Limits()
        self.observer: Observer = observer if observer is not None else NullObserver()
        self._sleep = sleep
        self._server = config.server
        self.host = URL(config.server).authority
        self._server_name = config.tls.server_name or None
        self._proxy = proxy_for(config)
        self._credentials = config.credentials()
        self._certificate: ClientCertificate | None = None
        self._tls = TlsSource(config.tls)
        self._tls_checked = time.monotonic()
        self._user_agent, self._tagged = user_agent, tagged
        self._headers = CIMultiDict([("User-Agent", user_agent), *config.headers])
        self._warned: set[str] = set()
        bounds = self.limits
        self._requests = Pool(
            self._tls, connections=bounds.connections, age_s=bounds.connection_age_s
        )
        self._watches = Pool(self._tls, connections=0, age_s=bounds.connection_age_s)
        self._open_watches = 0
        self._bucket = TokenBucket(bounds.qps, bounds.burst) if bounds.qps > 0 else None
        self._openings = TokenBucket(bounds.watch_openings_per_s, int(bounds.watch_openings_per_s))
        if config.tls.insecure:
            self._warn("the certificate of the API server is NOT verified: anyone may answer")

    @property
    def open_watches(self) -> int:
        """How many watch streams are open or being opened. From any thread."""
        return self._open_watches

    async def call(self, request: Request) -> bytes:
        """Return the JSON body of the answer to `request`, repeated as its `replay` allows.

        Raises:
            ClientError: the last attempt failed.
        """
        number = starting = 0
        renewed = False
        while True:
            number += 1
            try:
                return await self._attempt(request)
            except UnauthorizedError:
                if renewed or not await self._credentials.renew(request.authorization):
                    raise
                renewed, pause, code = True, 0.0, "401"
            except ClientError as error:
                if request.starts_kind and starting < len(STARTING_WAITS_S) and is_starting(error):
                    wait: float | None = STARTING_WAITS_S[starting]
                    starting += 1
                else:
                    wait = pause_s(
                        request.replay, Attempt(number - starting, error), jitter=random.random()
                    )
                if wait is None:
                    raise
                pause, code = wait, _code(error)
            self.observer.retried(method=request.method, code=code)
            if pause > 0:
                await self._sleep(pause)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a watch and lend the answer, whose body is still to come.

        Raises:
            WatchLimitError: too many are open.
            ClientError: it was not opened. Only a starting storage is asked again.
        """
        if self._open_watches >= self.limits.watches:
            raise WatchLimitError(f"{self._open_watches} watches are open, which is the limit")
        self._open_watches += 1
        try:
            async with self._watches.use() as http:
                response = await self._open(http, request)
                try:
                    yield response
                finally:
                    # Never back into the pool: what is left of the body would have to be read.
                    if not response.content.at_eof():
                        response.close()
                    else:
                        response.release()
        finally:
            self._open_watches -= 1

    async def aclose(self) -> None:
        """Close every connection."""
        await self._requests.aclose()
        await self._watches.aclose()

    async def _open(self, http: aiohttp.ClientSession, request: Request) -> aiohttp.ClientResponse:
        starting = 0
        renewed = False
        if not request.loads:
            await self._openings.take()
        while True:
            try:
                return await self._open_once(http, request)
            except UnauthorizedError:
                if renewed or not await self._credentials.renew(request.authorization):
                    raise
                renewed = True
            except ClientError as error:
                if starting >= len(STARTING_WAITS_S) or not is_starting(error):
                    raise
                self.observer.retried(method="GET", code="429")
                await self._sleep(STARTING_WAITS_S[starting])
                starting += 1

    async def _open_once(
        self, http: aiohttp.ClientSession, request: Request
    ) -> aiohttp.ClientResponse:
        headers = await self._prepare(request)
        headers["Accept-Encoding"] = "identity"
        started = time.monotonic()
        code = "<error>"
        response: aiohttp.ClientResponse | None = None
        try:
            try:
                # The opening has a limit, the stream has guards of its own.
                async with asyncio.timeout(self.limits.total_s):
                    response = await self._send(http, request, headers, total_s=None)
                    if response.status != 200:
                        code = str(response.status)
                        raise await refusal(response, write=False, total_s=self.limits.total_s)
                expect_json(response)
                code = str(response.status)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise as_client_error(error, write=False, answered=False) from error
            opened, response = response, None
            return opened
        finally:
            if response is not None:
                response.close()
            self._observe(request, code, started, 0)

    async def _attempt(self, request: Request) -> bytes:
        limits = self.limits
        total_s = limits.list_total_s if request.verb == "list" else limits.total_s
        if self._bucket is not None:
            wait_s = await self._bucket.take(current_origin().rank)
            self.observer.limited(method=request.method, wait_s=wait_s)
        headers = await self._prepare(request)
        headers["Accept-Encoding"] = "gzip"
        if request.gate is not None:
            total_s = min(total_s, request.gate.permit())
        started = time.monotonic()
        code, received, answered = "<error>", 0, False
        try:
            async with self._requests.use() as http:
                response = await self._send(http, request, headers, total_s=total_s)
                answered = True
                try:
                    if not 200 <= response.status < 300:
                        code = str(response.status)
                        raise await refusal(
                            response,
                            write=request.is_write,
                            total_s=limits.total_s,
                            secret=request.body if request.gvr == SECRETS else None,
                        )
                    expect_json(response, accept=request.accept)
                    body = await read_body(response, limits.body_bytes)
                    # Only now: the page of a portal has status 200, and is no success.
                    code, received = str(response.status), len(body)
                    if "Warning" in response.headers:
                        self._note_warnings(response)
                    return body
                finally:
                    response.release()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise as_client_error(error, write=request.is_write, answered=answered) from error
        finally:
            self._observe(request, code, started, received)

    async def _prepare(self, request: Request) -> CIMultiDict[str]:
        """Return the headers of an attempt, with the identity of this moment."""
        header = request.authorization = await self._credentials.authorization()
        certificate = self._credentials.certificate
        now = time.monotonic()
        if now - self._tls_checked >= RECHECK_S or certificate is not self._certificate:
            self._tls_checked, self._certificate = now, certificate
            await self._tls.refresh(certificate)
        headers = self._headers.copy()
        headers["Accept"] = request.accept
        if self._tagged and (origin := current_origin()).id:
            headers["User-Agent"] = f"{self._user_agent} ({origin.id})"
        if header is not None:
            headers["Authorization"] = header
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return headers

    async def _send(
        self,
        http: aiohttp.ClientSession,
        request: Request,
        headers: CIMultiDict[str],
        *,
        total_s: float | None,
    ) -> aiohttp.ClientResponse:
        body = request.body
        limits = self.limits
        return await http.request(
            request.method,
            URL(self._server + request.target, encoded=True),
            headers=headers,
            # A large text is written in pieces, so that other tasks get their turn.
            data=body if body is None or len(body) < _LARGE_BODY else io.BytesIO(body),
            timeout=aiohttp.ClientTimeout(
                total=total_s,
                connect=limits.pool_s + limits.connect_s,
                sock_connect=limits.connect_s,
            ),
            allow_redirects=False,
            proxy=self._proxy,
            server_hostname=self._server_name,
        )

    def _observe(self, request: Request, code: str, started: float, received: int) -> None:
        self.observer.attempt(
            method=request.method,
            verb=request.verb,
            gvr=request.gvr,
            host=self.host,
            code=code,
            duration_s=time.monotonic() - started,
            sent_bytes=len(request.body) if request.body is not None else 0,
            received_bytes=received,
        )

    def _note_warnings(self, response: aiohttp.ClientResponse) -> None:
        for value in response.headers.getall("Warning"):
            _, _, quoted = value.partition('"')
            text, _, _ = quoted.rpartition('"')
            if text:
                self._warn(text.replace('\\"', '"'))

    def _warn(self, text: str) -> None:
        if text not in self._warned and len(self._warned) < _WARNINGS_KEPT:
            self._warned.add(text)
            self.observer.warned(text)


def _code(error: ClientError) -> str:
    return str(error.code) if isinstance(error, StatusError) else "<error>"
