"""The author's own status conditions.

Source: spec graph-and-rgd-controller.md §5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from kro.cel import CONDITION, RUNTIME, CelType, Environment, Expression, Kind
from kro.errors import AuthorError, Excerpt, ExpressionError
from kro.graph.definition import Text
from kro.graph.expressions import Inspected, Inspector, compile_expression, shown
from kro.graph.node import INSTANCE_ID
from kro.graph.problems import Problems, did_you_mean
from kro.graph.status import STATUS_PATH
from kro.refs import JsonValue

BUILT_IN = ("InstanceManaged", "GraphResolved", "ResourcesReady", "Ready")
"""Types of the conditions that every instance has."""

_PREFIX = "failed to build instance conditions: "
_STATUSES = ("True", "False", "Unknown")


def read_conditions(
    entries: Iterable[JsonValue],
    ids: Collection[str],
    inspector: Inspector,
    problems: Problems,
) -> tuple[Inspected, ...]:
    """Return the condition expressions whose names and literals are in order."""
    found: list[Inspected] = []
    for i, entry in enumerate(entries):
        if not isinstance(entry, str):
            continue  # reported where the block was read
        text = Text(text=entry, path=f"{STATUS_PATH}.conditions[{i}]")
        template = inspector.standalone(text, f"{_PREFIX}invalid conditions block: ")
        if template is None:
            continue
        inspected = inspector.inspect_restricted(
            template,
            text.path,
            where=f'{_PREFIX}condition "{shown(template)}": ',
            allowed=(*ids, INSTANCE_ID, "runtime"),
            hint="a condition sees schema, runtime and the resources",
        )
        if inspected is not None:
            found.append(inspected)
    _check_literals(found, problems)
    return tuple(found)


def _check_literals(conditions: Sequence[Inspected], problems: Problems) -> None:
    declared: dict[str, int] = {}
    for i, found in enumerate(conditions):
        for type_, _, excerpt in found.references.condition_literals:
            if type_ is not None and declared.setdefault(type_, i) != i:
                problem = f'condition type "{type_}" is declared by more than one conditions entry'
                problems.add(_error(problem, found, excerpt))
    for found in conditions:
        text = f'in expression "{shown(found.template)}"'
        for source, type_, excerpt in found.references.condition_reads:
            if source != INSTANCE_ID or type_ is None or type_ in BUILT_IN:
                continue
            read = f'runtime.condition(schema, "{type_}"): '
            if type_ in declared:
                problem = f"{read}custom conditions cannot reference each other {text}"
                problems.add(_error(problem, found, excerpt))
            else:
                problem = (
                    f"{read}unknown condition type; only kro's built-in types "
                    f"({', '.join(BUILT_IN)}) can be read from schema {text}"
                )
                hint = did_you_mean(type_, BUILT_IN)
                problems.add(_error(problem, found, excerpt, hint))
        for type_, status, excerpt in found.references.condition_literals:
            if status is not None and status not in _STATUSES:
                problem = (
                    "runtime.newCondition: status must be one of True, False, Unknown "
                    f'(got "{status}") {text}'
                )
                problems.add(_error(problem, found, excerpt, did_you_mean(status, _STATUSES)))
            if type_ == "":
                problem = f"runtime.newCondition: type must not be empty {text}"
                problems.add(_error(problem, found, excerpt))


def _error(problem: str, found: Inspected, excerpt: Excerpt, hint: str = "") -> AuthorError:
    return ExpressionError(_PREFIX + problem, path=found.path, excerpt=excerpt, hint=hint)


def compile_conditions(
    conditions: Iterable[Inspected],
    environment: Environment,
    untyped: frozenset[str],
    problems: Problems,
) -> tuple[Expression, ...]:
    """Return the compiled conditions; each gives a condition or a list of them."""
    typed = environment.extend({"runtime": RUNTIME})
    compiled: list[Expression] = []
    for found in conditions:
        named = f'condition "{shown(found.template)}"'
        where = f"{_PREFIX}failed to type-check {named}: "
        expression = compile_expression(typed, found, where, problems)
        if expression is None:
            continue
        if _is_condition(expression.type):
            compiled.append(expression)
        elif untyped.isdisjoint(found.names):
            problem = (
                f"{named}: condition expressions must return runtime.newCondition(...) or a list "
                f'of them, got "{expression.type}"'
            )
            problems.add(_error(problem, found, found.template.excerpt(0)))
    return tuple(compiled)


def _is_condition(type_: CelType) -> bool:
    content = type_.params[0] if type_.kind is Kind.LIST else type_
    return content.kind is Kind.DYN or content == CONDITION
