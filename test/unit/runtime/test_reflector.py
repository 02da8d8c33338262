from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kro.errors import ClusterError, InvariantError
from kro.refs import GVR
from kro.runtime import Event, Informed, Informers, InformerState, Scope
from kro.runtime.client import (
    BadRequestError,
    ExpiredError,
    ForbiddenError,
    MethodNotAllowedError,
    ProtocolError,
    ServerError,
    SilentStreamError,
    TooManyRequestsError,
    UnreachableError,
)
from kro.runtime.reflector_states import (
    Absent,
    Advanced,
    Ahead,
    Denied,
    Doubtful,
    Dropped,
    Expired,
    Forbidden,
    Listed,
    NotServed,
    Opened,
    Signal,
    State,
    Synced,
    Unsynced,
    step,
)
from support.apiserver import CONFIGMAPS, FakeApiServer, answer, no_fault
from support.clock import FakeClock, settle

ARROWS: list[tuple[str, State, Signal, State]] = [
    ("a load makes it whole", Unsynced(), Listed("5"), Synced("5")),
    ("an event moves the cursor", Synced("5"), Advanced("6"), Synced("6")),
    ("a closed stream is no lost cursor", Synced("5"), Dropped(), Synced("5")),
    ("a failed load is repeated", Unsynced("3"), Dropped(), Unsynced("3")),
    ("a lost history first loads not older", Synced("5"), Expired(), Unsynced("5")),
    ("then consistently", Unsynced("5"), Expired(), Unsynced()),
    ("a cursor from the future is dropped", Synced("5"), Ahead(), Unsynced()),
    ("a floor from the future too", Unsynced("5"), Ahead(), Unsynced()),
    ("repeated errors load again", Synced("5"), Doubtful(), Unsynced("5")),
    ("a removed resource is absent", Synced("5"), NotServed(), Absent()),
    ("it may come back", Absent(), Listed("9"), Synced("9")),
    ("it may stay away", Absent(), Dropped(), Absent()),
    ("no permission to resume", Synced("5"), Denied(), Forbidden(Synced("5"))),
    ("permission is back", Forbidden(Synced("5")), Opened(), Synced("5")),
    ("still none", Forbidden(Unsynced()), Denied(), Forbidden(Unsynced())),
    ("back, but history is lost", Forbidden(Synced("5")), Expired(), Forbidden(Unsynced("5"))),
    ("forbidden and then removed", Forbidden(Unsynced()), NotServed(), Absent()),
    ("absent and then forbidden", Absent(), Denied(), Forbidden(Unsynced())),
    ("loaded where it was forbidden", Forbidden(Unsynced()), Listed("5"), Synced("5")),
    ("an open stream changes nothing", Synced("5"), Opened(), Synced("5")),
]


@pytest.mark.parametrize(
    ("state", "signal", "after"), [pytest.param(*arrow[1:], id=arrow[0]) for arrow in ARROWS]
)
def test_arrows(state: State, signal: Signal, after: State) -> None:
    """P-007, P-009, P-010, P-021, P-022."""
    assert step(state, signal) == after


def test_an_event_before_the_load_is_a_bug_of_ours() -> None:
    with pytest.raises(InvariantError):
        step(Unsynced(), Advanced("5"))


class World:
    """A fake server, a clock, and one informer on it."""

    def __init__(self, *, streams_lists: bool = True) -> None:
        self.clock = FakeClock()
        self.server = FakeApiServer(streams_lists=streams_lists)
        self.served = True
        self.informers = Informers(
            client=self.server,
            clock=self.clock,
            served=self._served,
            linger_s=0.0,
            seed=random.Random(7),
        )

    async def _served(self, gvr: GVR) -> bool:
        return gvr not in self.server.unserved

    @asynccontextmanager
    async def watching(self, scope: Scope | None = None) -> AsyncIterator[Informed]:
        task = asyncio.create_task(self.informers.run())
        try:
            with self.informers.watch(CONFIGMAPS, scope) as things:
                await settle()
                yield things
        finally:
            task.cancel()
            await asyncio.wait([task])

    def holds(self, things: Informed, selector: str = "") -> bool:
        """Tell whether the store is what the server has."""
        if not things.synced:
            return False
        stored = {name: things.stored(name) for name in things.keys()}  # noqa: SIM118
        mine = {name: each.resource_version for name, each in stored.items() if each}
        return mine == self.server.names(selector=selector)


