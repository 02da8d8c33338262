from __future__ import annotations

import asyncio
import io
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import structlog

from kro.errors import (
    AuthorError,
    AuthorErrors,
    ClusterError,
    DefinitionError,
    InvariantError,
    Retry,
)
from kro.logs import configure, get_logger
from kro.refs import NamespacedName
from kro.runtime import (
    CheckAgain,
    Controller,
    NullControllerMetrics,
    Outcome,
    Priority,
    Settled,
    Slots,
)
from kro.runtime.client import Origin, ServerError, current_origin
from kro.runtime.controller import retry_of
from support.apiserver import answer
from support.clock import FakeClock, settle


def named(name: str) -> NamespacedName:
    return NamespacedName("default", name)


A = named("a")


@contextmanager
def configured(stream: io.StringIO) -> Iterator[None]:
    """Write log lines to `stream` in the block."""
    configure(encoder="json", verbosity=1, time_encoding="epoch", stream=stream)
    try:
        yield
    finally:
        structlog.reset_defaults()


class Counts(NullControllerMetrics):
    """What a controller told."""

    def __init__(self) -> None:
        self.requeues: list[str] = []
        self.results: list[str] = []
        self.panics = 0
        self.timeouts = 0

    def ended(self, duration_s: float, result: str) -> None:
        self.results.append(result)

    def requeued(self, kind: str) -> None:
        self.requeues.append(kind)

    def panicked(self) -> None:
        self.panics += 1

    def timed_out(self) -> None:
        self.timeouts += 1


class Passes:
    """A reconcile function whose answers the test gives."""

    def __init__(self, answer: Callable[[], Outcome] = Settled) -> None:
        self.answer = answer
        self.names: list[str] = []
        self.running: set[NamespacedName] = set()
        self.most = 0
        self.gate: asyncio.Event | None = None

    async def __call__(self, name: NamespacedName) -> Outcome:
        assert name not in self.running, "two passes of one key overlap"
        self.running.add(name)
        self.most = max(self.most, len(self.running))
        self.names.append(name.name)
        try:
            await (self.gate.wait() if self.gate is not None else asyncio.sleep(0))
            return self.answer()
        finally:
            self.running.discard(name)


def failing(error: Exception) -> Callable[[], Outcome]:
    def answer() -> Outcome:
        raise error

    return answer


@asynccontextmanager
async def running(*controllers: Controller) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(controller.run()) for controller in controllers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_what_is_enqueued_is_reconciled(clock: FakeClock) -> None:
    passes, counts = Passes(), Counts()
    controller = Controller("things", passes, clock=clock, metrics=counts)

    async with running(controller):
        controller.enqueue(A)
        controller.enqueue(A)
        await settle()

    assert passes.names == ["a"]
    assert counts.results == ["success"]


async def test_check_again_comes_back_after_its_time(clock: FakeClock) -> None:
    passes = Passes(lambda: CheckAgain(after_s=3.0, why="waiting"))
    controller = Controller("things", passes, clock=clock)

    async with running(controller):
        controller.enqueue(A)
        await clock.advance(2.9)
        early = len(passes.names)
        await clock.advance(0.2)

    assert (early, len(passes.names)) == (1, 2)


async def test_a_pass_that_always_asks_for_now_makes_no_hot_loop(clock: FakeClock) -> None:
    """P-089, D-15: at most ten a second."""
    counts = Counts()
    passes = Passes(lambda: CheckAgain(after_s=0.0))
    controller = Controller("things", passes, clock=clock, metrics=counts)

    async with running(controller):
        controller.enqueue(A)
        await clock.advance(1.0)

    assert 9 <= len(passes.names) <= 11
    assert set(counts.requeues) == {"requeue"}


async def test_a_failing_key_comes_back_ever_later_and_is_never_dropped(clock: FakeClock) -> None:
    """P-086, P-088, D-01: also long after the reference would have given up."""
    passes = Passes(failing(ClusterError("no")))
    controller = Controller("things", passes, clock=clock, max_retries=20)

    async with running(controller):
        controller.enqueue(A)
        await clock.advance(10.0)
        first_ten = len(passes.names)
        await clock.advance(36_000.0)
        later, failing_now = len(passes.names), controller.failing
        passes.answer = Settled
        await clock.advance(1200.0)

        assert first_ten in (6, 7)
        assert later > 40
        assert (failing_now, controller.failing) == (1, 0)


