"""Connection pools that renew themselves: by age, and when the TLS material has changed.

A session of aiohttp keeps its connections and its TLS context for life. So a pool replaces the
whole session when its time has come; requests in flight finish on the old one, which closes with
the last of them.

Source: spec "Controller runtime" P-107, P-113, P-115.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
import weakref
from contextlib import suppress
from types import TracebackType

import aiohttp

from kro.runtime.client.tls import TlsSource

KEEP_ALIVE_S = 60
"""Shorter than the API server's 90 s, so that we close first."""
ADDRESS_S = 10
"""How long the addresses behind the server's name are remembered."""
_PROBE_IDLE_S = 15
_PROBE_INTERVAL_S = 5
_PROBE_COUNT = 3
_UNACKNOWLEDGED_MS = 30_000
_GOODBYES = 10


def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket that notices a dead peer within 45 s, whether it is idle or sending.

    Source: spec "Controller runtime" P-025.
    """
    opened = socket.socket(address[0], address[1], address[2])
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", _PROBE_IDLE_S),
        ("TCP_KEEPINTVL", _PROBE_INTERVAL_S),
        ("TCP_KEEPCNT", _PROBE_COUNT),
        ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
    ):
        if hasattr(socket, option):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return opened


class _Session:
    """One aiohttp session and how many use it."""

    __slots__ = ("expires", "http", "tls_version", "users")

    def __init__(self, http: aiohttp.ClientSession, expires: float, tls_version: int) -> None:
        self.http = http
        self.expires = expires
        self.tls_version = tls_version
        self.users = 0


class Pool:
    """Connections for one purpose, at most `connections` of them (0: no bound)."""

    def __init__(self, tls: TlsSource, *, connections: int, age_s: float) -> None:
        self._tls = tls
        self._connections = connections
        self._age_s = age_s
        self._current: _Session | None = None
        self._sessions: set[_Session] = set()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def use(self) -> Lease:
        """Lend the session of the moment for the length of an `async with` block."""
        return Lease(self)

    async def enter(self) -> _Session:
        """Return the session to use, opening one when the last has had its time."""
        current = self._current
        if (
            current is None
            or current.tls_version != self._tls.version
            or time.monotonic() >= current.expires
        ):
            current = self._current = self._open()
            current.users += 1
            await self._close_unused()
        else:
            current.users += 1
        return current

    async def leave(self, session: _Session) -> None:
        """Give a session back; it closes if it was the last use of one that was replaced."""
        session.users -= 1
        if session is not self._current and not session.users:
            await self._close_unused()

    async def aclose(self) -> None:
        """Close every connection, in use or not."""
        self._current = None
        sessions, self._sessions = self._sessions, set()
        for session in sessions:
            await session.http.close()
        # A closing TLS connection waits for the peer's goodbye, which a dead peer never says.
        for _ in range(_GOODBYES):
            open_sockets = [each for each in self._sockets if each.fileno() >= 0]
            if not open_sockets:
                return
            for each in open_sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(0)

    def _open_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        opened = open_socket(address)
        self._sockets.add(opened)
        return opened

    async def _close_unused(self) -> None:
        unused = [s for s in self._sessions if s is not self._current and not s.users]
        self._sessions.difference_update(unused)
        for session in unused:
            await session.http.close()

    def _open(self) -> _Session:
        connector = aiohttp.TCPConnector(
            limit=self._connections,
            ssl=self._tls.context,
            keepalive_timeout=KEEP_ALIVE_S,
            ttl_dns_cache=ADDRESS_S,
            socket_factory=self._open_socket,
        )
        http = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        # aiohttp would send a PUT or DELETE again by itself; `retry` decides what is repeated.
        http._retry_connection = False
        age_s = self._age_s * random.uniform(0.8, 1.2)
        session = _Session(http, time.monotonic() + age_s, self._tls.version)
        self._sessions.add(session)
        return session


class Lease:
    """Holding the session of a pool."""

    __slots__ = ("_pool", "_session")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._session: _Session | None = None

    async def __aenter__(self) -> aiohttp.ClientSession:
        """Return the session."""
        self._session = await self._pool.enter()
        return self._session.http

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        if self._session is not None:
            await self._pool.leave(self._session)
