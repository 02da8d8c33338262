"""The chart on a full control plane: installed, upgraded, removed, installed again.

What the controller may do is what the chart's ServiceAccount may.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.controlplane import Cluster
from support.kube import Json, condition
from support.manifests import definition, instance
from support.operator import ROOT
from support.polling import until
from support.release import WAIT, Release, released

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("KRO_KUBECONFIG" in os.environ, reason="its pods would really be started"),
]

WEBAPP = ROOT / "examples" / "webapp"
AGGREGATION = {"rbac": {"mode": "aggregation"}}
ROLES = {"ClusterRole/kro-edit", "ClusterRole/kro-view"}
WIDE = {"ClusterRole/kro-cluster-role", "ClusterRoleBinding/kro-cluster-role-binding"}
NARROW = {
    "ClusterRole/kro:controller",
    "ClusterRole/kro:controller:static",
    "ClusterRoleBinding/kro:controller",
}
WORKLOAD = {"Deployment/kro", "ServiceAccount/kro"}


@pytest.fixture(scope="module")
def release(sole_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    with released(sole_cluster, tmp_path_factory.mktemp("chart") / "controller.log") as release:
        yield release


def test_a_release_is_installed_upgraded_and_removed_and_instances_stay(release: Release) -> None:
    """Nothing is orphaned, and the next release takes over what the last one served."""
    with release.running():
        assert chart_objects(release) == WORKLOAD | ROLES | WIDE
        apply(release, WEBAPP / "rgd.yaml")
        apply(release, WEBAPP / "instance.yaml")
        before = children(release)
        assert before
        assert "may do everything in this cluster" in release.notes({})

        release.upgrade(AGGREGATION | {"metrics": {"service": {"create": True}}})
        assert chart_objects(release) == WORKLOAD | ROLES | NARROW | {"Service/kro-metrics"}
        release.operator.stop()
        release.uninstall()
        until(release.objects, lambda left: not left)
        assert children(release) == before
        assert is_ready(release.get("webapplication", "shop"))

        release.install(wait=True)
        release.start()
        patch = json.dumps({"spec": {"replicas": 4}})
        release.kubectl("patch", "webapplication", "shop", "--type=merge", f"--patch={patch}")
        release.kubectl("wait", "deployment/shop", "--for=jsonpath={.spec.replicas}=4", WAIT)
        assert children(release) == before
        release.kubectl("delete", "webapplication", "shop", WAIT)
        assert children(release) == {}


def test_in_aggregated_mode_what_is_granted_works_and_the_rest_is_told(
    release: Release, tmp_path: Path
) -> None:
    """Exactly the granted kinds work; every other definition says the rules that it lacks."""
    granted, denied = maker("Granted", "Secret"), maker("Denied", "Secret")
    partly = maker("Partly", "Service", spec={"ports": [{"port": 80}]})
    needed = rbac(tmp_path, partly)
    own = {**needed, "rules": [r for r in needed["rules"] if r["apiGroups"] == ["kro.run"]]}
    with release.running(AGGREGATION):
        for role in (rbac(tmp_path, granted), own):
            release.kubectl("apply", "--filename=-", stdin=json.dumps(role))
        until(
            lambda: aggregated(release), lambda rules: "granteds" in rules and "partlies" in rules
        )
        for each in (granted, partly, denied):
            release.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(each))
        release.kubectl("wait", "rgd", "--all", "--for=condition=KindReady", WAIT)
        for kind in ("Granted", "Partly", "Denied"):
            made = instance(kind, "one", "default")
            release.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(made))

        release.kubectl("wait", "granteds/one", "--for=condition=Ready", WAIT)
        verbs = ["get", "list", "watch", "create", "patch", "delete"]
        services = {"apiGroups": [""], "resources": ["services"], "verbs": verbs}
        kind_itself = {
            "apiGroups": ["kro.run"],
            "resources": ["denieds"],
            "verbs": ["get", "list", "watch", "patch"],
        }
        status = {"apiGroups": ["kro.run"], "resources": ["denieds/status"], "verbs": ["update"]}
        secrets = {**services, "resources": ["secrets"]}
        # What one definition was granted, secrets here, another one need not be granted again.
        assert secrets in rbac(tmp_path, denied)["rules"]
        until(lambda: missing_rules(release, "partly"), lambda rules: rules == [services])
        until(
            lambda: missing_rules(release, "denied"), lambda rules: rules == [kind_itself, status]
        )
        assert missing_rules(release, "granted") == []
        assert not is_ready(release.get("rgd", "denied"))
        until(lambda: release.get("partlies", "one"), speaks_of_services)
        assert not is_ready(release.get("partlies", "one"))
        names = release.kubectl("get", "secrets,services", "--namespace=default", "--output=name")
        assert set(names.split()) == {"secret/granted-one", "service/kubernetes"}


def test_notes_warn_of_values_that_do_not_go_together(release: Release) -> None:
    """What is accepted and yet cannot work is told when it is installed."""
    release.install()
    try:
        metrics = {"service": {"create": True}}
        told: list[tuple[Json, str]] = [
            (AGGREGATION, "kro rbac -f rgd.yaml"),
            (
                {"deployment": {"replicaCount": 2}, "config": {"enableLeaderElection": False}},
                "WARNING: deployment.replicaCount is 2 without config.enableLeaderElection",
            ),
            (
                {"config": {"metricsBindAddress": ":9090"}, "metrics": metrics},
                "says 8078: the Service kro-metrics leads nowhere.",
            ),
            (
                {"config": {"metricsBindAddress": "0"}, "metrics": metrics},
                "WARNING: metrics.service.create is set, and config.metricsBindAddress turns",
            ),
            (
                {"metrics": {"serviceMonitor": {"enabled": True}}},
                "WARNING: metrics.serviceMonitor.enabled has no effect without",
            ),
            ({"serviceAccount": {"automount": False}}, "WARNING: serviceAccount.automount is"),
        ]
        for values, text in told:
            assert text in release.notes(values)
    finally:
        release.uninstall()


def maker(kind: str, of: str, **fields: Any) -> Json:
    """Return a definition whose instances make one object of a built-in kind."""
    metadata = {"name": f"{kind.lower()}-${{schema.metadata.name}}"}
    manifest = {"apiVersion": "v1", "kind": of, "metadata": metadata, **fields}
    return definition(kind, [{"id": "child", "template": manifest}])


def rbac(folder: Path, manifest: Json) -> Json:
    """Return the ClusterRole that `kro rbac` prints for a definition."""
    file = folder / f"{manifest['metadata']['name']}.json"
    file.write_text(json.dumps(manifest))
    command = [sys.executable, "-m", "kro", "rbac", "-f", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    role: Json = yaml.safe_load(done.stdout)
    return role


def aggregated(release: Release) -> str:
    """Return the rules of the aggregated role, as text."""
    return json.dumps(release.get("clusterrole", "kro:controller").get("rules"))


def missing_rules(release: Release, name: str) -> list[Any]:
    """Return the rules that a definition's conditions ask for."""
    conditions = release.get("rgd", name).get("status", {}).get("conditions", [])
    text = "\n".join(entry["message"] for entry in conditions if entry["type"] != "Ready")
    return [
        yaml.safe_load(found) for found in re.findall(r"add to its ClusterRole: (\{.*\})", text)
    ]


def speaks_of_services(manifest: Json) -> bool:
    """Whether a condition says which right on Services is missing."""
    entries = manifest.get("status", {}).get("conditions", [])
    return any(
        "the controller may not" in e["message"] and "services" in e["message"] for e in entries
    )


def apply(release: Release, file: Path) -> None:
    release.kubectl("apply", "--server-side", f"--filename={file}")
    release.kubectl("wait", f"--filename={file}", "--for=condition=Ready", WAIT)


def children(release: Release) -> dict[str, str]:
    """Return name → UID of the application's objects."""
    kinds = "deployments,services,ingresses"
    found = release.get(kinds, "--namespace=default", "--selector=kro.run/instance-name=shop")
    return {f"{o['kind']}/{o['metadata']['name']}": o["metadata"]["uid"] for o in found["items"]}


def is_ready(manifest: Json) -> bool:
    return condition(manifest, "Ready").get("status") == "True"


def chart_objects(release: Release) -> set[str]:
    """Return what stands in the cluster of the release, without what controllers made of it."""
    made = ("ReplicaSet/", "Pod/", "Endpoints/", "EndpointSlice/", "Secret/sh.helm", "Lease/")
    return {name for name in release.objects() if not name.startswith(made)}
