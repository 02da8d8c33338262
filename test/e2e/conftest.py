"""A full cluster with one controller at a time in it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator

import pytest

from support.controlplane import Cluster


@pytest.fixture(scope="module")
def sole_cluster(full_cluster: Cluster) -> Iterator[Cluster]:
    """The full cluster, without any controller but what this module starts and ends.

    Workers of pytest-xdist share the cluster, and two controllers would write over each other: the
    lock is the one under which the integration tests start theirs, the mark what they leave.
    """
    folder = full_cluster.kubeconfig.parent
    with (folder / "kro-controller.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "kro-controller.pid").exists():
            pytest.skip("the integration tests' controller runs in this existing cluster")
        yield full_cluster
