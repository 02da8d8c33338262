"""Order, deletion waves and cycles."""

from __future__ import annotations

import random

import pytest

from kro.errors import InvariantError
from kro.graph.dag import deletion_waves, find_cycles, topological_order


def graph(text: str) -> dict[str, set[str]]:
    """Return the graph of `a<b` (a depends on b) and lone ids."""
    edges: dict[str, set[str]] = {}
    for word in text.split():
        id_, _, on = word.partition("<")
        edges[id_] = set(on.split(",")) if on else set()
    return edges


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("a b c", "a b c"),
        ("a<b b", "b a"),
        ("a<c b c", "b c a"),
        ("a<b b<c c d", "c b a d"),
        ("a b<d c d e<b", "a c d b e"),
        ("a<f b<f c d e f", "c d e f a b"),
    ],
)
def test_free_nodes_keep_the_authors_order(text: str, order: str) -> None:
    """The lowest index goes first, as soon as its last dependency is out (spec §3.4)."""
    assert topological_order(graph(text)) == tuple(order.split())


def test_order_agrees_with_repeated_choice() -> None:
    """Against the definition: again and again the first free id of the list."""
    rng = random.Random(7)
    for _ in range(200):
        ids = [f"n{i}" for i in range(rng.randrange(1, 15))]
        rank = {id_: rng.random() for id_ in ids}
        edges = {
            id_: {other for other in ids if rank[other] < rank[id_] and rng.random() < 0.3}
            for id_ in ids
        }
        expected: list[str] = []
        while len(expected) < len(ids):
            expected.append(next(i for i in ids if i not in expected and edges[i] <= set(expected)))

        assert topological_order(edges) == tuple(expected)
        assert not find_cycles(edges)


def test_deletion_goes_from_dependents_to_what_they_depend_on() -> None:
    """Independent nodes are in the highest wave (spec §3.5)."""
    edges = graph("a<b b<c c d")

    assert deletion_waves(edges, topological_order(edges)) == {"a": 3, "b": 2, "c": 1, "d": 3}
    assert deletion_waves({}, ()) == {}


def test_waves_are_the_layers_of_peeling() -> None:
    """Against the definition: take off what nobody depends on, layer by layer."""
    rng = random.Random(11)
    for _ in range(200):
        ids = [f"n{i}" for i in range(rng.randrange(1, 15))]
        edges = {
            id_: {other for other in ids[:i] if rng.random() < 0.3} for i, id_ in enumerate(ids)
        }
        layers: list[set[str]] = []
        left = set(ids)
        while left:
            needed = set().union(*(edges[id_] for id_ in left))
            layers.append(left - needed)
            left &= needed

        waves = deletion_waves(edges, topological_order(edges))

        assert waves == {id_: len(layers) - i for i, layer in enumerate(layers) for id_ in layer}


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        pytest.param("a<b b", [], id="none"),
        pytest.param("a<b b<a", ["a b a"], id="two"),
        pytest.param("x<a a<b b<c c<a", ["a b c a"], id="what leads to it is not in it"),
        pytest.param("a<b b<a c<d d<c", ["a b a", "c d c"], id="two cycles"),
        pytest.param("a<b,c b<d c<a d<a", ["a c a"], id="the shortest one of a knot"),
        pytest.param("a<a", ["a a"], id="itself"),
    ],
)
def test_each_knot_is_named_by_a_whole_cycle(text: str, cycles: list[str]) -> None:
    """The walk is closed and begins at the group's first id."""
    assert [" ".join(cycle) for cycle in find_cycles(graph(text))] == cycles


def test_cycle_of_any_length_is_found() -> None:
    """No recursion: a definition may be as long as it likes."""
    ids = [f"n{i}" for i in range(5000)]
    edges = {id_: {ids[(i + 1) % len(ids)]} for i, id_ in enumerate(ids)}

    [cycle] = find_cycles(edges)

    assert cycle == (*ids, "n0")


def test_order_of_a_cycle_is_our_bug() -> None:
    """Callers look for cycles first."""
    with pytest.raises(InvariantError):
        topological_order(graph("a<b b<a"))
