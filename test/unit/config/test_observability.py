"""The dashboard and the alerts ask only for what the controller shows, and load as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kro.metrics.catalogue import FAMILIES, Type
from support.exposition import golden
from support.promql import RATES, Query, QueryError, Selected, parse

ROOT = Path(__file__).parents[3]
RULES = ROOT / "config" / "prometheus" / "rules.yaml"
OPERATOR_RULES = ROOT / "config" / "prometheus" / "prometheusrule.yaml"
DASHBOARD = ROOT / "config" / "grafana" / "kro.json"
TARGET = frozenset({"job", "instance"})
"""Labels that the scrape adds."""
SUFFIXES = ("_bucket", "_sum", "_count")


def alerts() -> list[dict[str, Any]]:
    """Return every alert."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> Iterator[dict[str, Any]]:
    """Yield every panel, those in collapsed rows too."""
    for each in json.loads(DASHBOARD.read_text())["panels"]:
        yield each
        yield from each.get("panels", ())


def queries() -> list[Any]:
    """Return every query with where it stands."""
    found = [pytest.param(rule["expr"], id=rule["alert"]) for rule in alerts()]
    for panel in panels():
        for target in panel.get("targets", ()):
            where = f"{panel['title']} {target['refId']} {panel['id']}"
            found.append(pytest.param(target["expr"], id=where))
    return found


def problems(query: Query) -> Iterator[str]:
    """Yield what a query asks for that is not there."""
    for selected in query.selected:
        labels = _labels_of(selected.name)
        if labels is None:
            yield f"there is no {selected.name}"
            continue
        if unknown := selected.matched - labels:
            yield f"{selected.name} has no {sorted(unknown)}"
        yield from _misused(selected)
    for grouped, below in query.grouped:
        known = frozenset().union(*(_labels_of(name) or () for name in below))
        if unknown := grouped - known:
            yield f"nothing of {sorted(below)} has {sorted(unknown)}"


def _misused(selected: Selected) -> Iterator[str]:
    counts = _is_counter(selected.name)
    if counts and not (selected.ranged and selected.within in RATES):
        yield f"{selected.name} only grows: take its rate"
    if not counts and selected.ranged:
        yield f"{selected.name} is no counter: it has no rate"


def _is_counter(name: str) -> bool:
    family = FAMILIES.get(name)
    if family is None:
        return name.endswith((*SUFFIXES, "_total"))
    return family.type is Type.COUNTER


def _labels_of(name: str) -> frozenset[str] | None:
    shown = golden()
    if name in shown and shown[name].type != "histogram":
        return next(iter(shown[name].labels)) | TARGET
    base = next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), "")
    if base in shown and shown[base].type == "histogram":
        le = {"le"} if name.endswith("_bucket") else set()
        return next(iter(shown[base].labels)) | TARGET | le
    return None


@pytest.mark.parametrize("text", queries())
def test_a_query_asks_for_what_is_shown(text: str) -> None:
    """Names, labels of matchers and of groupings exist; counters are looked at by their rate."""
    assert list(problems(parse(text))) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("up_and_away", "there is no up_and_away", id="unknown metric"),
        pytest.param('kro_build_info{color="red"}', "has no ['color']", id="unknown label"),
        pytest.param("sum by (gvr) (kro_build_info)", "has ['gvr']", id="unknown grouping"),
        pytest.param("cel_expr_eval_total", "take its rate", id="a bare counter"),
        pytest.param("rate(workqueue_depth[5m])", "no counter", id="the rate of a gauge"),
        pytest.param("kro_runtime_loop_lag_seconds", "there is no", id="a histogram as a whole"),
        pytest.param("workqueue_depth and on (le) kro_build_info", "has ['le']", id="a join"),
    ],
)
def test_a_query_for_something_else_is_found(text: str, problem: str) -> None:
    """A rule that nothing can break proves nothing."""
    assert any(problem in each for each in problems(parse(text)))


@pytest.mark.parametrize(
    "text", ["sum by (a (b)", "a{b}", "rate(a[5m)", "a b", "sum(", "a{b=c}", "5x ~"]
)
def test_what_is_no_query_is_refused(text: str) -> None:
    """Each token needs its place."""
    with pytest.raises(QueryError):
        parse(text)


def test_every_alert_says_what_to_do() -> None:
    """Severity, a summary, what happened, what to do, and where that is explained."""
    names = [rule["alert"] for rule in alerts()]

    assert len(set(names)) == len(names) > 20
    for rule in alerts():
        notes = rule["annotations"]
        assert set(notes) == {"summary", "description", "runbook", "runbook_url"}, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule["alert"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert notes["description"].endswith("."), rule["alert"]
        assert notes["runbook"].endswith("."), rule["alert"]


@pytest.mark.parametrize("rule", [pytest.param(r, id=r["alert"]) for r in alerts()])
def test_an_alert_tells_of_labels_that_it_has(rule: dict[str, Any]) -> None:
    """A template of a label that the query has summed away shows nothing."""
    told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["description"]))
    query = parse(rule["expr"])
    kept = set(TARGET) if not query.grouped else set()
    for selected in query.selected:
        kept |= (_labels_of(selected.name) or frozenset()) if not query.grouped else set()
    for grouped, _ in query.grouped:
        kept |= grouped

    assert told <= kept


@pytest.mark.parametrize("rule", [pytest.param(r, id=r["alert"]) for r in alerts()])
def test_a_runbook_is_a_heading_of_the_documents(rule: dict[str, Any]) -> None:
    """Somebody opens it at night."""
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    text = (ROOT / path).read_text()
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }

    assert not anchor or anchor in headings


def test_the_operator_gets_the_same_alerts() -> None:
    """A PrometheusRule holds the groups as they are."""
    document = yaml.safe_load(OPERATOR_RULES.read_text())

    assert (document["apiVersion"], document["kind"]) == (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
    )
    assert document["spec"] == yaml.safe_load(RULES.read_text())


def test_the_dashboard_has_what_grafana_asks_for_on_import() -> None:
    """Distinct ids, no overlapping places, data source and job chosen by whoever looks."""
    document = json.loads(DASHBOARD.read_text())
    every = list(panels())

    assert len({panel["id"] for panel in every}) == len(every)
    assert [v["name"] for v in document["templating"]["list"]] == ["datasource", "job"]
    assert document["uid"] == "kro-controller"
    assert "id" not in document
    for panel in every:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    shown = [panel for panel in document["panels"] if not panel.get("collapsed")]
    cells = [
        (x, y)
        for panel in shown
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
