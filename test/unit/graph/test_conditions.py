"""The author's own conditions."""

from __future__ import annotations

from typing import Any

import pytest

from support.definitions import compiled, definition, errors_of, widget


def with_conditions(*texts: object) -> Any:
    """Return a definition with these conditions and one resource `w`."""
    return definition(widget("w"), status={"conditions": list(texts)})


def condition(type_: str, status: str = "'True'") -> str:
    """Return the expression of one condition."""
    return f"${{runtime.newCondition({{type: '{type_}', status: {status}}})}}"


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([], id="none"),
        pytest.param([condition("A"), condition("B")], id="two"),
        pytest.param(["${[runtime.newCondition({type: 'A', status: 'True'})]}"], id="a list"),
        pytest.param(["${w.status.conditions.map(c, dyn(c))}"], id="a list of anything"),
        pytest.param(["${runtime.condition(w, 'Ready')}"], id="a child's own"),
        pytest.param([condition("Ready", "runtime.condition(schema, 'Ready').status")], id="Ready"),
        pytest.param(
            ["${true ? " + condition("A")[2:-1] + " : " + condition("A")[2:]], id="branch"
        ),
    ],
)
def test_conditions_are_kept_in_order(texts: list[str]) -> None:
    """Each gives one condition or a list; one type may stand in two branches of one entry."""
    graph = compiled(with_conditions(*texts))

    assert [expression.source for expression in graph.instance.conditions] == texts


@pytest.mark.parametrize(
    ("texts", "path", "problem"),
    [
        pytest.param(
            [condition("A"), condition("A")],
            "[1]",
            'condition type "A" is declared by more than one conditions entry',
            id="type twice",
        ),
        pytest.param(
            [condition("A"), condition("B", "runtime.condition(schema, 'A').status")],
            "[1]",
            'runtime.condition(schema, "A"): custom conditions cannot reference each other',
            id="reads another one",
        ),
        pytest.param(
            ["${runtime.condition(schema, 'Redy')}"],
            "[0]",
            'runtime.condition(schema, "Redy"): unknown condition type',
            id="reads an unknown one",
        ),
        pytest.param(
            [condition("A", "'yes'")],
            "[0]",
            'status must be one of True, False, Unknown (got "yes")',
            id="status",
        ),
        pytest.param([condition("")], "[0]", "type must not be empty", id="empty type"),
        pytest.param(
            ["${w.status.phase}"],
            "[0]",
            "condition expressions must return runtime.newCondition(...) or a list of them, "
            'got "string"',
            id="result",
        ),
        pytest.param([3], "[0]", "must be a CEL expression string, got int64", id="no text"),
        pytest.param(["x"], "[0]", "only standalone expressions are allowed", id="no expression"),
        pytest.param(
            ["${each.x}"], "[0]", "references unknown identifiers: [each]", id="name not allowed"
        ),
        pytest.param(["${omit()}"], "[0]", "omit() can only be used in", id="omit"),
    ],
)
def test_wrong_condition_is_told_once(texts: list[object], path: str, problem: str) -> None:
    """Checks of literals come before those of types, and only one speaks (graph §5.3)."""
    [error] = errors_of(with_conditions(*texts), omit=True)

    assert error.path == f"spec.schema.status.conditions{path}"
    assert problem in error.problem
