"""The pass over one ResourceGraphDefinition: freeze it, ensure its CRD, serve its kind.

What wakes a definition: its own change, a change of one of its revisions, of the CRD that it wants,
or of a kind that its resources use. Waiting for any of them costs nothing; the timers are a safety
net.

Source: spec "graph and RGD controller" chapter 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from kro import names
from kro.controllers.compiler import MISSING_KIND_RETRY_S, Compiler
from kro.controllers.crd import (
    is_owned,
    owner_of,
)
from kro.controllers.definition.crds import allows_breaking
from kro.controllers.definition.issuing import NAME_LIMIT, Issuer
from kro.controllers.definition.kind import GeneratedKind
from kro.controllers.definition.status import (
    AWAITS_COMPILATION,
    AWAITS_SETTLEMENT,
    AWAITS_WARMUP,
    GRAPH_ACCEPTED,
    RESOLVED,
    Report,
)
from kro.controllers.kinds import Kinds
from kro.controllers.reporting import message_of
from kro.controllers.revision import (
    CompiledRevisions,
    Entry,
    State,
    name_of,
    number_of,
    spec_of,
    uid_of,
)
from kro.errors import AuthorError, ClusterError, DefinitionError
from kro.graph import Graph, required_kinds, revision_name, spec_hash
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

DEFINITIONS: Final = GVR(names.KRO_GROUP, "v1alpha1", "resourcegraphdefinitions")

CLAIM_INDEX: Final = "crd"
"""Index of the definition informer: by the name of the CRD that a definition wants."""


class DefinitionMetrics(Protocol):
    """What a definition pass counts."""

    def built(self, definition: str, duration_s: float, *, failed: bool) -> None:
        """A definition's spec was checked."""

    def moved(self, definition: str, *, before: str, after: str) -> None:
        """The definition's state changed."""

    def deleted(self, definition: str, *, duration_s: float) -> None:
        """A definition's deletion was finished."""

    def gone(self, definition: str) -> None:
        """A definition does not exist any more."""

    def issued(self, reason: str) -> None:
        """A revision was issued: `no_revision` or `spec_changed`."""

    def waited(self, reason: str) -> None:
        """A pass waits for a revision: `settling`, `warming_up` or `compiling`."""

    def resolved(self, result: str) -> None:
        """A pass knows what to do: `serve`, `issue`, `wait` or `failed`."""


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
        issuer: Issuer,
        kind: GeneratedKind,
        kinds: Kinds,
        compiler: Compiler,
        compiled: CompiledRevisions,
        metrics: DefinitionMetrics,
        allow_crd_deletion: bool = False,
        progress_s: float = 3.0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._definitions = definitions
        self._issuer = issuer
        self._kind = kind
        self._kinds = kinds
        self._compiler = compiler
        self._compiled = compiled
        self._metrics = metrics
        self._allow_crd_deletion = allow_crd_deletion
        self._progress_s = progress_s
        self._log = get_logger("rgd-controller")

    # who is woken by what

    @staticmethod
    def wants(old: JsonObject | None, new: JsonObject | None) -> bool:
        """Whether an event of a definition is worth a pass: not where only its status changed."""
        if old is None or new is None:
            return True
        before, after = _metadata(old), _metadata(new)
        return (
            before.get("generation") != after.get("generation")
            or before.get("uid") != after.get("uid")
            or ("deletionTimestamp" in after and before != after)
            or allows_breaking(old) != allows_breaking(new)
        )

    def concerned(self, crd: Mapping[str, JsonValue]) -> Iterable[NamespacedName]:
        """Return the definitions that must hear of an event of this CRD.

        They are its owner, those that want it, and those whose resources are of its kind.
        """
        concerned = set(self._kinds.users_of(crd))
        if is_owned(crd) and owner_of(crd):
            concerned.add(owner_of(crd))
        for definition in self._definitions.by_index(CLAIM_INDEX, name_of(crd)):
            concerned.add(name_of(definition))
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
        if not report.deferred:
            await self._write_status(report)
        return outcome

    async def _write_status(self, report: Report) -> None:
        patch = report.patch()
        if not patch:
            return
        name = name_of(report.definition)
        body: JsonObject = {"metadata": {"uid": uid_of(report.definition)}, "status": patch}
        try:
            with self._definitions.writing(NamespacedName("", name)):
                written = await self._client.patch(
                    DEFINITIONS, NamespacedName("", name), body, subresource="status"
                )
        except NotFoundError:
            return  # deleted meanwhile: nobody is left to read it
        self._definitions.observe(written)
        if report.state_before and report.state_before != report.state:
            self._metrics.moved(name, before=report.state_before, after=report.state)

    async def _drive(self, definition: JsonObject, report: Report) -> Outcome:
        """Go as far as the revisions and the cluster allow; the report tells how far that was."""
        name, spec = name_of(definition), definition.get("spec")
        family = self._issuer.family(name)
        latest = family.latest
        frozen = spec_of(latest) if latest else None
        self._kinds.use(name, (*required_kinds(spec), *required_kinds(frozen)))
        try:
            fingerprint = _fingerprint(name, spec)
        except AuthorError as error:
            return self._refuse(name, report, error)
        await self._issuer.collect(name)
        await self._issuer.adopt(definition)
        if not family.live and not family.unsettled:
            self._compiled.forget_all(name)
        if family.unsettled:
            return self._wait(
                report,
                "settling",
                AWAITS_SETTLEMENT,
                "waiting for terminating graph revisions to settle",
            )
        if latest is None:
            return await self._issue(definition, report, fingerprint, "no_revision")
        entry = self._compiled.get(name, number_of(latest))
        if entry is None:
            return self._wait(
                report,
                "warming_up",
                AWAITS_WARMUP,
                "waiting for the latest graph revision to warm the in-memory registry",
            )
        report.issued(entry.revision)
        if entry.state is State.ACTIVE:
            report.conditions.set(
                RESOLVED, "True", "Resolved", f"revision {entry.revision} compiled and active"
            )
        if entry.hash != fingerprint:
            if entry.graph is not None:  # it serves on, however the new spec fares
                self._kind.keep_serving(definition, entry.graph)
            return await self._issue(definition, report, fingerprint, "spec_changed")
        if entry.state is State.PENDING:
            return self._wait(
                report,
                "compiling",
                AWAITS_COMPILATION,
                f"waiting for graph revision {entry.revision} to compile",
            )
        if entry.graph is None:
            return self._failed(name, report, entry)
        return await self._serve_revision(definition, report, entry.graph)

    def _wait(self, report: Report, counted: str, reason: str, message: str) -> Outcome:
        # Where the status says Resolved, nothing has changed for its reader by our restart; and a
        # revision that was issued is on its way, which the status says already.
        known = report.conditions.is_true(RESOLVED) or report.awaits_compilation
        if reason == AWAITS_SETTLEMENT or not known:
            report.conditions.set(RESOLVED, "Unknown", reason, message)
        self._metrics.resolved("wait")
        self._metrics.waited(counted)
        return CheckAgain(after_s=self._progress_s, why=message)

    def _failed(self, name: str, report: Report, entry: Entry) -> Outcome:
        """The frozen spec no longer compiles: nothing can serve its instances until it does."""
        problem = f"latest graph revision {entry.revision} failed compilation"
        report.conditions.set(RESOLVED, "False", "Failed", problem)
        report.conditions.set(GRAPH_ACCEPTED, "False", "InvalidResourceGraph", problem)
        self._kind.explain(name, f"latest issued graph revision {entry.revision} failed")
        self._metrics.resolved("failed")
        return Settled()  # the revision is compiled again when a kind changes, and wakes us then

    async def _issue(
        self, definition: JsonObject, report: Report, fingerprint: str, reason: str
    ) -> Outcome:
        """Check the spec and freeze it under the next number; a wrong spec changes nothing else."""
        name, started = name_of(definition), self._clock.now()
        self._metrics.resolved("issue")
        try:
            checked = await self._compiler.compile(name, definition.get("spec"))
        except ClusterError as error:
            report.refuse(message_of(error))
            raise
        took_s = self._clock.now() - started
        self._metrics.built(name, took_s, failed=checked.errors is not None)
        if checked.errors is not None:
            refused = self._refuse(name, report, checked.errors)
            if checked.missing:
                return CheckAgain(after_s=MISSING_KIND_RETRY_S, why="kinds are missing")
            return refused
        report.conditions.set(
            GRAPH_ACCEPTED, "True", "Valid", "resource graph and schema are valid"
        )
        number = report.last_issued + 1
        try:
            number = await self._issuer.issue(definition, number, fingerprint)
        except ClusterError as error:
            failed = f'creating graph revision "{revision_name(name, number)}"'
            report.refuse(f"{failed}: {message_of(error)}")
            raise
        report.issued(number)
        self._metrics.issued(reason)
        report.conditions.set(
            RESOLVED,
            "Unknown",
            AWAITS_COMPILATION,
            f"graph revision {number} issued and awaiting compilation",
        )
        return CheckAgain(after_s=self._progress_s, why="revision issued")

    def _refuse(self, name: str, report: Report, error: BaseException) -> Outcome:
        report.refuse(message_of(error))
        report.show(None)
        self._kind.finish_instances(name, all_of_them=False)
        return Settled()

    # serving

    async def _serve_revision(
        self, definition: JsonObject, report: Report, graph: Graph
    ) -> Outcome:
        """Serve the latest revision's kind."""
        name = name_of(definition)
        self._metrics.resolved("serve")
        report.conditions.set(
            GRAPH_ACCEPTED, "True", "Valid", "resource graph and schema are valid"
        )
        report.show(graph)
        try:
            waiting = await self._kind.ensure(definition, report, graph)
        finally:
            # However that went: the revision is Active, so it serves what there is to be served.
            self._kind.keep_serving(definition, graph)
            self._kind.finish_instances(name, all_of_them=False)
        if waiting is not None:
            return waiting
        return await self._kind.watch(report, graph)

    # the end

    async def _delete(self, definition: JsonObject) -> Outcome:
        """Let go of the definition; its kind is served on for deletion as long as its CRD lives."""
        started = self._clock.now()
        name = name_of(definition)
        if not has_finalizer(definition, names.FINALIZER):
            return Settled()
        self._kind.finish_instances(name)
        if self._allow_crd_deletion:
            await self._kind.delete_crd(definition)
        await release_finalizer(self._client, definition, names.FINALIZER, store=self._definitions)
        self._metrics.deleted(name, duration_s=self._clock.now() - started)
        self._log.info("definition deleted", name=name)
        return Settled()

    async def _finish(self, name: str) -> Outcome:
        """Serve what a definition that is gone has left behind, and stop what is gone too."""
        self._kinds.use(name, ())
        self._compiler.forget(name)
        self._metrics.gone(name)
        await self._kind.stop_what_is_gone(name)
        return Settled()


def _fingerprint(name: str, spec: JsonValue) -> str:
    """Return the hash of a definition's spec.

    Raises:
        AuthorError: the spec has none, or no revision of this definition could ever be issued.
    """
    if len(name) > NAME_LIMIT:
        raise DefinitionError(
            f"the name has {len(name)} characters; it becomes a label of the generated CRD and of "
            f"the revisions, so it may have {NAME_LIMIT} at most",
            path="metadata.name",
        )
    return spec_hash(spec if isinstance(spec, dict) else {})


def _metadata(manifest: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    metadata = manifest.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
