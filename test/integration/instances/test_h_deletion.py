# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios H: deletion.

Source: spec instance-runtime.md §10.H.
"""

from __future__ import annotations

from typing import Any

import pytest

from kro import names
from kro.refs import GVR, NamespacedName
from support.kube import CONFIGMAPS, CRDS, DEFINITIONS, NAMESPACES, condition
from support.lab import HOLD, Lab, is_established, is_served, labels_of, state, uid

JOBS = GVR("batch", "v1", "jobs")

CHAIN = """
schema: {kind: Chain, spec: {}, status: {last: "${c.data.v}"}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-a"}, data: {v: x}}
- id: b
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-b"}, data: {v: "${a.data.v}"}}
- id: c
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-c"}, data: {v: "${b.data.v}"}}
"""
MEMO = """
schema: {kind: Memo, spec: {text: "string | default=x"}}
resources:
- id: note
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-note"}, data: {text: "${schema.spec.text}"}}
"""


async def held_chain(lab: Lab, *held: str) -> Any:
    """Serve Chain, settle the instance x, hold some children, and ask for its deletion."""
    await lab.define(CHAIN)
    await lab.create("Chain", "x")
    live = await lab.settled("Chain", "x")
    for name in held:
        await lab.hold(CONFIGMAPS, name)
    await lab.delete("Chain", "x")
    return live


def terminating(obj: Any) -> bool:
    """Whether an object is being deleted."""
    return obj is not None and "deletionTimestamp" in obj["metadata"]


async def test_h_01_reverse_order(lab: Lab) -> None:
    """A wave waits until every object of the one before is gone."""
    await held_chain(lab, "x-c", "x-b")
    await lab.until_cm("x-c", terminating)

    async def others_stay() -> bool:
        return not terminating(await lab.cm("x-a")) and not terminating(await lab.cm("x-b"))

    await lab.stays(others_stay)
    assert state(await lab.get("Chain", "x")) == "DELETING"
    await lab.let_go(CONFIGMAPS, "x-c")
    await lab.until_cm("x-b", terminating)
    assert not terminating(await lab.cm("x-a"))
    await lab.let_go(CONFIGMAPS, "x-b")
    await lab.gone("Chain", "x")
    assert await lab.cms() == {}


async def test_h_02_conditions_while_deleting(lab: Lab) -> None:
    """The deletion is told; what was true and projected before still is."""
    before = await held_chain(lab, "x-c")
    live = await lab.until("Chain", "x", lambda obj: state(obj) == "DELETING")
    for name in ("ResourcesReady", "Ready"):
        found = condition(live, name)
        assert (found["status"], found["reason"], found["message"]) == (
            "Unknown",
            "UnderDeletion",
            "deleting resources",
        )
    for name in ("InstanceManaged", "GraphResolved"):
        assert condition(live, name)["status"] == "True"
    generations = {c["observedGeneration"] for c in live["status"]["conditions"]}
    assert generations == {live["metadata"]["generation"]}
    assert live["status"]["last"] == before["status"]["last"] == "x"
    await lab.let_go(CONFIGMAPS, "x-c")
    await lab.gone("Chain", "x")


async def test_h_03_immediate_deletion(lab: Lab) -> None:
    """Deleted right after its creation, it goes and leaves nothing."""
    await lab.define(CHAIN)
    for at in range(5):
        await lab.create("Chain", f"x{at}")
        await lab.delete("Chain", f"x{at}")
    for at in range(5):
        await lab.gone("Chain", f"x{at}")
    assert await lab.cms() == {}


async def test_h_04_suspended_instances_can_be_deleted(lab: Lab) -> None:
    """Suspension does not hold a deletion up."""
    await lab.define(CHAIN)
    await lab.create("Chain", "x")
    await lab.settled("Chain", "x")
    await lab.suspend("Chain", "x")
    await lab.says("Chain", "x", "suspended")
    await lab.delete("Chain", "x")
    await lab.gone("Chain", "x")
    assert await lab.cms() == {}


@pytest.mark.parametrize("n", [None, 0], ids=["pending", "broken"])
async def test_h_05_unresolvable_templates(lab: Lab, n: int | None) -> None:
    """What was created goes, whatever the templates need."""
    await lab.define("""
schema: {kind: Broken, spec: {n: integer}}
resources:
- id: good
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-good"}, data: {a: "1"}}
- id: bad
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-bad"}, data: {q: "${string(10 / schema.spec.n)}"}}
""")
    await lab.create("Broken", "b", {"n": 5})
    await lab.settled("Broken", "b")
    await lab.edit("Broken", "b", n=n)
    await lab.says("Broken", "b", "resource reconciliation failed")
    await lab.delete("Broken", "b")
    await lab.gone("Broken", "b")
    assert await lab.cms() == {}


async def test_h_06_unpruned_orphans(lab: Lab) -> None:
    """An orphan that could not be pruned goes with the instance."""
    await lab.define("""
schema: {kind: Orphan, spec: {opt: boolean}}
resources:
- id: vpc
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
- id: sub
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-sub"}, data: {v: "${vpc.status.handle}"}}
- id: opt
  includeWhen: ["${schema.spec.opt}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-opt"}}