async def test_a_streamed_list_goes_on_as_the_watch() -> None:
    """P-001, P-003: one request loads and watches; synced by the bookmark and not before."""
    world = World()
    world.server.put("a")
    world.server.hold_new_streams = True

    async with world.watching() as things:
        before = things.synced
        world.server.streams[0].release()
        await settle()
        world.server.put("b")
        await settle()

        assert (before, things.state) == (False, InformerState.SYNCED)
        assert world.holds(things)
    assert world.server.calls == ["stream"]


async def test_a_server_without_streamed_lists_is_listed() -> None:
    """P-004: refused once, remembered for an hour, then tried again."""
    world = World()
    world.server.put("a")
    refused = answer(BadRequestError, 400)
    world.server.fault = lambda verb, _: refused if verb == "stream" else None

    async with world.watching() as things:
        await settle()
        first = list(world.server.calls)
        world.server.compact()
        world.server.streams[0].cut()
        await world.clock.advance(5)
        second = world.server.calls[len(first) :]

        assert things.state is InformerState.SYNCED
        await world.clock.advance(3600)
        world.server.compact()
        world.server.streams[0].cut()
        await world.clock.advance(5)
    assert first == ["stream", "list", "watch"]
    assert second == ["watch", "list", "watch"]
    assert world.server.calls[-4:] == ["watch", "stream", "list", "watch"]


async def test_a_streamed_list_without_an_end_is_given_up() -> None:
    """P-004, F-28: no partial store is ever synced."""
    world = World(streams_lists=False)
    world.server.put("a")

    async with world.watching() as things:
        early = things.synced
        assert world.server.streams[0].silence_s == 10.0
        world.server.streams[0].cut(SilentStreamError("nothing for 10 s"))
        await settle()

        assert early is False
        assert world.holds(things)
    assert world.server.calls == ["stream", "list", "watch"]


async def test_a_stream_that_is_cut_in_the_load_is_discarded() -> None:
    """F-28."""
    world = World()
    world.server.put("a")
    world.server.hold_new_streams = True

    async with world.watching() as things:
        world.server.streams[0].cut()
        await settle()
        half = things.synced
        world.server.hold_new_streams = False
        await world.clock.advance(3)

        assert half is False
        assert world.holds(things)


@pytest.mark.parametrize("how", ["closed", "cut", "garbage", "silent"])
async def test_a_stream_that_ends_costs_a_resume_and_no_list(how: str) -> None:
    """P-007, P-018: from the last applied version."""
    world = World()
    world.server.put("a")

    async with world.watching() as things:
        world.server.put("b")
        await world.clock.advance(2)
        match how:
            case "closed":
                world.server.streams[0].close()
            case "cut":
                world.server.streams[0].cut()
            case "garbage":
                world.server.streams[0].cut(ProtocolError("no event"))
            case _:
                world.server.streams[0].cut(SilentStreamError("silent"))
        world.server.put("c")
        world.server.delete("a")
        await world.clock.advance(3)

        assert world.holds(things)
    assert [call for call in world.server.calls if call != "probe"] == ["stream", "watch"]


@pytest.mark.parametrize("face", ["on opening", "in the stream"])
async def test_a_lost_history_costs_one_load(face: str) -> None:
    """P-009, P-045: what vanished meanwhile is told as deleted."""
    world = World()
    world.server.put("a")

    async with world.watching() as things:
        gone = []
        things.add_handler(lambda e: gone.append(e.name.name) if e.new is None else None)
        stream = world.server.streams[0]
        stream.held = True
        world.server.delete("a")
        world.server.compact()
        if face == "on opening":
            stream.cut()
        else:
            stream.cut(answer(ExpiredError, 410))
        await world.clock.advance(3)

        assert world.holds(things)
        assert gone == ["a"]
        assert things.status().relists == {"start": 1, "expired": 1}


async def test_expiry_between_pages_never_mixes_two_snapshots() -> None:
    """P-005, P-009, F-24."""
    world = World()
    for at in range(1200):
        world.server.put(f"old-{at}")
    refused = answer(BadRequestError, 400)
    changed = False

    def fault(verb: str, gvr: GVR) -> ClusterError | None:
        return refused if verb == "stream" else None

    world.server.fault = fault
    async with world.watching() as things:
        for _ in range(40):
            if not changed and world.server.calls.count("list") == 1:
                changed = True
                for at in range(0, 1200, 2):
                    world.server.delete(f"old-{at}")
                world.server.compact()
            await asyncio.sleep(0)
        await world.clock.advance(5)

        assert changed
        assert world.holds(things)
        assert len(things) == 600


