"""Order in a graph of dependencies: what comes first, what is deleted last, what goes in circles.

Everywhere, `depends_on` maps each id, in the author's order, to the ids it depends on; every one of
these is a key itself. Source: spec graph-and-rgd-controller.md §3.4-3.6.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterator, Mapping

from kro.errors import InvariantError


def topological_order(depends_on: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Return all ids, each after everything it depends on; the first free one goes first.

    It is a priority queue, not layer by layer: an early id jumps ahead as soon as its last
    dependency is out.

    Raises:
        InvariantError: there is a cycle; callers look for those first.
    """
    ids = list(depends_on)
    index = {id_: i for i, id_ in enumerate(ids)}
    missing = {id_: len(set(on)) for id_, on in depends_on.items()}
    dependents = _dependents(depends_on)
    free = [index[id_] for id_ in ids if not missing[id_]]
    order: list[str] = []
    while free:
        id_ = ids[heapq.heappop(free)]
        order.append(id_)
        for dependent in dependents[id_]:
            missing[dependent] -= 1
            if not missing[dependent]:
                heapq.heappush(free, index[dependent])
    if len(order) < len(ids):
        raise InvariantError("the order of a graph with a cycle was asked for")
    return tuple(order)


def deletion_waves(
    depends_on: Mapping[str, Collection[str]], order: tuple[str, ...]
) -> dict[str, int]:
    """Return the deletion wave of each id, counted from 1; the highest wave is deleted first.

    `order` is the topological order. What nobody depends on has the highest number; everything
    else comes in the wave right below the lowest of its dependents.
    """
    dependents = _dependents(depends_on)
    layer: dict[str, int] = {}
    for id_ in reversed(order):
        layer[id_] = max((layer[dependent] + 1 for dependent in dependents[id_]), default=0)
    layers = max(layer.values(), default=0) + 1
    return {id_: layers - layer[id_] for id_ in depends_on}


def find_cycles(depends_on: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """Return one closed walk for each group of ids that depend on each other.

    A walk starts and ends at the group's first id, in the author's order, and is as short as
    possible: `(a, b, a)` where a depends on b and b on a.
    """
    index = {id_: i for i, id_ in enumerate(depends_on)}
    cycles: list[tuple[str, ...]] = []
    for group in _knots(depends_on):
        start = min(group, key=index.__getitem__)
        cycles.append(_shortest_walk(start, group, depends_on, index))
    return sorted(cycles, key=lambda cycle: index[cycle[0]])


def _dependents(depends_on: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    dependents: dict[str, list[str]] = {id_: [] for id_ in depends_on}
    for id_, on in depends_on.items():
        for dependency in set(on):
            dependents[dependency].append(id_)
    return dependents


def _shortest_walk(
    start: str,
    group: set[str],
    depends_on: Mapping[str, Collection[str]],
    index: Mapping[str, int],
) -> tuple[str, ...]:
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        id_ = queue.popleft()
        for dependency in sorted(set(depends_on[id_]) & group, key=index.__getitem__):
            if dependency == start:
                walk = [start, id_]
                while walk[-1] != start:
                    walk.append(came_from[walk[-1]])
                return tuple(reversed(walk))
            if dependency not in came_from:
                came_from[dependency] = id_
                queue.append(dependency)
    raise InvariantError("a strongly connected group without a cycle")


def _knots(depends_on: Mapping[str, Collection[str]]) -> Iterator[set[str]]:
    """Yield the strongly connected groups that hold a cycle.

    Peeling is not enough (it leaves what merely leads to a cycle), so this is Tarjan's algorithm
    with an explicit stack: a chain of thousands of nodes must not end the recursion.
    """
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_ids: list[str] = []
    is_open: set[str] = set()
    for root in depends_on:
        if root in number:
            continue
        work: list[tuple[str, Iterator[str]]] = []
        entering: str | None = root
        while entering is not None or work:
            if entering is not None:
                number[entering] = low[entering] = len(number)
                open_ids.append(entering)
                is_open.add(entering)
                work.append((entering, iter(depends_on[entering])))
                entering = None
            id_, rest = work[-1]
            for dependency in rest:
                if dependency not in number:
                    entering = dependency
                    break
                if dependency in is_open:
                    low[id_] = min(low[id_], number[dependency])
            if entering is not None:
                continue
            work.pop()
            if work:
                parent = work[-1][0]
                low[parent] = min(low[parent], low[id_])
            if low[id_] == number[id_]:
                group = {id_}
                while open_ids[-1] != id_:
                    group.add(open_ids.pop())
                open_ids.pop()
                is_open -= group
                if len(group) > 1 or id_ in depends_on[id_]:
                    yield group
