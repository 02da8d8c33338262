"""A whole controller while what it is told, allowed and given is wrong.

One process goes through most of it: in the end it must not have been restarted, and its log must
hold neither its token nor a warning of Python's. Clocks and sizes are shortened where a scenario
says so.

Source: spec "Controller runtime" part 4.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from kro.refs import GVR, NamespacedName
from kro.runtime.client import Client, TooManyRequestsError, Transport, load_config
from support.http_proxy import HttpProxy, Seen
from support.kube import CONFIGMAPS, CRDS, DEFINITIONS, Json, Kube, is_ready
from support.manifests import chain, endpoint, instance, unique
from support.operator import Operator, OperatorError, Surroundings
from support.wire import Wire, swap, wired, writes

KIND = "Wired"
NAMESPACE = "wired"
THINGS = endpoint(KIND)
BINDINGS = GVR("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
LEASES = GVR("coordination.k8s.io", "v1", "leases")
LEVELS = GVR("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations")
SCHEMAS = GVR("flowcontrol.apiserver.k8s.io", "v1", "flowschemas")
FLAGS = (
    *("--leader-elect", "--leader-election-namespace=default"),
    # The safety net of a pass that could not apply something, in place of 3 s.
    "--instance-requeue-interval=300ms",
)


@pytest.fixture(scope="module")
def wire(private_cluster: Surroundings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One process for all of the module, which has to survive it."""
    with wired(private_cluster, tmp_path_factory.mktemp("wire"), flags=FLAGS) as made:
        made.operator.start()
        asyncio.run(_prepare(private_cluster, made.operator))
        pid = made.operator.pid
        yield made
        assert made.operator.pid == pid


async def _prepare(surroundings: Surroundings, operator: Operator) -> None:
    async with Kube(surroundings.kubeconfig) as kube:
        await operator.ready()
        await kube.namespace(NAMESPACE)
        await kube.apply(chain(KIND, 2))
        await kube.until(DEFINITIONS, KIND.lower(), is_ready)


@pytest_asyncio.fixture
async def kube(private_cluster: Surroundings) -> AsyncIterator[Kube]:
    async with Kube(private_cluster.kubeconfig) as user:
        yield user


@pytest_asyncio.fixture
async def settled(wire: Wire, kube: Kube) -> AsyncIterator[str]:
    """The name of an instance that is Ready, with a process that is well, before and after."""
    name = unique("i")
    await wire.operator.ready()
    await kube.apply(instance(KIND, name, NAMESPACE, {"v": "first"}), gvr=THINGS)
    await says(kube, name, "first")
    yield name
    wire.proxy.rules.clear()
    await wire.operator.ready()
    await kube.delete(THINGS, name, NAMESPACE)
    await kube.until_gone(THINGS, name, NAMESPACE)


async def says(kube: Kube, name: str, value: str) -> Json:
    """Wait until the instance is Ready and its last child has the value; return the instance."""
    await kube.until(CONFIGMAPS, f"{name}-1", lambda c: c["data"]["v"] == value, NAMESPACE)
    return await kube.until(THINGS, name, is_ready, NAMESPACE)


async def edit(kube: Kube, name: str, value: str) -> None:
    await kube.merge(THINGS, name, {"spec": {"v": value}}, NAMESPACE)


@contextlib.asynccontextmanager
async def visible(wire: Wire, kube: Kube, name: str) -> AsyncIterator[None]:
    """Check that what happens in the block is seen: in a metric, or in a condition (I-10)."""
    before = wire.trouble()
    reasons: set[str] = set()

    async def look() -> None:
        async for found in kube.versions(THINGS, name, NAMESPACE):
            reasons.update(
                str(each.get("message"))
                for each in (found or {}).get("status", {}).get("conditions", [])
                if each["status"] == "False"
            )

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    assert wire.trouble() > before or reasons
    assert not any(token in reason for token in wire.tokens for reason in reasons)


# what comes in place of an answer


def of_children(seen: Seen) -> bool:
    return writes(seen) and "/configmaps/" in seen.path


