"""What an operator sees of one scripted run: metrics, events, log lines; and what nobody sees.

The run: two definitions and a broken one, instances that work, wait and fail, a Secret from a user
and one made from it, an admission policy whose message quotes the Secret, an edit, deletions; with
every feature gate on, leader election, and the highest verbosity.

Source: spec "API surface and operations" §6, §7.9, §8; "Controller runtime" 1.13, P-123, P-149 to
P-154.
"""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from kro.refs import GVR
from kro.runtime.client import InvalidError
from support.exposition import golden, read
from support.kube import SECRETS, Json, Kube, condition
from support.lab import BINDINGS, POLICIES, Lab
from support.operator import Operator, Surroundings

EVENTS = GVR("", "v1", "events")
LEASES = GVR("coordination.k8s.io", "v1", "leases")
WAIT_S = 60.0
PASSWORD = "hunter2-correct-horse"
SEED = "seed-of-a-users-secret"
PINNED = "not-a-number-but-secret"
FLAGS = (
    "--allow-crd-deletion",
    "--leader-elect",
    "--leader-election-namespace=default",
    "--feature-gates=AllAlpha=true",
    "--zap-log-level=10",
    "--zap-encoder=json",
)
VAULT = """
schema:
  kind: Vault
  spec: {password: string, count: "integer | default=2", extra: "boolean | default=false"}
  status: {seen: "${copy.metadata.name}"}
resources:
- id: seed
  externalRef:
    apiVersion: v1
    kind: Secret
    metadata: {name: seed, namespace: "${schema.metadata.namespace}"}
- id: copy
  template:
    apiVersion: v1
    kind: Secret
    metadata: {name: "${schema.metadata.name}-copy"}
    stringData: {password: "${schema.spec.password}", seed: "${string(seed.data.seed)}"}
- id: spare
  includeWhen: ["${schema.spec.extra}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-spare"}}
- id: many
  forEach: [{i: "${lists.range(schema.spec.count)}"}]
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name + '-' + string(i)}"}
"""
WAITING = """
schema: {kind: Waiting, spec: {}}
resources:
- id: door
  readyWhen: ["${door.status.phase == 'open'}"]
  template:
    apiVersion: lab.example.com/v1
    kind: Widget
    metadata: {name: "${schema.metadata.name}-door"}
"""
BROKEN = """
schema: {kind: Broken, spec: {}}
resources:
- id: pinned
  externalRef:
    apiVersion: v1
    kind: Secret
    metadata: {name: seed, namespace: "${schema.metadata.namespace}"}
- id: number
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}-number"}
    data: {n: "${string(int(string(pinned.data.port)))}"}
"""
WRONG = """
schema: {kind: Wrong, spec: {}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.spec.nothing}"}}
"""
SILENT = frozenset(
    {
        "dynamic_controller_handler_detach_total",
        "dynamic_controller_reconcile_panics_total",
        "rgd_graph_revision_registry_miss_total",
        "instance_graph_resolution_failures_total",
        "kro_runtime_handler_failures_total",
        "kro_runtime_loop_crashes_total",
        "kro_runtime_watch_streams_ended_total",
        "rest_client_rate_limiter_duration_seconds",
        "rest_client_request_retries_total",
        "rgd_deletion_duration_seconds",
        "rgd_deletions_total",
        "rgd_graph_revision_gc_deleted_total",
        "rgd_graph_revision_gc_errors_total",
        "graph_revision_status_update_errors_total",
        "graph_revision_activation_deferred_total",
        "graph_revision_finalizer_evictions_total",
        "graph_revision_registry_evictions_total",
    }
)
"""What need not have happened when the run is scraped; the unit tests show all of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the run left to be looked at."""

    running: str
    """The exposition while everything is there."""
    content_type: str
    ended: str
    """The exposition after all definitions and instances were deleted."""
    events: list[Json]
    lines: list[dict[str, Any]]
    log: str
    messages: str
    """All statuses of the instances, as text."""
    secrets: frozenset[str]
    group: str
    identity: str


@pytest.fixture(scope="module")
def seen(private_cluster: Surroundings) -> Seen:
    """The outcome of the run, which happens once."""
    with Operator(
        private_cluster.controller_kubeconfig, private_cluster.log, flags=FLAGS
    ) as operator:
        asyncio.run(operator.ready())
        kept = asyncio.run(_run(private_cluster, operator))
        assert operator.stop() == 0
    log = private_cluster.log.read_text()
    return Seen(
        **kept,
        log=log,
        lines=[json.loads(line) for line in log.splitlines()],
        secrets=frozenset(
            {
                *(PASSWORD, SEED, PINNED),
                *(base64.b64encode(each.encode()).decode() for each in (PASSWORD, SEED, PINNED)),
                *_credentials(private_cluster),
            }
        ),
    )


