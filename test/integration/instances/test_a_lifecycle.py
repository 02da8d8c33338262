# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios A: what an instance produces, how edits and drift are met, who owns which field.

Source: spec instance-runtime.md §10.A.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kro import names
from kro.refs import GVR, NamespacedName
from support.kube import CONFIGMAPS, CRDS, DEPLOYMENTS, SECRETS, SERVICES, condition
from support.lab import (
    WIDGETS,
    Lab,
    annotations_of,
    group_kinds,
    is_established,
    is_settled,
    labels_of,
    message,
    namespaces,
    state,
    uid,
    version,
)

MEMO = """
schema:
  kind: Memo
  spec: {text: string}
  status: {written: "${note.data.text}"}
resources:
- id: note
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}-note"}
    data: {text: "${schema.spec.text}"}
"""

PAIR = """
schema:
  kind: Pair
  spec: {a: string, b: string}
resources:
- id: first
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-a"}, data: {v: "${schema.spec.a}"}}
- id: second
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-b"}, data: {v: "${schema.spec.b}"}}
"""


async def memo(lab: Lab, text: str = "hello") -> Any:
    """Serve Memo and return a settled instance m1."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1", {"text": text})
    return await lab.settled("Memo", "m1")


async def test_a_01_child_and_instance_carry_the_bookkeeping(lab: Lab) -> None:
    """Labels and annotations on both sides are those that other versions and tools read."""
    live = await memo(lab)
    assert live["status"]["written"] == "hello"
    note = await lab.until_cm("m1-note")
    assert note["data"] == {"text": "hello"}
    found = labels_of(note)
    assert found.pop(names.KRO_VERSION)
    assert found.pop(names.APPLYSET_PART_OF) == labels_of(live)[names.APPLYSET_ID]
    assert found == {
        names.MANAGED_BY: "kro",
        names.OWNED: "true",
        names.INSTANCE_ID: uid(live),
        names.INSTANCE_NAME: "m1",
        names.INSTANCE_NAMESPACE: lab.namespace,
        names.INSTANCE_GROUP: lab.group,
        names.INSTANCE_VERSION: "v1alpha1",
        names.INSTANCE_KIND: "Memo",
        names.NODE_ID: "note",
    }
    assert annotations_of(note) == {names.APPLY_ORDER: "1"}
    assert "ownerReferences" not in note["metadata"]
    assert names.FINALIZER in live["metadata"]["finalizers"]
    own = labels_of(live)
    assert own[names.OWNED] == "true"
    assert own[names.DEFINITION_NAME].startswith("memo-")
    assert own[names.DEFINITION_ID]
    assert names.MANAGED_BY not in own
    assert group_kinds(live) == "ConfigMap"
    assert namespaces(live) == ""
    assert annotations_of(live)[names.APPLYSET_TOOLING].startswith("kro/")
    assert annotations_of(live)[names.APPLYSET_INVENTORY_HASH].startswith("sha256:")


async def test_a_02_spec_edit_reaches_the_child(lab: Lab) -> None:
    """Child, status and every condition follow the new generation."""
    await memo(lab)
    await lab.edit("Memo", "m1", text="bye")
    live = await lab.settled("Memo", "m1")
    assert live["status"]["written"] == "bye"
    assert (await lab.until_cm("m1-note"))["data"] == {"text": "bye"}
    assert {c["observedGeneration"] for c in live["status"]["conditions"]} == {2}


async def test_a_03_drift_is_reverted(lab: Lab) -> None:
    """A hand edit of a child is undone without anybody touching the instance."""
    await memo(lab)
    before = await lab.until_cm("m1-note")
    await lab.edit_cm("m1-note", text="x")
    after = await lab.until_cm("m1-note", lambda cm: cm["data"]["text"] == "hello")
    assert uid(after) == uid(before)


async def test_a_04_deleted_child_comes_back(lab: Lab) -> None:
    """It is another object with the same labels."""
    await memo(lab)
    before = await lab.until_cm("m1-note")
    await lab.kube.delete(CONFIGMAPS, "m1-note", lab.namespace)
    after = await lab.until_cm("m1-note", lambda cm: uid(cm) != uid(before))
    assert labels_of(after) == labels_of(before)
    await lab.settled("Memo", "m1")


async def test_a_05_fields_of_others_survive(lab: Lab) -> None:
    """A field dropped from the template goes, what others wrote stays."""
    await lab.define(MEMO.replace("data: {text:", 'data: {extra: "1", text:'))
    await lab.create("Memo", "m1", {"text": "hello"})
    await lab.settled("Memo", "m1")
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "m1-note", "namespace": lab.namespace, "labels": {"color": "blue"}},
        "data": {"mine": "keep"},
    }
    target = NamespacedName(lab.namespace, "m1-note")
    before = await lab.kube.client.apply(CONFIGMAPS, target, manifest, field_manager="alice")
    await lab.define(MEMO)
    after = await lab.until_cm("m1-note", lambda cm: "extra" not in cm["data"])
    assert after["data"] == {"text": "hello", "mine": "keep"}
    assert labels_of(after)["color"] == "blue"
    assert uid(after) == uid(before)


async def test_a_06_only_what_changed_is_written(lab: Lab) -> None:
    """A spec edit that concerns one child leaves the version of the other."""
    await lab.define(PAIR)
    await lab.create("Pair", "p", {"a": "1", "b": "1"})
    await lab.settled("Pair", "p")
    other = await lab.until_cm("p-b")
    await lab.edit("Pair", "p", a="2")
    await lab.until_cm("p-a", lambda cm: cm["data"]["v"] == "2")
    await lab.settled("Pair", "p")
    assert version(await lab.until_cm("p-b")) == version(other)


async def test_a_07_settled_instance_is_quiet(lab: Lab) -> None:
    """No version moves while nothing happens."""
    await lab.define(PAIR)
    await lab.create("Pair", "p", {"a": "1", "b": "1"})
    await lab.settled("Pair", "p")

    async def versions() -> list[str]:
        objects = [await lab.get("Pair", "p"), await lab.cm("p-a"), await lab.cm("p-b")]
        return [version(each) for each in objects if each]

    before = await versions()
    await asyncio.sleep(4)  # longer than the interval of delayed passes
    assert await versions() == before


async def test_a_08_never_an_error_on_the_way(lab: Lab) -> None:
    """From the first status on, a healthy instance is on its way or there."""
    await lab.define(MEMO)
    seen: list[str] = []
    await lab.create("Memo", "m1", {"text": "x"})

    def watched(obj: Any) -> bool:
        seen.append(state(obj))
        return is_settled(obj)

    await lab.until("Memo", "m1", watched)
    assert "ERROR" not in seen


async def test_a_09_instance_metadata_is_usable(lab: Lab) -> None:
    """Uid, generation and labels of the instance flow into templates."""
    await lab.define(BADGE)
    live = await lab.create("Badge", "b", labels={"tier": "gold"})
    card = await lab.until_cm("b-card")
    assert card["data"] == {"uid": uid(live), "gen": "1", "tier": "gold"}


BADGE = """
schema: {kind: Badge, spec: {}}
resources:
- id: card
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}-card", namespace: "${schema.metadata.namespace}"}
    data:
      uid: ${schema.metadata.uid}
      gen: ${string(schema.metadata.generation)}
      tier: "${has(schema.metadata.labels) && 'tier' in schema.metadata.labels ? schema.metadata.labels['tier'] : 'none'}"
