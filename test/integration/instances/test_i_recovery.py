# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios I: recovery and change.

Source: spec instance-runtime.md §10.I.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from kro import names
from support.kube import CONFIGMAPS, CRDS, DEFINITIONS, SECRETS, Json, condition
from support.lab import (
    WIDGETS,
    Lab,
    annotations_of,
    group_kinds,
    is_established,
    is_settled,
    labels_of,
    namespaces,
    state,
    uid,
)

MEMO = """
schema: {kind: Memo, spec: {text: "string | default=x"}, status: {written: "${note.data.text}"}}
resources:
- id: note
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-note"}, data: {text: "${schema.spec.text}"}}
"""
MORE = MEMO.replace("data: {text", 'data: {extra: "1", text')


def is_inactive(definition: Json) -> bool:
    """Whether a definition was judged in its present form, and refused."""
    return bool(
        definition.get("status", {}).get("state") == "Inactive"
        and condition(definition, "Ready").get("observedGeneration")
        == definition["metadata"]["generation"]
    )


async def test_i_01_invalid_edits_of_a_definition(lab: Lab) -> None:
    """Instances go on with the last good graph until the definition is repaired."""
    name = await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    await lab.define(MEMO.replace("schema.spec.text", "schema.spec.nope"), active=False)
    await lab.kube.until(DEFINITIONS, name, is_inactive)
    await lab.edit("Memo", "m1", text="y")
    await lab.until_cm("m1-note", lambda cm: cm["data"]["text"] == "y")
    await lab.settled("Memo", "m1")
    await lab.edit_cm("m1-note", text="drift")
    await lab.until_cm("m1-note", lambda cm: cm["data"]["text"] == "y")
    await lab.define(MORE)
    await lab.until_cm("m1-note", lambda cm: cm["data"].get("extra") == "1")


async def test_i_refused_crd_change(lab: Lab) -> None:
    """The latest graph that compiles serves, also where the schema of the kind could not follow."""
    text = """
schema: {{kind: Shape, spec: {{v: string{more}}}}}
resources:
- id: cm
  template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: "${{schema.metadata.name}}"}}, data: {{v: "{data}"}}}}
"""
    name = await lab.define(text.format(more=", gone: string", data="${schema.spec.v}"))
    await lab.create("Shape", "s", {"v": "1", "gone": "x"})
    await lab.settled("Shape", "s")
    await lab.define(text.format(more="", data="new ${schema.spec.v}"), active=False)
    await lab.kube.until(
        DEFINITIONS, name, lambda obj: "breaking" in condition(obj, "KindReady")["message"]
    )
    await lab.edit("Shape", "s", v="2")
    live = await lab.settled("Shape", "s")
    assert live["spec"] == {"v": "2", "gone": "x"}
    assert (await lab.until_cm("s"))["data"] == {"v": "new 2"}


async def test_i_02_definition_edits_reach_all_instances(lab: Lab) -> None:
    """Without anybody touching an instance."""
    await lab.define(MEMO)
    for at in range(3):
        await lab.create("Memo", f"m{at}")
        await lab.settled("Memo", f"m{at}")
    await lab.define(MORE)
    for at in range(3):
        await lab.until_cm(f"m{at}-note", lambda cm: cm["data"].get("extra") == "1")
        live = await lab.settled("Memo", f"m{at}")
        assert {c["observedGeneration"] for c in live["status"]["conditions"]} == {1}


async def test_i_03_nodes_come_and_go(lab: Lab) -> None:
    """Nodes removed from the definition are pruned, nodes added are created."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    await lab.define(
        MEMO.replace("id: note", "id: other")
        .replace("-note", "-other")
        .replace("note.data", "other.data")
    )
    await lab.until_cm("m1-other")
    await lab.gone_cm("m1-note")
    await lab.settled("Memo", "m1")


async def test_i_04_node_changes_its_kind(lab: Lab) -> None:
    """The new object is there, the old one goes, the inventory follows."""
    text = MEMO.replace(', status: {written: "${note.data.text}"}', "")
    await lab.define(text)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    secret = text.replace("kind: ConfigMap", "kind: Secret").replace(", data:", ", stringData:")
    await lab.define(secret)
    await lab.kube.until(SECRETS, "m1-note", bool, lab.namespace)
    await lab.gone_cm("m1-note")
    live = await lab.until("Memo", "m1", lambda obj: group_kinds(obj) == "Secret")
    assert namespaces(live) == ""


async def test_i_05_many_revisions(lab: Lab) -> None:
    """More edits than revisions are kept, and every one arrives."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    before = uid(await lab.until_cm("m1-note"))
    for at in range(8):
        await lab.define(MEMO.replace("data: {text", f'data: {{extra: "{at}", text'))
        found = await lab.until_cm("m1-note", partial(_has_extra, str(at)))
        assert uid(found) == before


