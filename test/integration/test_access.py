"""The controller as a ServiceAccount with few rights: what works, what is told, what heals.

The rules that the chart gives the controller for itself are there; those for definitions come and
go. The API server authorizes by RBAC, as clusters do.

Source: spec "API surface and operations" §9.4; "Controller runtime" F-40, F-41.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from integration.conftest import install_crds
from kro.cli.app import run_app
from kro.controllers.access import Need, denial, needs_of
from kro.controllers.preflight import Preflight
from kro.graph import build
from kro.refs import GVR
from kro.runtime import LoopClock
from kro.runtime.client import Client, Transport, load_config
from kro.schema import BundledSchemas
from support.audit import REVIEWS, AuditLog
from support.controlplane import ControlPlane
from support.generated import greeter
from support.kube import (
    CONFIGMAPS,
    DEFINITIONS,
    DEPLOYMENTS,
    INGRESSES,
    SECRETS,
    SERVICES,
    Json,
    Kube,
    condition,
    is_ready,
)
from support.manifests import configmap, definition, endpoint, instance, unique
from support.operator import ROOT, Operator

WEBAPP = ROOT / "examples" / "webapp" / "rgd.yaml"
GROUP = "rbac.authorization.k8s.io"
ROLES = GVR(GROUP, "v1", "clusterroles")
BINDINGS = GVR(GROUP, "v1", "clusterrolebindings")
ACCOUNTS = GVR("", "v1", "serviceaccounts")
NAMESPACE, ACCOUNT = "kro-system", "kro"
WAIT_S = 60.0

STATIC = yaml.safe_load("""
- {apiGroups: [kro.run], resources: [resourcegraphdefinitions],
   verbs: [create, delete, get, list, patch, update, watch]}
- {apiGroups: [kro.run], resources: [resourcegraphdefinitions/finalizers], verbs: [update]}
- {apiGroups: [kro.run], resources: [resourcegraphdefinitions/status], verbs: [get, patch, update]}
- {apiGroups: [internal.kro.run], resources: [graphrevisions],
   verbs: [create, delete, get, list, patch, update, watch]}
- {apiGroups: [internal.kro.run], resources: [graphrevisions/finalizers], verbs: [update]}
- {apiGroups: [internal.kro.run], resources: [graphrevisions/status], verbs: [get, patch, update]}
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions],
   verbs: [create, get, list, watch, patch, update, delete]}
- {apiGroups: [coordination.k8s.io], resources: [leases],
   verbs: [get, list, watch, create, update, patch, delete]}
- {apiGroups: [""], resources: [events], verbs: [create, patch]}
""")
"""What the chart's static role grants, apart from its config maps: these come and go here."""


@dataclass(frozen=True)
class Cell:
    """A control plane on which the controller has the rights that tests give it."""

    kubeconfig: Path
    controller_kubeconfig: Path
    audit_log: Path
    log: Path


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """The static role is bound to the controller's ServiceAccount, and nothing else."""
    plane = ControlPlane(f"kro-access-{os.getpid()}")
    plane.up(say=lambda _: None, full=False, audit=True, dies_with=os.getpid())
    try:
        asyncio.run(_prepare(plane.kubeconfig))
        assert plane.audit_log is not None
        yield Cell(
            plane.kubeconfig,
            plane.service_account_kubeconfig(NAMESPACE, ACCOUNT),
            plane.audit_log,
            tmp_path_factory.mktemp("access") / "controller.log",
        )
    finally:
        plane.down()


async def _prepare(kubeconfig: Path) -> None:
    async with Kube(kubeconfig) as user:
        await install_crds(user)
        await user.namespace(NAMESPACE)
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": ACCOUNT, "namespace": NAMESPACE},
        }
        await user.apply(account, gvr=ACCOUNTS)
        await grant(user, "static", STATIC)


