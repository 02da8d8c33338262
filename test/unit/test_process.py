"""What a process makes of its settings before it has asked the API server anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog

from kro.process import run_controller
from kro.settings import Settings

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: here, cluster: {server: "https://127.0.0.1:9"}}]
contexts: [{name: here, context: {cluster: here, user: me}}]
users: [{name: me, user: {token: none}}]
"""
NOWHERE = {"metrics_bind_address": "0", "health_probe_bind_address": "0"}
ELECTION = {"leader_elect": True, "leader_election_namespace": "kro-system"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(
            {"leader_elect": True},
            "--leader-elect outside a cluster needs --leader-election-namespace",
            id="no namespace for the lease",
        ),
        pytest.param(
            ELECTION | {"lease_duration_s": 5.0},
            "the lease duration (5 s) must be longer than the renew deadline (10 s)",
            id="a lease shorter than its renewal may take",
        ),
        pytest.param(
            ELECTION | {"retry_period_s": 9.0},
            "the renew deadline (10 s) must be longer than 1.2 retry periods (9 s)",
            id="no second try before the deadline",
        ),
        pytest.param(
            ELECTION | {"retry_period_s": 0.0},
            "the retry period (0 s) must be longer than 0",
            id="no pause between tries",
        ),
        pytest.param(
            {"metrics_bind_address": "metrics"},
            "'metrics' is no address to listen on",
            id="no address",
        ),
    ],
)
def test_settings_that_cannot_work_end_the_process_with_one_line(
    tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    """P-136, P-143: exit code 1, and one line that names the flag or the value."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    settings = Settings(kubeconfig=str(kubeconfig), **(NOWHERE | given))
    with structlog.testing.capture_logs() as lines:
        code = asyncio.run(run_controller(settings))

    assert code == 1
    [line] = lines
    assert (line["event"], line["log_level"]) == ("cannot start", "error")
    assert says in line["error"]
