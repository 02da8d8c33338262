"""Something happens at every point at which an operation may be suspended, one after the other.

A wrapper steps the operation's coroutine as its task would and counts how often it hands control
back: each such point is an await that really waited. At the nth the wrapper strikes (by default it
cancels the task) before the loop goes on, so that the cancellation arrives at exactly that await.
With `tasks` those that the operation begins are stepped too, which makes every interleaving of a
concurrent operation a point of its own; what is cancelled is the operation.

Source: spec "Controller runtime" P-101, F-73.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Suspensions:
    """Counts points of suspension and strikes at one of them.

    Args:
        at: at which, from 1; 0: at none.
        strike: what to do there; by default the task of `run` is cancelled.
    """

    def __init__(self, at: int, strike: Callable[[], object] | None = None) -> None:
        self._at = at
        self._strike = strike
        self._task: asyncio.Task[Any] | None = None
        self.count = 0

    @property
    def struck(self) -> bool:
        """Whether the point was reached."""
        return 0 < self._at <= self.count

    async def run(self, operation: Awaitable[T], *, tasks: bool = False) -> T:
        """Return what the operation returns, or raise what it raises, struck or not."""
        self._task = asyncio.current_task()
        if not tasks:
            return await _Stepped(_coroutine(operation), self)
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        loop.set_task_factory(self._make_task)  # type: ignore[arg-type]  # of this very signature
        try:
            return await _Stepped(_coroutine(operation), self)
        finally:
            loop.set_task_factory(before)

    def suspended(self) -> None:
        """Count a point; called by the wrapper while its task still runs."""
        self.count += 1
        if self.count == self._at:
            if self._strike is not None:
                self._strike()
            elif self._task is not None:
                self._task.cancel()

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **options: Any
    ) -> asyncio.Task[T]:
        task = asyncio.Task(_coroutine(_Stepped(work, self)), loop=loop, **options)
        # One that is cancelled before its first step would otherwise never end.
        task.add_done_callback(lambda _: work.close())
        return task


class _Stepped(Awaitable[T]):
    """A coroutine, stepped by hand."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], suspensions: Suspensions) -> None:
        self._coroutine, self._suspensions = coroutine, suspensions

    def __await__(self) -> Generator[Any, Any, T]:
        step: Callable[[], Any] = lambda: self._coroutine.send(None)  # noqa: E731 - replaced below
        while True:
            try:
                waits_for = step()
            except StopIteration as end:
                result: T = end.value
                return result
            self._suspensions.suspended()
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001 - goes on into the coroutine
                thrown = error
                step = lambda: self._coroutine.throw(thrown)  # noqa: B023, E731
            else:
                step = lambda: self._coroutine.send(sent)  # noqa: B023, E731


async def _coroutine(operation: Awaitable[T]) -> T:
    return await operation


async def at_every_suspension(
    attempt: Callable[[Suspensions], Awaitable[None]], *, most: int = 2000
) -> int:
    """Call `attempt` with a strike at the first suspension, the second and so on; return how many.

    `attempt` sets its stage, runs its operation by `Suspensions.run`, and checks what must hold
    afterwards, cancelled or not. It is done with when the operation ends before the strike.

    Raises:
        AssertionError: after `most` points there was no end.
    """
    for at in range(1, most + 1):
        suspensions = Suspensions(at)
        await attempt(suspensions)
        if not suspensions.struck:
            return at - 1
    raise AssertionError(f"still not over after {most} suspensions")


@asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Check that the block leaves no task behind (I-07)."""
    before = asyncio.all_tasks()
    yield
    for _ in range(10):
        if asyncio.all_tasks() <= before:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"left behind: {asyncio.all_tasks() - before}")
