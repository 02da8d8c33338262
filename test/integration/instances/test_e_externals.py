# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios E: external references.

Source: spec instance-runtime.md §10.E.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from kro import names
from support.kube import CONFIGMAPS, CRDS
from support.lab import Lab, annotations_of, labels_of, message, state, version

READER = """
schema:
  kind: Reader
  spec: {from: string}
  status: {seen: "${src.data.value}"}
resources:
- id: src
  externalRef:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.spec.from}"}
- id: copy
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-copy"}, data: {value: "${src.data.value}"}}
"""


async def reader(lab: Lab) -> Any:
    """Serve Reader and return a settled instance that reads `ext`."""
    await lab.define(READER)
    await lab.put_cm("ext", {"value": "one"})
    await lab.create("Reader", "r", {"from": "ext"})
    return await lab.settled("Reader", "r")


async def test_e_01_waiting_for_it_to_appear(lab: Lab) -> None:
    """The instance waits, says for what, and goes on when it comes; the object is not touched."""
    await lab.define(READER)
    await lab.create("Reader", "r", {"from": "ext"})
    live = await lab.says(
        "Reader", "r", 'waiting for external reference "src": not found', state="IN_PROGRESS"
    )
    assert names.FINALIZER in live["metadata"]["finalizers"]
    assert labels_of(live)[names.OWNED] == "true"
    assert await lab.cm("r-copy") is None
    await lab.put_cm("ext", {"value": "one"})
    await lab.until_cm("r-copy", lambda cm: cm["data"]["value"] == "one")
    assert (await lab.settled("Reader", "r"))["status"]["seen"] == "one"
    ext = await lab.until_cm("ext")
    assert not labels_of(ext)
    assert not annotations_of(ext)
    assert [entry["manager"] for entry in ext["metadata"]["managedFields"]] == ["test"]


async def test_e_02_changes_propagate(lab: Lab) -> None:
    """Into templates and into the status."""
    await reader(lab)
    await lab.put_cm("ext", {"value": "two"})
    await lab.until_cm("r-copy", lambda cm: cm["data"]["value"] == "two")
    await lab.until("Reader", "r", lambda obj: obj.get("status", {}).get("seen") == "two")


async def test_e_03_it_disappears(lab: Lab) -> None:
    """What was made of it stays as it was, and nothing is pretended."""
    await reader(lab)
    await lab.kube.delete(CONFIGMAPS, "ext", lab.namespace)
    live = await lab.says("Reader", "r", "not found", state="IN_PROGRESS")
    assert "seen" not in live["status"]
    assert (await lab.until_cm("r-copy"))["data"] == {"value": "one"}
    await lab.put_cm("ext", {"value": "back"})
    await lab.until_cm("r-copy", lambda cm: cm["data"]["value"] == "back")
    await lab.settled("Reader", "r")


async def test_e_04_deletion_leaves_it(lab: Lab) -> None:
    """Our copy goes, the object of others stays."""
    await reader(lab)
    assert annotations_of(await lab.until_cm("r-copy"))[names.APPLY_ORDER] == "2"
    await lab.delete("Reader", "r")
    await lab.gone("Reader", "r")
    assert await lab.cm("r-copy") is None
    assert await lab.cm("ext")


async def test_e_05_another_namespace(lab: Lab) -> None:
    """It is read where the reference says."""
    b = await lab.other_namespace("b")
    await lab.define("""
schema: {kind: Far, spec: {ns: string}, status: {seen: "${src.data.value}"}}
resources:
- id: src
  externalRef: {apiVersion: v1, kind: ConfigMap, metadata: {name: ext, namespace: "${schema.spec.ns}"}}
""")
    await lab.put_cm("ext", {"value": "far"}, b)
    await lab.create("Far", "f", {"ns": b})
    assert (await lab.settled("Far", "f"))["status"]["seen"] == "far"


async def test_e_05_cluster_scope(lab: Lab) -> None:
    """A cluster-scoped kind has no namespace; its annotations can be projected."""
    await lab.define("""
schema: {kind: Note, spec: {plural: string, group: string}, status: {note: "${crd.metadata.annotations['lab.example.com/note']}"}}
resources:
- id: crd
  externalRef: {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: "${schema.spec.plural + '.' + schema.spec.group}"}}
""")
    name = lab.gvr("Note")
    await lab.create("Note", "n", {"plural": name.resource, "group": name.group})
    await lab.settled("Note", "n")
    for text in ("one", "two"):
        patch = {"metadata": {"annotations": {"lab.example.com/note": text}}}
        await lab.kube.merge(CRDS, f"{name.resource}.{name.group}", patch)
        await lab.until("Note", "n", partial(_notes, text))


def _notes(text: str, obj: Any) -> bool:
    return bool(obj.get("status", {}).get("note") == text)


async def test_e_06_readiness_of_an_external(lab: Lab) -> None:
    """There but not ready is a wait as well."""
    ready = """  readyWhen: ["${src.data.ready == 'true'}"]\n  externalRef:"""
    await lab.define(READER.replace("  externalRef:", ready))
    await lab.put_cm("ext", {"value": "one"})
    await lab.create("Reader", "r", {"from": "ext"})
    await lab.says("Reader", "r", 'waiting for external reference "src": ', state="IN_PROGRESS")
    assert await lab.cm("r-copy") is None
    await lab.edit_cm("ext", ready="true")
    await lab.settled("Reader", "r")
    assert await lab.cm("r-copy")


ROSTER = """
schema: {kind: Roster, spec: {tier: "string | default=gold"}}
resources:
- id: peers
  externalRef:
    apiVersion: v1
    kind: ConfigMap
    metadata:
      NAMESPACE
      selector: SELECTOR
- id: roster
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}-roster"}
    data: {names: "${peers.map(p, p.metadata.name).sortBy(n, n).join(',')}", n: "${string(size(peers))}"}
"""
HERE = "namespace: ${schema.metadata.namespace}"


