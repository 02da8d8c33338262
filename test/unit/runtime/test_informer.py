from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime import (
    Event,
    Informers,
    InformerState,
    NotSyncedError,
    NullInformerMetrics,
    Scope,
    Stored,
    by_label,
)
from kro.runtime.client import ForbiddenError
from support.apiserver import CONFIGMAPS, WIDGETS, answer, no_fault
from support.clock import settle
from support.informers import World

A = NamespacedName("default", "a")


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.type.value, event.name.name) for event in events]


async def test_a_thousand_acquisitions_are_one_load_and_one_stream() -> None:
    """P-051, P-052."""
    world = World()
    async with world.running():
        holds = [world.informers.watch(CONFIGMAPS, owner=f"o{at}") for at in range(1000)]
        await settle()
        synced = all(hold.synced for hold in holds)
        for hold in holds:
            hold.release()
            hold.release()

        assert synced
        assert world.server.calls == ["stream"]
        assert world.informers.states()[0].owners == ()


async def test_acquisition_does_not_wait_and_reading_before_the_load_is_an_error() -> None:
    """P-041, P-054."""
    world = World()
    world.server.hold_new_streams = True
    async with world.running():
        with world.informers.watch(CONFIGMAPS) as things:
            await settle()

            assert (things.synced, things.state) == (False, InformerState.LOADING)
            with pytest.raises(NotSyncedError):
                things.get(A)


async def test_a_wait_that_is_over_concerns_only_the_one_who_waited() -> None:
    """P-054, D-05: the informer goes on and is synced for the other."""
    world = World()
    world.server.hold_new_streams = True
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        short = asyncio.create_task(things.wait_synced(1.0))
        long = asyncio.create_task(things.wait_synced(30.0))
        await world.clock.advance(2.0)
        world.server.streams[0].release()
        await settle()

        assert (await short, await long) == (False, True)
        assert world.server.calls == ["stream"]


async def test_informer_lingers_and_is_taken_up_again_without_a_load() -> None:
    """P-053: alternating between none and one owner costs nothing."""
    world = World()
    async with world.running():
        for _ in range(20):
            with world.informers.watch(CONFIGMAPS):
                await world.clock.advance(1.0)
            await world.clock.advance(1.0)

    assert world.server.calls == ["stream"]


async def test_informer_without_owners_ends_completely() -> None:
    """P-053, P-056: after thirty seconds no task, stream or timer is left."""
    world = World()
    calls: list[Event] = []
    async with world.running():
        tasks = len(asyncio.all_tasks())
        hold = world.informers.watch(CONFIGMAPS)
        hold.add_handler(calls.append)
        await settle()
        hold.release()
        await world.clock.advance(31.0)
        world.server.put("late")
        await settle()

        assert (len(world.informers), world.server.streams, calls) == (0, [], [])
        assert len(asyncio.all_tasks()) == tasks
        assert world.clock.pending == 0
        assert hold.state is InformerState.STOPPED
        assert await hold.wait_synced(1.0) is False


async def test_after_its_end_the_next_owner_gets_a_new_informer() -> None:
    world = World(linger_s=0.0)
    async with world.running():
        for _ in range(2):
            with world.informers.watch(CONFIGMAPS) as things:
                await settle()
                assert things.synced

    assert world.server.calls == ["stream", "stream"]


async def test_scopes_of_one_resource_are_informers_of_their_own() -> None:
    world = World()
    world.server.put("a", labels={"app": "x"})
    world.server.put("b")
    async with world.running():
        everything = world.informers.watch(CONFIGMAPS)
        labelled = world.informers.watch(CONFIGMAPS, Scope(selector="app=x"))
        single = world.informers.watch(CONFIGMAPS, Scope.one(NamespacedName("default", "b")))
        await settle()

        assert [len(each) for each in (everything, labelled, single)] == [2, 1, 1]


async def test_late_handler_gets_what_is_there_and_then_what_happens() -> None:
    """P-042."""
    world = World()
    world.server.put("a")
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        await settle()
        events: list[Event] = []
        things.add_handler(events.append)
        replayed = list(events)
        world.server.put("b")
        world.server.put("a")
        world.server.delete("b")
        await settle()

        assert [event.initial for event in replayed] == [True]
        assert told(events) == [
            ("ADDED", "a"),
            ("ADDED", "b"),
            ("MODIFIED", "a"),
            ("DELETED", "b"),
        ]


