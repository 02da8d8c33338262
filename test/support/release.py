"""The chart as a user installs it, and its controller as the pod would run.

Pods of the full control plane have no process. So the controller is started beside them: with the
arguments of the Deployment that stands in the cluster, and with a token of the chart's own
ServiceAccount, so that a right which the chart does not give is missing here too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.chart import CHART, RELEASE, Helm, arguments_of, container_of, merged
from support.controlplane import Cluster, ControlPlane, ensure_tool, kubectl
from support.kube import Json
from support.manifests import unique
from support.operator import Operator

WAIT = "--timeout=60s"
GENERATED = "--selector=kro.run/owned=true"
GRANTS = "--selector=rbac.kro.run/aggregate-to-controller=true"


class Release:
    """One release on a control plane of ours; `released` makes a place for it."""

    def __init__(self, cluster: Cluster, log: Path) -> None:
        self._cluster = cluster
        self._plane = ControlPlane(cluster.kubeconfig.parent.name)
        self.helm = Helm(ensure_tool("helm", say=print), cluster.kubeconfig)
        self.operator = Operator(cluster.kubeconfig, log)
        # Not kro-system: the tests' own controller user has the name of its ServiceAccount `kro`.
        self.namespace = unique("kro-release-")
        # The pod would have addresses of its own, and its own namespace for the Lease.
        self._surroundings = {
            "config": {
                "metricsBindAddress": f"127.0.0.1:{self.operator.metrics_port}",
                "healthProbeBindAddress": f"127.0.0.1:{self.operator.health_port}",
                "leaderElectionNamespace": self.namespace,
            }
        }

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl as the administrator."""
        return kubectl(self._cluster.kubeconfig, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Json:
        """Return what `kubectl get` finds."""
        found: Json = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def install(self, values: Mapping[str, Any] | None = None, *, wait: bool = False) -> None:
        """Install it, as a user does; `wait` until its pods are Ready."""
        self._helm("install", str(CHART), *["--wait"] * wait, values=values or {})

    def upgrade(self, values: Mapping[str, Any] | None = None) -> None:
        """Upgrade it to these values alone, and wait until its pods are Ready."""
        self._helm("upgrade", str(CHART), "--wait", values=values or {})

    def notes(self, values: Mapping[str, Any]) -> str:
        """Return what helm would tell after an upgrade to these values."""
        text = self._helm("upgrade", str(CHART), "--dry-run=client", values=values)
        return text.partition("NOTES:")[2]

    def uninstall(self) -> None:
        """Remove it, as a user does; that it is not installed is fine.

        The aggregated role goes first: while its parts go, the cluster may make it anew.
        """
        self.kubectl("delete", "clusterrole", f"{RELEASE}:controller", "--ignore-not-found", WAIT)
        self._helm("uninstall", "--wait", "--ignore-not-found")

    def start(self) -> None:
        """Start the controller that is installed, and wait until it is ready."""
        deployment = self.get("deployment", RELEASE, f"--namespace={self.namespace}")
        account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
        self.operator.kubeconfig = self._plane.service_account_kubeconfig(self.namespace, account)
        self.operator.flags = tuple(arguments_of(container_of(deployment)))
        self.operator.start()
        asyncio.run(self.operator.ready())

    @contextmanager
    def running(self, values: Mapping[str, Any] | None = None) -> Iterator[None]:
        """It is installed and its controller runs; in the end, nothing that it served is left."""
        try:
            self.install(values)
            self.start()
            yield
        finally:
            try:
                self.clear()
            finally:
                self.operator.stop()
                self.uninstall()

    def clear(self) -> None:
        """Remove definitions and instances, while the controller is there to release them."""
        for crd in self.get("crd", GENERATED)["items"]:
            kind = crd["metadata"]["name"]
            self.kubectl("delete", kind, "--all", "--all-namespaces", WAIT)
        self.kubectl("delete", "resourcegraphdefinitions", "--all", WAIT)
        # The cluster's own collector would find them within half a minute.
        self.kubectl("delete", "graphrevisions", "--all", WAIT)
        self.kubectl("delete", "crd", GENERATED, WAIT)

    def objects(self) -> set[str]:
        """Return `kind/name` of what carries the release's label, whoever made it."""
        kinds = self.kubectl("api-resources", "--verbs=list,delete", "--output=name").split()
        wanted = ",".join(kind for kind in kinds if not kind.startswith("events"))
        label = f"--selector=app.kubernetes.io/instance={RELEASE}"
        found = self.get(wanted, "--all-namespaces", label)
        return {f"{o['kind']}/{o['metadata']['name']}" for o in found["items"]}

    def _helm(self, verb: str, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        given = None if values is None else merged(self._surroundings, values)
        namespace = f"--namespace={self.namespace}"
        return self.helm(verb, RELEASE, *arguments, WAIT, namespace, values=given)


@contextmanager
def released(cluster: Cluster, log: Path) -> Iterator[Release]:
    """A place for a release; in the end all that came with it is gone, CRDs included.

    Its namespace takes only pods that the strictest Pod Security Standard allows.
    """
    release = Release(cluster, log)
    before = set(release.kubectl("get", "crd", "--output=name").split())
    release.kubectl("create", "namespace", release.namespace)
    strict = "pod-security.kubernetes.io/enforce=restricted"
    release.kubectl("label", "namespace", release.namespace, strict)
    try:
        yield release
    finally:
        release.kubectl("delete", "clusterroles", GRANTS, "--ignore-not-found", WAIT)
        if created := set(release.kubectl("get", "crd", "--output=name").split()) - before:
            release.kubectl("delete", *created, WAIT)
        release.kubectl("delete", "namespace", release.namespace, WAIT)
