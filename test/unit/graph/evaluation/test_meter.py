"""A frame tells its meter of every piece of work, and instants go through unchanged."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kro.graph import Graph
from kro.graph.evaluation import (
    Answer,
    Applied,
    Apply,
    Frame,
    Look,
    Looked,
    Seen,
    Step,
    project,
)
from support.definitions import compiled, config_map, definition, widget

INSTANCE: dict[str, Any] = {
    "apiVersion": "kro.run/v1alpha1",
    "kind": "App",
    "metadata": {"name": "app", "uid": "u-1", "generation": 1, "namespace": "team-a"},
    "spec": {"name": "web", "on": False},
}


class Recording:
    """Counts what it is told; its instants are numbers of its own."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.given: set[float] = set()

    def now(self) -> float:
        """Return an instant that was never given before."""
        self.given.add(float(len(self.given)))
        return float(len(self.given) - 1)

    def created(self, since: float) -> None:
        """Count a frame."""
        self._tell("created", since)

    def evaluated(self, since: float) -> None:
        """Count an evaluation."""
        self._tell("evaluated", since)

    def resolved(self, since: float, *, broken: bool) -> None:
        """Count a node or a status."""
        self._tell("broken" if broken else "resolved", since)

    def expanded(self, size: int) -> None:
        """Remember a size."""
        self.sizes.append(size)

    def included(self, *, ignored: bool) -> None:
        """Count a decision."""
        self.told["ignored" if ignored else "included"] += 1

    def checked(self, *, ready: bool) -> None:
        """Count a decision."""
        self.told["ready" if ready else "not ready"] += 1

    def _tell(self, what: str, since: float) -> None:
        assert since in self.given
        self.told[what] += 1


def _perform(step: Step) -> Answer:
    """Answer as an empty cluster that takes everything."""
    match step:
        case Look(node, desired):
            return Looked(node.id, tuple(Seen(None) for _ in desired))
        case Apply(node, targets):
            return Applied(node.id, tuple(target.desired for target in targets))
    raise AssertionError(f"not expected: {step}")


def _passed(graph: Graph, meter: Recording) -> Frame:
    frame = Frame(graph, INSTANCE, meter=meter)
    while steps := frame.next_steps():
        frame.record([_perform(step) for step in steps])
    return frame


def test_every_piece_of_work_is_told() -> None:
    """Spec §8.5: frames, nodes, expressions, decisions, and sizes of collections."""
    graph = compiled(
        definition(
            config_map("base", data={"v": "${schema.spec.name}"}),
            config_map("off", data={"v": "x"}) | {"includeWhen": ["${schema.spec.on}"]},
            config_map("below", data={"v": "${off.data.v}"}),
            widget("door", readyWhen=["${door.status.phase == 'open'}"]),
            status={"seen": "${base.data.v}"},
        )
    )
    meter = Recording()

    frame = _passed(graph, meter)
    project(graph, frame.bindings, meter)

    assert meter.told == {
        "created": 1,
        "resolved": 3,  # base, door, and the status
        "evaluated": 4,  # includeWhen of off, data of base, readyWhen of door, the status field
        "included": 2,
        "ignored": 2,  # off by its own, below by what it depends on
        "ready": 1,
        "not ready": 1,
    }


def test_a_broken_node_is_told_as_broken() -> None:
    """An expression that cannot work with the data is an error of the node."""
    graph = compiled(
        definition(config_map("base", data={"v": "${string(1 / int(schema.spec.name))}"}))
    )
    meter = Recording()

    _passed(graph, meter)

    assert meter.told["broken"] == 1


def test_the_size_of_a_collection_is_told() -> None:
    """Spec §8.5: `runtime_collection_size`."""
    graph = compiled(
        definition(
            config_map("many", name="${'n-' + i}", data={"v": "${i}"})
            | {"forEach": [{"i": "${['a', 'b', 'c']}"}]},
        )
    )
    meter = Recording()

    _passed(graph, meter)

    assert meter.sizes == [3]
