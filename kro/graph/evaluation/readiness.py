"""Is a node ready: does what expressions would see of it exist, and does readyWhen hold?

readyWhen sees plain JSON: its values are not converted by the schema.

Source: spec instance-runtime.md §1.8, cel.md §5.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kro.cel import Expression, Pending
from kro.errors import EvaluationError
from kro.graph.evaluation.meter import UNMETERED, Meter, metered
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


def check_objects(
    node: Node, observed: Sequence[JsonObject], meter: Meter = UNMETERED
) -> NotReady | None:
    """Return why what is observed of a node is not ready, or None when it is.

    The expressions of a managed collection see one object after the other as `each`, those of an
    external one the whole list under the node's id, all others the object under that id. A
    collection without objects is ready.

    Raises:
        EvaluationError: a readyWhen expression is broken, or gave no boolean.
    """
    if not observed and not node.kind.is_collection:
        return NotReady(f"node {quoted(node.id)}: no observed state: waiting for readiness")
    falsy = (False,) if node.kind.is_collection else (False, None)
    for bindings, which, about in _views(node, observed):
        for expression in node.ready_when:
            value = _evaluate(expression, bindings, meter)
            if isinstance(value, Pending):
                return NotReady(
                    f"node {quoted(node.id)}: failed to evaluate readyWhen expression: "
                    f"{shown(expression)}{which}{WAITING_SUFFIX}",
                    about,
                )
            if any(value is each for each in falsy):
                return NotReady(_unmet(expression), about)
            if value is not True:
                raise _not_bool(expression)
    return None


def _views(
    node: Node, observed: Sequence[JsonObject]
) -> Iterator[tuple[dict[str, object], str, JsonObject | None]]:
    """Yield what the expressions see, words for which object that is, and the object."""
    if node.kind is NodeKind.COLLECTION:
        for index, item in enumerate(observed):
            yield {EACH: item}, f" (item {index})", item
    elif node.kind is NodeKind.EXTERNAL_COLLECTION:
        if observed:
            yield {node.id: list(observed)}, "", None
    else:
        yield {node.id: observed[0]}, "", observed[0]


def check_size(node: Node, *, observed: int, desired: int) -> NotReady | None:
    """Return why a managed collection is not whole, or None when it is."""
    if observed >= desired:
        return None
    return NotReady(
        f"node {quoted(node.id)}: collection not ready: observed {observed} but desired {desired}"
        f"{WAITING_SUFFIX}"
    )


def _evaluate(expression: Expression, bindings: Mapping[str, object], meter: Meter) -> object:
    try:
        return metered(expression, bindings, meter)
    except EvaluationError as error:
        raise EvaluationError(
            f"failed to evaluate readyWhen expression {shown(expression)}: {error.problem}",
            excerpt=error.excerpt,
        ) from error


def _unmet(expression: Expression) -> str:
    return f"readyWhen condition evaluated to false: {shown(expression)}{WAITING_SUFFIX}"


def _not_bool(expression: Expression) -> EvaluationError:
    return EvaluationError(f"readyWhen {shown(expression)} did not return bool")
