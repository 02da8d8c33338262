"""The harness itself: it must find what it is for."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from support.cancellation import Suspensions, at_every_suspension, no_task_left


async def test_every_await_that_waits_is_a_point_and_is_cancelled_there() -> None:
    reached: list[str] = []

    async def operation() -> None:
        for name in "abc":
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                reached.append(name)
                raise
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        try:
            await future
        except asyncio.CancelledError:
            reached.append("future")
            raise

    async def attempt(suspensions: Suspensions) -> None:
        task = asyncio.create_task(suspensions.run(operation()))
        await asyncio.wait([task])
        assert task.cancelled() is suspensions.struck

    assert await at_every_suspension(attempt) == 4
    assert reached == ["a", "b", "c", "future"]


async def test_points_of_tasks_that_the_operation_begins_count_too() -> None:
    async def child() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def operation() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())

    async def attempt(suspensions: Suspensions) -> None:
        async with no_task_left():
            task = asyncio.create_task(suspensions.run(operation(), tasks=True))
            await asyncio.wait([task])
        assert task.cancelled() is suspensions.struck

    assert await at_every_suspension(attempt) == 5


async def test_a_swallowed_cancellation_is_found() -> None:
    """What F-73 forbids: the operation goes on as if nothing had been said."""

    async def operation() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    async def attempt(suspensions: Suspensions) -> None:
        task = asyncio.create_task(suspensions.run(operation()))
        await asyncio.wait([task])
        assert task.cancelled() is suspensions.struck

    with pytest.raises(AssertionError):
        await at_every_suspension(attempt)


async def test_results_errors_and_timeouts_pass_through() -> None:
    async def operation() -> int:
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(1)
        except TimeoutError:
            return 7
        return 0

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("mine")

    assert await Suspensions(0).run(operation()) == 7
    with pytest.raises(ValueError, match="mine"):
        await Suspensions(0).run(failing())