async def test_expiries_in_a_row_back_off() -> None:
    """P-030, F-25: at most a list a minute and a few more, however long the storm lasts."""
    world = World()
    refused = answer(ExpiredError, 410)

    async with world.watching() as things:
        world.server.fault = lambda verb, _: refused if verb == "watch" else None
        for _ in range(300):
            for stream in list(world.server.streams):
                stream.cut()
            await world.clock.advance(1)
        loads = world.server.calls.count("stream")
        world.server.fault = no_fault
        await world.clock.advance(61)

        assert things.state is InformerState.SYNCED
    assert loads <= 300 / 60 + 8


async def test_a_restored_server_replaces_the_store() -> None:
    """P-011, F-26: found out by the silence of a watch from the future."""
    world = World()
    world.server.put("a")
    before = world.server.snapshot()

    async with world.watching() as things:
        for at in range(20):
            world.server.put(f"later-{at}")
        await settle()
        world.server.restore(*before)
        await world.clock.advance(10)
        stale = things.state is InformerState.SYNCED and not world.holds(things)
        world.server.streams[0].cut(SilentStreamError("silent"))
        await world.clock.advance(10)

        assert stale
        assert world.holds(things)
        assert things.status().relists == {"start": 1, "went back": 1}


async def test_silence_of_a_server_that_did_not_go_back_costs_no_load() -> None:
    """P-024."""
    world = World()
    world.server.put("a")

    async with world.watching() as things:
        world.server.streams[0].cut(SilentStreamError("silent"))
        await world.clock.advance(10)

        assert world.holds(things)
        assert things.status().relists == {"start": 1}


async def test_a_removed_resource_empties_the_store_and_may_come_back() -> None:
    """P-021, P-055: absent is told; on return there is one word to whoever must look again."""
    world = World()
    world.server.put("a")
    told: list[str] = []

    async with world.watching() as things:
        things.add_handler(
            lambda e: told.append("gone" if e.new is None else "there"),
            on_synced=lambda: told.append("synced"),
        )
        world.server.unserved.add(CONFIGMAPS)
        world.server.streams[0].cut()
        await world.clock.advance(3)
        absent = (things.state, len(things), things.synced)
        world.server.calls.clear()
        await world.clock.advance(600)
        attempts = len(world.server.calls)
        world.server.unserved.clear()
        world.informers.retry(CONFIGMAPS)
        await settle()

        assert absent == (InformerState.ABSENT, 0, True)
        assert 600 / 60 <= attempts <= 30
        assert world.holds(things)
    assert told == ["there", "gone", "there", "synced"]


async def test_a_404_that_discovery_does_not_confirm_empties_nothing() -> None:
    """P-021."""
    world = World()
    world.server.put("a")
    world.informers._served = None

    async with world.watching() as things:

        async def still_served(gvr: GVR) -> bool:
            return True

        reflector = things._shared.reflector
        assert reflector is not None
        reflector._served = still_served
        world.server.unserved.add(CONFIGMAPS)
        world.server.streams[0].cut()
        await world.clock.advance(10)

        assert (things.state, len(things)) == (InformerState.STALE, 1)


async def test_a_missing_permission_is_visible_and_heals_by_itself() -> None:
    """P-022, F-40: the store keeps what it had; recovery within the capped backoff."""
    world = World()
    world.server.put("a")
    denied = answer(ForbiddenError, 403, "configmaps is forbidden: cannot watch")

    async with world.watching() as things:
        world.server.fault = lambda *_: denied
        world.server.streams[0].cut()
        await world.clock.advance(300)
        while_denied = (things.state, things.problem, len(things))
        world.server.put("b")
        world.server.fault = no_fault
        await world.clock.advance(60)

        assert while_denied == (InformerState.FORBIDDEN, str(denied), 1)
        assert things.state is InformerState.SYNCED
        assert world.holds(things)
    assert world.server.calls.count("stream") == 1


async def test_throttled_watches_are_resumed_and_never_listed() -> None:
    """P-017, F-34."""
    world = World()

    async with world.watching() as things:
        busy = answer(TooManyRequestsError, 429)
        world.server.fault = lambda *_: busy
        world.server.streams[0].cut()
        await world.clock.advance(120)
        attempts = world.server.calls.count("watch")
        world.server.fault = no_fault
        await world.clock.advance(60)

        assert things.state is InformerState.SYNCED
    assert attempts <= 120 * 0.5
    assert world.server.calls.count("stream") == 1


