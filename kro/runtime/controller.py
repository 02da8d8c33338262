"""One queue, one reconcile function, and the passes that run it.

A pass is called with the name of an object and reads the present. It ends in an `Outcome`, or in an
exception, whose class says what follows: an error that only an edit can heal waits for a change,
everything else is tried again, each time later and for ever. A live key is never dropped.

Source: spec "Controller runtime" P-086…P-105; "API surface and operations" §7.7.
"""

from __future__ import annotations

import asyncio
import traceback
import uuid
import zlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from kro.errors import InvariantError, KroError, Retry
from kro.logs import Logger, bound, get_logger, verbosity
from kro.refs import NamespacedName
from kro.runtime.backoff import BackoffSettings, Bucket, KeyBackoff
from kro.runtime.client.origin import Origin, acting_for
from kro.runtime.clock import Clock, sleep, timeout
from kro.runtime.metric_hooks import ControllerMetrics, NullControllerMetrics, QueueMetrics
from kro.runtime.slots import Slot, Slots
from kro.runtime.workqueue import Lease, Priority, QueueClosed, WorkQueue


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing is to be done until something changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAgain:
    """All is well, and a pass after so many seconds is wanted; an event may come before."""

    after_s: float
    why: str = ""


Outcome: TypeAlias = Settled | CheckAgain
Reconcile: TypeAlias = Callable[[NamespacedName], Awaitable[Outcome]]

SOONEST_S: Final = 0.1
"""No outcome brings a key back faster."""
VISIT_BUCKETS: Final = 512
TRACE_EVERY_S: Final = 60.0


class PassDeadlineError(KroError):
    """A pass took longer than it may."""

    reason = "PassDeadlineExceeded"


