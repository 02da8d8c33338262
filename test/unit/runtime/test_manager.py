from __future__ import annotations

import asyncio
import os
import signal

import pytest

from kro.errors import ClusterError
from kro.runtime import Manager, Part, Stage
from support.clock import settle


class Stay:
    """A part that stays until it is cancelled, and notes what happens to it."""

    def __init__(self, name: str, stage: Stage, log: list[str], *, drained: bool = True) -> None:
        self.name, self.log, self.drained = name, log, drained
        self.part = Part(
            name=name,
            run=self.run,
            stage=stage,
            drain=self.drain if stage is Stage.WORK else None,
        )

    async def run(self) -> None:
        self.log.append(f"{self.name} starts")
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append(f"{self.name} ends")

    async def drain(self, deadline_s: float) -> bool:
        self.log.append(f"{self.name} drains")
        await asyncio.sleep(0)
        return self.drained


def three(log: list[str], *, drained: bool = True) -> list[Part]:
    return [
        Stay("work", Stage.WORK, log, drained=drained).part,
        Stay("source", Stage.SOURCE, log).part,
        Stay("service", Stage.SERVICE, log).part,
    ]


async def test_parts_start_in_order_and_end_sources_first_services_last() -> None:
    """P-136, P-138: the lease, a service, is given up when no write can follow."""
    log: list[str] = []
    manager = Manager(three(log))
    running = asyncio.create_task(manager.run())
    await settle()
    manager.stop()

    assert await running == 0
    assert log == [
        "service starts",
        "source starts",
        "work starts",
        "source ends",
        "work drains",
        "work ends",
        "service ends",
    ]


async def test_how_long_the_end_takes_can_be_asked() -> None:
    """P-154: an end that hangs is seen while it does."""
    manager = Manager(three([]))
    running = asyncio.create_task(manager.run())
    await settle()

    before = manager.stopping_s
    manager.stop()
    since = manager.stopping_s
    await running

    assert before == 0.0
    assert 0.0 <= since <= manager.stopping_s


async def test_a_standby_runs_only_services() -> None:
    """P-134."""
    log: list[str] = []
    led = asyncio.Event()

    async def wait() -> None:
        await led.wait()

    manager = Manager(three(log), led=wait)
    running = asyncio.create_task(manager.run())
    await settle()
    standby = (list(log), manager.leading)
    led.set()
    await settle()
    manager.stop()
    await running

    assert standby == (["service starts"], False)
    assert "work starts" in log


async def test_a_standby_that_is_stopped_exits_clean() -> None:
    """F-68: also while it waits for leadership."""
    log: list[str] = []

    async def never() -> None:
        await asyncio.Event().wait()

    manager = Manager(three(log), led=never)
    running = asyncio.create_task(manager.run())
    await settle()
    manager.stop()

    assert await running == 0
    assert log == ["service starts", "service ends"]


async def test_passes_that_do_not_end_in_time_are_an_error() -> None:
    """P-141."""
    manager = Manager(three([], drained=False))
    running = asyncio.create_task(manager.run())
    await settle()
    manager.stop()

    assert await running == 1


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("how", ["raises", "ends"])
async def test_a_part_that_fails_or_ends_ends_the_process(stage: Stage, how: str) -> None:
    """P-136, P-141: without a drain, since nothing can be relied on any more."""
    log: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0)
        if how == "raises":
            raise ClusterError("the lease is lost")

    manager = Manager([*three(log), Part(name="broken", run=fail, stage=stage)])

    assert await asyncio.wait_for(manager.run(), 5) == 1
    assert "work drains" not in log
    assert log.count("service ends") == 1


async def test_failing_to_lead_ends_the_process() -> None:
    async def fail() -> None:
        raise ClusterError("no permission for leases")

    assert await Manager(three([]), led=fail).run() == 1


async def test_sigterm_stops_in_order_and_a_second_one_at_once() -> None:
    """P-138, P-139."""
    exits: list[int] = []
    log: list[str] = []
    drains = asyncio.Event()

    async def drain(deadline_s: float) -> bool:
        drains.set()
        await settle()
        return True

    work = Part(name="more", run=asyncio.Event().wait, stage=Stage.WORK, drain=drain)  # type: ignore[arg-type]
    manager = Manager([*three(log), work], exit_now=exits.append)
    running = asyncio.create_task(manager.run())
    await settle()
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await drains.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        code = await running
    finally:
        for each, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
            signal.signal(each, handler)

    assert code == 0
    assert set(exits) == {1}
    assert log[-1] == "service ends"
