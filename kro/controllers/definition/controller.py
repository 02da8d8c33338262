"""The pass over one ResourceGraphDefinition: compile it, ensure its CRD, serve its kind.

Three things wake a definition: its own change, a change of its CRD, and a change of a kind that its
resources use. Waiting for any of them costs nothing; the timers are a safety net.

Source: spec "graph and RGD controller" chapter 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from kro import __version__, names
from kro.controllers.conditions import ConditionSet
from kro.controllers.crd import (
    CRDS,
    CrdRefusedError,
    Create,
    Patch,
    accepted_kind,
    is_established,
    is_owned,
    names_conflict,
    owner_of,
    plan,
    with_ownership,
)
from kro.controllers.definition.serving import ServedKinds
from kro.controllers.definition.status import (
    CONTROLLER_READY,
    GRAPH_ACCEPTED,
    KIND_READY,
    conditions_of,
    current_state,
    message_of,
    state_of,
    status_patch,
)
from kro.controllers.kinds import Kinds
from kro.errors import AuthorError, AuthorErrors, ClusterError
from kro.graph import Gates, Graph, Limits, build, required_kinds
from kro.logs import get_logger
from kro.refs import GVK, GVR, JsonObject, JsonValue, NamespacedName
from kro.runtime import CheckAgain, Clock, Informed, Outcome, Settled, finalizer
from kro.runtime.client import Client, NotFoundError
from kro.schema import crd_gvk, crd_mapped

DEFINITIONS: Final = GVR(names.KRO_GROUP, "v1alpha1", "resourcegraphdefinitions")

OWNER_INDEX: Final = "definition"
"""Index of the CRD informer: by the definition that owns the CRD."""

MISSING_KIND_RETRY_S: Final = 60.0
"""How often a kind is looked for that no CRD will announce: one of an aggregated API."""


class DefinitionMetrics(Protocol):
    """What a definition pass counts."""

    def built(self, definition: str, *, duration_s: float, failed: bool) -> None:
        """A graph was built, or its errors were found."""

    def moved(self, definition: str, *, before: str, after: str) -> None:
        """The definition's state changed."""

    def deleted(self, definition: str, *, duration_s: float) -> None:
        """A definition's deletion was finished."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one build gave: a graph, or the author's errors."""

    key: tuple[object, ...]
    graph: Graph | None
    errors: AuthorErrors | None
    missing: frozenset[GVK]


@dataclass(slots=True)
class _Pass:
    """What one pass over a live definition knows; it dies with the pass."""

    definition: JsonObject
    conditions: ConditionSet
    built: Graph | None = None

    @property
    def name(self) -> str:
        return str(_metadata(self.definition)["name"])

    @property
    def uid(self) -> str:
        return str(_metadata(self.definition)["uid"])


