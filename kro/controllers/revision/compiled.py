"""The compiled revisions of the process: which graph each definition's instances run on.

Source: spec "graph and RGD controller" §6.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from kro.graph import Graph


class State(StrEnum):
    """How far a revision has come."""

    PENDING = "pending"
    ACTIVE = "active"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision as this process knows it; Active ones have a graph."""

    revision: int
    hash: str
    state: State
    graph: Graph | None = None


class CompiledRevisions:
    """Definition name → revision number → entry. Lost on restart, rebuilt from the revisions.

    Concurrency: one event loop; every call is atomic.
    """

    def __init__(
        self,
        *,
        moved: Callable[[State | None, State | None], None] = lambda before, after: None,
    ) -> None:
        self._entries: dict[str, dict[int, Entry]] = {}
        self._moved = moved

    def put(self, definition: str, entry: Entry) -> None:
        """Remember the entry, in place of an older one of that number."""
        entries = self._entries.setdefault(definition, {})
        before = entries.get(entry.revision)
        entries[entry.revision] = entry
        self._moved(before.state if before else None, entry.state)

    def get(self, definition: str, revision: int) -> Entry | None:
        """Return what is known of that revision."""
        return self._entries.get(definition, {}).get(revision)

    def forget(self, definition: str, revision: int) -> None:
        """Forget one revision; that it is not known is fine."""
        entries = self._entries.get(definition, {})
        gone = entries.pop(revision, None)
        if gone is not None:
            self._moved(gone.state, None)
        if not entries:
            self._entries.pop(definition, None)

    def forget_all(self, definition: str) -> None:
        """Forget every revision of a definition."""
        for entry in self._entries.pop(definition, {}).values():
            self._moved(entry.state, None)
