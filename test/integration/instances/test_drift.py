"""Drift of every kind is repaired, and what is not ours stays.

Source: spec instance-runtime.md §4.2, §8.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import pytest

from kro import names
from kro.refs import NamespacedName
from kro.runtime.client import NotFoundError
from support.kube import CONFIGMAPS, Json
from support.lab import HOLD, WIDGETS, Lab, annotations_of, labels_of, uid

OURS = "lab.example.com/ours"
DEFINITION = f"""
schema: {{kind: Kept, spec: {{}}}}
resources:
- id: w
  template:
    apiVersion: lab.example.com/v1
    kind: Widget
    metadata:
      name: "${{schema.metadata.name}}"
      labels: {{team: x}}
      annotations: {{note: n}}
      finalizers: [{OURS}]
    spec:
      size: 1
      config: {{deep: {{a: 1}}, list: [1, 2]}}
- id: reader
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {{name: "${{schema.metadata.name}}"}}
    data: {{of: "${{w.metadata.name}}"}}
"""
THEIRS = {
    "metadata": {
        "labels": {"mine": "1"},
        "annotations": {"mine": "1"},
        "finalizers": [OURS, HOLD],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "no-such-uid"}
        ],
    },
    "spec": {"feed": "mine", "config": {"deep": {"b": 2}}},
    "status": {"phase": "mine"},
}
"""What a user writes beside what the template says."""

Deed: TypeAlias = Callable[[Lab], Awaitable[object]]


def merged(**patch: Any) -> Deed:
    """Return a deed that merges a patch into the widget."""

    async def deed(lab: Lab) -> object:
        return await lab.kube.merge(WIDGETS, "k", patch, lab.namespace)

    return deed


def of_metadata(**metadata: Any) -> Deed:
    """Return a deed that merges a patch into the widget's metadata."""
    return merged(metadata=metadata)


def taken_over(spec: Any) -> Deed:
    """Return a deed that applies fields by force under another name."""

    async def deed(lab: Lab) -> object:
        manifest = {
            "apiVersion": "lab.example.com/v1",
            "kind": "Widget",
            "metadata": {"name": "k", "namespace": lab.namespace},
            "spec": spec,
        }
        name = NamespacedName(lab.namespace, "k")
        return await lab.kube.client.apply(
            WIDGETS, name, manifest, field_manager="alice", force=True
        )

    return deed


async def disowned(lab: Lab) -> object:
    """Let another manager write all that we wrote, and take our name off it."""
    found = await lab.kube.get(WIDGETS, "k", lab.namespace)
    assert found is not None
    entries = found["metadata"]["managedFields"]
    others = [entry for entry in entries if entry["manager"] != names.MANAGER_APPLYSET]
    mine = next(entry for entry in entries if entry["manager"] == names.MANAGER_APPLYSET)
    taken = {**mine, "manager": "alice"}
    return await lab.kube.merge(
        WIDGETS, "k", {"metadata": {"managedFields": [*others, taken]}}, lab.namespace
    )


DRIFTS: dict[str, Deed] = {
    "a changed field": merged(spec={"size": 9}),
    "a removed field": merged(spec={"size": None}),
    "a changed field below a free-form one": merged(spec={"config": {"deep": {"a": 9}}}),
    "a changed list": merged(spec={"config": {"list": [2]}}),
    "a removed branch": merged(spec={"config": None}),
    "a changed label of the template": of_metadata(labels={"team": "y"}),
    "a removed label of the template": of_metadata(labels={"team": None}),
    "a removed annotation of the template": of_metadata(annotations={"note": None}),
    "a changed label of ours": of_metadata(labels={names.NODE_ID: "other"}),
    "removed labels of ours": of_metadata(labels={names.OWNED: None, names.INSTANCE_KIND: None}),
    "the removed label of membership": of_metadata(labels={names.APPLYSET_PART_OF: None}),
    "a removed annotation of ours": of_metadata(annotations={names.APPLY_ORDER: None}),
    "a removed finalizer of the template": of_metadata(finalizers=[HOLD]),
    "a field taken over with another value": taken_over({"size": 9}),
    "fields disowned": disowned,
}


