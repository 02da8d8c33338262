"""The pass over one ResourceGraphDefinition: freeze it, ensure its CRD, serve its kind.

What wakes a definition: its own change, a change of one of its revisions, of its CRD, or of a kind
that its resources use. Waiting for any of them costs nothing; the timers are a safety net.

Source: spec "graph and RGD controller" chapter 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from kro import __version__, names
from kro.controllers.compiler import Compiler
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
    RESOLVED,
    Report,
)
from kro.controllers.kinds import Kinds
from kro.controllers.reporting import message_of
from kro.controllers.revision import (
    REVISIONS,
    SNAPSHOT_INDEX,
    CompiledRevisions,
    Entry,
    Family,
    State,
    adopted,
    new_revision,
    number_of,
    spec_of,
)
from kro.errors import AuthorError, ClusterError
from kro.graph import Graph, required_kinds, spec_hash
from kro.logs import get_logger
from kro.refs import GVR, JsonObject, JsonValue, NamespacedName
from kro.runtime import (
    CheckAgain,
    Clock,
    Informed,
    Outcome,
    Settled,
    ensure_finalizer,
    has_finalizer,
    release_finalizer,
    rfc3339,
)
from kro.runtime.client import Client, NotFoundError
from kro.schema import crd_gvk, crd_mapped

DEFINITIONS: Final = GVR(names.KRO_GROUP, "v1alpha1", "resourcegraphdefinitions")

OWNER_INDEX: Final = "definition"
"""Index of the CRD informer: by the definition that owns the CRD."""

MISSING_KIND_RETRY_S: Final = 60.0
"""How often a kind is looked for that no CRD will announce: one of an aggregated API."""


class DefinitionMetrics(Protocol):
    """What a definition pass counts."""

    def moved(self, definition: str, *, before: str, after: str) -> None:
        """The definition's state changed."""

    def deleted(self, definition: str, *, duration_s: float) -> None:
        """A definition's deletion was finished."""

    def issued(self, reason: str) -> None:
        """A revision was issued: `no_revision` or `spec_changed`."""

    def waited(self, reason: str) -> None:
        """A pass waits for a revision: `settling`, `warming_up` or `compiling`."""

    def resolved(self, result: str) -> None:
        """A pass knows what to do: `serve`, `issue`, `wait` or `failed`."""

    def collected(self, *, failed: bool) -> None:
        """Retention deleted a revision, or could not."""


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
        revisions: Informed,
        crds: Informed,
        kinds: Kinds,
        compiler: Compiler,
        compiled: CompiledRevisions,
        served: ServedKinds,
        metrics: DefinitionMetrics,
        allow_crd_deletion: bool = False,
        progress_s: float = 3.0,
        kept_revisions: int = 5,
    ) -> None:
        self._client = client
        self._clock = clock
        self._definitions = definitions
        self._revisions = revisions
        self._crds = crds
        self._kinds = kinds
        self._compiler = compiler
        self._compiled = compiled
        self._served = served
        self._metrics = metrics
        self._allow_crd_deletion = allow_crd_deletion
        self._progress_s = progress_s
        self._kept_revisions = kept_revisions
        self._log = get_logger("rgd-controller")

    # who is woken by what

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

    # the pass

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
        definition = await ensure_finalizer(self._client, DEFINITIONS, definition, names.FINALIZER)
        self._definitions.observe(definition)
        report = Report.of(definition, now=rfc3339(self._clock.wall()))
        try:
            outcome = await self._drive(definition, report)
        except ClusterError:
            await self._write_status(report)
            raise
        await self._write_status(report)
        return outcome

    async def _write_status(self, report: Report) -> None:
        patch = report.patch()
        if not patch:
            return
        name = _name(report.definition)
        try:
            written = await self._client.patch(
                DEFINITIONS, NamespacedName("", name), {"status": patch}, subresource="status"
            )
        except NotFoundError:
            return  # deleted meanwhile: nobody is left to read it
        self._definitions.observe(written)
        if report.state_before and report.state_before != report.state:
            self._metrics.moved(name, before=report.state_before, after=report.state)

    async def _drive(self, definition: JsonObject, report: Report) -> Outcome:
        """Go as far as the revisions and the cluster allow; the report tells how far that was."""
        name, spec = _name(definition), definition.get("spec")
        family = Family.of(self._revisions.by_index(SNAPSHOT_INDEX, name))
        frozen = spec_of(family.latest) if family.latest else None
        self._kinds.use(name, (*required_kinds(spec), *required_kinds(frozen)))
        try:
            fingerprint = spec_hash(spec if isinstance(spec, dict) else {})
        except AuthorError as error:
            return self._refuse(report, error)
        await self._adopt(family, definition, report)
        if not family.live and not family.unsettled:
            self._compiled.forget_all(name)
        latest = family.latest
        entry = self._compiled.get(name, number_of(latest)) if latest else None
        if family.unsettled:
            return self._wait(
                report, "settling", "waiting for terminating graph revisions to settle"
            )
        if latest is None:
            return await self._issue(definition, report, fingerprint, "no_revision")
        if entry is None:
            return self._wait(
                report,
                "warming_up",
                "waiting for the latest graph revision to warm the in-memory registry",
            )
        report.issued(entry.revision)
        if entry.state is State.ACTIVE:
            report.conditions.set(
                RESOLVED, "True", "Resolved", f"revision {entry.revision} compiled and active"
            )
        if entry.hash != fingerprint:
            return await self._issue(definition, report, fingerprint, "spec_changed", entry)
        if entry.state is State.PENDING:
            return self._wait(
                report, "compiling", f"waiting for graph revision {entry.revision} to compile"
            )
        if entry.graph is None:
            return self._failed(definition, report, entry)
        return await self._serve_revision(definition, report, entry.graph)

    def _wait(self, report: Report, reason: str, message: str) -> Outcome:
        reasons = {
            "settling": "WaitingForGraphRevisionSettlement",
            "warming_up": "WaitingForGraphRevisionWarmup",
            "compiling": "WaitingForGraphRevisionCompilation",
        }
        if reason != "warming_up" or not report.conditions.is_true(RESOLVED):
            # After a restart nothing has changed for the reader of a status that says Resolved.
            report.conditions.set(RESOLVED, "Unknown", reasons[reason], message)
        self._metrics.resolved("wait")
        self._metrics.waited(reason)
        return CheckAgain(after_s=self._progress_s, why=message)

    def _failed(self, definition: JsonObject, report: Report, entry: Entry) -> Outcome:
        """The frozen spec no longer compiles: nothing can serve its instances until it does."""
        problem = f"latest graph revision {entry.revision} failed compilation"
        report.conditions.set(RESOLVED, "False", "Failed", problem)
        report.conditions.set(GRAPH_ACCEPTED, "False", "InvalidResourceGraph", problem)
        self._explain(_name(definition), f"latest issued graph revision {entry.revision} failed")
        self._metrics.resolved("failed")
        return Settled()  # the revision is compiled again when a kind changes, and wakes us then

    # revisions

    async def _adopt(self, family: Family, definition: JsonObject, report: Report) -> None:
        """Own the live revisions that carry the definition's name, whoever issued them."""
        for revision in family.live:
            wanted = adopted(revision, definition)
            if wanted is None:
                continue
            name = NamespacedName("", _name(revision))
            try:
                self._revisions.observe(await self._client.update(REVISIONS, name, wanted))
            except ClusterError:
                report.show(None)
                raise
            self._log.info("revision adopted", revision=name.name)

    async def _issue(
        self,
        definition: JsonObject,
        report: Report,
        fingerprint: str,
        reason: str,
        serving: Entry | None = None,
    ) -> Outcome:
        """Check the spec and freeze it under the next number; a wrong spec changes nothing else."""
        name = _name(definition)
        try:
            checked = await self._compiler.compile(name, definition.get("spec"))
        except ClusterError as error:
            self._refuse(report, error)
            raise
        if checked.errors is not None:
            self._refuse(report, checked.errors)
            if serving is not None and serving.graph is not None:
                self._keep_serving(definition, serving.graph)
            if checked.missing:
                return CheckAgain(after_s=MISSING_KIND_RETRY_S, why="kinds are missing")
            return Settled()
        report.conditions.set(
            GRAPH_ACCEPTED, "True", "Valid", "resource graph and schema are valid"
        )
        number = max(report.last_issued, serving.revision if serving else 0) + 1
        body = new_revision(definition, number, spec_hash=fingerprint, version=__version__)
        try:
            written = await self._client.create(REVISIONS, body)
        except ClusterError as error:
            problem = f'creating graph revision "{_name(body)}": {message_of(error)}'
            report.conditions.set(GRAPH_ACCEPTED, "False", "InvalidResourceGraph", problem)
            report.show(None)
            raise
        self._revisions.observe(written)
        report.issued(number)
        self._metrics.issued(reason)
        self._metrics.resolved("issue")
        report.conditions.set(
            RESOLVED,
            "Unknown",
            "WaitingForGraphRevisionCompilation",
            f"graph revision {number} issued and awaiting compilation",
        )
        return CheckAgain(after_s=self._progress_s, why="revision issued")

    def _refuse(self, report: Report, error: BaseException) -> Outcome:
        report.conditions.set(GRAPH_ACCEPTED, "False", "InvalidResourceGraph", message_of(error))
        report.show(None)
        return Settled()

    async def _collect(self, family: Family) -> None:
        """Delete the revisions that retention lets go; what fails is tried at the next pass."""
        for revision in family.beyond(self._kept_revisions):
            name = NamespacedName("", _name(revision))
            try:
                await self._client.delete(REVISIONS, name, uid=str(_metadata(revision)["uid"]))
            except NotFoundError:
                continue
            except ClusterError as error:
                self._metrics.collected(failed=True)
                self._log.warning("revision not deleted", revision=name.name, problem=str(error))
            else:
                self._metrics.collected(failed=False)

    # serving

    async def _serve_revision(
        self, definition: JsonObject, report: Report, graph: Graph
    ) -> Outcome:
        """Let old revisions go, and serve the latest one's kind."""
        self._metrics.resolved("serve")
        report.conditions.set(
            GRAPH_ACCEPTED, "True", "Valid", "resource graph and schema are valid"
        )
        report.show(graph)
        await self._collect(Family.of(self._revisions.by_index(SNAPSHOT_INDEX, _name(definition))))
        waiting = await self._ensure_kind(definition, report, graph)
        if waiting is not None:
            self._keep_serving(definition, graph)
            return waiting
        return await self._serve(definition, report, graph)

    def _keep_serving(self, definition: JsonObject, graph: Graph) -> None:
        """Serve the graph where its kind is served already, or was by an earlier process."""
        name = _name(definition)
        gvr = graph.instance.mapped.gvr
        mine = [crd for crd in self._crds_of(name) if crd_mapped(crd).gvr == gvr]
        if mine and is_established(mine[0]):
            self._served.serve(graph, definition=name, uid=str(_metadata(definition)["uid"]))

    def _explain(self, name: str, why: str) -> None:
        for crd in self._crds_of(name):
            if is_established(crd):
                self._served.explain(crd_gvk(crd), crd_mapped(crd), definition=name, why=why)

    async def _ensure_kind(
        self, definition: JsonObject, report: Report, graph: Graph
    ) -> Outcome | None:
        """Make the CRD say what it should; return what to wait for, or None when it is served."""
        conditions = report.conditions
        try:
            crd = await self._ensure_crd(definition, graph)
        except (CrdRefusedError, AuthorError) as error:
            conditions.set(KIND_READY, "False", "Failed", message_of(error))
            return Settled()  # a change of the CRD or of the definition wakes it
        except ClusterError as error:
            conditions.set(KIND_READY, "False", "Failed", message_of(error))
            raise
        if not is_established(crd):
            conflict = names_conflict(crd)
            if conflict:
                conditions.set(KIND_READY, "False", "Failed", conflict)
            return CheckAgain(after_s=self._progress_s, why="the CRD is not established")
        conditions.set(
            KIND_READY, "True", "Ready", f"kind {accepted_kind(crd)} has been accepted and ready"
        )
        return None

    async def _ensure_crd(self, definition: JsonObject, graph: Graph) -> JsonObject:
        uid = str(_metadata(definition)["uid"])
        wanted = with_ownership(graph.crd, name=_name(definition), uid=uid, version=__version__)
        name = NamespacedName("", _name(wanted))
        installed = self._crds.get(name)
        match plan(installed, wanted, allow_breaking=_allows_breaking(definition)):
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

    async def _serve(self, definition: JsonObject, report: Report, graph: Graph) -> Outcome:
        self._served.serve(
            graph, definition=_name(definition), uid=str(_metadata(definition)["uid"])
        )
        problem = await self._served.wait(graph.instance.mapped.gvr)
        if problem:
            report.conditions.set(CONTROLLER_READY, "False", "FailedToStart", problem)
            return CheckAgain(after_s=self._progress_s, why=problem)
        report.conditions.set(CONTROLLER_READY, "True", "Running", "controller is running")
        return Settled()

    # the end

    async def _delete(self, definition: JsonObject) -> Outcome:
        """Let go of the definition; its kind is served on for deletion as long as its CRD lives."""
        started = self._clock.now()
        name = _name(definition)
        if not has_finalizer(definition, names.FINALIZER):
            return Settled()
        self._finish_instances(name)
        if self._allow_crd_deletion:
            for crd in self._crds_of(name):
                await self._delete_crd(crd)
        left = await release_finalizer(self._client, DEFINITIONS, definition, names.FINALIZER)
        if left is not None:
            self._definitions.observe(left)
        self._metrics.deleted(name, duration_s=self._clock.now() - started)
        self._log.info("definition deleted", name=name)
        return Settled()

    async def _delete_crd(self, crd: JsonObject) -> None:
        if "deletionTimestamp" in _metadata(crd):
            return
        try:
            await self._client.delete(
                CRDS, NamespacedName("", _name(crd)), uid=str(_metadata(crd)["uid"])
            )
        except NotFoundError:
            return
        self._log.info("CRD deleted", crd=_name(crd))

    async def _finish(self, name: str) -> Outcome:
        """Serve what a definition that is gone has left behind, and stop what is gone too."""
        self._kinds.use(name, ())
        self._compiler.forget(name)
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


def _metadata(manifest: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    metadata = manifest.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _name(manifest: Mapping[str, JsonValue]) -> str:
    return str(_metadata(manifest)["name"])


def _allows_breaking(definition: Mapping[str, JsonValue]) -> bool:
    annotations = _metadata(definition).get("annotations")
    return isinstance(annotations, dict) and annotations.get(names.ALLOW_BREAKING_CHANGES) == "true"
