"""What the runtime costs: events, memory, routing, passes; beside kubernetes_asyncio's watch.

A server in a process of its own floods a watch with events of a realistic shape; client and
informer read it over plain HTTP on the loopback. Times are CPU seconds of the reading process, so
that other work on the machine disturbs them little; only the loop's lag is wall-clock time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from kro.refs import GVR, NamespacedName
from kro.runtime import (
    Controller,
    Informers,
    LabelSelector,
    LoopClock,
    LoopHealth,
    Outcome,
    Registry,
    Scope,
    Settled,
    Slots,
    Stored,
    WorkQueue,
    by_label,
    keep_managed_fields,
)
from kro.runtime.client import Client, Transport
from kro.runtime.client.config import ClusterConfig
from kro.runtime.routing import BySelector, RoutingTable
from kro.runtime.store import Store
from kro.runtime.stored import decoder, strip
from support.apiserver import FakeApiServer

CONFIGMAPS = GVR("", "v1", "configmaps")


def typical(at: int, version: int) -> dict[str, Any]:
    """Return a child as kro makes them: seven labels, two managers, a little content."""
    owned: dict[str, Any] = {
        "f:metadata": {"f:labels": {f"f:kro.run/label-{n}": {} for n in range(7)}}
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"my-application-{at:06d}-config",
            "namespace": f"team-{at % 20}",
            "uid": f"5c1de7a6-9d2f-4c7d-8e0a-{at:012d}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "app.kubernetes.io/managed-by": "kro",
                "kro.run/owned": "true",
                "kro.run/kro-version": "v0.9.0",
                "kro.run/node-id": "config",
                "kro.run/instance-name": f"my-application-{at // 10:05d}",
                "kro.run/instance-id": f"7b0e3f9c-1111-4222-8333-{at // 10:012d}",
                "applyset.kubernetes.io/part-of": f"applyset-{at // 10:040d}-v1",
            },
            "managedFields": [
                {
                    "manager": manager,
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "time": "2026-01-01T00:00:00Z",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": owned,
                }
                for manager in ("kro.run/applyset", "kubectl-client-side-apply")
            ],
        },
        "data": {"region": "eu-central-1", "level": "info", "replicas": "3", "host": f"h{at}"},
    }


def text(at: int, version: int) -> bytes:
    """Return the object's JSON."""
    return orjson.dumps(typical(at, version))


# the flood


async def _flood(events: int, objects: int, rate: int, port: Any) -> None:
    """Serve one watch after another: the bookmark of an empty load, then the flood."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if b"sendInitialEvents" not in request and b"watch=" not in request:
            body = (
                b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
            )
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            )
            writer.write(head.encode() + b"\r\n\r\n" + body)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        mark = {
            "type": "BOOKMARK",
            "object": {
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": {
                    "resourceVersion": "1",
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            },
        }
        if b"sendInitialEvents" in request:
            _chunk(writer, orjson.dumps(mark) + b"\n")
        bodies = [text(at, 2) for at in range(objects)]
        batch = 100
        for start in range(0, events, batch):
            lines = []
            for at in range(start, start + batch):
                kind = b"ADDED" if at < objects else b"MODIFIED"
                body = bodies[at % objects].replace(
                    b'"resourceVersion":"2"', b'"resourceVersion":"%d"' % (at + 2), 1
                )
                lines.append(b'{"type":"' + kind + b'","object":' + body + b"}\n")
            _chunk(writer, b"".join(lines))
            await writer.drain()
            if rate:
                await asyncio.sleep(batch / rate)
        await reader.read()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port.value = server.sockets[0].getsockname()[1]
    await server.serve_forever()


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n" % len(data) + data + b"\r\n")


class Flood:
    """The server's process."""

    def __init__(self, *, events: int, objects: int = 1000, rate: int = 0) -> None:
        self._port = multiprocessing.Value("i", 0)
        self._process = multiprocessing.Process(
            target=lambda: asyncio.run(_flood(events, objects, rate, self._port)), daemon=True
        )

    def __enter__(self) -> str:
        self._process.start()
        while not self._port.value:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._port.value}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