async def grant(user: Kube, name: str, rules: Sequence[Json]) -> None:
    """Let the controller do exactly this under this role, and all that other roles grant."""
    meta: Json = {"apiVersion": f"{GROUP}/v1", "metadata": {"name": name}}
    await user.apply({**meta, "kind": "ClusterRole", "rules": list(rules)}, gvr=ROLES)
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}
    binding = {"kind": "ClusterRoleBinding", "subjects": [subject], "roleRef": reference}
    await user.apply({**meta, **binding}, gvr=BINDINGS)


def rule(group: str, resource: str, *verbs: str) -> Json:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


@pytest_asyncio.fixture
async def user(cell: Cell) -> AsyncIterator[Kube]:
    async with Kube(cell.kubeconfig) as kube:
        yield kube


@pytest_asyncio.fixture
async def controller(cell: Cell) -> AsyncIterator[Operator]:
    """The controller, running as the ServiceAccount."""
    operator = Operator(cell.controller_kubeconfig, cell.log)
    with operator:
        await operator.ready()
        yield operator


def told(found: Json) -> str:
    return str(condition(found, "ControllerReady").get("message", ""))


def resources_told(found: Json) -> str:
    return str(condition(found, "ResourcesReady").get("message", ""))


async def test_the_printed_role_is_enough_for_the_whole_life_of_an_instance(
    cell: Cell, user: Kube, controller: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    """`kro rbac` of the example, and the controller is never refused anything."""
    assert run_app(["rbac", "-f", str(WEBAPP)]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    await grant(user, printed["metadata"]["name"], printed["rules"])
    asked = AuditLog(cell.audit_log, user=f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}")
    kind, name = endpoint("WebApplication"), unique("shop")
    namespace = await user.namespace(unique("access"))

    await user.apply(yaml.safe_load(WEBAPP.read_text()), gvr=DEFINITIONS)
    active = await user.until(DEFINITIONS, "webapplication", is_ready)
    spec = {"name": name, "ingress": {"enabled": True}}
    await user.apply(instance("WebApplication", name, namespace, spec), gvr=kind)
    await _available(user, name, namespace)
    await user.until(kind, name, is_ready, namespace)
    for gvr in (SERVICES, INGRESSES):
        first = await user.until(gvr, name, bool, namespace)
        await user.delete(gvr, name, namespace)
        again = _other_than(first)
        await user.until(gvr, name, again, namespace)
    await user.merge(DEPLOYMENTS, name, {"spec": {"replicas": 1}}, namespace)
    await user.until(DEPLOYMENTS, name, lambda d: d["spec"]["replicas"] == 3, namespace)
    await user.merge(kind, name, {"spec": {"ingress": {"enabled": False}}}, namespace)
    await user.until_gone(INGRESSES, name, namespace)
    await user.delete(kind, name, namespace)
    await user.until_gone(kind, name, namespace)

    for gvr in (DEPLOYMENTS, SERVICES):
        assert await user.get(gvr, name, namespace) is None
    assert told(active) == "controller is running"
    requests = asked.requests()
    assert [str(each) for each in requests if each.code == 403] == []
    assert sum(each.resource in REVIEWS for each in requests) <= 2  # the start's, the definition's


async def _available(user: Kube, name: str, namespace: str) -> None:
    """Do for the Deployment what its controllers would do."""
    await user.until(DEPLOYMENTS, name, bool, namespace)
    status = {"status": {"availableReplicas": 3, "readyReplicas": 3, "replicas": 3}}
    await user.merge(DEPLOYMENTS, name, status, namespace, subresource="status")


def _other_than(first: Json) -> Any:
    return lambda found: found["metadata"]["uid"] != first["metadata"]["uid"]


def _webapp_needs() -> tuple[Need, ...]:
    text = yaml.safe_load(WEBAPP.read_text())
    spec = text["spec"]
    spec["schema"].setdefault("group", "kro.run")
    return needs_of(build("webapplication", spec, BundledSchemas()))


NEEDS = _webapp_needs()


@pytest_asyncio.fixture
async def itself(cell: Cell) -> AsyncIterator[Client]:
    """A client with the controller's own rights."""
    config = load_config(str(cell.controller_kubeconfig))
    client = Client(Transport(config, user_agent="kro/test"))
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("resource", "verb"),
    [pytest.param(str(n), verb, id=f"{verb} {n}") for n in NEEDS for verb in sorted(n.verbs)],
)
async def test_each_verb_that_is_taken_away_is_named(
    user: Kube, itself: Client, resource: str, verb: str
) -> None:
    """The least role is the least: without any one of its verbs exactly that one is missing."""
    rules = [
        rule(n.group, n.resource, *(v for v in sorted(n.verbs) if (str(n), v) != (resource, verb)))
        for n in NEEDS
        if (str(n), frozenset({verb})) != (resource, n.verbs)
    ]
    await grant(user, "kro:webapplication", rules)

    missing = await _missing(itself, lambda found: len(found) == 1)

    assert [(str(each), each.verbs) for each in missing] == [(resource, frozenset({verb}))]
    text = denial(missing)
    assert f"the controller may not {verb} {resource}: add to its ClusterRole: {{apiGroups" in text
    added = yaml.safe_load(text.partition("ClusterRole: ")[2])
    await grant(user, "kro:webapplication", [*rules, added])
    assert await _missing(itself, lambda found: not found) == ()


async def _missing(client: Client, holds: Any) -> tuple[Need, ...]:
    """Return what is missing once the API server has taken the roles up."""
    found: tuple[Need, ...] = ()
    async with asyncio.timeout(WAIT_S):
        while True:
            preflight = Preflight(client=client, clock=LoopClock())
            found = await preflight.missing("webapplication", NEEDS)
            if holds(found):
                return found
            await asyncio.sleep(0.02)


async def test_what_is_not_granted_leaves_the_rest_working(
    user: Kube, controller: Operator
) -> None:
    """One kind may not be watched, one not created: each is told with the rule, and heals."""
    well, blind, mute = (unique(kind) for kind in ("Well", "Blind", "Mute"))
    namespace = await user.namespace(unique("few"))
    rules = [rule("", "configmaps", *sorted(CHILD))]
    for kind in (well, blind, mute):
        plural = endpoint(kind).resource
        rules.append(rule("kro.run", plural, "get", "list", "watch", "patch"))
        rules.append(rule("kro.run", f"{plural}/status", "update"))
    few = [
        rule("", "secrets", *sorted(CHILD - {"watch"})),
        rule("", "serviceaccounts", *sorted(CHILD - {"create"})),
    ]
    await grant(user, "few", [*rules, *few])
    await user.apply(_two(blind, SECRET), gvr=DEFINITIONS)
    await user.apply(_two(mute, ACCOUNT_TEMPLATE), gvr=DEFINITIONS)
    await user.apply(greeter(well), gvr=DEFINITIONS)

    definitions = {
        kind: await user.until(DEFINITIONS, kind.lower(), is_ready) for kind in (well, blind, mute)
    }
    for kind in (well, blind, mute):
        await user.apply(instance(kind, kind.lower(), namespace), gvr=endpoint(kind))
    await user.until(endpoint(well), well.lower(), is_ready, namespace)
    polled = await user.until(endpoint(blind), blind.lower(), is_ready, namespace)
    refused = await user.until(
        endpoint(mute), mute.lower(), lambda i: i.get("status", {}).get("state"), namespace
    )

    assert told(definitions[well]) == "controller is running"
    for kind, verb, resource in ((blind, "watch", "secrets"), (mute, "create", "serviceaccounts")):
        assert definitions[kind]["status"]["state"] == "Active"
        assert told(definitions[kind]) == f"controller is running\n{_lacks(verb, resource)}"
    assert "not watched, so looked at once a minute: secrets.v1: " in resources_told(polled)
    assert 'cannot watch resource "secrets"' in resources_told(polled)
    assert refused["status"]["state"] == "ERROR"
    for part in (
        f"ServiceAccount {namespace}/{mute.lower()}",
        'cannot create resource "serviceaccounts"',
    ):
        assert part in resources_told(refused)
    assert _lacks("create", "serviceaccounts") in resources_told(refused)
    assert _informers(controller, "secrets", "forbidden") == 1

    await grant(
        user, "few", [*rules, *(rule("", r, *CHILD) for r in ("secrets", "serviceaccounts"))]
    )

    for kind in (blind, mute):
        await user.until(
            DEFINITIONS,
            kind.lower(),
            lambda d: told(d) == "controller is running",
            timeout_s=WAIT_S,
        )
        await user.until(
            endpoint(kind),
            kind.lower(),
            lambda i: is_ready(i) and resources_told(i) == "all resources are created and ready",
            namespace,
            timeout_s=WAIT_S,
        )
    assert _informers(controller, "secrets", "forbidden") == 0
    first = await user.get(SECRETS, blind.lower(), namespace)
    assert first is not None
    await user.delete(SECRETS, blind.lower(), namespace)
    await user.until(SECRETS, blind.lower(), _other_than(first), namespace)


CHILD = frozenset({"get", "list", "watch", "create", "patch", "delete"})
SECRET: Json = {"apiVersion": "v1", "kind": "Secret", "stringData": {"word": "sesame"}}
ACCOUNT_TEMPLATE: Json = {"apiVersion": "v1", "kind": "ServiceAccount"}


def _two(kind: str, other: Json) -> Json:
    """Return a definition of a config map and another object, both named like the instance."""
    name = "${schema.metadata.name}"
    node = {"id": "other", "template": {**other, "metadata": {"name": name}}}
    return definition(kind, [configmap("config", name=name, data={"text": "hello"}), node])


def _lacks(verb: str, resource: str) -> str:
    return (
        f"the controller may not {verb} {resource}: add to its ClusterRole: "
        f'{{apiGroups: [""], resources: ["{resource}"], verbs: ["{verb}"]}}'
    )


def _informers(controller: Operator, resource: str, state: str) -> float:
    """Return how many informers of a resource the metrics show in that state."""
    found = [
        float(line.rpartition(" ")[2])
        for line in controller.metrics().splitlines()
        if line.startswith("kro_runtime_informers{") and resource in line and state in line
    ]
    return sum(found)


async def test_what_was_never_granted_is_told_where_it_is_missed(
    user: Kube, controller: Operator
) -> None:
    """Generated kind, then child: each says what to add; each grant is taken up by itself."""
    kind, namespace = unique("Never"), await user.namespace(unique("n"))
    plural, name = endpoint(kind).resource, kind.lower()
    await grant(user, "few", [])
    await user.apply(greeter(kind), gvr=DEFINITIONS)

    refused = await user.until(
        DEFINITIONS,
        name,
        lambda d: condition(d, "ControllerReady").get("reason") == "FailedToStart",
    )
    rules = [
        rule("kro.run", plural, "get", "list", "watch", "patch"),
        rule("kro.run", f"{plural}/status", "update"),
    ]
    await grant(user, "few", rules)
    await user.until(DEFINITIONS, name, is_ready, timeout_s=WAIT_S)
    await user.apply(instance(kind, name, namespace), gvr=endpoint(kind))
    failed = await user.until(
        endpoint(kind), name, lambda i: i.get("status", {}).get("state") == "ERROR", namespace
    )
    config = rule("", "configmaps", "get", "list", "watch", "create", "patch", "delete")
    await grant(user, "few", [*rules, config])
    await user.until(endpoint(kind), name, is_ready, namespace, timeout_s=WAIT_S)
    restored = await user.until(
        DEFINITIONS, name, lambda d: told(d) == "controller is running", timeout_s=WAIT_S
    )

    assert f"the controller may not get, list, watch, patch {plural}.kro.run: add" in told(refused)
    assert refused["status"]["state"] == "Inactive"
    problem = resources_told(failed)
    for part in (f"{namespace}/{name}", 'cannot get resource "configmaps"', 'resources: ["config'):
        assert part in problem
    assert await user.get(CONFIGMAPS, name, namespace) is not None
    assert is_ready(restored)
