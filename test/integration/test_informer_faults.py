"""Informers on a real API server, behind proxies that break what networks and servers break.

Each scenario ends with the invariants: the store and what handlers were told are what the API
server has, and nothing is left over. Clocks and sizes are shortened where a scenario says so.

Source: spec "Controller runtime" part 4.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import pytest_asyncio

from kro.refs import GVR, NamespacedName
from kro.runtime import Informed, Informers, InformerState, LoopClock, Scope
from kro.runtime import reflector as reflector_module
from kro.runtime.client import Client, Transport, load_config
from support.certificates import authority, needs_openssl
from support.controlplane import Cluster
from support.http_proxy import HttpProxy, Seen
from support.invariants import Told, check_store, check_tasks, until
from support.tcp_proxy import DOWN, Connection, TcpProxy

# Connections that are cut while TLS says goodbye are left to the collector when a test's loop ends.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CONFIGMAPS = GVR("", "v1", "configmaps")


class Stage:
    """Config maps of one test, written past the proxies and watched through them."""

    def __init__(self, cluster: Cluster) -> None:
        self.kubeconfig = cluster.kubeconfig
        self.config = load_config(str(cluster.kubeconfig))
        self.mark = f"f{uuid.uuid4().hex[:12]}"
        self.selector = f"mark={self.mark}"
        self.direct = Client(Transport(self.config, user_agent="oracle"))
        self.told = Told()
        self.things: Informed
        self.informers: Informers
        self.not_ours: Callable[[], int] = lambda: 0
        """How many tasks of the loop belong to the test itself."""

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.config.server)
        return str(parts.hostname), int(parts.port or 443)

    @property
    def certificates(self) -> Path | None:
        """The API server's own certificate and key, where the control plane is ours."""
        folder = self.kubeconfig.parent / "certificates"
        return folder if folder.is_dir() else None

    async def write(self, name: str, *, labelled: bool = True, size: int = 0) -> None:
        key = NamespacedName("default", f"{self.mark}-{name}")
        labels: dict[str, Any] = {"mark": self.mark} if labelled else {}
        await self.direct.apply(
            CONFIGMAPS,
            key,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": key.name, "namespace": "default", "labels": labels},
                "data": {"at": uuid.uuid4().hex, "text": "ü" * size},
            },
            field_manager="test",
        )

    async def remove(self, name: str) -> None:
        await self.direct.delete(CONFIGMAPS, NamespacedName("default", f"{self.mark}-{name}"))

    @asynccontextmanager
    async def watching(self, server: str) -> AsyncIterator[None]:
        """Watch through `server` for the length of the block; then nothing may be left."""
        before = len(asyncio.all_tasks()) - self.not_ours()
        config = dataclasses.replace(self.config, server=server)
        client = Client(Transport(config, user_agent="under-test"))
        self.informers = Informers(client=client, clock=LoopClock(), linger_s=0.0)
        run = asyncio.create_task(self.informers.run())
        try:
            with self.informers.watch(CONFIGMAPS, Scope(selector=self.selector)) as self.things:
                self.things.add_handler(self.told)
                yield
        finally:
            run.cancel()
            await asyncio.wait([run])
            await client.aclose()
        await check_tasks(before, self.not_ours)

    async def check(self) -> None:
        await check_store(self.direct, self.things, self.told, self.selector)

    async def synced(self) -> None:
        assert await self.things.wait_synced(30)

    def loads(self) -> int:
        return sum(self.things.status().relists.values())


@pytest_asyncio.fixture
async def stage(cluster: Cluster) -> AsyncIterator[Stage]:
    stage = Stage(cluster)
    for name in "ab":
        await stage.write(name)
    try:
        yield stage
    finally:
        page = await stage.direct.list_all(CONFIGMAPS, label_selector=stage.selector)
        for obj in page.items:
            metadata: Any = obj["metadata"]
            left = NamespacedName(metadata["namespace"], metadata["name"])
            await stage.direct.delete(CONFIGMAPS, left)
        await stage.direct.aclose()


@pytest_asyncio.fixture
async def tcp(stage: Stage) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(*stage.address) as proxy:
        stage.not_ours = proxy.tasks
        yield proxy