""")
    await lab.create("Orphan", "o", {"opt": True})
    await lab.until_cm("o-opt")
    await lab.edit("Orphan", "o", opt=False)
    await lab.says("Orphan", "o", "data pending")
    assert await lab.cm("o-opt")
    await lab.delete("Orphan", "o")
    await lab.gone("Orphan", "o")
    assert await lab.cms() == {}


READER = """
schema: {kind: Reader, spec: {}}
resources:
- id: src
  externalRef: {apiVersion: v1, kind: ConfigMap, metadata: {name: ext}}
- id: copy
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-copy"}, data: {value: "${src.data.value}"}}
"""


async def test_h_07_external_root(lab: Lab) -> None:
    """The finalizer goes after the last child, the external stays."""
    await lab.define(READER)
    await lab.put_cm("ext", {"value": "1"})
    await lab.create("Reader", "r")
    await lab.settled("Reader", "r")
    await lab.hold(CONFIGMAPS, "r-copy")
    await lab.delete("Reader", "r")
    live = await lab.until("Reader", "r", lambda obj: state(obj) == "DELETING")
    assert names.FINALIZER in live["metadata"]["finalizers"]
    await lab.let_go(CONFIGMAPS, "r-copy")
    await lab.gone("Reader", "r")
    assert await lab.cm("ext")


async def test_h_08_nested_graphs_cascade(lab: Lab) -> None:
    """Each level goes after the one below it."""
    await lab.define("""
schema: {kind: Inner, spec: {}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-cm"}, data: {v: "1"}}
""")
    for outer, inner in (("Middle", "Inner"), ("Outer", "Middle")):
        await lab.define(f"""
schema: {{kind: {outer}, spec: {{}}}}
resources:
- id: inner
  readyWhen: ["${{inner.status.state == 'ACTIVE'}}"]
  template: {{apiVersion: {lab.group}/v1alpha1, kind: {inner}, metadata: {{name: "${{schema.metadata.name}}"}}, spec: {{}}}}
""")
    await lab.create("Outer", "o")
    await lab.settled("Outer", "o")
    await lab.settled("Inner", "o")
    await lab.until_cm("o-cm")
    await lab.delete("Outer", "o")
    await lab.gone("Outer", "o")
    await lab.gone("Middle", "o")
    await lab.gone("Inner", "o")
    assert await lab.cms() == {}


async def test_h_09_definition_as_child(lab: Lab) -> None:
    """An inner kind is served while the outer instance exists."""
    name = f"inner-{lab.namespace}"
    await lab.define(f"""
schema: {{kind: Maker, spec: {{}}}}
resources:
- id: rgd
  readyWhen: ["${{rgd.status.state == 'Active'}}"]
  template:
    apiVersion: kro.run/v1alpha1
    kind: ResourceGraphDefinition
    metadata: {{name: {name}}}
    spec:
      schema: {{apiVersion: v1alpha1, kind: Made, group: {lab.group}, spec: {{n: integer}}}}
      resources:
      - id: cm
        template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: made}}}}