def _has_extra(text: str, cm: Json) -> bool:
    return bool(cm["data"].get("extra") == text)


async def test_i_08_spec_edit_during_a_rollout(lab: Lab) -> None:
    """The old objects stay until the new ones are known."""
    await lab.define("""
schema: {kind: Gate, spec: {name: string}}
resources:
- id: door
  readyWhen: ["${door.status.phase == 'open'}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.spec.name}-door"}, spec: {size: 1}}
- id: room
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.spec.name}-room"}, data: {door: "${door.metadata.name}"}}
""")
    await lab.create("Gate", "g", {"name": "g"})
    await lab.says("Gate", "g", "readyWhen")
    await lab.edit("Gate", "g", name="h")
    await lab.kube.until(WIDGETS, "h-door", bool, lab.namespace)
    await lab.says("Gate", "g", "h-door")
    assert await lab.kube.get(WIDGETS, "g-door", lab.namespace)
    await lab.widget("h-door", phase="open")
    await lab.until_cm("h-room")
    await lab.kube.until_gone(WIDGETS, "g-door", lab.namespace)
    await lab.settled("Gate", "g")


async def test_i_09_conflicting_definition(lab: Lab) -> None:
    """A second definition of a kind stays inactive, and its end changes nothing."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    second = await lab.define(MORE, name=f"second-{lab.namespace}", active=False)
    await lab.kube.until(DEFINITIONS, second, is_inactive)
    await lab.kube.delete(DEFINITIONS, second)
    await lab.kube.until_gone(DEFINITIONS, second)
    await lab.edit("Memo", "m1", text="y")
    found = await lab.until_cm("m1-note", lambda cm: cm["data"]["text"] == "y")
    assert "extra" not in found["data"]


async def test_i_10_crd_tampering(lab: Lab) -> None:
    """A changed or deleted CRD comes back; instances that went with it are gone with their children."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    gvr = lab.gvr("Memo")
    crd = f"{gvr.resource}.{gvr.group}"
    before = await lab.kube.get(CRDS, crd)
    assert before is not None
    versions = copy.deepcopy(before["spec"]["versions"])
    versions[0]["additionalPrinterColumns"] = []
    tampered = await lab.kube.merge(CRDS, crd, {"spec": {"versions": versions}})
    assert tampered["spec"]["versions"] != before["spec"]["versions"]
    await lab.kube.until(
        CRDS, crd, lambda obj: obj["spec"]["versions"] == before["spec"]["versions"]
    )
    await lab.kube.delete(CRDS, crd)
    await lab.gone_cm("m1-note")
    await lab.kube.until(CRDS, crd, lambda obj: uid(obj) != uid(before) and is_established(obj))
    await lab.create("Memo", "m2")
    await lab.settled("Memo", "m2")


POLICY = """
schema: {kind: Policy, scope: Cluster, spec: {ns: string, envs: "[]string"}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-p", namespace: "${schema.spec.ns}"}}
- id: envs
  forEach: [{e: "${schema.spec.envs}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${e}", namespace: "${schema.spec.ns}"}}
- id: ext
  externalRef: {apiVersion: v1, kind: ConfigMap, metadata: {name: ext, namespace: "${schema.spec.ns}"}}
- id: peers
  externalRef: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: "${schema.spec.ns}", selector: {matchLabels: {role: peer}}}}
"""


