"""Merging maps."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.failures import Failure, NoSuchOverload
from kro.cel.library import maps

_CALLS = {
    overload.name: overload.call
    for function in maps.LIBRARY.functions
    for overload in function.overloads
}
_TREES: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.one_of(st.none(), st.integers(0, 3), st.lists(st.integers(0, 2), max_size=2)),
        lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


def _model(left: Any, right: Any) -> Any:
    if not (isinstance(left, dict) and isinstance(right, dict)):
        return right
    merged = dict(left)
    for key, value in right.items():
        merged[key] = _model(left[key], value) if key in left else value
    return merged


@given(_TREES, _TREES)
def test_deep_merge_joins_maps_and_replaces_the_rest(left: Any, right: Any) -> None:
    """Lists, scalars and null of the right side win; neither side changes."""
    before = copy.deepcopy((left, right))

    assert _CALLS["kro_deep_merge"](left, right) == _model(left, right)
    assert _CALLS["kro_map_merge"](left, right) == {**left, **right}
    assert (left, right) == before


@pytest.mark.parametrize(("left", "right"), [("x", {}), ({}, [1]), (None, {}), ({}, 1)])
def test_only_maps_are_merged(left: Any, right: Any) -> None:
    """Anything else is no operand."""
    with pytest.raises(NoSuchOverload):
        _CALLS["kro_deep_merge"](left, right)


def test_nesting_beyond_all_sense_is_refused() -> None:
    """A map in a map in a map … cannot exhaust the stack."""
    value: dict[str, Any] = {}
    for _ in range(5_000):
        value = {"a": value}

    with pytest.raises(Failure, match="levels"):
        _CALLS["kro_deep_merge"](value, value)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{1: 'a', true: 'b'}.merge({1: 'c'})[true]", "b"),
        ("{1: 'a'}.merge({2: 'b'}).size()", 2),
        ("dyn({1: 'a'}).merge(dyn({1u: 'b'}))[1]", "b"),
        ("{}.merge({'a': 1})", {"a": 1}),
        ("{'a': {'x': 1}}.deepMerge({'a': null})", {"a": None}),
        ("dyn({'a': 1}).merge(dyn('x'))", "error: no such overload"),
    ],
)
def test_corner_cases(evaluate: Any, expression: str, expected: object) -> None:
    """Keys of other kinds, empty maps, null."""
    assert evaluate(expression) == expected
