"""What a pass came to: one verdict, one sentence, and the state that users see.

Source: spec instance-runtime.md §5.4, §6.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from kro.errors import EvaluationError, KroError
from kro.refs import JsonObject


class NodeState(StrEnum):
    """How far a node came in this pass."""

    IN_PROGRESS = "IN_PROGRESS"
    SYNCED = "SYNCED"
    SKIPPED = "SKIPPED"
    WAITING_FOR_READINESS = "WAITING_FOR_READINESS"
    ERROR = "ERROR"
    DELETING = "DELETING"


class InstanceState(StrEnum):
    """`status.state` of an instance."""

    ACTIVE = "ACTIVE"
    IN_PROGRESS = "IN_PROGRESS"
    ERROR = "ERROR"
    DELETING = "DELETING"


class Verdict(Enum):
    """What decided the pass; in this order, the first that holds."""

    TERMINATING = "terminating"
    """A desired object is being deleted: nothing was written after that was seen."""
    BROKEN = "broken"
    """An expression or a read failed and time alone will not heal it."""
    CONFLICTING = "conflicting"
    """Two nodes resolve to the same object: nothing was written."""
    UNREADY = "unready"
    """Every node that could be applied was; some write failed, or some object is not ready."""
    UNRESOLVED = "unresolved"
    """All is well but for nodes whose data is not there yet."""
    WHOLE = "whole"
    """Every node is applied and ready, or skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a frame."""

    verdict: Verdict
    message: str
    """What decided, with the object it is about; empty when all is well."""
    states: Mapping[str, NodeState]
    """By node id, in apply order; nodes that were not reached are not there."""
    error: KroError | None = None
    """Why the pass is broken or conflicting, or the first write that failed."""
    may_prune: bool = False
    """Whether all nodes are resolved and all writes succeeded: the rest is orphaned."""

    @property
    def state(self) -> InstanceState:
        """The instance's state as its nodes tell it."""
        return state_of(self.states.values())


def state_of(states: Iterable[NodeState]) -> InstanceState:
    """Return ERROR if any node failed, ACTIVE if all are synced or skipped, else IN_PROGRESS."""
    found = set(states)
    if NodeState.ERROR in found:
        return InstanceState.ERROR
    if found <= {NodeState.SYNCED, NodeState.SKIPPED}:
        return InstanceState.ACTIVE
    return InstanceState.IN_PROGRESS


@dataclass(frozen=True, slots=True)
class Projection:
    """The author's status fields as far as they could be computed."""

    fields: JsonObject
    errors: tuple[EvaluationError, ...] = ()
    """Fields that are left out because their expression cannot work with the data."""