async def test_removed_handler_hears_nothing_more() -> None:
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        await settle()
        events: list[Event] = []
        with things.add_handler(events.append):
            world.server.put("a")
            await settle()
        world.server.put("b")
        await settle()

        assert told(events) == [("ADDED", "a")]


async def test_a_handler_that_raises_costs_nobody_else_anything() -> None:
    """P-044."""
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        await settle()
        events: list[Event] = []

        def broken(event: Event) -> None:
            raise RuntimeError("a bug of the handler's")

        things.add_handler(broken)
        things.add_handler(events.append)
        world.server.put("a")
        world.server.put("a")
        await settle()

        assert told(events) == [("ADDED", "a"), ("MODIFIED", "a")]
        assert things.state is InformerState.SYNCED


async def test_own_write_is_told_with_its_writer_and_only_once() -> None:
    """P-058: the stream's own event of it is silent."""
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        await settle()
        events: list[Event] = []
        things.add_handler(events.append)
        world.server.streams[0].held = True
        mine = world.server.put("a")
        took = things.observe(mine, writer="me")
        read = things.get(A)
        world.server.streams[0].release()
        await settle()

        assert (took, read) == (True, mine)
        assert [(event.type.value, event.writer) for event in events] == [("ADDED", "me")]


async def test_own_write_outside_of_the_scope_is_not_taken() -> None:
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS, Scope(selector="app=x"))
        await settle()
        world.server.streams[0].held = True

        assert things.observe(world.server.put("a")) is False


async def test_an_own_write_that_cannot_be_written_again_is_left_to_the_stream() -> None:
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        await settle()
        deep: JsonObject = {}
        for _ in range(400):
            deep = {"a": deep}

        assert things.observe({"metadata": {"name": "a"}, "spec": deep}) is False


async def test_what_was_deleted_by_us_is_gone_at_once() -> None:
    world = World()
    world.server.put("a")
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        await settle()
        stored = things.stored(A)
        assert stored is not None
        things.forget(A, stored.uid)

        assert things.get(A) is None


async def test_a_pass_can_wait_until_its_write_was_seen() -> None:
    """P-058: bounded; its expiry is no error."""
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        await settle()
        world.server.streams[0].held = True
        version = str(world.server.put("a")["metadata"]["resourceVersion"])  # type: ignore[call-overload,index]
        missed = asyncio.create_task(things.wait_seen(A, version))
        await world.clock.advance(2.0)
        seen = asyncio.create_task(things.wait_seen(A, version))
        await settle()
        world.server.streams[0].release()
        await settle()

        assert (await missed, await seen) == (False, True)


async def test_a_write_that_collided_can_wait_for_the_version_it_collided_with() -> None:
    """Bounded; it ends with the next version, with the object's end, or with the time."""
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        old = str(world.server.put("a")["metadata"]["resourceVersion"])  # type: ignore[call-overload,index]
        await settle()
        missed = asyncio.create_task(things.wait_changed(A, old, 1.0))
        await world.clock.advance(2.0)
        changed = asyncio.create_task(things.wait_changed(A, old, 1.0))
        await settle()
        world.server.put("a")
        await settle()

        assert (await missed, await changed) == (False, True)


async def test_gap_is_told_once_when_it_ends() -> None:
    """P-055: after the load, and after the resource was forbidden; not after a mere resume."""
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        gaps: list[str] = []
        things.add_handler(lambda _: None, on_synced=lambda: gaps.append("over"))
        await settle()
        first = len(gaps)
        world.server.streams[0].cut()
        await world.clock.advance(5.0)
        resumed = len(gaps)
        denied = answer(ForbiddenError, 403)
        world.server.fault = lambda *_: denied
        world.server.streams[0].cut()
        await world.clock.advance(5.0)
        world.server.fault = no_fault
        world.informers.retry()
        await settle()

        assert (first, resumed, len(gaps)) == (1, 1, 2)


async def test_resources_do_not_disturb_each_other() -> None:
    """P-028."""
    world = World()
    world.server.unserved.add(WIDGETS)
    async with world.running():
        broken = world.informers.watch(WIDGETS)
        things = world.informers.watch(CONFIGMAPS)
        await settle()
        world.server.put("a")
        await settle()

        assert (broken.state, things.state) == (InformerState.ABSENT, InformerState.SYNCED)
        assert len(things) == 1