async def informed(url: str, events: int, scope: Scope, lags: list[float] | None = None) -> float:
    """Return the seconds from the first event to the last, wire to handler."""
    client = Client(Transport(ClusterConfig(server=url), user_agent="bench"))
    informers = Informers(client=client, clock=LoopClock())
    done = asyncio.Event()
    count, started = 0, 0.0

    def handle(event: object) -> None:
        nonlocal count, started
        count += 1
        if count == 1:
            started = time.process_time()
        if count == events:
            done.set()

    parts: list[Callable[[], Awaitable[None]]] = [informers.run]
    if lags is not None:
        parts.append(LoopHealth(observe=lags.append).run)
    tasks = [asyncio.ensure_future(part()) for part in parts]
    things = informers.watch(CONFIGMAPS, scope)
    things.add_handler(handle)
    await done.wait()
    took_s = time.process_time() - started
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await client.aclose()
    return took_s


async def borrowed(url: str, events: int, *, typed: bool) -> float:
    """Return the same for the watch of kubernetes_asyncio."""
    from kubernetes_asyncio import client, watch

    configuration = client.Configuration(host=url)
    count, started = 0, 0.0
    async with client.ApiClient(configuration) as api:
        core = client.CoreV1Api(api)
        stream = watch.Watch(return_type=None if typed else "object")
        async for _ in stream.stream(core.list_config_map_for_all_namespaces, resource_version="1"):
            count += 1
            if count == 1:
                started = time.process_time()
            if count == events:
                break
        await stream.close()
    return time.process_time() - started


