"""Expressions, templates and assignability, evaluated in kro's environment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conformance.suite import Case, Mismatch, Skip, Suite, expect
from kro.cel import (
    DYN,
    OMIT,
    CelType,
    Environment,
    Expression,
    Pending,
    Template,
    accepts,
    parse_template,
    schema_type,
    wrap,
)
from kro.errors import AuthorError, AuthorErrors, EvaluationError


def load(document: Any) -> Iterable[Case]:
    """Return the cases of a YAML list."""
    return [Case(str(data["name"]), data) for data in document]


def run(case: Case) -> Skip | None:
    """Compile and evaluate one case."""
    data = case.data
    try:
        expression = _compiled(data)
    except (AuthorError, AuthorErrors) as error:
        if data.get("error") != "compile":
            raise Mismatch(f"does not compile: {error}") from error
        _contains(data, str(error))
        return None
    if data.get("error") == "compile":
        raise Mismatch(f"compiles, as {expression.type}")
    if "type" in data and data["type"] != str(expression.type):
        raise Mismatch(f"type: expected {data['type']}, got {expression.type}")
    if "expect_assignable" in data:
        _assignable(data, expression)
    if "expect" in data or "error" in data:
        _evaluated(data, expression)
    return None


def _compiled(data: dict[str, Any]) -> Expression:
    environment = Environment(_variables(data), omit=True)
    if "expr" in data:
        return environment.compile(str(data["expr"]))
    text = str(data["template"])
    template = parse_template(text)
    return environment.compile(Template.literal(text) if template is None else template)


def _variables(data: dict[str, Any]) -> dict[str, CelType]:
    variables: dict[str, CelType] = dict.fromkeys(data.get("context") or {}, DYN)
    for name, schema in (data.get("schemas") or {}).items():
        type_ = schema_type(schema, f"__type_{name}")
        if type_ is not None:
            variables[name] = type_
        else:
            variables.pop(name, None)
    return variables


def _evaluated(data: dict[str, Any], expression: Expression) -> None:
    types = _variables(data)
    bindings = {
        name: wrap(value, types.get(name, DYN))
        for name, value in (data.get("context") or {}).items()
    }
    try:
        result = expression.evaluate(bindings)
    except EvaluationError as error:
        if data.get("error") != "runtime":
            raise Mismatch(f"fails: {error.problem}") from error
        _contains(data, str(error))
        return
    if isinstance(result, Pending):
        if data.get("error") != "pending":
            raise Mismatch(f"pending: {result.problem}")
        _contains(data, result.problem)
        return
    if "error" in data:
        raise Mismatch(f"expected a {data['error']} error, got {result!r}")
    expect(_omitted(data["expect"]), result)


def _omitted(value: Any) -> Any:
    """Return the value with `{$omit: true}` replaced by the sentinel."""
    if isinstance(value, dict):
        if value == {"$omit": True}:
            return OMIT
        return {key: _omitted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_omitted(one) for one in value]
    return value


def _assignable(data: dict[str, Any], expression: Expression) -> None:
    expected = schema_type(data["target"], "__type_target") or DYN
    reason = accepts(expected, expression.type)
    if (reason is None) is not data["expect_assignable"]:
        raise Mismatch(
            f"{expression.type} to {expected}: expected assignable={data['expect_assignable']}"
            + (f", but: {reason}" if reason else "")
        )


def _contains(data: dict[str, Any], text: str) -> None:
    fragment = data.get("error_contains")
    if fragment and fragment not in text:
        raise Mismatch(f"error text lacks {fragment!r}: {text}")


SUITE = Suite("cel", "cel.yaml", load, run)
