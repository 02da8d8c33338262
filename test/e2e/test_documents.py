"""What README.md and docs/ tell a reader to type, typed on a control plane in which kro runs.

The commands of a page run in its order, in a folder with the files that it names. What is not run
for want of a registry or an engine is taken apart in `test/unit/docs`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.controlplane import Cluster, kubectl
from support.documents.blocks import ROOT, Page, pages
from support.documents.reader import Reader
from support.documents.shell import Shell
from support.operator import Operator

pytestmark = pytest.mark.slow

KINDS = ("resourcegraphdefinitions", "graphrevisions", "customresourcedefinitions", "namespaces")
"""In the order in which they are to be deleted."""
PAGES = [
    pytest.param(page, id=str(page.path.relative_to(ROOT)))
    for page in pages()
    if any(block.kind == "console cluster" for block in page.blocks)
]


@pytest.fixture(scope="module")
def kro(sole_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in which kro runs; its own kinds go again if they were not there."""

    def run(*arguments: str) -> str:
        return kubectl(sole_cluster.kubeconfig, *arguments)

    crds = f"--filename={ROOT / 'config' / 'crd'}"
    before = set(run("get", "crd", "--output=name").split())
    run("apply", "--server-side", crds)
    try:
        run("wait", "--for=condition=Established", crds)
        log = tmp_path_factory.mktemp("documents") / "controller.log"
        with Operator(sole_cluster.controller_kubeconfig, log) as operator:
            asyncio.run(operator.ready())
            yield sole_cluster
    finally:
        if created := set(run("get", "crd", "--output=name").split()) - before:
            run("delete", *created, "--timeout=60s")


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_the_page_shows(
    kro: Cluster, page: Page, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every command of the page works as printed, and prints what is shown below it."""
    before = set(_names(kro))
    reader = Reader(page, tmp_path)
    programs = tmp_path_factory.mktemp("programs")
    shell = Shell(kro.kubeconfig, folder=tmp_path, programs=programs)
    try:
        for block in page.blocks:
            if block.kind.startswith("yaml") and block.kind != "yaml excerpt":
                reader.save(block)
            elif block.kind == "console cluster":
                shell.follow(block)
    finally:
        _remove(kro, set(_names(kro)) - before)


def _names(cluster: Cluster) -> list[str]:
    """Return all that a page may leave behind, instances and their objects apart."""
    kinds = ",".join(KINDS)
    return kubectl(cluster.kubeconfig, "get", kinds, "--output=name").split()


def _remove(cluster: Cluster, left: set[str]) -> None:
    """Remove what a page has left; with a CRD go its instances, and kro finishes them.

    Revisions too: Kubernetes' own collection learns of a new kind only after half a minute, and
    each has a finalizer, for which the controller must still be there.
    """
    for kind in KINDS:
        if names := sorted(name for name in left if name.startswith(kind[:-1])):
            kubectl(cluster.kubeconfig, "delete", *names, "--ignore-not-found", "--timeout=60s")