JSON = {"Content-Type": "application/json"}
BAD_ANSWERS: dict[str, dict[str, Any]] = {
    "a web page": {"body": b"<html>log in</html>", "headers": {"Content-Type": "text/html"}},
    "no JSON": {"body": b'{"kind": "ConfigMap", ', "headers": JSON},
    "nothing": {"body": b"", "headers": JSON},
    "half an answer": {"body": b'{"kind": "ConfigMap"}', "headers": JSON, "cut_after": 9},
    "broken compression": {"body": b"??", "headers": JSON | {"Content-Encoding": "gzip"}},
}


@pytest.mark.parametrize("after", [False, True], ids=["in place of it", "after it"])
@pytest.mark.parametrize("bad", list(BAD_ANSWERS.values()), ids=list(BAD_ANSWERS))
async def test_what_is_no_answer_is_a_failure_that_heals(
    wire: Wire, kube: Kube, settled: str, bad: dict[str, Any], after: bool
) -> None:
    """F-15, F-37, P-034, P-035: with status 200, whether or not the write took effect before."""
    async with visible(wire, kube, settled):
        rule = wire.proxy.add(of_children, status=200, times=2, after=after, **bad)
        await edit(kube, settled, "second")
        await says(kube, settled, "second")

    assert rule.hits == 2


async def test_bytes_that_are_no_http_are_a_failure_that_heals(
    wire: Wire, kube: Kube, settled: str
) -> None:
    """F-15."""
    async with visible(wire, kube, settled):
        rule = wire.proxy.add(of_children, raw=b"SSH-2.0-OpenSSH_9.6\r\n\x00\xff\n", times=4)
        await edit(kube, settled, "second")
        await says(kube, settled, "second")

    assert rule.hits == 4


async def test_a_redirect_to_another_host_is_not_followed(
    wire: Wire, kube: Kube, settled: str
) -> None:
    """F-15, P-040: neither the write nor the token goes there."""
    certificates = wire.surroundings.kubeconfig.parent / "certificates"
    with HttpProxy("https://127.0.0.1:9", certificates=certificates) as trap:
        away = {"Location": f"{trap.url}/api/v1"}
        async with visible(wire, kube, settled):
            rule = wire.proxy.add(of_children, status=307, headers=away, times=2)
            await edit(kube, settled, "second")
            await says(kube, settled, "second")

    assert rule.hits == 2
    assert trap.seen == []


async def test_an_answer_that_trickles_in_is_taken(wire: Wire, kube: Kube, settled: str) -> None:
    """F-08: slow bodies hold up nothing but their own request."""
    rule = wire.proxy.add(of_children, bytes_per_s=1500, times=2)
    await edit(kube, settled, "second")
    await says(kube, settled, "second")

    assert rule.hits == 2


async def test_a_page_in_place_of_a_stream_is_none(wire: Wire, kube: Kube, settled: str) -> None:
    """F-15: the stream is opened again by and by; a child that is gone is missed then."""
    before = wire.trouble()
    rule = wire.proxy.add(
        lambda seen: seen.is_watch and "/configmaps" in seen.path,
        status=200,
        body=b"<html>log in</html>",
        headers={"Content-Type": "text/html"},
        times=1,
    )
    wire.proxy.cut()
    await kube.delete(CONFIGMAPS, f"{settled}-1", NAMESPACE)
    await says(kube, settled, "first")

    assert rule.hits == 1
    assert wire.trouble() > before


async def test_a_line_without_end_costs_one_stream(wire: Wire, kube: Kube, settled: str) -> None:
    """F-15, P-033: 40 MiB; the process does not keep them."""
    before = wire.samples("kro_runtime_watch_streams_ended_total", cause="too_large")
    sent = 0

    def spoil(line: bytes) -> list[bytes]:
        nonlocal sent
        if sent == 0 and settled.encode() in line:
            sent += 1
            return [b"x" * (40 * 1024 * 1024), line]
        return [line]

    wire.proxy.add(lambda seen: seen.is_watch and "/wireds" in seen.path, lines=spoil)
    opened = wire.proxy.count(lambda seen: seen.is_watch and "/wireds" in seen.path)
    wire.proxy.cut()
    await wire.until(
        lambda: wire.proxy.count(lambda s: s.is_watch and "/wireds" in s.path) > opened
    )
    await edit(kube, settled, "second")
    await says(kube, settled, "second")

    assert sent == 1
    assert wire.samples("kro_runtime_watch_streams_ended_total", cause="too_large") == before + 1
    assert resident_mib(wire.operator.pid) < 250


