"""The end of an instance: its members go in waves, then the finalizer.

Works from what is persisted alone: the inventory on the instance, the labels and apply orders on
the members. No graph, no expression and no external object can hold it up.

Source: spec instance-runtime.md §7.
"""

from __future__ import annotations

from dataclasses import dataclass

from kro import names
from kro.controllers.instance.applyset import InventoryError, trusted
from kro.controllers.instance.children import MEMBERS, Children, Member
from kro.controllers.instance.kind import Kind
from kro.controllers.instance.parent import name_of_instance
from kro.controllers.instance.prune import Removal, RemovalError, Remover
from kro.controllers.instance.report import Report
from kro.errors import ClusterError
from kro.runtime import CheckAgain, Cycle, Outcome, Settled, has_finalizer, release_finalizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """One pass over an instance that is being deleted."""

    kind: Kind
    children: Children
    report: Report
    set_id: str
    cycle: Cycle

    async def run(self) -> Outcome:
        """Delete wave after wave as far as members disappear; release the instance after the last.

        Raises:
            ClusterError: deletion is blocked; the condition says by what.
        """
        self.report.deleting()
        if not has_finalizer(self.report.live, names.FINALIZER):
            return Settled()
        try:
            waiting = await self._remove_members()
        except ClusterError as error:
            self.report.deleting(f"deletion blocked: {error}")
            await self.report.write_deleting()
            raise
        if waiting:
            self._watch(waiting)
            await self.report.write_deleting()
            wave = waiting[0].wave
            return CheckAgain(after_s=self._safety_net_s(), why=f"deleting apply-order wave {wave}")
        return await self._release()

    async def _remove_members(self) -> list[Member]:
        """Return the members that the next step has to wait for; none: all are gone."""
        name = name_of_instance(self.report.live)
        try:
            inventory = trusted(self.report.live, self.set_id)
        except InventoryError as error:
            raise InventoryError(f"validate deletion inventory: {error}") from error
        try:
            members = await self.children.members(name, self.set_id, inventory)
        except ClusterError as error:
            why = await self.kind.explain(error)
            raise RemovalError(f"list deletion inventory: {why}") from error
        remover = Remover(kind=self.kind, children=self.children, instance=name)
        while members:
            highest = max(member.wave for member in members)
            wave = [member for member in members if member.wave == highest]
            results = await remover.remove(wave)
            if any(result is Removal.REPLACED for result in results.values()):
                raise RemovalError("deletion encountered UID conflicts; retrying")
            left = [member for member, result in results.items() if result is not Removal.GONE]
            if left:
                return left
            members = [member for member in members if member.wave != highest]
        return []

    def _watch(self, members: list[Member]) -> None:
        """Let the disappearance of any of them wake the instance, whatever its labels are then."""
        for number, member in enumerate(members):
            self.cycle.watch_object(
                f"member {number}", member.mapped.gvr, member.name, scope=MEMBERS
            )

    def _safety_net_s(self) -> float:
        return self.kind.settings.requeue_s or 60.0

    async def _release(self) -> Outcome:
        live = self.report.live
        try:
            await release_finalizer(
                self.kind.client,
                live,
                names.FINALIZER,
                store=self.kind.instances,
                writer=self.kind.key(name_of_instance(live)),
            )
        except ClusterError as error:
            why = await self.kind.explain(error)
            self.report.unmanaged(f"failed removing finalizer: {why}")
            await self.report.write_deleting()
            raise
        name = name_of_instance(live)
        self.kind.log.info("instance deleted", namespace=name.namespace, name=name.name)
        return Settled()
