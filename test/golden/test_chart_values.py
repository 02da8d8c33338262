"""Every value of the chart changes what it is for, and nothing else.

A row of the table sets one value and names every place in which what is rendered differs from the
default. A value without a row fails the suite.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import yaml

from support.chart import CHART, Helm, deployment_of, helm_program, merged, values_at
from support.kube import Json

POD: Final = "Deployment spec.template.spec"
CONTAINER: Final = f"{POD}.containers.kro"
ARGUMENTS: Final = f"{CONTAINER}.args"
GONE: Final = "(gone)"
NEW: Final = "(new)"
KINDS: Final = (
    "ClusterRole/-cluster-role",
    "ClusterRole/-edit",
    "ClusterRole/-view",
    "ClusterRoleBinding/-cluster-role-binding",
    "Deployment",
    "ServiceAccount",
)
"""What the default renders."""
LABELLED: Final = (
    *(f"{key} metadata.labels" for key in KINDS),
    "Deployment spec.template.metadata.labels",
)

METRICS: Final = {"metrics": {"service": {"create": True}}}
MONITOR: Final = merged(METRICS, {"metrics": {"serviceMonitor": {"enabled": True}}})
PPROF: Final = {"debug": {"pprof": {"enabled": True}}}
PPROF_SERVICE: Final = merged(PPROF, {"debug": {"pprof": {"service": {"enabled": True}}}})
BUDGET: Final = {"podDisruptionBudget": {"enabled": True}}
POLICY: Final = {"networkPolicy": {"enabled": True}}
PEER: Final = {"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}
RULE: Final = {"ports": [{"port": 1, "protocol": "TCP"}]}
RELABELING: Final = {"action": "drop", "sourceLabels": ["pod"], "regex": "x"}


@dataclass(frozen=True, slots=True)
class Case:
    """One value, set, and all that differs then: place → what stands there."""

    value: str
    to: object
    expected: Mapping[str, object]
    given: Mapping[str, Any] = field(default_factory=dict)
    """Values that are set before and after, without which this one has no effect."""


def variable(name: str, value: str) -> dict[str, object]:
    return {f"{CONTAINER}.env.KRO_{name}.value": value}


def everywhere(key: str, value: str) -> dict[str, object]:
    return {f"{labels}.{key}": value for labels in LABELLED}


def named(full: str, *, name: str = "kro") -> dict[str, object]:
    """Return what differs when the objects are named after `full`."""
    role, binding = f"{full}-cluster-role", f"{full}-cluster-role-binding"
    names: dict[str, object] = {
        "Deployment metadata.name": full,
        "ServiceAccount metadata.name": full,
        f"{POD}.serviceAccountName": full,
        "ClusterRole/-cluster-role metadata.name": role,
        "ClusterRole/-edit metadata.name": f"{full}-edit",
        "ClusterRole/-view metadata.name": f"{full}-view",
        "ClusterRoleBinding/-cluster-role-binding metadata.name": binding,
        "ClusterRoleBinding/-cluster-role-binding roleRef.name": role,
        **subject(full),
    }
    if name != "kro":
        names |= everywhere("app.kubernetes.io/name", name)
        names["Deployment spec.selector.matchLabels.app.kubernetes.io/name"] = name
    return names


def subject(account: str) -> dict[str, str]:
    """Return what differs in the binding when it is for another ServiceAccount."""
    place = "ClusterRoleBinding/-cluster-role-binding subjects"
    return {
        f"{place}.kro": GONE,
        f"{place}.{account}.kind": "ServiceAccount",
        f"{place}.{account}.name": account,
        f"{place}.{account}.namespace": "kro-system",
    }


CASES: Final = (
    Case("nameOverride", "maker", named("kro-maker", name="maker")),
    Case("fullnameOverride", "maker", named("maker")),
    Case("additionalLabels", {"team": "a"}, everywhere("team", "a")),
    Case("metadata.includeHelmChart", False, everywhere("helm.sh/chart", GONE)),
    Case("metadata.includeManagedBy", False, everywhere("app.kubernetes.io/managed-by", GONE)),
    Case("image.repository", "mirror/kro", {f"{CONTAINER}.image": "mirror/kro:0.0.0-dev"}),
    Case("image.tag", "1.2.3", {f"{CONTAINER}.image": "registry.k8s.io/kro/kro:1.2.3"}),
    Case(
        "image.ko",
        True,
        {f"{CONTAINER}.image": "ko://example.com/kro"},
        {"image": {"repository": "example.com/kro"}},
    ),
    Case("image.pullPolicy", "Always", {f"{CONTAINER}.imagePullPolicy": "Always"}),
    Case(
        "imagePullSecrets",
        [{"name": "pull"}],
        {f"{POD}.imagePullSecrets.pull.name": "pull"},
    ),
    Case(
        "serviceAccount.create",
        False,
        {"ServiceAccount": GONE, f"{POD}.serviceAccountName": "default", **subject("default")},
    ),
    Case("serviceAccount.automount", False, {"ServiceAccount automountServiceAccountToken": False}),
    Case(
        "serviceAccount.annotations",
        {"example.com/role": "kro"},
        {"ServiceAccount metadata.annotations.example.com/role": "kro"},
    ),
    Case(
        "serviceAccount.name",
        "robot",
        {
            "ServiceAccount metadata.name": "robot",
            f"{POD}.serviceAccountName": "robot",
            **subject("robot"),
        },
    ),
    Case(
        "rbac.mode",
        "aggregation",
        {
            "ClusterRole/-cluster-role": GONE,
            "ClusterRoleBinding/-cluster-role-binding": GONE,
            "ClusterRole/:controller": NEW,
            "ClusterRole/:controller:static": NEW,
            "ClusterRoleBinding/:controller": NEW,
        },
    ),
    Case("deployment.replicaCount", 2, {"Deployment spec.replicas": 2}),
    Case(
        "deployment.containerPort",
        9000,
        {
            f"{CONTAINER}.ports.metricsport.containerPort": 9000,
            "Service/-metrics spec.ports.metrics.targetPort": 9000,
            "NetworkPolicy spec.ingress": [
                {"ports": [{"port": 8079, "protocol": "TCP"}]},
                {"ports": [{"port": 9000, "protocol": "TCP"}]},
            ],
        },
        merged(METRICS, POLICY),
    ),
    Case(
        "deployment.terminationGracePeriodSeconds",
        5,
        {f"{POD}.terminationGracePeriodSeconds": 5},
    ),
    Case(
        "deployment.podAnnotations",
        {"a.b/c": "1"},
        {"Deployment spec.template.metadata.annotations.a.b/c": "1"},
    ),
    Case(
        "deployment.podLabels",
        {"team": "a"},
        {"Deployment spec.template.metadata.labels.team": "a"},
    ),
    Case(
        "deployment.podSecurityContext",
        {"fsGroup": 1},
        {f"{POD}.securityContext.fsGroup": 1},
    ),
    Case(
        "deployment.securityContext",
        {"runAsUser": 7},
        {f"{CONTAINER}.securityContext.runAsUser": 7},
    ),
    Case(
        "deployment.resources.limits",
        {"cpu": None, "memory": "2Gi"},
        {f"{CONTAINER}.resources.limits.cpu": GONE, f"{CONTAINER}.resources.limits.memory": "2Gi"},
    ),
    Case(
        "deployment.resources.requests",
        {"cpu": "1"},
        {f"{CONTAINER}.resources.requests.cpu": "1"},
    ),
    Case("deployment.nodeSelector", {"disk": "ssd"}, {f"{POD}.nodeSelector.disk": "ssd"}),
    Case(
        "deployment.tolerations",
        [{"operator": "Exists"}],
        {f"{POD}.tolerations": [{"operator": "Exists"}]},
    ),
    Case(
        "deployment.affinity",
        {"podAntiAffinity": {"x": 1}},
        {f"{POD}.affinity.podAntiAffinity.x": 1},
    ),
    Case(
        "deployment.topologySpreadConstraints",
        [{"maxSkew": 1}],
        {f"{POD}.topologySpreadConstraints": [{"maxSkew": 1}]},
    ),
    Case(
        "deployment.priorityClassName",
        "system-cluster-critical",
        {f"{POD}.priorityClassName": "system-cluster-critical"},
    ),
    Case("deployment.hostNetwork", True, {f"{POD}.hostNetwork": True}),
    Case("deployment.dnsPolicy", "Default", {f"{POD}.dnsPolicy": "Default"}),
    Case(
        "deployment.extraVolumes",
        [{"name": "v", "emptyDir": {}}],
        {f"{POD}.volumes.v.name": "v", f"{POD}.volumes.v.emptyDir": {}},
    ),
    Case(
        "deployment.extraVolumeMounts",
        [{"name": "v", "mountPath": "/v"}],
        {f"{CONTAINER}.volumeMounts.v.name": "v", f"{CONTAINER}.volumeMounts.v.mountPath": "/v"},
    ),
    Case(
        "deployment.extraEnv",
        [{"name": "HTTPS_PROXY", "value": "p"}],
        {
            f"{CONTAINER}.env.HTTPS_PROXY.{key}": to
            for key, to in (("name", "HTTPS_PROXY"), ("value", "p"))
        },
    ),
    Case("podDisruptionBudget.enabled", True, {"PodDisruptionBudget": NEW}),
    Case(
        "podDisruptionBudget.maxUnavailable",
        "50%",
        {"PodDisruptionBudget spec.maxUnavailable": "50%"},
        BUDGET,
    ),
    Case(
        "podDisruptionBudget.minAvailable",
        0,
        {
            "PodDisruptionBudget spec.minAvailable": 0,
            "PodDisruptionBudget spec.maxUnavailable": GONE,
        },
        BUDGET,
    ),
    Case("networkPolicy.enabled", True, {"NetworkPolicy": NEW}),
    Case(
        "networkPolicy.metricsFrom",
        [PEER],
        {
            "NetworkPolicy spec.ingress": [
                {"ports": [{"port": 8079, "protocol": "TCP"}]},
                {"ports": [{"port": 8078, "protocol": "TCP"}], "from": [PEER]},
            ]
        },
        POLICY,
    ),
    Case(
        "networkPolicy.apiServerTo",
        [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
        {
            "NetworkPolicy spec.egress": [
                {
                    "ports": [{"port": port, "protocol": "TCP"} for port in (443, 6443)],
                    "to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
                },
                {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]},
            ]
        },
        POLICY,
    ),
    Case(
        "networkPolicy.apiServerPorts",
        [8443],
        {
            "NetworkPolicy spec.egress": [
                {"ports": [{"port": 8443, "protocol": "TCP"}]},
                {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]},
            ]
        },
        POLICY,
    ),
    Case(
        "networkPolicy.extraIngress",
        [RULE],
        {
            "NetworkPolicy spec.ingress": [
                {"ports": [{"port": 8079, "protocol": "TCP"}]},
                {"ports": [{"port": 8078, "protocol": "TCP"}]},
                RULE,
            ]
        },
        POLICY,
    ),
    Case(
        "networkPolicy.extraEgress",
        [RULE],
        {
            "NetworkPolicy spec.egress": [
                {"ports": [{"port": port, "protocol": "TCP"} for port in (443, 6443)]},
                {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]},
                RULE,
            ]
        },
        POLICY,
    ),
    Case(
        "debug.pprof.enabled",
        True,
        {
            f"{CONTAINER}.image": "registry.k8s.io/kro/kro:0.0.0-dev-debug",
            f"{ARGUMENTS}.--pprof-bind-address": ":6060",
            f"{CONTAINER}.ports.pprof.name": "pprof",
            f"{CONTAINER}.ports.pprof.containerPort": 6060,
            f"{CONTAINER}.ports.pprof.protocol": "TCP",
            "NetworkPolicy spec.ingress": [
                {"ports": [{"port": port, "protocol": "TCP"}]} for port in (8079, 8078, 6060)
            ],
        },
        POLICY,
    ),
    Case(
        "debug.pprof.port",
        6061,
        {
            f"{ARGUMENTS}.--pprof-bind-address": ":6061",
            f"{CONTAINER}.ports.pprof.containerPort": 6061,
            "Service/-pprof spec.ports.pprof.port": 6061,
        },
        PPROF_SERVICE,
    ),
    Case("debug.pprof.service.enabled", True, {"Service/-pprof": NEW}, PPROF),
    Case(
        "debug.pprof.service.type",
        "NodePort",
        {"Service/-pprof spec.type": "NodePort"},
        PPROF_SERVICE,
    ),
    Case("config.allowCRDDeletion", True, {f"{ARGUMENTS}.--allow-crd-deletion": ""}),
    Case("config.clientQps", 12.5, variable("CLIENT_QPS", "12.5")),
    Case("config.clientBurst", 2_000_000, variable("CLIENT_BURST", "2000000")),
    Case("config.enableLeaderElection", False, {f"{ARGUMENTS}.--leader-elect": GONE}),
    Case(
        "config.leaderElectionNamespace",
        "leases",
        {f"{ARGUMENTS}.--leader-election-namespace": "leases"},
    ),
    Case(
        "config.leaderElectionLeaseDuration",
        "60s",
        variable("LEADER_ELECTION_LEASE_DURATION", "60s"),
    ),
    Case(
        "config.leaderElectionRenewDeadline",
        "50s",
        variable("LEADER_ELECTION_RENEW_DEADLINE", "50s"),
    ),
    Case(
        "config.leaderElectionRetryPeriod",
        "1.5s",
        variable("LEADER_ELECTION_RETRY_PERIOD", "1.5s"),
    ),
    Case(
        "config.enableControllerWarmup",
        True,
        {f"{ARGUMENTS}.--enable-controller-warmup": ""},
    ),
    Case("config.metricsBindAddress", ":9000", variable("METRICS_BIND_ADDRESS", ":9000")),
    Case(
        "config.healthProbeBindAddress",
        "[::]:9001",
        {
            **variable("HEALTH_PROBE_BIND_ADDRESS", "[::]:9001"),
            f"{CONTAINER}.livenessProbe.httpGet.port": 9001,
            f"{CONTAINER}.readinessProbe.httpGet.port": 9001,
            "NetworkPolicy spec.ingress": [
                {"ports": [{"port": port, "protocol": "TCP"}]} for port in (9001, 8078)
            ],
        },
        POLICY,
    ),
    Case(
        "config.resourceGraphDefinitionConcurrentReconciles",
        2,
        variable("RESOURCE_GROUP_CONCURRENT_RECONCILES", "2"),
    ),
    Case(
        "config.resourceGraphDefinitionProgressRequeueDelay",
        "7s",
        variable("RGD_PROGRESS_REQUEUE_DELAY", "7s"),
    ),
    Case(
        "config.graphRevisionConcurrentReconciles",
        3,
        variable("GRAPH_REVISION_CONCURRENT_RECONCILES", "3"),
    ),
    Case(
        "config.gracefulShutdownTimeout",
        "2m30s",
        {
            **variable("GRACEFUL_SHUTDOWN_TIMEOUT", "2m30s"),
            f"{POD}.terminationGracePeriodSeconds": 160,
        },
    ),
    Case(
        "config.dynamicControllerConcurrentReconciles",
        1,
        variable("DYNAMIC_CONTROLLER_CONCURRENT_RECONCILES", "1"),
    ),
    Case(
        "config.dynamicControllerDefaultResyncPeriod",
        1_000_000,
        variable("DYNAMIC_CONTROLLER_DEFAULT_RESYNC_PERIOD", "1000000"),
    ),
    Case(
        "config.dynamicControllerDefaultQueueMaxRetries",
        5,
        variable("DYNAMIC_CONTROLLER_DEFAULT_QUEUE_MAX_RETRIES", "5"),
    ),
    Case(
        "config.dynamicControllerRateLimiterMinDelay",
        "1s",
        variable("DYNAMIC_CONTROLLER_RATE_LIMITER_MIN_DELAY", "1s"),
    ),
    Case(
        "config.dynamicControllerRateLimiterMaxDelay",
        "60s",
        variable("DYNAMIC_CONTROLLER_RATE_LIMITER_MAX_DELAY", "60s"),
    ),
    Case(
        "config.dynamicControllerRateLimiterRateLimit",
        11,
        variable("DYNAMIC_CONTROLLER_RATE_LIMITER_RATE_LIMIT", "11"),
    ),
    Case(
        "config.dynamicControllerRateLimiterBurstLimit",
        "101",
        variable("DYNAMIC_CONTROLLER_RATE_LIMITER_BURST_LIMIT", "101"),
    ),
    Case("config.logLevel", 3, variable("LOG_LEVEL", "3")),
    Case("config.logEncoder", "json", variable("LOG_ENCODER", "json")),
    Case("config.development", True, variable("LOG_DEVELOPMENT", "true")),
    Case("config.rgd.maxCollectionSize", 10, variable("RGD_MAX_COLLECTION_SIZE", "10")),
    Case(
        "config.rgd.maxCollectionDimensionSize",
        2,
        variable("RGD_MAX_COLLECTION_DIMENSION_SIZE", "2"),
    ),
    Case("config.rgd.maxGraphRevisions", 20, variable("RGD_MAX_GRAPH_REVISIONS", "20")),
    Case("config.instance.requeueInterval", 0, variable("INSTANCE_REQUEUE_INTERVAL", "0")),
    Case(
        "config.featureGates",
        {"InstanceConditionEvents": True, "CELOmitFunction": False},
        {f"{ARGUMENTS}.--feature-gates": "CELOmitFunction=false,InstanceConditionEvents=true"},
    ),
    Case("metrics.service.create", True, {"Service/-metrics": NEW}),
    Case(
        "metrics.service.type",
        "LoadBalancer",
        {"Service/-metrics spec.type": "LoadBalancer"},
        METRICS,
    ),
    Case("metrics.service.port", 80, {"Service/-metrics spec.ports.metrics.port": 80}, METRICS),
    Case(
        "metrics.service.labels",
        {"team": "a"},
        {"Service/-metrics metadata.labels.team": "a"},
        METRICS,
    ),
    Case(
        "metrics.service.annotations",
        {"a.b/c": "1"},
        {"Service/-metrics metadata.annotations.a.b/c": "1"},
        METRICS,
    ),
    Case("metrics.serviceMonitor.enabled", True, {"ServiceMonitor": NEW}, METRICS),
    Case(
        "metrics.serviceMonitor.additionalLabels",
        {"release": "prometheus"},
        {"ServiceMonitor metadata.labels.release": "prometheus"},
        MONITOR,
    ),
    Case(
        "metrics.serviceMonitor.interval",
        "30s",
        {
            "ServiceMonitor spec.endpoints": [
                {"port": "metrics", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s"}
            ]
        },
        MONITOR,
    ),
    Case(
        "metrics.serviceMonitor.scrapeTimeout",
        "5s",
        {
            "ServiceMonitor spec.endpoints": [
                {"port": "metrics", "path": "/metrics", "interval": "1m", "scrapeTimeout": "5s"}
            ]
        },
        MONITOR,
    ),
    Case(
        "metrics.serviceMonitor.telemetryPath",
        "/m",
        {
            "ServiceMonitor spec.endpoints": [
                {"port": "metrics", "path": "/m", "interval": "1m", "scrapeTimeout": "10s"}
            ]
        },
        MONITOR,
    ),
    Case(
        "metrics.serviceMonitor.targetLabels",
        ["team"],
        {"ServiceMonitor spec.targetLabels": ["team"]},
        MONITOR,
    ),
    *(
        Case(
            f"metrics.serviceMonitor.{name}",
            [RELABELING],
            {
                "ServiceMonitor spec.endpoints": [
                    {
                        "port": "metrics",
                        "path": "/metrics",
                        "interval": "1m",
                        "scrapeTimeout": "10s",
                        name: [RELABELING],
                    }
                ]
            },
            MONITOR,
        )
        for name in ("metricRelabelings", "relabelings")
    ),
)


@pytest.fixture(scope="module")
def helm() -> Helm:
    return Helm(helm_program())


@pytest.fixture(scope="module")
def plain(helm: Helm) -> dict[str, dict[str, object]]:
    """What is rendered with those values alone that a row presupposes, by these values."""
    presupposed = {json.dumps(case.given): case.given for case in CASES}
    return {text: places(helm.render(given)) for text, given in presupposed.items()}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.value) for case in CASES])
def test_a_value_changes_what_it_is_for_and_nothing_else(
    case: Case, helm: Helm, plain: Mapping[str, dict[str, object]]
) -> None:
    """Spec §9.1, §9.3: each value, each place."""
    before = plain[json.dumps(case.given)]

    after = places(helm.render(merged(case.given, values_at(case.value, case.to))))

    assert dict(differences(before, after)) == case.expected


def test_every_value_has_a_row() -> None:
    """A value that is added without one is found here."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    assert {case.value for case in CASES} == set(leaves(values, schema))


