from __future__ import annotations

from kro.cli.rules import RuleChecker
from kro.refs import JsonObject, JsonValue


def broken(
    value: JsonValue, schema: JsonObject, *, wrong: tuple[str, ...] = ()
) -> list[tuple[str, str]]:
    found = RuleChecker().check(value, schema, broken=wrong)
    return [(error.path, error.problem) for error in found]


def with_rule(rule: str, **more: JsonValue) -> JsonObject:
    return {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": rule, **more}],
    }


def test_rule_that_does_not_hold_is_an_error_at_its_value() -> None:
    """With the rule's own message, or its text."""
    schema: JsonObject = {"type": "object", "properties": {"s": with_rule("self.a < self.b")}}

    assert broken({"s": {"a": 1, "b": 2}}, schema) == []
    assert broken({"s": {"a": 2, "b": 2}}, schema) == [("s", "failed rule: self.a < self.b")]


def test_message_comes_from_its_expression_first() -> None:
    """A message expression that fails gives way to the plain message."""
    rule = {"message": "plain", "messageExpression": "'a is ' + string(self.a)"}
    failing = {"message": "plain", "messageExpression": "'a is ' + string(self.a / 0)"}

    assert broken({"a": 1}, with_rule("self.a > 1", **rule)) == [("", "a is 1")]
    assert broken({"a": 1}, with_rule("self.a > 1", **failing)) == [("", "plain")]


def test_rules_reach_into_lists_and_maps() -> None:
    """Every element is a value of its own."""
    item: JsonObject = {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 1"}]}
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": item},
            "map": {"type": "object", "additionalProperties": item},
        },
    }

    found = broken({"list": [1, 2], "map": {"a.b": 0}}, schema)

    assert [path for path, _ in found] == ["list[0]", 'map["a.b"]']


def test_transition_rules_are_left_out() -> None:
    """They say something about updates only."""
    assert broken({"a": 1}, with_rule("self.a == oldSelf.a")) == []


def test_rule_that_only_the_api_server_can_run_is_left_out() -> None:
    """A function that kro does not have is no error of the instance."""
    assert broken({"a": 1}, with_rule("self.a.isNoFunctionOfKro()")) == []


def test_rule_about_a_value_of_wrong_shape_is_left_out() -> None:
    """The shape has been reported."""
    schema = with_rule("self.a < self.b")

    assert broken({"a": "x", "b": 1}, schema, wrong=("a",)) == []


def test_rule_that_cannot_be_evaluated_is_an_error() -> None:
    """As on the API server."""
    [(path, problem)] = broken({"a": 1}, with_rule("self.a / (self.a - 1) > 0"))

    assert path == ""
    assert "cannot be evaluated: division by zero" in problem


def test_sets_and_list_maps_hold_no_item_twice() -> None:
    """Items are compared as JSON; those of a list-map by their keys."""
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "set": {"type": "array", "x-kubernetes-list-type": "set"},
            "map": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
            },
        },
    }

    found = broken({"set": [1, "1", 1], "map": [{"k": 1}, {"k": 2}, {"k": 1, "v": 0}]}, schema)

    assert [path for path, _ in found] == ["set[2]", "map[2]"]
