"""Many instances of one definition: created in a burst, changed all at once, deleted all at once.

One watch follows them all, as a dashboard would.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from kro.runtime.client import Change, ChangeType
from support.kube import Json
from support.lab import Lab, is_settled, state

CHILDREN: Final = 5
AT_ONCE: Final = 16
"""How many requests the user has under way."""
SOLO: Final = """
schema: {kind: Solo, spec: {}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}}
"""


def definition(text: str) -> str:
    """Return a definition of five objects, chained in part, that all hold `text`."""
    names = "abcde"
    reads = {"b": "${a.data.v}", "c": "${b.data.v}"}
    resources = "".join(
        f"""
- id: {name}
  template:
    apiVersion: v1
    kind: {"Secret" if name == "e" else "ConfigMap"}
    metadata: {{name: "${{schema.metadata.name}}-{name}"}}
    {"stringData" if name == "e" else "data"}: {{v: "{reads.get(name, text)}"}}"""
        for name in names
    )
    return f"""
schema: {{kind: Member, spec: {{}}, status: {{v: "${{c.data.v}}"}}}}
resources:{resources}
"""


class Crowd:
    """So many instances of the kind Member."""

    def __init__(self, lab: Lab, count: int) -> None:
        self._lab = lab
        self.names = [f"m{at}" for at in range(count)]
        self.errors: list[str] = []
        """What instances in state ERROR said."""

    async def create(self, *, halfway: Callable[[], Awaitable[None]] | None = None) -> float:
        """Create all; return how long it took until the last one was Ready.

        Args:
            halfway: run while the second half is being created.
        """
        started = time.monotonic()
        half = len(self.names) // 2
        async with asyncio.TaskGroup() as group:
            group.create_task(self._until_all_show("one"))
            await self._each(self.names[:half], self._create)
            if halfway is not None:
                group.create_task(_run(halfway))
            await self._each(self.names[half:], self._create)
        return time.monotonic() - started

    async def edit(self, text: str) -> float:
        """Change the definition; return how long it took until the last instance followed."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._until_all_show(text))
            group.create_task(self._lab.define(definition(text)))
        return time.monotonic() - started

    async def delete(self) -> float:
        """Delete all; return how long it took until the last one was gone."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(lambda live: not live))
            await self._each(self.names, lambda name: self._lab.delete("Member", name))
        return time.monotonic() - started

    async def solo(self) -> float:
        """Create an instance of another kind; return how long it took until it was Ready."""
        started = time.monotonic()
        await self._lab.create("Solo", "solo")
        await self._lab.settled("Solo", "solo")
        return time.monotonic() - started

    async def _create(self, name: str) -> None:
        await self._lab.create("Member", name)

    async def _each(self, names: Iterable[str], work: Callable[[str], Awaitable[object]]) -> None:
        waiting = iter(names)

        async def worker() -> None:
            for name in waiting:
                await work(name)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())

    async def _until_all_show(self, text: str) -> None:
        wanted = set(self.names)

        def shown(live: dict[str, Json]) -> bool:
            return wanted <= live.keys() and all(
                is_settled(obj) and obj["status"].get("v") == text for obj in live.values()
            )

        await self._follow(shown)

    async def _follow(self, holds: Callable[[dict[str, Json]], bool]) -> None:
        """Return once it holds of all instances; take note of every error on the way."""
        lab, gvr = self._lab, self._lab.gvr("Member")
        live: dict[str, Json] = {}
        unsettled: set[str] = set()
        page = await lab.kube.client.list_all(gvr, namespace=lab.namespace)
        for each in page.items:
            obj: Json = dict(each)
            live[obj["metadata"]["name"]] = obj
        async with lab.kube.client.watch(
            gvr, namespace=lab.namespace, resource_version=page.resource_version, timeout_s=3600
        ) as stream:
            if holds(live):
                return
            async for events in stream:
                for event in events:
                    if not isinstance(event, Change):
                        continue
                    obj = dict(event.object)
                    name = obj["metadata"]["name"]
                    if event.type is ChangeType.DELETED:
                        live.pop(name, None)
                        continue
                    live[name] = obj
                    if state(obj) == "ERROR":
                        self.errors.append(f"{name}: {obj['status']}")
                    (unsettled.discard if is_settled(obj) else unsettled.add)(name)
                if not unsettled.intersection(live) and holds(live):
                    return


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()
