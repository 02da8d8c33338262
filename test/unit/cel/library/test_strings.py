"""Strings, against naive models over lists of code points."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel import budget
from kro.cel.failures import BudgetExceeded, Failure
from kro.cel.library import strings
from kro.cel.library.strings import WHITE_SPACE

_CALLS = {
    overload.name: overload.call
    for function in strings.LIBRARY.functions
    for overload in function.overloads
}
_TEXT = st.text("ab,é😀", max_size=12)
_NEEDLE = st.text("ab,é", max_size=3)


def _starts(text: str, wanted: str) -> list[int]:
    return [at for at in range(len(text) + 1) if text[at : at + len(wanted)] == wanted]


@given(_TEXT, _NEEDLE, st.integers(0, 15))
def test_index_of_is_the_first_place_from_an_offset(text: str, wanted: str, start: int) -> None:
    """Positions are code points; past the end only the empty text is found, at the end."""
    places = [at for at in _starts(text, wanted) if at >= start]
    expected = places[0] if places else -1 if wanted else len(text)

    assert _CALLS["string_index_of_string_int"](text, wanted, start) == expected


@given(_TEXT, _NEEDLE, st.integers(0, 15))
def test_last_index_of_is_the_last_place_up_to_an_offset(
    text: str, wanted: str, start: int
) -> None:
    """The match may reach beyond the offset, its start may not; past the end there is none."""
    places = [at for at in _starts(text, wanted) if at <= start]
    expected = places[-1] if places else -1
    if start >= len(text) and wanted:
        expected = -1

    assert _CALLS["string_last_index_of_string_int"](text, wanted, start) == expected


@given(_TEXT, _NEEDLE)
def test_joining_what_was_split_gives_the_text(text: str, separator: str) -> None:
    """The inverse of split is join."""
    parts = _CALLS["string_split_string"](text, separator)

    assert _CALLS["list_join_string"](parts, separator) == text
    assert not separator or all(separator not in part for part in parts)


@given(_TEXT, _NEEDLE, st.integers(-2, 6))
def test_split_gives_at_most_as_many_parts_as_asked(text: str, separator: str, limit: int) -> None:
    """A negative limit asks for all parts; the last part keeps the rest."""
    parts = _CALLS["string_split_string_int"](text, separator, limit)
    everything = _CALLS["string_split_string"](text, separator)

    if limit < 0:
        assert parts == everything
    elif limit == 0:
        assert parts == []
    else:
        assert len(parts) == min(limit, len(everything))
        assert separator.join(parts) == text


def _replaced(text: str, old: str, new: str, limit: int) -> str:
    out, at, times = "", 0, 0
    while at <= len(text):
        if times != limit and text[at : at + len(old)] == old:
            out += new
            times += 1
            if old:
                at += len(old)
                continue
        out += text[at : at + 1]
        at += 1
    return out


@given(_TEXT, _NEEDLE, _NEEDLE, st.integers(-2, 5))
def test_replace_goes_from_the_left(text: str, old: str, new: str, limit: int) -> None:
    """Replacements do not overlap; an empty text is found between all characters."""
    expected = _replaced(text, old, new, limit if limit >= 0 else len(text) + 2)

    assert _CALLS["string_replace_string_string_int"](text, old, new, limit) == expected


@given(_TEXT, st.integers(-2, 14), st.integers(-2, 14))
def test_substring_is_strict_about_its_range(text: str, start: int, end: int) -> None:
    """Whatever is not within the text is an error, never a shorter result."""
    if 0 <= start <= end <= len(text):
        assert _CALLS["string_substring_int_int"](text, start, end) == text[start:end]
        return
    with pytest.raises(Failure, match="range"):
        _CALLS["string_substring_int_int"](text, start, end)


@given(st.text(WHITE_SPACE + "\x1c\x1f\u200b\ufeffx", max_size=8))
def test_trim_removes_white_space_at_both_ends_only(text: str) -> None:
    """White space is Unicode's, without zero-width characters and without separators."""
    trimmed = _CALLS["string_trim"](text)

    assert trimmed in text
    assert trimmed[:1] not in WHITE_SPACE or not trimmed
    assert trimmed[-1:] not in WHITE_SPACE or not trimmed
    assert text.replace(trimmed, "", 1).strip(WHITE_SPACE) == "" or not trimmed


@given(st.text(max_size=20))
def test_case_changes_touch_ascii_only(text: str) -> None:
    """Letters beyond ASCII stay as they are."""
    lowered = _CALLS["string_lower_ascii"](text)

    assert lowered == "".join(char.lower() if "A" <= char <= "Z" else char for char in text)
    assert _CALLS["string_upper_ascii"](text) == "".join(
        char.upper() if "a" <= char <= "z" else char for char in text
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(
            "string_replace_string_string", ("a" * 10_000, "a", "b" * 10_000), id="replace"
        ),
        pytest.param("string_replace_string_string", ("a" * 10_000, "", "b" * 10_000), id="insert"),
        pytest.param("list_join_string", (["a"] * 10_000, "b" * 10_000), id="join"),
        pytest.param("list_join", (["a" * 10_000] * 10_000,), id="join of long texts"),
    ],
)
def test_results_that_fill_the_memory_are_refused_before_they_exist(
    name: str, arguments: tuple[Any, ...]
) -> None:
    """A hundred million characters from a few thousand end with an error."""
    budget.restart()
    try:
        with pytest.raises(BudgetExceeded):
            _CALLS[name](*arguments)
    finally:
        budget.restart()


def test_copies_of_a_long_text_spend_the_budget(evaluate: Any) -> None:
    """A text that is changed once per element of a list cannot fill the memory."""
    variables = {"s": "ab " * 100_000}

    for function in ("reverse", "upperAscii", "trim", "substring"):
        arguments = "1" if function == "substring" else ""
        result = evaluate(f"lists.range(1000).map(i, s.{function}({arguments}))", variables)
        assert "evaluation budget" in str(result)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("''.split(',')", [""]),
        ("''.split('')", []),
        ("'abc'.split('', 2)", ["a", "bc"]),
        ("'abc'.indexOf('', 7)", 3),
        ("'abc'.lastIndexOf('', 7)", 3),
        ("'abc'.lastIndexOf('c', 7)", -1),
        ("'😀b'.charAt(1)", "b"),
        ("'hello'.charAt(-1)", "error: index out of range: -1"),
        ("'tacocat'.substring(8)", "error: index out of range: 8"),
        ("dyn([1, 'a']).join(',')", "error: join: invalid input: int, expected string"),
        ("[1, 2].join(',')", None),
        ("dyn(1).trim()", "error: no such overload"),
        ("'\\u180e\\u00a0x\\u3000'.trim()", "\u180e\u00a0x"),
        ("strings.quote('\\a\\b\\f\\n\\r\\t\\v\\\\\"é')", '"\\a\\b\\f\\n\\r\\t\\v\\\\\\"é"'),
    ],
)
def test_corner_cases(evaluate: Any, expression: str, expected: object) -> None:
    """What neither the models nor the reference document show."""
    result = evaluate(expression)

    if expected is None:
        assert str(result).startswith("compile error: found no matching overload")
    else:
        assert result == expected
