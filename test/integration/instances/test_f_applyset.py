# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios F: the apply set, ownership and pruning.

Source: spec instance-runtime.md §10.F.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from kro import names
from kro.refs import GVR, NamespacedName
from kro.runtime.client import Change
from support.kube import CONFIGMAPS, CRDS, DEPLOYMENTS, SECRETS, SERVICES, condition
from support.lab import (
    WIDGETS,
    Lab,
    annotations_of,
    group_kinds,
    labels_of,
    namespaces,
    state,
    uid,
)

BUNDLE = """
schema: {kind: Bundle, spec: {}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {a: "1"}}
- id: svc
  template: {apiVersion: v1, kind: Service, metadata: {name: "${schema.metadata.name}"}, spec: {ports: [{port: 80}]}}
- id: dep
  template:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: "${schema.metadata.name}"}
    spec:
      selector: {matchLabels: {app: "${schema.metadata.name}"}}
      template:
        metadata: {labels: {app: "${schema.metadata.name}"}}
        spec: {containers: [{name: c, image: registry.k8s.io/pause:3.9}]}
"""

ROOMS = """
schema: {kind: KIND, spec: {rooms: "[]string"}}
resources:
- id: rooms
  forEach: [{room: "${schema.spec.rooms}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "PREFIX${schema.metadata.name}-${room}"}}
"""


def hash_of(live: Any) -> str:
    """Return the inventory hash that the formula gives for what an instance records."""
    text = "\0".join((labels_of(live)[names.APPLYSET_ID], group_kinds(live), namespaces(live)))
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return "sha256:" + digest.decode().rstrip("=")


async def test_f_01_several_kinds(lab: Lab) -> None:
    """All carry the same set, and the parent's hash is the one of the formula."""
    await lab.define(BUNDLE)
    await lab.create("Bundle", "b")
    live = await lab.settled("Bundle", "b")
    for gvr in (CONFIGMAPS, SERVICES, DEPLOYMENTS):
        child = await lab.kube.get(gvr, "b", lab.namespace)
        assert child is not None
        assert labels_of(child)[names.APPLYSET_PART_OF] == labels_of(live)[names.APPLYSET_ID]
    assert group_kinds(live) == "ConfigMap,Deployment.apps,Service"
    assert annotations_of(live)[names.APPLYSET_INVENTORY_HASH] == hash_of(live)


async def test_f_02_inventory_grows_and_shrinks(lab: Lab) -> None:
    """It says what is there, each time with the right hash."""
    shared = await lab.other_namespace("shared")
    await lab.define("""
schema: {kind: Grow, spec: {sec: boolean, svc: boolean, shared: string}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {a: "1"}}
- id: sec
  includeWhen: ["${schema.spec.sec}"]
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}"}}
- id: svc
  includeWhen: ["${schema.spec.svc}"]
  template: {apiVersion: v1, kind: Service, metadata: {name: "${schema.metadata.name}", namespace: "${schema.spec.shared}"}, spec: {ports: [{port: 80}]}}
""")
    await lab.create("Grow", "g", {"sec": False, "svc": False, "shared": shared})
    expected = {
        False: ("ConfigMap", ""),
        True: ("ConfigMap,Secret,Service", shared),
    }
    for on in (False, True, False):
        await lab.edit("Grow", "g", sec=on, svc=on)
        live = await lab.settled("Grow", "g")
        assert (group_kinds(live), namespaces(live)) == expected[on]
        assert annotations_of(live)[names.APPLYSET_INVENTORY_HASH] == hash_of(live)
    assert await lab.kube.get(SERVICES, "g", shared) is None


async def test_f_03_inventory_before_the_children(lab: Lab) -> None:
    """A kind is recorded although its object was refused."""
    await lab.define("""
schema: {kind: Early, spec: {}}
resources:
- id: sec
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}"}}
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-denied"}}
""")
    await lab.deny(lab.namespace, suffix="-denied", text="never")
    await lab.create("Early", "e")
    live = await lab.says("Early", "e", "never", state="ERROR")
    assert group_kinds(live) == "ConfigMap,Secret"
    assert await lab.cm("e-denied") is None
    await lab.allow(lab.namespace)


