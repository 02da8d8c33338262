"""Compiles the spec of a definition against the kinds that the cluster has now, and once.

The check of a definition and the compilation of the revision that it issues are the same build, so
the second finds the first one's result.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final

import orjson

from kro.controllers.kinds import Fetched, Kinds
from kro.errors import AuthorErrors
from kro.graph import Gates, Graph, Limits, build, required_kinds
from kro.refs import GVK, JsonValue

KEPT: Final = 2
"""Results kept for each definition: its latest revision's and its current spec's."""

MISSING_KIND_RETRY_S: Final = 60.0
"""How often a kind is looked for that no CRD will announce: one of an aggregated API."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one build gave: a graph, or the author's errors."""

    key: tuple[object, ...]
    graph: Graph | None
    errors: AuthorErrors | None
    missing: frozenset[GVK]
    """Kinds that the cluster does not have; without them the graph could not be built."""


class Compiler:
    """Builds graphs off the event loop and remembers the last results of each definition."""

    def __init__(self, *, kinds: Kinds, limits: Limits, gates: Gates) -> None:
        self._kinds = kinds
        self._limits = limits
        self._gates = gates
        self._results: dict[str, list[Compiled]] = {}
        self._one = asyncio.Semaphore(1)

    def forget(self, definition: str) -> None:
        """Drop what is remembered of a definition that is gone."""
        self._results.pop(definition, None)

    async def compile(self, definition: str, spec: JsonValue) -> Compiled:
        """Return the graph of the spec, or all its errors.

        Raises:
            ClusterError: the schemas could not be fetched.

        Concurrency: builds run in a thread, so that the loop goes on, and one at a time: they
        would share one interpreter lock, and each further thread would make the loop wait longer.
        """
        fetched = await self._kinds.fetch(required_kinds(spec))
        content = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)
        key = (hashlib.sha256(content).digest(), fetched.fingerprint)
        results = self._results.setdefault(definition, [])
        for known in results:
            if known.key == key:
                return known
        async with self._one:
            for known in results:
                if known.key == key:
                    return known
            compiled = await self._build(definition, spec, fetched, key)
        results[:] = [compiled, *results[: KEPT - 1]]
        return compiled

    async def _build(
        self, definition: str, spec: JsonValue, fetched: Fetched, key: tuple[object, ...]
    ) -> Compiled:
        graph: Graph | None = None
        errors: AuthorErrors | None = None
        try:
            graph = await asyncio.to_thread(
                build,
                definition,
                spec if isinstance(spec, dict) else {},
                fetched.schemas,
                limits=self._limits,
                gates=self._gates,
            )
        except AuthorErrors as problem:
            errors = problem
            for error in (problem, *problem.exceptions):
                error.__traceback__ = None  # it would keep the whole build in memory
        return Compiled(key, graph, errors, fetched.missing)
