"""Syntax: what parses, to what, and which errors come out."""

from __future__ import annotations

import sys

import pytest

from kro.cel import Environment
from kro.errors import AuthorErrors, ExpressionError

ENVIRONMENT = Environment()


def problem(source: str) -> ExpressionError:
    """Return the only error that compiling `source` gives."""
    with pytest.raises(AuthorErrors) as caught:
        ENVIRONMENT.compile(source)
    (error,) = caught.value.exceptions
    assert isinstance(error, ExpressionError)
    return error


@pytest.mark.parametrize(
    "source",
    [
        "2 + 3 * 4 % 5 == 4",
        "(1 + 2) * 3 == 9",
        "1 - 2 - 3 == -4",
        "!true || true && true",
        "true ? 1 == 1 : false ? 1 == 2 : 2 == 2",
        "--5 == 5",
        "!!true",
        "-9223372036854775808 < 0",
        "0x1F == 31 && 09 == 9 && .5 == 0.5 && 1e3 == 1000.0",
        "[1, 2,] == [1, 2] && {'a': 1,} == {'a': 1} && [,].size() == 0",
        "{'a.b': 1}.`a.b` == 1",
        r"'\a\b\f\n\r\t\v\\\'\"\?\`\x41\101\u0041\U00000041'.size() == 16",
        r"r'\n'.size() == 2 && b'\xff\377' == b'\377\xff'",
        "'''a'b''' == \"a'b\"",
        "true // a comment",
        "{'if': 1}.if == 1 && {'namespace': 2}.namespace == 2",
        "[1,\n 2]\n == [1, 2]",
    ],
)
def test_expression_parses_and_is_true(source: str) -> None:
    """Precedence, literals, escapes, commas at the end, comments (cel.md §2.1)."""
    assert ENVIRONMENT.compile(source).evaluate({}) is True


@pytest.mark.parametrize(
    ("source", "text", "column"),
    [
        pytest.param("", "unexpected end of expression", 0, id="empty"),
        pytest.param("1 +", "expected an expression", 3, id="operand missing"),
        pytest.param("(1", "expected ')'", 2, id="bracket open"),
        pytest.param("1 2", "expected an operator", 2, id="operator missing"),
        pytest.param("f(1,)", "expected an expression", 4, id="no comma at the end of a call"),
        pytest.param("a.in", "expected a field name", 2, id="in is a token"),
        pytest.param("1.", "expected a field name", 2, id="a double needs digits"),
        pytest.param("'abc", "not terminated", 0, id="string open"),
        pytest.param(r"'\q'", "invalid escape", 1, id="unknown escape"),
        pytest.param(r"b'\u0041'", "invalid escape", 2, id="no code points in bytes"),
        pytest.param("a # b", "token recognition error", 2, id="stray character"),
        pytest.param("9223372036854775808", "invalid int literal", 0, id="int too large"),
        pytest.param("18446744073709551616u", "invalid uint literal", 0, id="uint too large"),
        pytest.param("namespace", "reserved identifier: namespace", 0, id="reserved word"),
        pytest.param("true ? 1", "the other branch", 8, id="half a condition"),
        pytest.param("!-1", "put parentheses", 1, id="two unary operators"),
        pytest.param("has(a[0])", "invalid argument to has()", 5, id="has wants a field"),
        pytest.param("[1].map(1, 2)", "argument is not an identifier", 8, id="macro variable"),
        pytest.param("[1].all(i, i, true)", "duplicate variable name", 11, id="same name twice"),
    ],
)
def test_syntax_error_says_where_and_what(source: str, text: str, column: int) -> None:
    """The caret stands at the first character that cannot be, the text says what may."""
    error = problem(source)

    assert text in error.problem
    assert error.excerpt is not None
    assert (error.excerpt.line, error.excerpt.column) == (1, column)


@pytest.mark.parametrize(
    ("shape", "fits", "breaks"),
    [
        pytest.param(lambda n: "(" * n + "1" + ")" * n, 249, 250, id="brackets"),
        pytest.param(lambda n: " + ".join(["1"] * n), 251, 252, id="terms"),
        pytest.param(lambda n: "[" * n + "]" * n, 249, 251, id="lists"),
        pytest.param(lambda n: "true ? 1 : " * n + "2", 250, 251, id="conditions"),
        pytest.param(lambda n: "dyn({})" + ".a" * n, 249, 251, id="selections"),
        pytest.param(lambda n: "(true && " * n + "true" + ")" * n, 230, 260, id="mixed"),
        pytest.param(lambda n: "[1].map(x, " * n + "1" + ")" * n, 120, 260, id="macros"),
    ],
)
def test_nesting_has_a_limit_and_works_up_to_it(shape: object, fits: int, breaks: int) -> None:
    """250 levels work whatever the caller's stack; one more is an author error (cel.md §2.1)."""
    assert callable(shape)
    ENVIRONMENT.compile(shape(fits)).evaluate({})

    assert "recursion limit exceeded: 250" in problem(shape(breaks)).problem


def test_deep_expression_compiles_from_a_deep_stack() -> None:
    """The frames of the caller do not count against the expression."""

    def descend(levels: int) -> object:
        if levels:
            return descend(levels - 1)
        return ENVIRONMENT.compile("[" * 200 + "]" * 200)

    assert descend(sys.getrecursionlimit() // 2)


def test_chains_of_and_and_or_do_not_count_as_depth() -> None:
    """Any number of `&&` is one level."""
    source = " && ".join(["true"] * 2_000)

    assert ENVIRONMENT.compile(source).evaluate({}) is True


def test_text_longer_than_the_limit_is_refused() -> None:
    """100,000 code points are the most (cel.md §2.1)."""
    assert "exceeds limit" in problem("'" + "a" * 100_000 + "'").problem
    assert ENVIRONMENT.compile("'" + "é" * 99_998 + "'").evaluate({}) == "é" * 99_998