def events_per_second(events: int) -> None:
    """Print events per second from wire to handler, ours and theirs."""
    with Flood(events=events) as url:
        plain = events / asyncio.run(informed(url, events, Scope()))
        scope = Scope(transform=keep_managed_fields("kro.run/applyset"))
        owned = events / asyncio.run(informed(url, events, scope))
    few = max(events // 10, 2000)
    rates = {}
    for typed in (True, False):
        with Flood(events=few) as url:
            rates[typed] = few / asyncio.run(borrowed(url, few, typed=typed))
    say("events per CPU second, wire to handler", f"{plain:,.0f}/s")
    say("  keeping one manager's fields", f"{owned:,.0f}/s")
    for typed, word in ((True, "typed"), (False, "untyped")):
        say(
            f"  kubernetes_asyncio, {word}",
            f"{rates[typed]:,.0f}/s",
            f"x {plain / rates[typed]:.1f}",
        )


def lag(seconds: int) -> None:
    """Print how late the loop is at 5 000 events a second."""
    events = 5000 * seconds
    lags: list[float] = []
    with Flood(events=events, rate=5000) as url:
        asyncio.run(informed(url, events, Scope(), lags))
    lags.sort()
    p99, most = lags[int(len(lags) * 0.99)], lags[-1]
    say(
        "loop lag at 5,000 events/s, p99 / max",
        f"{p99 * 1000:.1f} / {most * 1000:.1f} ms",
        "aim 50 / 250",
    )


# memory


def bytes_per_object(count: int) -> None:
    """Print what an object in a store costs, with its share of the tables and an index."""
    rows = [
        ("memory per cached object, whole", strip, "aim 1536"),
        ("  with one manager's fields", keep_managed_fields("kro.run/applyset"), ""),
    ]
    for name, transform, aim in rows:
        decode = decoder(transform)
        gc.collect()
        tracemalloc.start()
        store = Store()
        store.add_indexes({"set": by_label("applyset.kubernetes.io/part-of")})
        store.replace((decode(text(at, at + 2)) for at in range(count)), str(count + 2))
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        started = time.process_time()
        gc.collect()
        pause_s = time.process_time() - started
        say(name, f"{used / count:,.0f} B", aim)
        say("  full collection then", f"{pause_s * 1000:.1f} ms")
        del store


def idle_memory() -> None:
    """Print the resident memory of a process that has imported all of the controller."""
    code = (
        "import kro.process, kro.cli.controller\n"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        say("resident memory, all imported", "not measured: " + done.stderr.splitlines()[-1])
    else:
        say("resident memory, all imported", f"{int(done.stdout) / 1024:.0f} MiB", "aim 70")


# routing, queues, passes


def routing(selectors: int) -> None:
    """Print what it costs to find who hears of an event."""
    table: RoutingTable[int] = RoutingTable()
    for at in range(selectors):
        wanted = f"kro.run/instance-id=7b0e3f9c-1111-4222-8333-{at:012d},kro.run/node-id=config"
        table.add(BySelector("", LabelSelector.parse(wanted)), at)
    things = [Stored.of(text(at, 2)) for at in range(1000)]
    rounds = 20
    started = time.process_time()
    for _ in range(rounds):
        for thing in things:
            table.route(None, thing)
    each_us = (time.process_time() - started) / rounds / len(things) * 1e6
    say(f"routing one event past {selectors:,} selectors", f"{each_us:.1f} µs", "aim 20")


async def queueing(count: int) -> None:
    """Print adds and leases a second."""
    queue: WorkQueue[NamespacedName] = WorkQueue(clock=LoopClock())
    names = [NamespacedName("n", f"k{at}") for at in range(count)]
    started = time.process_time()
    for name in names:
        queue.add(name)
    while (lease := queue.take()) is not None:
        lease.end()
    say("queue, add and lease", f"{count / (time.process_time() - started):,.0f}/s")


async def passes(count: int) -> None:
    """Print passes a second of a reconcile function that does nothing."""
    left = count
    done = asyncio.Event()

    async def reconcile(name: NamespacedName) -> Outcome:
        nonlocal left
        left -= 1
        if not left:
            done.set()
        return Settled()

    clock = LoopClock()
    controller = Controller("bench", reconcile, clock=clock, slots=Slots(16, clock=clock))
    for at in range(count):
        controller.enqueue(NamespacedName("n", f"k{at}"))
    started = time.process_time()
    task = asyncio.ensure_future(controller.run())
    await done.wait()
    rate = count / (time.process_time() - started)
    task.cancel()
    await asyncio.wait([task])
    say("passes, queue and lease and dispatch, no-op", f"{rate:,.0f}/s", "aim 1000")


async def registrations(cycles: int) -> None:
    """Print what registering and de-registering leaves behind."""
    clock = LoopClock()
    server = FakeApiServer()
    server.put("a")
    informers = Informers(client=server, clock=clock, linger_s=0.0)
    registry = Registry(informers=informers, clock=clock, slots=Slots(16, clock=clock))

    async def reconcile(name: NamespacedName) -> Outcome:
        return Settled()

    tasks = [asyncio.ensure_future(each()) for each in (informers.run, registry.run)]

    async def cycle(count: int) -> None:
        for at in range(count):
            registry.start(CONFIGMAPS, reconcile)
            for _ in range(at % 12):
                await asyncio.sleep(0)
            await registry.stop(CONFIGMAPS)

    await cycle(cycles // 10)
    server.calls.clear()
    gc.collect()
    before = (len(asyncio.all_tasks()), _handles(), _rss_mib())
    await cycle(cycles)
    server.calls.clear()
    gc.collect()
    after = (len(asyncio.all_tasks()), _handles(), _rss_mib())
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    say(
        f"{cycles:,} registrations and de-registrations",
        f"tasks {before[0]} -> {after[0]}, handles {before[1]} -> {after[1]}, "
        f"memory {before[2]:.1f} -> {after[2]:.1f} MiB",
        "aim ±5 %",
    )


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _handles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def say(what: str, value: str, note: str = "") -> None:
    """Print one row."""
    print(f"{what:<50} {value:>22}  {note}".rstrip(), flush=True)


def main() -> None:
    """Run everything, or what `--only` names."""
    parser = argparse.ArgumentParser(prog="hack/bench runtime", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of all counts (default 1)")
    parser.add_argument("--only", default="", help="comma-separated: events,lag,memory,rss,…")
    options = parser.parse_args()

    def scaled(count: int) -> int:
        return max(int(count * options.scale), 1)

    parts: dict[str, Callable[[], None]] = {
        "memory": lambda: bytes_per_object(scaled(20_000)),
        "rss": idle_memory,
        "routing": lambda: routing(5000),
        "queue": lambda: asyncio.run(queueing(scaled(200_000))),
        "passes": lambda: asyncio.run(passes(scaled(20_000))),
        "registrations": lambda: asyncio.run(registrations(scaled(10_000))),
        "events": lambda: events_per_second(scaled(200_000) // 100 * 100),
        "lag": lambda: lag(max(scaled(10), 2)),
    }
    chosen = options.only.split(",") if options.only else list(parts)
    for name in chosen:
        if name not in parts:
            parser.error(f"--only: {name!r} is none of {', '.join(parts)}")
        parts[name]()


if __name__ == "__main__":
    main()
