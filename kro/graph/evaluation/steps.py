"""What a frame asks of the cluster, and the answers it takes: the seam between pure core and shell.

A pass alternates: the frame returns steps, somebody performs them, the frame takes the answers.
`Look`, `Fetch` and `Select` read; `Apply` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kro.errors import KroError
from kro.graph.node import Node
from kro.refs import JsonObject, NamespacedName


@dataclass(frozen=True, slots=True)
class Look:
    """Read the live counterparts of a managed node's desired objects."""

    node: Node
    desired: tuple[JsonObject, ...]
    """Whole manifests, in the order of the collection; labels and namespace in place."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read the one object that an external reference names."""

    node: Node
    name: NamespacedName


@dataclass(frozen=True, slots=True)
class Select:
    """Read the objects that an external reference selects."""

    node: Node
    namespace: str
    """Empty: every namespace."""
    selector: str
    """As the API server takes it: `role=peer,tier in (a,b)`; empty selects everything."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Write the objects of a node that differ from what is live; each on its own."""

    node: Node
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One object to write."""

    index: int
    """Position among the node's desired objects."""
    desired: JsonObject
    live: JsonObject | None
    """What was there when it was looked at; None also when it could not be seen."""


Step: TypeAlias = Look | Fetch | Select | Apply


@dataclass(frozen=True, slots=True)
class Seen:
    """The live counterpart of one desired object."""

    live: JsonObject | None
    holds: bool = False
    """Whether an apply of the desired object would change nothing."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Answer to a `Look`: one entry per desired object, in order."""

    node_id: str
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to a `Fetch` (no object: it does not exist) or a `Select`."""

    node_id: str
    objects: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Answer to a step that reads, when the read failed."""

    node_id: str
    error: KroError
    problem: str
    """One line for people: what was read and why it failed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One write that did not happen."""

    error: KroError
    problem: str
    foreign: bool = False
    """The live object belongs to somebody else: nothing may be read from it either."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Answer to an `Apply`: for each target, in order, the object as it is now or why not."""

    node_id: str
    results: tuple[JsonObject | Refused, ...]


Answer: TypeAlias = Looked | Found | Unreadable | Applied


def is_terminating(live: JsonObject) -> bool:
    """Return whether an object is being deleted."""
    metadata = live.get("metadata")
    return isinstance(metadata, dict) and metadata.get("deletionTimestamp") is not None