def is_restored(found: Json) -> bool:
    """Whether the widget is as its template says, and says whose it is."""
    managers = {entry["manager"]: entry for entry in found["metadata"].get("managedFields", [])}
    owned = managers.get(names.MANAGER_APPLYSET, {}).get("fieldsV1", {})
    labels, config = labels_of(found), found["spec"].get("config") or {}
    return (
        found["spec"].get("size") == 1
        and config.get("deep", {}).get("a") == 1
        and config.get("list") == [1, 2]
        and labels.get("team") == "x"
        and annotations_of(found).get("note") == "n"
        and annotations_of(found).get(names.APPLY_ORDER) == "1"
        and labels.get(names.NODE_ID) == "w"
        and names.OWNED in labels
        and labels.get(names.INSTANCE_KIND) == "Kept"
        and names.APPLYSET_PART_OF in labels
        and OURS in found["metadata"].get("finalizers", [])
        and "f:size" in owned.get("f:spec", {})
    )


async def test_every_drift_is_repaired(lab: Lab) -> None:
    """Whatever somebody does to a child, what the template says comes back, on the same object."""
    await lab.define(DEFINITION)
    await lab.create("Kept", "k")
    await lab.settled("Kept", "k")
    first = await lab.kube.until(WIDGETS, "k", is_restored, lab.namespace)
    for kind, deed in DRIFTS.items():
        await deed(lab)
        try:
            found = await lab.kube.until(WIDGETS, "k", is_restored, lab.namespace, timeout_s=15)
        except AssertionError as error:
            pytest.fail(f"{kind}: {error}")
        assert uid(found) == uid(first), kind
    await lab.settled("Kept", "k")
    await gone(lab)


async def test_what_is_not_ours_stays(lab: Lab) -> None:
    """Fields, labels, annotations, finalizers and owners of others outlive every repair."""
    await lab.define(DEFINITION)
    await lab.create("Kept", "k")
    await lab.settled("Kept", "k")
    await lab.kube.merge(WIDGETS, "k", THEIRS, lab.namespace)
    await lab.kube.merge(WIDGETS, "k", THEIRS, lab.namespace, subresource="status")
    await merged(spec={"size": 9})(lab)
    found = await lab.kube.until(WIDGETS, "k", is_restored, lab.namespace)
    assert labels_of(found)["mine"] == "1"
    assert annotations_of(found)["mine"] == "1"
    assert found["metadata"]["finalizers"] == [OURS, HOLD]
    assert found["metadata"]["ownerReferences"][0]["name"] == "other"
    assert found["spec"]["feed"] == "mine"
    assert found["spec"]["config"]["deep"] == {"a": 1, "b": 2}
    assert found["status"] == {"phase": "mine"}
    await gone(lab)


async def test_deleted_children_come_back(lab: Lab) -> None:
    """A child that others deleted is made again, and what reads it is left as it is."""
    await lab.define(DEFINITION)
    await lab.create("Kept", "k")
    await lab.settled("Kept", "k")
    reader = await lab.until_cm("k")
    await lab.kube.delete(CONFIGMAPS, "k", lab.namespace)
    again = await lab.until_cm("k", lambda cm: uid(cm) != uid(reader))
    before = await lab.kube.until(WIDGETS, "k", is_restored, lab.namespace)
    await lab.kube.delete(WIDGETS, "k", lab.namespace)
    await of_metadata(finalizers=None)(lab)
    after = await lab.kube.until(
        WIDGETS, "k", lambda w: uid(w) != uid(before) and is_restored(w), lab.namespace
    )
    assert after["metadata"]["finalizers"] == [OURS]
    assert uid(await lab.until_cm("k")) == uid(again)
    await lab.settled("Kept", "k")
    await gone(lab)


async def test_finalizer_of_the_instance_comes_back(lab: Lab) -> None:
    """At once and by itself: without it a deletion would leave the children behind."""
    await lab.define(DEFINITION)
    await lab.create("Kept", "k")
    await lab.settled("Kept", "k")
    gvr = lab.gvr("Kept")
    theirs = {"metadata": {"finalizers": ["lab.example.com/theirs"]}}
    await lab.kube.merge(gvr, "k", theirs, lab.namespace)
    live = await lab.until("Kept", "k", lambda obj: names.FINALIZER in finalizers(obj))
    assert "lab.example.com/theirs" in finalizers(live)
    await lab.kube.merge(gvr, "k", {"metadata": {"finalizers": None}}, lab.namespace)
    await lab.until("Kept", "k", lambda obj: names.FINALIZER in finalizers(obj))
    await gone(lab)


def finalizers(obj: Json) -> list[str]:
    """Return the finalizers of an object."""
    return list(obj["metadata"].get("finalizers", []))


async def gone(lab: Lab) -> None:
    """Delete the instance; the widget's finalizers are its user's to take off."""
    await lab.delete("Kept", "k")
    await lab.gone_cm("k")
    with suppress(NotFoundError):
        await of_metadata(finalizers=None)(lab)
    await lab.gone("Kept", "k")
