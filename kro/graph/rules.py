"""`validation` markers: rules that the API server would refuse when the generated CRD is written.

The API server compiles them in an environment of its own, so only what is wrong in both is reported
here: syntax, fields that do not exist, results that are no bool. The rest is left to it.

Source: spec simpleschema.md §2.4, §8.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from kro.cel import DYN, Environment, Kind, Template, schema_type
from kro.errors import AuthorError, AuthorErrors, ExpressionError
from kro.graph.problems import Problems
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
        references = environment.references(ast, _NAMES)
        if references.unknown or references.unknown_functions:
            return []  # perhaps something that only the API server knows
        self_type = schema_type(rule.schema, "__type_self") or DYN
        typed = environment.extend(dict.fromkeys(_NAMES, self_type))
        result = typed.compile(ast).type
    except AuthorErrors as errors:
        return [
            ExpressionError(
                f"validation rule: {error.problem}",
                path=path,
                excerpt=error.excerpt,
                hint=error.hint,
            )
            for error in errors.exceptions
            if error.problem.startswith(("parse error", "undefined field"))
        ]
    if result.kind in (Kind.BOOL, Kind.DYN):
        return []
    return [
        ExpressionError(
            f'validation rule: must return bool, but returns "{result}"',
            path=path,
            excerpt=template.excerpt(0),
        )
    ]
