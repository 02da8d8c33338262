"""Ending a controller at an exact write: between it and the API server stands a proxy that counts.

The writes up to the last one that is allowed are carried out, whether or not their answers are
still read; the next one never reaches the API server. That is what a process that is killed at that
moment leaves behind.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from support.http_proxy import HttpProxy, Seen


@contextmanager
def behind_proxy(kubeconfig: Path, target: Path) -> Iterator[HttpProxy]:
    """Run a proxy before a cluster; `target` becomes the kubeconfig that leads through it."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    certificates = kubeconfig.parent / "certificates"
    found = certificates if certificates.is_dir() else None
    with HttpProxy(cluster["server"], certificates=found) as proxy:
        cluster["server"] = proxy.url
        target.write_text(yaml.safe_dump(config))
        yield proxy


class Cut:
    """Counts the writes about one instance, and ends the controller before one too many."""

    def __init__(
        self, *, about: Callable[[str], bool], after: int, end: Callable[[], None]
    ) -> None:
        self._about, self._after, self._end = about, after, end
        self._passed = 0
        self._armed = False
        self._done = threading.Event()

    def arm(self) -> None:
        """Count from now on."""
        self._armed = True

    @property
    def made(self) -> int:
        """How many writes were let through."""
        return self._passed

    def matches(self, seen: Seen) -> bool:
        """Return whether a request must not pass any more; called by the proxy's thread."""
        if not self._armed or seen.method == "GET" or not self._about(seen.path):
            return False
        if self._passed < self._after:
            self._passed += 1
            return False
        if not self._done.is_set():
            self._end()
            self._done.set()
        return True

    async def done(self) -> None:
        """Return once the controller was ended."""
        while not self._done.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.002)


@contextmanager
def cut(
    proxy: HttpProxy, *, about: Callable[[str], bool], after: int, end: Callable[[], None]
) -> Iterator[Cut]:
    """Let so many writes to paths that `about` knows pass, and call `end` at the next one.

    Nothing that comes later passes before the block is left: a controller that takes a moment to
    end belongs into it.

    Args:
        end: called in the proxy's thread.
    """
    found = Cut(about=about, after=after, end=end)
    rule = proxy.add(found.matches, status=503)
    try:
        yield found
    finally:
        proxy.rules.remove(rule)
