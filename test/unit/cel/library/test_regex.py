"""Regular expressions, against Python's engine where the syntaxes agree."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel import budget
from kro.cel.failures import BudgetExceeded, Failure
from kro.cel.library import regex
from kro.cel.library.regex import BadPattern, compile_pattern, matches

_CALLS = {
    overload.name: overload.call
    for function in regex.LIBRARY.functions
    for overload in function.overloads
}
_PATTERNS = st.sampled_from(
    ["a", "a*", "a+b?", "(a|b)+", "[^a]", "é", "^a", "b$", "", "a|", "(ab)*", ".", r"\d", r"\bab"]
)
_TEXT = st.text("abé1\n😀", max_size=10)


def _find_all(pattern: str, text: str) -> list[str]:
    """Return the matches as Go counts them: none that is empty and touches the one before."""
    out: list[str] = []
    at, previous_end = 0, -1
    compiled = re.compile(pattern, re.ASCII)
    while at <= len(text):
        found = compiled.search(text, at) if not pattern.startswith("^") or at == 0 else None
        if found is None:
            break
        start, end = found.span()
        if end > at or start != previous_end:
            out.append(found[0])
        at = end if end > at else at + 1
        previous_end = end
    return out


@given(_PATTERNS, _TEXT)
def test_simple_patterns_mean_what_they_mean_everywhere(pattern: str, text: str) -> None:
    """What find gives is the first of findAll; matches says whether there is one."""
    if pattern.endswith("$"):  # Python's also matches before a last line break
        pattern = pattern[:-1] + r"\z"
        expected = _find_all(pattern[:-2] + r"\Z", text)
    else:
        expected = _find_all(pattern, text)

    assert _CALLS["string_find_all_string"](text, pattern) == expected
    assert _CALLS["string_find_string"](text, pattern) == (expected[0] if expected else "")
    assert matches(text, pattern) == bool(expected)


@given(_PATTERNS, _TEXT, st.integers(-2, 4))
def test_a_limit_cuts_the_list_of_matches(pattern: str, text: str, limit: int) -> None:
    """A negative limit means all of them."""
    everything = _CALLS["string_find_all_string"](text, pattern)

    limited = _CALLS["string_find_all_string_int"](text, pattern, limit)

    assert limited == (everything if limit < 0 else everything[:limit])


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(", id="open group"),
        pytest.param("[z-a]", id="backward range"),
        pytest.param("(?=a)", id="look-ahead"),
        pytest.param(r"(a)\1", id="back reference"),
        pytest.param("a{1001}", id="many repetitions"),
        pytest.param(r"\C", id="half a character"),
        pytest.param(r"a\\\C", id="half a character after a backslash"),
        pytest.param("((a{100}){100}){100}", id="many nested repetitions"),
        pytest.param("a" * 20_000, id="long"),
    ],
)
def test_other_patterns_are_refused(pattern: str) -> None:
    """RE2's syntax and limits, with one text that says where the problem is."""
    with pytest.raises(BadPattern, match="error parsing regexp"):
        compile_pattern(pattern)
    with pytest.raises(Failure, match="error parsing regexp"):
        matches("abc", pattern)


@pytest.mark.parametrize("pattern", [r"\\C", r"\Q\C\E", r"[\\]C"])
def test_a_quoted_backslash_before_c_is_fine(pattern: str) -> None:
    """Only the escape itself is refused."""
    assert matches(r"\C", pattern)


def test_deeply_nested_patterns_neither_crash_nor_hang() -> None:
    """RE2 keeps its own stack."""
    assert matches("", "(" * 4_000 + ")" * 4_000)


def test_patterns_that_ruin_backtracking_engines_are_linear() -> None:
    """Nested repetitions over a text that does not match end at once."""
    assert not matches("a" * 100_000, "(a*)*b")


def test_many_searches_in_a_long_text_spend_the_budget() -> None:
    """Each search may look at all of the rest, so the number of searches is bounded."""
    budget.restart()
    try:
        with pytest.raises(BudgetExceeded):
            _CALLS["string_find_all_string"]("a" * 300_000, "a[^b]*b|a")
    finally:
        budget.restart()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'abc'.find('(')", "compile error: error parsing regexp: missing ): ("),
        ("'abc'.find(dyn('('))", "error: error parsing regexp: missing ): ("),
        ("'abc'.matches('(')", "error: error parsing regexp: missing ): ("),
        ("'héé'.find('é+')", "éé"),
        ("matches('a\\nb', '(?s)a.b')", True),
        ("'Abc'.matches('(?i)aBC')", True),
    ],
)
def test_literal_patterns_of_find_are_checked_when_compiled(
    evaluate: Any, expression: str, expected: object
) -> None:
    """The reference checks find and findAll early and matches late."""
    assert evaluate(expression) == expected
