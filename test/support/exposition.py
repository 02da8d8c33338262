"""What an exposition shows, read by Prometheus' own rules, and what it is held against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics" / "families.yaml"


@dataclass(frozen=True, slots=True)
class Shown:
    """One metric: its type, and labels and bounds as its series have them, where it has any."""

    type: str
    labels: frozenset[frozenset[str]] = frozenset()
    """The sets of label names that occur, without `le`; none where there is no series."""
    buckets: frozenset[tuple[float, ...]] = frozenset()
    """The lists of bounds that occur, without the infinite one."""


def read(text: str) -> dict[str, Shown]:
    """Return what is shown, by name; counters by the name of their series."""
    shown: dict[str, Shown] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        bounds: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for sample in family.samples:
            if family.type == "histogram" and sample.name == f"{family.name}_bucket":
                series = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
                bounds.setdefault(series, []).append(float(sample.labels["le"]))
        shown[name] = Shown(
            family.type,
            frozenset(labels),
            frozenset(tuple(each[:-1]) for each in bounds.values()),
        )
    return shown


@cache
def golden(*sections: str) -> dict[str, Shown]:
    """Return what has to be shown: of all sections, or of some."""
    document = yaml.safe_load(GOLDEN.read_text())
    expected: dict[str, Shown] = {}
    for section in sections or ("reference", "own", "process"):
        for name, (type_, labels, *bounds) in document[section].items():
            buckets = {tuple(map(float, document["buckets"][each])) for each in bounds}
            expected[name] = Shown(type_, frozenset({frozenset(labels)}), frozenset(buckets))
    return expected
