"""`validation` markers: rules that the API server would refuse when the generated CRD is written.

The API server compiles them in an environment of its own, so only what is wrong in both is reported
here: syntax, fields that do not exist, results that are no bool. The rest is left to it.

Source: spec simpleschema.md §2.4, §8.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from kro.cel import DYN, Environment, Kind, Template, schema_type
from kro.errors import AuthorError, AuthorErrors, ExpressionError
from kro.graph.problems import Problems, each
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
        result = environment.extend(dict.fromkeys(_NAMES, self_type)).compile(ast).type
    except AuthorErrors as errors:
        found = [e for e in each(errors) if e.problem.startswith("undefined field")]
        return [_error(e.problem, path, e) for e in found]
    if result.kind in (Kind.BOOL, Kind.DYN):
        return []
    return [
        ExpressionError(
            f'validation rule: must return bool, but returns "{result}"',
            path=path,
            excerpt=template.excerpt(0),
        )
    ]


def _error(problem: str, path: str, cause: AuthorError) -> AuthorError:
    return ExpressionError(
        f"validation rule: {problem}", path=path, excerpt=cause.excerpt, hint=cause.hint
    )