@pytest.mark.parametrize("relief", [Settled(), CheckAgain(after_s=1.0)])
async def test_success_and_check_again_clear_the_failures(
    clock: FakeClock, relief: Outcome
) -> None:
    """P-086, D-14: the wait after the next failure is the first one again."""
    outcomes: list[Outcome | None] = [None, None, None, None, relief, None, Settled()]
    at: list[float] = []

    async def reconcile(name: NamespacedName) -> Outcome:
        at.append(clock.now())
        outcome = outcomes.pop(0)
        if outcome is None:
            raise ClusterError("no")
        return outcome

    controller = Controller("things", reconcile, clock=clock)
    async with running(controller):
        controller.enqueue(A)
        await clock.advance(30.0)
        controller.enqueue(A)
        await clock.advance(30.0)

    waits = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert waits[3] > 1.4
    assert waits[5] < 0.23


async def test_an_author_error_waits_for_a_change(clock: FakeClock) -> None:
    """P-097."""
    counts = Counts()
    passes = Passes(failing(DefinitionError("wrong")))
    controller = Controller("things", passes, clock=clock, metrics=counts)

    async with running(controller):
        controller.enqueue(A)
        await clock.advance(100_000.0)
        alone = len(passes.names)
        controller.enqueue(A)
        await settle()

    assert (alone, len(passes.names)) == (1, 2)
    assert counts.requeues == ["no_requeue", "no_requeue"]
    assert counts.panics == 0


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        pytest.param(AuthorError("x"), Retry.NEVER, id="an author's"),
        pytest.param(ClusterError("x"), Retry.BACKOFF, id="the cluster's"),
        pytest.param(ValueError("x"), Retry.BACKOFF, id="a foreign one"),
        pytest.param(chained(ValueError(), AuthorError("x")), Retry.NEVER, id="wrapped"),
        pytest.param(
            chained(ClusterError(), AuthorError("x")), Retry.BACKOFF, id="the outermost wins"
        ),
        pytest.param(AuthorErrors("x", [AuthorError("y")]), Retry.NEVER, id="a group of them"),
        pytest.param(
            ExceptionGroup("x", [AuthorError("y"), ClusterError("z")]),
            Retry.BACKOFF,
            id="a mixed group",
        ),
    ],
)
def test_the_class_decides_anywhere_in_the_chain(error: Exception, retry: Retry) -> None:
    """P-097, D-16."""
    assert retry_of(error) is retry


async def test_what_nobody_expects_is_counted_and_retried(clock: FakeClock) -> None:
    """P-099."""
    counts = Counts()
    passes = Passes(failing(KeyError("spec")))
    controller = Controller("things", passes, clock=clock, metrics=counts)

    async with running(controller) as tasks:
        controller.enqueue(A)
        await clock.advance(1.0)

        assert not tasks[0].done()
    assert counts.panics == len(passes.names) >= 3
    assert set(counts.requeues) == {"rate_limited"}


@pytest.mark.parametrize(
    ("error", "panics"),
    [
        pytest.param(answer(ServerError, 500), 0, id="the server's"),
        pytest.param(ClusterError("x"), 0, id="the cluster's"),
        pytest.param(ExceptionGroup("x", [ClusterError("x")]), 0, id="a group of them"),
        pytest.param(InvariantError("x"), 1, id="a bug that we noticed"),
        pytest.param(ExceptionGroup("x", [ClusterError("x"), KeyError("y")]), 1, id="mixed"),
    ],
)
async def test_only_bugs_count_as_panics(clock: FakeClock, error: Exception, panics: int) -> None:
    """P-099: what the cluster does to us is no bug of ours."""
    counts = Counts()
    controller = Controller("things", Passes(failing(error)), clock=clock, metrics=counts)

    async with running(controller):
        controller.enqueue(A)
        await settle()

    assert (counts.panics, counts.results) == (panics, ["error"])


async def test_a_pass_that_takes_too_long_is_ended_and_retried(clock: FakeClock) -> None:
    """P-100."""
    counts = Counts()
    passes = Passes()
    passes.gate = asyncio.Event()
    controller = Controller("things", passes, clock=clock, metrics=counts, pass_timeout_s=300.0)

    async with running(controller):
        controller.enqueue(A)
        await clock.advance(301.0)

        assert (counts.timeouts, len(passes.names), controller.queue.leased) == (1, 2, 1)
        assert counts.results == ["error"]


async def test_a_time_out_of_the_passes_own_is_an_ordinary_failure(clock: FakeClock) -> None:
    counts = Counts()
    controller = Controller(
        "things", Passes(failing(TimeoutError("its own"))), clock=clock, metrics=counts
    )

    async with running(controller):
        controller.enqueue(A)
        await settle()

    assert (counts.timeouts, counts.panics) == (0, 1)


