"""Deleting members that no node wants any more.

Source: spec instance-runtime.md §4.6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import cast

from kro.controllers.instance.children import Children, Member
from kro.controllers.instance.kind import Kind
from kro.errors import ClusterError
from kro.graph.evaluation import is_terminating
from kro.logs import verbosity
from kro.refs import JsonObject, NamespacedName
from kro.runtime.client import ConflictError, NotFoundError


class Removal(Enum):
    """What became of a member that was asked to go."""

    GONE = "gone"
    TERMINATING = "terminating"
    """It stays until its own finalizers are released."""
    REPLACED = "replaced"
    """Another object has its name by now; that one was not touched."""


class RemovalError(ClusterError):
    """A member could not be deleted; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remover:
    """Deletes members of one instance."""

    kind: Kind
    children: Children
    instance: NamespacedName

    async def remove(self, wave: Collection[Member]) -> dict[Member, Removal]:
        """Delete the members of one wave together; those that are terminating are left alone.

        Raises:
            RemovalError: the first delete that failed, after all were tried.
        """
        results = await asyncio.gather(*(self._remove(member) for member in wave))
        for result in results:
            if isinstance(result, RemovalError):
                raise result
        return dict(zip(wave, cast("list[Removal]", results), strict=True))

    async def _remove(self, member: Member) -> Removal | RemovalError:
        if member.terminating:
            return Removal.TERMINATING
        try:
            answer = await self.kind.client.delete(member.mapped.gvr, member.name, uid=member.uid)
        except NotFoundError:
            answer = {"kind": "Status"}
        except ConflictError:
            return Removal.REPLACED
        except ClusterError as error:
            why = await self.kind.explain(error)
            return RemovalError(f"delete {member.name} ({member.group_kind}): {why}")
        if verbosity() >= 2:
            self.kind.log.debug("deleted", instance=str(self.instance), object=str(member))
        if _stays(answer):
            self.children.observe(member.mapped.gvr, answer, self.kind.key(self.instance))
            return Removal.TERMINATING
        self.children.forget(member, self.kind.key(self.instance))
        return Removal.GONE


def _stays(answer: JsonObject) -> bool:
    """Return whether a delete was only begun, and something holds the object."""
    if answer.get("kind") == "Status" or not is_terminating(answer):
        return False
    metadata = cast("JsonObject", answer["metadata"])
    return bool(metadata.get("finalizers")) or metadata.get("deletionGracePeriodSeconds") != 0


def prune_waves(orphans: Iterable[Member], positions: Mapping[str, int]) -> list[list[Member]]:
    """Return orphans in the order in which they go: unknown nodes first, then last applied first.

    Args:
        positions: of the graph's nodes in apply order.
    """
    unknown = len(positions)

    def position(member: Member) -> int:
        return positions.get(member.node_id, unknown)

    ordered = sorted(orphans, key=position, reverse=True)
    return [list(wave) for _, wave in groupby(ordered, key=position)]
