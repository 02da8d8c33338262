"""The live children of one kind's instances, read from shared informers over apply-set members.

All controllers share one informer per child kind. It holds whole objects that carry the label of
some apply set, so objects of others cost nothing, members of foreign apply sets are seen, and a
child that lost its other labels still is. While an informer is not whole, reads go to the server.

Source: design.md D4; spec instance-runtime.md §4.6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from kro import names
from kro.controllers.instance.applyset import Inventory, annotations_of, labels_of
from kro.controllers.instance.kind import Kind
from kro.controllers.instance.labels import owner_of
from kro.graph import Graph, Node
from kro.graph.evaluation import is_terminating, name_of
from kro.refs import GVR, GroupKind, JsonObject, Mapped, NamespacedName
from kro.runtime import (
    Informed,
    InformerState,
    KindNotServedError,
    ObjectKey,
    Route,
    Scope,
    Stored,
    by_label,
    keep_managed_fields,
)
from kro.runtime.client import NotFoundError

MEMBERS: Final = Scope(
    selector=names.APPLYSET_PART_OF, transform=keep_managed_fields(names.MANAGER_APPLYSET)
)
"""What informers of child kinds hold."""
BY_APPLYSET: Final = "applyset"
_READABLE: Final = (InformerState.SYNCED, InformerState.STALE)
"""States in which a store says what the server said not long ago."""
_SYNC_S: Final = 2.0
"""How long a pass waits for an informer that has just been started."""


@dataclass(frozen=True, slots=True)
class Member:
    """One object of an apply set, as pruning and deletion need it."""

    mapped: Mapped
    group_kind: GroupKind
    name: NamespacedName
    uid: str
    node_id: str
    wave: int
    """Deletion wave; 0, the last one, where the annotation says nothing usable."""
    terminating: bool

    def __str__(self) -> str:
        """Return `ConfigMap team-a/web`."""
        return f"{self.group_kind.kind} {self.name}"


async def is_whole(informed: Informed, *, within_s: float = _SYNC_S) -> bool:
    """Return whether the informer can be read, after waiting a little for one that is loading."""
    if informed.state is InformerState.LOADING and not informed.problem:
        await informed.wait_synced(within_s)
    return informed.state in _READABLE


class Children:
    """The informers of the kinds that the graphs of one generated kind write.

    A kind that a newer graph no longer writes stays watched: its objects have to be found to be
    pruned.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._informed: dict[GVR, Informed] = {}
        self._routes: dict[GVR, Route] = {}
        self._by_group_kind: dict[GroupKind, Mapped] = {}

    def follow(self, graph: Graph) -> None:
        """Watch every kind that the graph writes; events of its objects wake their instances."""
        for node in graph.nodes.values():
            if node.kind.is_external or node.mapped.gvr in self._informed:
                continue
            informed = self._kind.informers.watch(
                node.mapped.gvr,
                MEMBERS,
                owner=f"instances of {self._kind.gvk}",
                indexes={BY_APPLYSET: by_label(names.APPLYSET_PART_OF)},
            )
            self._informed[node.mapped.gvr] = informed
            self._by_group_kind[node.gvk.group_kind] = node.mapped
            self._routes[node.mapped.gvr] = self._kind.coordinator.route(informed, self._instances)

    def close(self) -> None:
        """Stop watching."""
        for route in self._routes.values():
            route.remove()
        for informed in self._informed.values():
            informed.release()
        self._routes.clear()
        self._informed.clear()
        self._by_group_kind.clear()

    def watched(self) -> Mapping[GVR, Informed]:
        """Return the informers of all these kinds."""
        return self._informed

    def degraded(self) -> str:
        """Return which kinds cannot be watched and why, in words; empty when all are well."""
        return "; ".join(
            f"{gvr}: {informed.problem}"
            for gvr, informed in self._informed.items()
            if informed.state not in _READABLE
        )

    def refused(self) -> list[str]:
        """Return which kinds may not be watched, with the server's reason."""
        return [
            f"{gvr}: {informed.problem}"
            for gvr, informed in self._informed.items()
            if informed.state is InformerState.FORBIDDEN
        ]

    def _instances(self, child: Stored) -> Iterable[ObjectKey]:
        owner = owner_of(child.labels(), self._kind.gvk)
        return () if owner is None else (self._kind.key(owner),)

    def are_whole(self, nodes: Iterable[Node]) -> bool:
        """Return whether all these nodes' objects are ours and can be read from memory."""
        return all(
            not node.kind.is_external
            and (informed := self._informed.get(node.mapped.gvr)) is not None
            and informed.state in _READABLE
            for node in nodes
        )

    # single objects

    async def read(self, node: Node, manifests: Sequence[JsonObject]) -> list[JsonObject | None]:
        """Return the live counterparts of manifests, with the fields that we own.

        Raises:
            ClusterError: the server had to be asked and failed.
        """
        gvr = node.mapped.gvr
        informed = self._informed.get(gvr)
        if informed is not None and await is_whole(informed):
            return [informed.get(address(node.mapped, manifest)) for manifest in manifests]
        wanted = (address(node.mapped, manifest) for manifest in manifests)
        return list(await asyncio.gather(*(self.fetch(gvr, name) for name in wanted)))

    async def fetch(self, gvr: GVR, name: NamespacedName) -> JsonObject | None:
        """Return the object as the server holds it now, or None."""
        try:
            return await self._kind.client.get(gvr, name)
        except NotFoundError:
            return None

    def peek(self, gvr: GVR, name: NamespacedName) -> JsonObject | None:
        """Return the object as far as our stores know it at this moment."""
        informed = self._informed.get(gvr)
        if informed is None or informed.state not in _READABLE:
            return None
        return informed.get(name)

    def observe(self, gvr: GVR, answer: JsonObject, writer: ObjectKey) -> None:
        """Put the answer to a write of our own into the store."""
        informed = self._informed.get(gvr)
        if informed is not None:
            informed.observe(answer, writer=writer)

    def forget(self, member: Member, writer: ObjectKey) -> None:
        """Take an object that is gone out of the store."""
        informed = self._informed.get(member.mapped.gvr)
        if informed is not None:
            informed.forget(member.name, member.uid, writer=writer)

    # members

    async def members(
        self, parent: NamespacedName, set_id: str, inventory: Inventory
    ) -> list[Member]:
        """Return every member of an apply set within its inventory.

        Kinds whose informer is whole are read from memory; others are listed. A kind that the
        server does not serve any more has no members.

        Raises:
            ClusterError: a kind could not be listed.
        """
        namespaces = inventory.namespaces | {parent.namespace or "default"}
        lists = await asyncio.gather(
            *(
                self._members_of(group_kind, set_id, namespaces)
                for group_kind in sorted(inventory.group_kinds)
            )
        )
        return list({member.uid: member for found in lists for member in found}.values())

    async def _members_of(
        self, group_kind: GroupKind, set_id: str, namespaces: frozenset[str]
    ) -> list[Member]:
        mapped = self._by_group_kind.get(group_kind)
        informed = self._informed.get(mapped.gvr) if mapped is not None else None
        if mapped is not None and informed is not None and await is_whole(informed):
            return [
                member
                for obj in informed.by_index(BY_APPLYSET, set_id)
                if (member := _member(mapped, group_kind, obj)).name.namespace in namespaces
                or not mapped.namespaced
            ]
        mapped = await self._mapped(group_kind)
        if mapped is None:
            return []
        return await self._listed(group_kind, mapped, set_id, namespaces)

    async def _mapped(self, group_kind: GroupKind) -> Mapped | None:
        discovery = self._kind.discovery
        for attempt in ("known", "refreshed"):
            if attempt == "refreshed":
                discovery.forget(group_kind.group)
            try:
                return (await discovery.mapping_of(group_kind))[1]
            except KindNotServedError:
                continue
        return None

    async def _listed(
        self, group_kind: GroupKind, mapped: Mapped, set_id: str, namespaces: frozenset[str]
    ) -> list[Member]:
        places = sorted(namespaces) if mapped.namespaced else [""]
        selector = f"{names.APPLYSET_PART_OF}={set_id}"

        async def one(namespace: str) -> list[JsonObject]:
            try:
                page = await self._kind.client.list_all(
                    mapped.gvr, namespace=namespace, label_selector=selector, metadata_only=True
                )
            except NotFoundError:
                return []
            return page.items

        pages = await asyncio.gather(*(one(place) for place in places))
        return [_member(mapped, group_kind, item) for page in pages for item in page]


def address(mapped: Mapped, manifest: JsonObject) -> NamespacedName:
    """Return where the API server keeps the object of a manifest."""
    name = name_of(manifest)
    return name if mapped.namespaced else NamespacedName("", name.name)


def _member(mapped: Mapped, group_kind: GroupKind, obj: JsonObject) -> Member:
    metadata = cast("JsonObject", obj["metadata"])
    return Member(
        mapped,
        group_kind,
        name_of(obj),
        str(metadata.get("uid") or ""),
        labels_of(obj).get(names.NODE_ID, ""),
        _wave(annotations_of(obj).get(names.APPLY_ORDER)),
        is_terminating(obj),
    )


def _wave(text: str | None) -> int:
    return int(text) if text and len(text) < 10 and text.isascii() and text.isdigit() else 0