async def test_no_more_passes_run_than_allowed(clock: FakeClock) -> None:
    """P-092: per controller, and over all of them."""
    slots = Slots(3, clock=clock)
    one, other = Passes(), Passes()
    one.gate = other.gate = asyncio.Event()
    controllers = [
        Controller("one", one, clock=clock, slots=slots, concurrency=2),
        Controller("other", other, clock=clock, slots=slots, concurrency=8),
    ]

    async with running(*controllers):
        for at in range(10):
            controllers[0].enqueue(named(f"k{at}"))
            controllers[1].enqueue(named(f"k{at}"))
        await settle()
        held = len(one.running) + len(other.running)
        one.gate.set()
        await settle(200)

    assert held == 3
    assert one.most <= 2
    assert len(one.names) + len(other.names) == 20


async def test_a_long_queue_does_not_starve_a_short_one(clock: FakeClock) -> None:
    """P-090, D-20: B starts within (global limit + 1) completions of A."""
    slots = Slots(4, clock=clock)
    ended = 0
    started_after: list[int] = []

    async def busy(name: NamespacedName) -> Outcome:
        nonlocal ended
        await asyncio.sleep(0)
        ended += 1
        return Settled()

    async def rare(name: NamespacedName) -> Outcome:
        started_after.append(ended)
        return Settled()

    crowd = Controller("busy", busy, clock=clock, slots=slots)
    single = Controller("rare", rare, clock=clock, slots=slots)

    async with running(crowd, single):
        for at in range(10_000):
            crowd.enqueue(named(f"k{at}"))
        await settle()
        before = ended
        single.enqueue(A)
        await settle(40)

    assert started_after[0] - before <= 4 + 1


async def test_a_swapped_function_serves_what_was_queued_before(clock: FakeClock) -> None:
    """P-059."""
    old, new = Passes(), Passes()
    controller = Controller("things", old, clock=clock)
    controller.enqueue(A)
    controller.reconcile = new

    async with running(controller):
        await settle()

    assert (old.names, new.names) == ([], ["a"])


async def test_drain_lets_passes_end_and_begins_no_more(clock: FakeClock) -> None:
    """P-096, P-138."""
    passes = Passes()
    passes.gate = asyncio.Event()
    controller = Controller("things", passes, clock=clock, concurrency=1)

    async with running(controller) as tasks:
        controller.enqueue(A)
        controller.enqueue(named("b"))
        await settle()
        drain = asyncio.create_task(controller.drain(60.0))
        await settle()
        waited = not drain.done()
        passes.gate.set()
        await settle()

        assert (waited, await drain, tasks[0].done()) == (True, True, True)
    assert passes.names == ["a"]


async def test_drain_cancels_what_does_not_end_in_time(clock: FakeClock) -> None:
    passes = Passes()
    passes.gate = asyncio.Event()
    controller = Controller("things", passes, clock=clock)

    async with running(controller):
        controller.enqueue(A)
        await settle()
        drain = asyncio.create_task(controller.drain(5.0))
        await clock.advance(6.0)

        assert await drain is False
        assert (controller.queue.leased, passes.running) == (0, set())


async def test_every_key_is_visited_once_a_period_spread_evenly(clock: FakeClock) -> None:
    """P-093, D-02, D-03: also without any event, and never all at once."""
    keys = [named(f"k{at}") for at in range(200)]
    passes = Passes()
    controller = Controller("things", passes, clock=clock, resync_s=36_000.0, keys=lambda: keys)
    most = 0

    async with running(controller):
        for _ in range(100):
            before = len(passes.names)
            await clock.advance(360.0)
            await settle(20)
            most = max(most, len(passes.names) - before)

    assert sorted(set(passes.names)) == sorted(key.name for key in keys)
    assert len(passes.names) <= len(keys) + 10
    assert most <= 12


async def test_failures_of_one_kind_do_not_delay_another(clock: FakeClock) -> None:
    """P-087, D-26: the bucket is the kind's own."""
    many = Passes(failing(ClusterError("no")))
    one = Passes(failing(ClusterError("no")))
    crowd = Controller("crowd", many, clock=clock, concurrency=64)
    single = Controller("single", one, clock=clock)

    async with running(crowd, single):
        for at in range(300):
            crowd.enqueue(named(f"k{at}"))
        await settle(600)
        single.enqueue(A)
        await clock.advance(1.0)

    assert len(one.names) >= 2