"""


async def test_a_10_metadata_edits_trigger_nothing(lab: Lab) -> None:
    """A new label is seen by the next pass, whatever triggers that."""
    await lab.define(BADGE)
    await lab.create("Badge", "b", labels={"tier": "gold"})
    await lab.settled("Badge", "b")
    patch = {"metadata": {"labels": {"tier": "silver"}}}
    await lab.kube.merge(lab.gvr("Badge"), "b", patch, lab.namespace)

    async def still_gold() -> bool:
        card = await lab.cm("b-card")
        return card is not None and card["data"]["tier"] == "gold"

    await lab.stays(still_gold)
    await lab.edit_cm("b-card", gen="9")
    await lab.until_cm("b-card", lambda cm: cm["data"]["tier"] == "silver")


async def test_a_11_placeholders_in_instance_data_are_inert(lab: Lab) -> None:
    """Text that looks like an expression is carried through as it is."""
    await lab.define(MEMO)
    text = "cost ${schema.spec.text} and ${note.metadata.uid}"
    await lab.create("Memo", "m2", {"text": text}, annotations={"x": '${broken("'})
    live = await lab.settled("Memo", "m2")
    assert (await lab.until_cm("m2-note"))["data"] == {"text": text}
    assert annotations_of(live)["x"] == '${broken("'


async def test_a_12_crd_as_child(lab: Lab) -> None:
    """A kind may be a child like anything else, and goes with its instance."""
    group = f"gadgets{lab.namespace.replace('-', '')}.example.com"
    await lab.define(f"""
