"""The pass over one GraphRevision: compile what it froze, say so, and let go of it at its end.

Source: spec "graph and RGD controller" §6.6, §6.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from kro import names
from kro.controllers.compiler import MISSING_KIND_RETRY_S, Compiled, Compiler
from kro.controllers.conditions import Condition, ConditionSet
from kro.controllers.reporting import message_of, order_of
from kro.controllers.revision.compiled import CompiledRevisions, Entry, State
from kro.controllers.revision.objects import (
    REVISIONS,
    SNAPSHOT_INDEX,
    Family,
    definition_of,
    is_terminating,
    name_of,
    number_of,
    spec_of,
    uid_of,
)
from kro.errors import ClusterError, KroError
from kro.graph import Graph, spec_hash
from kro.refs import JsonObject, JsonValue, NamespacedName
from kro.runtime import (
    CheckAgain,
    Clock,
    Informed,
    Outcome,
    Settled,
    Stored,
    ensure_finalizer,
    has_finalizer,
    release_finalizer,
    rfc3339,
)
from kro.runtime.client import Client, NotFoundError

VERIFIED: Final = "GraphVerified"


class RevisionMetrics(Protocol):
    """What a revision pass counts."""

    def compiled(self, duration_s: float, *, failed: bool) -> None:
        """A revision was compiled, or found to be wrong."""

    def status_failed(self, *, compiled: bool) -> None:
        """The status could not be written; `compiled`: although the revision is right."""

    def evicted(self) -> None:
        """A revision's finalizer was taken off."""