""")
    await lab.create("Maker", "m")
    await lab.settled("Maker", "m")
    await lab.kube.until(DEFINITIONS, name, is_served)
    await lab.delete("Maker", "m")
    await lab.gone("Maker", "m")
    assert await lab.kube.get(DEFINITIONS, name) is None


@pytest.mark.parametrize(
    ("patch", "fragment", "repair"),
    [
        pytest.param(
            {"labels": {names.APPLYSET_ID: "x"}}, names.APPLYSET_ID, "labels", id="another id"
        ),
        pytest.param(
            {"annotations": {names.APPLYSET_TOOLING: None}},
            names.APPLYSET_TOOLING,
            "annotations",
            id="no tooling",
        ),
        pytest.param(
            {"annotations": {names.APPLYSET_GROUP_KINDS: "Secret"}},
            names.APPLYSET_INVENTORY_HASH,
            "annotations",
            id="other kinds",
        ),
    ],
)
async def test_h_10_tampered_inventory(lab: Lab, patch: Any, fragment: str, repair: str) -> None:
    """An inventory that is not what kro wrote blocks the deletion until it is repaired."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    live = await lab.settled("Memo", "m1")
    await lab.kube.merge(lab.gvr("Memo"), "m1", {"metadata": patch}, lab.namespace)
    await lab.delete("Memo", "m1")
    await lab.says("Memo", "m1", "deletion blocked", fragment, state="DELETING")
    assert await lab.cm("m1-note")
    good = {"metadata": {repair: live["metadata"][repair]}}
    await lab.kube.merge(lab.gvr("Memo"), "m1", good, lab.namespace)
    await lab.gone("Memo", "m1")
    assert await lab.cm("m1-note") is None


async def test_h_11_inventory_of_an_older_version(lab: Lab) -> None:
    """A missing hash blocks nothing."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    patch = {"metadata": {"annotations": {names.APPLYSET_INVENTORY_HASH: None}}}
    await lab.kube.merge(lab.gvr("Memo"), "m1", patch, lab.namespace)
    await lab.delete("Memo", "m1")
    await lab.gone("Memo", "m1")


async def test_h_13_child_kind_uninstalled(lab: Lab) -> None:
    """Objects of a kind that is gone are gone."""
    group = lab.namespace.replace("-", "") + ".example.com"
    await lab.kube.apply(simple_crd(group), gvr=CRDS)
    await lab.kube.until(CRDS, f"gears.{group}", is_established)
    await lab.define(f"""
schema: {{kind: Machine, spec: {{}}}}
resources:
- id: gear
  template: {{apiVersion: {group}/v1, kind: Gear, metadata: {{name: "${{schema.metadata.name}}"}}}}
""")
    await lab.create("Machine", "m")
    await lab.settled("Machine", "m")
    await lab.kube.delete(CRDS, f"gears.{group}")
    await lab.kube.until_gone(CRDS, f"gears.{group}")
    await lab.delete("Machine", "m")
    await lab.gone("Machine", "m")


def simple_crd(group: str) -> Any:
    """Return a CRD of a kind Gear without a schema to speak of."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
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
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


async def test_h_14_only_members_are_deleted(lab: Lab) -> None:
    """What a user puts in the place of a child meanwhile is the user's."""
    await held_chain(lab, "x-c")
    await lab.until_cm("x-c", terminating)
    await lab.kube.delete(CONFIGMAPS, "x-a", lab.namespace)
    await lab.gone_cm("x-a")
    mine = await lab.put_cm("x-a", {"mine": "1"})
    await lab.let_go(CONFIGMAPS, "x-c")
    await lab.gone("Chain", "x")
    assert await lab.cm("x-b") is None
    assert uid(await lab.until_cm("x-a")) == uid(mine)


async def test_h_15_definition_deleted_first(lab: Lab) -> None:
    """Instances without a definition can still be deleted."""
    name = await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    await lab.kube.delete(DEFINITIONS, name)
    await lab.kube.until_gone(DEFINITIONS, name)
    assert await lab.cm("m1-note")
    await lab.delete("Memo", "m1")
    await lab.gone("Memo", "m1")
    assert await lab.cm("m1-note") is None


