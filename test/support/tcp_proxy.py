"""A TCP proxy that breaks connections in every way that networks do; TLS passes through it.

Connections are numbered in the order of their opening, so that a scenario can hit the third one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

UP: Final = "up"
DOWN: Final = "down"


class Connection:
    """One connection through the proxy. `up` is towards the server."""

    def __init__(self, number: int, client: asyncio.StreamWriter) -> None:
        self.number = number
        self.bytes = {UP: 0, DOWN: 0}
        self.open = True
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._discard: set[str] = set()
        self._running = {UP: asyncio.Event(), DOWN: asyncio.Event()}
        for event in self._running.values():
            event.set()
        self._rate: int | None = None
        self._cut_at: int | None = None

    def finish(self) -> None:
        """End it in an orderly way, towards the client."""
        self.open = False
        for writer in (self._client, self._server):
            if writer is not None:
                writer.close()

    def reset(self) -> None:
        """End it with RST."""
        self.open = False
        for writer in (self._client, self._server):
            if writer is not None:
                sock: socket.socket = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def freeze(self, *directions: str) -> None:
        """Carry nothing and read nothing (in both directions, or in those given)."""
        for direction in directions or (UP, DOWN):
            self._running[direction].clear()

    def resume(self) -> None:
        """Carry again, with what has been waiting."""
        for event in self._running.values():
            event.set()

    def black_hole(self, *directions: str) -> None:
        """Read and throw away."""
        self._discard |= set(directions or (UP, DOWN))

    def throttle(self, bytes_per_s: int) -> None:
        """Carry no more than so much towards the client."""
        self._rate = bytes_per_s

    def cut_after(self, count: int) -> None:
        """End it once so many more bytes have gone to the client, in the middle of whatever."""
        self._cut_at = self.bytes[DOWN] + count

    async def pump(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await self._running[direction].wait()
                data = await reader.read(65536 if self._rate is None else max(self._rate // 10, 1))
                await self._running[direction].wait()
                if not data:
                    break
                if direction in self._discard:
                    continue
                if direction == DOWN and self._cut_at is not None:
                    data = data[: max(self._cut_at - self.bytes[DOWN], 0)]
                self.bytes[direction] += len(data)
                writer.write(data)
                await writer.drain()
                if direction == DOWN and self.bytes[DOWN] == self._cut_at:
                    break
                if direction == DOWN and self._rate is not None:
                    await asyncio.sleep(0.1)
        with contextlib.suppress(OSError):
            writer.close()


class TcpProxy:
    """Listens on a free port of the loopback and carries to one address."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        """Where new connections go."""
        self.port = 0
        self.connections: list[Connection] = []
        self.opened: Callable[[Connection], None] = lambda connection: None
        """Told each new connection before a byte has passed."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> list[Connection]:
        """The connections that are open."""
        return [each for each in self.connections if each.open]

    def tasks(self) -> int:
        """Return how many tasks of the loop are the proxy's own."""
        return len(self._tasks) + len(self._pumps)

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse()
        for connection in self.alive:
            connection.resume()
            connection.reset()
        for pump in self._pumps:
            pump.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def accept(self) -> None:
        """Listen (again), on the same port as before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Refuse new connections; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        connection = Connection(len(self.connections), writer)
        self.connections.append(connection)
        self.opened(connection)
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.target)
        except OSError:
            connection.finish()
            return
        connection._server = up_writer
        pumps = [
            asyncio.create_task(connection.pump(UP, reader, up_writer)),
            asyncio.create_task(connection.pump(DOWN, up_reader, writer)),
        ]
        self._pumps.update(pumps)
        for pump in pumps:
            pump.add_done_callback(self._pumps.discard)
        try:
            await asyncio.wait(pumps)
        finally:
            connection.open = False
            for pump in pumps:
                pump.cancel()
            for each in (writer, up_writer):
                each.close()
