"""The oracle: what must hold when a fault is over, whatever it was.

It looks at the API server past the proxies, through a client of its own.

Source: spec "Controller runtime" 4.2.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

from kro.refs import GVR
from kro.runtime import Event, Informed
from kro.runtime.client import Client

RECOVERY_S = 60.0


class Told:
    """A handler that keeps what handlers were told: the state of the world by events alone."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.events = 0

    def __call__(self, event: Event) -> None:
        self.events += 1
        name = str(event.name)
        if event.new is None:
            del self.versions[name]
        else:
            self.versions[name] = event.new.resource_version


async def truth(direct: Client, gvr: GVR, selector: str) -> dict[str, str]:
    """Return names and versions of what the API server has."""
    page = await direct.list_all(gvr, label_selector=selector)
    found = {}
    for obj in page.items:
        metadata = obj["metadata"]
        assert isinstance(metadata, dict)
        found[f"{metadata['namespace']}/{metadata['name']}"] = str(metadata["resourceVersion"])
    return found


async def until(condition: Callable[[], bool], *, within_s: float = RECOVERY_S) -> None:
    """Return once the condition holds.

    Raises:
        TimeoutError: it did not in time.
    """
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - nobody tells: the condition spans several parties
            await asyncio.sleep(0.02)


async def check_store(direct: Client, things: Informed, told: Told, selector: str) -> None:
    """I-01, I-12: store and handlers are what the API server is, within the recovery time."""
    expected: dict[str, str] = {}
    stored: dict[str, str] = {}
    async with asyncio.timeout(RECOVERY_S):
        while True:
            expected = await truth(direct, things.gvr, selector)
            if things.synced:
                names = {name: things.stored(name) for name in things.keys()}  # noqa: SIM118
                stored = {str(n): each.resource_version for n, each in names.items() if each}
                if stored == expected and told.versions == expected:
                    return
            await asyncio.sleep(0.1)


async def check_tasks(before: int, others: Callable[[], int] = lambda: 0) -> None:
    """I-07: no more tasks than `before`, not counting those of `others`."""
    gc.collect()
    await until(lambda: len(asyncio.all_tasks()) - others() <= before, within_s=5)