# identity and rights


REFUSED = orjson.dumps(
    {"kind": "Status", "apiVersion": "v1", "code": 401, "message": "Unauthorized"}
)


async def test_a_token_that_expires_is_read_again(wire: Wire, kube: Kube, settled: str) -> None:
    """F-46, F-48, shortened to three seconds without a successor: few requests, no stream cut."""
    old = f"Bearer {wire.tokens[-1]}"
    expired = wire.proxy.add(
        lambda seen: seen.authorization == old and "/leases" not in seen.path,
        status=401,
        body=REFUSED,
        headers=JSON,
    )
    watches = wire.proxy.count(lambda seen: seen.is_watch)
    await edit(kube, settled, "second")
    await wire.until(lambda: wire.samples("rest_client_requests_total", code="401") > 0)
    await asyncio.sleep(3)
    refused = expired.hits
    swap(wire.token_file, wire.successor())
    await says(kube, settled, "second")

    assert 1 <= refused <= 20
    assert wire.proxy.count(lambda seen: seen.is_watch) == watches


async def test_rights_that_are_withdrawn_are_seen_and_come_back(
    wire: Wire, kube: Kube, settled: str
) -> None:
    """F-40, F-41, shortened to some seconds, with the API server's own authorization."""
    admins = await kube.get(BINDINGS, "control-plane-users")
    assert admins is not None
    # The lease stays allowed: its loss would end the process, as it should.
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "leases"}
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]}
    meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "leases"}}
    await kube.apply({**meta, "kind": "ClusterRole", "rules": [rule]})
    leases = {"kind": "ClusterRoleBinding", "roleRef": role, "subjects": admins["subjects"]}
    await kube.apply({**meta, **leases})
    await kube.delete(BINDINGS, "control-plane-users")
    try:
        async with asyncio.timeout(30):
            while wire.samples("kro_runtime_informers", state="forbidden") < 1:
                wire.proxy.cut()  # only at its opening does a stream need a right
                await asyncio.sleep(0.5)
        await edit(kube, settled, "second")
        ready = await wire_is_ready(wire)
    finally:
        fields = {key: admins[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
        await kube.apply({**fields, "metadata": {"name": "control-plane-users"}})
    await says(kube, settled, "second")
    await wire.until(lambda: wire.samples("kro_runtime_informers", state="forbidden") == 0)

    assert ready


async def wire_is_ready(wire: Wire) -> bool:
    """Whether the process calls itself ready: what it may not do is no reason to end it."""
    with contextlib.suppress(OperatorError):
        await wire.operator.ready(2.0)
        return True
    return False


# throttling


async def test_writes_that_are_throttled_wait_as_told(wire: Wire, kube: Kube, settled: str) -> None:
    """F-32, shortened: every third write, `Retry-After: 1`; nobody is earlier, all get through."""
    number = itertools.count()
    rule = wire.proxy.add(
        lambda seen: writes(seen) and next(number) % 3 == 0,
        status=429,
        headers={"Retry-After": "1"},
        body=b"slow down",
    )
    names = [unique("t") for _ in range(4)]
    for name in names:
        await kube.apply(instance(KIND, name, NAMESPACE, {"v": "x"}), gvr=THINGS)
    for name in names:
        await says(kube, name, "x")
    wire.proxy.rules.clear()
    waits = [again(wire, refused) for refused in rule.applied]
    await gone(kube, names)

    assert len(waits) > 0
    assert min(waits) >= 1.0


def again(wire: Wire, refused: Seen) -> float:
    """Return how long after its refusal a request was made again."""
    return min(
        (
            seen.at_s - refused.at_s
            for seen in wire.proxy.seen
            if (seen.method, seen.path) == (refused.method, refused.path)
            and seen.at_s > refused.at_s
        ),
        default=float("inf"),
    )


async def test_one_seat_at_the_api_server_is_enough_to_get_on(
    wire: Wire, kube: Kube, settled: str
) -> None:
    """F-35: real priority and fairness, which rejects what does not fit; the lease is kept.

    One nominal share, of three seats, for all passes at once and, until some writes were turned
    away, for somebody who lists in a loop.
    """
    user = wire.surroundings.controller_user
    account = {"kind": "User", "user": {"name": user}}
    everything = {key: ["*"] for key in ("verbs", "apiGroups", "resources", "namespaces")}
    rules = [{"subjects": [account], "resourceRules": [{**everything, "clusterScope": True}]}]
    await kube.apply(
        {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "PriorityLevelConfiguration",
            "metadata": {"name": "starved"},
            "spec": {
                "type": "Limited",
                "limited": {
                    "nominalConcurrencyShares": 1,
                    "lendablePercent": 0,
                    "borrowingLimitPercent": 0,
                    "limitResponse": {"type": "Reject"},
                },
            },
        },
        gvr=LEVELS,
    )
    await kube.apply(
        {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "FlowSchema",
            "metadata": {"name": "starved"},
            "spec": {
                "priorityLevelConfiguration": {"name": "starved"},
                "matchingPrecedence": 50,
                "rules": rules,
            },
        },
        gvr=SCHEMAS,
    )
    before = wire.samples("rest_client_requests_total")
    rejected = wire.samples("rest_client_requests_total", code="429")
    names = [unique("s") for _ in range(8)]
    try:
        await kube.until(SCHEMAS, "starved", lambda schema: schema.get("status"))
        async with crowding(wire.surroundings.controller_kubeconfig):
            for name in names:
                await kube.apply(instance(KIND, name, NAMESPACE, {"v": "x"}), gvr=THINGS)
            await wire.until(
                lambda: wire.samples("rest_client_requests_total", code="429") > rejected + 2
            )
        for name in names:
            await says(kube, name, "x")
    finally:
        await kube.delete(SCHEMAS, "starved")
        await kube.delete(LEVELS, "starved")
    attempts = wire.samples("rest_client_requests_total") - before
    turned_away = wire.samples("rest_client_requests_total", code="429") - rejected
    await gone(kube, names)

    assert turned_away > 0
    assert attempts <= 3 * (attempts - turned_away)


@contextlib.asynccontextmanager
async def crowding(kubeconfig: Path) -> AsyncIterator[None]:
    """List as the controller's user, eight at a time, for the length of the block."""
    client = Client(Transport(load_config(str(kubeconfig)), user_agent="crowd"))

    async def push() -> None:
        while True:
            with contextlib.suppress(TooManyRequestsError):
                await client.list(CRDS, retry=False)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(push()) for _ in range(8)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.aclose()


async def gone(kube: Kube, names: list[str]) -> None:
    for name in names:
        await kube.delete(THINGS, name, NAMESPACE)
    for name in names:
        await kube.until_gone(THINGS, name, NAMESPACE)


# the machine


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def test_other_peoples_objects_cost_no_memory(wire: Wire, kube: Kube, settled: str) -> None:
    """F-69, shortened to 150 objects of 200 KB of a kind that has children of ours."""
    before = resident_mib(wire.operator.pid)
    text = "x" * 200_000

    async def write(at: int) -> None:
        name = f"theirs-{at}"
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "data": {"text": text},
        }
        await kube.client.create(CONFIGMAPS, manifest, namespace=NAMESPACE)

    for start in range(0, 150, 10):
        await asyncio.gather(*(write(at) for at in range(start, start + 10)))
    wire.proxy.cut()
    await edit(kube, settled, "second")
    await says(kube, settled, "second")
    after = resident_mib(wire.operator.pid)
    for at in range(150):
        await kube.client.delete(CONFIGMAPS, NamespacedName(NAMESPACE, f"theirs-{at}"))

    assert after - before < 15


async def test_a_process_that_hardly_runs_gets_there(wire: Wire, kube: Kube, settled: str) -> None:
    """F-70, shortened to six seconds: it runs a tenth of the time, and keeps its lease."""
    lease = NamespacedName("default", "controller.kro.run")
    holder = (await kube.client.get(LEASES, lease))["spec"]
    await edit(kube, settled, "second")
    requests = wire.samples("rest_client_requests_total")
    for _ in range(12):
        wire.operator.signal(signal.SIGSTOP)
        await asyncio.sleep(0.45)
        wire.operator.signal(signal.SIGCONT)
        await asyncio.sleep(0.05)
    await says(kube, settled, "second")
    after = (await kube.client.get(LEASES, lease))["spec"]
    assert isinstance(holder, dict)
    assert isinstance(after, dict)

    assert after["holderIdentity"] == holder["holderIdentity"]
    assert wire.samples("rest_client_requests_total") - requests < 60


async def test_scrapers_that_hang_hold_up_nobody(wire: Wire, kube: Kube, settled: str) -> None:
    """F-72: a hundred that never ask, and the same at the probes."""
    with contextlib.ExitStack() as stack:
        for port in (wire.operator.metrics_port, wire.operator.health_port):
            for _ in range(100):
                each = stack.enter_context(socket.socket())
                each.connect(("127.0.0.1", port))
                each.send(b"GET /metrics HT")
        await edit(kube, settled, "second")
        await says(kube, settled, "second")
        open_files = len(list(_descriptors(wire.operator.pid)))
    await wire.until(lambda: wire.samples("rest_client_requests_total") > 0)

    assert open_files < 150


async def test_two_processes_without_election_come_to_one_result(
    wire: Wire, kube: Kube, settled: str, tmp_path: Path
) -> None:
    """F-58: both act, and then nothing moves any more."""
    second = Operator(wire.surroundings.controller_kubeconfig, tmp_path / "second.log")
    with second:
        await second.ready()
        names = [unique("d") for _ in range(5)]
        for name in names:
            await kube.apply(instance(KIND, name, NAMESPACE, {"v": "x"}), gvr=THINGS)
        for name in names:
            await says(kube, name, "x")
        await edit(kube, settled, "second")
        await says(kube, settled, "second")
        before = await versions(kube)
        async with asyncio.timeout(30):
            while True:  # both may have had a write under way
                await asyncio.sleep(1.5)
                if before == (before := await versions(kube)):
                    break
        await gone(kube, names)
        assert second.stop() == 0


async def versions(kube: Kube) -> dict[str, str]:
    found = {}
    for gvr in (THINGS, CONFIGMAPS):
        for each in (await kube.client.list(gvr, namespace=NAMESPACE)).items:
            metadata: Any = each["metadata"]
            found[f"{gvr.resource}/{metadata['name']}"] = metadata["resourceVersion"]
    return found


def _descriptors(pid: int) -> Iterator[Path]:
    return Path(f"/proc/{pid}/fd").iterdir()


# processes of their own, on the same cluster


async def test_a_log_that_nobody_reads_holds_up_nobody(
    wire: Wire, kube: Kube, settled: str, tmp_path: Path
) -> None:
    """F-71, P-146, with a pipe of one page: the process works on, and ends well."""
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        mute = Operator(
            wire.surroundings.controller_kubeconfig,
            tmp_path / "mute.log",
            flags=["--zap-log-level=5"],
            stderr=writer,
        )
        with mute:
            await mute.ready()
            os.set_blocking(writer, False)
            with contextlib.suppress(BlockingIOError):
                while True:  # whatever it has written, now it can write no more
                    os.write(writer, b"x")
            os.set_blocking(writer, True)
            wire.operator.signal(signal.SIGSTOP)  # so that the work is the other one's
            try:
                await edit(kube, settled, "second")
                await says(kube, settled, "second")
            finally:
                wire.operator.signal(signal.SIGCONT)
            assert mute.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)


def test_too_few_open_files_are_said_at_the_start(wire: Wire, tmp_path: Path) -> None:
    """F-21: rather than a process that cannot open the connection it needs most."""
    log = tmp_path / "few.log"
    few = Operator(wire.surroundings.controller_kubeconfig, log, open_files=128)
    few.start()

    assert few.wait_exit() == 1
    assert "open files" in few.last_lines()
