"""Every example, applied as a user would, becomes an API whose instance is Ready."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.controlplane import Cluster, kubectl
from support.operator import ROOT, Operator

pytestmark = pytest.mark.slow

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/rgd.yaml"))
WAIT = "--timeout=120s"


@pytest.fixture(scope="module")
def kro(sole_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in which kro runs; its own kinds go again if they were not there."""

    def run(*arguments: str) -> str:
        return kubectl(sole_cluster.kubeconfig, *arguments)

    crds = f"--filename={ROOT / 'config' / 'crd'}"
    before = set(run("get", "crd", "--output=name").split())
    run("apply", "--server-side", crds)
    try:
        run("wait", "--for=condition=Established", crds, WAIT)
        log = tmp_path_factory.mktemp("examples") / "controller.log"
        with Operator(sole_cluster.controller_kubeconfig, log) as operator:
            asyncio.run(operator.ready())
            yield sole_cluster
    finally:
        if created := set(run("get", "crd", "--output=name").split()) - before:
            run("delete", *created, WAIT)


@pytest.mark.parametrize("example", [pytest.param(path, id=path.name) for path in EXAMPLES])
def test_the_example_becomes_ready_and_goes_again(kro: Cluster, example: Path) -> None:
    """Its definition is Ready, then its instance; deleting both ends and leaves no child."""
    with applied(kro, example) as instance:
        children = children_of(kro, instance)
        assert children, "an example that creates nothing shows nothing"

    assert children_of(kro, instance) == []


def test_argocd_sees_the_child_below_its_instance(kro: Cluster) -> None:
    """The child has the instance's tracking id, and the instance as its owner."""
    with applied(kro, ROOT / "examples" / "argocd") as instance:
        [child] = children_of(kro, instance)

    metadata = child["metadata"]
    tracking = "argocd.argoproj.io/tracking-id"
    assert metadata["annotations"][tracking] == instance["metadata"]["annotations"][tracking]
    [owner] = metadata["ownerReferences"]
    assert owner == {
        "apiVersion": instance["apiVersion"],
        "kind": instance["kind"],
        "name": instance["metadata"]["name"],
        "uid": instance["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }


@contextmanager
def applied(cluster: Cluster, example: Path) -> Iterator[dict[str, Any]]:
    """The example's instance as it is when Ready; it is deleted at the end of the block."""
    definition, instance = (
        f"--filename={example / name}" for name in ("rgd.yaml", "instance.yaml")
    )

    def run(*arguments: str) -> str:
        return kubectl(cluster.kubeconfig, *arguments)

    try:
        run("apply", "--server-side", definition)
        wait_ready(cluster, definition)
        try:
            run("apply", "--server-side", instance)
            wait_ready(cluster, instance)
            yield json.loads(run("get", instance, "--output=json"))
        finally:
            run("delete", instance, "--ignore-not-found", WAIT)
    finally:
        name = json.loads(run("get", definition, "--output=json"))["metadata"]["name"]
        run("delete", definition, WAIT)
        selector = f"--selector=kro.run/resource-graph-definition-name={name}"
        run("delete", "crd,graphrevisions", selector, "--ignore-not-found", WAIT)


def wait_ready(cluster: Cluster, file: str) -> None:
    """Wait until what is in the file is Ready; if it is not in time, show it as it is."""
    try:
        kubectl(cluster.kubeconfig, "wait", "--for=condition=Ready", file, WAIT)
    except AssertionError as error:
        shown = kubectl(cluster.kubeconfig, "get", file, "--output=yaml")
        raise AssertionError(f"{error}\n{shown}") from error


def children_of(cluster: Cluster, instance: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of common kinds that carry the instance's id."""
    kinds = "configmaps,secrets,services,deployments,ingresses,jobs,serviceaccounts"
    selector = f"--selector=kro.run/instance-id={instance['metadata']['uid']}"
    found = kubectl(cluster.kubeconfig, "get", kinds, "--all-namespaces", selector, "--output=json")
    items: list[dict[str, Any]] = json.loads(found)["items"]
    return items
