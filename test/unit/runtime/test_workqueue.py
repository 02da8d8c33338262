from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from kro.runtime import Priority, QueueClosed, WorkQueue
from support.clock import FakeClock, settle


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue[str]:
    return WorkQueue(clock=clock)


def served(queue: WorkQueue[str]) -> list[str]:
    order = []
    while (lease := queue.take()) is not None:
        with lease as key:
            order.append(key)
    return order


async def test_key_added_while_waiting_is_served_once(queue: WorkQueue[str]) -> None:
    """P-081, P-068: a thousand adds of a waiting key are one pass."""
    for _ in range(1000):
        queue.add("a")

    assert served(queue) == ["a"]


async def test_key_added_while_leased_is_served_once_more(queue: WorkQueue[str]) -> None:
    """P-081: changes that land mid-pass earn exactly one extra pass, however many they are."""
    queue.add("a")

    async with queue.lease():
        queue.add("a")
        queue.add("a")

    assert served(queue) == ["a"]


async def test_a_leased_key_is_leased_to_nobody_else(queue: WorkQueue[str]) -> None:
    """P-082: never two passes of one key."""
    queue.add("a")

    async with queue.lease():
        queue.add("a")

        assert queue.take() is None


async def test_keys_of_one_priority_come_in_the_order_of_their_adds(queue: WorkQueue[str]) -> None:
    for key in "abc":
        queue.add(key)

    assert served(queue) == ["a", "b", "c"]


async def test_more_urgent_keys_come_first(queue: WorkQueue[str]) -> None:
    """P-091: change before event before retry before sweep."""
    queue.add("sweep", Priority.SWEEP)
    queue.add("retry", Priority.RETRY)
    queue.add("event", Priority.EVENT)
    queue.add("change", Priority.CHANGE)

    assert served(queue) == ["change", "event", "retry", "sweep"]


async def test_a_waiting_key_is_promoted_and_never_demoted(queue: WorkQueue[str]) -> None:
    queue.add("a", Priority.SWEEP)
    queue.add("b", Priority.EVENT)
    queue.add("a", Priority.CHANGE)
    queue.add("b", Priority.SWEEP)
    queue.add("c", Priority.EVENT)

    assert served(queue) == ["a", "b", "c"]


@pytest.mark.parametrize("lower", [Priority.RETRY, Priority.SWEEP])
async def test_lowest_line_gets_its_share_while_a_higher_one_never_empties(
    queue: WorkQueue[str], lower: Priority
) -> None:
    """P-091: the lowest class gets at least 5 % of the starts."""
    for at in range(1000):
        queue.add(f"low-{at}", lower)
    starts: Counter[bool] = Counter()

    for at in range(1000):
        queue.add(f"high-{at}", Priority.CHANGE)
        queue.add(f"higher-{at}", Priority.EVENT)
        lease = queue.take()
        assert lease is not None
        with lease as key:
            starts[key.startswith("low")] += 1

    assert starts[True] >= 50


