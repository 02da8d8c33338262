from __future__ import annotations

import random

import pytest
import yaml

from kro.cli import yaml_nodes
from kro.cli.yaml_nodes import read_nodes


def values(text: str) -> list[object]:
    roots, faults = read_nodes(text)
    assert faults == []
    return [root.value for root in roots]


def problems(text: str) -> list[tuple[int, str]]:
    return [(fault.offset, fault.problem) for fault in read_nodes(text)[1]]


def test_documents_have_the_values_of_an_ordinary_reader() -> None:
    """Random JSON, written by PyYAML in its two styles, comes back as it was."""
    source = random.Random(7)

    def value(depth: int) -> object:
        match source.randrange(7 if depth < 4 else 5):
            case 0:
                return source.choice([None, True, False])
            case 1:
                return source.randrange(-1000, 1000)
            case 2:
                return source.randrange(1000) / 8
            case 3 | 4:
                return "".join(source.choice("ab: -#'\"\n\t{}[],&*!|>%@`é") for _ in range(9))
            case 5:
                return [value(depth + 1) for _ in range(source.randrange(4))]
            case _:
                return {f"k{i}": value(depth + 1) for i in range(source.randrange(4))}

    for _ in range(300):
        wanted = {"x": value(0)}
        for flow in (True, False):
            text = yaml.safe_dump(wanted, default_flow_style=flow, allow_unicode=True)
            assert values(text) == [wanted]


def test_places_are_those_of_keys_and_values() -> None:
    """Offsets count characters, not bytes."""
    text = "é: [1, {b: x}]\n"

    [root], _ = read_nodes(text)

    assert isinstance(root.children, dict)
    key_start, items = root.children["é"]
    assert (key_start, items.start, text[items.end - 1]) == (0, 3, "]")
    assert isinstance(items.children, list)
    inner = items.children[1]
    assert isinstance(inner.children, dict)
    assert inner.children["b"][0] == text.index("b")
    assert inner.children["b"][1].start == text.index("x")


def test_empty_documents_are_left_out() -> None:
    """`---` at start or end of a file is common."""
    assert values("---\n---\na: 1\n---\n# nothing\n") == [{"a": 1}]
    assert values("") == []


def test_merge_keys_fill_in_what_is_missing() -> None:
    """`<<` gives way to the object's own keys, and to earlier sources."""
    text = "a: &a {p: 1, q: 1}\nb: &b {q: 2, r: 2}\nc: {<<: [*a, *b], p: 9}\n"

    [document] = values(text)

    assert isinstance(document, dict)
    assert document["c"] == {"p": 9, "q": 1, "r": 2}
    assert values('"<<": 1\n') == [{"<<": 1}]


def test_keys_are_texts() -> None:
    """Numbers and booleans become their text, as JSON wants it."""
    assert values("1: a\ntrue: b\n1.5: c\n") == [{"1": "a", "true": "b", "1.5": "c"}]
    assert problems("{[1]: 2, null: 3}") == [
        (1, "a key must be a text, not an object or a list"),
        (9, "a key must be a text, not null"),
    ]


def test_key_that_stands_twice_is_a_fault_at_the_second() -> None:
    """JSON readers disagree on which one counts."""
    assert problems("a: 1\nb: 2\na: 3\n") == [
        (10, "the key 'a' stands here twice, first in line 1")
    ]


def test_syntax_error_keeps_the_documents_before_it() -> None:
    """And says where it is."""
    roots, [fault] = read_nodes("a: 1\n---\nb: [1, 2\n")

    assert [root.value for root in roots] == [{"a": 1}]
    assert fault.problem.startswith("YAML: ")
    assert fault.offset > 8


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('a: ${x ? "y" : "z"}', id="conditional"),
        pytest.param('- ${x.map(c, {k: "A" + c})}', id="map literal"),
    ],
)
def test_expression_that_yaml_takes_apart_is_to_be_quoted(text: str) -> None:
    """The mistake is not what YAML complains of, so the hint tells it."""
    _, [fault] = read_nodes(text)

    assert fault.hint == "put a text that holds `: ` into quotes"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("[" * 5000, "nested deeper", id="brackets"),
        pytest.param(
            "".join(f"{'  ' * i}a:\n" for i in range(400)), "nested deeper", id="indentation"
        ),
        pytest.param(
            "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 400)),
            "nested deeper",
            id="aliases within aliases",
        ),
        pytest.param(
            "a0: &a0 [x]\n"
            + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
            "values",
            id="aliases that double",
        ),
        pytest.param("a: *b", "no anchor", id="unknown alias"),
        pytest.param("a: &a {b: *a}", "within what it refers to", id="alias of itself"),
        pytest.param("a: \x07", "U+0007", id="control character"),
        pytest.param("a: {<<: 1}", "can be merged", id="merge of a number"),
        pytest.param("a: !!python/object:os.system x", "no meaning", id="tag"),
        pytest.param("a: .nan", "not a JSON number", id="not a number"),
        pytest.param("\ta: 1", "cannot start any token", id="tab"),
    ],
)
def test_what_cannot_be_read_is_a_fault_and_no_exception(text: str, problem: str) -> None:
    """Whatever the text, reading ends soon and says why it ended."""
    assert any(problem in found for _, found in problems(text)), problems(text)


def test_values_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of values holds time and memory down."""
    monkeypatch.setattr(yaml_nodes, "MAX_NODES", 100)

    assert problems("[" + "1," * 98 + "1]") == []
    assert len(problems("[" + "1," * 100 + "1]")) == 1


def test_faults_are_bounded() -> None:
    """A file full of mistakes is given up."""
    assert len(problems("a: .nan\n" * 1000)) <= yaml_nodes.MAX_PROBLEMS + 2