schema: {{kind: KindMaker, spec: {{plural: string}}}}
resources:
- id: crd
  template:
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {{name: gadgets.{group}}}
    spec:
      group: {group}
      scope: Namespaced
      names: {{kind: Gadget, listKind: GadgetList, plural: gadgets, singular: gadget}}
      versions:
      - name: v1
        served: true
        storage: true
        schema: {{openAPIV3Schema: {{type: object}}}}
""")
    await lab.create("KindMaker", "k", {"plural": "gadgets"})
    live = await lab.settled("KindMaker", "k")
    crd = await lab.kube.get(CRDS, f"gadgets.{group}")
    assert crd is not None
    assert crd["spec"]["names"]["kind"] == "Gadget"
    assert group_kinds(live) == "CustomResourceDefinition.apiextensions.k8s.io"
    await lab.delete("KindMaker", "k")
    await lab.gone("KindMaker", "k")
    await lab.kube.until_gone(CRDS, f"gadgets.{group}")


async def test_a_13_versions_outside_the_usual_pattern(lab: Lab) -> None:
    """A version is a name and nothing more, for children and for references."""
    group = f"odd{lab.namespace.replace('-', '')}.example.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    await lab.kube.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"odds.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {
                    "kind": "Odd",
                    "listKind": "OddList",
                    "plural": "odds",
                    "singular": "odd",
                },
                "versions": [
                    {"name": "v1api20240101", "served": True, "storage": True, "schema": schema},
                    {"name": "v1p2beta1", "served": True, "storage": False, "schema": schema},
                ],
            },
        },
        gvr=CRDS,
    )
    await lab.kube.until(CRDS, f"odds.{group}", is_established)
    await lab.define(f"""
schema: {{kind: OddOne, spec: {{}}, status: {{seen: "${{other.metadata.name}}"}}}}
resources:
- id: odd
  template: {{apiVersion: {group}/v1api20240101, kind: Odd, metadata: {{name: "${{schema.metadata.name}}"}}}}
- id: other
  externalRef: {{apiVersion: {group}/v1p2beta1, kind: Odd, metadata: {{name: other}}}}
""")
    await lab.kube.client.apply(
        GVR(group, "v1p2beta1", "odds"),
        NamespacedName(lab.namespace, "other"),
        {
            "apiVersion": f"{group}/v1p2beta1",
            "kind": "Odd",
            "metadata": {"name": "other", "namespace": lab.namespace},
        },
        field_manager="test",
    )
    await lab.create("OddOne", "o")
    assert (await lab.settled("OddOne", "o"))["status"]["seen"] == "other"
    assert await lab.kube.get(GVR(group, "v1api20240101", "odds"), "o", lab.namespace)


async def test_a_14_namespace_that_comes_later(lab: Lab) -> None:
    """A failed apply is an error with the server's words, and heals by itself."""
    await lab.define("""
schema: {kind: Far, spec: {target: string}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}", namespace: "${schema.spec.target}"}}
""")
    later = lab.namespace + "-later"
    await lab.create("Far", "f", {"target": later})
    live = await lab.says(
        "Far", "f", "apply results contain errors", f'namespaces "{later}" not found', state="ERROR"
    )
    assert condition(live, "ResourcesReady")["reason"] == "NotReady"
    await lab.kube.namespace(later)
    live = await lab.settled("Far", "f")
    assert namespaces(live) == later
    assert await lab.cm("f", later)