async def test_delayed_key_comes_when_its_time_has_come(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    queue.add_after("a", 3.0)

    clock.turn(2.9)
    early = served(queue)
    clock.turn(0.2)

    assert (early, served(queue)) == ([], ["a"])


async def test_of_several_delays_the_earliest_counts(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    """P-085."""
    queue.add_after("a", 10.0)
    queue.add_after("a", 1.0)
    queue.add_after("a", 5.0)

    clock.turn(1.0)
    first = served(queue)
    clock.turn(60.0)

    assert (first, served(queue)) == (["a"], [])


async def test_immediate_add_supersedes_a_planned_check(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    """P-085: a key woken by an event does not run again when its timer fires."""
    queue.add_after("a", 3.0)
    queue.add("a")
    first = served(queue)

    clock.turn(10.0)

    assert (first, served(queue)) == (["a"], [])


async def test_mandatory_check_survives_an_immediate_add(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    queue.add_after("a", 3.0, mandatory=True)
    queue.add("a")
    first = served(queue)

    clock.turn(3.0)

    assert (first, served(queue)) == (["a"], ["a"])


async def test_a_hundred_thousand_delays_need_one_timer(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    """P-085."""
    for at in range(100_000):
        queue.add_after(f"k{at}", 1.0 + at / 1000)

    assert clock.pending == 1
    clock.turn(51.0)
    assert queue.depth == 50_001
    assert clock.pending == 1


async def test_repeated_delays_of_one_key_do_not_pile_up(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    """P-150: the heap of due times is bounded by the keys that wait."""
    for at in range(10_000):
        queue.add_after("a", 10_000.0 - at)

    assert len(queue._heap) <= 66


async def test_cancelled_lease_gives_a_dirty_key_back(queue: WorkQueue[str]) -> None:
    """P-084: a lease ends on every way out."""
    queue.add("a")

    async def work() -> None:
        async with queue.lease():
            queue.add("a")
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await settle()
    task.cancel()
    await asyncio.wait([task])

    assert (queue.leased, served(queue)) == (0, ["a"])


async def test_takers_wait_for_a_key(queue: WorkQueue[str]) -> None:
    found: list[str] = []

    async def work() -> None:
        async with queue.lease() as key:
            found.append(key)

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    await settle()
    for key in "abc":
        queue.add(key)
    await asyncio.wait(tasks)

    assert sorted(found) == ["a", "b", "c"]


async def test_closed_queue_ends_takers_ignores_adds_and_lets_leases_finish(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    """P-096."""
    queue.add("a")
    lease = queue.take()
    assert lease is not None
    waiter = asyncio.create_task(queue.wait())
    await settle()
    queue.add_after("b", 1.0)

    queue.close()
    queue.add("a")
    queue.add("c")
    clock.turn(5.0)
    idle = asyncio.create_task(queue.idle())
    await settle()
    was_idle = idle.done()
    lease.end()
    await settle()

    with pytest.raises(QueueClosed):
        await waiter
    assert (was_idle, idle.done(), queue.depth, clock.pending) == (False, True, 0, 0)


async def test_forgotten_key_wants_nothing(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add("a")
    queue.add_after("b", 1.0)

    queue.forget("a")
    queue.forget("b")
    clock.turn(2.0)

    assert served(queue) == []


class Counts:
    """What a queue told."""

    def __init__(self) -> None:
        self.depths: list[int] = []
        self.adds = 0
        self.retries = 0
        self.waits: list[float] = []
        self.works: list[float] = []

    def depth(self, waiting: int) -> None:
        self.depths.append(waiting)

    def added(self) -> None:
        self.adds += 1

    def retried(self) -> None:
        self.retries += 1

    def taken(self, waited_s: float) -> None:
        self.waits.append(waited_s)

    def done(self, worked_s: float) -> None:
        self.works.append(worked_s)


async def test_what_happens_is_told(clock: FakeClock) -> None:
    """P-095: depth at every change, adds, retries, waits and works; ages on request."""
    counts = Counts()
    queue: WorkQueue[str] = WorkQueue(clock=clock, metrics=counts)
    queue.add("a")
    queue.add("a")
    queue.add_after("b", 5.0)
    clock.turn(2.0)
    oldest = queue.oldest_s()
    lease = queue.take()
    assert lease is not None
    clock.turn(3.0)
    running = (queue.longest_running_s(), queue.unfinished_s())
    lease.end()

    assert (counts.adds, counts.retries) == (2, 1)
    assert counts.depths == [1, 0, 1]
    assert (counts.waits, counts.works) == ([2.0], [3.0])
    assert (oldest, running, queue.oldest_s()) == (2.0, (3.0, 3.0), 0.0)


async def test_a_closed_queue_is_shown_as_empty(clock: FakeClock) -> None:
    """What stood in line when a kind was given up is nobody's any more."""
    counts = Counts()
    queue: WorkQueue[str] = WorkQueue(clock=clock, metrics=counts)
    for key in "abc":
        queue.add(key)

    queue.close()
    queue.forget("a")

    assert counts.depths[-2:] == [0, 0]


class Model:
    """What a work queue must do, as slowly and plainly as possible."""

    def __init__(self) -> None:
        self.wanting: set[str] = set()
        self.leased: set[str] = set()
        self.due: dict[str, float] = {}


@pytest.mark.parametrize("seed", range(20))
async def test_random_schedules_agree_with_a_naive_model(seed: int) -> None:
    """P-081 to P-085: 4 000 schedules of adds, delays, leases and cancelled leases."""
    chance = random.Random(seed)
    for _ in range(200):
        await _random_schedule(chance)


async def _random_schedule(chance: random.Random) -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    model = Model()
    leases = {}
    for _ in range(chance.randint(10, 60)):
        key = chance.choice("abcde")
        match chance.randrange(6):
            case 0 | 1:
                queue.add(key, chance.choice(list(Priority)))
                model.wanting.add(key)
                model.due.pop(key, None)
            case 2:
                delay = chance.choice([0.5, 1.0, 3.0])
                queue.add_after(key, delay)
                if key not in model.wanting:
                    when = clock.now() + delay
                    model.due[key] = min(model.due.get(key, when), when)
            case 3:
                lease = queue.take()
                free = model.wanting - model.leased
                assert (lease is not None) == bool(free)
                if lease is not None:
                    assert lease.key in free
                    model.wanting.discard(lease.key)
                    model.leased.add(lease.key)
                    leases[lease.key] = lease
            case 4 if leases:
                ended = chance.choice(sorted(leases))
                leases.pop(ended).end()
                model.leased.discard(ended)
            case _:
                clock.turn(0.7)
                for due in [each for each, at in model.due.items() if at <= clock.now()]:
                    del model.due[due]
                    model.wanting.add(due)
        assert queue.depth == len(model.wanting - model.leased)
        assert queue.leased == len(model.leased)
        assert queue.delayed == len(model.due)
        assert all(queue.wants(each) for each in model.wanting)