async def _run(cluster: Surroundings, operator: Operator) -> dict[str, Any]:
    async with Kube(cluster.kubeconfig) as kube:
        lab = await Lab.opened(kube)
        data = {"seed": SEED, "port": PINNED}
        await kube.apply(_secret("seed", lab.namespace, data), gvr=SECRETS)
        await _quoting_policy(lab)
        await lab.define(VAULT)
        await lab.define(WAITING)
        await lab.define(BROKEN)
        await lab.define(WRONG, active=False)
        await lab.create("Vault", "good", {"password": PASSWORD})
        await lab.create("Vault", "refused", {"password": PASSWORD})
        await lab.create("Waiting", "door")
        await lab.create("Broken", "one")
        await lab.settled("Vault", "good")
        await lab.edit("Vault", "good", extra=True, count=3)
        await lab.settled("Vault", "good")
        await lab.until("Vault", "refused", lambda obj: "denied" in _says(obj))
        await lab.until("Broken", "one", lambda obj: "number" in _says(obj))
        await lab.until("Waiting", "door", lambda obj: "door" in _says(obj))
        await lab.define(VAULT.replace("-spare", "-extra"))
        await lab.widget("door-door", phase="open")
        await lab.settled("Waiting", "door")
        instances = [
            ("Vault", "good"),
            ("Vault", "refused"),
            ("Broken", "one"),
            ("Waiting", "door"),
        ]
        messages = [json.dumps(await lab.get(kind, name)) for kind, name in instances]
        running, content_type = await asyncio.to_thread(_scrape, operator)
        for kind, name in instances:
            await lab.delete(kind, name)
        for kind, name in instances:
            await lab.gone(kind, name)
        await lab.close()
        ended = await _until_forgotten(operator, lab.group)
        lease = await kube.get(LEASES, "controller.kro.run", "default")
        assert lease is not None
        page = await kube.client.list(EVENTS)
        await lab.allow(f"quote-{lab.namespace}")
        return {
            "running": running,
            "content_type": content_type,
            "ended": ended,
            "events": list(page.items),
            "messages": "\n".join(message.replace(_spec(message), "") for message in messages),
            "group": lab.group,
            "identity": lease["spec"]["holderIdentity"],
        }


def _spec(message: str) -> str:
    """Return the text of what the user himself wrote into the instance."""
    return PASSWORD if f'"password": "{PASSWORD}"' in message else "\0"


def _says(obj: Json) -> str:
    return str(condition(obj, "Ready").get("message"))


def _secret(name: str, namespace: str, data: Mapping[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": dict(data),
    }


async def _quoting_policy(lab: Lab) -> None:
    """Refuse the Secret of one instance with a message that quotes what is in it."""
    name = f"quote-{lab.namespace}"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["secrets"],
    }
    quote = "'denied: ' + object.metadata.name + ' holds ' + string(object.data.password)"
    await lab._admission(
        "ValidatingAdmissionPolicy",
        name,
        POLICIES,
        failurePolicy="Fail",
        matchConstraints={"resourceRules": [rule]},
        validations=[
            {
                "expression": "object.metadata.name != 'refused-copy'",
                "messageExpression": quote,
                "message": "denied",
            }
        ],
    )
    here = {"matchLabels": {"kubernetes.io/metadata.name": lab.namespace}}
    await lab._admission(
        "ValidatingAdmissionPolicyBinding",
        name,
        BINDINGS,
        policyName=name,
        validationActions=["Deny"],
        matchResources={"namespaceSelector": here},
    )
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                secret = _secret("refused-copy", lab.namespace, {"password": "probe"})
                await lab.kube.apply(secret, gvr=SECRETS)
            except InvalidError:
                break
            await lab.kube.delete(SECRETS, "refused-copy", lab.namespace)
            await asyncio.sleep(0.1)  # the API server takes policies up in the background


def _credentials(cluster: Surroundings) -> Iterator[str]:
    """Yield what the controller proves its identity with."""
    document = yaml.safe_load(cluster.controller_kubeconfig.read_text())
    for entry in document["users"]:
        for field in ("token", "client-key-data", "password"):
            if field in entry["user"]:
                yield entry["user"][field]


def _scrape(operator: Operator) -> tuple[str, str]:
    url = f"http://127.0.0.1:{operator.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


async def _until_forgotten(operator: Operator, group: str) -> str:
    """Return the first exposition that does not speak of a group's instances any more."""
    async with asyncio.timeout(WAIT_S):
        while True:
            text, _ = await asyncio.to_thread(_scrape, operator)
            if not _of_instances(text, group):
                return text
            await asyncio.sleep(0.5)


def _of_instances(text: str, group: str) -> list[str]:
    """Return the series of a group's kinds, but for those of informers, which linger on."""
    prefixes = ("instance_", "dynamic_controller_reconcile_", "dynamic_controller_requeue_")
    return [line for line in text.splitlines() if line.startswith(prefixes) and group in line]


