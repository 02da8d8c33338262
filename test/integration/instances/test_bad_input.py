# ruff: noqa: E501 - definitions stand here as authors write them
"""Every way in which an object can be refused: the others are there, the reason is shown, it heals."""

from __future__ import annotations

import asyncio
import time

from kro.refs import GVR
from support.kube import CONFIGMAPS
from support.lab import Lab

QUOTAS = GVR("", "v1", "resourcequotas")

TWO = """
schema: {kind: Two, spec: {v: "string | default=x", immutable: "boolean | default=false"}}
resources:
- id: good
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-good"}, data: {v: "${schema.spec.v}"}}
- id: bad
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-bad"}, immutable: "${schema.spec.immutable}", data: {v: "${schema.spec.v}"}}
"""


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
    await lab.edit("Named", "n", name="valid")
    await lab.settled("Named", "n")
    assert await lab.cm("valid")


async def test_namespace_that_is_going(lab: Lab) -> None:
    """A namespace being deleted takes no new objects; the server's words are shown."""
    b = await lab.other_namespace("b")
    await lab.kube.delete(GVR("", "v1", "namespaces"), b)
    await lab.define("""
schema: {kind: Far, spec: {ns: string}}
resources:
- id: near
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}}
- id: far
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}", namespace: "${schema.spec.ns}"}}
""")
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
