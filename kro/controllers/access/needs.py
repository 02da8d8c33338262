"""Which rights the controller needs for a definition.

The verbs are those that the API server authorizes the engine's requests as:

- instances: `list` and `watch` by their informer, `get` after a write that collided, `patch` for
  finalizer, labels and inventory, and `update` of `status`;
- children: `list` and `watch` by their informer, `get` where it cannot be read, `patch` for every
  apply, `create` besides, because an apply may create the object, `delete` for pruning and at the
  end of the instance;
- external references: `get`, `list` and `watch`, never anything that writes.

All of them cluster-wide: an informer spans all namespaces. A child that names an owner and blocks
its deletion needs `update` of the owner's `finalizers`, but only where the admission plug-in
OwnerReferencesPermissionEnforcement is on; so a role should hold it, and nobody is told that it is
missing.

Source: spec "API surface and operations" §4.9, §9.4; instance-runtime.md §8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from kro import names
from kro.graph import Graph, Node
from kro.refs import GVK, GroupKind, Mapped

INSTANCE_VERBS: Final = frozenset({"get", "list", "watch", "patch"})
STATUS_VERBS: Final = frozenset({"update"})
CHILD_VERBS: Final = frozenset({"get", "list", "watch", "create", "patch", "delete"})
EXTERNAL_VERBS: Final = frozenset({"get", "list", "watch"})
OWNER_VERBS: Final = frozenset({"update"})

RBAC_GROUP: Final = "rbac.authorization.k8s.io"
_ROLES: Final = {"Role": "roles", "ClusterRole": "clusterroles"}
_BINDINGS: Final = ("RoleBinding", "ClusterRoleBinding")
_NODES_SHOWN: Final = 6


class Purpose(StrEnum):
    """What rights on a resource are for, as it is told to people."""

    INSTANCES = "instances of"
    STATUS = "status of the instances of"
    WRITTEN = "written by"
    READ = "read by"
    BOUND = "bound by"
    OWNER = "where OwnerReferencesPermissionEnforcement is on: owners of objects written by"
    ITSELF = "for kro itself"


class Reason(NamedTuple):
    """Why rights are needed."""

    purpose: Purpose
    definition: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Verbs that one resource, or a subresource (`widgets/status`), is used with."""

    group: str
    resource: str
    verbs: frozenset[str]
    why: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        """Return `deployments.apps`, as kubectl writes it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def only(self, verbs: Iterable[str]) -> Need:
        """Return the same with those of its verbs that are given."""
        kept = self.verbs & frozenset(verbs)
        return Need(group=self.group, resource=self.resource, verbs=kept, why=self.why)


def own_needs(*, allow_crd_deletion: bool) -> tuple[Need, ...]:
    """Return what the controller needs whatever the definitions are; Events and leases apart."""
    crd_verbs = {"get", "list", "watch", "create", "patch"}
    revision_verbs = {"get", "list", "watch", "create", "update", "patch", "delete"}
    rows: tuple[tuple[str, str, set[str]], ...] = (
        (names.KRO_GROUP, "resourcegraphdefinitions", {"get", "list", "watch", "patch"}),
        (names.KRO_GROUP, "resourcegraphdefinitions/status", {"patch"}),
        (names.INTERNAL_GROUP, "graphrevisions", revision_verbs),
        (names.INTERNAL_GROUP, "graphrevisions/status", {"patch"}),
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            crd_verbs | {"delete"} if allow_crd_deletion else crd_verbs,
        ),
    )
    why = (Reason(Purpose.ITSELF),)
    return tuple(
        Need(group=group, resource=resource, verbs=frozenset(verbs), why=why)
        for group, resource, verbs in rows
    )


def needs_of(graph: Graph) -> tuple[Need, ...]:
    """Return what the controller needs to serve a definition, by group and resource."""
    return merged(_needs(graph))


def owner_needs_of(graph: Graph) -> tuple[Need, ...]:
    """Return what it needs besides where OwnerReferencesPermissionEnforcement is on.

    Owners are found among the kinds that the definition knows; an owner of another kind, or one
    that an expression computes, is not.
    """
    return merged(_owner_needs(graph))


def grants_of(graph: Graph, verb: str) -> tuple[Need, ...]:
    """Return on what the definition needs a right to grant rights, where it does not hold them.

    The API server lets nobody write a role (`escalate`) or bind one (`bind`) whose rules he does
    not hold himself, unless he has that right: so it is no need, but one of two ways.

    Source: Kubernetes RBAC, privilege escalation prevention.
    """
    purpose = Purpose.WRITTEN if verb == "escalate" else Purpose.BOUND
    return merged(
        Need(
            group=RBAC_GROUP,
            resource=resource,
            verbs=frozenset({verb}),
            why=(Reason(purpose, graph.name, node.id),),
        )
        for node in graph.nodes.values()
        if node.gvk.group == RBAC_GROUP and not node.kind.is_external
        for resource in (_escalated(node) if verb == "escalate" else _bound(node))
    )


def merged(needs: Iterable[Need]) -> tuple[Need, ...]:
    """Return one need for each resource, by group and resource."""
    found: dict[tuple[str, str], Need] = {}
    for need in needs:
        known = found.get((need.group, need.resource))
        found[need.group, need.resource] = Need(
            group=need.group,
            resource=need.resource,
            verbs=need.verbs | (known.verbs if known else frozenset()),
            why=tuple(dict.fromkeys((*(known.why if known else ()), *need.why))),
        )
    return tuple(found[key] for key in sorted(found))


def reasons_of(need: Need) -> str:
    """Return why rights on a resource are needed: `written by shop (web, worker); read by …`."""
    by_purpose: dict[tuple[Purpose, str], list[str]] = {}
    for reason in need.why:
        nodes = by_purpose.setdefault((reason.purpose, reason.definition), [])
        if reason.node:
            nodes.append(reason.node)
    parts = []
    for (purpose, definition), nodes in by_purpose.items():
        shown = nodes[:_NODES_SHOWN]
        if len(nodes) > len(shown):
            shown.append(f"{len(nodes) - len(shown)} more")
        nodes_text = f"({', '.join(shown)})" if shown else ""
        parts.append(" ".join(filter(None, (purpose.value, definition, nodes_text))))
    return "; ".join(parts)


def _needs(graph: Graph) -> Iterator[Need]:
    name, gvr = graph.name, graph.instance.mapped.gvr
    for resource, verbs, purpose in (
        (gvr.resource, INSTANCE_VERBS, Purpose.INSTANCES),
        (f"{gvr.resource}/status", STATUS_VERBS, Purpose.STATUS),
    ):
        yield Need(group=gvr.group, resource=resource, verbs=verbs, why=(Reason(purpose, name),))
    for node in graph.nodes.values():
        external = node.kind.is_external
        purpose = Purpose.READ if external else Purpose.WRITTEN
        yield Need(
            group=node.mapped.gvr.group,
            resource=node.mapped.gvr.resource,
            verbs=EXTERNAL_VERBS if external else CHILD_VERBS,
            why=(Reason(purpose, name, node.id),),
        )


def _owner_needs(graph: Graph) -> Iterator[Need]:
    known: dict[GroupKind, Mapped] = {
        node.gvk.group_kind: node.mapped for node in graph.nodes.values()
    }
    known[graph.instance.gvk.group_kind] = graph.instance.mapped
    for node in graph.nodes.values():
        for owner in () if node.kind.is_external else _blocked_owners(node):
            mapped = known.get(owner)
            if mapped is not None:
                yield Need(
                    group=mapped.gvr.group,
                    resource=f"{mapped.gvr.resource}/finalizers",
                    verbs=OWNER_VERBS,
                    why=(Reason(Purpose.OWNER, graph.name, node.id),),
                )


def _blocked_owners(node: Node) -> Iterator[GroupKind]:
    """Yield the kinds whose deletion the node's objects may block, as far as they are literal."""
    metadata = node.template.get("metadata")
    references = metadata.get("ownerReferences") if isinstance(metadata, dict) else None
    for reference in references if isinstance(references, list) else ():
        if not isinstance(reference, dict) or not reference.get("blockOwnerDeletion"):
            continue
        api_version, kind = reference.get("apiVersion"), reference.get("kind")
        if isinstance(api_version, str) and isinstance(kind, str):
            yield GVK.of(api_version, kind).group_kind


def _escalated(node: Node) -> tuple[str, ...]:
    """Return the resource of the node's objects, if they are roles."""
    resource = _ROLES.get(node.gvk.kind)
    return (resource,) if resource else ()


def _bound(node: Node) -> tuple[str, ...]:
    """Return what the node's objects bind, if they are bindings: one resource, or either."""
    if node.gvk.kind not in _BINDINGS:
        return ()
    reference = node.template.get("roleRef")
    bound = reference.get("kind") if isinstance(reference, dict) else None
    resource = _ROLES.get(bound) if isinstance(bound, str) else None
    return (resource,) if resource else tuple(_ROLES.values())
