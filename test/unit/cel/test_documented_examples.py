"""The reference of functions: each of its examples is run, and no function is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from kro.cel import OMIT, RUNTIME, RUNTIME_VALUE, Environment, Pending
from kro.cel.library import KRO, OMIT_LIBRARY, STANDARD
from kro.errors import AuthorErrors, EvaluationError

_DOCUMENT = Path(__file__).parents[3] / "docs" / "cel-functions.md"
_BLOCK = re.compile(r"^```cel\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ENVIRONMENT = Environment({"runtime": RUNTIME}, omit=True)
_BINDINGS = {"runtime": RUNTIME_VALUE}


class Example(NamedTuple):
    """One line of a code block: the expression, and what the document says it leads to."""

    expression: str
    expected: str


def _examples() -> list[Example]:
    blocks = _BLOCK.findall(_DOCUMENT.read_text(encoding="utf-8"))
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    parts = [line.rpartition(" // ") for line in lines]
    return [Example(expression.strip(), expected.strip()) for expression, _, expected in parts]


EXAMPLES = _examples()


def _outcome(expression: str) -> tuple[str, str]:
    """Return how the expression ends, and the text of its error."""
    try:
        result = _ENVIRONMENT.compile(expression).evaluate(_BINDINGS)
    except AuthorErrors as errors:
        return "compile error", str(errors)
    except EvaluationError as error:
        return "error", error.problem
    if isinstance(result, Pending):
        return "pending", result.problem
    return "value", "omit()" if result is OMIT else repr(result)


@pytest.mark.parametrize(
    "example", [pytest.param(found, id=found.expression) for found in EXAMPLES]
)
def test_example_leads_to_what_the_document_says(example: Example) -> None:
    """A value is equal to the one shown and of its type; an error has the text shown."""
    kind, colon, fragment = example.expected.partition(": ")
    if colon and kind in ("error", "compile error", "pending"):
        outcome, text = _outcome(example.expression)
        assert outcome == kind, text
        assert fragment in text
        return
    left, right = example.expression, example.expected
    comparison = f"type({left}) == type({right}) && dyn({left}) == dyn({right})"
    assert _outcome(comparison) == ("value", "True"), _outcome(left)


def test_document_has_examples() -> None:
    """The pattern that finds the examples finds them."""
    assert len(EXAMPLES) > 200


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            function.name
            for library in (STANDARD, *KRO, OMIT_LIBRARY)
            for function in library.functions
            if not function.name.startswith("@")
        }
    ),
)
def test_every_function_has_an_example(name: str) -> None:
    """Whoever adds a function shows it at work."""
    called = re.compile(rf"(?<![A-Za-z]){re.escape(name)}\(")

    assert any(called.search(example.expression) for example in EXAMPLES)
