"""Writing children: each on its own, never one that belongs to somebody else.

A child that no store knows is applied without force first. Its owner, if it has one that is not us,
owns the membership label too, so the API server refuses, and only then the object is fetched and
judged. So a new child costs one request, and nothing is ever taken silently.

Source: spec instance-runtime.md §4.4; design.md D5, D6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from kro import names
from kro.controllers.instance.applyset import labels_of
from kro.controllers.instance.children import Children, address
from kro.controllers.instance.kind import Kind
from kro.controllers.instance.labels import owner_text
from kro.controllers.instance.memory import Memory
from kro.controllers.instance.ownership import without_managed_fields
from kro.errors import ClusterError
from kro.graph import Node
from kro.graph.evaluation import (
    Applied,
    Apply,
    Look,
    Looked,
    Refused,
    Seen,
    Target,
    Unreadable,
    gvk_text,
    name_of,
    object_text,
)
from kro.logs import verbosity
from kro.refs import JsonObject, NamespacedName
from kro.runtime.client import ConflictError, NotLeadingError


class ForeignError(ClusterError):
    """A live object is a member of another apply set."""

    reason = "ForeignApplySet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applier:
    """Reads and writes the children of one instance in one pass."""

    kind: Kind
    children: Children
    memory: Memory
    instance: NamespacedName
    set_id: str

    async def look(self, step: Look) -> Looked | Unreadable:
        """Read the live counterparts of a node's desired objects, and whether they need a write."""
        try:
            lives = await self.children.read(step.node, step.desired)
        except ClusterError as error:
            first, why = name_of(step.desired[0]), await self.kind.explain(error)
            problem = (
                f"failed to list collection items: {why}"
                if step.node.kind.is_collection
                else f"failed to get current state for {first}: {why}"
            )
            return Unreadable(step.node.id, error, problem)
        pairs = zip(step.desired, lives, strict=True)
        return Looked(
            step.node.id, tuple(self._seen(step.node, desired, live) for desired, live in pairs)
        )

    def _seen(self, node: Node, desired: JsonObject, live: JsonObject | None) -> Seen:
        if live is None:
            return Seen(None)
        key = (node.mapped.gvr, address(node.mapped, desired))
        mine = labels_of(live).get(names.APPLYSET_PART_OF) == self.set_id
        holds = mine and self.memory.holds(self.instance, key, desired, live)
        return Seen(without_managed_fields(live), holds)

    async def apply(self, steps: Iterable[Apply]) -> list[Applied]:
        """Write all targets of all steps together.

        Raises:
            NotLeadingError: this process may not write any more.
        """
        steps = list(steps)
        async with asyncio.TaskGroup() as group:
            tasks = [
                [group.create_task(self._write(step.node, target)) for target in step.targets]
                for step in steps
            ]
        return [
            Applied(step.node.id, tuple(task.result() for task in of_step))
            for step, of_step in zip(steps, tasks, strict=True)
        ]

    async def _write(self, node: Node, target: Target) -> JsonObject | Refused:
        try:
            answer = await self._send(node, target)
        except NotLeadingError:
            raise
        except ForeignError as error:
            return Refused(error, str(error), foreign=True)
        except ClusterError as error:
            why = await self.kind.explain(error)
            return Refused(error, f"apply of {object_text(target.desired)} failed: {why}")
        gvr = node.mapped.gvr
        self.children.observe(gvr, answer, self.kind.key(self.instance))
        key = (gvr, address(node.mapped, target.desired))
        if verbosity() >= 2:
            self.kind.log.debug(
                "applied", instance=str(self.instance), node=node.id, object=f"{gvr} {key[1]}"
            )
        self.memory.note(self.instance, key, target.desired, answer)
        return without_managed_fields(answer)

    async def _send(self, node: Node, target: Target) -> JsonObject:
        if target.live is not None:
            return await self._overwrite(node, target.desired, target.live)
        gvr, name = node.mapped.gvr, address(node.mapped, target.desired)
        async with self.kind.claims.hold(gvr, name):
            live = self.children.peek(gvr, name)
            if live is None:
                try:
                    return await self._patch(node, target.desired, force=False)
                except ConflictError:
                    live = await self.children.fetch(gvr, name)
            if live is None:
                return await self._patch(node, target.desired, force=False)
            return await self._overwrite(node, target.desired, live)

    async def _overwrite(self, node: Node, desired: JsonObject, live: JsonObject) -> JsonObject:
        labels = labels_of(live)
        theirs = labels.get(names.APPLYSET_PART_OF, "")
        if theirs == self.set_id:
            return await self._patch(node, desired, force=True)
        if theirs:
            where, owner = address(node.mapped, desired), owner_text(labels)
            raise ForeignError(
                f"resource belongs to a different ApplySet: {where} ({gvk_text(node.gvk)}) "
                f'belongs to ApplySet "{theirs}", cannot reassign to "{self.set_id}"'
                + (f" (it is a child of {owner})" if owner else "")
            )
        # An object without an owner is adopted, unless it changes while we decide.
        version = cast("JsonObject", live["metadata"]).get("resourceVersion")
        metadata = {**cast("JsonObject", desired["metadata"]), "resourceVersion": version}
        return await self._patch(node, {**desired, "metadata": metadata}, force=True)

    async def _patch(self, node: Node, body: JsonObject, *, force: bool) -> JsonObject:
        return await self.kind.client.apply(
            node.mapped.gvr,
            address(node.mapped, body),
            body,
            field_manager=names.MANAGER_APPLYSET,
            force=force,
        )