async def test_f_04_two_instances_of_one_kind(lab: Lab) -> None:
    """Pruning for one leaves the other's objects."""
    await lab.define(ROOMS.replace("KIND", "House").replace("PREFIX", ""))
    for name in ("h1", "h2"):
        await lab.create("House", name, {"rooms": ["a", "b"]})
        await lab.settled("House", name)
    await lab.edit("House", "h1", rooms=["a"])
    await lab.settled("House", "h1")
    assert sorted(await lab.cms()) == ["h1-a", "h2-a", "h2-b"]


async def test_f_05_two_kinds_with_the_same_children(lab: Lab) -> None:
    """Instances of equal names but other kinds are other sets."""
    for kind in ("House", "Barn"):
        await lab.define(ROOMS.replace("KIND", kind).replace("PREFIX", f"{kind.lower()}-"))
        await lab.create(kind, "x", {"rooms": ["a", "b"]})
        await lab.settled(kind, "x")
    await lab.edit("House", "x", rooms=[])
    await lab.settled("House", "x")
    assert sorted(await lab.cms()) == ["barn-x-a", "barn-x-b"]


async def test_f_06_same_name_in_two_namespaces(lab: Lab) -> None:
    """The namespace is part of a set's identity."""
    b = await lab.other_namespace("b")
    await lab.define(ROOMS.replace("KIND", "House").replace("PREFIX", ""))
    await lab.create("House", "h", {"rooms": ["a"]})
    await lab.create("House", "h", {"rooms": ["a"]}, namespace=b)
    here, there = await lab.settled("House", "h"), await lab.settled("House", "h", b)
    assert labels_of(here)[names.APPLYSET_ID] != labels_of(there)[names.APPLYSET_ID]
    await lab.edit("House", "h", rooms=[])
    await lab.settled("House", "h")
    assert await lab.cm("h-a", b)


CLAIM = """
schema: {kind: Claim, spec: {target: string, who: string}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.spec.target}"}, data: {who: "${schema.spec.who}"}}
"""


async def rivals(lab: Lab) -> str:
    """Serve Claim with `one` settled and `two` refused; return the set of `one`."""
    await lab.define(CLAIM)
    await lab.create("Claim", "one", {"target": "t", "who": "one"})
    one = labels_of(await lab.settled("Claim", "one"))[names.APPLYSET_ID]
    await lab.create("Claim", "two", {"target": "t", "who": "two"})
    two = await lab.says("Claim", "two", "belongs to a different ApplySet", one, state="ERROR")
    message = condition(two, "Ready")["message"]
    assert labels_of(two)[names.APPLYSET_ID] in message
    assert f"(it is a child of Claim {lab.namespace}/one)" in message
    return one


async def test_f_07_two_instances_want_one_object(lab: Lab) -> None:
    """The first one keeps it, the second one says whose it is."""
    one = await rivals(lab)

    async def kept() -> bool:
        found = await lab.cm("t")
        return (
            found is not None
            and found["data"]["who"] == "one"
            and labels_of(found)[names.APPLYSET_PART_OF] == one
        )

    await lab.stays(kept, seconds=4)
    assert state(await lab.settled("Claim", "one")) == "ACTIVE"
    await lab.delete("Claim", "two")
    await lab.gone("Claim", "two")
    assert await kept()


async def test_f_07_second_one_takes_over_what_is_free(lab: Lab) -> None:
    """When the first one goes, its object goes with it, and the second one makes its own."""
    await rivals(lab)
    await lab.delete("Claim", "one")
    await lab.gone("Claim", "one")
    await lab.settled("Claim", "two")
    assert (await lab.until_cm("t"))["data"] == {"who": "two"}


