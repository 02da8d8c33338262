from __future__ import annotations

import pytest

from kro.runtime import LabelSelector, SelectorError

LABELS = {"app": "web", "tier": "front"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        pytest.param("", True, id="empty matches all"),
        pytest.param("app=web", True, id="equal"),
        pytest.param("app==web", True, id="double equal"),
        pytest.param("app=db", False, id="other value"),
        pytest.param("app!=db", True, id="unequal"),
        pytest.param("zone!=a", True, id="unequal holds for an absent label"),
        pytest.param("app in (web, db)", True, id="in"),
        pytest.param("app notin (web,db)", False, id="not in"),
        pytest.param("zone notin (a)", True, id="not in holds for an absent label"),
        pytest.param("tier", True, id="exists"),
        pytest.param("zone", False, id="exists, absent"),
        pytest.param("!zone", True, id="does not exist"),
        pytest.param("app=web,!tier", False, id="all must hold"),
        pytest.param("app=,tier", False, id="empty value"),
    ],
)
def test_selector_matches_as_the_api_server_says(text: str, matches: bool) -> None:
    assert LabelSelector.parse(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["a=b,", ",a", "=x", "a in b", "a==b=c", "xin (a)", "a b"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        LabelSelector.parse(text)


def test_equal_selectors_print_alike() -> None:
    one = LabelSelector.parse("b in (y, x), a=1")
    other = LabelSelector.of({"a": "1"}, [{"key": "b", "operator": "In", "values": ["x", "y"]}])

    assert one == other
    assert str(one) == str(other) == "a=1,b in (x,y)"


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param({"key": "a", "operator": "Is", "values": ["b"]}, id="unknown operator"),
        pytest.param({"key": "a", "operator": "In", "values": []}, id="In without values"),
        pytest.param({"key": "a", "operator": "Exists", "values": ["b"]}, id="Exists with values"),
        pytest.param({"key": "a", "operator": "In", "values": "b"}, id="values no list"),
    ],
)
def test_wrong_expressions_are_refused(expression: dict[str, object]) -> None:
    with pytest.raises(SelectorError):
        LabelSelector.of(None, [expression])
