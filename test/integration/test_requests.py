"""What a pass costs in requests, counted in the API server's audit log."""

from __future__ import annotations

import asyncio

import pytest

from support.audit import Audit
from support.kube import CONFIGMAPS, DEFINITIONS, Kube, is_ready
from support.manifests import chain, endpoint, instance, unique
from support.operator import Surroundings

LENGTH = 5


async def _quiet(audit: Audit, namespace: str) -> int:
    """Wait until the controller has asked nothing for half a second; return how much it asked."""
    seen = -1
    while (now := len(audit.requests(namespace=namespace))) != seen:
        seen = now
        await asyncio.sleep(0.5)
    return seen


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
    create = Audit(operator.audit_log, operator.controller_user)

    await kube.apply(instance(kind, "one", namespace, {"v": "x"}), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)
    await _quiet(create, namespace)

    assert create.count(namespace=namespace) == {
        f"patch {plural}": 2,
        "patch configmaps": LENGTH,
        f"update {plural}/status": 1,
    }

    settled = Audit(operator.audit_log, operator.controller_user)
    await kube.merge(
        CONFIGMAPS, "one-0", {"metadata": {"annotations": {"by": "somebody"}}}, namespace
    )
    assert await _quiet(settled, namespace) == 0

    delete = Audit(operator.audit_log, operator.controller_user)
    await kube.delete(endpoint(kind), "one", namespace)
    await kube.until_gone(endpoint(kind), "one", namespace)
    await _quiet(delete, namespace)
    assert delete.count(namespace=namespace) == {
        "delete configmaps": LENGTH,
        f"patch {plural}": 1,
    }