async def test_each_failure_is_one_line_and_a_bug_is_traced_once_a_minute(
    clock: FakeClock,
) -> None:
    """P-099, P-105: with object, attempt and delay."""
    with structlog.testing.capture_logs() as logs:
        passes = Passes(failing(KeyError("spec")))
        controller = Controller("things", passes, clock=clock)
        async with running(controller):
            controller.enqueue(A)
            await clock.advance(61.0)

    lines = [line for line in logs if line["event"] == "pass failed"]
    traced = [line for line in lines if "exc_info" in line]
    assert len(lines) == len(passes.names)
    assert len(traced) in (1, 2)
    assert [line["attempt"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(line["name"] == "a" and line["namespace"] == "default" for line in lines)
    assert all("delay_s" in line for line in lines)


async def test_a_pass_has_one_id_that_its_lines_and_requests_carry(clock: FakeClock) -> None:
    """P-153, P-109: in tasks of its own too; its requests are as urgent as its key was."""
    stream = io.StringIO()
    origins: list[Origin] = []
    with configured(stream):
        log = get_logger("test")

        async def inside() -> None:
            origins.append(current_origin())
            log.info("inside")

        async def reconcile(name: NamespacedName) -> Outcome:
            log.info("begun")
            await asyncio.create_task(inside())
            raise ClusterError("no")

        controller = Controller("things", reconcile, clock=clock)
        async with running(controller):
            controller.enqueue(A, Priority.CHANGE)
            await settle()
            await clock.advance(0.3)
        log.info("outside")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    ids = [line.get("reconcileID") for line in lines]
    assert [line["msg"] for line in lines] == [
        *["begun", "inside", "pass failed", "pass ended"] * 2,
        "outside",
    ]
    assert len(set(ids[:4])) == len(set(ids[4:8])) == 1
    assert ids[0] != ids[4]
    assert ids[8] is None
    assert [each.id for each in origins] == [ids[0], ids[4]]
    assert [each.rank for each in origins] == [Priority.CHANGE, Priority.RETRY]
    assert current_origin() == Origin()


async def test_a_poisoned_key_holds_up_no_other(clock: FakeClock) -> None:
    """F-66: one that always raises, and one that never ends by itself."""
    passed: list[str] = []

    async def reconcile(name: NamespacedName) -> Outcome:
        if name.name == "raises":
            raise RecursionError("deep")
        if name.name == "hangs":
            await asyncio.Event().wait()
        passed.append(name.name)
        return Settled()

    controller = Controller("things", reconcile, clock=clock, concurrency=2, pass_timeout_s=300.0)
    async with running(controller):
        controller.enqueue(named("hangs"))
        controller.enqueue(named("raises"))
        for at in range(100):
            controller.enqueue(named(f"k{at}"))
        await clock.advance(1.0)
        await settle(600)

        assert len(passed) == 100
        await clock.advance(600.0)
        assert controller.running <= 1


async def test_every_kind_starts_soon_when_all_have_work(clock: FakeClock) -> None:
    """F-63, P-090, shortened to 60 kinds with 5 instances each, on 8 slots."""
    slots = Slots(8, clock=clock)
    starts: list[int] = []

    def make(kind: int) -> Controller:
        async def reconcile(name: NamespacedName) -> Outcome:
            starts.append(kind)
            await asyncio.sleep(0)
            return Settled()

        return Controller(f"kind-{kind}", reconcile, clock=clock, slots=slots)

    controllers = [make(kind) for kind in range(60)]
    async with running(*controllers):
        for controller in controllers:
            for at in range(5):
                controller.enqueue(named(f"k{at}"))
        while len(starts) < 300:
            await settle(10)

    firsts = [starts.index(kind) for kind in range(60)]
    assert max(firsts) <= 60 + 8


async def test_cancelling_at_any_step_leaks_no_lease_and_no_slot() -> None:
    """P-084, P-101, F-73."""
    for steps in range(30):
        clock = FakeClock()
        slots = Slots(2, clock=clock)
        passes = Passes()
        controller = Controller("things", passes, clock=clock, slots=slots, concurrency=4)
        for at in range(6):
            controller.enqueue(named(f"k{at}"))
        before = asyncio.all_tasks()
        task = asyncio.create_task(controller.run())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

        assert (controller.queue.leased, slots.held, passes.running) == (0, 0, set())
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize("seed", range(8))
async def test_random_passes_lose_no_change(seed: int) -> None:
    """P-081 to P-083: after every change a pass begins that can see it; 200 schedules."""
    chance = random.Random(seed)
    for _ in range(25):
        clock = FakeClock()
        changed: dict[str, int] = {}
        seen: dict[str, int] = {}

        async def reconcile(name: NamespacedName, chance: random.Random = chance) -> Outcome:
            seen[name.name] = changed.get(name.name, 0)  # noqa: B023 - of this very round
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            if chance.random() < 0.2:
                raise ClusterError("by chance")
            return Settled() if chance.random() < 0.7 else CheckAgain(after_s=1.0)

        controller = Controller("things", reconcile, clock=clock, concurrency=3)
        async with running(controller):
            for _ in range(chance.randint(5, 40)):
                name = chance.choice("abcde")
                changed[name] = changed.get(name, 0) + 1
                controller.enqueue(named(name), chance.choice(list(Priority)))
                if chance.random() < 0.4:
                    await asyncio.sleep(0)
            await settle(200)

            assert seen == changed
