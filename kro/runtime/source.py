"""Where reflectors read: the part of a client that they need.

Tests put a fake API server in its place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kro.refs import GVR
from kro.runtime.client.requests import Page
from kro.runtime.client.watch import Bookmark, Change
from kro.runtime.client.wire import Decoder
from kro.runtime.stored import Stored


class Stream(Protocol):
    """An open watch; see `kro.runtime.client.watch.WatchStream`."""

    silence_s: float | None
    bookmarks: int
    events: int

    def __aiter__(self) -> AsyncIterator[list[Change[Stored] | Bookmark]]:
        """Return what arrives, in lists."""
        ...


class Source(Protocol):
    """Where a reflector reads; `kro.runtime.client.Client` is one."""

    def pages(
        self,
        gvr: GVR,
        *,
        limit: int,
        namespace: str,
        label_selector: str,
        field_selector: str,
        resource_version: str,
        resource_version_match: str,
        retry: bool,
        decode: Decoder[Stored],
    ) -> AsyncIterator[Page[Stored]]:
        """Yield the pages of a list."""
        ...

    def watch(
        self,
        gvr: GVR,
        *,
        namespace: str,
        label_selector: str,
        field_selector: str,
        resource_version: str,
        timeout_s: int,
        send_initial_events: bool,
        silence_s: float | None,
        decode: Decoder[Stored],
    ) -> AbstractAsyncContextManager[Stream]:
        """Open a watch."""
        ...
