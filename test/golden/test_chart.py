"""What the chart renders: names, labels, roles, and a command line that the controller takes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Mapping
from typing import Any, Final

import pytest
import yaml

from kro.settings import Settings, parse_flags
from support.chart import (
    CHART,
    Helm,
    HelmError,
    arguments_of,
    container_of,
    deployment_of,
    helm_program,
    values_at,
)
from support.kube import Json
from support.operator import ROOT

AGGREGATION: Final = {"rbac": {"mode": "aggregation"}}
EVERYTHING: Final = {
    "metrics": {"service": {"create": True}, "serviceMonitor": {"enabled": True}},
    "debug": {"pprof": {"enabled": True, "service": {"enabled": True}}},
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True},
}


@pytest.fixture(scope="module")
def helm() -> Helm:
    return Helm(helm_program())


def names(objects: list[Json]) -> set[str]:
    return {f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in objects}


def role(objects: list[Json], name: str) -> Json:
    [found] = [o for o in objects if o["kind"] == "ClusterRole" and o["metadata"]["name"] == name]
    return found


def rules(manifest: Json) -> dict[tuple[str, str], set[str]]:
    """Return (group, resource) → verbs."""
    return {
        (group, resource): set(rule["verbs"])
        for rule in manifest["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.mark.parametrize(
    ("release", "values", "full"),
    [
        pytest.param("kro", {}, "kro", id="the release says kro already"),
        pytest.param("my-kro-1", {}, "my-kro-1", id="the release contains kro"),
        pytest.param("team", {}, "team-kro", id="release and chart"),
        pytest.param("team", {"nameOverride": "maker"}, "team-maker", id="release and name"),
        pytest.param("maker", {"nameOverride": "maker"}, "maker", id="the release says the name"),
        pytest.param("team", {"fullnameOverride": "x"}, "x", id="the full name as given"),
    ],
)
def test_every_object_is_named_after_the_full_name(
    helm: Helm, release: str, values: Mapping[str, Any], full: str
) -> None:
    """Spec §9.2, §9.3."""
    objects = helm.render({**EVERYTHING, **values}, release=release)

    assert names(objects) == {
        f"Deployment/{full}",
        f"ServiceAccount/{full}",
        f"ClusterRole/{full}-cluster-role",
        f"ClusterRoleBinding/{full}-cluster-role-binding",
        f"ClusterRole/{full}-edit",
        f"ClusterRole/{full}-view",
        f"Service/{full}-metrics",
        f"Service/{full}-pprof",
        f"ServiceMonitor/{full}",
        f"PodDisruptionBudget/{full}",
        f"NetworkPolicy/{full}",
    }


def test_long_names_are_cut(helm: Helm) -> None:
    """Spec §9.2: 63 characters, no dash at the end; a Service's name can have no more either."""
    release, name = "r" * 53, "nnnnnnnn-mmmmmmmm"

    objects = helm.render(EVERYTHING | {"nameOverride": name}, release=release)

    full = f"{release}-nnnnnnnn"
    assert deployment_of(objects)["metadata"]["name"] == full
    services = sorted(n for n in names(objects) if n.startswith("Service/"))
    assert services == [f"Service/{full[:55]}-metrics", f"Service/{full[:57]}-pprof"]


def test_labels(helm: Helm) -> None:
    """Spec §9.2: of every object; those given do not replace the chart's own."""
    own = {
        "app.kubernetes.io/name": "kro",
        "app.kubernetes.io/instance": "team",
        "app.kubernetes.io/version": "0.0.0-dev",
        "app.kubernetes.io/component": "controller",
        "app.kubernetes.io/part-of": "kro",
        "helm.sh/chart": "kro-0.0.0-dev",
        "app.kubernetes.io/managed-by": "Helm",
    }
    given = {"additionalLabels": {"team": "a", "app.kubernetes.io/name": "mine"}}

    objects = helm.render(EVERYTHING | given, release="team")

    for manifest in objects:
        expected = own | {"team": "a"}
        if manifest["metadata"]["name"].endswith("-pprof"):
            expected["app.kubernetes.io/component"] = "pprof"
        assert expected.items() <= manifest["metadata"]["labels"].items(), manifest
    deployment = deployment_of(objects)
    selector = {"app.kubernetes.io/name": "kro", "app.kubernetes.io/instance": "team"}
    assert deployment["spec"]["selector"]["matchLabels"] == selector
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    for kind in ("Service", "ServiceMonitor", "PodDisruptionBudget", "NetworkPolicy"):
        [first, *_] = [manifest["spec"] for manifest in objects if manifest["kind"] == kind]
        found = first.get("selector") or first["podSelector"]
        assert found.get("matchLabels", found) == selector


