"""The pass over a living instance: from what is stored to what is wanted, and to the status.

Source: spec instance-runtime.md §5; design.md §3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from kro.controllers.instance.apply import Applier
from kro.controllers.instance.applyset import Inventory, InventoryError, recorded
from kro.controllers.instance.children import Children, Member, address
from kro.controllers.instance.externals import Externals
from kro.controllers.instance.kind import Kind, Serving
from kro.controllers.instance.labels import decorator, instance_labels, is_suspended
from kro.controllers.instance.memory import Memory
from kro.controllers.instance.parent import (
    ensure_inventory,
    ensure_managed,
    name_of_instance,
    widen_inventory,
)
from kro.controllers.instance.prune import Removal, RemovalError, Remover, prune_waves
from kro.controllers.instance.report import Report
from kro.controllers.instance.status import status_of
from kro.errors import ClusterError, InvariantError
from kro.graph.evaluation import (
    Answer,
    Apply,
    Fetch,
    Frame,
    InstanceState,
    Look,
    Select,
    Step,
    Verdict,
    project,
)
from kro.graph.evaluation import Outcome as FrameOutcome
from kro.logs import Logger, verbosity
from kro.refs import JsonObject, NamespacedName
from kro.runtime import CheckAgain, Cycle, InformerState, Outcome, Settled, retry_delay
from kro.runtime.client import NotLeadingError

_WAIT_FACTOR = 10
"""What is waited for wakes the instance by an event; looking again is only a safety net."""
_EAGER = 5
"""So many times what was refused is tried again at the interval, then less and less often."""
_PATIENCE = 5
"""The longest pause between two attempts, in intervals: no event tells that a quota has room."""

_DECISIVE = (Verdict.TERMINATING, Verdict.BROKEN, Verdict.CONFLICTING)
"""Verdicts that explain more than a failure of the machinery around them."""


class BlockedError(ClusterError):
    """The pass could not be finished; the message begins with the stage that failed."""


class ReplacedError(BlockedError):
    """An orphan's name belongs to another object by now; nothing is wrong with the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """One pass over one instance that is not being deleted."""

    kind: Kind
    children: Children
    memory: Memory
    report: Report
    serving: Serving
    set_id: str
    cycle: Cycle

    async def run(self) -> Outcome:
        """Bring the instance's resources as far as they can be brought now, and write its status.

        Raises:
            KroError: the pass failed and is to be repeated with backoff; the condition says why.
        """
        report = self.report
        try:
            report.live = await ensure_managed(
                self.kind,
                report.live,
                set_id=self.set_id,
                labels=instance_labels(
                    version=self.kind.settings.version,
                    definition_name=self.serving.definition_name,
                    definition_uid=self.serving.definition_uid,
                ),
            )
        except NotLeadingError:
            raise
        except ClusterError as error:
            report.unmanaged(f"finalizer/labeling failed: {await self.kind.explain(error)}")
            await self._write_status(None, InstanceState.ACTIVE, failing=True)
            raise
        report.managed()
        report.resolved()
        if is_suspended(report.live):
            self.cycle.keep()
            report.suspended()
            await self._write_status(None, InstanceState.ACTIVE, failing=False)
            return Settled()
        return await self._work()

    async def _work(self) -> Outcome:
        frame = Frame(
            self.serving.graph,
            self.report.live,
            decorate=decorator(
                self.serving.graph,
                self.report.live,
                gvk=self.kind.gvk,
                set_id=self.set_id,
                version=self.kind.settings.version,
            ),
            collection_limit=self.kind.settings.collection_limit,
            meter=self.kind.meter,
        )
        blocked: BlockedError | None = None
        lingering: list[Member] = []
        try:
            await self._drive(frame)
            outcome = frame.outcome()
            if outcome.may_prune:
                lingering = await self._prune(frame)
        except NotLeadingError:
            raise
        except BlockedError as error:
            blocked = error
            outcome = frame.outcome()
        return await self._conclude(frame, outcome, blocked, lingering)

    # the conversation with the frame

    async def _drive(self, frame: Frame) -> None:
        applier = Applier(
            kind=self.kind,
            children=self.children,
            memory=self.memory,
            instance=self._name,
            set_id=self.set_id,
        )
        externals = Externals(self.kind, self.cycle)
        claimed = False
        while steps := frame.next_steps():
            applies = [step for step in steps if isinstance(step, Apply)]
            if applies:
                await self._claim(frame)
                claimed = True
                frame.record(await applier.apply(applies))
            else:
                frame.record(await self._read(steps, applier, externals))
        if not claimed and frame.outcome().verdict not in (Verdict.TERMINATING, Verdict.BROKEN):
            await self._claim(frame)

    async def _read(
        self, steps: Sequence[Step], applier: Applier, externals: Externals
    ) -> list[Answer]:
        async def one(step: Step) -> Answer:
            match step:
                case Look():
                    return await applier.look(step)
                case Fetch():
                    return await externals.fetch(step)
                case Select():
                    return await externals.select(step)
                case Apply():
                    raise InvariantError("reads and writes come in different batches")

        if self.children.are_whole(step.node for step in steps):
            return [await one(step) for step in steps]  # from memory: nothing to wait for
        return list(await asyncio.gather(*(one(step) for step in steps)))

    async def _claim(self, frame: Frame) -> None:
        """Record every kind and namespace that may be written, before it is written."""
        kinds, namespaces = frame.claims()
        wanted = Inventory(kinds, namespaces - {self._name.namespace})
        try:
            self.report.live = await widen_inventory(
                self.kind, self.report.live, wanted, set_id=self.set_id
            )
        except InventoryError as error:
            raise BlockedError(f"project failed: {error}") from error
        except NotLeadingError:
            raise
        except ClusterError as error:
            why = await self.kind.explain(error)
            raise BlockedError(f"failed to patch instance with applyset labels: {why}") from error

    # pruning

    async def _prune(self, frame: Frame) -> list[Member]:
        """Delete members that are not wanted, shrink the inventory; return those that linger."""
        live = self.report.live
        exact, wanted = self._exact(frame)
        noted = recorded(live)
        try:
            members = await self.children.members(self._name, self.set_id, noted | exact)
        except ClusterError as error:
            why = await self.kind.explain(error)
            raise BlockedError(f"list orphans failed: {why}") from error
        orphans = [member for member in members if member.uid not in wanted]
        lingering: list[Member] = []
        positions = {node_id: at for at, node_id in enumerate(self.serving.graph.order)}
        remover = Remover(kind=self.kind, children=self.children, instance=self._name)
        for wave in prune_waves(orphans, positions):
            try:
                results = await remover.remove(wave)
            except RemovalError as error:
                raise BlockedError(f"prune failed: {error}") from error
            if any(result is Removal.REPLACED for result in results.values()):
                raise ReplacedError("prune encountered UID conflicts; retrying")
            lingering += [member for member, left in results.items() if left is not Removal.GONE]
        kept = exact | Inventory(
            frozenset(member.group_kind for member in lingering),
            frozenset(m.name.namespace for m in lingering if m.mapped.namespaced)
            - {self._name.namespace},
        )
        try:
            self.report.live = await ensure_inventory(self.kind, live, kept, set_id=self.set_id)
        except NotLeadingError:
            raise
        except ClusterError as error:
            self._log.warning("shrinking the inventory failed", error=str(error))
        return lingering

    def _exact(self, frame: Frame) -> tuple[Inventory, set[str]]:
        """Return the inventory of what is in the cluster and wanted, and the uids of it."""
        kinds, namespaces, uids = set(), set(), set()
        keys = []
        for node, live in frame.members():
            kinds.add(node.gvk.group_kind)
            name = address(node.mapped, live)
            if node.mapped.namespaced:
                namespaces.add(name.namespace)
            uids.add(str(cast("JsonObject", live["metadata"]).get("uid")))
            keys.append((node.mapped.gvr, name))
        self.memory.keep_only(self._name, keys)
        return Inventory(frozenset(kinds), frozenset(namespaces - {self._name.namespace})), uids

    # the result

    async def _conclude(
        self,
        frame: Frame,
        outcome: FrameOutcome,
        blocked: BlockedError | None,
        lingering: list[Member],
    ) -> Outcome:
        if verbosity() >= 3:
            self._log.debug("nodes", states=outcome.states, verdict=outcome.verdict)
        state = outcome.state
        if outcome.verdict is Verdict.TERMINATING:
            self.report.terminating(outcome.message)
        elif blocked is not None and outcome.verdict not in _DECISIVE:
            self.report.not_ready(str(blocked))
            if not isinstance(blocked, ReplacedError):
                state = InstanceState.IN_PROGRESS
        elif outcome.verdict is not Verdict.WHOLE:
            self.report.not_ready(outcome.message)
        elif lingering:
            names = ", ".join(str(member) for member in lingering)
            self.report.not_ready(f"cluster mutated: waiting for the deletion of {names}")
        else:
            self.report.ready(self._unwatched())
        failing = outcome.verdict is not Verdict.WHOLE or blocked is not None
        await self._write_status(frame, state, failing=failing)
        if outcome.verdict in (Verdict.BROKEN, Verdict.CONFLICTING) and outcome.error:
            raise outcome.error
        return self._result(outcome, blocked, lingering)

    def _result(
        self, outcome: FrameOutcome, blocked: BlockedError | None, lingering: list[Member]
    ) -> Outcome:
        interval = self.kind.settings.requeue_s
        failed = blocked is not None or outcome.error is not None
        if not failed:
            self.memory.succeeded(self._name)
        if outcome.verdict is Verdict.WHOLE and not failed and not lingering:
            return self._unless_degraded()
        if not interval:
            return Settled()
        why = str(blocked) if blocked else outcome.message
        if failed:
            return CheckAgain(after_s=self._retry_s(interval), why=why)
        degraded = bool(self.children.degraded())
        return CheckAgain(after_s=interval if degraded else interval * _WAIT_FACTOR, why=why)

    def _retry_s(self, interval: float) -> float:
        generation = cast("JsonObject", self.report.live["metadata"]).get("generation")
        failures = self.memory.failed(self._name, cast("int", generation))
        late = max(failures - _EAGER, 0) + 1
        return retry_delay(late, base_s=interval, cap_s=interval * _PATIENCE)

    def _unless_degraded(self) -> Outcome:
        problem = self.children.degraded()
        if not problem:
            return Settled()
        return CheckAgain(after_s=60.0, why=f"watches are not whole: {problem}")

    def _unwatched(self) -> str:
        """Return which of the kinds that the instance depends on may not be watched; or nothing."""
        refused = self.children.refused()
        for each in self.kind.coordinator.degraded(self.kind.key(self._name)):
            if each.state is InformerState.FORBIDDEN:
                refused.append(f"{each.gvr}: {each.problem}")
        if not refused:
            return ""
        return f"not watched, so looked at once a minute: {'; '.join(dict.fromkeys(refused))}"

    async def _write_status(
        self, frame: Frame | None, state: InstanceState, *, failing: bool
    ) -> None:
        """Write the status; on a pass that fails anyway, a failed write is only logged."""
        if frame is None:
            frame = Frame(self.serving.graph, self.report.live, meter=self.kind.meter)
        projection = project(self.serving.graph, frame.bindings, self.kind.meter)
        for error in projection.errors if verbosity() >= 1 else ():
            self._log.debug("status field left out", error=frame.discreet(error).problem)
        known = status_of(self.report.live).get("state") == InstanceState.ERROR
        try:
            broken = await self.report.write(state, projection.fields, dict(frame.bindings))
            for error in broken:
                tell = self._log.debug if known else self._log.warning
                tell("condition left out", error=frame.discreet(error).problem)
        except NotLeadingError:
            raise
        except ClusterError as error:
            if not failing:
                raise
            self._log.warning("status write failed", error=str(error))

    @property
    def _name(self) -> NamespacedName:
        return name_of_instance(self.report.live)

    @property
    def _log(self) -> Logger:
        name = self._name
        return self.kind.log.bind(namespace=name.namespace, name=name.name)
