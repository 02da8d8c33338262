"""Expressions in, values out: the functions are tested through the language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kro.cel import DYN, Environment, Pending
from kro.errors import AuthorErrors, EvaluationError

Outcome = Callable[..., Any]


@pytest.fixture(scope="session")
def evaluate() -> Outcome:
    """Return a function from an expression (and dyn variables) to its value, or to `kind: text`."""

    def run(expression: str, variables: Mapping[str, Any] | None = None) -> Any:
        bindings = dict(variables or {})
        try:
            compiled = Environment(dict.fromkeys(bindings, DYN), omit=True).compile(expression)
            result = compiled.evaluate(bindings)
        except AuthorErrors as errors:
            problems = [str(error).partition("\n")[0] for error in errors.exceptions]
            return "compile error: " + "; ".join(problems)
        except EvaluationError as error:
            return f"error: {error.problem}"
        return f"pending: {result.problem}" if isinstance(result, Pending) else result

    return run
