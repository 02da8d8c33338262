"""Lists, against naive models."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel import budget
from kro.cel.failures import BudgetExceeded, Failure
from kro.cel.library import lists
from kro.cel.library.ordering import sort, sort_by
from kro.cel.values import INT_MAX, Duration, Timestamp, Uint, equal

_CALLS = {
    overload.name: overload.call
    for library in (lists.LISTS, lists.KUBERNETES, lists.KRO)
    for function in library.functions
    for overload in function.overloads
}
_MIXED = st.one_of(
    st.integers(0, 3),
    st.integers(0, 3).map(Uint),
    st.sampled_from([0.0, 1.0, 1.5, math.nan, True, False, None, "a", b"a"]),
    st.lists(st.integers(0, 1), max_size=2),
)
_HOMOGENEOUS = st.one_of(
    st.lists(st.integers(-5, 5)),
    st.lists(st.integers(0, 5).map(Uint)),
    st.lists(st.floats(allow_nan=False)),
    st.lists(st.booleans()),
    st.lists(st.text("abé😀", max_size=3)),
    st.lists(st.binary(max_size=2)),
    st.lists(st.integers(-5, 5).map(Duration)),
    st.lists(st.integers(-5, 5).map(Timestamp)),
)
_NESTED: st.SearchStrategy[Any] = st.recursive(
    st.integers(0, 3), lambda inner: st.lists(inner, max_size=3), max_leaves=8
)


def _key(value: Any) -> Any:
    return value.ns if isinstance(value, Duration | Timestamp) else value


@given(_HOMOGENEOUS)
def test_sorting_is_ascending_and_loses_nothing(values: list[Any]) -> None:
    """Strings by code point, false before true, times by instant."""
    result = sort(values)

    assert [_key(value) for value in result] == sorted(map(_key, values))
    assert _CALLS["list_int_is_sorted"](result)
    if values:
        assert _CALLS["list_int_min"](values) == result[0]
        assert _CALLS["list_int_max"](values) == result[-1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers())))
def test_sorting_by_keys_keeps_the_order_of_equal_ones(pairs: list[tuple[int, int]]) -> None:
    """The sort is stable."""
    values = [value for _, value in pairs]
    keys = [key for key, _ in pairs]

    assert sort_by(values, keys) == [value for _, value in sorted(pairs, key=lambda pair: pair[0])]


@given(st.lists(_MIXED, min_size=2, max_size=6))
def test_values_of_several_kinds_are_not_sorted(values: list[Any]) -> None:
    """Even numbers of different kinds are no common kind."""
    if len({type(value) for value in values}) == 1 and not isinstance(values[0], list | None):
        return
    with pytest.raises(Failure, match=r"same type|comparable"):
        sort(values)


@given(st.lists(_MIXED, max_size=8))
def test_distinct_keeps_the_first_of_equal_elements(values: list[Any]) -> None:
    """Equality is CEL's: 1, 1u and 1.0 are one, true is another, NaN never equals."""
    expected: list[Any] = []
    for value in values:
        if not any(equal(one, value) for one in expected):
            expected.append(value)

    result = _CALLS["list_distinct"](values)

    assert len(result) == len(expected)
    assert all(one is other for one, other in zip(result, expected, strict=True))


def _flattened(values: list[Any], depth: int) -> list[Any]:
    out: list[Any] = []
    for value in values:
        out.extend(_flattened(value, depth - 1) if depth and isinstance(value, list) else [value])
    return out


@given(st.lists(_NESTED, max_size=4), st.integers(0, 4))
def test_flatten_opens_lists_down_to_a_depth(values: list[Any], depth: int) -> None:
    """Depth 0 changes nothing."""
    assert _CALLS["list_flatten_int"](values, depth) == _flattened(values, depth)