class RevisionController:
    """Keeps the compiled revisions of the process in step with the GraphRevisions of the cluster.

    Args:
        published: told the definition whose revision is Active or Failed now.

    Concurrency: one event loop; no two passes over one revision at once (the queue's promise).
    """

    def __init__(
        self,
        *,
        client: Client,
        clock: Clock,
        revisions: Informed,
        compiler: Compiler,
        compiled: CompiledRevisions,
        metrics: RevisionMetrics,
        published: Callable[[str], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._revisions = revisions
        self._compiler = compiler
        self._compiled = compiled
        self._metrics = metrics
        self._published = published
        self._entered: dict[NamespacedName, tuple[str, int]] = {}
        """Which entry a revision has put in: one that vanishes without us takes it along."""

    def heirs(self, changed: Stored) -> Iterable[NamespacedName]:
        """Return the revision that is the latest of its definition now that this one changed."""
        latest = self._family(definition_of(changed.object())).latest
        if latest is not None:
            yield NamespacedName("", name_of(latest))

    async def reconcile(self, name: NamespacedName) -> Outcome:
        """Compile the revision and publish its graph; safe to repeat.

        A revision that is Active stays so when a kind that it uses has changed to its disadvantage:
        its instances run on; one that failed is compiled again whenever such a kind changes.

        Raises:
            ClusterError: the API server refused or could not be reached; tried again.
        """
        revision = self._revisions.get(name)
        if revision is None:
            self._forget(name)
            return Settled()
        if is_terminating(revision):
            return await self._release(revision)
        revision = await ensure_finalizer(self._client, REVISIONS, revision, names.FINALIZER)
        self._revisions.observe(revision, writer=name)
        definition, number = definition_of(revision), number_of(revision)
        latest = self._family(definition).latest
        if latest is not None and number_of(latest) > number and _is_judged(revision):
            return Settled()  # nobody asks for its graph unless the later ones go, which wakes it
        spec = spec_of(revision)
        try:
            fingerprint = spec_hash(spec if isinstance(spec, dict) else {})
        except KroError as error:
            await self._write(revision, None, f"compute graph revision spec hash: {error}")
            return Settled()
        known = self._compiled.get(definition, number)
        self._entered[name] = (definition, number)
        if known is None:
            self._compiled.put(definition, Entry(number, fingerprint, State.PENDING))
        started = self._clock.now()
        result = await self._compiler.compile(definition, spec)
        if known is not None and known.state is State.ACTIVE and result.graph is None:
            return Settled()
        if known is None or known.graph is not result.graph or result.graph is None:
            self._metrics.compiled(self._clock.now() - started, failed=result.graph is None)
        return await self._publish(revision, result, fingerprint)

    async def _publish(self, revision: JsonObject, result: Compiled, fingerprint: str) -> Outcome:
        definition, number = definition_of(revision), number_of(revision)
        if result.graph is None:
            assert result.errors is not None
            self._put(definition, Entry(number, fingerprint, State.FAILED))
            name = name_of(revision)
            problem = f'failed to compile graph revision "{name}": {message_of(result.errors)}'
            await self._write(revision, None, problem)
            if result.missing:
                return CheckAgain(after_s=MISSING_KIND_RETRY_S, why="kinds are missing")
            return Settled()
        await self._write(revision, result.graph, "")
        self._put(definition, Entry(number, fingerprint, State.ACTIVE, result.graph))
        return Settled()

    def _put(self, definition: str, entry: Entry) -> None:
        """Let the definition go on with this entry; it is woken when the entry is news."""
        known = self._compiled.get(definition, entry.revision)
        if known is None or known.state is not entry.state or known.graph is not entry.graph:
            self._compiled.put(definition, entry)
            self._published(definition)

    async def _write(self, revision: JsonObject, graph: Graph | None, problem: str) -> None:
        """Make the status say how the compilation ended; nothing is written where it does."""
        status = revision.get("status")
        status = status if isinstance(status, dict) else {}
        stored = status.get("conditions")
        conditions = ConditionSet(
            (VERIFIED,),
            owner=revision,
            stored=stored if isinstance(stored, list) else (),
            now=rfc3339(self._clock.wall()),
        )
        if graph is None:
            conditions.set(VERIFIED, "False", "InvalidGraph", problem)
        else:
            conditions.set(VERIFIED, "True", "Verified", "graph revision compiled and verified")
        wanted: dict[str, JsonValue] = {
            "conditions": conditions.wire(),
            **order_of(graph),
        }
        patch = {key: value for key, value in wanted.items() if status.get(key) != value}
        if not patch:
            return
        name = NamespacedName("", name_of(revision))
        body: JsonObject = {"metadata": {"uid": uid_of(revision)}, "status": patch}
        try:
            written = await self._client.patch(REVISIONS, name, body, subresource="status")
        except NotFoundError:
            return  # deleted meanwhile: its end comes as an event
        except ClusterError:
            self._metrics.status_failed(compiled=graph is not None)
            raise
        self._revisions.observe(written, writer=name)

    async def _release(self, revision: JsonObject) -> Outcome:
        """Take the finalizer off, and only then forget the graph."""
        name = NamespacedName("", name_of(revision))
        if has_finalizer(revision, names.FINALIZER):
            await release_finalizer(
                self._client, revision, names.FINALIZER, store=self._revisions, writer=name
            )
            self._metrics.evicted()
        self._forget(name)
        return Settled()

    def _forget(self, name: NamespacedName) -> None:
        entered = self._entered.pop(name, None)
        if entered is not None:
            self._compiled.forget(*entered)

    def _family(self, definition: str) -> Family:
        return Family.of(self._revisions.by_index(SNAPSHOT_INDEX, definition))


def _is_judged(revision: JsonObject) -> bool:
    """Whether the revision's status says how its compilation ended."""
    return any(c.type == VERIFIED and c.status != "Unknown" for c in _conditions(revision))


def _conditions(revision: JsonObject) -> list[Condition]:
    status = revision.get("status")
    stored = status.get("conditions") if isinstance(status, dict) else None
    entries = stored if isinstance(stored, list) else []
    parsed = (Condition.parse(entry) for entry in entries if isinstance(entry, dict))
    return [condition for condition in parsed if condition is not None]
