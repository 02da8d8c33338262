"""The cheap histogram counts as Prometheus' own does."""

from __future__ import annotations

import random

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from kro.metrics.catalogue import FAMILIES
from kro.metrics.tally import Spread, Tally

NAME = "cel_expr_eval_duration_seconds"


def test_a_spread_is_exposed_as_a_histogram_is() -> None:
    """Bounds count what equals them; the infinite one counts all; so does `_count`."""
    family = FAMILIES[NAME]
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    spread = Spread(NAME)
    ours.register(spread)
    histogram = Histogram(NAME, family.meaning, buckets=family.buckets, registry=theirs)
    values = [
        0.0,
        0.005,
        0.0050001,
        10.0,
        11.0,
        *(random.Random(1).uniform(0, 12) for _ in "x" * 99),
    ]

    for value in values:
        spread.observe(value)
        histogram.observe(value)

    assert generate_latest(ours) == generate_latest(theirs)


def test_a_tally_is_a_counter() -> None:
    """It begins at zero and has no labels."""
    registry = CollectorRegistry()
    tally = Tally("cel_expr_eval_total")
    registry.register(tally)

    tally.value += 2

    assert registry.get_sample_value("cel_expr_eval_total") == 2
