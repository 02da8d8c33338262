"""The frozen parts of a graph: what an author wrote, compiled once and shared by every pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from kro.graph.fieldpath import FieldPath
from kro.refs import GVK, JsonObject, Mapped

if TYPE_CHECKING:
    from kro.cel import CelType, Expression

INSTANCE_ID = "schema"
"""The name under which expressions see the instance, and the id of its node."""


class NodeKind(Enum):
    """How many objects a node stands for, and whether we write them."""

    RESOURCE = "Resource"
    """One object, written by us."""
    COLLECTION = "Collection"
    """One object per combination of the forEach lists, written by us."""
    EXTERNAL = "External"
    """One object of someone else, read by name."""
    EXTERNAL_COLLECTION = "ExternalCollection"
    """Objects of someone else, read by selector."""

    @property
    def is_external(self) -> bool:
        """Whether the objects are only read."""
        return self in (NodeKind.EXTERNAL, NodeKind.EXTERNAL_COLLECTION)

    @property
    def is_collection(self) -> bool:
        """Whether expressions see the node as a list."""
        return self in (NodeKind.COLLECTION, NodeKind.EXTERNAL_COLLECTION)


class FieldKind(Enum):
    """What the expression of a template field has to wait for."""

    STATIC = "static"
    """Nothing but the instance."""
    DYNAMIC = "dynamic"
    """At least one other node."""
    ITERATION = "iteration"
    """At least one iterator of the own forEach: one value per object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateField:
    """One value of a template that an expression computes.

    The path exists in the template; the expression's text stands there.
    """

    path: FieldPath
    expression: Expression
    kind: FieldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One entry of a forEach: the iterator that the template uses, and the list it runs over."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One vertex: a recipe for zero or more cluster objects; never changes once built.

    Shape: `template` is a manifest with its `${...}` still in place (for an external node the
    synthetic `{apiVersion, kind, metadata: {name?, namespace?, selector?}}`). It is shared: copy
    it before writing to it.
    """

    id: str
    index: int
    """Position in the author's list; breaks ties in the apply order."""
    kind: NodeKind
    gvk: GVK
    mapped: Mapped
    """Where the API server serves the kind."""
    template: JsonObject
    fields: tuple[TemplateField, ...] = ()
    """By path, parents' keys sorted."""
    depends_on: frozenset[str] = frozenset()
    """Ids of the nodes that template, forEach and includeWhen refer to."""
    include_when: tuple[Expression, ...] = ()
    include_reads: tuple[frozenset[str], ...] = ()
    """For each entry of `include_when`, the nodes that it refers to."""
    ready_when: tuple[Expression, ...] = ()
    for_each: tuple[Dimension, ...] = ()
    schema: JsonObject = field(default_factory=dict, repr=False, compare=False)
    """OpenAPI schema of one object of the kind, references inlined."""
    schema_type: CelType | None = field(default=None, repr=False, compare=False)
    """CEL type of one object of the kind (never the list); None when the schema has no type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceNode:
    """The instance as a vertex: what flows back into its status."""

    gvk: GVK
    mapped: Mapped
    status_fields: tuple[TemplateField, ...] = ()
    """Paths start at `status`; the kind is always DYNAMIC."""
    conditions: tuple[Expression, ...] = ()
    """The author's conditions, in order; each gives one condition or a list."""
    depends_on: frozenset[str] = frozenset()
    """Nodes that status fields and conditions refer to; `schema` when a status field does."""
    schema: JsonObject = field(default_factory=dict, repr=False, compare=False)
    """OpenAPI schema of the instance without status, with the full ObjectMeta."""
    schema_type: CelType | None = field(default=None, repr=False, compare=False)
    """CEL type of the variable `schema`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on collections."""

    dimensions: int = 10
    """forEach entries per resource; held by the builder."""
    collection_size: int = 1000
    """Objects per collection; held when an instance is evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Feature gates that decide what a definition may contain."""

    omit: bool = False
    """CELOmitFunction: whether templates may call `omit()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A compiled definition; frozen, shared by all passes of all instances."""

    name: str
    """Name of the definition."""
    nodes: Mapping[str, Node]
    """In the author's order, without the instance."""
    order: tuple[str, ...]
    """Ids such that each comes after all it depends on."""
    waves: Mapping[str, int]
    """Deletion wave of each node, counted from 1: the highest is deleted first."""
    instance: InstanceNode
    crd: JsonObject
    """The generated CustomResourceDefinition, without labels of ownership."""
    hash: str
    """Canonical hash of the spec, 16 hexadecimal digits."""
    limits: Limits