async def test_a_15_admission_denies_a_child(lab: Lab) -> None:
    """The reason of the denial is shown until it is gone, then forgotten."""
    await lab.define(MEMO)
    name = lab.namespace
    await lab.deny(name, suffix="-note", text="no notes")
    await lab.create("Memo", "m3", {"text": "x"})
    await lab.says("Memo", "m3", "no notes", state="ERROR")
    assert await lab.cm("m3-note") is None
    await lab.allow(name)
    live = await lab.settled("Memo", "m3")
    assert "no notes" not in str(live["status"])


async def test_a_16_user_metadata_on_the_instance_is_kept(lab: Lab) -> None:
    """Labels, annotations and finalizers of the user outlive what kro does."""
    await lab.define(MEMO)
    keep = "lab.example.com/keep"
    await lab.create(
        "Memo",
        "m4",
        {"text": "x"},
        labels={"owner": "ann"},
        annotations={"ticket": "42"},
        finalizers=[keep],
    )
    live = await lab.settled("Memo", "m4")
    assert labels_of(live)["owner"] == "ann"
    assert annotations_of(live)["ticket"] == "42"
    assert set(live["metadata"]["finalizers"]) == {keep, names.FINALIZER}
    await lab.delete("Memo", "m4")
    live = await lab.until("Memo", "m4", lambda obj: obj["metadata"]["finalizers"] == [keep])
    assert await lab.cm("m4-note") is None
    await lab.kube.merge(lab.gvr("Memo"), "m4", {"metadata": {"finalizers": []}}, lab.namespace)
    await lab.gone("Memo", "m4")


async def test_a_17_field_managers_are_stable(lab: Lab) -> None:
    """Who owns what is a compatibility surface."""
    live = await memo(lab)
    note = await lab.until_cm("m1-note")
    assert [(e["manager"], e["operation"]) for e in note["metadata"]["managedFields"]] == [
        ("kro.run/applyset", "Apply")
    ]
    entries = {
        (e["manager"], e["operation"], e.get("subresource", ""))
        for e in live["metadata"]["managedFields"]
    }
    assert entries == {
        ("test", "Apply", ""),
        ("kro.run/labeller", "Apply", ""),
        ("kro.run/applyset-parent", "Apply", ""),
        ("kro", "Update", "status"),
    }


async def test_a_18_random_names_are_stable(lab: Lab) -> None:
    """A seeded name stays the same for the life of the instance."""
    await lab.define("""
schema: {kind: Lottery, spec: {n: "integer | default=1"}}
resources:
- id: ticket
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "t-${random.seededString(8, schema.metadata.uid)}"}}
""")
    await lab.create("Lottery", "l")
    await lab.settled("Lottery", "l")
    (name,) = await lab.cms()
    await lab.edit("Lottery", "l", n=2)
    await lab.settled("Lottery", "l")
    await lab.kube.delete(CONFIGMAPS, name, lab.namespace)
    await lab.until_cm(name)
    assert list(await lab.cms()) == [name]


async def test_a_19_scalars_are_converted(lab: Lab) -> None:
    """Numbers stay numbers, texts are texts."""
    await lab.define("""
schema: {kind: Scalars, spec: {ratio: float, size: integer, n: string}}
resources:
- id: cm
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}"}
    data: {ratio: "${string(schema.spec.ratio)}", both: "${schema.spec.n}-${string(schema.spec.size)}"}
- id: w
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}, spec: {size: "${schema.spec.size + 1}"}}
""")
    await lab.create("Scalars", "s", {"ratio": 3.25, "size": 4, "n": "x"})
    await lab.settled("Scalars", "s")
    assert (await lab.until_cm("s"))["data"] == {"ratio": "3.25", "both": "x-4"}
    widget = await lab.kube.get(WIDGETS, "s", lab.namespace)
    assert widget is not None
    assert widget["spec"]["size"] == 5


