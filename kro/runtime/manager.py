"""The life of the process: what starts when, how it ends, and with which exit code.

Parts start in the order in which they are given, those that act on the cluster only once this
process leads. They end in the opposite sense: sources first, so that nothing new comes in; then the
work, which may finish until the deadline; the rest (the leader lease above all) last, when no write
can follow any more.

Source: spec "Controller runtime" P-136…P-141; "API surface and operations" §7.3.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from kro.errors import InvariantError, KroError
from kro.logs import get_logger

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
END_S: Final = 5.0
"""How long parts may take to end once they are cancelled."""

_log = get_logger("manager")


class Stage(IntEnum):
    """When a part runs, relative to leadership and to the end."""

    SERVICE = 0
    """From the start to the very end, leading or not."""
    SOURCE = 1
    """While leading; ended first, so that nothing new comes in."""
    WORK = 2
    """While leading; drained when the process is to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that runs until it is cancelled."""

    name: str
    run: Callable[[], Awaitable[None]]
    stage: Stage
    drain: Callable[[float], Awaitable[bool]] | None = None
    """Begin nothing new and finish what runs, within so many seconds; False: not in time."""


class Manager:
    """Runs the parts of a process and says how it is to exit.

    A part that ends or raises ends the process: with one line in the log, and exit code 1.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        led: Callable[[], Awaitable[None]] | None = None,
        drain_s: float = 60.0,
        exit_now: Callable[[int], object] = os._exit,
    ) -> None:
        self._parts, self._led = parts, led
        self._drain_s, self._exit_now = drain_s, exit_now
        self._tasks: dict[Part, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._stopping_since = 0.0
        self._failure: BaseException | None = None
        self._led_once = False

    @property
    def stopping(self) -> bool:
        """Whether the process is about to end: it is not ready any more."""
        return self._stopping

    def _begin_to_stop(self) -> None:
        if not self._stopping:
            self._stopping, self._stopping_since = True, time.monotonic()
        self._wake.set()

    @property
    def stopping_s(self) -> float:
        """For how long it has been; 0 before."""
        return time.monotonic() - self._stopping_since if self._stopping else 0.0

    @property
    def leading(self) -> bool:
        """Whether the parts that act on the cluster have been started."""
        return self._led_once

    def stop(self) -> None:
        """Begin the orderly end; a second call exits at once, with 1."""
        if self._stopping:
            _log.warning("told to stop a second time; exiting at once")
            self._exit_now(1)
        self._begin_to_stop()

    async def run(self) -> int:
        """Run everything until a signal or a failure; return the exit code: 0 clean, else 1."""
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.add_signal_handler(each, self._signalled, each)
        try:
            async with asyncio.TaskGroup() as group:
                self._start(group, Stage.SERVICE)
                leading = group.create_task(self._lead(group), name="leadership")
                await self._wake.wait()
                leading.cancel()
                in_time = await self._end(drain=self._failure is None)
        finally:
            for each in SIGNALS:
                loop.remove_signal_handler(each)
        if self._failure is not None:
            return 1
        if not in_time:
            _log.error("passes did not end in time and were cancelled", drain_s=self._drain_s)
            return 1
        _log.info("stopped")
        return 0

    def _signalled(self, number: signal.Signals) -> None:
        _log.info("signal received", signal=number.name)
        # The loop may be busy when the next one comes: then the interpreter itself ends us.
        for each in SIGNALS:
            signal.signal(each, lambda *_: self._exit_now(1))
        self.stop()

    async def _lead(self, group: asyncio.TaskGroup) -> None:
        try:
            if self._led is not None:
                await self._led()
        except Exception as error:  # noqa: BLE001 - as in `_run`
            self._failed("leadership", error)
        if self._stopping:
            return
        self._led_once = True
        for stage in (Stage.SOURCE, Stage.WORK):
            self._start(group, stage)

    def _start(self, group: asyncio.TaskGroup, stage: Stage) -> None:
        for part in self._parts:
            if part.stage is stage:
                self._tasks[part] = group.create_task(self._run(part), name=part.name)

    async def _run(self, part: Part) -> None:
        """Run one part; whatever ends it ends the process, unless the process ends it."""
        try:
            await part.run()
        except Exception as error:  # noqa: BLE001 - the last stop: told once, then the process ends
            self._failed(part.name, error)
        else:
            if not self._stopping:
                self._failed(part.name, None)

    def _failed(self, name: str, error: Exception | None) -> None:
        if self._failure is None:
            self._failure = error or RuntimeError(f"{name} ended by itself")
            expected = isinstance(error, KroError) and not isinstance(error, InvariantError)
            _log.error(
                "a part of the process failed",
                part=name,
                error=str(self._failure) or type(self._failure).__name__,
                **({} if expected or error is None else {"exc_info": error}),
            )
        self._begin_to_stop()

    async def _end(self, *, drain: bool) -> bool:
        """End the parts, stage by stage; return whether the work was finished in time."""
        await self._cancel(Stage.SOURCE)
        in_time = True
        drains = [
            part.drain
            for part in self._tasks
            if part.drain is not None and part.stage is Stage.WORK
        ]
        if drain and drains:
            async with asyncio.TaskGroup() as group:
                results = [group.create_task(_drained(each, self._drain_s)) for each in drains]
            in_time = all(result.result() for result in results)
        await self._cancel(Stage.WORK)
        await self._cancel(Stage.SERVICE)
        return in_time

    async def _cancel(self, stage: Stage) -> None:
        tasks = [task for part, task in self._tasks.items() if part.stage is stage]
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, refusing = await asyncio.wait(tasks, timeout=END_S)
        if not refusing:
            return
        _log.error("parts refuse to end; exiting at once", stage=stage.name.lower())
        self._exit_now(1)


async def _drained(drain: Callable[[float], Awaitable[bool]], deadline_s: float) -> bool:
    return await drain(deadline_s)
