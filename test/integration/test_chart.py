"""An API server takes what the chart renders, every field of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from support.chart import NAMESPACE, Helm, helm_program
from support.controlplane import Cluster, kubectl
from support.operator import ROOT

MONITOR: Final = ROOT / "test" / "support" / "servicemonitor-crd.yaml"
INSTALL: Final = ROOT / "config" / "install"
RELABELING: Final = {"action": "drop", "sourceLabels": ["pod"], "regex": "x"}
EVERYTHING: Final[dict[str, Any]] = {
    "additionalLabels": {"team": "a"},
    "imagePullSecrets": [{"name": "pull"}],
    "serviceAccount": {"annotations": {"example.com/role": "kro"}},
    "rbac": {"mode": "aggregation"},
    "deployment": {
        "podAnnotations": {"a.b/c": "1"},
        "podLabels": {"tier": "system"},
        "priorityClassName": "system-cluster-critical",
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "tolerations": [{"operator": "Exists"}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}
                ]
            }
        },
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "extraVolumes": [{"name": "v", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
        "extraEnv": [{"name": "A", "value": "b"}],
    },
    "podDisruptionBudget": {"enabled": True, "minAvailable": "50%"},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}],
        "apiServerTo": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
        "extraIngress": [{"ports": [{"port": 1, "protocol": "TCP"}]}],
        "extraEgress": [{"ports": [{"port": 2, "protocol": "TCP"}]}],
    },
    "debug": {"pprof": {"enabled": True, "service": {"enabled": True}}},
    "config": {"featureGates": {"InstanceConditionEvents": True}},
    "metrics": {
        "service": {"create": True, "labels": {"a": "b"}, "annotations": {"a.b/c": "1"}},
        "serviceMonitor": {
            "enabled": True,
            "targetLabels": ["team"],
            "metricRelabelings": [RELABELING],
            "relabelings": [RELABELING],
        },
    },
}


@pytest.fixture(scope="module")
def prepared(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with the namespace of the release, and the kind of the Prometheus operator."""
    monitor = f"--filename={MONITOR}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    apply = ("apply", "--server-side", "--filename=-")
    kubectl(cluster.kubeconfig, *apply, stdin=json.dumps(namespace))
    kubectl(cluster.kubeconfig, "apply", "--server-side", monitor)
    try:
        wait = ("wait", "--for=condition=Established", monitor, "--timeout=60s")
        kubectl(cluster.kubeconfig, *wait)
        yield cluster
    finally:
        kubectl(cluster.kubeconfig, "delete", monitor)


def accept(cluster: Cluster, source: str, *, stdin: str = "") -> list[str]:
    """Return the objects that the API server would take, none with a field it does not know."""
    dry = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
    taken = kubectl(cluster.kubeconfig, *dry, f"--filename={source}", stdin=stdin)
    return [line.split()[0] for line in taken.splitlines()]


@pytest.mark.parametrize(
    ("values", "count"),
    [pytest.param({}, 6, id="default"), pytest.param(EVERYTHING, 12, id="everything")],
)
def test_what_is_rendered_is_accepted(
    prepared: Cluster, values: dict[str, Any], count: int
) -> None:
    """With the default values, and with all that can be switched on."""
    objects = Helm(helm_program()).render(values)

    taken = accept(
        prepared, "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )

    assert len(set(taken)) == len(objects) == count


@pytest.mark.parametrize(
    ("file", "count"),
    [
        pytest.param(Path("kro-core-install-manifests.yaml"), 9, id="core"),
        pytest.param(Path("kro-core-install-manifests-with-prometheus.yaml"), 11, id="prometheus"),
        pytest.param(Path("kro-core-install-manifests-with-pprof.yaml"), 10, id="pprof"),
    ],
)
def test_static_manifests_are_accepted(prepared: Cluster, file: Path, count: int) -> None:
    """They hold the CRDs and everything that a release has."""
    assert len(set(accept(prepared, str(INSTALL / file)))) == count
