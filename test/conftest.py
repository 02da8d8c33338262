"""What every test may use: the folder of a test says what it needs, fixtures give it.

`test/integration` gets the small control plane (etcd and API server), `test/e2e` the full one.
Each is brought up at the first use in a session, shared by all workers of pytest-xdist, and taken
down when the session ends, also with Ctrl-C; should the session be killed, the next one removes
what it left. `KRO_KUBECONFIG` names an existing cluster that is used in place of both.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from support.controlplane import CONTROLLER, Cluster, ControlPlane
from support.controlplane.session import SESSION_KEY

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    # Python ends at SIGTERM without a word; as an interrupt it passes pytest_unconfigure below.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    worker_input: dict[str, str] | None = getattr(config, "workerinput", None)
    config.stash[SESSION_KEY] = (
        f"pytest-{os.getpid()}" if worker_input is None else worker_input["kro_session"]
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker of pytest-xdist which session it belongs to."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]  # a WorkerController
    node.workerinput["kro_session"] = config.stash[SESSION_KEY]  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Only the session itself ends what its workers share: it is the last to leave."""
    if getattr(config, "workerinput", None) is None and SESSION_KEY in config.stash:
        for shape in ("small", "full"):
            plane = ControlPlane(f"{config.stash[SESSION_KEY]}-{shape}")
            if plane.folder.exists():
                plane.down()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's folder marks it, so that `-m` can choose without every file saying so."""
    for item in items:
        if item.path.is_relative_to(HERE / "integration"):
            item.add_marker(pytest.mark.integration)
        elif item.path.is_relative_to(HERE / "e2e"):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    """A cluster whose API server is ready: no controllers of Kubernetes, no nodes."""
    return _existing_cluster() or _own_cluster(pytestconfig, "small")


@pytest.fixture(scope="session")
def full_cluster(pytestconfig: pytest.Config) -> Cluster:
    """A cluster where Deployments become Available and owned objects and namespaces go away."""
    return _existing_cluster() or _own_cluster(pytestconfig, "full")


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """The administrator's kubeconfig of `cluster`."""
    return cluster.kubeconfig


def _existing_cluster() -> Cluster | None:
    named = os.environ.get("KRO_KUBECONFIG")
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        pytest.exit(f"KRO_KUBECONFIG names no file: {path}", returncode=2)
    return Cluster(kubeconfig=path, controller_kubeconfig=path, audit_log=None)


def _own_cluster(config: pytest.Config, shape: str) -> Cluster:
    def say(text: str) -> None:
        # A person who waits for programs to be built must see it, captured output or not.
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{text}", file=sys.stderr, end="", flush=True)

    plane = ControlPlane(f"{config.stash[SESSION_KEY]}-{shape}")
    plane.up(
        say=say,
        full=shape == "full",
        audit=True,
        users=[CONTROLLER],
        # A worker may end before the session does, so the mark names the session itself.
        dies_with=int(config.stash[SESSION_KEY].rpartition("-")[2]),
    )
    return Cluster(
        kubeconfig=plane.kubeconfig,
        controller_kubeconfig=plane.kubeconfig_of(CONTROLLER.name),
        audit_log=plane.audit_log,
    )