async def test_f_07_sets_of_other_tools_are_respected(lab: Lab) -> None:
    """An object of another tool's set is not taken, seen before or not."""
    await lab.define(CLAIM)
    await lab.put_cm("t", {"who": "tool"}, labels={names.APPLYSET_PART_OF: "applyset-of-a-tool"})
    await lab.create("Claim", "one", {"target": "t", "who": "one"})
    await lab.says("Claim", "one", "belongs to a different ApplySet", "applyset-of-a-tool")
    assert (await lab.until_cm("t"))["data"] == {"who": "tool"}


async def test_f_07_simultaneous_claims(lab: Lab) -> None:
    """Of instances that want one new object at the same moment exactly one gets it."""
    await lab.define(CLAIM)
    for at in range(8):
        await lab.create("Claim", f"c{at}", {"target": "t", "who": f"c{at}"})
    winner = (await lab.until_cm("t"))["data"]["who"]
    for at in range(8):
        if f"c{at}" != winner:
            await lab.says("Claim", f"c{at}", "belongs to a different ApplySet", state="ERROR")
    assert (await lab.until_cm("t"))["data"]["who"] == winner
    await lab.settled("Claim", winner)


async def test_f_07_items_of_collections_are_not_taken(lab: Lab) -> None:
    """An item is as much its owner's as any other object; its siblings are there."""
    await rivals(lab)
    await lab.define("""
schema: {kind: Row, spec: {names: "[]string"}}
resources:
- id: cells
  forEach: [{n: "${schema.spec.names}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${n}"}, data: {who: row}}
""")
    await lab.create("Row", "r", {"names": ["first", "t"]})
    text = "collection item 1: resource belongs to a different ApplySet"
    await lab.says("Row", "r", text, state="ERROR")
    assert (await lab.until_cm("first"))["data"] == {"who": "row"}
    assert (await lab.until_cm("t"))["data"] == {"who": "one"}


async def test_f_08_adoption(lab: Lab) -> None:
    """An object of nobody becomes ours, keeps what it had, and goes with the instance."""
    await lab.define(CLAIM)
    before = await lab.put_cm("t", {"who": "nobody", "other": "x"})
    await lab.create("Claim", "one", {"target": "t", "who": "one"})
    await lab.settled("Claim", "one")
    after = await lab.until_cm("t")
    assert after["data"] == {"who": "one", "other": "x"}
    assert uid(after) == uid(before)
    assert labels_of(after)[names.OWNED] == "true"
    await lab.delete("Claim", "one")
    await lab.gone("Claim", "one")
    assert await lab.cm("t") is None


async def test_f_09_two_nodes_with_one_object(lab: Lab) -> None:
    """Nothing is applied, and both are named."""
    await lab.define("""
schema: {kind: Twice, spec: {a: string, b: string}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.spec.a}"}, data: {v: a}}
- id: b
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.spec.b}"}, data: {v: b}}
""")
    await lab.create("Twice", "t", {"a": "x", "b": "x"})
    text = "found resources with conflicts: resourceID: b conflicts with resourceID: a"
    live = await lab.says("Twice", "t", text)
    assert state(live) != "ACTIVE"
    assert await lab.cms() == {}
    await lab.edit("Twice", "t", b="y")
    await lab.settled("Twice", "t")


async def test_f_10_pruning_does_not_wait_for_readiness(lab: Lab) -> None:
    """What is not wanted goes although something else is not ready."""
    await lab.define("""
schema: {kind: Prune, spec: {old: boolean}}
resources:
- id: w
  readyWhen: ["${w.status.phase == 'open'}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
- id: old
  includeWhen: ["${schema.spec.old}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-old"}}
""")
    await lab.create("Prune", "p", {"old": True})
    await lab.until_cm("p-old")
    await lab.edit("Prune", "p", old=False)
    await lab.gone_cm("p-old")
    await lab.says("Prune", "p", 'waiting for node "w"', state="IN_PROGRESS")