@given(st.lists(_MIXED, max_size=6), _MIXED)
def test_positions_are_those_of_equal_elements(values: list[Any], wanted: Any) -> None:
    """The first for indexOf, the last for lastIndexOf."""
    places = [index for index, value in enumerate(values) if equal(value, wanted)]

    assert _CALLS["list_a_index_of_int"](values, wanted) == (places[0] if places else -1)
    assert _CALLS["list_a_last_index_of_int"](values, wanted) == (places[-1] if places else -1)


@given(st.lists(st.integers(), max_size=5), st.integers(-1, 6), st.integers())
def test_changing_one_place_leaves_the_list_as_it_was(
    values: list[int], index: int, value: int
) -> None:
    """The three functions return copies, and refuse places that do not exist."""
    before = list(values)
    for name, allowed, model in (
        ("setAtIndex", len(values), [*values[:index], value, *values[index + 1 :]]),
        ("insertAtIndex", len(values) + 1, [*values[:index], value, *values[index:]]),
        ("removeAtIndex", len(values), [*values[:index], *values[index + 1 :]]),
    ):
        arguments = (values, index) if name == "removeAtIndex" else (values, index, value)
        if 0 <= index < allowed:
            assert _CALLS[f"kro_lists_{name}"](*arguments) == model
        else:
            with pytest.raises(Failure, match=rf"lists\.{name}: index {index} out of bounds"):
                _CALLS[f"kro_lists_{name}"](*arguments)
    assert values == before


def test_deeply_nested_lists_do_not_exhaust_the_stack() -> None:
    """The stack of flatten is its own."""
    value: list[Any] = [1]
    for _ in range(50_000):
        value = [value]

    assert _CALLS["list_flatten_int"](value, INT_MAX) == [1]


@pytest.mark.parametrize("count", [10**9, INT_MAX])
def test_ranges_that_fill_the_memory_are_refused(count: int) -> None:
    """lists.range is paid for before it exists."""
    budget.restart()
    try:
        with pytest.raises(BudgetExceeded):
            _CALLS["lists_range"](count)
    finally:
        budget.restart()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("lists.range(-3)", []),
        ("[1, 2].slice(0, 3)", "error: cannot slice(0, 3), list is length 2"),
        ("[1, 2].slice(2, 2)", []),
        ("[duration('1m'), duration('1s')].sum()", "1m1s"),
        ("[1u, 2u].sum()", 3),
        ("[9223372036854775807, 1].sum()", "error: integer overflow"),
        ("[].min()", "error: min called on empty list"),
        ("dyn([1, 'a', 2]).max()", 2),
        ("dyn([1, null]).max()", "error: no such overload"),
        ("dyn([2, 1, null]).isSorted()", False),
        ("dyn([1, null, 2]).isSorted()", "error: no such overload"),
        ("dyn([1, 'a']).sum()", "error: no such overload"),
        ("dyn([[1]]).min()", "error: no such overload"),
        ("[1, 2].flatten(-1)", "error: level must be non-negative"),
        ("['a', 'B', 'é'].sort()", ["B", "a", "é"]),
        ("[3, 1, 2].sortBy(x, -x)", [3, 2, 1]),
        ("[].sortBy(x, x)", []),
        ("[1, 2].sortBy(x, x == 1 ? dyn('a') : dyn(1))",
         "error: list elements must have the same type"),
        ("[1].sortBy(1, 2)", "compile error: argument is not an identifier"),
        ("[{'p': 2}].sortBy(x, x)", None),
        ("lists.insertAtIndex([1, 2], 3, 9)",
         "error: lists.insertAtIndex: index 3 out of bounds [0, 2]"),
        ("lists.removeAtIndex([], 0)", "error: lists.removeAtIndex: index 0 out of bounds [0, 0)"),
        ("lists.setAtIndex([1], 0, 'a')", None),
        ("lists.setAtIndex(dyn(['a']), 0, 5)", [5]),
    ],
)  # fmt: skip
def test_corner_cases(evaluate: Any, expression: str, expected: object) -> None:
    """What neither the models nor the reference document show."""
    result = evaluate(expression)

    if expected is None:
        assert "no matching overload" in str(result)
        assert str(result).startswith("compile error")
    else:
        assert result == expected
