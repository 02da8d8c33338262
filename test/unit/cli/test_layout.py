from __future__ import annotations

import random
from itertools import pairwise

from kro.cli.diagram import Box, Diagram, as_dot, as_mermaid
from kro.cli.diagram_page import as_page
from kro.cli.layout import lay_out


def random_graph(source: random.Random, size: int) -> dict[str, list[str]]:
    return {f"n{i}": [f"n{j}" for j in range(i) if source.random() < 2 / size] for i in range(size)}


def test_boxes_lie_below_what_they_need_and_apart_from_each_other() -> None:
    """On random graphs: layers follow the arrows, boxes of a layer keep their gap."""
    source = random.Random(5)
    for size in (1, 2, 5, 20, 60):
        depends_on = random_graph(source, size)

        layout = lay_out(depends_on, width=100, gap=20)

        for id_, needed in depends_on.items():
            assert all(layout.boxes[other].layer < layout.boxes[id_].layer for other in needed)
        for number in range(layout.layers):
            centres = sorted(box.x for box in layout.boxes.values() if box.layer == number)
            assert all(right - left >= 119.9 for left, right in pairwise(centres))
        assert min(box.x for box in layout.boxes.values()) >= 49.9


def test_arrows_go_layer_by_layer() -> None:
    """A long arrow has a point in every layer between, so that it runs between boxes."""
    layout = lay_out({"a": [], "b": ["a"], "c": ["b", "a"]}, width=10, gap=1)

    assert sorted(len(points) for points in layout.arrows) == [2, 2, 3]
    for points in layout.arrows:
        assert [point.layer for point in points] == list(
            range(points[0].layer, points[-1].layer + 1)
        )


def test_empty_graph_has_a_page() -> None:
    """A definition may have no resources."""
    assert "no resources" in as_page([Diagram("x", "X", ())])


EVIL = Diagram('"</svg><script>', "K<", (Box('a"b', 1, "K&<i>\n", "v1", ("external",), ()),))


def test_texts_cannot_leave_their_place_on_the_page() -> None:
    """Names come from the author; the page runs nothing and loads nothing."""
    page = as_page([EVIL])

    assert "<script" not in page
    assert "<i>" not in page
    assert "http" not in page.replace('http-equiv="', "").replace("http://www.w3.org/2000/svg", "")


def test_texts_cannot_leave_their_place_in_mermaid_and_dot() -> None:
    """Quotes and line ends are written out."""
    assert 'n1["1. a#quot;b<br/>K#amp;#lt;i#gt; <br/>(external)"]' in as_mermaid(EVIL)
    assert r'"a\"b" [label="1. a\"b\nK&<i> \n(external)"' in as_dot(EVIL)
