"""The conformance suites, as pytest sees them; `hack/conformance` prints more."""

from __future__ import annotations

from typing import Final

import pytest

from conformance.__main__ import load, run, suites

ELSEWHERE: Final = {"graph-admission"}
"""Suites that start a control plane; `hack/conformance` runs them."""

KNOWN, BROKEN = suites()


def test_every_suite_can_be_imported() -> None:
    """A suite that does not load would pass unnoticed."""
    assert BROKEN == {}


@pytest.mark.parametrize("name", sorted(KNOWN.keys() - ELSEWHERE))
def test_suite_passes(name: str) -> None:
    """Every case that can be run gives the outcome that its file expects."""
    cases = load(KNOWN[name], None)
    if cases is None:
        pytest.skip("the case files are not there")

    result = run(KNOWN[name], cases)

    assert result.failed == []
    assert result.passed > 0