async def test_three_server_errors_in_a_row_load_again() -> None:
    """P-017."""
    world = World()

    async with world.watching() as things:
        broken = answer(ServerError, 500)
        world.server.fault = lambda verb, _: broken if verb == "watch" else None
        world.server.streams[0].cut()
        await world.clock.advance(60)

        assert things.state is InformerState.SYNCED
    assert world.server.calls == ["stream", "watch", "watch", "watch", "stream"]


async def test_a_server_that_closes_every_watch_at_once_is_not_hammered() -> None:
    """P-020: at most 0.3 attempts a second in the long run."""
    world = World()

    async with world.watching():
        for _ in range(300):
            for stream in list(world.server.streams):
                stream.close()
            await world.clock.advance(0.5)

    assert world.server.calls.count("watch") <= 150 * 0.3 + 8
    assert world.server.calls.count("stream") == 1


async def test_an_unreachable_server_is_asked_ever_less_often() -> None:
    """P-019, F-09: at most 0.5 requests a second, and no list on return."""
    world = World()
    world.server.put("a")

    async with world.watching() as things:
        world.server.fault = lambda *_: UnreachableError("connection refused")
        world.server.streams[0].cut()
        await world.clock.advance(180)
        attempts = world.server.calls.count("watch")
        world.server.put("b")
        world.server.fault = no_fault
        await world.clock.advance(60)

        assert world.holds(things)
    assert attempts <= 180 * 0.5
    assert world.server.calls.count("stream") == 1


async def test_silence_is_learned_off_where_bookmarks_never_come() -> None:
    """P-014, P-024, F-17."""
    world = World(streams_lists=False)
    refused = answer(BadRequestError, 400)
    world.server.fault = lambda verb, _: refused if verb == "stream" else None

    async with world.watching():
        limits: list[float | None] = []
        for _ in range(4):
            await world.clock.advance(70)
            limits.append(world.server.streams[0].silence_s)
            world.server.streams[0].cut(SilentStreamError("silent"))
            await world.clock.advance(10)

    assert [limit is not None for limit in limits] == [True, True, False, False]
    assert all(67.5 <= limit <= 82.5 for limit in limits if limit is not None)


async def test_bookmarks_move_the_cursor_and_call_nobody() -> None:
    """P-013, F-18: a quiet resource resumes although the history before is gone."""
    world = World()

    async with world.watching() as things:
        calls: list[object] = []
        things.add_handler(calls.append)
        world.server.version += 500
        world.server.bookmark()
        world.server._oldest = world.server.version
        await world.clock.advance(2)
        world.server.streams[0].cut()
        await world.clock.advance(2)

        assert things.state is InformerState.SYNCED
        assert calls == []
    assert world.server.calls == ["stream", "watch"]


async def test_a_resource_that_cannot_be_watched_is_polled() -> None:
    """F-65."""
    world = World()
    unwatchable = answer(MethodNotAllowedError, 405)
    world.server.fault = lambda verb, _: None if verb == "list" else unwatchable

    async with world.watching() as things:
        await world.clock.advance(1)
        world.server.put("a")
        await world.clock.advance(40)

        assert world.holds(things)
    assert world.server.calls.count("list") <= 3


async def test_a_server_that_works_again_is_not_made_to_pay_for_the_past() -> None:
    """F-10, I-12: after twenty ends in a row each recovery still takes a second or two."""
    world = World()

    async with world.watching() as things:
        for at in range(20):
            world.server.streams[0].cut()
            world.server.put(f"a{at % 3}")
            await world.clock.advance(2.0)

            assert world.holds(things)


async def test_watches_are_bounded_at_random() -> None:
    """P-023: the server is asked to end each after 300 to 600 seconds."""
    world = World()

    async with world.watching():
        for _ in range(30):
            await world.clock.advance(2)
            world.server.streams[0].close()
        await world.clock.advance(2)

    assert all(300 <= each <= 600 for each in world.server.timeouts)
    assert len(set(world.server.timeouts)) > 10


