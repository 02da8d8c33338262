"""What of the author's status can be said, and what selectors look like on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from kro.errors import EvaluationError
from kro.graph.evaluation import project, wire_number
from kro.graph.evaluation.selector import selector_text
from kro.refs import JsonObject
from support.definitions import compiled, config_map, definition, widget

BINDINGS: dict[str, Any] = {
    "schema": {"metadata": {"name": "app"}, "spec": {"name": "x", "count": 0}},
    "a": {"metadata": {"name": "a"}, "data": {"v": "1"}},
}


def fields(status: object, **bindings: Any) -> Any:
    """Return the status fields of a graph with the nodes a, b and w."""
    graph = compiled(definition(config_map("a"), config_map("b"), widget("w"), status=status))
    return project(graph, {**BINDINGS, **bindings}).fields


def test_fields_without_their_data_are_not_there() -> None:
    """Each field stands for itself; a text with several parts needs all of them."""
    status = {
        "own": "${schema.spec.name}",
        "there": "${a.data.v}",
        "not": "${b.data.v}",
        "half": "${a.data.v}-${b.data.v}",
        "deep": {"there": "${a.metadata.name}", "not": "${b.metadata.name}"},
    }
    assert fields(status) == {"own": "x", "there": "1", "deep": {"there": "a"}}


def test_list_is_there_only_without_gaps() -> None:
    """A list never holds a null for what is still missing; its end may be missing."""
    gap = {"list": ["${b.data.v}", "${a.data.v}"], "deep": {"more": ["${b.data.v}", "${a.data.v}"]}}
    assert fields(gap) == {}
    assert fields({"list": ["${a.data.v}", "${b.data.v}"]}) == {"list": ["1"]}
    assert fields(gap, b={"data": {"v": "2"}}) == {"list": ["2", "1"], "deep": {"more": ["2", "1"]}}


def test_types_stay_what_they_are() -> None:
    """Numbers and objects are not turned into texts."""
    status = {"n": "${schema.spec.count}", "labels": "${a.metadata.labels}"}
    labelled = {"metadata": {"labels": {"x": "y"}}}
    assert fields(status, a=labelled) == {"n": 0, "labels": {"x": "y"}}


def test_broken_field_is_left_out_and_told() -> None:
    """The others are written all the same."""
    graph = compiled(
        definition(
            config_map("a"),
            status={"ok": "${a.data.v}", "bad": "${string(1 / schema.spec.count)}"},
        )
    )
    projection = project(graph, BINDINGS)
    assert projection.fields == {"ok": "1"}
    (error,) = projection.errors
    assert str(error).startswith(
        'status.bad: eval "string(1 / schema.spec.count)": division by zero'
    )


def test_whole_floats_are_integers_on_the_wire() -> None:
    """JSON of the API server has no 2.0, at any depth; booleans and fractions stay."""
    value: JsonObject = {"a": 2.0, "b": [3.5, 4.0, True], "c": {"d": -1.0}, "e": 1e300}
    assert repr(wire_number(value)) == repr(
        {"a": 2, "b": [3.5, 4, True], "c": {"d": -1}, "e": 1e300}
    )


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        pytest.param(None, "", id="absent"),
        pytest.param({}, "", id="empty"),
        pytest.param({"matchLabels": {"b": "2", "a/x.y": "1"}}, "a/x.y=1,b=2", id="labels"),
        pytest.param(
            {
                "matchLabels": {"a": "1"},
                "matchExpressions": [
                    {"key": "t", "operator": "In", "values": ["y", "x"]},
                    {"key": "u", "operator": "NotIn", "values": ["z"]},
                    {"key": "v", "operator": "Exists"},
                    {"key": "w", "operator": "DoesNotExist", "values": []},
                ],
            },
            "a=1,t in (x,y),u notin (z),v,!w",
            id="expressions",
        ),
    ],
)
def test_selector_is_written_as_the_api_server_reads_it(selector: Any, text: str) -> None:
    """Both notations of a label selector become one query."""
    assert selector_text(selector) == text


@pytest.mark.parametrize(
    "selector",
    [
        pytest.param({"matchExpressions": [{"key": "a", "operator": "Near"}]}, id="operator"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "In"}]}, id="no values"),
        pytest.param(
            {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]},
            id="values for Exists",
        ),
        pytest.param({"matchLabels": {"a,b": "x"}}, id="key"),
        pytest.param({"matchLabels": {"a": "x,b=y"}}, id="value that breaks out"),
        pytest.param({"matchLabels": {"a": 1}}, id="number"),
        pytest.param(["a"], id="list"),
    ],
)
def test_impossible_selector_is_refused(selector: Any) -> None:
    """No text of an instance can widen a selection."""
    with pytest.raises(EvaluationError):
        selector_text(selector)
