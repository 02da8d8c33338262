from __future__ import annotations

import pytest

from kro.cli.places import MAX_LINE, Text, find, offset_of, offset_within
from kro.cli.yaml_nodes import read_nodes
from kro.errors import Excerpt

MANIFEST = """\
spec:
  items:
    - name: one
    - {name: two, "a.b/c": 3, "x[0]": 4, '': 5}
  a: {b.c: 1, b: {c: 2}}
"""


def root(text: str):  # type: ignore[no-untyped-def]  # the node has no public constructor worth naming
    return read_nodes(text)[0][0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.items[1].name", "two"),
        ('spec.items[1]["a.b/c"]', 3),
        ("spec.items[1].a.b/c", 3),
        ('spec.items[1]["x[0]"]', 4),
        ("spec.items[1].x[0]", 4),
        ("spec.a.b.c", 1),
        ('spec.a["b.c"]', 1),
    ],
)
def test_path_is_found_however_its_keys_are_written(path: str, value: object) -> None:
    """Keys with dots or brackets may stand in brackets or plainly; the longest key wins."""
    found = find(root(MANIFEST), path)

    assert found.whole
    assert found.node.value == value


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("spec.missing", "spec:"),
        ("spec.items[7].name", "items:"),
        ("spec.items[0].name.deeper", "name: one"),
        ("nowhere", "spec:"),
    ],
)
def test_missing_value_is_shown_at_the_key_that_lacks_it(path: str, at: str) -> None:
    """What is not there has no place of its own."""
    text = Text("f", MANIFEST)
    found = find(root(MANIFEST), path)

    assert not found.whole
    assert MANIFEST.startswith(at, offset_of(text, found, at_key=False))


def test_tag_and_anchor_are_not_the_value() -> None:
    """The caret points at what the author wrote."""
    content = "a: &x !!str value\n"
    text = Text("f", content)

    offset = offset_of(text, find(root(content), "a"), at_key=False)

    assert content[offset:].startswith("value")


@pytest.mark.parametrize(
    "scalar",
    [
        pytest.param("before ${here} after", id="plain"),
        pytest.param("'it''s ${here} '", id="single quotes"),
        pytest.param(r'"tab\t\x41\u00e9 \"${here}\" "', id="double quotes"),
        pytest.param('"a\n\n   b \\\n   ${here}"', id="double quotes over lines"),
        pytest.param("|\n   one\n     two\n   ${here} x\n", id="literal"),
        pytest.param("|2-\n     one\n   ${here}\n", id="literal with indentation"),
        pytest.param(">\n   one\n   two ${here}\n\n   three\n", id="folded"),
        pytest.param("one\n   two\n   ${here}", id="plain over lines"),
        pytest.param("&x !!str ${here}", id="anchor and tag"),
    ],
)
def test_caret_within_an_expression_is_found_in_the_file(scalar: str) -> None:
    """Whatever the style of the scalar, the place is exact."""
    content = f"a:\n b: {scalar}\nc: 1\n"
    found = find(root(content), "a.b")
    value = found.node.value
    assert isinstance(value, str)
    line, column = divmod_text(value, value.index("here"))

    offset = offset_within(
        Text("f", content), found.node, Excerpt(text=value, line=line, column=column)
    )

    assert offset is not None
    assert content[offset:].startswith("here")


def divmod_text(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1)


def test_caret_behind_the_end_of_an_expression_is_found() -> None:
    """A syntax error may be that the text ends."""
    content = "a: ${x +}\n"
    found = find(root(content), "a")

    offset = offset_within(Text("f", content), found.node, Excerpt(text="x +", line=1, column=3))

    assert offset == content.index("}")


def test_part_of_a_value_that_stands_there_twice_has_no_place() -> None:
    """Rather none than the wrong one."""
    content = "a: x > 1 x > 1\n"
    found = find(root(content), "a")

    assert (
        offset_within(Text("f", content), found.node, Excerpt(text="x > 1", line=1, column=0))
        is None
    )
    assert (
        offset_within(Text("f", content), found.node, Excerpt(text="zzz", line=1, column=0)) is None
    )


def test_text_knows_lines_and_columns() -> None:
    """Both count from 1; of very long lines only a part is shown."""
    text = Text("f", "ab\r\ncd\n" + "x" * 5000)

    assert text.position(0) == (1, 1)
    assert text.position(5) == (2, 2)
    assert text.around(1) == ("ab", 1)
    shown, caret = text.around(7 + 3000)
    assert len(shown) == MAX_LINE
    assert shown[caret] == "x"