def test_the_exposition_equals_the_golden_one(seen: Seen) -> None:
    """P-152: names, types, labels and buckets of the specification, on a real run."""
    shown, expected = read(seen.running), golden()

    assert set(shown) == set(expected)
    assert {name: each.type for name, each in shown.items()} == {
        name: each.type for name, each in expected.items()
    }
    with_series = {name: each for name, each in shown.items() if each.labels}
    assert with_series == {name: expected[name] for name in with_series}
    assert set(expected) - set(with_series) <= SILENT


def test_the_exposition_says_which_format_it_has(seen: Seen) -> None:
    """Spec §7.5: Prometheus text, which scrapers parse by its content type."""
    assert seen.content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_what_happened_was_counted(seen: Seen) -> None:
    """The numbers tell the story of the run."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(seen.running):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value

    def more_than(count: float, *names: str) -> list[str]:
        return [name for name in names if values.get(name, 0.0) <= count]

    assert values["dynamic_controller_gvr_count"] == 3
    assert values["leader_election_master_status"] == 1
    assert more_than(
        0,
        "cel_expr_eval_total",
        "cel_expr_eval_duration_seconds_count",
        "runtime_creation_total",
        "runtime_node_eval_total",
        "runtime_node_eval_errors_total",
        "runtime_node_ignored_total",
        "runtime_node_not_ready_total",
        "runtime_collection_size_count",
        "schema_resolver_cache_hits_total",
        "schema_resolver_cache_misses_total",
        "schema_resolver_api_call_duration_seconds_count",
        "schema_resolver_cache_size",
        "rgd_graph_build_errors_total",
        "instance_reconcile_errors_total",
        "dynamic_controller_handler_errors_total",
        "instance_state_transitions_total",
        "instance_condition_current_status_seconds",
        "kro_runtime_informer_objects",
        "kro_runtime_watch_streams",
        "kro_runtime_lease_age_seconds",
    ) == []  # fmt: skip
    assert values["dynamic_controller_reconcile_panics_total"] == 0


def test_series_end_with_what_they_are_about(seen: Seen) -> None:
    """P-149, P-151: no kind, no instance and no condition of the run is left."""
    assert _of_instances(seen.running, seen.group)
    shown = read(seen.ended)
    assert not shown["instance_condition_current_status_seconds"].labels
    assert not shown["instance_reconcile_total"].labels


def test_events_tell_of_conditions_and_of_the_lease(seen: Seen) -> None:
    """Spec §6: one for each change of a status, in the kind's voice; and who leads."""
    told = {
        (event["involvedObject"]["kind"], event["type"], event["reason"]): event
        for event in seen.events
        if event["source"].get("component", "").startswith("kro/")
    }
    ready = told["Vault", "Normal", "Ready"]
    assert ready["message"] == "False -> True: Ready" or ready["message"].startswith("none -> True")
    assert ready["source"]["component"] == f"kro/vaults.{seen.group}-controller"
    assert told["Broken", "Warning", "ResourcesReady"]["message"] == "none -> False: NotReady"
    leading = [event for event in seen.events if event["reason"] == "LeaderElection"]
    assert [(e["involvedObject"]["kind"], e["type"], e["message"]) for e in leading] == [
        ("Lease", "Normal", f"{seen.identity} became leader")
    ]


def test_no_secret_is_in_the_log_nor_in_what_users_read(seen: Seen) -> None:
    """Not what Secrets hold, not what we identify ourselves with; at the highest verbosity."""
    events = "\n".join(f"{event['message']}" for event in seen.events)
    for where, text in {
        "log": seen.log,
        "status": seen.messages,
        "events": events,
        "metrics": seen.running,
    }.items():
        assert [secret for secret in seen.secrets if secret in text] == [], where
    assert "<redacted>" in seen.messages  # the policy's message arrived


def test_every_line_is_an_object_with_the_usual_keys(seen: Seen) -> None:
    """Spec §7.9: what a log pipeline relies on; and all lines of one pass carry its id."""
    assert len(seen.lines) > 100
    for line in seen.lines:
        assert list(line)[:4] == ["level", "ts", "logger", "msg"], line
    passes = [line for line in seen.lines if line["msg"] == "pass ended"]
    ids = [line["reconcileID"] for line in passes]
    assert len(set(ids)) == len(ids) > 10
    applied = [line for line in seen.lines if line["msg"] == "applied"]
    assert {line["reconcileID"] for line in applied} <= set(ids)
    assert {line["logger"] for line in seen.lines} >= {
        "setup",
        "rgd-controller",
        "dynamic-controller",
        "vaults-controller",
    }
    changed = [line for line in seen.lines if line["msg"] == "condition changed"]
    assert {line["condition"] for line in changed} >= {"Ready", "ResourcesReady"}
