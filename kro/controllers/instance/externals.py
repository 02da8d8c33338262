"""Reading what external references point at: watched, never written.

Source: spec instance-runtime.md §3.
"""

from __future__ import annotations

from dataclasses import dataclass

from kro.controllers.instance.children import is_whole
from kro.controllers.instance.kind import Kind
from kro.errors import ClusterError
from kro.graph.evaluation import Fetch, Found, Select, Unreadable, gvk_text
from kro.runtime import Cycle, LabelSelector
from kro.runtime.client import NotFoundError, NotServedError


@dataclass(frozen=True, slots=True)
class Externals:
    """Reads external references in one pass; what is read is watched from then on."""

    kind: Kind
    cycle: Cycle

    async def fetch(self, step: Fetch) -> Found | Unreadable:
        """Read the one object that a reference names."""
        node = step.node
        gvr = node.mapped.gvr
        informed = self.cycle.watch_object(node.id, gvr, step.name)
        try:
            if await is_whole(informed):
                live = informed.get(step.name)
            else:
                live = await self.kind.client.get(gvr, step.name)
        except NotServedError as error:
            return await self._unreadable(step, error)
        except NotFoundError:
            live = None
        except ClusterError as error:
            return await self._unreadable(step, error)
        return Found(node.id, () if live is None else (live,))

    async def _unreadable(self, step: Fetch, error: ClusterError) -> Unreadable:
        why = await self.kind.explain(error)
        problem = f"external ref get {gvk_text(step.node.gvk)} {step.name}: {why}"
        return Unreadable(step.node.id, error, problem)

    async def select(self, step: Select) -> Found | Unreadable:
        """Read the objects that a reference selects."""
        node = step.node
        gvr = node.mapped.gvr
        informed = self.cycle.watch_selector(node.id, gvr, step.selector, namespace=step.namespace)
        try:
            if await is_whole(informed):
                # The informer may hold more than the selection when many slices are watched.
                selector = LabelSelector.parse(step.selector)
                found = informed.list(namespace=step.namespace, selector=selector)
            else:
                page = await self.kind.client.list_all(
                    gvr, namespace=step.namespace, label_selector=step.selector
                )
                found = page.items
        except ClusterError as error:
            why = await self.kind.explain(error)
            problem = f"failed to list external collection {node.id}: {why}"
            return Unreadable(node.id, error, problem)
        return Found(node.id, tuple(found))
