"""The canonical text of a spec, its hash, and names of revisions."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.errors import DefinitionError
from kro.graph import canonical, revision_name, spec_hash
from kro.graph.revision import fnv1a

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


def of_free_content(value: Any) -> str:
    """Return the canonical text of free content."""
    text = canonical({"resources": [{"template": {"v": value}}]})
    return text.removeprefix('{"resources":[{"template":{"v":').removesuffix("}}]}")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3, "3"),
        (-3, "-3"),
        (0, "0"),
        (0.0, "0"),
        (-0.0, "-0"),
        (1.5, "1.5"),
        (1e3, "1000"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.25e-9, "1.25e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (12345678901234567890, "12345678901234567000"),
        (5e-324, "5e-324"),
    ],
)
def test_numbers_are_doubles_in_their_shortest_form(number: float, text: str) -> None:
    """As ECMAScript prints them (spec §6.1)."""
    assert of_free_content(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_reads_back_as_itself(number: float) -> None:
    """The shortest form loses nothing."""
    assert float(of_free_content(number)) == number


@given(json_values)
def test_free_content_reads_back_as_itself(value: Any) -> None:
    """Canonical JSON is JSON."""
    assert json.loads(of_free_content(value), parse_int=float) == value


def test_markup_and_control_characters_are_escaped() -> None:
    """Characters outside of ASCII stay, save the two line separators."""
    text = '<a href="x">&\n\r\t\b\f\x01\u2028\u2029é\\\x7f'

    assert of_free_content(text) == (
        '"\\u003ca href=\\"x\\"\\u003e\\u0026\\n\\r\\t\\b\\f\\u0001\\u2028\\u2029é\\\\\x7f"'
    )


def test_order_that_means_nothing_changes_no_hash() -> None:
    """Keys, resources, readyWhen and includeWhen are sorted, the rest keeps its order."""
    rng = random.Random(3)
    entries = [
        {
            "id": f"r{i}",
            "template": {"b": 1, "a": {"y": 2, "x": [3, 1]}},
            "readyWhen": ["${a}", "${b}", '${"c"}'],
            "includeWhen": ["${x}", "${y}"],
            "forEach": [{"j": "${1}"}, {"i": "${2}"}],
        }
        for i in range(4)
    ]
    expected = spec_hash({"resources": entries})  # type: ignore[dict-item]
    for _ in range(20):
        shuffled: list[dict[str, Any]] = [
            dict(rng.sample(list(entry.items()), len(entry))) for entry in entries
        ]
        for entry in shuffled:
            entry["readyWhen"] = rng.sample(entry["readyWhen"], 3)
            entry["includeWhen"] = rng.sample(entry["includeWhen"], 2)
        rng.shuffle(shuffled)

        assert spec_hash({"resources": shuffled}) == expected  # type: ignore[dict-item]

    entries[0]["forEach"] = [{"i": "${2}"}, {"j": "${1}"}]
    assert spec_hash({"resources": entries}) != expected  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(10**400, id="number beyond a double"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(float("nan"), id="not a number"),
    ],
)
def test_what_json_cannot_hold_fails_the_hash(value: float) -> None:
    """The part that fails is named."""
    with pytest.raises(DefinitionError, match=r"normalize resources\[0\].template"):
        spec_hash({"resources": [{"template": {"v": value}}]})


def test_content_of_any_depth_ends_in_an_answer() -> None:
    """Recursion is bounded."""
    deep: Any = "x"
    for _ in range(10_000):
        deep = [deep]

    with pytest.raises(DefinitionError, match="nested deeper than"):
        spec_hash({"schema": {"status": deep}})


def test_fnv_1a_has_its_known_values() -> None:
    """Vectors of the algorithm's authors."""
    assert fnv1a(b"", bits=64) == 0xCBF29CE484222325
    assert fnv1a(b"foobar", bits=64) == 0x85944171F73967E8
    assert fnv1a(b"foobar", bits=32) == 0xBF9CF968


def test_revision_number_is_padded_and_may_grow() -> None:
    """Names sort by number up to 99999 (spec §6.3)."""
    assert revision_name("demo", 7) == "demo-r00007"
    assert revision_name("demo", 123456) == "demo-r123456"


def test_long_name_is_cut_and_told_apart_by_its_hash() -> None:
    """A name never exceeds what an object may be called."""
    first, second = revision_name("a" * 252 + "x", 1), revision_name("a" * 252 + "y", 1)

    assert len(first) == len(second) == 253
    assert first != second
    assert revision_name("-." * 126, 1).startswith("gr-r00001-")