@pytest.fixture
def http(stage: Stage) -> Iterator[HttpProxy]:
    with HttpProxy(stage.config.server, certificates=stage.certificates) as proxy:
        yield proxy


@pytest.fixture
def hasty() -> Iterator[None]:
    """Silence is noticed after two seconds in place of 75, and the start's after one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reflector_module, "SILENCE_S", 2.0)
        patch.setattr(reflector_module, "SLOW_START_S", 1.0)
        yield


@asynccontextmanager
async def through(stage: Stage, proxy: TcpProxy) -> AsyncIterator[None]:
    async with stage.watching(f"https://127.0.0.1:{proxy.port}"):
        await stage.synced()
        yield


def watches(seen: Seen) -> bool:
    return seen.is_watch


# connections and streams


@pytest.mark.parametrize("how", ["F-01 closed", "F-02 reset"])
async def test_streams_that_end_under_writes_lose_nothing(
    stage: Stage, tcp: TcpProxy, how: str
) -> None:
    """F-01, F-02, shortened to eight ends in a few seconds: resumes, and not one list more."""
    async with through(stage, tcp):
        for at in range(40):
            await stage.write(f"w{at % 7}")
            if at % 3 == 0:
                await stage.remove(f"w{at % 7}")
            if at % 5 == 4:
                for connection in tcp.alive:
                    connection.finish() if "closed" in how else connection.reset()
            await asyncio.sleep(0.05)
        await stage.check()

        assert stage.loads() == 1


async def test_cuts_inside_of_an_event_deliver_no_fragment(stage: Stage, tcp: TcpProxy) -> None:
    """F-03: after byte counts that fall anywhere in lines, characters, chunks and TLS records."""
    chance = random.Random(1)
    async with through(stage, tcp):
        for at in range(12):
            for connection in tcp.alive:
                connection.cut_after(chance.randint(1, 3000))
            await stage.write(f"w{at % 3}", size=700)
            await stage.write(f"w{at % 3}", size=700)
        await stage.check()

        assert stage.loads() == 1


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("direction", [pytest.param((), id="both ways"), (DOWN,)])
async def test_a_black_hole_is_noticed_by_its_silence(
    stage: Stage, tcp: TcpProxy, direction: tuple[str, ...]
) -> None:
    """F-04, F-05, F-06, with a silence limit of two seconds: that stream alone is resumed."""
    async with through(stage, tcp):
        for connection in tcp.alive:
            connection.black_hole(*direction)
        await stage.write("c")
        await stage.check()
        await stage.remove("c")
        await stage.check()


@pytest.mark.usefixtures("hasty")
async def test_a_frozen_stream_is_resumed(stage: Stage, tcp: TcpProxy) -> None:
    """F-06."""
    async with through(stage, tcp):
        for connection in tcp.alive:
            connection.freeze()
        await stage.write("c")
        await stage.check()


async def test_a_slow_reader_converges(stage: Stage, tcp: TcpProxy) -> None:
    """F-07, shortened: 4 KB/s while 60 events of 2 KB are written, then full speed."""
    async with through(stage, tcp):
        for connection in tcp.alive:
            connection.throttle(4096)
        for at in range(60):
            await stage.write(f"w{at % 3}", size=1000)
        for connection in tcp.alive:
            connection.throttle(1_000_000)
        await stage.check()


async def test_a_server_that_refuses_is_asked_politely_and_taken_up_again(
    stage: Stage, tcp: TcpProxy
) -> None:
    """F-09, shortened to ten seconds: at most one attempt a second, no list afterwards."""
    async with through(stage, tcp):
        tcp.refuse()
        for connection in tcp.alive:
            connection.reset()
        await stage.write("c")
        await stage.remove("a")
        await until(lambda: stage.things.state is InformerState.STALE)
        await asyncio.sleep(10)
        opened = len(tcp.connections)
        await tcp.accept()
        await stage.check()

        assert stage.loads() == 1
        assert len(tcp.connections) - opened <= 3


async def test_new_connections_that_break_at_once_are_backed_off(
    stage: Stage, tcp: TcpProxy
) -> None:
    """F-02, F-14: a handshake that never ends well."""
    async with through(stage, tcp):
        tcp.opened = Connection.reset
        for connection in tcp.alive:
            connection.reset()
        before = len(tcp.connections)
        await asyncio.sleep(6)
        attempts = len(tcp.connections) - before
        tcp.opened = lambda connection: None
        await stage.write("c")
        await stage.check()

        assert attempts <= 12


@needs_openssl
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    stage: Stage, http: HttpProxy, tmp_path: Path
) -> None:
    """F-14, shortened to some attempts: visible, backed off, and no less strict afterwards."""
    strangers = authority(tmp_path, "strangers").issue("proxy", alternative="IP:127.0.0.1")
    async with stage.watching(http.url):
        await stage.synced()
        before = http.count(watches)
        http.present(*strangers)
        http.cut()
        await stage.write("c")
        await until(lambda: "certificate" in stage.things.problem)
        await asyncio.sleep(3)
        refused = http.count(watches) - before
        http.present()
        await stage.check()

        assert refused == 0
        assert stage.loads() == 1


# what comes over the stream


GARBAGE = {
    "no JSON": b"this is no event",
    "a web page": b"<html><body>log in</body></html>",
    "another shape": b'{"kind":"Status","status":"Failure"}',
    "an unknown type": b'{"type":"MOVED","object":{}}',
    "no object": b'{"type":"ADDED","object":[1]}',
    "half an object": b'{"type":"MODIFIED","object":{"kind":"ConfigMap"',
    "an empty line": b"",
    "not UTF-8": b'{"type":"ADDED","object":{"metadata":{"name":"\xff"}}}',
}


@pytest.mark.parametrize("line", list(GARBAGE.values()), ids=list(GARBAGE))
async def test_garbage_on_the_wire_is_never_an_event(
    stage: Stage, http: HttpProxy, line: bytes
) -> None:
    """F-15: the stream is closed and resumed from the last event."""
    sent = 0

    def spoil(true: bytes) -> list[bytes]:
        nonlocal sent
        if sent < 3 and b'"MODIFIED"' in true:
            sent += 1
            return [line, true]
        return [true]

    http.add(watches, lines=spoil)
    async with stage.watching(http.url):
        await stage.synced()
        for _ in range(4):
            await stage.write("a")
            await stage.write("b")
        await stage.check()

        assert sent == 3
        assert stage.loads() == 1


async def test_an_endless_line_is_cut_off(stage: Stage, http: HttpProxy) -> None:
    """F-15, P-033: 40 MiB without an end; nothing above the cap is held."""
    sent = 0

    def spoil(true: bytes) -> list[bytes]:
        nonlocal sent
        if sent == 0 and b'"MODIFIED"' in true:
            sent += 1
            return [b"x" * (40 * 1024 * 1024), true]
        return [true]

    http.add(watches, lines=spoil)
    async with stage.watching(http.url):
        await stage.synced()
        await stage.write("a")
        await stage.check()

        assert sent == 1


async def test_a_page_with_status_200_is_no_list(stage: Stage, http: HttpProxy) -> None:
    """F-15, P-035: a captive portal for the first three requests."""
    page = http.add(
        lambda seen: True,
        times=3,
        status=200,
        body=b"<html>log in</html>",
        headers={"Content-Type": "text/html"},
    )
    async with stage.watching(http.url):
        await stage.synced()
        await stage.check()

        assert page.hits == 3


async def test_repeated_and_reordered_lines_are_tolerated(stage: Stage, http: HttpProxy) -> None:
    """F-16: right again after the next truth."""
    before: list[bytes] = []

    def shuffle(true: bytes) -> list[bytes]:
        before.append(true)
        old = [each for each in before[-4:-1] if b'"BOOKMARK"' not in each]
        return [true, true, *old, true]

    http.add(lambda seen: seen.is_watch and "sendInitialEvents" not in seen.query, lines=shuffle)
    http.add(lambda seen: "sendInitialEvents" in seen.query, status=400)
    async with stage.watching(http.url):
        await stage.synced()
        for at in range(12):
            await stage.write(f"w{at % 3}")
            if at % 4 == 3:
                await stage.remove(f"w{at % 3}")
        http.rules.clear()
        stage.things._shared.task = None
        await stage.write("a")
        for name in ("w0", "w1", "w2"):
            await stage.write(name)
        await stage.check()


@pytest.mark.usefixtures("hasty")
async def test_without_bookmarks_everything_works_and_silence_is_learned_off(
    stage: Stage, http: HttpProxy
) -> None:
    """F-17, P-014: with a silence limit of two seconds."""
    http.add(watches, lines=lambda line: [] if b'"BOOKMARK"' in line else [line])
    async with stage.watching(http.url):
        await stage.synced()
        await asyncio.sleep(8)
        opened = http.count(watches)
        await asyncio.sleep(6)
        await stage.write("c")
        await stage.check()

        assert http.count(watches) <= opened + 1


async def test_events_that_a_proxy_holds_back_arrive_late_and_right(
    stage: Stage, http: HttpProxy
) -> None:
    """F-19: eight lines at a time, over a quiet kind."""
    held: list[bytes] = []
    flush = asyncio.Event()

    def buffer(line: bytes) -> list[bytes]:
        held.append(line)
        if len(held) < 8 and b"initial-events-end" not in line and not flush.is_set():
            return []
        out = list(held)
        held.clear()
        return out

    http.add(watches, lines=buffer)
    async with stage.watching(http.url):
        await stage.synced()
        opened = http.count(watches)
        for at in range(16):
            await stage.write(f"w{at % 4}")
        flush.set()
        await stage.write("w0")
        await stage.check()

        assert http.count(watches) == opened


# history and consistency


EXPIRED = orjson.dumps(
    {
        "type": "ERROR",
        "object": {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": "Expired",
            "code": 410,
            "message": "too old resource version",
        },
    }
)


async def test_a_lost_history_is_loaded_anew_with_tombstones(stage: Stage, http: HttpProxy) -> None:
    """F-22: changes while the stream was away, then 410 in it."""
    cut = asyncio.Event()

    def expire(line: bytes) -> list[bytes]:
        return [EXPIRED] if cut.is_set() else [line]

    rule = http.add(watches, lines=expire, times=1)
    async with stage.watching(http.url):
        await stage.synced()
        cut.set()
        await stage.remove("a")
        await stage.write("c")
        await stage.check()

        assert rule.hits == 1
        assert stage.things.status().relists == {"start": 1, "expired": 1}


async def test_a_storm_of_expiries_is_backed_off(stage: Stage, http: HttpProxy) -> None:
    """F-25, shortened to 15 s: every resume is answered with 410."""
    http.add(lambda seen: "sendInitialEvents" in seen.query, status=400)
    storm = http.add(
        lambda seen: seen.is_watch,
        status=410,
        body=orjson.dumps(orjson.loads(EXPIRED)["object"]),
        headers={"Content-Type": "application/json"},
    )
    async with stage.watching(http.url):
        await stage.synced()
        await asyncio.sleep(15)
        lists = http.count(lambda seen: seen.is_list)
        http.rules.remove(storm)
        await stage.write("c")
        await stage.check()

        assert 4 <= lists <= 6


@pytest.mark.usefixtures("hasty")
async def test_a_watch_from_the_future_is_found_out(stage: Stage, http: HttpProxy) -> None:
    """F-27: the API server accepts it and says nothing; so its silence is looked into."""
    future = http.add(
        lambda seen: seen.is_watch and "sendInitialEvents" not in seen.query,
        query=lambda query: query | {"resourceVersion": "99999999999"},
        times=1,
    )

    def end_once(line: bytes) -> list[bytes]:
        return [b"garbage"] if b'"MODIFIED"' in line else [line]

    http.add(lambda seen: "sendInitialEvents" in seen.query, lines=end_once, times=1)
    async with stage.watching(http.url):
        await stage.synced()
        await stage.write("a")
        await stage.check()

        assert future.hits == 1


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("how", ["refused", "ignored", "end bookmark dropped", "cut in the middle"])
async def test_streamed_lists_that_do_not_work_are_replaced(
    stage: Stage, http: HttpProxy, how: str
) -> None:
    """F-28: never synced with a partial store."""

    def initial(seen: Seen) -> bool:
        return "sendInitialEvents" in seen.query

    partial = False
    match how:
        case "refused":
            http.add(initial, status=422)
        case "ignored":
            drop = ("sendInitialEvents", "resourceVersionMatch")
            http.add(initial, query=lambda q: {k: v for k, v in q.items() if k not in drop})
        case "end bookmark dropped":
            http.add(initial, lines=lambda line: [] if b"initial-events-end" in line else [line])
        case _:
            http.add(initial, lines=lambda line: [line, b"garbage"], times=3)
    async with stage.watching(http.url):

        def look(*_: object) -> None:
            nonlocal partial
            partial = partial or (stage.things.synced and len(stage.things) < 2)

        stage.things.add_handler(look)
        await stage.synced()
        await stage.write("c")
        await stage.check()

        assert not partial


async def test_objects_that_come_back_under_their_name_are_new_ones(
    stage: Stage, tcp: TcpProxy
) -> None:
    """F-29: delete and re-create during a cut."""
    async with through(stage, tcp):
        uids: list[str] = []
        stage.things.add_handler(lambda e: uids.append(e.new.uid if e.new else "gone"))
        uids.clear()
        tcp.refuse()
        for connection in tcp.alive:
            connection.reset()
        await stage.remove("a")
        await stage.write("a")
        await tcp.accept()
        await stage.check()

        assert "gone" in uids


async def test_an_object_that_leaves_the_selection_is_gone_here(stage: Stage) -> None:
    """F-30."""
    async with stage.watching(stage.config.server):
        await stage.synced()
        await stage.write("a", labelled=False)
        await until(lambda: len(stage.things) == 1)
        await stage.write("a")
        await stage.check()


# server errors and throttling


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        pytest.param(429, {"Retry-After": "1"}, b"", id="F-32 429 with Retry-After"),
        pytest.param(429, {"Content-Type": "text/plain"}, b"busy", id="F-33 429 as text"),
        pytest.param(500, {}, b"oops", id="F-36 500"),
        pytest.param(503, {"Retry-After": "1"}, b"", id="F-36 503"),
    ],
)
async def test_watches_that_are_turned_away_come_back_and_do_not_list(
    stage: Stage, http: HttpProxy, status: int, headers: dict[str, str], body: bytes
) -> None:
    """F-32 to F-36, shortened to two refusals; F-34: not a single list."""
    turned_away = http.add(
        lambda seen: seen.is_watch and "sendInitialEvents" not in seen.query,
        status=status,
        headers=headers,
        body=body,
        times=2,
    )
    kill = True

    def end_once(line: bytes) -> list[bytes]:
        nonlocal kill
        if kill and b'"MODIFIED"' in line:
            kill = False
            return [b"garbage"]
        return [line]

    http.add(lambda seen: "sendInitialEvents" in seen.query, lines=end_once)
    async with stage.watching(http.url):
        await stage.synced()
        await stage.write("a")
        await until(lambda: turned_away.hits == 2)
        await stage.remove("b")
        await stage.check()

        assert stage.loads() == 1


async def test_a_permission_that_is_withdrawn_is_seen_and_comes_back(
    stage: Stage, http: HttpProxy
) -> None:
    """F-40, shortened to five seconds."""
    rule = http.add(lambda seen: False)
    kill = True

    def end_once(line: bytes) -> list[bytes]:
        return [b"garbage"] if kill and b'"MODIFIED"' in line else [line]

    http.add(watches, lines=end_once, times=1)
    async with stage.watching(http.url):
        await stage.synced()
        rule.match, rule.status = watches, 403
        rule.body = b'{"kind":"Status","apiVersion":"v1","code":403,"message":"cannot watch"}'
        rule.headers = {"Content-Type": "application/json"}
        await stage.write("a")
        await until(lambda: stage.things.state is InformerState.FORBIDDEN)
        problem, held = stage.things.problem, len(stage.things)
        kill = False
        await asyncio.sleep(5)
        http.rules.clear()
        await stage.remove("b")
        await stage.check()

        assert "cannot watch" in problem
        assert held == 2
        assert stage.loads() == 1


async def test_slow_headers_hold_up_nobody_else(stage: Stage, http: HttpProxy) -> None:
    """F-08, shortened to eight seconds: other kinds load meanwhile."""
    http.add(lambda seen: "widgets" in seen.path, delay_s=8.0, status=404)
    async with stage.watching(http.url):
        slow = [stage.informers.watch(GVR("example.com", f"v{at}", "widgets")) for at in range(6)]
        async with AsyncExitStack() as stack:
            for each in slow:
                stack.enter_context(each)
            await stage.synced()
            await stage.write("c")
            await stage.check()
