"""What happens to the controller meanwhile: its network, its API server, itself."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from support.components import Components
from support.http_proxy import HttpProxy, Seen
from support.operator import Operator
from support.tcp_proxy import DOWN, TcpProxy

Fault: TypeAlias = Callable[[], Awaitable[None]]


def _writes(seen: Seen) -> bool:
    return seen.method in ("POST", "PUT", "PATCH", "DELETE")


def _resumes(seen: Seen) -> bool:
    return seen.is_watch and "sendInitialEvents" not in seen.query


def _anything(seen: Seen) -> bool:
    return True


class Faults:
    """The faults by name; each is over when its call returns."""

    def __init__(
        self,
        tcp: TcpProxy,
        http: HttpProxy,
        operator: Operator,
        components: Components,
        chance: random.Random,
    ) -> None:
        self._tcp, self._http, self._chance = tcp, http, chance
        self._operator, self._components = operator, components
        self.exits: list[int] = []
        """Exit codes of the orderly ends."""
        self.kinds: dict[str, Fault] = {
            "F-01 streams end": self._each(lambda c: c.finish()),
            "F-02 connections reset": self._each(lambda c: c.reset()),
            "F-03 cut inside an event": self._each(lambda c: c.cut_after(chance.randint(1, 4000))),
            "F-05 one-way black hole": self._each(lambda c: c.black_hole(DOWN)),
            "F-06 frozen streams": self._freeze,
            "F-09 connection refused": self._refuse,
            "F-15 garbage on the wire": self._garbage,
            "F-25 every resume expires": lambda: self._answer(_resumes, status=410, body=_EXPIRED),
            "F-32 writes throttled": lambda: self._answer(
                _writes, status=429, probability=0.3, headers={"Retry-After": "1"}
            ),
            "F-34 watches throttled": lambda: self._answer(_resumes, status=429),
            "F-36 server errors": lambda: self._answer(_anything, status=500, probability=0.2),
            "F-37 answers lost": lambda: self._answer(
                _writes, status=504, probability=0.2, after=True
            ),
            "F-08 slow headers": lambda: self._answer(_anything, delay_s=2.0, probability=0.3),
            "F-59 killed": self._kill,
            "F-67 stopped and started": self._stop,
            "F-10 API server restarts": lambda: self._components.restart(signal.SIGTERM),
            "F-11 API server killed": lambda: self._components.restart(signal.SIGKILL),
        }

    async def strike(self) -> str:
        """Let one fault happen and pass; return its name."""
        name = self._chance.choice(sorted(self.kinds))
        await self.kinds[name]()
        return name

    def _each(self, work: Callable[..., object]) -> Fault:
        async def strike() -> None:
            for connection in self._tcp.alive:
                work(connection)

        return strike

    async def _freeze(self) -> None:
        frozen = self._tcp.alive
        for connection in frozen:
            connection.freeze()
        await asyncio.sleep(5)
        for connection in frozen:
            connection.resume()

    async def _refuse(self) -> None:
        self._tcp.refuse()
        for connection in self._tcp.alive:
            connection.reset()
        await asyncio.sleep(8)
        await self._tcp.accept()

    async def _garbage(self) -> None:
        def spoil(line: bytes) -> list[bytes]:
            return [b"\x00<html>"] if self._chance.random() < 0.05 else [line]

        rule = self._http.add(lambda seen: seen.is_watch, lines=spoil)
        for connection in self._tcp.alive:
            connection.reset()
        await asyncio.sleep(8)
        self._http.rules.remove(rule)
        # Streams that began meanwhile keep the filter: let them begin anew.
        for connection in self._tcp.alive:
            connection.reset()

    async def _answer(self, match: Callable[[Seen], bool], **fields: object) -> None:
        if "body" in fields:
            fields["headers"] = {"Content-Type": "application/json"}
        rule = self._http.add(match, **fields)
        if match is _resumes:
            for connection in self._tcp.alive:
                connection.finish()
        await asyncio.sleep(8)
        self._http.rules.remove(rule)

    async def _kill(self) -> None:
        self._operator.kill()
        self._operator.start()

    async def _stop(self) -> None:
        self.exits.append(await asyncio.to_thread(self._operator.stop, 90.0))
        self._operator.start()


_EXPIRED = (
    b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired",'
    b'"message":"too old resource version","code":410}'
)
