"""The control plane that the tests in this folder stand on is what they take it for."""

from __future__ import annotations

import json
import os

import pytest

from support.controlplane import Cluster, kubectl

pytestmark = pytest.mark.skipif(
    "KRO_KUBECONFIG" in os.environ, reason="an existing cluster is not ours to judge"
)


def test_controller_is_a_user_of_its_own_with_all_rights(cluster: Cluster) -> None:
    """Cluster-admin by RBAC: the API server's flow control and audit log see a controller."""
    who = json.loads(kubectl(cluster.controller_kubeconfig, "auth", "whoami", "-o", "json"))

    assert who["status"]["userInfo"]["username"] == cluster.controller_user
    assert "system:masters" not in who["status"]["userInfo"]["groups"]
    assert kubectl(cluster.controller_kubeconfig, "auth", "can-i", "*", "*").strip() == "yes"


def test_audit_log_holds_every_answered_request_of_each_user(cluster: Cluster) -> None:
    """What was answered is in the log, under the name of who asked."""
    assert cluster.audit_log is not None
    kubectl(cluster.controller_kubeconfig, "get", "--raw", "/api/v1/namespaces?limit=481")
    kubectl(cluster.kubeconfig, "get", "--raw", "/api/v1/namespaces?limit=482")

    events = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]

    asked = {
        event["requestURI"]: event["user"]["username"] for event in events if "requestURI" in event
    }
    assert asked["/api/v1/namespaces?limit=481"] == cluster.controller_user
    assert asked["/api/v1/namespaces?limit=482"] == "kro-admin"


def test_server_is_of_the_pinned_version(cluster: Cluster) -> None:
    """Without the version built in, the API server takes itself for v0.0.0."""
    version = json.loads(kubectl(cluster.kubeconfig, "get", "--raw", "/version"))

    assert version["gitVersion"].startswith("v1.36.")
    assert version["minor"] == "36"
