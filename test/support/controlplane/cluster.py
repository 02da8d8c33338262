"""A cluster as a test sees it, and kubectl on it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.controlplane.binaries import ensure_tool
from support.controlplane.credentials import CONTROLLER


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster to test against, ours or one that was there."""

    kubeconfig: Path
    """The administrator's: what a test itself does."""
    controller_kubeconfig: Path
    """What the controller under test uses. On our control planes it is a user of its own with the
    ClusterRole cluster-admin, so that its requests can be told from the test's."""
    audit_log: Path | None
    """Every answered request as one JSON event a line; None for an existing cluster."""
    controller_user: str = CONTROLLER.name


def kubectl(kubeconfig: Path, *arguments: str, stdin: str = "") -> str:
    """Return what kubectl prints.

    Raises:
        AssertionError: it failed; the message is what it said.
    """
    program = ensure_tool("kubectl", say=print)
    done = subprocess.run(
        [str(program), "--kubeconfig", str(kubeconfig), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout
