"""Is a node ready: does what expressions would see of it exist, and does readyWhen hold?

readyWhen sees plain JSON: its values are not converted by the schema.

Source: spec instance-runtime.md §1.8, cel.md §5.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kro.cel import Expression, Pending
from kro.errors import EvaluationError
from kro.graph.evaluation.texts import WAITING_SUFFIX, quoted, shown
from kro.graph.node import Node, NodeKind
from kro.refs import JsonObject

EACH = "each"
"""The name under which readyWhen of a collection sees one item."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """An object is missing, or a readyWhen expression is not true yet."""

    why: str
    about: JsonObject | None = None
    """The object that does not meet the expression."""


def check_single(node: Node, observed: Sequence[JsonObject]) -> NotReady | None:
    """Return why a node of one object is not ready, or None when it is.

    Raises:
        EvaluationError: a readyWhen expression is broken, or gave no boolean.
    """
    if not observed:
        return NotReady(f"node {quoted(node.id)}: no observed state: waiting for readiness")
    live = observed[0]
    for expression in node.ready_when:
        value = _evaluate(expression, {node.id: live})
        if isinstance(value, Pending):
            return NotReady(
                f"node {quoted(node.id)}: failed to evaluate readyWhen expression: "
                f"{shown(expression)}{WAITING_SUFFIX}",
                live,
            )
        if value is None or value is False:
            return NotReady(_unmet(expression), live)
        if value is not True:
            raise _not_bool(expression)
    return None


def check_items(node: Node, observed: Sequence[JsonObject]) -> NotReady | None:
    """Return why some object of a collection is not ready, or None when all are.

    An external collection's expressions see the whole list under the node's id, and each object as
    `each`; a managed collection's see `each` alone.

    Raises:
        EvaluationError: a readyWhen expression is broken, or gave no boolean.
    """
    for index, item, expression in _by_item(node, observed):
        bindings: dict[str, object] = {EACH: item}
        if node.kind is NodeKind.EXTERNAL_COLLECTION:
            bindings[node.id] = list(observed)
        value = _evaluate(expression, bindings)
        if isinstance(value, Pending):
            return NotReady(
                f"node {quoted(node.id)}: failed to evaluate readyWhen expression: "
                f"{shown(expression)} (item {index}){WAITING_SUFFIX}",
                item,
            )
        if value is False:
            return NotReady(_unmet(expression), item)
        if value is not True:
            raise _not_bool(expression)
    return None


def _by_item(
    node: Node, observed: Sequence[JsonObject]
) -> Iterator[tuple[int, JsonObject, Expression]]:
    for index, item in enumerate(observed):
        for expression in node.ready_when:
            yield index, item, expression


def check_size(node: Node, *, observed: int, desired: int) -> NotReady | None:
    """Return why a managed collection is not whole, or None when it is."""
    if observed >= desired:
        return None
    return NotReady(
        f"node {quoted(node.id)}: collection not ready: observed {observed} but desired {desired}"
        f"{WAITING_SUFFIX}"
    )


def _evaluate(expression: Expression, bindings: Mapping[str, object]) -> object:
    try:
        return expression.evaluate(bindings)
    except EvaluationError as error:
        raise EvaluationError(
            f"failed to evaluate readyWhen expression {shown(expression)}: {error.problem}",
            excerpt=error.excerpt,
        ) from error


def _unmet(expression: Expression) -> str:
    return f"readyWhen condition evaluated to false: {shown(expression)}{WAITING_SUFFIX}"


def _not_bool(expression: Expression) -> EvaluationError:
    return EvaluationError(f"readyWhen {shown(expression)} did not return bool")
