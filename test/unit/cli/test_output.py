from __future__ import annotations

import random

import pytest
import yaml

from kro.cli.output import count_text, to_json, to_yaml
from kro.cli.report import Diagnostic, Severity
from kro.cli.yaml_nodes import read_nodes
from kro.refs import JsonValue

WORDS = [
    "", "y", "n", "yes", "No", "null", "~", "1e3", "0o17", "017", "1:30", "2001-01-01", ".5", "0x1",
    ".inf", "=", "<<", "a: b", "- a", "[x", "#c", " x", "x ", "a\nb", "a\nb\n", "\n", "x \ny",
    "\ty",
    "é", "\U0001f600", "\x07", "\u2028", "---", "...", "!x", "&x", "*x", "%x", "@x", "`x", "'", '"',
    "|", ">", "?", "true", "1_0", "0b1",
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_yaml_texts_stay_texts(word: str) -> None:
    """For kro's own reader and for one of YAML 1.1, as keys and as values."""
    text = to_yaml({word: [word]})

    roots, faults = read_nodes(text)

    assert faults == []
    assert roots[0].value == {word: [word]}
    assert yaml.safe_load(text) == {word: [word]}


def test_yaml_repeats_shared_parts() -> None:
    """Anchors in a manifest confuse people."""
    shared: JsonValue = {"a": 1}

    assert to_yaml({"x": shared, "z": shared}) == "x:\n  a: 1\nz:\n  a: 1\n"


def test_random_values_come_back() -> None:
    """What is printed can be applied."""
    source = random.Random(1)
    for _ in range(200):
        value: JsonValue = {
            str(i): source.choice([None, True, 1, -1.5, [], {}, "x", source.choice(WORDS)])
            for i in range(5)
        }
        assert read_nodes(to_yaml(value))[0][0].value == value
        assert read_nodes(to_json(value))[0][0].value == value


def test_counts_are_words() -> None:
    """The last line of an output."""
    error, warning = Diagnostic(message="e"), Diagnostic(message="w", severity=Severity.WARNING)

    assert count_text([error, warning, error]) == "2 errors, 1 warning"
    assert count_text([]) == ""
