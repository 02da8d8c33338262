"""The author's own status conditions.

Source: spec graph-and-rgd-controller.md §5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from kro.cel import CONDITION, RUNTIME, CelType, Expression, Kind
from kro.errors import Excerpt, ExpressionError
from kro.graph.definition import Text
from kro.graph.expressions import Inspected, Inspector, Typed, shown
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
    allowed = {*ids, INSTANCE_ID, "runtime"}
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
            allowed=allowed,
            hint="a condition sees schema, runtime and the resources",
        )
        if inspected is not None:
            found.append(inspected)
    wrong = _check_literals(found, problems)
    return tuple(inspected for i, inspected in enumerate(found) if i not in wrong)


def _check_literals(conditions: Sequence[Inspected], problems: Problems) -> frozenset[int]:
    """Report literals that cannot be; return the positions of the conditions that have some."""
    declared: dict[str, int] = {}
    wrong: set[int] = set()

    def report(i: int, problem: str, place: Excerpt, hint: str = "") -> None:
        found = conditions[i]
        problems.add(ExpressionError(_PREFIX + problem, path=found.path, excerpt=place, hint=hint))
        wrong.add(i)

    for i, found in enumerate(conditions):
        for call in found.references.new_conditions:
            if call.type is not None and declared.setdefault(call.type, i) != i:
                problem = (
                    f'condition type "{call.type}" is declared by more than one conditions entry'
                )
                report(i, problem, call.place)
    for i, found in enumerate(conditions):
        text = f'in expression "{shown(found.template)}"'
        for read in found.references.condition_reads:
            if read.subject != INSTANCE_ID or read.type is None or read.type in BUILT_IN:
                continue
            problem = f'runtime.condition(schema, "{read.type}"): '
            if read.type in declared:
                problem += f"custom conditions cannot reference each other {text}"
                report(i, problem, read.place)
            else:
                problem += (
                    "unknown condition type; only kro's built-in types "
                    f"({', '.join(BUILT_IN)}) can be read from schema {text}"
                )
                report(i, problem, read.place, did_you_mean(read.type, BUILT_IN))
        for call in found.references.new_conditions:
            if call.status is not None and call.status not in _STATUSES:
                problem = (
                    "runtime.newCondition: status must be one of True, False, Unknown "
                    f'(got "{call.status}") {text}'
                )
                report(i, problem, call.place, did_you_mean(call.status, _STATUSES))
            if call.type == "":
                problem = f"runtime.newCondition: type must not be empty {text}"
                report(i, problem, call.place)
    return frozenset(wrong)


def compile_conditions(
    conditions: Iterable[Inspected],
    typed: Typed,
    untyped: frozenset[str],
    problems: Problems,
) -> tuple[Expression, ...]:
    """Return the compiled conditions; each gives a condition or a list of them."""
    typed = typed.extend({"runtime": RUNTIME})
    compiled: list[Expression] = []
    for found in conditions:
        named = f'condition "{shown(found.template)}"'
        where = f"{_PREFIX}failed to type-check {named}: "
        expression = typed.compile(found, where)
        if expression is None:
            continue
        if _is_condition(expression.type):
            compiled.append(expression)
        elif untyped.isdisjoint(found.names):
            problems.add(
                ExpressionError(
                    f"{_PREFIX}{named}: condition expressions must return "
                    "runtime.newCondition(...) or a list of them, got "
                    f'"{expression.type}"',
                    path=found.path,
                    excerpt=found.template.excerpt(0),
                )
            )
    return tuple(compiled)


def _is_condition(type_: CelType) -> bool:
    content = type_.params[0] if type_.kind is Kind.LIST else type_
    return content.kind is Kind.DYN or content == CONDITION
