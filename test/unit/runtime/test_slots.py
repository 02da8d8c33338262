from __future__ import annotations

import asyncio

import pytest

from kro.runtime import Slots
from support.clock import FakeClock, settle


async def test_no_more_are_held_than_the_limit() -> None:
    """P-092: the limit is hard."""
    slots = Slots(2, clock=FakeClock())
    held = [await slots.acquire(), await slots.acquire()]
    third = asyncio.create_task(slots.acquire())
    await settle()

    waited = not third.done()
    held[0].release()
    held[0].release()
    await settle()

    assert (waited, third.done(), slots.held) == (True, True, 2)


async def test_slots_are_given_in_the_order_of_asking() -> None:
    """P-090: who asks for one at a time takes turns with the others."""
    slots = Slots(1, clock=FakeClock())
    order: list[str] = []

    async def work(name: str, times: int) -> None:
        for _ in range(times):
            with await slots.acquire():
                order.append(name)
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(work("busy", 10))
        group.create_task(work("rare", 1))

    assert order.index("rare") <= 1


async def test_cancelled_waits_lose_no_slot() -> None:
    slots = Slots(1, clock=FakeClock())
    held = await slots.acquire()
    waits = [asyncio.create_task(slots.acquire()) for _ in range(3)]
    await settle()

    waits[0].cancel()
    held.release()
    waits[1].cancel()
    await settle()

    assert waits[2].done()
    assert not waits[2].cancelled()
    assert slots.held == 1


async def test_throttling_halves_once_a_burst_and_the_limit_grows_back() -> None:
    """P-094: halve, then one more every five seconds, never below one."""
    clock = FakeClock()
    slots = Slots(8, clock=clock)

    slots.throttled()
    slots.throttled()
    once = slots.limit
    for _ in range(10):
        clock.turn(1.0)
        slots.throttled()
    lowest = slots.limit
    clock.turn(5.0)
    first = slots.limit
    clock.turn(60.0)

    assert (once, lowest, first, slots.limit) == (4, 1, 2, 8)


async def test_a_limit_that_lets_nothing_run_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Slots(0, clock=FakeClock())
