"""Every example's page, typed as printed on a full control plane: create, change, clean up.

The examples have no object in common, so all of them run at the same time, with one controller:
what takes long is waiting for namespaces to go.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.controlplane import Cluster, kubectl
from support.documents.blocks import ROOT, Page
from support.documents.shell import Shell
from support.operator import Operator
from support.polling import until
from support.release import released

pytestmark = pytest.mark.slow

EXAMPLES = [path.parent.name for path in sorted(ROOT.glob("examples/*/rgd.yaml"))]
AT_ONCE = 5
WAIT_S = 90
BY_THE_CLUSTER = ("event", "endpoints", "endpointslice", "lease")
"""Kinds whose objects the cluster makes and removes in its own time."""


@pytest.fixture(scope="module")
def kro(sole_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in which kro runs, with the rights that the chart gives it by default."""
    log = tmp_path_factory.mktemp("examples") / "controller.log"
    if "KRO_KUBECONFIG" in os.environ:  # the chart's pods would really be started there
        with plain_controller(sole_cluster, log):
            yield sole_cluster
    else:
        with released(sole_cluster, log) as release, release.running():
            yield sole_cluster


@contextmanager
def plain_controller(cluster: Cluster, log: Path) -> Iterator[None]:
    """The controller runs as the tests' user; kro's own kinds go if they were not there."""

    def run(*arguments: str) -> str:
        return kubectl(cluster.kubeconfig, *arguments)

    crds = f"--filename={ROOT / 'config' / 'crd'}"
    before = set(run("get", "crd", "--output=name").split())
    run("apply", "--server-side", crds)
    try:
        run("wait", "--for=condition=Established", crds, "--timeout=60s")
        with Operator(cluster.controller_kubeconfig, log) as operator:
            asyncio.run(operator.ready())
            yield
    finally:
        if created := set(run("get", "crd", "--output=name").split()) - before:
            run("delete", *created, "--timeout=60s")


@pytest.fixture(scope="module")
def before(kro: Cluster) -> frozenset[str]:
    """Everything that was there before the first example."""
    return everything(kro)


@pytest.fixture(scope="module")
def runs(
    kro: Cluster, before: frozenset[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[None]]]:
    """The examples' pages, all of them on their way."""

    def follow(name: str, programs: Path) -> None:
        shell = Shell(kro.kubeconfig, folder=ROOT, programs=programs)
        for block in Page(ROOT / "examples" / name / "README.md").blocks:
            if block.kind == "console cluster":
                shell.follow(block)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(follow, name, tmp_path_factory.mktemp(name)) for name in EXAMPLES}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_is_true(name: str, runs: Mapping[str, Future[None]]) -> None:
    """Every command works as printed, in the page's order, and prints what is shown below it."""
    runs[name].result()


def test_nothing_is_left(
    kro: Cluster, before: frozenset[str], runs: Mapping[str, Future[None]]
) -> None:
    """When the pages have been followed to their ends, the cluster is as it was."""
    if any(run.exception() for run in runs.values()):
        remove_generated(kro)
        pytest.fail("an example was not followed to its end")

    until(lambda: everything(kro) - before, lambda left: not left, within_s=WAIT_S)


def everything(cluster: Cluster) -> frozenset[str]:
    """Return kind, namespace and name of all objects that somebody made on purpose."""
    kinds = kubectl(
        cluster.kubeconfig, "api-resources", "--verbs=list,delete", "--output=name"
    ).split()
    wanted = [kind for kind in kinds if not kind.startswith(BY_THE_CLUSTER)]
    line = '{range .items[*]}{.kind} {.metadata.namespace} {.metadata.name}{"\\n"}{end}'
    found = kubectl(
        cluster.kubeconfig,
        *("get", ",".join(wanted), "--all-namespaces", f"--output=jsonpath={line}"),
    )
    return frozenset(found.splitlines())


def remove_generated(cluster: Cluster) -> None:
    """Remove what a broken run left, while the controller is there to finish its instances."""

    def run(*arguments: str) -> str:
        return kubectl(cluster.kubeconfig, *arguments)

    selector = "--selector=kro.run/resource-graph-definition-name"
    crds = run("get", "crd", selector, "--output=name").split()
    for crd in crds:
        plural = crd.partition("/")[2]
        run("delete", plural, "--all", "--all-namespaces", "--timeout=60s")
    run("delete", "rgd", "--all", "--timeout=60s")
    run("delete", *crds, "--timeout=60s")
