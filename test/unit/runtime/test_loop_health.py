from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from kro.runtime import LoopHealth


@contextmanager
def captured() -> Iterator[list[dict[str, object]]]:
    with structlog.testing.capture_logs() as logs:
        yield logs  # type: ignore[misc]  # event dictionaries


async def test_a_healthy_loop_beats_and_is_not_late() -> None:
    """P-144."""
    lags: list[float] = []
    beaten = asyncio.Event()
    health = LoopHealth(observe=lags.append, beat=beaten.set)
    task = asyncio.create_task(health.run())
    await beaten.wait()
    age, problem = health.age_s, health.check()
    task.cancel()
    await asyncio.wait([task])

    assert age < 5
    assert problem is None
    assert len(lags) == 1


async def test_what_holds_the_loop_up_is_written_down() -> None:
    """P-144, F-57: by another thread, with the stack of the culprit."""
    with captured() as logs:
        health = LoopHealth(stuck_s=0.05)
        task = asyncio.create_task(health.run())
        await asyncio.sleep(0.01)

        def culprit() -> None:
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                pass

        culprit()
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    stuck = [line for line in logs if line["event"] == "event loop is held up"]
    assert len(stuck) == 1
    assert "culprit" in str(stuck[0]["stack"])


def test_a_stuck_loop_fails_the_check_from_another_thread() -> None:
    """P-142."""
    now = 100.0
    health = LoopHealth(monotonic=lambda: now)
    now = 111.0
    problems: list[str | None] = []

    thread = threading.Thread(target=lambda: problems.append(health.check(10.0)))
    thread.start()
    thread.join()

    assert problems == ["the event loop is stuck for 11 s"]


@pytest.mark.parametrize("limit", [20.0])
def test_a_short_pause_fails_nothing(limit: float) -> None:
    now = 100.0
    health = LoopHealth(monotonic=lambda: now)
    now = 111.0

    assert health.check(limit) is None
