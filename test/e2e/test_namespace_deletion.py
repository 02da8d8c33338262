# ruff: noqa: E501 - definitions stand here as authors write them
"""A namespace that is deleted with instances in it: scenario H-17, with a real namespace controller.

Source: spec instance-runtime.md §7.3, §10.H.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.controlplane import Cluster, kubectl
from support.kube import DEFINITIONS, NAMESPACES, Kube
from support.lab import Lab
from support.operator import ROOT, Operator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "KRO_KUBECONFIG" in os.environ, reason="an existing cluster is not ours to judge"
    ),
]


SPREAD = """
schema: {kind: Spread, spec: {spaces: "[]string"}}
resources:
- id: own
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-own"}}
- id: cells
  forEach: [{ns: "${schema.spec.spaces}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}", namespace: "${ns}"}, data: {of: "${own.metadata.name}"}}
"""


@pytest.fixture
def kro(sole_cluster: Cluster, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster in which kro runs; all kinds that come with it go again."""

    def run(*arguments: str) -> str:
        return kubectl(sole_cluster.kubeconfig, *arguments)

    crds = f"--filename={ROOT / 'config' / 'crd'}"
    before = set(run("get", "crd", "--output=name").split())
    run("apply", "--server-side", crds)
    try:
        run("wait", "--for=condition=Established", crds, "--timeout=60s")
        with Operator(sole_cluster.controller_kubeconfig, tmp_path / "controller.log") as operator:
            asyncio.run(operator.ready())
            yield sole_cluster
            # The cluster's own collector would find them within a minute; nobody releases them then.
            run("delete", "graphrevisions", "--all", "--timeout=60s")
    finally:
        if created := set(run("get", "crd", "--output=name").split()) - before:
            run("delete", *created, "--timeout=60s")


async def test_h_17_namespace_deletion(kro: Cluster) -> None:
    """It completes, and takes the members in other namespaces along; others of these stay."""
    async with Kube(kro.kubeconfig) as kube:
        lab = await Lab.opened(kube)
        b = await lab.other_namespace("b")
        definition = await lab.define(SPREAD)
        for name in ("one", "two"):
            await lab.create("Spread", name, {"spaces": [lab.namespace, b]})
            await lab.settled("Spread", name)
        await lab.put_cm("mine", {"a": "1"}, b)

        await kube.delete(NAMESPACES, lab.namespace)

        await kube.until_gone(NAMESPACES, lab.namespace, timeout_s=90)
        for name in ("one", "two"):
            await lab.gone_cm(name, b)
        assert await lab.cm("mine", b)
        await lab.close()
        await kube.until_gone(DEFINITIONS, definition)
        await kube.delete(NAMESPACES, b)
        await kube.until_gone(NAMESPACES, b, timeout_s=90)