def leaves(values: Json, schema: Json, prefix: str = "") -> Iterator[str]:
    """Yield the path of every value, down to where the schema leaves them open."""
    for name, value in values.items():
        described = schema["properties"][name]
        if described.get("additionalProperties") is False:
            yield from leaves(value, described, f"{prefix}{name}.")
        else:
            yield prefix + name


def differences(
    before: Mapping[str, object], after: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    """Yield place and present value of all that differs; objects that came or went as a whole."""
    came = {kind_at(place) for place in after} - {kind_at(place) for place in before}
    went = {kind_at(place) for place in before} - {kind_at(place) for place in after}
    yield from ((key, NEW) for key in came)
    yield from ((key, GONE) for key in went)
    for place in before.keys() | after.keys():
        if kind_at(place) in came | went or before.get(place) == after.get(place):
            continue
        # An entry of a list that went as a whole is named once.
        if place not in after:
            yield whole(place, after), GONE
        else:
            yield place, after[place]


def whole(place: str, after: Iterable[str]) -> str:
    """Return the place, or the entry of `subjects` that it is a part of."""
    entry = place.rpartition(".")[0]
    is_entry = entry.rpartition(".")[0].endswith(" subjects")
    return entry if is_entry and not any(p.startswith(f"{entry}.") for p in after) else place


def kind_at(place: str) -> str:
    return place.partition(" ")[0]


def places(objects: Iterable[Json]) -> dict[str, object]:
    """Return everything in the objects by its place; an empty map or list is a thing too."""
    listed = list(objects)
    full = deployment_of(listed)["metadata"]["name"]
    found: dict[str, object] = {}
    for manifest in listed:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        # Several of a kind are told apart by what follows the full name, which may change.
        several = kind in {"ClusterRole", "ClusterRoleBinding", "Service"}
        key = f"{kind}/{name.removeprefix(full)}" if several else kind
        assert f"{key} kind" not in found, f"{key} is rendered twice"
        found |= flat(manifest, f"{key} ")
    return found


def flat(value: object, place: str) -> Iterator[tuple[str, object]]:
    """Yield every leaf below a place; lists of named things go by their names."""
    separator = "" if place.endswith(" ") else "."
    if place.endswith(".args"):
        value = flags(value)
    if isinstance(value, list) and value and all("name" in entry for entry in value if entry):
        value = {entry["name"]: entry for entry in value}
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from flat(part, f"{place}{separator}{name}")
    else:
        yield place, value


def flags(arguments: Any) -> dict[str, str]:
    """Return flag → value of a command line."""
    found: dict[str, str] = {}
    flag = ""
    for argument in arguments:
        if argument.startswith("--"):
            flag, _, found[flag] = argument.partition("=")
        else:
            found[flag] = argument
    return found