def retry_of(error: BaseException) -> Retry:
    """Return what the class of an error asks for: the outermost KroError of its chain decides.

    A group asks for no retry only when each of its errors does.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KroError):
            return seen.retry
        if isinstance(seen, BaseExceptionGroup):
            never = all(retry_of(each) is Retry.NEVER for each in seen.exceptions)
            return Retry.NEVER if never else Retry.BACKOFF
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return Retry.BACKOFF


class Controller:
    """The passes of one kind: what is enqueued is reconciled, one pass a key at a time.

    Guarantees: at most `concurrency` passes run at once, and no more than `slots` allows together
    with other controllers; every pass ends by its deadline; a failing key comes back, later each
    time. Leaves to the reconcile function: what a missing object means.

    Concurrency: one event loop. `reconcile` may be replaced at any time; passes that begin later
    use the new function.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        *,
        clock: Clock,
        slots: Slots | None = None,
        concurrency: int = 8,
        pass_timeout_s: float = 300.0,
        backoff: BackoffSettings | None = None,
        bucket: Bucket | None = None,
        max_retries: int = 20,
        resync_s: float = 0.0,
        keys: Callable[[], Iterable[NamespacedName]] | None = None,
        metrics: ControllerMetrics | None = None,
        queue_metrics: QueueMetrics | None = None,
        log: Logger | None = None,
    ) -> None:
        self.name = name
        self.reconcile = reconcile
        self.queue: WorkQueue[NamespacedName] = WorkQueue(clock=clock, metrics=queue_metrics)
        settings = backoff or BackoffSettings()
        self._clock = clock
        self._slots = slots or Slots(concurrency, clock=clock)
        self._concurrency = concurrency
        self._pass_timeout_s = pass_timeout_s
        self._backoff: KeyBackoff[NamespacedName] = KeyBackoff(settings)
        self._buckets = [Bucket(clock, rate=settings.rate, burst=settings.burst)]
        if bucket is not None:
            self._buckets.append(bucket)
        self._max_retries = max_retries
        self._resync_s, self._keys = resync_s, keys
        self._metrics: ControllerMetrics = metrics or NullControllerMetrics()
        self._passes: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._traced: dict[tuple[str, str], float] = {}
        self._log = log or get_logger("controller", controller=name)

    @property
    def depth(self) -> int:
        """How many keys stand in line."""
        return self.queue.depth

    @property
    def running(self) -> int:
        """How many passes run."""
        return len(self._passes)

    @property
    def backing_off(self) -> int:
        """How many keys failed at their last pass."""
        return len(self._backoff)

    @property
    def failing(self) -> int:
        """How many keys have failed as often as `max_retries` or more; they are still tried."""
        return self._backoff.at_least(self._max_retries)

    def enqueue(
        self,
        name: NamespacedName,
        priority: Priority = Priority.EVENT,
        *,
        after_s: float = 0.0,
    ) -> None:
        """Make sure that a pass of `name` begins after this call, or in `after_s` seconds."""
        if after_s > 0:
            self.queue.add_after(name, after_s, priority)
        else:
            self.queue.add(name, priority)

    async def run(self) -> None:
        """Run passes until cancelled, or until a `drain` has ended."""
        async with asyncio.TaskGroup() as group:
            visits = (
                group.create_task(self._visit(self._keys), name=f"visits of {self.name}")
                if self._keys is not None and self._resync_s > 0
                else None
            )
            try:
                await self._serve(group)
            except QueueClosed:
                if visits is not None:
                    visits.cancel()

    async def drain(self, deadline_s: float) -> bool:
        """Begin no more passes and return when those in flight are over.

        After the deadline they are cancelled; returns whether that was not needed.
        """
        self.queue.close()
        try:
            async with timeout(self._clock, deadline_s):
                await self.queue.idle()
        except TimeoutError:
            for task in self._passes:
                task.cancel()
            await self.queue.idle()
            return False
        return True

    def forget(self, name: NamespacedName) -> None:
        """Drop what is remembered of an object that is gone."""
        self.queue.forget(name)
        self._backoff.forget(name)

    # passes

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self.queue.wait()
            while len(self._passes) >= self._concurrency:
                self._freed.clear()
                await self._freed.wait()
            slot = await self._slots.acquire()
            lease = self.queue.take()
            if lease is None:
                slot.release()
                continue
            task = group.create_task(self._pass(lease), name=f"{self.name} {lease.key}")
            self._passes.add(task)
            self._metrics.running(len(self._passes))
            # Not in the task itself: a task that is cancelled before its first step runs nothing.
            task.add_done_callback(partial(self._over, lease, slot))

    def _over(self, lease: Lease[NamespacedName], slot: Slot, task: asyncio.Task[None]) -> None:
        self._passes.discard(task)
        slot.release()
        lease.end()
        self._freed.set()
        self._metrics.running(len(self._passes))

    async def _pass(self, lease: Lease[NamespacedName]) -> None:
        """Run one pass, whose requests and log lines carry one id (P-153)."""
        number = str(uuid.uuid4())
        with acting_for(Origin(number, lease.priority)), bound(reconcileID=number):
            await self._settled(lease.key)

    async def _settled(self, name: NamespacedName) -> None:
        started = self._clock.now()
        result = "cancelled"
        try:
            outcome = await self._reconcile_in_time(name)
            result = self._settle(name, outcome)
        except Exception as error:  # noqa: BLE001 - the worker loop: whatever a pass raises ends here
            result = "error"
            self._fail(name, error)
        finally:
            took_s = self._clock.now() - started
            self._metrics.ended(took_s, result)
            if verbosity() >= 1:
                self._log.debug("pass ended", **_keys(name), result=result, took_s=round(took_s, 4))

    async def _reconcile_in_time(self, name: NamespacedName) -> Outcome:
        try:
            async with timeout(self._clock, self._pass_timeout_s) as deadline:
                return await self.reconcile(name)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            self._metrics.timed_out()
            raise PassDeadlineError(
                f"the pass did not end within {self._pass_timeout_s:g} s and was cancelled"
            ) from error

    def _settle(self, name: NamespacedName, outcome: Outcome) -> str:
        self._backoff.forget(name)
        match outcome:
            case Settled():
                return "success"
            case CheckAgain(after_s=after_s, why=why):
                if verbosity() >= 1:
                    self._log.debug("check again", **_keys(name), after_s=after_s, why=why)
                result = "requeue_after" if after_s > 0 else "requeue"
                self._metrics.requeued(result)
                self.queue.add_after(name, max(after_s, SOONEST_S), Priority.RETRY)
                return result

    def _fail(self, name: NamespacedName, error: Exception) -> None:
        self._metrics.failed()
        expected = isinstance(error, KroError | ExceptionGroup) and _is_expected(error)
        if not expected:
            self._metrics.panicked()
        log = self._log.bind(**_keys(name))
        if retry_of(error) is Retry.NEVER:
            self._backoff.forget(name)
            self._metrics.requeued("no_requeue")
            log.error("pass failed; waiting for a change", error=str(error))
            return
        delay_s = self._backoff.failed(name)
        delay_s = max(delay_s, *(bucket.take() for bucket in self._buckets))
        self._metrics.requeued("rate_limited")
        attempt = self._backoff.failures(name)
        if not expected and self._is_news(error):
            log.error("pass failed", attempt=attempt, delay_s=round(delay_s, 3), exc_info=error)
        else:
            write = log.error if attempt == self._max_retries else log.warning
            text = str(error) or type(error).__name__
            write("pass failed", attempt=attempt, delay_s=round(delay_s, 3), error=text)
        self.queue.add_after(name, delay_s, Priority.RETRY)

    def _is_news(self, error: Exception) -> bool:
        """Tell whether an unexpected error of this class and place was not traced lately."""
        place = ""
        for frame, line in traceback.walk_tb(error.__traceback__):
            place = f"{frame.f_code.co_filename}:{line}"
        now = self._clock.now()
        self._traced = {known: at for known, at in self._traced.items() if now - at < TRACE_EVERY_S}
        key = (type(error).__name__, place)
        if key in self._traced:
            return False
        self._traced[key] = now
        return True

    # the periodic visit

    async def _visit(self, keys: Callable[[], Iterable[NamespacedName]]) -> None:
        """Enqueue every key once a period, spread evenly by a hash of its name."""
        turn = int(self._clock.now() / self._resync_s * VISIT_BUCKETS)
        while True:
            due = (turn + 1) * self._resync_s / VISIT_BUCKETS
            await sleep(self._clock, due - self._clock.now())
            turn += 1
            for name in keys():
                if zlib.crc32(str(name).encode()) % VISIT_BUCKETS == turn % VISIT_BUCKETS:
                    self.queue.add(name, Priority.SWEEP)


def _keys(name: NamespacedName) -> dict[str, str]:
    return {"namespace": name.namespace, "name": name.name}


def _is_expected(error: BaseException) -> bool:
    """Tell whether an error is one that we foresee, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_expected(each) for each in error.exceptions)
    return isinstance(error, KroError) and not isinstance(error, InvariantError)
