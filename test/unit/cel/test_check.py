"""Static types: overloads, generics, structs, and all errors at once."""

from __future__ import annotations

import pytest

from kro.cel import DYN, INT, STRING, Environment, list_of, map_of, struct
from kro.errors import AuthorErrors, ExpressionError

SPEC = struct("__type_schema.spec", {"name": STRING, "replicas": INT, "__namespace__": STRING})
ENVIRONMENT = Environment(
    {
        "schema": struct("__type_schema", {"spec": SPEC}),
        "open": struct("__type_open", {"name": STRING}, open=True),
        "labels": map_of(STRING, STRING),
        "numbers": list_of(INT),
        "any": DYN,
    }
)


def problems(source: str) -> list[ExpressionError]:
    """Return the type errors of `source`."""
    with pytest.raises(AuthorErrors) as caught:
        ENVIRONMENT.compile(source)
    return [error for error in caught.value.exceptions if isinstance(error, ExpressionError)]


@pytest.mark.parametrize(
    ("source", "type_"),
    [
        ("1 + 2", "int"),
        ("[1, 'a']", "list(dyn)"),
        ("[]", "list(dyn)"),
        ("[[], [1]]", "list(list(int))"),
        ("{}", "map(dyn, dyn)"),
        ("true ? {'a': 1} : {}", "map(string, int)"),
        ("dyn(1) + 1.0", "double"),
        ("numbers.map(n, string(n))", "list(string)"),
        ("labels.map(k, k)", "list(string)"),
        ("numbers.transformMap(i, n, n > 1)", "map(int, bool)"),
        ("labels.transformMapEntry(k, v, {v: 1})", "map(string, int)"),
        ("labels.?a.orValue('x')", "string"),
        ("numbers[?0]", "optional_type(int)"),
        ("optional.of(1).optMap(n, string(n))", "optional_type(string)"),
        ("[?optional.of(1)]", "list(int)"),
        ("[optional.of(1), null][0]", "optional_type(int)"),
        ("cel.bind(n, 1, [n])", "list(int)"),
        ("schema.spec.namespace", "string"),
        ("open.other.deeper", "dyn"),
        ("any.a.b", "dyn"),
        ("timestamp('2024-01-01T00:00:00Z') - duration('1s')", "google.protobuf.Timestamp"),
        ("type(1)", "type(int)"),
    ],
)
def test_expression_has_the_type(source: str, type_: str) -> None:
    """Types are found by unification and printed as cel-go prints them."""
    assert str(ENVIRONMENT.compile(source).type) == type_


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("1 + 1.0", "found no matching overload for '_+_' applied to '(int, double)'"),
        ("'a' + 1", "found no matching overload for '_+_' applied to '(string, int)'"),
        ("1 == 1.0", "found no matching overload for '_==_' applied to '(int, double)'"),
        ("1 ? 2 : 3", "found no matching overload for '_?_:_'"),
        ("'abc'.size(1)", "applied to 'string.(int)'"),
        ("nope", "undeclared reference to 'nope'"),
        ("nope(1)", "undeclared reference to 'nope'"),
        ("1.nope()", "undeclared reference to 'nope'"),
        ("schema.spec.ghost", "undefined field 'ghost'"),
        ("schema.spec.?ghost", "undefined field 'ghost'"),
        ("schema.spec['name']", "found no matching overload for '_[_]'"),
        ("'name' in schema.spec", "found no matching overload for '@in'"),
        ("schema.spec.map(k, k)", "cannot be range of a comprehension"),
        ("labels.?a.b", "type 'string' does not support field selection"),
        ("'a'.b", "type 'string' does not support field selection"),
        ("{?'a': 2}", "expected type 'optional_type(int)' but found 'int'"),
        ("numbers.all(n, n)", "found no matching overload for '_&&_' applied to '(bool, int)'"),
        ("optional.of(1).orValue('x')", "found no matching overload for 'orValue'"),
        ("type(1) == int", "reference to undefined type"),
        ("a.b.C{x: 1}", "undeclared reference to 'a.b.C'"),
        ("{}[null]", "invalid qualifier type"),
    ],
)
def test_type_error_has_the_text(source: str, text: str) -> None:
    """The texts are those of cel-go."""
    assert text in problems(source)[0].problem


def test_field_that_yaml_took_for_a_boolean_is_explained() -> None:
    """`on: boolean` declares the field `true`."""
    spec = struct("spec", {"__true__": STRING})

    with pytest.raises(AuthorErrors) as caught:
        Environment({"spec": spec}).compile("spec.on")

    [error] = caught.value.exceptions
    assert isinstance(error, ExpressionError)
    assert error.hint == 'YAML reads on as true: declare it as "on"'


def test_all_errors_come_at_once_in_the_order_of_the_text() -> None:
    """One mistake is one error, and none hides another."""
    found = problems("[schema.spec.ghost, 1 + 1.0, nope]")

    assert [error.problem.split(" applied")[0] for error in found] == [
        "undefined field 'ghost'",
        "found no matching overload for '_+_'",
        "undeclared reference to 'nope'",
    ]
    columns = [error.excerpt.column for error in found if error.excerpt is not None]
    assert columns == [13, 22, 29]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("schema.spec.replcas", "did you mean 'replicas'?"),
        ("shcema.spec", "did you mean 'schema'?"),
        ("'a'.lowerascii()", "did you mean 'lowerAscii'?"),
        ("'n' + 1", "string(...)"),
        ("'n' + labels.?a", ".orValue(...)"),
        ("omit()", "CELOmitFunction"),
    ],
)
def test_hint_says_what_to_write_instead(source: str, hint: str) -> None:
    """Misspelt names and the usual mistakes come with a way out."""
    assert hint in problems(source)[0].hint


def test_numbers_of_two_kinds_have_an_order_behind_macros_only() -> None:
    """cel-go's checker widens the comparisons once a macro has bound a name; so does this one."""
    assert "_<_" in problems("1 < 2.5")[0].problem
    assert ENVIRONMENT.compile("[1.5].filter(x, x > 1)").evaluate({}) == [1.5]
    assert ENVIRONMENT.compile("[1].exists(x, true) && 2u < 3").evaluate({}) is True
    assert "_<_" in problems("2u < 3 && [1].exists(x, true)")[0].problem


def test_literal_problems_are_found_at_compile_time() -> None:
    """A literal format or pattern is checked before anything is evaluated (cel.md §2.6, §2.9)."""
    assert "out of range" in problems("'%s %s'.format(['a'])")[0].problem
    assert "parsing regexp" in problems("'abc'.find('(')")[0].problem