async def count(lab: Lab, expected: int) -> None:
    """Wait until the roster counts so many peers."""
    await lab.until_cm("x-roster", lambda cm: cm["data"]["n"] == str(expected))


async def test_e_07_selector(lab: Lab) -> None:
    """Objects come and go with their labels; zero are fine, other namespaces do not count."""
    b = await lab.other_namespace("b")
    text = ROSTER.replace("NAMESPACE", HERE).replace("SELECTOR", "{matchLabels: {role: peer}}")
    await lab.define(text)
    await lab.create("Roster", "x")
    await lab.settled("Roster", "x")
    await count(lab, 0)
    await lab.put_cm("p1", {}, labels={"role": "peer"})
    await count(lab, 1)
    await lab.put_cm("p2", {}, b, labels={"role": "peer"})
    patch = {"metadata": {"labels": {"role": None}}}
    await lab.kube.merge(CONFIGMAPS, "p1", patch, lab.namespace)
    await count(lab, 0)
    await lab.settled("Roster", "x")


async def test_e_08_expressions_in_the_selector(lab: Lab) -> None:
    """Another value in the spec selects other objects."""
    selector = '{matchExpressions: [{key: tier, operator: In, values: ["${schema.spec.tier}"]}]}'
    await lab.define(ROSTER.replace("NAMESPACE", HERE).replace("SELECTOR", selector))
    await lab.put_cm("g1", {}, labels={"tier": "gold"})
    await lab.put_cm("s1", {}, labels={"tier": "silver"})
    await lab.create("Roster", "x")
    await lab.until_cm("x-roster", lambda cm: cm["data"]["names"] == "g1")
    await lab.edit("Roster", "x", tier="silver")
    await lab.until_cm("x-roster", lambda cm: cm["data"]["names"] == "s1")


async def test_e_09_absent_namespace_means_all(lab: Lab) -> None:
    """For a selector without a namespace every namespace counts."""
    b = await lab.other_namespace("b")
    mark = lab.namespace
    selector = f"{{matchLabels: {{mark: {mark}}}}}"
    await lab.define(ROSTER.replace("      NAMESPACE\n", "").replace("SELECTOR", selector))
    await lab.put_cm("p1", {}, labels={"mark": mark})
    await lab.put_cm("p2", {}, b, labels={"mark": mark})
    await lab.create("Roster", "x")
    await count(lab, 2)


async def test_e_09_empty_selector_selects_all(lab: Lab) -> None:
    """Everything in the namespace, the roster itself included in time."""
    await lab.define(ROSTER.replace("NAMESPACE", HERE).replace("SELECTOR", "{}"))
    await lab.put_cm("p1", {})
    await lab.create("Roster", "x")
    await lab.until_cm("x-roster", lambda cm: "p1" in cm["data"]["names"].split(","))


async def test_e_10_sorting_by_data(lab: Lab) -> None:
    """The order follows edits of what is sorted by."""
    await lab.define("""
schema: {kind: Ranks, spec: {}, status: {order: "${peers.sortBy(p, p.data.rank).map(p, p.metadata.name)}"}}
resources:
- id: peers
  externalRef: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: "${schema.metadata.namespace}", selector: {matchLabels: {role: peer}}}}
""")
    await lab.put_cm("a", {"rank": "2"}, labels={"role": "peer"})
    await lab.put_cm("b", {"rank": "1"}, labels={"role": "peer"})
    await lab.create("Ranks", "r")
    await lab.until("Ranks", "r", lambda obj: obj.get("status", {}).get("order") == ["b", "a"])
    await lab.edit_cm("b", rank="3")
    await lab.until("Ranks", "r", lambda obj: obj["status"]["order"] == ["a", "b"])


async def test_e_11_one_graph_reads_an_instance_of_another(lab: Lab) -> None:
    """When the reader goes, the one that was read is still reconciled."""
    await lab.define("""
schema: {kind: Maker, spec: {v: string}, status: {value: "${cm.data.v}"}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-made"}, data: {v: "${schema.spec.v}"}}
""")
    await lab.define(f"""
schema: {{kind: Taker, spec: {{}}, status: {{value: "${{maker.status.value}}"}}}}
resources:
- id: maker
  externalRef: {{apiVersion: {lab.group}/v1alpha1, kind: Maker, metadata: {{name: m}}}}
""")
    await lab.create("Taker", "t")
    await lab.create("Maker", "m", {"v": "one"})
    await lab.until("Taker", "t", lambda obj: obj.get("status", {}).get("value") == "one")
    await lab.delete("Taker", "t")
    await lab.gone("Taker", "t")
    await lab.edit("Maker", "m", v="two")
    await lab.until_cm("m-made", lambda cm: cm["data"]["v"] == "two")


async def test_e_12_membership_is_by_label(lab: Lab) -> None:
    """An external is left alone, until it claims to be a member."""
    live = await reader(lab)
    before = version(await lab.until_cm("ext"))
    await lab.edit_cm("r-copy", value="x")
    await lab.until_cm("r-copy", lambda cm: cm["data"]["value"] == "one")
    assert version(await lab.until_cm("ext")) == before
    own = labels_of(live)[names.APPLYSET_ID]
    await lab.put_cm("stray", {}, labels={names.APPLYSET_PART_OF: own})
    await lab.edit_cm("r-copy", value="x")
    await lab.gone_cm("stray")
    settled = await lab.settled("Reader", "r")
    assert (state(settled), message(settled)) == ("ACTIVE", "")