async def test_i_11_cluster_scoped_instances(lab: Lab) -> None:
    """Every namespace of theirs is an additional one; deletion finds all."""
    await lab.define(POLICY)
    await lab.put_cm("ext", {}, labels={"role": "peer"})
    await lab.create("Policy", "p", {"ns": lab.namespace, "envs": ["dev", "prod"]}, namespace=None)
    live = await lab.settled("Policy", "p", "")
    assert "namespace" not in live["metadata"]
    assert namespaces(live) == lab.namespace
    found = await lab.cms()
    assert sorted(found) == ["p-dev", "p-p", "p-prod"]
    assert all(names.INSTANCE_NAMESPACE not in labels_of(cm) for cm in found.values())
    await lab.edit_cm("p-dev", x="y")
    await lab.kube.delete(CONFIGMAPS, "p-prod", lab.namespace)
    await lab.until_cm("p-prod")
    await lab.kube.delete(lab.gvr("Policy"), "p")
    await lab.kube.until_gone(lab.gvr("Policy"), "p")
    assert await lab.cms() == {}
    assert await lab.cm("ext")


async def test_i_12_cluster_scoped_instance_without_a_namespace(lab: Lab) -> None:
    """A namespaced child of it has to say where."""
    await lab.define(POLICY)
    await lab.create("Policy", "p", {"ns": "", "envs": []}, namespace=None)
    live = await lab.until("Policy", "p", lambda obj: state(obj) == "ERROR", "")
    assert "metadata.namespace" in condition(live, "Ready")["message"]
    await lab.kube.delete(lab.gvr("Policy"), "p")
    await lab.kube.until_gone(lab.gvr("Policy"), "p")


async def test_i_14_poisoned_instance_harms_nobody(lab: Lab) -> None:
    """Others of its kind react as fast as ever."""
    await lab.define("""
schema: {kind: Poison, spec: {n: integer}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {q: "${string(10 / schema.spec.n)}"}}
""")
    await lab.create("Poison", "bad", {"n": 0})
    await lab.says("Poison", "bad", "division by zero", state="ERROR")
    await lab.create("Poison", "good", {"n": 5})
    await lab.settled("Poison", "good")
    await lab.edit_cm("good", q="x")
    await lab.until_cm("good", lambda cm: cm["data"]["q"] == "2")


async def test_i_15_finalizer_removed_by_hand(lab: Lab) -> None:
    """It comes back with the next pass; on a terminating instance the children stay."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    patch = {"metadata": {"finalizers": None, "labels": {names.OWNED: None}}}
    await lab.kube.merge(lab.gvr("Memo"), "m1", patch, lab.namespace)
    await lab.edit("Memo", "m1", text="y")
    live = await lab.until(
        "Memo", "m1", lambda obj: names.FINALIZER in obj["metadata"].get("finalizers", [])
    )
    live = await lab.until("Memo", "m1", lambda obj: names.OWNED in labels_of(obj))
    await lab.settled("Memo", "m1")
    await lab.hold(CONFIGMAPS, "m1-note")
    await lab.delete("Memo", "m1")
    await lab.until("Memo", "m1", lambda obj: state(obj) == "DELETING")
    await lab.kube.merge(lab.gvr("Memo"), "m1", {"metadata": {"finalizers": None}}, lab.namespace)
    await lab.gone("Memo", "m1")
    left = await lab.until_cm("m1-note")
    await lab.let_go(CONFIGMAPS, "m1-note")
    assert labels_of(left)[names.APPLYSET_PART_OF] == labels_of(live)[names.APPLYSET_ID]


async def test_i_changed_set_of_annotations_is_repaired(lab: Lab) -> None:
    """An over-wide inventory shrinks to what is there with the next pass."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1")
    await lab.settled("Memo", "m1")
    wide: dict[str, Any] = {"annotations": {names.APPLYSET_GROUP_KINDS: "ConfigMap,Secret"}}
    await lab.kube.merge(lab.gvr("Memo"), "m1", {"metadata": wide}, lab.namespace)
    await lab.edit("Memo", "m1", text="y")
    live = await lab.until(
        "Memo", "m1", lambda obj: is_settled(obj) and group_kinds(obj) == "ConfigMap"
    )
    assert annotations_of(live)[names.APPLYSET_INVENTORY_HASH].startswith("sha256:")
