"""Names that expressions use, before types are known."""

from __future__ import annotations

import pytest

from kro.cel import Environment

KNOWN = {"schema", "pods", "json", "each", "runtime"}


@pytest.mark.parametrize(
    ("source", "names", "unknown"),
    [
        pytest.param("schema.spec.a + pods.b", ("schema", "pods"), (), id="order of first use"),
        pytest.param("pods.a + schema.b + pods.c", ("pods", "schema"), (), id="each once"),
        pytest.param("foo + bar.baz", (), ("foo", "bar"), id="unknown names"),
        pytest.param("[1].map(pod, pod + schema.a)", ("schema",), (), id="bound names"),
        pytest.param("[1].map(i, i) + [i]", (), ("i",), id="bound names end with their macro"),
        pytest.param("pods.filter(pods, true)", (), (), id="the range sees the bound name"),
        pytest.param("cel.bind(pods, pods.a, pods)", (), (), id="so does what is bound"),
        pytest.param(
            "pods.?a.optMap(pods, pods)", ("pods",), (), id="an optional's target does not"
        ),
        pytest.param("json.marshal(schema)", ("schema",), (), id="prefix of a function"),
        pytest.param("json.data.a", ("json",), (), id="resource named like a prefix"),
        pytest.param("has(pods.a) ? 1 : 2", ("pods",), (), id="has"),
        pytest.param(
            "{schema.a: pods.b, 'c': [each]}", ("schema", "pods", "each"), (), id="literals"
        ),
        pytest.param("math.greatest(1, 2)", (), ("math",), id="library that is not there"),
        pytest.param(
            "schema.a && pods.b || each.c", ("schema", "pods", "each"), (), id="operators"
        ),
    ],
)
def test_names_are_found(source: str, names: tuple[str, ...], unknown: tuple[str, ...]) -> None:
    """The walk of cel.md §4."""
    environment = Environment()

    found = environment.references(environment.parse(source), KNOWN)

    assert (found.names, found.unknown) == (names, unknown)


def test_unknown_functions_are_found_members_are_not() -> None:
    """The type checker reports unknown members."""
    environment = Environment()

    found = environment.references(environment.parse("foo(1) + size('a') + 'a'.bar()"), KNOWN)

    assert found.unknown_functions == ("foo",)


def test_places_show_the_first_use() -> None:
    """Each name comes with the place where it is first used."""
    environment = Environment()

    found = environment.references(environment.parse("schema.a +\n foo + schema.b"), KNOWN)

    assert (found.places["schema"].line, found.places["schema"].column) == (1, 0)
    assert (found.places["foo"].line, found.places["foo"].column) == (2, 1)


def test_omit_and_conditions_are_noted() -> None:
    """What position rules need to know: omit(), condition reads, literal condition types."""
    environment = Environment(omit=True)
    source = (
        "runtime.condition(schema, 'Ready').status == 'x'"
        " ? runtime.newCondition({type: 'A', status: 'True'}) : omit()"
    )

    found = environment.references(environment.parse(source), KNOWN)

    assert found.uses_omit
    assert [(read.subject, read.type) for read in found.condition_reads] == [("schema", "Ready")]
    assert [(made.type, made.status) for made in found.new_conditions] == [("A", "True")]
