"""What one pass knows of one node: where it stands, and every arrow between the places.

From OPEN a node goes to IGNORED, PENDING, STOPPED or ASKED; from ASKED to DONE, STOPPED or DIFFERS;
from DIFFERS by WRITING to DONE. A collection without items goes from OPEN to DONE at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kro.errors import EvaluationError, KroError
from kro.graph.evaluation.meter import UNMETERED, Meter
from kro.graph.evaluation.outcome import NodeState
from kro.graph.evaluation.readiness import NotReady, check_objects, check_size
from kro.graph.evaluation.resolve import Unresolved
from kro.graph.evaluation.steps import Refused, Seen, is_terminating
from kro.graph.evaluation.texts import name_of, object_text, quoted
from kro.graph.node import Node, NodeKind
from kro.redaction import contents, hide
from kro.refs import GVK, JsonObject, NamespacedName

_SECRET: Final = GVK("", "v1", "Secret")


class Phase(Enum):
    """Where a node stands in this pass."""

    OPEN = "open"
    """Not looked at, or waiting until all it depends on is decided."""
    IGNORED = "ignored"
    PENDING = "pending"
    """Data is missing that this pass cannot bring."""
    ASKED = "asked"
    """A read is under way."""
    DIFFERS = "differs"
    """Some live object is not as desired."""
    WRITING = "writing"
    DONE = "done"
    """What is observed is final for this pass."""
    STOPPED = "stopped"
    """Broken, or its object is terminating: nothing may be written any more."""

    @property
    def is_decided(self) -> bool:
        """Whether nodes that depend on this one can be looked at."""
        return self in (Phase.IGNORED, Phase.PENDING, Phase.DONE)


@dataclass(slots=True)
class Slot:
    """One node's place in a frame; changes only through its methods."""

    node: Node
    depends_on: tuple[Slot, ...]
    meter: Meter = UNMETERED
    phase: Phase = Phase.OPEN
    desired: tuple[JsonObject, ...] | None = None
    """None until resolved in this pass."""
    seen: tuple[Seen, ...] = ()
    observed: tuple[JsonObject, ...] | None = None
    """What expressions see, in desired order; None: the node has no value."""
    state: NodeState | None = None
    """None: not reached."""
    problem: str = ""
    error: KroError | None = None
    not_ready: NotReady | None = None
    readiness_error: EvaluationError | None = None
    unresolved: Unresolved | None = None
    unresolved_inclusion: bool = False
    refused: bool = False
    """Whether some write failed."""

    # arrows out of OPEN

    def ignore(self) -> None:
        """The node is not part of the instance now."""
        self.phase, self.state = Phase.IGNORED, NodeState.SKIPPED

    def suspend(self, unresolved: Unresolved, *, inclusion: bool = False) -> None:
        """Data is missing; `inclusion`: it is not even known whether the node is ignored."""
        self.phase, self.state = Phase.PENDING, NodeState.IN_PROGRESS
        self.unresolved, self.unresolved_inclusion = unresolved, inclusion

    def ask(self, desired: Sequence[JsonObject]) -> None:
        """The node is resolved, and what is live is being read."""
        self.phase, self.state = Phase.ASKED, NodeState.IN_PROGRESS
        self.desired = tuple(desired)

    def stop(self, error: KroError, problem: str = "") -> None:
        """The node is broken."""
        self.phase, self.state = Phase.STOPPED, NodeState.ERROR
        self.error, self.problem = error, problem or str(error)

    # arrows out of ASKED

    def look(self, seen: Sequence[Seen]) -> None:
        """The live counterparts are known."""
        self.seen = tuple(seen)
        for found in seen:
            if found.live is not None and is_terminating(found.live):
                self.phase, self.state = Phase.STOPPED, NodeState.DELETING
                self.problem = (
                    f"resource {quoted(str(name_of(found.live)))} for node {quoted(self.node.id)} "
                    "is currently being deleted; waiting for deletion to complete before "
                    "continuing reconciliation"
                )
                return
        if all(found.holds for found in seen):
            self._observe([found.live for found in seen if found.live is not None])
        else:
            self.phase = Phase.DIFFERS

    def find(self, objects: Sequence[JsonObject], wanted: NamespacedName | None) -> None:
        """What an external reference names (`wanted`) or selects is known."""
        what = "external reference" if wanted is not None else "external collection"
        if wanted is not None and not objects:
            self.meter.checked(ready=False)
            self.phase, self.state = Phase.DONE, NodeState.WAITING_FOR_READINESS
            self.not_ready = NotReady(
                f"node {quoted(self.node.id)}: no observed state: waiting for readiness"
            )
            self.problem = (
                f"waiting for {what} {quoted(self.node.id)}: not found: "
                f"{self.node.gvk.kind} {wanted}"
            )
            return
        self._observe(objects)
        if self.readiness_error is not None:
            self.stop(self.readiness_error)
        elif self.not_ready is not None:
            self.problem = self._waiting(what, self.not_ready)

    # arrow out of WRITING

    def write(self, results: Sequence[tuple[int, JsonObject | Refused]]) -> None:
        """The writes are answered; objects that were not written stay as they were seen."""
        objects: dict[int, JsonObject] = {
            index: found.live for index, found in enumerate(self.seen) if found.live is not None
        }
        failed: list[tuple[int, Refused]] = []
        for index, result in results:
            if isinstance(result, Refused):
                failed.append((index, result))
                if result.foreign:
                    objects.pop(index, None)
            else:
                objects[index] = result
        self._observe([objects[index] for index in sorted(objects)])
        if failed:
            index, first = failed[0]
            self.refused, self.state, self.error = True, NodeState.ERROR, first.error
            item = f"collection item {index}: " if self.node.kind.is_collection else ""
            self.problem = item + first.problem

    def empty(self) -> None:
        """A collection of no items is whole."""
        self.desired = ()
        self._observe(())

    def _observe(self, objects: Sequence[JsonObject]) -> None:
        self.phase, self.state = Phase.DONE, NodeState.SYNCED
        if objects or self.node.kind.is_collection:
            self.observed = tuple(objects)
        try:
            self.not_ready = self._check(objects)
        except EvaluationError as failure:
            error = discreet(failure, [self])
            self.meter.checked(ready=False)
            self.readiness_error = error
            self.state, self.error = NodeState.ERROR, error
            self.problem = f"node {quoted(self.node.id)}: {error}"
            return
        self.meter.checked(ready=self.not_ready is None)
        if self.not_ready is not None:
            self.state = NodeState.WAITING_FOR_READINESS
            self.problem = self._waiting("node", self.not_ready)

    def _check(self, objects: Sequence[JsonObject]) -> NotReady | None:
        if self.node.kind is NodeKind.COLLECTION:
            missing = check_size(self.node, observed=len(objects), desired=len(self.desired or ()))
            if missing is not None:
                return missing
        return check_objects(self.node, objects, self.meter)

    def _waiting(self, what: str, not_ready: NotReady) -> str:
        about = f", object {object_text(not_ready.about)}" if not_ready.about else ""
        return f"waiting for {what} {quoted(self.node.id)}: {not_ready.why}{about}"

    # questions that other nodes ask

    def readiness(self) -> NotReady | None:
        """Return why nodes that depend on this one have to wait, or None.

        Raises:
            EvaluationError: it cannot be told.
        """
        if self.readiness_error is not None:
            raise self.readiness_error
        if self.phase is Phase.PENDING:
            text = (
                "collection not computed (waiting for readiness)"
                if self.node.kind is NodeKind.COLLECTION
                else "no observed state: waiting for readiness"
            )
            return NotReady(f"node {quoted(self.node.id)}: {text}")
        return self.not_ready

    def described(self) -> str:
        """Return the object that others wait for: `Widget team-a/vpc`, or the kind alone."""
        if self.not_ready is not None and self.not_ready.about is not None:
            return object_text(self.not_ready.about)
        known = self.observed or self.desired
        if known and len(known) == 1 and self.node.kind is not NodeKind.EXTERNAL_COLLECTION:
            return object_text(known[0])
        return f"{self.node.gvk.kind} of node {quoted(self.node.id)}"


def discreet(error: EvaluationError, slots: Iterable[Slot]) -> EvaluationError:
    """Return the error without anything that the Secrets among these nodes hold.

    Expressions fail with the value that they cannot work with; who may read the message, or the
    log, need not be who may read the Secret.
    """
    held = [
        manifest
        for slot in slots
        if slot.node.gvk == _SECRET
        for manifest in (*(slot.observed or ()), *(slot.desired or ()))
    ]
    quotes = contents(held)
    if not quotes:
        return error
    return EvaluationError(hide(error.problem, quotes), excerpt=error.excerpt)
