"""The full control plane does what a cluster does, without one container."""

from __future__ import annotations

import json
import os

import pytest

from support.controlplane import Cluster, kubectl

pytestmark = pytest.mark.skipif(
    "KRO_KUBECONFIG" in os.environ, reason="an existing cluster is not ours to judge"
)
NAMESPACE = "full-control-plane"


def test_workloads_run_and_namespaces_go(full_cluster: Cluster) -> None:
    """Deployments become Available, Services get endpoints, Jobs complete, deletion ends."""

    def run(*arguments: str) -> str:
        return kubectl(full_cluster.kubeconfig, "--namespace", NAMESPACE, *arguments)

    run("create", "namespace", NAMESPACE)
    run("create", "deployment", "web", "--image=web", "--replicas=3")
    run("expose", "deployment", "web", "--port=80")
    run("create", "job", "once", "--image=once")

    run("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
    run("wait", "--for=condition=Complete", "job/once", "--timeout=60s")
    run("wait", "--for=jsonpath={.status.readyReplicas}=3", "deployment/web", "--timeout=60s")
    run(
        "wait",
        "--for=create",
        "endpointslices",
        "--selector=kubernetes.io/service-name=web",
        "--timeout=60s",
    )
    deployment = json.loads(run("get", "deployment", "web", "-o", "json"))
    assert deployment["status"]["availableReplicas"] == 3

    kubectl(full_cluster.kubeconfig, "delete", "namespace", NAMESPACE, "--timeout=60s")
