"""Connections: what their sockets are told, and where they go."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from kro.refs import GVR, NamespacedName
from kro.runtime.client import Client, ClusterConfig, Limits, Transport
from kro.runtime.client import pool as pool_module
from kro.runtime.client.config import TlsSettings
from kro.runtime.client.pool import KEEP_ALIVE_S, Pool, open_socket
from kro.runtime.client.tls import TlsSource
from support.blocking import no_blocking_calls

THINGS = GVR("example.com", "v1", "things")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has all of these")
def test_a_socket_notices_a_dead_peer_within_45_seconds() -> None:
    """P-025: what the kernel is told; that it does so is not tested here."""
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))) as opened:

        def told(option: int, level: int = socket.IPPROTO_TCP) -> int:
            return opened.getsockopt(level, option)

        assert told(socket.SO_KEEPALIVE, socket.SOL_SOCKET)
        probing = told(socket.TCP_KEEPINTVL) * told(socket.TCP_KEEPCNT)
        assert told(socket.TCP_KEEPIDLE) + probing <= 45
        assert told(socket.TCP_USER_TIMEOUT) <= 45_000


async def test_the_connections_of_a_pool_are_told_so() -> None:
    """P-025, P-107."""
    server = await serve("only", "127.0.0.1", 0)
    pool = Pool(TlsSource(TlsSettings()), connections=0, age_s=600.0)
    async with pool.use() as http:
        (await http.get(f"http://127.0.0.1:{server.addresses[0][1]}")).release()
    [told] = pool._sockets
    keeps = told.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    await pool.aclose()
    await server.cleanup()

    assert keeps == 1
    assert KEEP_ALIVE_S < 90


async def test_a_server_that_has_moved_is_found_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F-20, with addresses that are forgotten at once in place of after 10 s; P-146."""
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        pytest.skip("uvloop asks the resolver by itself, in a thread")
    assert pool_module.ADDRESS_S <= 60
    monkeypatch.setattr(pool_module, "ADDRESS_S", 0)
    address = "127.0.0.1"
    true = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        return true(address if host == "api.example" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    first = await serve("first", "127.0.0.1", 0)
    port = first.addresses[0][1]
    second = await serve("second", "127.0.0.2", port)
    config = ClusterConfig(server=f"http://api.example:{port}")
    client = Client(Transport(config, user_agent="t", limits=Limits(connect_s=5)))
    name = NamespacedName("ns", "a")
    with no_blocking_calls() as blocking:
        before = await client.get(THINGS, name)
        await first.cleanup()
        address = "127.0.0.2"
        after = await client.get(THINGS, name)
    await client.aclose()
    await second.cleanup()

    assert (before["by"], after["by"]) == ("first", "second")
    assert blocking == []


async def serve(name: str, host: str, port: int) -> web.AppRunner:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"apiVersion": "example.com/v1", "kind": "Thing", "by": name})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
