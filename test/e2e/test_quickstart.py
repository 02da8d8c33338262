"""The README's first command: from a clone to a running web application, and back."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from support.controlplane import Cluster, existing_names, kubectl
from support.operator import ROOT

pytestmark = pytest.mark.slow

TIMEOUT_S = 300
OWN = {name: value for name, value in os.environ.items() if name != "KRO_KUBECONFIG"}


def quickstart(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, its output in a pipe."""
    return subprocess.run(
        [str(ROOT / "hack" / "quickstart"), *arguments],
        env=OWN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.skipif("KRO_KUBECONFIG" in os.environ, reason="an existing cluster is to be used")
def test_once_shows_every_promise_on_a_control_plane_of_its_own() -> None:
    """A clone, one command, exit code 0: the API is served and does all that it is for."""
    before = set(existing_names())

    done = quickstart("--once")

    assert done.returncode == 0, done.stdout
    assert_in_order(
        done.stdout,
        "WebApplication is a kind of this cluster",
        "NAME   STATE    READY   AGE",
        "shop   ACTIVE   True",
        "it runs: 3 replicas, behind a Service",
        "the Ingress is there, and leads to the Service",
        "the Ingress is gone",
        "it is back (was ",
        "the Deployment has 5, and the instance's status says so",
        "gone, in reverse order: ingress/shop, then service/shop, then deployment/shop",
        'resourcegraphdefinition.kro.run "webapplication" deleted',
        "nothing is left behind",
        "All of it worked",
    )
    assert "\033" not in done.stdout, "colours are for terminals"
    left = {name for name in set(existing_names()) - before if name.startswith("quickstart")}
    assert not left


def test_ctrl_c_ends_it_and_an_existing_cluster_is_as_it_was(sole_cluster: Cluster) -> None:
    """Without --once the application stays up until Ctrl-C, which removes what was created."""

    def look(*arguments: str) -> str:
        return kubectl(sole_cluster.kubeconfig, "--namespace=default", *arguments)

    before = everything(sole_cluster)

    with running("--kubeconfig", str(sole_cluster.kubeconfig)) as (process, output):
        read_until(output, "Ctrl-C deletes from the cluster what was created here")
        ready = look("get", "webapplication", "shop", "--output=jsonpath={.status.state}")
        available = look("get", "deployment", "shop", "--output=jsonpath={.status.readyReplicas}")
        process.send_signal(signal.SIGINT)
        rest = output.read()
        code = process.wait(TIMEOUT_S)

    assert (ready, available) == ("ACTIVE", "3")
    assert code == 0, rest
    assert "nothing is left behind" in rest
    assert everything(sole_cluster) == before


def test_a_cluster_in_which_something_is_in_the_way_is_left_alone(sole_cluster: Cluster) -> None:
    """What the quickstart would change or delete, and did not create, ends it before it begins."""
    mine = ("--namespace=default", "deployment", "shop")
    kubectl(sole_cluster.kubeconfig, "create", mine[1], mine[2], mine[0], "--image=mine")
    try:
        before = everything(sole_cluster)

        done = quickstart("--once", "--kubeconfig", str(sole_cluster.kubeconfig))

        assert done.returncode == 1, done.stdout
        assert "the cluster has deployment/shop already" in done.stdout
        assert everything(sole_cluster) == before
    finally:
        kubectl(sole_cluster.kubeconfig, "delete", *mine)


def test_a_kubeconfig_that_is_not_there_is_a_wrong_command_line(tmp_path: Path) -> None:
    """A wrong command line: what is wrong, exit code 2, nothing begun."""
    done = quickstart("--kubeconfig", str(tmp_path / "nothing"))

    assert done.returncode == 2
    assert f"no kubeconfig at {tmp_path / 'nothing'}" in done.stdout


def everything(cluster: Cluster) -> set[str]:
    """Return the names of all that the quickstart might leave in a cluster."""
    kinds = "customresourcedefinitions,deployments,services,ingresses"
    return set(
        kubectl(cluster.kubeconfig, "get", kinds, "--all-namespaces", "--output=name").split()
    )


def assert_in_order(text: str, *parts: str) -> None:
    position = 0
    for part in parts:
        found = text.find(part, position)
        assert found >= 0, f"{part!r} is not in, or not in that order:\n{text}"
        position = found + len(part)


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Run it in the background; it is asked to clean up even if the test fails."""
    process = subprocess.Popen(
        [str(ROOT / "hack" / "quickstart"), *arguments],
        env=OWN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield process, process.stdout
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(TIMEOUT_S)


def read_until(output: IO[str], part: str) -> None:
    """Read up to the line that has the part."""
    seen = []
    for line in output:
        seen.append(line)
        if part in line:
            return
    raise AssertionError(f"it ended without {part!r}:\n{''.join(seen)}")
