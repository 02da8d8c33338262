"""`validation` markers: rules that the API server would refuse when the generated CRD is written.

The API server compiles them in an environment of its own, so only what is wrong in both is reported
here: syntax, fields that do not exist, results that are no bool, rules that the field's own default
breaks. The rest is left to it.

Source: spec simpleschema.md §2.4, §8.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from kro.cel import (
    DYN,
    CelType,
    Environment,
    Expression,
    Kind,
    Pending,
    Template,
    schema_type,
    wrap,
)
from kro.errors import AuthorError, AuthorErrors, EvaluationError, ExpressionError
from kro.graph.problems import Problems, each
from kro.refs import JsonObject
from kro.schema import Validation

_NAMES = ("self", "oldSelf")


def check_rules(rules: Iterable[Validation], problems: Problems) -> None:
    """Report the rules that cannot be compiled anywhere."""
    environment = Environment()
    for rule in rules:
        problems.extend(_errors_of(rule, environment))


def _errors_of(rule: Validation, environment: Environment) -> list[AuthorError]:
    path = f"spec.schema.{rule.path}"
    template = Template.bare(rule.rule)
    try:
        ast = environment.parse(template)
    except AuthorErrors as errors:
        return [_error(f"parse error: {e.problem}", path, e) for e in each(errors)]
    references = environment.references(ast, _NAMES)
    if references.unknown or references.unknown_functions:
        return []  # perhaps something that only the API server knows
    self_type = schema_type(rule.schema, "__type_self") or DYN
    try:
        compiled = environment.extend(dict.fromkeys(_NAMES, self_type)).compile(ast)
    except AuthorErrors as errors:
        found = [e for e in each(errors) if e.problem.startswith("undefined field")]
        return [_error(e.problem, path, e) for e in found]
    problem, hint = f'must return bool, but returns "{compiled.type}"', ""
    if compiled.type.kind in (Kind.BOOL, Kind.DYN):
        problem, hint = "", ""
        if not rule.uses_old_self:
            problem, hint = _default_against(compiled, rule.schema, self_type)
    if not problem:
        return []
    return [
        ExpressionError(
            f"validation rule: {problem}", path=path, excerpt=template.excerpt(0), hint=hint
        )
    ]


def _default_against(rule: Expression, schema: JsonObject, self_type: CelType) -> tuple[str, str]:
    """Return how the field's own default breaks the rule, and what to do about it.

    The API server runs the rules on defaults when the CRD is written: on each as it stands, without
    the defaults of the fields below.
    """
    default = schema.get("default")
    if default is None:
        return "", ""
    shown = json.dumps(default, ensure_ascii=False)
    try:
        holds = rule.evaluate({"self": wrap(default, self_type)})
    except EvaluationError as error:
        return f"cannot be evaluated on the default {shown:.60}: {error.problem}", ""
    if isinstance(holds, Pending):
        hint = "give it a default with all that the rule reads, or ask with has(...)"
        return f"cannot be evaluated on the default {shown:.60}: {holds.problem}", hint
    return ("", "") if holds is True else (f"does not hold for the default {shown:.60}", "")


def _error(problem: str, path: str, cause: AuthorError) -> AuthorError:
    return ExpressionError(
        f"validation rule: {problem}", path=path, excerpt=cause.excerpt, hint=cause.hint
    )