class DefinitionController:
    """Keeps every definition's kind served, and tells in its status how that goes.

    Concurrency: one event loop; no two passes over one definition at once (the queue's promise).
    """

    def __init__(
        self,
        *,
        client: Client,
        clock: Clock,
        definitions: Informed,
        crds: Informed,
        kinds: Kinds,
        served: ServedKinds,
        limits: Limits,
        gates: Gates,
        metrics: DefinitionMetrics,
        allow_crd_deletion: bool = False,
        progress_s: float = 3.0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._definitions = definitions
        self._crds = crds
        self._kinds = kinds
        self._served = served
        self._limits = limits
        self._gates = gates
        self._metrics = metrics
        self._allow_crd_deletion = allow_crd_deletion
        self._progress_s = progress_s
        self._compiled: dict[str, Compiled] = {}
        self._log = get_logger("rgd-controller")

    @staticmethod
    def wants(old: Mapping[str, JsonValue] | None, new: Mapping[str, JsonValue] | None) -> bool:
        """Whether an event of a definition is worth a pass: not where only its status changed."""
        if old is None or new is None:
            return True
        before, after = _metadata(old), _metadata(new)
        return (
            before.get("generation") != after.get("generation")
            or before.get("uid") != after.get("uid")
            or ("deletionTimestamp" in after and before != after)
            or _allows_breaking(old) != _allows_breaking(new)
        )

    def concerned(self, crd: Mapping[str, JsonValue]) -> Iterable[NamespacedName]:
        """Return the definitions that must hear of an event of this CRD."""
        concerned = set(self._kinds.users_of(crd))
        if is_owned(crd) and owner_of(crd):
            concerned.add(owner_of(crd))
        return [NamespacedName("", name) for name in sorted(concerned)]

    async def reconcile(self, name: NamespacedName) -> Outcome:
        """Drive the definition towards what it says; safe to repeat and to cancel at any await.

        Raises:
            ClusterError: the API server refused or could not be reached; tried again.
        """
        definition = self._definitions.get(name)
        if definition is None:
            return await self._finish(name.name)
        if "deletionTimestamp" in _metadata(definition):
            return await self._delete(definition)
        definition = await finalizer.ensure(
            self._client, DEFINITIONS, definition, names.FINALIZER, field_manager=""
        )
        self._definitions.observe(definition)
        conditions = conditions_of(definition, now=_stamp(self._clock))
        run = _Pass(definition, conditions)
        try:
            outcome = await self._drive(run)
        except ClusterError:
            await self._write_status(definition, conditions, run.built)
            raise
        await self._write_status(definition, conditions, run.built)
        return outcome

    async def _write_status(
        self, definition: JsonObject, conditions: ConditionSet, built: Graph | None
    ) -> None:
        patch = status_patch(definition, conditions, built)
        if not patch:
            return
        name = str(_metadata(definition)["name"])
        try:
            written = await self._client.patch(
                DEFINITIONS, NamespacedName("", name), {"status": patch}, subresource="status"
            )
        except NotFoundError:
            return  # deleted meanwhile: nobody is left to read it
        self._definitions.observe(written)
        before, after = current_state(definition), state_of(conditions)
        if before and before != after:
            self._metrics.moved(name, before=before, after=after)

    async def compile(self, definition: JsonObject) -> Compiled:
        """Return the definition's graph or its errors; nothing is built twice.

        Concurrency: the build runs in a thread, so that the loop goes on.
        """
        metadata = _metadata(definition)
        name = str(metadata["name"])
        spec = definition.get("spec")
        required = required_kinds(spec)
        self._kinds.use(name, required)
        fetched = await self._kinds.fetch(required)
        key = (metadata.get("uid"), metadata.get("generation"), fetched.fingerprint)
        known = self._compiled.get(name)
        if known is not None and known.key == key:
            return known
        started = self._clock.now()
        built: Graph | None = None
        errors: AuthorErrors | None = None
        try:
            built = await asyncio.to_thread(
                build,
                name,
                spec if isinstance(spec, dict) else {},
                fetched.schemas,
                limits=self._limits,
                gates=self._gates,
            )
        except AuthorErrors as problem:
            errors = problem
        self._metrics.built(name, duration_s=self._clock.now() - started, failed=errors is not None)
        compiled = Compiled(key, built, errors, fetched.missing)
        self._compiled[name] = compiled
        return compiled

    async def _delete(self, definition: JsonObject) -> Outcome:
        """Let go of the definition; its kind is served on for deletion as long as its CRD lives."""
        started = self._clock.now()
        metadata = _metadata(definition)
        name = str(metadata["name"])
        if not finalizer.has(definition, names.FINALIZER):
            return Settled()
        self._finish_instances(name)
        if self._allow_crd_deletion:
            for crd in self._crds_of(name):
                await self._delete_crd(crd)
        left = await finalizer.release(self._client, DEFINITIONS, definition, names.FINALIZER)
        if left is not None:
            self._definitions.observe(left)
        self._metrics.deleted(name, duration_s=self._clock.now() - started)
        self._log.info("definition deleted", name=name)
        return Settled()

    async def _delete_crd(self, crd: JsonObject) -> None:
        metadata = _metadata(crd)
        if "deletionTimestamp" in metadata:
            return
        try:
            await self._client.delete(
                CRDS, NamespacedName("", str(metadata["name"])), uid=str(metadata["uid"])
            )
        except NotFoundError:
            return
        self._log.info("CRD deleted", crd=metadata["name"])

    async def _finish(self, name: str) -> Outcome:
        """Serve what a definition that is gone has left behind, and stop what is gone too."""
        self._kinds.use(name, ())
        self._compiled.pop(name, None)
        left = self._finish_instances(name)
        for gvr in self._served.of(name) - left:
            await self._served.stop(gvr)
        return Settled()

    def _finish_instances(self, name: str) -> frozenset[GVR]:
        left = set()
        for crd in self._crds_of(name):
            if is_established(crd):
                mapped = crd_mapped(crd)
                left.add(mapped.gvr)
                self._served.finish(crd_gvk(crd), mapped, definition=name)
        return frozenset(left)

    def _crds_of(self, name: str) -> list[JsonObject]:
        return [crd for crd in self._crds.by_index(OWNER_INDEX, name) if is_owned(crd)]

    async def _drive(self, run: _Pass) -> Outcome:
        """Go as far as the cluster allows; the conditions tell how far that was."""
        try:
            compiled = await self.compile(run.definition)
        except ClusterError as error:
            run.conditions.set(GRAPH_ACCEPTED, "False", "InvalidResourceGraph", message_of(error))
            raise
        if compiled.graph is None:
            return self._refused(run, compiled)
        run.built = compiled.graph
        run.conditions.set(GRAPH_ACCEPTED, "True", "Valid", "resource graph and schema are valid")
        waiting = await self._ensure_kind(run, compiled.graph)
        if waiting is not None:
            return waiting
        return await self._serve(run, compiled.graph)

    def _refused(self, run: _Pass, compiled: Compiled) -> Outcome:
        assert compiled.errors is not None
        run.conditions.set(
            GRAPH_ACCEPTED, "False", "InvalidResourceGraph", message_of(compiled.errors)
        )
        for crd in self._crds_of(run.name):
            if is_established(crd):
                self._served.explain(
                    crd_gvk(crd),
                    crd_mapped(crd),
                    definition=run.name,
                    why=f"the definition {run.name} is not valid",
                )
        if compiled.missing:
            return CheckAgain(after_s=MISSING_KIND_RETRY_S, why="kinds are missing")
        return Settled()

    async def _ensure_kind(self, run: _Pass, built: Graph) -> Outcome | None:
        """Make the CRD say what it should; return what to wait for, or None when it is served."""
        try:
            crd = await self._ensure_crd(run, built)
        except (CrdRefusedError, AuthorError) as error:
            run.conditions.set(KIND_READY, "False", "Failed", message_of(error))
            return Settled()  # a change of the CRD or of the definition wakes it
        except ClusterError as error:
            run.conditions.set(KIND_READY, "False", "Failed", message_of(error))
            raise
        if not is_established(crd):
            conflict = names_conflict(crd)
            if conflict:
                run.conditions.set(KIND_READY, "False", "Failed", conflict)
            return CheckAgain(after_s=self._progress_s, why="the CRD is not established")
        run.conditions.set(
            KIND_READY,
            "True",
            "Ready",
            f"kind {accepted_kind(crd)} has been accepted and ready",
        )
        return None

    async def _ensure_crd(self, run: _Pass, built: Graph) -> JsonObject:
        wanted = with_ownership(built.crd, name=run.name, uid=run.uid, version=__version__)
        name = NamespacedName("", str(_metadata(wanted)["name"]))
        installed = self._crds.get(name)
        step = plan(installed, wanted, allow_breaking=_allows_breaking(run.definition))
        match step:
            case Create(body):
                written = await self._client.create(CRDS, body)
                self._log.info("CRD created", crd=name.name)
            case Patch(body, breaking):
                written = await self._client.patch(CRDS, name, body)
                self._log.info("CRD changed", crd=name.name, breaking=breaking)
            case _:
                assert installed is not None
                return installed
        self._crds.observe(written)
        return written

    async def _serve(self, run: _Pass, built: Graph) -> Outcome:
        self._served.serve(built, definition=run.name, uid=run.uid)
        problem = await self._served.wait(built.instance.mapped.gvr)
        if problem:
            run.conditions.set(CONTROLLER_READY, "False", "FailedToStart", problem)
            return CheckAgain(after_s=self._progress_s, why=problem)
        run.conditions.set(CONTROLLER_READY, "True", "Running", "controller is running")
        return Settled()


def _metadata(manifest: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    metadata = manifest.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _allows_breaking(definition: Mapping[str, JsonValue]) -> bool:
    annotations = _metadata(definition).get("annotations")
    return isinstance(annotations, dict) and annotations.get(names.ALLOW_BREAKING_CHANGES) == "true"


def _stamp(clock: Clock) -> str:
    return clock.wall().strftime("%Y-%m-%dT%H:%M:%SZ")
