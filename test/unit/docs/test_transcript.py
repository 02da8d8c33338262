"""What is printed against what is shown: gaps stand for anything, all else is what it is."""

from __future__ import annotations

import pytest

from support.documents.blocks import ROOT, Block
from support.documents.transcript import differs, entries


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        pytest.param("a\nb", "a\nb\n", True, id="equal"),
        pytest.param("a\nb", "a\nb\nc\n", False, id="more is printed"),
        pytest.param("a\nb\nc", "a\nb\n", False, id="less is printed"),
        pytest.param("a …", "a long line\n", True, id="the rest of a line"),
        pytest.param("a …z", "a long line\n", False, id="the end of a line"),
        pytest.param("a\n…\nz", "a\nb\nc\nz\n", True, id="lines between"),
        pytest.param("a\n…\nz", "a\nz\n", True, id="no lines between"),
        pytest.param("a\n…", "a\nb\n", True, id="the rest"),
        pytest.param("…\nz", "a\nz\n", True, id="the beginning"),
        pytest.param("…\nz", "a\nz\nb\n", False, id="not the end"),
        pytest.param("a\n…\nb\nc\n…\nd", "a\nb\nx\nb\nc\nd\n", True, id="a run further on"),
        pytest.param("a\n…\na", "a\n", False, id="no line counts twice"),
        pytest.param(
            "NAME  AGE\na     …", "NAME          AGE\na             3s\n", True, id="columns"
        ),
        pytest.param("  a", "    a\n", False, id="indentation"),
        pytest.param("a.c", "abc\n", False, id="no pattern"),
    ],
)
def test_gaps_stand_for_anything_and_nothing_else_does(
    shown: str, printed: str, same: bool
) -> None:
    """A line of `…` alone is any number of lines, `…` within one any part of it."""
    assert (differs(tuple(shown.splitlines()), printed) == "") is same


def test_commands_and_what_is_shown_below_them() -> None:
    """A backslash at the end of a line goes on in the next one; empty lines at the ends go."""
    block = Block(ROOT / "README.md", 10, "console", "$ a \\\n    --b\nout\n\n$ c\n")

    found = [(entry.line, entry.command, entry.shown) for entry in entries(block)]

    assert found == [(11, "a --b", ("out",)), (15, "c", ())]