async def test_h_16_definition_deleted_and_recreated(lab: Lab) -> None:
    """Instances are taken over without a child being re-created."""
    name = await lab.define(MEMO)
    await lab.create("Memo", "m1")
    live = await lab.settled("Memo", "m1")
    before = await lab.until_cm("m1-note")
    await lab.kube.delete(DEFINITIONS, name)
    await lab.kube.until_gone(DEFINITIONS, name)
    await lab.define(MEMO, name=name)
    old = labels_of(live)[names.DEFINITION_ID]
    await lab.until("Memo", "m1", lambda obj: labels_of(obj)[names.DEFINITION_ID] != old)
    assert uid(await lab.until_cm("m1-note")) == uid(before)
    await lab.edit("Memo", "m1", text="again")
    await lab.until_cm("m1-note", lambda cm: cm["data"]["text"] == "again")


async def test_h_18_recreation_under_the_same_name(lab: Lab) -> None:
    """A new instance is another one with the same set."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    old = await lab.settled("Memo", "m1")
    await lab.delete("Memo", "m1")
    await lab.gone("Memo", "m1")
    await lab.create("Memo", "m1")
    new = await lab.settled("Memo", "m1")
    note = await lab.until_cm("m1-note")
    assert uid(new) != uid(old)
    assert labels_of(note)[names.INSTANCE_ID] == uid(new)
    assert labels_of(new)[names.APPLYSET_ID] == labels_of(old)[names.APPLYSET_ID]


async def test_h_19_deletion_while_waiting_for_an_external(lab: Lab) -> None:
    """It goes at once."""
    await lab.define(READER)
    await lab.create("Reader", "r")
    await lab.says("Reader", "r", "not found")
    await lab.delete("Reader", "r")
    await lab.gone("Reader", "r")


async def test_h_instance_that_creates_its_namespace(lab: Lab) -> None:
    """A namespace of its own, and what is in it, come and go in order."""
    place = f"{lab.namespace}-own"
    await lab.define(f"""
schema: {{kind: Tenant, spec: {{}}}}
resources:
- id: space
  template: {{apiVersion: v1, kind: Namespace, metadata: {{name: {place}}}}}
- id: cm
  template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: inside, namespace: "${{space.metadata.name}}"}}}}
""")
    await lab.create("Tenant", "t")
    await lab.settled("Tenant", "t")
    assert await lab.cm("inside", place)
    await lab.delete("Tenant", "t")
    await lab.gone_cm("inside", place)
    found = await lab.kube.until(NAMESPACES, place, terminating)
    assert found["status"]["phase"] == "Terminating"
    # No namespace controller runs here: finish what it would do.
    body = {**found, "spec": {"finalizers": []}}
    await lab.kube.client.update(
        NAMESPACES, NamespacedName("", place), body, subresource="finalize"
    )
    await lab.gone("Tenant", "t")


async def test_h_hold_is_a_finalizer_of_others(lab: Lab) -> None:
    """A drifted finalizer of others on a child is never touched."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    await lab.hold(CONFIGMAPS, "m1-note")
    await lab.edit("Memo", "m1", text="y")
    found = await lab.until_cm("m1-note", lambda cm: cm["data"]["text"] == "y")
    assert found["metadata"]["finalizers"] == [HOLD]
    await lab.let_go(CONFIGMAPS, "m1-note")


async def test_h_kind_decides_the_propagation(lab: Lab) -> None:
    """A Job is deleted as by default: its Pods stay, which the API server notes on it."""
    await lab.define("""
schema: {kind: Batch, spec: {}}
resources:
- id: job
  template:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: "${schema.metadata.name}"}
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: c, image: registry.k8s.io/pause:3.9}]}
""")
    await lab.create("Batch", "b")
    await lab.settled("Batch", "b")
    await lab.delete("Batch", "b")
    found = await lab.kube.until(JOBS, "b", terminating, lab.namespace)
    assert found["metadata"]["finalizers"] == ["orphan"]
    # No garbage collector runs here: finish what it would do.
    await lab.kube.merge(JOBS, "b", {"metadata": {"finalizers": None}}, lab.namespace)
    await lab.gone("Batch", "b")
