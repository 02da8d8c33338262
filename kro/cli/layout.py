"""Where the boxes of a drawing go: in layers, with few crossings.

Each box lies one layer below the lowest of those it depends on; an arrow over several layers bends
at a point in each of them. Within a layer, boxes are sorted by the mean place of their neighbours
above and below, some rounds of it, and then moved towards that mean as far as there is room.

Source: the layered drawing of Sugiyama, Tagawa and Toda (1981).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_ROUNDS = 8
_MAX_POINTS = 4000
"""Bends of long arrows; a graph that needs more gets straight ones."""


@dataclass(slots=True)
class Place:
    """A box, or a bend of an arrow, in a layer."""

    layer: int
    width: float
    x: float = 0.0
    above: list[Place] = field(default_factory=list, repr=False)
    below: list[Place] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where boxes are, and through which points arrows go."""

    boxes: Mapping[str, Place]
    arrows: Sequence[tuple[Place, ...]]
    """From what is needed to what needs it; both ends included."""
    layers: int


def lay_out(depends_on: Mapping[str, Sequence[str]], *, width: float, gap: float) -> Layout:
    """Return a place for every box; `x` are centres, from 0 on.

    Args:
        depends_on: what each box needs; boxes come after all that they need.
        width: of a box.
        gap: between two boxes.
    """
    boxes: dict[str, Place] = {}
    for id_, needed in depends_on.items():
        number = 1 + max((boxes[other].layer for other in needed), default=-1)
        boxes[id_] = Place(number, width)
    layers: list[list[Place]] = [
        [] for _ in range(1 + max((b.layer for b in boxes.values()), default=0))
    ]
    for box in boxes.values():
        layers[box.layer].append(box)
    bends = sum(
        boxes[id_].layer - boxes[other].layer - 1
        for id_, needed in depends_on.items()
        for other in needed
    )
    arrows = [
        _arrow(boxes[other], boxes[id_], layers if bends <= _MAX_POINTS else None)
        for id_, needed in depends_on.items()
        for other in needed
    ]
    for layer in layers:
        _spread(layer, gap)
    for turn in range(_ROUNDS):
        downwards = turn % 2 == 0
        for layer in layers if downwards else reversed(layers):
            layer.sort(key=lambda place: _mean(place, downwards=downwards))
            _spread(layer, gap)
    for turn in range(_ROUNDS):
        for layer in layers if turn % 2 == 0 else reversed(layers):
            _settle(layer, gap)
    left = min((place.x - place.width / 2 for layer in layers for place in layer), default=0.0)
    for layer in layers:
        for place in layer:
            place.x -= left
    return Layout(boxes, arrows, len(layers))


def _arrow(start: Place, end: Place, layers: list[list[Place]] | None) -> tuple[Place, ...]:
    points = [start]
    if layers is not None:
        for number in range(start.layer + 1, end.layer):
            bend = Place(number, 0.0)
            layers[number].append(bend)
            points.append(bend)
    points.append(end)
    for upper, lower in pairwise(points):
        upper.below.append(lower)
        lower.above.append(upper)
    return tuple(points)


def _mean(place: Place, *, downwards: bool) -> float:
    neighbours = place.above if downwards else place.below
    return sum(other.x for other in neighbours) / len(neighbours) if neighbours else place.x


def _spread(layer: Sequence[Place], gap: float) -> None:
    """Put the places of a layer side by side, its middle at 0."""
    total = sum(place.width + gap for place in layer) - gap
    x = -total / 2
    for place in layer:
        place.x = x + place.width / 2
        x += place.width + gap


def _settle(layer: Sequence[Place], gap: float) -> None:
    """Move places towards the mean of all their neighbours; order and gaps stay."""
    wanted = []
    for place in layer:
        neighbours = place.above + place.below
        mean = sum(other.x for other in neighbours) / len(neighbours) if neighbours else place.x
        wanted.append(mean)
    left = list(wanted)
    for i in range(1, len(layer)):
        left[i] = max(left[i], left[i - 1] + _distance(layer[i - 1], layer[i], gap))
    right = list(wanted)
    for i in range(len(layer) - 2, -1, -1):
        right[i] = min(right[i], right[i + 1] - _distance(layer[i], layer[i + 1], gap))
    for place, low, high in zip(layer, left, right, strict=True):
        place.x = (low + high) / 2


def _distance(left: Place, right: Place, gap: float) -> float:
    return (left.width + right.width) / 2 + gap