def test_unrestricted_is_one_rule(helm: Helm) -> None:
    """Spec §9.4: everything, but for URLs that are no resources."""
    objects = helm.render()

    found = role(objects, "kro-cluster-role")
    assert found["rules"] == [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    [binding] = [manifest for manifest in objects if manifest["kind"] == "ClusterRoleBinding"]
    assert binding["roleRef"]["name"] == "kro-cluster-role"
    account = {"kind": "ServiceAccount", "name": "kro", "namespace": "kro-system"}
    assert binding["subjects"] == [account]


def test_aggregation_is_what_kro_needs_and_what_others_add(helm: Helm) -> None:
    """Spec §9.4: the aggregated role has no rules of its own, the static one carries its label."""
    objects = helm.render(AGGREGATION)

    aggregated, static = role(objects, "kro:controller"), role(objects, "kro:controller:static")
    label = {"rbac.kro.run/aggregate-to-controller": "true"}
    assert aggregated["aggregationRule"] == {"clusterRoleSelectors": [{"matchLabels": label}]}
    # If rules stood there, applying the manifest again would take away what was filled in.
    assert "rules" not in aggregated
    assert label.items() <= static["metadata"]["labels"].items()
    everything = {"create", "delete", "get", "list", "patch", "update", "watch"}
    assert rules(static) == {
        ("kro.run", "resourcegraphdefinitions"): everything,
        ("kro.run", "resourcegraphdefinitions/finalizers"): {"update"},
        ("kro.run", "resourcegraphdefinitions/status"): {"get", "patch", "update"},
        ("internal.kro.run", "graphrevisions"): everything,
        ("internal.kro.run", "graphrevisions/finalizers"): {"update"},
        ("internal.kro.run", "graphrevisions/status"): {"get", "patch", "update"},
        ("apiextensions.k8s.io", "customresourcedefinitions"): everything,
        ("", "configmaps"): everything,
        ("coordination.k8s.io", "leases"): everything,
        ("", "events"): {"create", "patch"},
    }
    [binding] = [manifest for manifest in objects if manifest["kind"] == "ClusterRoleBinding"]
    assert binding["metadata"]["name"] == binding["roleRef"]["name"] == "kro:controller"


def test_users_get_roles_for_definitions_and_instances(helm: Helm) -> None:
    """Spec §9.4: editors may write, viewers may read, admins and editors may do both."""
    objects = helm.render()

    edit, view = role(objects, "kro-edit"), role(objects, "kro-view")
    writes = {"create", "delete", "deletecollection", "patch", "update"}
    assert rules(edit) == {("kro.run", "*"): writes}
    assert rules(view) == {("kro.run", "*"): {"get", "list", "watch"}}
    assert aggregated_to(edit) == {"admin", "edit"}
    assert aggregated_to(view) == {"admin", "edit", "view"}


def aggregated_to(manifest: Json) -> set[str]:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    labels = manifest["metadata"]["labels"]
    return {key.removeprefix(prefix) for key in labels if key.startswith(prefix)}


def test_the_controller_takes_the_command_line_and_means_its_own_defaults(helm: Helm) -> None:
    """The chart sets every flag to its default, but for those that a pod needs otherwise."""
    arguments = arguments_of(container_of(deployment_of(helm.render())))

    settings = parse_flags(arguments)

    assert settings == dataclasses.replace(
        Settings(), leader_elect=True, log_devel=False, log_encoder="console", log_level=0
    )


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        pytest.param("60s", 70, id="seconds"),
        pytest.param("1h30m", 5410, id="hours and minutes"),
        pytest.param("1.5s", 11, id="part of a second"),
        pytest.param("500ms", 10, id="less than a second"),
        pytest.param(0, 10, id="none"),
        pytest.param("-1s", 3600, id="for ever"),
    ],
)
def test_the_pod_gets_the_time_to_drain_and_ten_seconds_more(
    helm: Helm, timeout: object, seconds: int
) -> None:
    """Source: spec "Controller runtime" R-19."""
    objects = helm.render(values_at("config.gracefulShutdownTimeout", timeout))

    pod = deployment_of(objects)["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize(
    ("address", "port"),
    [
        pytest.param("127.0.0.1:9001", 9001, id="the digits at its end"),
        pytest.param("[::1]:1", 1, id="IPv6"),
        pytest.param("0", None, id="turned off"),
        pytest.param("", None, id="turned off by nothing"),
    ],
)
def test_probes_go_where_they_are_answered(helm: Helm, address: str, port: int | None) -> None:
    """Spec §9.3; a pod whose probes nobody answers would be killed, so it gets none."""
    objects = helm.render(values_at("config.healthProbeBindAddress", address))

    container = container_of(deployment_of(objects))
    probes = [
        container.get(f"{kind}Probe", {}).get("httpGet") for kind in ("liveness", "readiness")
    ]
    if port is None:
        assert probes == [None, None]
    else:
        assert probes == [{"path": path, "port": port} for path in ("/healthz", "/readyz")]


def test_the_older_name_of_automount_counts(helm: Helm) -> None:
    """Values files that found out what kro (Go) reads keep their meaning."""
    objects = helm.render({"serviceAccount": {"automountServiceAccountToken": False}})

    [account] = [manifest for manifest in objects if manifest["kind"] == "ServiceAccount"]
    assert account["automountServiceAccountToken"] is False


