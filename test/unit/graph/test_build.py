"""From a definition to a graph: what the conformance cases do not show."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import yaml

from kro.errors import ExpressionError
from kro.graph import FieldKind, Limits, NodeKind, fieldpath
from kro.schema import SchemaNotFound
from support.definitions import (
    SPEC,
    compiled,
    config_map,
    definition,
    errors_of,
    problems_of,
    widget,
)


def test_graph_holds_the_recipe_of_every_node() -> None:
    """Kind, endpoint, fields with what they wait for, and the expressions around them."""
    spec = definition(
        widget("site", name="${schema.spec.name}", readyWhen=["${site.status.ready > 0}"]),
        config_map(
            "page",
            name="${schema.spec.name}-${tag}",
            data={"a": "${schema.spec.name}", "b": "${site.status.phase}", "c": "${tag}", "d": "x"},
            forEach=[{"tag": "${schema.spec.tags}"}],
            includeWhen=["${schema.spec.on}"],
            readyWhen=["${each.data.a != ''}"],
        ),
        status={"phase": "${site.status.phase}", "names": ["${schema.spec.name}"]},
    )

    graph = compiled(spec)

    page = graph.nodes["page"]
    assert page.kind is NodeKind.COLLECTION
    assert str(page.mapped.gvr) == "configmaps.v1"
    assert {fieldpath.join(field.path): field.kind for field in page.fields} == {
        "data.a": FieldKind.STATIC,
        "data.b": FieldKind.DYNAMIC,
        "data.c": FieldKind.ITERATION,
        "metadata.name": FieldKind.ITERATION,
    }
    assert [(d.name, str(d.expression.type)) for d in page.for_each] == [("tag", "list(string)")]
    assert len(page.include_when) == len(page.ready_when) == 1
    assert page.depends_on == {"site"}
    assert graph.order == ("site", "page")
    assert graph.waves == {"site": 1, "page": 2}
    assert graph.instance.depends_on == {"site", "schema"}
    assert [field.path for field in graph.instance.status_fields] == [
        ("status", "names", 0),
        ("status", "phase"),
    ]
    assert graph.crd["metadata"] == {"name": "apps.kro.run"}
    assert len(graph.hash) == 16


def test_author_gets_all_errors_at_once_in_the_order_of_the_text() -> None:
    """One build, one list: no error hides another."""
    spec = definition(
        config_map("my-box", data={"a": 1}),
        config_map("one", data={"b": "${ghost.x}", "a": "${schema.spec.count}"}),
        widget("two", spec={"count": "three", "nam": "x"}, includeWhen=["schema.spec.on"]),
        {"id": "three", "template": {"apiVersion": "v9", "kind": "Nope", "metadata": {}}},
        status={"x": "literal", "y": "${one.data.a + 1}"},
        spec={"name": "strin", "count": "integer"},
    )

    assert [error.path for error in errors_of(spec)] == [
        "spec.schema.spec.name",
        "spec.schema.status.x",
        "spec.schema.status.y",
        "spec.resources[0].id",
        "spec.resources[0].template.data.a",
        "spec.resources[1].template.data.a",
        "spec.resources[1].template.data.b",
        "spec.resources[2].template.spec.count",
        "spec.resources[2].template.spec.nam",
        "spec.resources[2].includeWhen[0]",
        "spec.resources[3].template.apiVersion",
    ]


def test_unknown_kind_is_told_once_and_not_at_every_reference() -> None:
    """What merely follows from a reported error is not reported."""
    spec = definition(
        {"id": "db", "template": {"apiVersion": "v9", "kind": "Db", "metadata": {"name": "x"}}},
        config_map("a", data={"x": "${db.status.host}", "y": "${db.spec.ports[0]}"}),
        config_map("b", name="b-${p}", data={"x": "${p}"}, forEach=[{"p": "${db.spec.ports}"}]),
        config_map("c", includeWhen=["${db.status.on}"]),
        status={"host": "${db.status.host}", "conditions": ["${db.status.condition}"]},
    )

    [error] = errors_of(spec)

    assert isinstance(error, SchemaNotFound)
    assert error.path == "spec.resources[0].template.apiVersion"


def test_unknown_kind_hides_no_error_of_its_own_expressions() -> None:
    """Names and types of what is known are still examined."""
    spec = definition(
        {
            "id": "db",
            "template": {
                "apiVersion": "v9",
                "kind": "Db",
                "metadata": {"name": "${ghost.x}"},
                "spec": {"size": "${schema.spec.siz}"},
            },
        }
    )

    problems = list(problems_of(spec))

    assert len(problems) == 3
    assert "references unknown identifiers: [ghost]" in problems[1]
    assert "undefined field 'siz'" in problems[2]


def test_broken_field_is_told_once_and_not_at_every_reference() -> None:
    """What reads a field without a known type may be right."""
    spec = definition(
        config_map("a", data={"x": "${schema.spec.name}", "y": "${schema.spec.at.any.where}"}),
        config_map("b", includeWhen=["${schema.spec.on}"]),
        config_map("c", name="${t}", forEach=[{"t": "${schema.spec.tags}"}]),
        spec={"name": "string | defualt=3", "at": {"any": "Placce"}, "on": 3, "tags": "[]strin"},
    )

    errors = errors_of(spec)

    assert [error.path for error in errors] == [
        "spec.schema.spec.at.any",
        "spec.schema.spec.name",
        "spec.schema.spec.on",
        "spec.schema.spec.tags",
    ]
    assert "failed to build OpenAPI schema for instance" in errors[0].problem


def test_broken_field_does_not_hide_what_reads_the_others() -> None:
    """One mistake in the schema leaves the other fields as they are."""
    spec = definition(
        config_map("a", data={"x": "${schema.spec.nmae}", "y": "${schema.spec.size}"}),
        spec={"name": "string", "size": "integer", "on": "boolen"},
    )

    assert [error.path for error in errors_of(spec)] == [
        "spec.schema.spec.on",
        "spec.resources[0].template.data.x",
        "spec.resources[0].template.data.y",
    ]


def test_wrong_iterator_is_told_once_and_not_where_it_is_used() -> None:
    """The list's type decides the iterator's."""
    spec = definition(
        widget("a", name="${t}", spec={"count": "${t}"}, forEach=[{"t": "${schema.spec.name}"}])
    )

    [error] = errors_of(spec)

    assert error.path == "spec.resources[0].forEach[0].t"


def test_expression_error_shows_the_expression_with_a_caret() -> None:
    """The caret stands under what is wrong, in the author's own text."""
    spec = definition(config_map("a", data={"x": "name: ${schema.spec.nam}"}))

    [error] = errors_of(spec)

    assert isinstance(error, ExpressionError)
    assert error.excerpt is not None
    assert error.excerpt.text == "name: ${schema.spec.nam}"
    assert error.excerpt.text[error.excerpt.column :].startswith((".nam", "nam"))


