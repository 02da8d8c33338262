"""The reference of functions: each of its examples is run, and nothing is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from kro.cel.library import KRO, OMIT_LIBRARY, STANDARD
from kro.cel.macros import MACROS
from kro.cel.operators import OPERATORS
from support.documents.blocks import Page
from support.documents.reader import example_problem

_DOCUMENT = Path(__file__).parents[3] / "docs" / "cel-functions.md"


class Example(NamedTuple):
    """One line of a code block: the expression, and what the document says it leads to."""

    expression: str
    expected: str


def _examples() -> list[Example]:
    blocks = [block.text for block in Page(_DOCUMENT).blocks if block.kind == "cel"]
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    parts = [line.rpartition(" // ") for line in lines]
    return [Example(expression.strip(), expected.strip()) for expression, _, expected in parts]


EXAMPLES = _examples()
FUNCTIONS = {
    function.name
    for library in (STANDARD, *KRO, OMIT_LIBRARY)
    for function in library.functions
    if not function.name.startswith("@")
}
MACRO_NAMES = {
    f"{macro.namespace}.{macro.name}" if macro.namespace else macro.name for macro in MACROS.macros
}


@pytest.mark.parametrize(
    "example", [pytest.param(found, id=found.expression) for found in EXAMPLES]
)
def test_example_leads_to_what_the_document_says(example: Example) -> None:
    """A value is equal to the one shown and of its type; an error has the text shown."""
    problem = example_problem(example.expression, example.expected)

    assert not problem


def test_document_has_examples() -> None:
    """The pattern that finds the examples finds them."""
    assert len(EXAMPLES) > 200


@pytest.mark.parametrize("name", sorted(FUNCTIONS | MACRO_NAMES))
def test_every_function_and_macro_has_an_example(name: str) -> None:
    """Whoever adds one shows it at work."""
    called = re.compile(rf"(?<![A-Za-z]){re.escape(name)}\(")

    assert any(called.search(example.expression) for example in EXAMPLES)


@pytest.mark.parametrize(
    "sign", sorted(f.name.replace("_", "") for f in OPERATORS.functions if "@" not in f.name)
)
def test_every_operator_has_an_example(sign: str) -> None:
    """Operators are functions whose names are their signs, with `_` for the operands."""
    pattern = ".*".join(map(re.escape, sign)) if sign[0] in "?[" else re.escape(sign)

    assert any(re.search(pattern, example.expression) for example in EXAMPLES)
