"""Finding `${...}` in strings, lowering templates, mapping positions back."""

from __future__ import annotations

import time

import pytest

from kro.cel.source import Template, is_standalone, parse_template, quote, scan
from kro.errors import ExpressionError


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        pytest.param("plain $VAR $(cmd) $1", [], id="no expression"),
        pytest.param("${a}", ["a"], id="standalone"),
        pytest.param("pre-${a}-${b}", ["a", "b"], id="two in a template"),
        pytest.param("${}", [""], id="empty text is an expression"),
        pytest.param("$${x}", ["x"], id="there is no escape"),
        pytest.param("a${x} ${oops", ["x"], id="an unterminated one is text"),
        pytest.param("${true ? {'k': 1} : {}}", ["true ? {'k': 1} : {}"], id="braces nest"),
        pytest.param('${"}"}', ['"}"'], id="braces in double quotes do not count"),
        pytest.param("${'}'}", ["'"], id="single quotes mean nothing"),
        pytest.param("${'{'}", [], id="an unbalanced brace in single quotes never closes"),
        pytest.param('${"a\\"}"}', ['"a\\"}"'], id="an escaped quote does not close"),
        pytest.param('${"${VAR}"}', ['"${VAR}"'], id="a dollar in double quotes is text"),
    ],
)
def test_scan_finds_complete_expressions(text: str, sources: list[str]) -> None:
    """The scanner knows double quotes, backslashes and braces only (cel.md §1.1)."""
    assert [match.source for match in scan(text)] == sources


@pytest.mark.parametrize("text", ["${outer(${s})}", "${a ${b}", "${'${X}'}"])
def test_nested_expression_is_refused_where_it_starts(text: str) -> None:
    """An opening within an open expression is an error even when the outer one never closes."""
    with pytest.raises(ExpressionError, match="nested expressions are not allowed") as caught:
        scan(text)

    assert caught.value.excerpt is not None
    assert caught.value.excerpt.column == text.index("${", 1)


def test_blanks_outside_the_braces_make_a_template() -> None:
    """Only a text that is one expression from end to end is standalone."""
    assert is_standalone("${x}", scan("${x}"))
    assert not is_standalone("${x}\n", scan("${x}\n"))


def test_template_becomes_a_concatenation() -> None:
    """Literal pieces are quoted, matches bracketed, all joined with `+` (cel.md §1.3)."""
    template = parse_template('pre-"${a}\n${b}')

    assert template is not None
    assert template.source == '"pre-\\"" + (a) + "\\n" + (b)'
    assert parse_template("no expression") is None


def test_positions_lead_back_to_the_author_s_text() -> None:
    """An offset in the lowered text is shown at the character it comes from."""
    template = parse_template("pre-${alpha}-\n${beta + 1}")
    assert template is not None

    for word in ("alpha", "beta", "1"):
        place = template.excerpt(template.source.index(word))
        line = template.text.split("\n")[place.line - 1]
        assert line[place.column :].startswith(word)


def test_quoted_text_is_exactly_the_text() -> None:
    """The literal of a piece evaluates back to the piece, whatever is in it."""
    from kro.cel import Environment

    text = 'quote " backslash \\ tab \t line \n return \r nul \x00 é 😀 ${'
    assert Environment().compile(quote(text)).evaluate({}) == text
    assert Environment().compile(Template.literal(text)).evaluate({}) == text


def test_openings_that_never_close_take_bounded_time() -> None:
    """A text of a hundred thousand openings ends with an error, not by the square of its length."""
    started = time.process_time()

    with pytest.raises(ExpressionError, match="never close"):
        scan('${"' * 50_000)

    assert time.process_time() - started < 10
