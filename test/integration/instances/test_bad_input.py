# ruff: noqa: E501 - definitions stand here as authors write them
"""Every way in which an object can be refused: the others are there, the reason is shown, it heals."""

from __future__ import annotations

import asyncio
import time

import orjson
import pytest

from kro.refs import GVR
from support.kube import CONFIGMAPS, WAIT_S
from support.lab import WIDGETS, Lab, version

QUOTAS = GVR("", "v1", "resourcequotas")
WEBHOOKS = GVR("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")

TWO = """
schema: {kind: Two, spec: {v: "string | default=x", immutable: "boolean | default=false"}}
resources:
- id: good
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-good"}, data: {v: "${schema.spec.v}"}}
- id: bad
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-bad"}, immutable: "${schema.spec.immutable}", data: {v: "${schema.spec.v}"}}
"""
FAR = """
schema: {kind: Far, spec: {ns: string}}
resources:
- id: near
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}}
- id: far
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}", namespace: "${schema.spec.ns}"}}
"""


async def test_admission_denial(lab: Lab) -> None:
    """The object and the policy's words are shown; it comes when the policy goes."""
    await lab.define(TWO)
    await lab.deny(lab.namespace, suffix="-bad", text="not on my watch")
    await lab.create("Two", "t")
    await lab.says("Two", "t", f"ConfigMap {lab.namespace}/t-bad", "not on my watch", state="ERROR")
    assert await lab.cm("t-good")
    await lab.allow(lab.namespace)
    await lab.settled("Two", "t")


async def test_admission_webhook_that_is_away(lab: Lab) -> None:
    """What nobody can judge is refused for the time being, and the others are there already."""
    await lab.define(TWO)
    webhook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": lab.namespace},
        "webhooks": [
            {
                "name": "away.lab.example.com",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["configmaps"],
                    }
                ],
                "matchConditions": [
                    {"name": "bad", "expression": "object.metadata.name.endsWith('-bad')"}
                ],
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": lab.namespace}
                },
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }
    await lab.kube.apply(webhook, gvr=WEBHOOKS)
    end = time.monotonic() + WAIT_S
    while await lab.may_write("probe-bad"):
        assert time.monotonic() < end
        await asyncio.sleep(0.1)  # the API server takes webhooks up in the background
    await lab.create("Two", "t")
    await lab.says("Two", "t", f"ConfigMap {lab.namespace}/t-bad", "failed calling webhook")
    assert await lab.cm("t-good")
    await lab.kube.delete(WEBHOOKS, lab.namespace)
    await lab.settled("Two", "t")


async def test_missing_namespace(lab: Lab) -> None:
    """Objects in other namespaces are there; the missing one is named, and awaited."""
    later = f"{lab.namespace}-later"
    await lab.define(FAR)
    await lab.create("Far", "f", {"ns": later})
    text = f'namespaces "{later}" not found'
    await lab.says("Far", "f", f"ConfigMap {later}/f", text, state="ERROR")
    assert await lab.cm("f")
    await lab.kube.namespace(later)
    await lab.settled("Far", "f")


async def test_evaluation_error(lab: Lab) -> None:
    """What is there is left as it is, every part of it, until the data are such as can be used."""
    await lab.define("""
schema: {kind: Part, spec: {v: string, n: integer}}
resources:
- id: good
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-good"}, data: {v: "${schema.spec.v}"}}
- id: bad
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-bad"}, data: {v: "${string(10 / schema.spec.n)}"}}
""")
    await lab.create("Part", "p", {"v": "1", "n": 5})
    await lab.settled("Part", "p")
    before = {name: version(cm) for name, cm in (await lab.cms()).items()}
    await lab.edit("Part", "p", v="2", n=0)
    await lab.says("Part", "p", 'node "bad"', "10 / schema.spec.n", "division", state="ERROR")
    assert {name: version(cm) for name, cm in (await lab.cms()).items()} == before
    await lab.edit("Part", "p", n=1)
    await lab.settled("Part", "p")
    assert (await lab.until_cm("p-bad"))["data"] == {"v": "10"}
    assert (await lab.until_cm("p-good"))["data"] == {"v": "2"}


async def test_collection_above_the_limit(lab: Lab) -> None:
    """The items that there are stay as they are, and so does everything beside them."""
    await lab.define("""
schema: {kind: Many, spec: {n: integer}}
resources:
- id: one
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}}
- id: cells
  forEach: [{i: "${lists.range(schema.spec.n)}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${string(i)}"}}
""")
    await lab.create("Many", "m", {"n": 2})
    await lab.settled("Many", "m")
    before = {name: version(cm) for name, cm in (await lab.cms()).items()}
    await lab.edit("Many", "m", n=1001)
    text = "collection size of 1001 is over the maximum collection size of 1000"
    await lab.says("Many", "m", 'node "cells"', text, state="ERROR")
    assert {name: version(cm) for name, cm in (await lab.cms()).items()} == before
    await lab.edit("Many", "m", n=3)
    await lab.settled("Many", "m")
    assert sorted(await lab.cms()) == ["m", "m-0", "m-1", "m-2"]