async def test_f_11_no_pruning_while_something_is_unresolved(lab: Lab) -> None:
    """What a pending node will want is not known, so nothing goes."""
    await lab.define("""
schema: {kind: Hold, spec: {opt: boolean}}
resources:
- id: vpc
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
- id: sub
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-sub"}, data: {v: "${vpc.status.handle}"}}
- id: opt
  includeWhen: ["${schema.spec.opt}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-opt"}}
""")
    await lab.create("Hold", "h", {"opt": True})
    await lab.widget("h", handle="v")
    await lab.settled("Hold", "h")
    await lab.widget("h", handle=None)
    await lab.edit("Hold", "h", opt=False)
    await lab.says("Hold", "h", "data pending")

    async def there() -> bool:
        return await lab.cm("h-opt") is not None

    await lab.stays(there)
    await lab.widget("h", handle="v")
    await lab.gone_cm("h-opt")


async def test_f_12_no_pruning_after_a_failed_apply(lab: Lab) -> None:
    """One refused write keeps everything until it is accepted."""
    await lab.define("""
schema: {kind: Keep, spec: {v: string, gone: boolean}}
resources:
- id: keep
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-keep"}, data: {v: "${schema.spec.v}"}}
- id: gone
  includeWhen: ["${schema.spec.gone}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-gone"}}
""")
    await lab.create("Keep", "k", {"v": "1", "gone": True})
    await lab.settled("Keep", "k")
    await lab.deny(lab.namespace, suffix="-keep", text="frozen")
    await lab.edit("Keep", "k", v="2", gone=False)
    await lab.says("Keep", "k", "frozen", state="ERROR")
    assert await lab.cm("k-gone")
    await lab.allow(lab.namespace)
    await lab.gone_cm("k-gone")
    await lab.settled("Keep", "k")


ORDERED = """
schema: {kind: Ordered, spec: {"on": boolean}}
resources:
- id: a
  includeWhen: ["${schema.spec.on}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-a"}}
- id: b
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-b"}, data: {v: "${a.metadata.name}"}}
- id: c
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-c"}, data: {v: "${b.metadata.name}"}}
"""


async def test_f_13_prune_order(lab: Lab) -> None:
    """The last one applied goes first."""
    await lab.define(ORDERED)
    await lab.create("Ordered", "o", {"on": True})
    await lab.settled("Ordered", "o")
    page = await lab.kube.client.list(CONFIGMAPS, namespace=lab.namespace)
    deleted: list[str] = []
    async with lab.kube.client.watch(
        CONFIGMAPS, namespace=lab.namespace, resource_version=page.resource_version, timeout_s=30
    ) as stream:
        await lab.edit("Ordered", "o", on=False)
        async for events in stream:
            for event in events:
                if isinstance(event, Change) and event.type.value == "DELETED":
                    gone: Any = event.object
                    deleted.append(gone["metadata"]["name"])
            if len(deleted) == 3:
                break
    assert deleted == ["o-c", "o-b", "o-a"]


async def test_f_14_renaming_a_child(lab: Lab) -> None:
    """The new object is there before the old one goes."""
    await lab.define("""
schema: {kind: Rename, spec: {suffix: string}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${schema.spec.suffix}"}}
""")
    await lab.create("Rename", "r", {"suffix": "x"})
    await lab.settled("Rename", "r")
    page = await lab.kube.client.list(CONFIGMAPS, namespace=lab.namespace)
    seen: list[tuple[str, str]] = []
    async with lab.kube.client.watch(
        CONFIGMAPS, namespace=lab.namespace, resource_version=page.resource_version, timeout_s=30
    ) as stream:
        await lab.edit("Rename", "r", suffix="y")
        async for events in stream:
            for event in events:
                if isinstance(event, Change):
                    found: Any = event.object
                    seen.append((event.type.value, found["metadata"]["name"]))
            if ("DELETED", "r-x") in seen:
                break
    assert seen.index(("ADDED", "r-y")) < seen.index(("DELETED", "r-x"))
    await lab.settled("Rename", "r")


