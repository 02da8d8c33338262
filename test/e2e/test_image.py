"""The image's own steps, without a container engine, give a controller that serves."""

from __future__ import annotations

import subprocess

import pytest

from support.controlplane import Cluster
from support.operator import ROOT

pytestmark = pytest.mark.slow

TIMEOUT_S = 600


def test_the_dockerfile_makes_a_controller_that_serves(sole_cluster: Cluster) -> None:
    """Locked packages and nothing else, compiled; ready on uvloop; a clean end; no file written."""
    command = [str(ROOT / "hack" / "image-check")]
    command.append(f"--kubeconfig={sole_cluster.controller_kubeconfig}")

    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "locked packages and kro" in done.stdout
    assert "on uvloop; SIGTERM ended it with 0; nothing was written" in done.stdout
