"""What holds for every function of every library, whatever its arguments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kro.cel import budget
from kro.cel.celtypes import CelType, Kind
from kro.cel.failures import BudgetExceeded, Failure
from kro.cel.functions import Function, Library, Overload
from kro.cel.library import EXTENSIONS, KRO, OMIT_LIBRARY, RUNTIME_VALUE, STANDARD
from kro.cel.library.network import CIDR, IP
from kro.cel.library.quantities import Quantity
from kro.cel.library.semver import parse_semver
from kro.cel.library.urls import parse_url
from kro.cel.values import (
    INT_MAX,
    INT_MIN,
    NONE,
    OMIT,
    UINT_MAX,
    Duration,
    Optional,
    Timestamp,
    TypeValue,
    Uint,
    kind_of,
    map_from,
    type_name,
)

_LIBRARIES: tuple[Library, ...] = (STANDARD, *KRO, OMIT_LIBRARY, *EXTENSIONS.values())
_OVERLOADS = [
    pytest.param(library, function, overload, id=f"{library.name}/{overload.name}")
    for library in _LIBRARIES
    for function in library.functions
    for overload in function.overloads
]
_CALLABLE = [
    row
    for row in _OVERLOADS
    if not row.values[1].name.startswith("@")  # type: ignore[union-attr]  # only macros call those
]
_BUDGET = 100_000
"""Units; small, so that no draw can make the test slow."""

_TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["UTC", "1Gi", "1.2.3", "10.0.0.0/8", "::1", "https://h/p?q", "2024-01-15T10:30:45Z",
         "1h", "%s %d", "%.3f", "a,b", "[0-9]+", "(", "{}", "[1]", "12", "-3.5", "true", ""]
    ),
)  # fmt: skip
_NS = st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9)
_BY_KIND: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.NULL: st.none(),
    Kind.BOOL: st.booleans(),
    Kind.INT: st.one_of(st.integers(INT_MIN, INT_MAX), st.integers(-3, 20)),
    Kind.UINT: st.integers(0, UINT_MAX).map(Uint),
    Kind.DOUBLE: st.floats(),
    Kind.STRING: _TEXT,
    Kind.BYTES: st.binary(max_size=20),
    Kind.TIMESTAMP: st.builds(Timestamp, _NS, st.sampled_from([0, 3600, -34_200])),
    Kind.DURATION: st.integers(INT_MIN, INT_MAX).map(Duration),
    Kind.TYPE: st.sampled_from([TypeValue("int"), TypeValue("list")]),
}
_SCALARS = st.one_of(*_BY_KIND.values())
_KEYS = st.one_of(_TEXT, st.integers(-3, 3), st.booleans(), st.integers(0, 3).map(Uint))
_ANY = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(_TEXT, inner, max_size=4),
        st.lists(st.tuples(_KEYS, inner), max_size=4).map(map_from),
        st.builds(Optional, inner),
        st.just(NONE),
    ),
    max_leaves=10,
)
_OPAQUE: dict[str, st.SearchStrategy[Any]] = {
    "kubernetes.Quantity": st.builds(Quantity, st.integers(INT_MIN, INT_MAX), st.integers(-9, 20)),
    "kubernetes.URL": st.sampled_from(["https://u@h:1/p?q=1#f", "/p"]).map(parse_url),
    "kubernetes.Semver": st.sampled_from(["1.2.3", "1.2.3-rc.1", "99999999999999999.0.0"]).map(
        parse_semver
    ),
    "net.IP": st.one_of(
        st.builds(IP, st.just(4), st.integers(0, 2**32 - 1)),
        st.builds(IP, st.just(6), st.integers(0, 2**128 - 1)),
    ),
    "net.CIDR": st.builds(CIDR, st.just(IP(4, 0x0A000000)), st.integers(0, 32)),
    "kro.Runtime": st.just(RUNTIME_VALUE),
    "kro.omit": st.just(OMIT),
}


def _values(type_: CelType) -> st.SearchStrategy[Any]:
    """Return values of the type's kind; what a container holds is anything, as behind dyn."""
    if type_.kind is Kind.OPAQUE:
        return _OPAQUE[type_.name]
    if type_.kind is Kind.LIST:
        elements = _values(type_.params[0])
        return st.one_of(st.lists(elements, max_size=6), st.lists(_ANY, max_size=6))
    if type_.kind is Kind.MAP:
        return st.one_of(
            st.dictionaries(_TEXT, _values(type_.params[1]), max_size=4),
            st.lists(st.tuples(_KEYS, _ANY), max_size=4).map(map_from),
        )
    if type_.kind is Kind.OPTIONAL:
        return st.one_of(st.just(NONE), st.builds(Optional, _ANY))
    return _BY_KIND.get(type_.kind, st.one_of(_ANY, *_OPAQUE.values()))


@pytest.mark.parametrize(("library", "function", "overload"), _CALLABLE)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_arguments_of_the_right_kinds_lead_to_a_result_of_the_declared_kind_or_a_failure(
    library: Library, function: Function, overload: Overload, data: st.DataObject
) -> None:
    """No argument makes a function crash, hang, or return what its signature does not promise."""
    arguments = [data.draw(_values(param)) for param in overload.params]
    budget.restart(_BUDGET)

    try:
        result = overload.call(*arguments)
    except (Failure, BudgetExceeded):
        return
    finally:
        budget.restart()

    declared = overload.result
    if declared.kind in (Kind.OPAQUE, Kind.STRUCT):
        assert type_name(result) == declared.name
    elif declared.kind not in (Kind.DYN, Kind.PARAM) and not _element_of(overload):
        assert kind_of(result) is declared.kind


def _element_of(overload: Overload) -> bool:
    """Return whether the result is an element of a list, which dyn can hide the kind of."""
    return any(
        param.kind is Kind.LIST and param.params[0] == overload.result for param in overload.params
    )


@pytest.mark.parametrize(("library", "function", "overload"), _OVERLOADS)
def test_signatures_are_well_formed(
    library: Library, function: Function, overload: Overload
) -> None:
    """A member has a receiver, and a namespaced function is never a member."""
    assert overload.params or not overload.member
    assert not (overload.member and "." in function.name)


@pytest.mark.parametrize("library", [pytest.param(found, id=found.name) for found in _LIBRARIES])
def test_a_library_names_each_overload_once(library: Library) -> None:
    """Overload names identify: later libraries replace overloads of earlier ones by name."""
    names = [overload.name for function in library.functions for overload in function.overloads]

    assert len(names) == len(set(names))
    assert set(library.constants) <= set(library.variables)