async def test_indexes_may_come_later() -> None:
    world = World()
    world.server.put("a", labels={"app": "x"})
    async with world.running():
        world.informers.watch(CONFIGMAPS)
        await settle()
        later = world.informers.watch(CONFIGMAPS, indexes={"app": by_label("app")})

        assert len(later.by_index("app", "x")) == 1


async def test_staleness_is_visible() -> None:
    """P-029."""
    world = World()
    async with world.running():
        things = world.informers.watch(CONFIGMAPS, owner="me")
        await settle()
        world.server.put("a")
        await world.clock.advance(7.0)
        status = things.status()

        assert (status.state, status.objects, status.owners) == (InformerState.SYNCED, 1, ("me",))
        assert (status.byte_age_s, status.event_age_s, status.load_age_s) == (7.0, 7.0, 7.0)
        assert status.relists == {"start": 1}


async def test_holds_may_be_taken_before_the_informers_run() -> None:
    world = World()
    world.server.put("a")
    things = world.informers.watch(CONFIGMAPS)

    async with world.running():
        assert len(things) == 1


async def test_cancelling_at_any_step_leaves_nothing_behind() -> None:
    """F-73, P-056: for every number of steps that the loop may have made."""
    for steps in range(1, 40):
        world = World()
        for name in "abc":
            world.server.put(name)
        before = asyncio.all_tasks()
        task = asyncio.create_task(world.informers.run())
        world.informers.watch(CONFIGMAPS)
        for at in range(steps):
            if at == 15:
                world.server.streams[0].cut()
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert world.server.streams == []
        assert asyncio.all_tasks() == before
        assert len(world.informers) == 0


async def test_stored_text_is_what_the_transform_leaves() -> None:
    def blank(data: bytes) -> bytes:
        return Stored.of(data).data.replace(b'"Thing"', b'"Other"')

    world = World()
    world.server.put("a")
    async with world.running():
        things = world.informers.watch(CONFIGMAPS, Scope(transform=blank))
        await settle()
        read: JsonObject | None = things.get(A)

        assert read is not None
        assert read["kind"] == "Other"


class _Waits(NullInformerMetrics):
    def __init__(self) -> None:
        self.told: list[tuple[float, bool]] = []

    def waited(self, gvr: GVR, duration_s: float, *, synced: bool) -> None:
        self.told.append((duration_s, synced))


async def test_each_load_is_measured_once_and_each_wait_that_is_in_vain() -> None:
    """However many waited for it, or whether anybody did; a resume is no load."""
    world = World()
    waits = _Waits()
    world.informers = Informers(client=world.server, clock=world.clock, metrics=waits)
    world.server.hold_new_streams = True
    async with world.running():
        things = world.informers.watch(CONFIGMAPS)
        tries = [asyncio.create_task(things.wait_synced(limit_s)) for limit_s in (1.0, 9.0, 9.0)]
        await world.clock.advance(2.0)
        world.server.hold_new_streams = False
        for stream in world.server.streams:
            stream.release()
        await settle()
        world.server.streams[0].cut()
        await world.clock.advance(5.0)

        assert [await each for each in tries] == [False, True, True]
        assert waits.told == [(1.0, False), (2.0, True)]


async def test_a_change_of_state_is_told_with_what_it_was() -> None:
    """Whoever composes the process hears of every informer, with its scope."""
    world = World()
    moves: list[tuple[GVR, Scope, InformerState, InformerState]] = []
    world.informers = Informers(
        client=world.server, clock=world.clock, moved=lambda *move: moves.append(move)
    )
    scope = Scope(selector="a")
    async with world.running():
        world.informers.watch(CONFIGMAPS, scope)
        await settle()
        world.server.fault = lambda *_: answer(ForbiddenError, 403)
        world.server.streams[0].cut()
        await world.clock.advance(30.0)

        states = [(before, after) for gvr, of, before, after in moves if of == scope]
        assert states[0] == (InformerState.LOADING, InformerState.STALE)
        assert states[-1][1] is InformerState.FORBIDDEN
        assert all(one[1] is two[0] for one, two in pairwise(states))