SITE = """
schema:
  kind: Site
  spec: {image: "string | default=registry.k8s.io/pause:3.9", replicas: "integer | default=1", port: "integer | default=80"}
  status: {available: "${dep.status.availableReplicas}"}
resources:
- id: dep
  template:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: "${schema.metadata.name}"}
    spec:
      replicas: ${schema.spec.replicas}
      selector: {matchLabels: {app: "${schema.metadata.name}"}}
      template:
        metadata: {labels: {app: "${schema.metadata.name}"}}
        spec: {containers: [{name: c, image: "${schema.spec.image}", ports: [{containerPort: "${schema.spec.port}"}]}]}
- id: svc
  template:
    apiVersion: v1
    kind: Service
    metadata: {name: "${schema.metadata.name}"}
    spec: {selector: "${dep.spec.selector.matchLabels}", ports: [{port: "${schema.spec.port}"}]}
"""


async def test_a_20_web_application_over_its_life(lab: Lab) -> None:
    """Creation, a projected number, an edit, a foreign scale, deletion in reverse."""
    await lab.define(SITE)
    await lab.create("Site", "s")
    await lab.settled("Site", "s")
    service = await lab.kube.get(SERVICES, "s", lab.namespace)
    deployment = await lab.kube.get(DEPLOYMENTS, "s", lab.namespace)
    assert service is not None
    assert deployment is not None
    assert service["spec"]["selector"] == {"app": "s"}
    status = {"status": {"replicas": 1, "availableReplicas": 1, "readyReplicas": 1}}
    await lab.kube.merge(DEPLOYMENTS, "s", status, lab.namespace, subresource="status")
    await lab.until("Site", "s", lambda obj: obj.get("status", {}).get("available") == 1)
    await lab.edit("Site", "s", replicas=3, port=8080)
    changed = await lab.kube.until(
        DEPLOYMENTS, "s", lambda obj: obj["spec"]["replicas"] == 3, lab.namespace
    )
    assert uid(changed) == uid(deployment)
    await lab.kube.until(
        SERVICES, "s", lambda obj: obj["spec"]["ports"][0]["port"] == 8080, lab.namespace
    )
    await lab.kube.merge(DEPLOYMENTS, "s", {"spec": {"replicas": 9}}, lab.namespace)
    await lab.kube.until(DEPLOYMENTS, "s", lambda obj: obj["spec"]["replicas"] == 3, lab.namespace)
    await lab.delete("Site", "s")
    await lab.gone("Site", "s")
    assert await lab.kube.get(DEPLOYMENTS, "s", lab.namespace) is None
    assert await lab.kube.get(SERVICES, "s", lab.namespace) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"data": {"k": "eA=="}}, id="data"),
        pytest.param({"data": {"plain": "eA=="}}, id="data from stringData"),
        pytest.param({"metadata": {"labels": {"team": "y"}}}, id="label"),
        pytest.param({"metadata": {"labels": {names.NODE_ID: None}}}, id="our label"),
        pytest.param({"metadata": {"annotations": {names.APPLY_ORDER: None}}}, id="annotation"),
    ],
)
async def test_a_21_drift_on_a_secret(lab: Lab, change: Any) -> None:
    """Data, labels and our own bookkeeping come back; a label of the user stays."""
    await lab.define("""
schema: {kind: Safe, spec: {}}
resources:
- id: sec
  template:
    apiVersion: v1
    kind: Secret
    metadata: {name: "${schema.metadata.name}", labels: {team: x}}
    data: {k: aGVsbG8=}
    stringData: {plain: hello}
""")
    await lab.create("Safe", "s")
    await lab.settled("Safe", "s")
    await lab.kube.merge(SECRETS, "s", {"metadata": {"labels": {"mine": "1"}}}, lab.namespace)
    await lab.kube.merge(SECRETS, "s", change, lab.namespace)

    def restored(obj: Any) -> bool:
        return (
            obj["data"] == {"k": "aGVsbG8=", "plain": "aGVsbG8="}
            and labels_of(obj).get("team") == "x"
            and labels_of(obj).get(names.NODE_ID) == "sec"
            and names.APPLY_ORDER in annotations_of(obj)
        )

    found = await lab.kube.until(SECRETS, "s", restored, lab.namespace)
    assert labels_of(found)["mine"] == "1"
    assert message(await lab.settled("Safe", "s")) == ""
