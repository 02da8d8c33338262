"""What the API server itself refuses of a definition: the suite of cases, against our own CRD."""

from __future__ import annotations

import pytest

from conformance.__main__ import load, run, suites
from support.operator import Surroundings


def test_the_crd_admits_and_refuses_what_the_cases_say(
    private_cluster: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patterns, CEL rules, defaults and immutability, on create and on update.

    No controller runs there: one that adds its finalizer would make the updates conflict.
    """
    monkeypatch.setenv("KRO_KUBECONFIG", str(private_cluster.kubeconfig))
    suite = suites()[0]["graph-admission"]
    cases = load(suite, None)
    if cases is None:
        pytest.skip("the case files are not there")

    result = run(suite, cases)

    assert result.failed == []
    assert result.passed > 20
