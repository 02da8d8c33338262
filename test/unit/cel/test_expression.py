"""Evaluation: values, pending and broken, absorbed failures, budgets, traces."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

from kro.cel import (
    DYN,
    OMIT,
    RUNTIME,
    RUNTIME_VALUE,
    STRING,
    Environment,
    Pending,
    parse_template,
    schema_type,
)
from kro.errors import EvaluationError

ENVIRONMENT = Environment({"x": DYN, "y": DYN}, omit=True)


def value(source: str, **bindings: Any) -> Any:
    """Return what `source` evaluates to."""
    return ENVIRONMENT.compile(source).evaluate(bindings)


def failure(source: str, **bindings: Any) -> EvaluationError:
    """Return the error that evaluating `source` gives."""
    with pytest.raises(EvaluationError) as caught:
        value(source, **bindings)
    return caught.value


@pytest.mark.parametrize(
    "source",
    [
        "7 / 2 == 3 && -7 / 2 == -3 && 7 / -2 == -3 && -7 % 3 == -1 && 7 % -3 == 1",
        "dyn(1) == 1.0 && dyn(1) == 1u && dyn(1u) == 1.0 && dyn(1) != '1'",
        "dyn(true) != 1 && dyn(false) != 0 && !(dyn(1) == true)",
        "dyn([1, 2u, 'a']) == [1.0, 2, 'a'] && dyn({'a': 1}) == {'a': 1u}",
        "!(dyn(true) in [1, 0]) && !(dyn(1) in [true]) && dyn(1.0) in [1]",
        "{true: 'a', 1: 'b'}.size() == 2 && {true: 'a'}[dyn(true)] == 'a'",
        "{1: 'a'}[dyn(1.0)] == 'a' && {1u: 'a'}[dyn(1)] == 'a'",
        "dyn(1) < 2.5 && dyn(1u) >= 1 && 'a' < 'b' && b'a' < b'b' && false < true",
        "double('NaN') != double('NaN') && 1.0 / 0.0 == double('Infinity')",
        "timestamp('2024-01-01T00:00:00+01:00') == timestamp('2023-12-31T23:00:00Z')",
        "timestamp('2024-03-01T00:00:00Z') - duration('24h') == timestamp('2024-02-29T00:00:00Z')",
        "9223372036854775807 - 1 == 9223372036854775806 && 1u + 2u == 3u",
        "[1] + [2] == [1, 2] && b'a' + b'b' == b'ab' && 'é'.size() == 1",
        "[1, 2, 3][dyn(1u)] == 2 && [1, 2][dyn(1.0)] == 2",
        "[1, 2, 3].exists_one(i, i > 2) && [3, 1].exists(i, i < 2) && [].all(i, false)",
        "[10, 20].transformList(i, v, i + v) == [10, 21]",
        "[1, 2, 3, 4].transformList(i, v, i % 2 == 0, v) == [1, 3]",
        "{'a': 1}.transformMap(k, v, k + string(v)) == {'a': 'a1'}",
        "{'a': 'x', 'b': 'y'}.transformMapEntry(k, v, {v: k}) == {'x': 'a', 'y': 'b'}",
        "[1, 2].existsOne(i, v, i == 0 && v == 1) && {'a': 1}.all(k, v, k == 'a' && v == 1)",
        "cel.bind(a, 1, cel.bind(b, a + 1, cel.bind(a, 10, a + b))) == 12",
        "[1, 2].map(x, [3, 4].map(x, x)) == [[3, 4], [3, 4]]",
        "type(1) == type(2) && type([1]) == type(['a']) && type(1) != type(1u)",
        "optional.of(1).optMap(v, v + 1).value() == 2 && !optional.none().optMap(v, v).hasValue()",
        "optional.of(1).optFlatMap(v, optional.none()).orValue(7) == 7",
        "{?'a': optional.none(), 'b': 1} == {'b': 1} && [?optional.of(1), 2] == [1, 2]",
        "{'a': {'b': 1}}.?a.?b.value() == 1 && !dyn({'a': null}).?a.?b.hasValue()",
        "optional.of(1).or(optional.of(1 / 0)).value() == 1 && optional.of(1).orValue(1 / 0) == 1",
        "dyn(1).orValue(2) == 1",
    ],
)
def test_language_rule_holds(source: str) -> None:
    """The rules of the language, written in it (cel.md §2)."""
    assert value(source) is True


@pytest.mark.parametrize(
    "source",
    [
        "1 / 0 == 1 || true",
        "true || 1 / 0 == 1",
        "!(1 / 0 == 1 && false)",
        "!(false && x.missing)",
        "x.missing || true",
        "[0, 1].exists(i, 1 / i == 1)",
        "![0, 2].all(i, 1 / i == 1)",
        "cel.bind(a, 1 / 0, true || a == 1)",
        "dyn(1) || true",
        "true ? true : 1 / 0 == 1",
    ],
)
def test_failure_that_does_not_matter_is_absorbed(source: str) -> None:
    """A deciding operand wins over a failing one, on either side (cel.md §2.2, §2.3)."""
    assert value(source, x={}) is True


@pytest.mark.parametrize(
    ("source", "text", "column"),
    [
        ("1 + 2 / 0", "division by zero", 6),
        ("1 % 0", "modulus by zero", 2),
        ("9223372036854775807 + 1", "integer overflow", 20),
        ("-9223372036854775808 / -1", "integer overflow", 21),
        ("1u - 2u", "integer overflow", 3),
        ("dyn(1) + 1.0", "no such overload", 7),
        ("dyn('a') < 1", "no such overload", 9),
        ("!dyn(1)", "no such overload", 0),
        ("dyn(1) ? 2 : 3", "no such overload", 7),
        ("1 / 0 == 1 || false", "division by zero", 2),
        ("[1].exists_one(i, 1 / 0 == i)", "division by zero", 20),
        ("dyn([1]).a", "unsupported index type 'string' in list", 9),
        ("[1][dyn('a')]", "unsupported index type", 3),
        ("dyn({})[dyn(null)]", "invalid qualifier type", 7),
        ("double('NaN') < 1.0", "NaN values cannot be ordered", 14),
        ("{'a': 'x', 'b': 'x'}.transformMapEntry(k, v, {v: k})", "already exists", 21),
        ("optional.none().value()", "dereference", 16),
        ("timestamp('9999-12-31T23:59:59Z') + duration('1s')", "overflow", 34),
        ("b'x'", "bytes value cannot be used", 0),
        ("{1: 'a'}", "map key must be string, got int64", 0),
        ("18446744073709551615u", "overflows int64", 0),
        ("omit() == 1", "cannot be compared", 7),
        ("'a' + omit()", "no such overload", 4),
    ],
)
def test_broken_expression_points_at_the_culprit(source: str, text: str, column: int) -> None:
    """What waiting does not heal is an error with the place of the failing part."""
    error = failure(source)

    assert text in error.problem
    assert error.excerpt is not None
    assert error.excerpt.column == column


@pytest.mark.parametrize(
    ("source", "text", "column", "on"),
    [
        ("x.a.missing.b", "no such key: missing", 4, "x"),
        ("1 + x.missing", "no such key: missing", 6, "x"),
        ("x['missing']", "no such key: missing", 1, "x"),
        ("x.list[5]", "index out of bounds: 5", 6, "x"),
        ("x.list[-1]", "index out of bounds: -1", 6, "x"),
        ("x.nothing.a", "no such key: a", 10, "x"),
        ("x.number.a", "no such key: a", 9, "x"),
        ("y.a", "no such attribute(s): y", 0, "y"),
        ("[1].map(i, x.missing)", "no such key: missing", 13, "x"),
    ],
)
def test_missing_data_is_pending_not_broken(source: str, text: str, column: int, on: str) -> None:
    """Absent keys, short lists, unbound variables, null and scalars are pending (cel.md §5.4)."""
    result = value(source, x={"a": {}, "list": [1], "nothing": None, "number": 1})

    assert isinstance(result, Pending)
    assert result.problem == text
    assert result.on == on
    assert result.excerpt.column == column


def test_error_in_a_template_shows_the_template() -> None:
    """The caret stands in the text that the author wrote, not in what it is lowered to."""
    template = parse_template("pre-${x.a}\n-${x.missing}")
    assert template is not None

    result = ENVIRONMENT.compile(template).evaluate({"x": {"a": "b"}})

    assert isinstance(result, Pending)
    assert (result.excerpt.text, result.excerpt.line) == (template.text, 2)
    assert result.excerpt.text.split("\n")[1][result.excerpt.column :].startswith("missing")


@pytest.mark.parametrize(
    ("source", "native"),
    [
        ("2.0", 2.0),
        ("5u", 5),
        ("timestamp('2024-01-15T12:30:45.9+02:00')", "2024-01-15T10:30:45Z"),
        ("timestamp('0001-01-01T00:00:00Z')", None),
        ("duration('90m')", "1h30m0s"),
        ("[optional.of(1), optional.none()]", [1, None]),
        ("{'a': [duration('1s')]}", {"a": ["1s"]}),
        ("{'a': omit(), 'b': [omit()]}", {"a": OMIT, "b": [OMIT]}),
        ("x", {"t": "2024-01-15T12:30:45.9+02:00", "n": None}),
    ],
)
def test_value_leaves_as_json(source: str, native: Any) -> None:
    """Kinds that JSON lacks have one form each (cel.md §5.3)."""
    result = value(source, x={"t": "2024-01-15T12:30:45.9+02:00", "n": None})

    assert result == native
    assert type(result) is type(native)


def test_data_is_neither_changed_nor_copied() -> None:
    """What comes whole from the data is the very object."""
    data = {"big": {"list": [1, {"a": 2}]}}

    assert value("x.big", x=data) is data["big"]
    assert value("[x.big][0]", x=data) is data["big"]
    assert data == {"big": {"list": [1, {"a": 2}]}}


def test_infinity_and_nan_leave_as_doubles() -> None:
    """They have no JSON form, so the writer of JSON decides."""
    assert value("1.0 / 0.0") == math.inf
    assert math.isnan(value("0.0 / 0.0"))


@pytest.mark.parametrize(
    "source",
    [
        "x.map(a, x.map(b, x.map(c, a)))",
        "x.all(a, x.all(b, x.all(c, true)))",
        "lists.range(1000000000)",
        "cel.bind(s, x.map(i, 'aaaaaaaaaa').join(''), s.replace('', s))",
        "".join(f"cel.bind(v{i + 1}, [v{i}, v{i}], " for i in range(60)).replace("v0", "x")
        + "v60"
        + ")" * 60,
        "".join(f"cel.bind(s{i + 1}, s{i} + s{i}, " for i in range(60)).replace("s0", "'ab'")
        + "s60"
        + ")" * 60,
    ],
)
def test_hostile_expression_ends_with_an_error(source: str) -> None:
    """Loops in loops, doubling texts, lists that contain each other: all end soon."""
    started = time.process_time()

    error = failure(source, x=list(range(1000)))

    assert "evaluation budget" in error.problem
    assert time.process_time() - started < 30


def test_budget_is_not_absorbed() -> None:
    """`||` cannot hide that an expression works on too much."""
    assert "evaluation budget" in failure("lists.range(1000000000).size() == 1 || true").problem


def test_budget_starts_anew_with_every_evaluation() -> None:
    """Many evaluations of a large but legal expression all succeed."""
    expression = ENVIRONMENT.compile("x.map(a, x.filter(b, b > a).size()).size()")

    for _ in range(3):
        assert expression.evaluate({"x": list(range(1000))}) == 1000


def test_long_sum_of_texts_is_no_deep_one() -> None:
    """As many terms as the parser allows; the values may be no texts, whatever the schema says."""
    expression = Environment({"s": STRING, "t": STRING}).compile(" + ".join(["s", "t"] * 124))

    assert expression.evaluate({"s": "a", "t": "b"}) == "ab" * 124
    assert expression.evaluate({"s": 1, "t": 2}) == 3 * 124


def test_deep_expression_sees_what_is_bound_around_it() -> None:
    """What nests deep becomes functions of its own; constants need not be handed to them."""
    binds = [
        f"cel.bind(v{i}, {value}, @)" for i, value in enumerate(["1", "true", "1.5", "'x'", "x"])
    ]
    source = "[v0, v1, v2, v3, v4]"
    for around in [*["[1].map(e, @)[0]"] * 20, *binds]:
        source = around.replace("@", source)

    assert Environment({"x": DYN}).compile(source).evaluate({"x": None}) == [
        1,
        True,
        1.5,
        "x",
        None,
    ]


def test_deeply_nested_data_is_an_error_not_a_crash() -> None:
    """Data deeper than Python recurses makes the evaluation fail."""
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]

    assert "nested too deeply" in failure("x == y", x=deep, y=[deep]).problem


def test_expression_is_evaluated_in_parallel() -> None:
    """Threads share an expression and not its budget."""
    expression = ENVIRONMENT.compile("x.map(a, a * 2)")
    results: list[Any] = []

    def work() -> None:
        results.extend(expression.evaluate({"x": [n]}) for n in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one[0] for one in results) == sorted(2 * n for n in range(200) for _ in "1234")


def test_conditions_come_out_of_their_own_door() -> None:
    """A Condition has no JSON form; an entry of `status.conditions` may give one or a list."""
    environment = Environment({"runtime": RUNTIME, "x": DYN})
    bindings = {"runtime": RUNTIME_VALUE, "x": {}}
    one = "runtime.newCondition({type: 'A', status: 'True'})"

    conditions = environment.compile(f"[{one}]").conditions(bindings)

    assert isinstance(conditions, tuple)
    assert conditions[0].raw == {"type": "A", "status": "True", "reason": "", "message": ""}
    assert isinstance(environment.compile("x.missing").conditions(bindings), Pending)
    with pytest.raises(EvaluationError, match="must return a Condition"):
        environment.compile("x").conditions(bindings)
    with pytest.raises(EvaluationError, match="unsupported type"):
        environment.compile(one).evaluate(bindings)


def test_trace_shows_every_sub_expression_with_its_value() -> None:
    """Steps come in the order of evaluation; a failing one ends the list."""
    steps = ENVIRONMENT.compile("x.a + (x.b * 2) / 0").trace({"x": {"a": 1, "b": 3}})

    assert [(step.source, step.value, step.failure) for step in steps] == [
        ("x", {"a": 1, "b": 3}, ""),
        ("x.a", 1, ""),
        ("x", {"a": 1, "b": 3}, ""),
        ("x.b", 3, ""),
        ("(x.b * 2)", 6, ""),
        ("(x.b * 2) / 0", None, "division by zero"),
    ]


@pytest.mark.parametrize("depth", [15, 40, 100])
def test_nesting_beyond_what_python_allows_evaluates(depth: int) -> None:
    """Python nests 20 blocks and 100 indentations; deeper code is split into functions."""
    nested = "n"
    for level in range(depth):
        nested = f"({nested} > {level} ? [n, {level}].filter(i, i > 0)[0] : 1 / 0)"
    source = f"[1, 2].map(n, {nested.replace('1 / 0', 'n + 1')})"

    assert len(value(source)) == 2


@pytest.mark.parametrize("depth", [5, 30, 110])
def test_variables_are_visible_in_split_code(depth: int) -> None:
    """Inner loops read the variables of all outer ones."""
    source = "".join(f"[{n}].map(v{n}, " for n in range(depth))
    source += " + ".join(f"v{n}" for n in range(depth)) + ")" * depth

    result = value(source)

    for _ in range(depth):
        (result,) = result
    assert result == sum(range(depth))


def test_size_goes_by_the_value_and_not_by_its_declaration() -> None:
    """Raw data of a `byte` field is its base64 text; conversions stay with what was declared."""
    secret = schema_type(
        {
            "type": "object",
            "properties": {
                "data": {
                    "type": "object",
                    "additionalProperties": {"type": "string", "format": "byte"},
                }
            },
        },
        "__type_s",
    )
    assert secret is not None
    environment = Environment({"s": secret})
    raw = {"s": {"data": {"k": "aGVsbG8="}}}

    assert environment.compile("size(s.data.k)").evaluate(raw) == 8
    assert environment.compile("s.data.k.size()").evaluate(raw) == 8
    with pytest.raises(EvaluationError, match="no such overload"):
        environment.compile("string(s.data.k)").evaluate(raw)
