"""Conditions that an author declares."""

from __future__ import annotations

from typing import Any

from kro.graph.evaluation import Declared, evaluate_conditions, stamp
from kro.refs import JsonObject
from support.definitions import compiled, config_map, definition

OLD, NOW = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"
INSTANCE: JsonObject = {
    "apiVersion": "kro.run/v1alpha1",
    "kind": "App",
    "metadata": {"name": "app", "namespace": "team-a"},
    "spec": {"name": "x", "on": True},
}
BUILT_IN: list[JsonObject] = [
    {"type": "ResourcesReady", "status": "False", "reason": "NotReady", "message": "no door"}
]
STATIC = "${runtime.newCondition({type: 'Static', status: 'True', reason: 'r', message: 'm'})}"
MIRROR = (
    "${runtime.newCondition({type: 'Mirror', "
    "status: runtime.condition(schema, 'ResourcesReady').status})}"
)
DATA = "${runtime.newCondition({type: 'Data', status: a.data.flag, reason: 'Data'})}"


def declared(*conditions: str, **bindings: Any) -> Declared:
    """Return what the conditions give while the config map `a` is bound as given."""
    graph = compiled(definition(config_map("a"), status={"conditions": list(conditions)}))
    return evaluate_conditions(graph, INSTANCE, bindings, BUILT_IN)


def entry(name: str, status: str = "True", **more: Any) -> JsonObject:
    """Return a condition as it is on the wire."""
    return {"type": name, "status": status, "lastTransitionTime": OLD, **more}


def types(result: Declared) -> list[str]:
    """Return the types that were given, in order."""
    return [condition.type for condition in result.conditions]


def test_conditions_come_in_the_order_of_the_declaration() -> None:
    """Empty reasons and messages are not written."""
    result = declared(STATIC, MIRROR)
    assert result.complete
    assert stamp(result, [], generation=3, now=NOW) == [
        {
            "type": "Static",
            "status": "True",
            "reason": "r",
            "message": "m",
            "observedGeneration": 3,
            "lastTransitionTime": NOW,
        },
        {
            "type": "Mirror",
            "status": "False",
            "observedGeneration": 3,
            "lastTransitionTime": NOW,
        },
    ]


def test_transition_time_is_that_of_the_status_on_the_wire() -> None:
    """Only another status moves it."""
    result = declared(STATIC, MIRROR)
    wire = [entry("Static"), entry("Mirror", "True")]
    times = {c["type"]: c["lastTransitionTime"] for c in stamp(result, wire, generation=3, now=NOW)}
    assert times == {"Static": OLD, "Mirror": NOW}


def test_pending_data_keeps_what_was_there() -> None:
    """An incomplete evaluation leaves the conditions that it did not give as they are."""
    result = declared(STATIC, DATA)
    assert types(result) == ["Static"]
    assert not result.complete
    assert not result.errors
    old = entry("Data", observedGeneration=1)
    assert stamp(result, [old, entry("Static")], generation=3, now=NOW)[1:] == [old]


def test_complete_evaluation_drops_what_is_not_declared() -> None:
    """A type that no expression gives any more vanishes."""
    result = declared(STATIC, DATA, a={"data": {"flag": "True"}})
    wire = stamp(result, [entry("Gone"), entry("Data")], generation=3, now=NOW)
    assert [condition["type"] for condition in wire] == ["Static", "Data"]


def test_broken_expression_degrades_and_spares_the_others() -> None:
    """A status that is none is dropped, and told."""
    result = declared(STATIC, DATA, a={"data": {"flag": "Maybe"}})
    assert types(result) == ["Static"]
    assert not result.complete
    assert len(result.errors) == 1


def test_type_given_twice_is_dropped_altogether() -> None:
    """Nobody can tell which of them is right."""
    twice = "${runtime.newCondition({type: 'T-' + schema.spec.name, status: 'True'})}"
    result = declared(STATIC, twice, twice, schema=INSTANCE)
    assert types(result) == ["Static"]
    assert not result.complete
    assert 'condition type "T-x" is produced more than once' in str(result.errors[0])


def test_list_of_conditions_is_taken_apart() -> None:
    """One expression may give any number."""
    many = "${['a', 'b'].map(n, runtime.newCondition({type: n, status: 'True'}))}"
    assert types(declared(many)) == ["a", "b"]
