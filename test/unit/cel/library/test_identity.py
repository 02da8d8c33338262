"""Stand-ins for values in sets."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kro.cel.library.identity import NO_KEY, identity
from kro.cel.values import Duration, Optional, Timestamp, Uint, equal, map_from

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.integers(0, 2).map(Uint),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, math.nan]),
    st.sampled_from(["", "a", "1"]),
    st.sampled_from([b"", b"a", b"1"]),
    st.sampled_from([Timestamp(1), Timestamp(1, 3600), Duration(1)]),
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        st.lists(st.tuples(st.sampled_from([1, True, "a", Uint(1)]), inner), max_size=2).map(
            map_from
        ),
        st.builds(Optional, inner),
    ),
    max_leaves=5,
)


@given(_VALUES, _VALUES)
def test_stand_ins_are_equal_exactly_if_the_values_are(left: Any, right: Any) -> None:
    """Numbers are one across kinds, booleans are no numbers, and NaN has no stand-in."""
    one, other = identity(left), identity(right)

    if one is NO_KEY or other is NO_KEY:
        return
    assert (one == other) == equal(left, right)
    assert one != other or hash(one) == hash(other)


def test_nan_has_no_stand_in_at_any_depth() -> None:
    """NaN equals nothing, so nothing may stand for it."""
    assert identity([math.nan]) is NO_KEY
    assert identity({"a": math.nan}) is NO_KEY
    assert identity(Optional(math.nan)) is NO_KEY