STALL = """
schema: {kind: Stall, spec: {more: "boolean | default=false"}}
resources:
- id: base
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-base"}, data: {v: active}}
- id: more
  includeWhen: ["${schema.spec.more}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-more"}, data: {v: "${base.data.v}"}}
"""


async def test_f_15_terminating_object(lab: Lab) -> None:
    """Nothing is written while an object that is wanted is going."""
    await lab.define(STALL)
    await lab.create("Stall", "s")
    await lab.settled("Stall", "s")
    before = await lab.until_cm("s-base")
    await lab.hold(CONFIGMAPS, "s-base")
    await lab.kube.delete(CONFIGMAPS, "s-base", lab.namespace)
    await lab.edit("Stall", "s", more=True)
    live = await lab.says("Stall", "s", f"{lab.namespace}/s-base", '"base"', state="IN_PROGRESS")
    assert condition(live, "ResourcesReady")["reason"] == "ResourceDeleting"
    await lab.absent_cm("s-more")
    await lab.let_go(CONFIGMAPS, "s-base")
    await lab.settled("Stall", "s")
    assert uid(await lab.until_cm("s-base")) != uid(before)
    assert await lab.cm("s-more")


async def test_f_16_terminating_orphan(lab: Lab) -> None:
    """The instance waits for what it pruned, by an event."""
    await lab.define(STALL)
    await lab.create("Stall", "s", {"more": True})
    await lab.settled("Stall", "s")
    await lab.hold(CONFIGMAPS, "s-more")
    await lab.edit("Stall", "s", more=False)
    live = await lab.says("Stall", "s", "cluster mutated", "s-more")
    assert group_kinds(live) == "ConfigMap"
    await lab.let_go(CONFIGMAPS, "s-more")
    await lab.gone_cm("s-more")
    await lab.settled("Stall", "s")


async def test_f_16_terminating_orphan_of_another_kind(lab: Lab) -> None:
    """The inventory keeps its kind as long as it is there, and a deletion waits for it."""
    await lab.define("""
schema: {kind: Both, spec: {more: "boolean | default=true"}}
resources:
- id: base
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}}
- id: more
  includeWhen: ["${schema.spec.more}"]
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}"}}
""")
    for name in ("b", "c"):
        await lab.create("Both", name)
        await lab.settled("Both", name)
        await lab.hold(SECRETS, name)
        await lab.edit("Both", name, more=False)
        live = await lab.says("Both", name, "cluster mutated", f"Secret {lab.namespace}/{name}")
        assert group_kinds(live) == "ConfigMap,Secret"
    await lab.let_go(SECRETS, "b")
    assert group_kinds(await lab.settled("Both", "b")) == "ConfigMap"
    await lab.delete("Both", "c")
    live = await lab.until("Both", "c", lambda obj: state(obj) == "DELETING")
    assert names.FINALIZER in live["metadata"]["finalizers"]
    await lab.let_go(SECRETS, "c")
    await lab.gone("Both", "c")


async def test_f_17_kind_that_goes_and_comes_back(lab: Lab) -> None:
    """Every instance says what is missing, and heals when it is back."""
    group = lab.namespace.replace("-", "") + ".example.com"
    crd: Any = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gears.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": "Gear",
                "listKind": "GearList",
                "plural": "gears",
                "singular": "gear",
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {"type": "object", "properties": {"n": {"type": "string"}}}
                            },
                        }
                    },
                }
            ],
        },
    }
    from support.lab import is_established

    await lab.kube.apply(crd, gvr=CRDS)
    await lab.kube.until(CRDS, f"gears.{group}", is_established)
    await lab.define(f"""
schema: {{kind: Machine, spec: {{n: string}}}}
resources:
- id: gear
  template: {{apiVersion: {group}/v1, kind: Gear, metadata: {{name: "${{schema.metadata.name}}"}}, spec: {{n: "${{schema.spec.n}}"}}}}
""")
    await lab.create("Machine", "m", {"n": "1"})
    await lab.settled("Machine", "m")
    await lab.kube.delete(CRDS, f"gears.{group}")
    await lab.kube.until_gone(CRDS, f"gears.{group}")
    await lab.edit("Machine", "m", n="2")
    await lab.says("Machine", "m", "Gear")
    await lab.kube.apply(crd, gvr=CRDS)
    gears = GVR(group, "v1", "gears")
    found = await lab.kube.until(gears, "m", bool, lab.namespace)
    assert found["spec"] == {"n": "2"}
    await lab.settled("Machine", "m")


