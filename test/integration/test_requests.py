"""What a pass costs in requests, counted in the API server's audit log."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from support.audit import AuditLog, log_of
from support.kube import CONFIGMAPS, DEFINITIONS, Kube, is_ready
from support.manifests import chain, endpoint, instance, unique
from support.operator import Surroundings

LENGTH = 5


async def _until_quiet(log: AuditLog, namespace: str) -> Counter[str]:
    """Return what was asked in the namespace until nothing was for half a second.

    That nothing more comes can only be seen by waiting for it.
    """
    asked: Counter[str] = Counter()
    while True:
        await asyncio.sleep(0.5)
        new = [each for each in log.requests() if each.namespace == namespace]
        if not new:
            return asked
        asked.update(f"{each.verb} {each.resource}" for each in new)


async def test_a_chain_is_applied_in_one_pass(operator: Surroundings, kube: Kube) -> None:
    """Five objects that each read the one before: an apply each, and three writes of the instance.

    Finalizer and labels; the inventory, before the first child; the status. No reads, for the
    answers of the writes are what the next level needs. A settled instance costs nothing; its end
    costs a request an object, and one for the finalizer.
    """
    if operator.audit_log is None:
        pytest.skip("an existing cluster gives no audit log")
    kind, namespace = unique("Chain"), await kube.namespace(unique("chain"))
    plural = endpoint(kind).resource
    await kube.apply(chain(kind, LENGTH))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)
    log = log_of(operator)

    await kube.apply(instance(kind, "one", namespace, {"v": "x"}), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)

    assert await _until_quiet(log, namespace) == {
        f"patch {plural}": 2,
        "patch configmaps": LENGTH,
        f"update {plural}/status": 1,
    }

    await kube.merge(
        CONFIGMAPS, "one-0", {"metadata": {"annotations": {"by": "somebody"}}}, namespace
    )
    assert await _until_quiet(log, namespace) == {}

    await kube.delete(endpoint(kind), "one", namespace)
    await kube.until_gone(endpoint(kind), "one", namespace)
    assert await _until_quiet(log, namespace) == {
        "delete configmaps": LENGTH,
        f"patch {plural}": 1,
    }