@pytest.mark.parametrize(
    ("error", "state"),
    [
        pytest.param(answer(ForbiddenError, 403), InformerState.FORBIDDEN, id="F-41"),
        pytest.param(answer(ServerError, 500), InformerState.LOADING, id="F-42"),
        pytest.param(answer(ServerError, 503), InformerState.LOADING, id="F-43"),
    ],
)
async def test_a_resource_that_never_works_holds_up_no_other(
    error: ClusterError, state: InformerState
) -> None:
    """P-022, P-028, F-41 to F-43: visible, asked ever less often, whole once it works."""
    world = World()
    broken = GVR("example.com", "v1", "broken")
    world.server.fault = lambda _, gvr: error if gvr == broken else None
    world.server.put("a")
    world.server.put("b", gvr=broken)

    async with world.watching() as things:
        with world.informers.watch(broken) as others:
            await world.clock.advance(300)
            while_broken = (others.state, others.synced, len(world.server.calls))
            world.server.put("c")
            await settle()
            fine = world.holds(things)
            world.server.fault = no_fault
            await world.clock.advance(61)

            assert while_broken[:2] == (state, False)
            assert while_broken[2] <= 40
            assert fine
            assert len(others) == 1


async def test_no_more_than_four_resources_load_at_once() -> None:
    """P-026; and a load that takes long gives its place back (P-028, F-08)."""
    world = World()
    world.server.hold_new_streams = True
    kinds = [GVR("example.com", "v1", f"kinds-{at}") for at in range(10)]
    task = asyncio.create_task(world.informers.run())

    for kind in kinds:
        world.informers.watch(kind)
    await settle()
    at_once = len(world.server.streams)
    await world.clock.advance(5)
    later = len(world.server.streams)
    await world.clock.advance(5)

    assert (at_once, later, len(world.server.streams)) == (4, 8, 10)
    task.cancel()
    await asyncio.wait([task])


async def test_a_label_scope_holds_what_matches_and_hears_of_what_leaves() -> None:
    """P-057, F-30."""
    world = World()
    world.server.put("in", labels={"app": "x"})
    world.server.put("out")

    async with world.watching(Scope(selector="app=x")) as things:
        gone = []
        things.add_handler(lambda e: gone.append(e.name.name) if e.new is None else None)
        world.server.put("in")
        world.server.put("out", labels={"app": "x"})
        await settle()

        assert gone == ["in"]
        assert world.holds(things, "app=x")


@pytest.mark.parametrize("seed", range(16))
async def test_random_schedules_lose_no_change(seed: int) -> None:
    """P-008, P-015, P-043: 480 schedules of writes, cuts, holds, expiries and restores.

    At quiescence the store is what the server has, and the handler was told every final state.
    """
    chance = random.Random(seed)
    for _ in range(30):
        await _random_schedule(chance)


async def _random_schedule(chance: random.Random) -> None:
    world = World(streams_lists=chance.random() < 0.7)
    heard: dict[str, str] = {}
    snapshot = None

    def hear(event: Event) -> None:
        if event.new is None:
            del heard[event.name.name]
        else:
            heard[event.name.name] = event.new.resource_version

    async with world.watching() as things:
        things.add_handler(hear)
        for _ in range(chance.randint(5, 25)):
            _random_move(chance, world.server)
            if chance.random() < 0.1:
                snapshot = world.server.snapshot()
            if snapshot is not None and chance.random() < 0.03:
                # A restore shows itself by versions that go back: to who looks before they pass.
                world.server.restore(*snapshot)
                await world.clock.advance(5.0)
                for stream in list(world.server.streams):
                    stream.cut(SilentStreamError("silent"))
                await _quiesce(world, things)
            if chance.random() < 0.3:
                await world.clock.advance(chance.choice([0.0, 0.5, 5.0]))
        await _quiesce(world, things)

        assert world.holds(things)
        assert heard == {key.name: version for key, version in world.server.names().items()}


async def _quiesce(world: World, things: Informed) -> None:
    """Let everything arrive; lists that do not end and a restore are found out by silence."""
    for _ in range(30):
        for stream in list(world.server.streams):
            stream.release()
            if not world.holds(things):
                stream.cut(SilentStreamError("silent"))
        await world.clock.advance(10)
        if things.state is InformerState.SYNCED and world.holds(things):
            return


def _random_move(chance: random.Random, server: FakeApiServer) -> None:
    match chance.randrange(12):
        case 0 | 1 | 2 | 3 | 4:
            server.put(chance.choice("abcd"))
        case 5 | 6:
            names = sorted(server.names())
            if names:
                server.delete(chance.choice(names).name)
        case 7:
            for stream in list(server.streams):
                stream.cut() if chance.random() < 0.5 else stream.close()
        case 8:
            for stream in list(server.streams):
                stream.held = True
        case 9:
            for stream in list(server.streams):
                stream.release()
        case 10:
            server.bookmark()
        case _:
            server.compact()
