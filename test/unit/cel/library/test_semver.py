"""Semantic versions."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.library.semver import parse_semver

_IN_ORDER = (
    "0.0.0-0",
    "0.9.9",
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.10.0",
    "2.0.0",
)
_NUMBER = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(("earlier", "later"), tuple(pairwise(_IN_ORDER)))
def test_precedence_follows_the_standard(earlier: str, later: str) -> None:
    """Numbers before words, fewer identifiers before more, a pre-release before its release."""
    assert parse_semver(earlier).compare(parse_semver(later)) == -1
    assert parse_semver(later).compare(parse_semver(earlier)) == 1


def test_build_metadata_is_ignored() -> None:
    """Versions that differ in build metadata only are equal."""
    one, other = parse_semver("1.2.3+a.1"), parse_semver("1.2.3+b")

    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        pytest.param("", "Version string empty", id="empty"),
        pytest.param("1.0", "No Major.Minor.Patch", id="two numbers"),
        pytest.param("v1.0.0", r"Invalid character\(s\)", id="leading v"),
        pytest.param("1.02.3", "leading zeroes", id="leading zero"),
        pytest.param("1.2.3-01", "leading zeroes", id="leading zero in a pre-release"),
        pytest.param("1.2.3-", "Prerelease is empty", id="empty pre-release"),
        pytest.param("1.2.3-a..b", "Prerelease is empty", id="empty identifier"),
        pytest.param("1.2.3+", "Build meta data is empty", id="empty build"),
        pytest.param("1.2.3-ä", "prerelease", id="not ASCII"),
        pytest.param("1..3", "Minor number is empty", id="empty number"),
        pytest.param("1.2.18446744073709551616", "out of range", id="beyond uint64"),
    ],
)
def test_other_texts_are_refused_with_the_part_that_is_wrong(text: str, fragment: str) -> None:
    """Only strict versions are taken."""
    with pytest.raises(ValueError, match=fragment):
        parse_semver(text)


@given(_NUMBER, _NUMBER, _NUMBER)
def test_numbers_are_kept(major: int, minor: int, patch: int) -> None:
    """The three numbers come out as they went in."""
    assert parse_semver(f"{major}.{minor}.{patch}").precedence[:3] == (major, minor, patch)


@given(st.text("0123456789.-+abc", max_size=20))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    """No text leads to anything but a version or a ValueError."""
    with suppress(ValueError):
        parse_semver(text)
