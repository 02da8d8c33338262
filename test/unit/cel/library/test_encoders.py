"""Base64, hashes and seeded values."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel import budget
from kro.cel.failures import BudgetExceeded, Failure
from kro.cel.library.encoders import decode_base64, encode_base64, fnv64a, md5, sha256
from kro.cel.library.seeded import seeded_int, seeded_string
from kro.cel.values import INT_MAX, INT_MIN


@given(st.binary(max_size=40), st.booleans(), st.integers(0, 5))
def test_base64_reads_what_it_wrote(raw: bytes, padded: bool, breaks: int) -> None:
    """With and without padding, and with line breaks in between."""
    text = encode_base64(raw)
    assert text == base64.b64encode(raw).decode()

    shown = text if padded else text.rstrip("=")
    shown = shown[:breaks] + "\r\n" + shown[breaks:]

    assert decode_base64(shown) == raw


@pytest.mark.parametrize(
    "text",
    [
        "!!",
        "a",
        "aGVsbG8==",
        "aGVsbG8=x",
        "aGVs bG8",
        "aGVsbG8\t",
        "=",
        "aGVs=",
        "_-_-",
        "é",
        "QQ=",
    ],
)
def test_other_texts_are_no_base64(text: str) -> None:
    """Blanks, wrong padding and the URL alphabet are errors."""
    with pytest.raises(Failure, match="illegal base64 data"):
        decode_base64(text)


@given(st.text(max_size=20))
def test_hashes_are_of_the_utf8_text(text: str) -> None:
    """The hashes of the standard library over the same bytes."""
    raw = text.encode("utf-8", "replace")

    assert sha256(text) == hashlib.sha256(raw).digest()
    assert md5(text) == hashlib.md5(raw, usedforsecurity=False).digest()
    assert len(fnv64a(text)) == 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "cbf29ce484222325"), ("a", "af63dc4c8601ec8c"), ("hello world", "779a65e7023cd2e7")],
)
def test_fnv64a_has_the_published_values(text: str, expected: str) -> None:
    """FNV-1a, 64 bits, big-endian."""
    assert fnv64a(text).hex() == expected


@pytest.mark.parametrize(
    ("length", "seed", "expected"),
    [
        (10, "seed", "qakd42wvqa"),
        (20, "test-seed", "5czheg3o5czheg3o5czh"),
        (1, "", "e"),
    ],
)
def test_seeded_strings_never_change(length: int, seed: str, expected: str) -> None:
    """Names of objects in clusters hang on these values."""
    assert seeded_string(length, seed) == expected


@given(st.integers(1, 50), st.text(max_size=5))
def test_seeded_strings_have_their_length_and_period_eight(length: int, seed: str) -> None:
    """A longer text begins with the shorter one and adds nothing to guess."""
    text = seeded_string(length, seed)

    assert len(text) == length
    assert set(text) <= set("0123456789abcdefghijklmnopqrstuvwxyz")
    assert all(char == text[index % 8] for index, char in enumerate(text))


@given(st.integers(INT_MIN, INT_MAX), st.integers(INT_MIN, INT_MAX), st.text(max_size=5))
def test_seeded_integers_lie_in_their_range(low: int, high: int, seed: str) -> None:
    """The lower end is included, the upper is not."""
    if low >= high:
        with pytest.raises(Failure, match="min must be less than max"):
            seeded_int(low, high, seed)
        return
    assert low <= seeded_int(low, high, seed) < high


def test_the_full_range_is_drawn_from_as_unsigned() -> None:
    """The width of the range of all integers does not overflow."""
    assert seeded_int(INT_MIN, INT_MAX, "s") == -8918691285460225347


def test_seeded_strings_that_fill_the_memory_are_refused() -> None:
    """The length is paid for before the text exists."""
    budget.restart()
    try:
        with pytest.raises(BudgetExceeded):
            seeded_string(INT_MAX, "s")
    finally:
        budget.restart()