@pytest.mark.parametrize("levels", [201, 300, 1200])
async def test_nested_too_deep(lab: Lab, levels: int) -> None:
    """The expression that copies it is named, the others are there, and a shallower value heals it."""
    await lab.define("""
schema: {kind: Deep, spec: {o: object, v: "string | default=x"}, status: {v: "${schema.spec.v}"}}
resources:
- id: good
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}}
- id: deep
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}, spec: {config: "${schema.spec.o}"}}
""")
    await lab.create("Deep", "d", {"o": {"a": 1}})
    await lab.settled("Deep", "d")
    nested = orjson.Fragment('{"a":' * levels + "1" + "}" * levels)
    await lab.kube.merge(lab.gvr("Deep"), "d", {"spec": {"o": nested}}, lab.namespace)
    live = await lab.says("Deep", "d", 'node "deep"', "nested", state="ERROR")
    assert live["status"]["v"] == "x"
    assert await lab.cm("d")
    await lab.edit("Deep", "d", o={"a": 2})
    await lab.settled("Deep", "d")
    found = await lab.kube.get(WIDGETS, "d", lab.namespace)
    assert found is not None
    assert found["spec"]["config"] == {"a": 2}


async def test_immutable_field(lab: Lab) -> None:
    """Nothing is deleted to get around it; the old value heals the instance."""
    await lab.define(TWO)
    await lab.create("Two", "t", {"immutable": True})
    await lab.settled("Two", "t")
    await lab.edit("Two", "t", v="y")
    await lab.says("Two", "t", "t-bad", "immutable", state="ERROR")
    assert (await lab.until_cm("t-good"))["data"] == {"v": "y"}
    assert (await lab.until_cm("t-bad"))["data"] == {"v": "x"}
    await lab.edit("Two", "t", v="x")
    await lab.settled("Two", "t")


async def test_name_too_long_for_a_label(lab: Lab) -> None:
    """The server says which label; the instance can be deleted."""
    await lab.define(TWO)
    name = "n" * 70
    await lab.create("Two", name)
    await lab.says("Two", name, "63", state="ERROR")
    await lab.delete("Two", name)
    await lab.gone("Two", name)


async def test_object_too_large(lab: Lab) -> None:
    """More than the server takes is refused by the server, and shown."""
    await lab.define("""
schema: {kind: Big, spec: {text: string}}
resources:
- id: good
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-good"}, data: {v: "1"}}
- id: big
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-big"}, data: {a: "${schema.spec.text}", b: "${schema.spec.text}", c: "${schema.spec.text}"}}
""")
    await lab.create("Big", "b", {"text": "x" * 500_000})
    live = await lab.says("Big", "b", "b-big", "Too long", state="ERROR")
    assert len(str(live["status"])) < 10_000
    assert await lab.cm("b-good")
    await lab.edit("Big", "b", text="small")
    await lab.settled("Big", "b")


async def test_quota(lab: Lab) -> None:
    """What the quota refuses is shown, and comes when there is room."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": lab.namespace},
        "spec": {"hard": {"configmaps": "1"}},
    }
    await lab.kube.apply(quota, gvr=QUOTAS)
    await room(lab, hard=1, used=1)
    end = time.monotonic() + 30
    while await lab.may_write(f"probe-{int(time.monotonic() * 100)}"):
        assert time.monotonic() < end
        await asyncio.sleep(0.2)  # the API server learns of the quota in the background
        await room(lab, hard=1, used=1)
    await lab.define(TWO)
    await lab.create("Two", "t")
    await lab.says("Two", "t", "exceeded quota", state="ERROR")
    await room(lab, hard=100, used=1)
    await lab.settled("Two", "t")


async def room(lab: Lab, *, hard: int, used: int) -> None:
    """Say what a quota controller would."""
    status = {"hard": {"configmaps": str(hard)}, "used": {"configmaps": str(used)}}
    await lab.kube.merge(QUOTAS, "q", {"status": status}, lab.namespace, subresource="status")


async def test_invalid_name(lab: Lab) -> None:
    """A name that no object can have is refused by the server, and the others are there."""
    await lab.define("""
schema: {kind: Named, spec: {name: string}}
resources:
- id: good
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-good"}}
- id: bad
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.spec.name}"}}
""")
    for name in ("Not Valid", "../../secrets/x", "a/b"):
        await lab.create("Named", "n", {"name": name})
        await lab.says("Named", "n", name, state="ERROR")
        assert await lab.cm("n-good")
    await lab.edit("Named", "n", name="x" * 600_000)
    live = await lab.says("Named", "n", "xxx", state="ERROR")
    assert len(str(live["status"])) < 100_000
    await lab.edit("Named", "n", name="valid")
    await lab.settled("Named", "n")
    assert await lab.cm("valid")


async def test_namespace_that_is_going(lab: Lab) -> None:
    """A namespace being deleted takes no new objects; the server's words are shown."""
    b = await lab.other_namespace("b")
    await lab.kube.delete(GVR("", "v1", "namespaces"), b)
    await lab.define(FAR)
    await lab.create("Far", "f", {"ns": b})
    await lab.says("Far", "f", "because it is being terminated", state="ERROR")
    assert await lab.cm("f")
    await lab.edit("Far", "f", ns=await lab.other_namespace("c"))
    await lab.settled("Far", "f")


async def test_values_that_no_template_can_hold(lab: Lab) -> None:
    """A lone surrogate or an endless number in the instance never gets that far; a null name is told."""
    await lab.define("""
schema: {kind: Free, spec: {o: object}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.spec.o.name}"}, data: {v: "${string(schema.spec.o.n)}"}}
""")
    await lab.create("Free", "f", {"o": {"name": 7, "n": 1}})
    await lab.says("Free", "f", "metadata.name must resolve to a non-empty string", state="ERROR")
    await lab.edit("Free", "f", o={"name": "fine", "n": 9007199254740993})
    await lab.settled("Free", "f")
    found = await lab.kube.get(CONFIGMAPS, "fine", lab.namespace)
    assert found is not None
    assert found["data"] == {"v": "9007199254740993"}