def test_unknown_name_shows_its_place_and_the_nearest() -> None:
    """A typo costs one look."""
    spec = definition(
        config_map("settings"), config_map("a", data={"x": "${schema.spec.name + setings.x}"})
    )

    [error] = errors_of(spec)

    assert error.excerpt is not None
    assert error.excerpt.text[error.excerpt.column :].startswith("setings")
    assert error.hint == 'did you mean "settings"?'


def test_cycle_is_told_where_its_first_reference_stands() -> None:
    """The whole cycle is named, and where to cut it."""
    spec = definition(
        config_map("a", data={"x": "${b.data.x}"}),
        config_map("b", includeWhen=["${c.size() > 0}"]),
        config_map("c", name="c-${t}", forEach=[{"t": "${a.data.map(k, k)}"}]),
    )

    [error] = errors_of(spec)

    assert error.problem == "graph contains a cycle: a -> b -> c -> a"
    assert error.path == "spec.resources[0].template.data.x"


def test_missing_spec_is_an_author_error() -> None:
    """Kro (Go) panics on it."""
    specs: list[Any] = [None, {}, [], "x", {"schema": None}, {"schema": []}, {"resources": []}]
    for spec in specs:
        assert all(error.path for error in errors_of(spec))


def shuffled(value: Any, rng: random.Random) -> Any:
    """Return a value with the keys of every mapping in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, rng)) for key, item in value.items()]
        return dict(rng.sample(items, len(items)))
    if isinstance(value, list):
        return [shuffled(item, rng) for item in value]
    return value


def test_build_does_not_depend_on_the_order_of_mappings() -> None:
    """Neither the graph nor the list of errors."""
    rng = random.Random(5)
    good = definition(
        widget("w", spec={"name": "${schema.spec.name}", "ports": [{"port": 1, "name": "${a.x}"}]}),
        config_map("a", data={key: "${schema.spec.name}-" + key for key in "hgfedcba"}),
        status={"b": "${a.data.x}", "a": {"d": "${w.status.phase}", "c": "${schema.spec.name}"}},
    )
    good["resources"][0]["template"]["spec"]["ports"][0]["name"] = "${a.data.x}"
    bad = copy.deepcopy(good)
    bad["resources"][1]["template"]["data"] = dict.fromkeys("hgfedcba", "${ghost}")
    bad["schema"]["status"]["z"] = "x"
    graph, problems = compiled(good), list(problems_of(bad))
    for _ in range(10):
        other = compiled(shuffled(good, rng))

        assert other.hash == graph.hash
        assert other.order == graph.order
        for id_, node in graph.nodes.items():
            assert [f.path for f in other.nodes[id_].fields] == [f.path for f in node.fields]
        assert other.crd == graph.crd
        assert list(problems_of(shuffled(bad, rng))) == problems


def test_build_does_not_change_what_it_was_given() -> None:
    """The caller keeps its definition."""
    spec = definition(config_map("a", data={"x": "${schema.spec.name}"}), status={"conditions": []})
    before = copy.deepcopy(spec)

    compiled(spec)

    assert spec == before


def test_graph_does_not_share_templates_with_the_caller() -> None:
    """What happens to the definition later does not reach the graph."""
    spec = definition(config_map("a", data={"x": "y"}))

    graph = compiled(spec)
    spec["resources"][0]["template"]["data"]["x"] = "z"

    assert graph.nodes["a"].template["data"] == {"x": "y"}


def deep(levels: int) -> Any:
    """Return a text in lists within lists."""
    value: Any = "${schema.spec.name}"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(deep(5000), id="too deep"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param({1: "x"}, id="key that is no text"),
        pytest.param({"\ud800": "x"}, id="key with a lone surrogate"),
        pytest.param(10**30, id="number beyond 64 bits"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param({1, 2}, id="no JSON at all"),
    ],
)
def test_what_no_api_server_could_hold_is_told(value: Any) -> None:
    """Wherever it stands; no recursion error, no crash."""
    for spec in (
        definition(widget("a", spec={"open": value})),
        definition(status={"a": value}),
        definition(spec=value),
        definition(widget("a", readyWhen=value)),
        {"schema": value, "resources": value},
    ):
        assert all(error.path for error in errors_of(spec))


def test_yaml_aliases_cannot_blow_up_a_definition() -> None:
    """A small file may stand for billions of values."""
    lines = ["a0: &a0 x"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    bomb = yaml.safe_load("\n".join(lines))["a11"]

    [error] = errors_of(definition(widget("a", spec={"open": bomb})))

    assert "more than" in error.problem


def test_search_for_errors_ends() -> None:
    """Neither time nor text grow with what a hostile definition repeats."""
    spec = definition(widget("a", spec={f"nme{i}": 1 for i in range(50_000)}))

    assert len(errors_of(spec)) == 300


def test_problem_repeats_no_more_of_an_expression_than_a_reader_needs() -> None:
    """The excerpt shows where in it the error is."""
    spec = definition(config_map("a", data={"x": "${" + "schema.spec.name + " * 200 + "nope}"}))

    [error] = errors_of(spec)

    assert "references unknown identifiers: [nope]" in error.problem
    assert len(str(error)) < 1000


def test_limit_of_dimensions_is_a_setting() -> None:
    """ForEach of two lists is fine by default and not under a limit of one."""
    dimensions = [{"a": "${schema.spec.tags}"}, {"b": "${schema.spec.tags}"}]
    spec = definition(config_map("x", name="${a}-${b}", forEach=dimensions))

    compiled(spec)
    [error] = errors_of(spec, limits=Limits(dimensions=1))

    assert "forEach cannot have more than 1 dimensions, got 2" in error.problem


@pytest.mark.parametrize(
    ("entry", "path", "problem"),
    [
        pytest.param(3, "spec.resources[0]", "must be an object, got an integer", id="no object"),
        pytest.param(
            {"id": "a", "template": []},
            "spec.resources[0].template",
            "failed to unmarshal resource a",
            id="template is a list",
        ),
        pytest.param(
            config_map("a", readyWhen="${a.data.x == ''}"),
            "spec.resources[0].readyWhen",
            "must be a list, got a string",
            id="readyWhen is no list",
        ),
        pytest.param(
            config_map("a", includeWhen=[True]),
            "spec.resources[0].includeWhen[0]",
            "must be a string, got a boolean",
            id="includeWhen entry is no text",
        ),
        pytest.param(
            config_map("a", forEach=[{"x": ["a", "b"]}]),
            "spec.resources[0].forEach[0].x",
            "must be an expression that gives a list, got a list",
            id="forEach over a literal list",
        ),
        pytest.param(
            config_map("a", forEach=[{}]),
            "spec.resources[0].forEach[0]",
            "each forEach entry is one iterator",
            id="empty forEach entry",
        ),
        pytest.param(
            {"id": "a", "externalRef": {"apiVersion": "v1", "kind": "Secret", "metadata": {}}},
            "spec.resources[0].externalRef.metadata",
            "exactly one of name or selector must be provided",
            id="external reference to nothing",
        ),
    ],
)
def test_misshapen_entry_is_told_with_its_place(entry: Any, path: str, problem: str) -> None:
    """The API server would not admit it, but definitions also come from files."""
    found = [error for error in errors_of(definition(entry)) if error.path == path]

    assert problem in found[0].problem


def test_rule_that_compiles_nowhere_is_an_author_error() -> None:
    """The API server would refuse the CRD; what only it can judge is left to it."""
    spec: dict[str, Any] = {
        **SPEC,
        "bad": 'integer | validation="self > "',
        "typed": {"a": "string", "b": 'string | validation="self.size()"'},
        "fine": 'string | validation="self.isSomethingOnlyTheServerKnows() && format.x(self)"',
        "good": 'integer | validation="self > 3 && self <= oldSelf"',
    }

    bad, typed = errors_of(definition(spec=spec))

    assert (bad.path, typed.path) == ("spec.schema.spec.bad", "spec.schema.spec.typed.b")
    assert "parse error" in bad.problem
    assert 'must return bool, but returns "int"' in typed.problem


def test_definition_of_a_hundred_resources_grows_linearly() -> None:
    """Not a benchmark: a quadratic build of 2,000 resources would not end here."""
    entries = [
        config_map(f"n{i}", data={"x": f"${{n{i - 1}.data.x}}" if i else "${schema.spec.name}"})
        for i in range(2000)
    ]

    graph = compiled(definition(*entries))

    assert graph.order[-1] == "n1999"
    assert graph.waves["n0"] == 1