async def test_f_18_both_scopes(lab: Lab) -> None:
    """Cluster-scoped members count by their kind alone."""
    classes = GVR("scheduling.k8s.io", "v1", "priorityclasses")
    await lab.define(f"""
schema: {{kind: Mixed, spec: {{}}}}
resources:
- id: cm
  template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: "${{schema.metadata.name}}"}}}}
- id: pc
  template: {{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {{name: "{lab.namespace}"}}, value: 7}}
""")
    await lab.create("Mixed", "m")
    live = await lab.settled("Mixed", "m")
    assert group_kinds(live) == "ConfigMap,PriorityClass.scheduling.k8s.io"
    assert namespaces(live) == ""
    await lab.delete("Mixed", "m")
    await lab.gone("Mixed", "m")
    assert await lab.cm("m") is None
    assert await lab.kube.get(classes, lab.namespace) is None


@pytest.mark.parametrize(
    "label", [names.APPLYSET_PART_OF, names.OWNED, names.INSTANCE_ID, names.INSTANCE_NAME]
)
async def test_f_19_stripped_label(lab: Lab, label: str) -> None:
    """A label of ours that somebody removes comes back."""
    await lab.define(CLAIM)
    await lab.create("Claim", "one", {"target": "t", "who": "one"})
    await lab.settled("Claim", "one")
    patch = {"metadata": {"labels": {label: None}}}
    await lab.kube.merge(CONFIGMAPS, "t", patch, lab.namespace)
    await lab.until_cm("t", lambda cm: label in labels_of(cm))


async def test_f_20_broken_list_annotation(lab: Lab) -> None:
    """An inventory that cannot be read stops every write until it can."""
    await lab.define(CLAIM)
    await lab.create("Claim", "one", {"target": "t", "who": "one"})
    live = await lab.settled("Claim", "one")
    good = group_kinds(live)
    await annotate(lab, "one", names.APPLYSET_GROUP_KINDS, "A,,B")
    await lab.edit("Claim", "one", who="two")
    await lab.says("Claim", "one", "project failed", names.APPLYSET_GROUP_KINDS)
    assert (await lab.until_cm("t"))["data"] == {"who": "one"}
    await annotate(lab, "one", names.APPLYSET_GROUP_KINDS, good)
    await lab.settled("Claim", "one")
    assert (await lab.until_cm("t"))["data"] == {"who": "two"}


async def annotate(lab: Lab, name: str, key: str, value: str | None) -> None:
    """Set an annotation of a claim by hand."""
    patch = {"metadata": {"annotations": {key: value}}}
    await lab.kube.merge(lab.gvr("Claim"), name, patch, lab.namespace)


async def test_f_secret_is_found_by_name(lab: Lab) -> None:
    """Objects of others with the same name in another kind or namespace are not ours."""
    await lab.define(CLAIM)
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "t", "namespace": lab.namespace},
    }
    await lab.kube.client.apply(
        SECRETS, NamespacedName(lab.namespace, "t"), manifest, field_manager="alice"
    )
    await lab.create("Claim", "one", {"target": "t", "who": "one"})
    await lab.settled("Claim", "one")
    await lab.delete("Claim", "one")
    await lab.gone("Claim", "one")
    assert await lab.kube.get(SECRETS, "t", lab.namespace)
    assert await lab.kube.get(WIDGETS, "t", lab.namespace) is None
