"""Probes and metrics: what they answer, and that nothing can keep them from answering."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from kro.runtime.server import (
    Address,
    HttpServer,
    ListenError,
    Probes,
    metrics_handler,
    parse_address,
)

HERE = Address("127.0.0.1", 0)


def fetch(port: int, target: str, *, method: str = "GET") -> tuple[int, str]:
    """Return status and body, without any event loop."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def was_cut(port: int) -> bool:
    """Return whether a new connection is closed before it said anything."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param(":8079", Address("", 8079), id="port"),
        pytest.param("127.0.0.1:80", Address("127.0.0.1", 80), id="IPv4"),
        pytest.param("[::1]:80", Address("::1", 80), id="IPv6"),
        pytest.param("localhost:0", Address("localhost", 0), id="any port"),
        pytest.param("0", None, id="zero disables"),
        pytest.param("", None, id="nothing disables"),
    ],
)
def test_addresses_of_flags(text: str, address: Address | None) -> None:
    """The forms that a Go program takes, and the two that disable."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["8079", ":http", ":70000", "::1:80", "[::1:80", "host", ":-1"])
def test_what_is_no_address(text: str) -> None:
    """A wrong address is refused with a hint, before anything listens."""
    with pytest.raises(ListenError, match="write"):
        parse_address(text)


async def test_probes_answer_ok_and_list_their_checks() -> None:
    """The plain answer is `ok`, verbose names the checks, a check has a path of its own."""
    probes = Probes(live={"loop": lambda: None})

    async with HttpServer([(HERE, probes)]) as server:
        (port,) = server.ports
        answers = [
            await asyncio.to_thread(fetch, port, target)
            for target in ("/healthz", "/readyz", "/healthz/loop", "/healthz?verbose", "/x")
        ]
        unknown = await asyncio.to_thread(fetch, port, "/healthz/none")
        posted = await asyncio.to_thread(fetch, port, "/healthz", method="POST")
        head = await asyncio.to_thread(fetch, port, "/healthz", method="HEAD")

    assert answers[:3] == [(200, "ok")] * 3
    assert answers[3] == (200, "[+]healthz ok\n[+]loop ok\nhealthz check passed\n")
    assert answers[4][0] == unknown[0] == 404
    assert posted[0] == 405
    assert head == (200, "")


async def test_a_failed_check_fails_its_probe_and_says_why() -> None:
    """One bad check is enough, unless it is excluded; the other probe does not care."""
    probes = Probes(ready={"informers": lambda: "not synced", "crd": lambda: None})

    async with HttpServer([(HERE, probes)]) as server:
        (port,) = server.ports
        live = await asyncio.to_thread(fetch, port, "/healthz")
        ready = await asyncio.to_thread(fetch, port, "/readyz")
        single = await asyncio.to_thread(fetch, port, "/readyz/informers")
        excluded = await asyncio.to_thread(fetch, port, "/readyz?exclude=informers")

    assert live == (200, "ok")
    assert ready == (
        500,
        "[+]readyz ok\n[-]informers failed: not synced\n[+]crd ok\nreadyz check failed\n",
    )
    assert single[0] == 500
    assert excluded == (200, "ok")


async def test_metrics_are_served_apart() -> None:
    """Metrics have their own address and know no other path."""
    async with HttpServer([(HERE, Probes()), (HERE, metrics_handler(lambda: b"a 1\n"))]) as server:
        probes, metrics = server.ports
        text = await asyncio.to_thread(fetch, metrics, "/metrics")
        elsewhere = await asyncio.to_thread(fetch, metrics, "/healthz")
        not_here = await asyncio.to_thread(fetch, probes, "/metrics")

    assert text == (200, "a 1\n")
    assert elsewhere[0] == not_here[0] == 404


async def test_probes_answer_while_the_loop_is_stuck() -> None:
    """The server has a thread of its own, so a stuck loop can be seen from outside."""
    beat = time.monotonic()
    probes = Probes(live={"loop": lambda: None if time.monotonic() - beat < 0.05 else "stuck"})

    async with HttpServer([(HERE, probes)]) as server:
        # Blocks this loop until the probe, which this loop does not serve, reports it.
        deadline = time.monotonic() + 5
        while fetch(server.ports[0], "/healthz")[0] == 200:
            assert time.monotonic() < deadline


async def test_slow_scrapers_are_bounded_and_do_not_reach_the_probes() -> None:
    """Connections that say nothing fill the bound of their own address alone."""
    async with HttpServer([(HERE, Probes()), (HERE, metrics_handler(lambda: b""))]) as server:
        probes, metrics = server.ports
        idle = [socket.create_connection(("127.0.0.1", metrics), timeout=5) for _ in range(32)]
        try:
            # The server takes connections in order: the one that is too many is cut.
            assert was_cut(metrics)
            assert fetch(probes, "/healthz") == (200, "ok")
        finally:
            for connection in idle:
                connection.close()


async def test_garbage_is_refused() -> None:
    """What is no HTTP request gets an error or the end of the connection, never a crash."""
    async with HttpServer([(HERE, Probes())]) as server:
        (port,) = server.ports
        for sent in (b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                try:
                    connection.sendall(sent)
                    answer = connection.recv(100)
                except ConnectionResetError:
                    answer = b""
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        assert fetch(port, "/healthz") == (200, "ok")


async def test_a_taken_address_is_an_error_at_once() -> None:
    """Two processes on one port: the second says so and does not start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}"):
            async with HttpServer([(HERE, Probes()), (Address("127.0.0.1", port), Probes())]):
                pass


async def test_nothing_to_serve_starts_nothing() -> None:
    """Both addresses disabled is a valid choice."""
    async with HttpServer([]) as server:
        assert server.ports == ()