def test_values_of_the_existing_chart_are_taken(helm: Helm) -> None:
    """Spec §9.1: all of its defaults, as a values file; also numbers that are texts."""
    values = yaml.safe_load(
        (ROOT / "test" / "golden" / "chart" / "existing-values.yaml").read_text()
    )

    settings = parse_flags(arguments_of(container_of(deployment_of(helm.render(values)))))

    assert settings.instance_workers == 1
    assert settings.leader_elect
    as_texts = json.loads(json.dumps(values), parse_int=str)
    for place in ("deployment", "debug", "metrics"):  # ports of objects are numbers there too
        as_texts[place] = values[place]
    again = parse_flags(arguments_of(container_of(deployment_of(helm.render(as_texts)))))
    assert again == settings


@pytest.mark.parametrize(
    ("value", "to", "complaint"),
    [
        pytest.param("config.metricBindAddress", ":1", "'/config': additional properties "
                     "'metricBindAddress' not allowed", id="a typing error"),
        pytest.param("rbac.mode", "none", "'/rbac/mode': value must be one of 'unrestricted', "
                     "'aggregation'", id="an unknown mode"),
        pytest.param("config.clientBurst", "many", "'/config/clientBurst': 'many' does not match",
                     id="no number"),
        pytest.param("config.gracefulShutdownTimeout", 60, "got number, want string",
                     id="a duration without its unit"),
        pytest.param("config.leaderElectionLeaseDuration", "15", "'15' does not match pattern",
                     id="a text without its unit"),
        pytest.param("config.leaderElectionRetryPeriod", None, "missing property "
                     "'leaderElectionRetryPeriod'", id="a value taken away"),
        pytest.param("config.dynamicControllerConcurrentReconciles", 0, "minimum: got 0, want 1",
                     id="no workers"),
        pytest.param("config.logLevel", "verbose", "(debug|info|error|panic|", id="no level"),
        pytest.param("config.logEncoder", "xml", "one of 'console', 'json'", id="no encoder"),
        pytest.param("config.featureGates", {"CELOmitFunction": "yes"}, "got string, want boolean",
                     id="a gate neither on nor off"),
        pytest.param("config.metricsBindAddress", 8078, "'/config/metricsBindAddress': got number, "
                     "want string", id="a port is no address"),
        pytest.param("config.leaderElectionNamespace", "Kube_System", "does not match pattern",
                     id="no namespace"),
        pytest.param("deployment.containerPort", 70000, "maximum: got 70,000, want 65,535",
                     id="no port"),
        pytest.param("deployment.replicaCount", -1, "minimum: got -1, want 0", id="no replicas"),
        pytest.param("additionalLabels", {"team": "a/b"}, "/additionalLabels/team': 'a/b' does",
                     id="a label's value"),
        pytest.param("additionalLabels", {"te am": "a"}, "/additionalLabels': additional "
                     "properties 'te am' not allowed", id="a label's key"),
        pytest.param("deployment.podAnnotations", {"on": True}, "got boolean, want string",
                     id="an annotation that YAML took for something else"),
        pytest.param("podDisruptionBudget.minAvailable", "half", "does not match pattern",
                     id="no amount"),
        pytest.param("metrics.service.type", "Ingress", "value must be one of", id="no Service"),
        pytest.param("image.tag", "a b", "'/image/tag': 'a b' does not match", id="no tag"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_place(
    helm: Helm, value: str, to: object, complaint: str
) -> None:
    """Every message names the value and what is wrong with it."""
    with pytest.raises(HelmError) as refused:
        helm.render(values_at(value, to))

    assert complaint in str(refused.value)


def test_a_parent_chart_may_add_its_own(helm: Helm) -> None:
    """`global`, a condition's `enabled` and anchors are no typing errors."""
    assert helm.render({"global": {"x": 1}, "enabled": True, "x-anchors": {}}) == helm.render()


def test_the_schema_speaks_of_every_value() -> None:
    """No value without a description, none without a default."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    without_default = {"global", "enabled", "automountServiceAccountToken", "claims"}
    for path, described, value in closed(schema, values):
        assert described["description"].endswith("."), path
        if value is None:
            assert path.rpartition(".")[2] in without_default, path


def closed(schema: Json, values: Json, prefix: str = "") -> list[tuple[str, Json, Json | None]]:
    """Return path, schema and default of everything that the schema names."""
    found = []
    for name, described in schema["properties"].items():
        value = values.get(name, _MISSING)
        present = None if value is _MISSING else {"": value}
        found.append((f"{prefix}{name}", described, present))
        if described.get("additionalProperties") is False:
            found += closed(described, value, f"{prefix}{name}.")
    return found


_MISSING: Final[Any] = object()


def test_generated_files_are_up_to_date() -> None:
    """Static manifests, the chart's CRDs and README, the image's locks."""
    helm_program()

    done = subprocess.run(
        [str(ROOT / "hack" / "generate"), "--check"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
