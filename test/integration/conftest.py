"""One controller for all integration tests of a session, and a user to talk to the API server.

The workers of pytest-xdist share the control plane, so they share the controller too: two of them
would write over each other. A test that kills its controller brings up a control plane of its own
with `private_cluster`.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from support.controlplane import CONTROLLER, ControlPlane
from support.controlplane.session import SESSION_KEY
from support.kube import CRDS, Kube
from support.operator import ROOT, Operator, Surroundings

MARK = "kro-controller.pid"
"""Beside the kubeconfig, while a controller of the tests runs on that cluster."""
OPERATOR = pytest.StashKey[Operator]()


async def install_crds(kube: Kube) -> None:
    """Apply kro's own CRDs and wait until they are served."""
    for file in sorted((ROOT / "config" / "crd").glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            await kube.apply(manifest, gvr=CRDS)
            await kube.until(CRDS, manifest["metadata"]["name"], _established)


def _established(crd: dict[str, Any]) -> bool:
    return any(
        c["type"] == "Established" and c["status"] == "True"
        for c in crd.get("status", {}).get("conditions") or ()
    )


@pytest_asyncio.fixture
async def kube(cluster: Any) -> AsyncIterator[Kube]:
    """An administrator of the shared cluster."""
    async with Kube(cluster.kubeconfig) as user:
        yield user


@pytest.fixture(scope="session")
def operator(cluster: Any, pytestconfig: pytest.Config) -> Surroundings:
    """The session's controller, running and ready on the shared cluster."""
    folder = cluster.kubeconfig.parent
    log = folder / "kro-controller.log"
    mark = folder / MARK
    with _locked(folder / "kro-controller.lock"):
        if not _runs(mark):
            process = Operator(cluster.controller_kubeconfig, log)
            asyncio.run(_prepare(cluster.kubeconfig))
            process.start()
            mark.write_text(str(process.pid))
            pytestconfig.stash[OPERATOR] = process  # ended by pytest_unconfigure
            asyncio.run(process.ready())
    return Surroundings(
        cluster.kubeconfig,
        cluster.controller_kubeconfig,
        cluster.audit_log,
        cluster.controller_user,
        log,
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the shared controller with the session, before its control plane goes."""
    if getattr(config, "workerinput", None) is not None:
        return
    if SESSION_KEY not in config.stash:
        return
    existing = os.environ.get("KRO_KUBECONFIG")
    kubeconfig = (
        Path(existing).expanduser()
        if existing
        else ControlPlane(f"{config.stash[SESSION_KEY]}-small").kubeconfig
    )
    mark = kubeconfig.parent / MARK
    if mark.exists():
        with suppress(ProcessLookupError):
            os.kill(int(mark.read_text()), signal.SIGTERM)
        mark.unlink()


def _runs(mark: Path) -> bool:
    """Whether the process that the mark names is a controller that still runs."""
    if not mark.exists():
        return False
    command = Path(f"/proc/{mark.read_text()}/cmdline")
    return command.exists() and b"controller" in command.read_bytes()


@pytest.fixture(scope="module")
def private_cluster(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Surroundings]:
    """A small control plane for one test module alone: its controller may be killed."""
    name = f"kro-private-{os.getpid()}-{next(_numbers)}"
    plane = ControlPlane(name)
    plane.up(say=lambda _: None, full=False, audit=True, users=[CONTROLLER], dies_with=os.getpid())
    try:
        asyncio.run(_prepare(plane.kubeconfig))
        yield Surroundings(
            plane.kubeconfig,
            plane.kubeconfig_of(CONTROLLER.name),
            plane.audit_log,
            CONTROLLER.name,
            tmp_path_factory.mktemp("operator") / "controller.log",
        )
    finally:
        plane.down()


async def _prepare(kubeconfig: Path) -> None:
    async with Kube(kubeconfig) as kube:
        await install_crds(kube)


_numbers = itertools.count()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
