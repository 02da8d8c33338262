"""What an edit of a definition does: a revision or none, and what its instances run on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.controlplane.cluster import kubectl
from support.generated import (
    REVISIONS,
    greeter,
    numbers,
    revisions,
    serve,
    until_says,
)
from support.kube import CONFIGMAPS, DEFINITIONS, Json, Kube, condition, is_ready
from support.manifests import configmap, endpoint, instance, unique

pytestmark = pytest.mark.usefixtures("operator")


async def test_a_new_definition_is_frozen_in_its_first_revision(kube: Kube) -> None:
    """The revision holds the whole spec, names its definition, and says that it was verified."""
    kind = unique("First")
    served = await serve(kube, greeter(kind))

    (revision,) = await revisions(kube, kind.lower())

    assert revision["metadata"]["name"] == f"{kind.lower()}-r00001"
    assert revision["metadata"]["finalizers"] == ["kro.run/finalizer"]
    assert revision["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "kro.run/v1alpha1",
            "kind": "ResourceGraphDefinition",
            "name": kind.lower(),
            "uid": served["metadata"]["uid"],
            "controller": True,
        }
    ]
    labels = revision["metadata"]["labels"]
    assert labels["kro.run/owned"] == "true"
    assert labels["kro.run/resource-graph-definition-name"] == kind.lower()
    assert len(labels["kro.run/graph-revision-hash"]) == 16
    assert revision["spec"]["snapshot"]["spec"] == served["spec"]
    assert revision["spec"]["snapshot"]["generation"] == 1
    assert condition(revision, "GraphVerified")["reason"] == "Verified"
    assert is_ready(revision)
    assert revision["status"]["topologicalOrder"] == ["config"]
    assert served["status"]["lastIssuedRevision"] == 1


async def test_a_cosmetic_edit_issues_nothing(kube: Kube) -> None:
    """The order of resources, labels and annotations are no part of what is frozen."""
    kind = unique("Cosmetic")
    wanted = greeter(kind)
    wanted["spec"]["resources"].append(configmap("other", name="${schema.metadata.name}-2"))
    await serve(kube, wanted)
    wanted["spec"]["resources"].reverse()
    wanted["metadata"]["annotations"] = {"team": "a"}

    edited = await serve(kube, wanted)

    assert edited["metadata"]["generation"] == 2
    assert await numbers(kube, kind.lower()) == [1]
    assert edited["status"]["topologicalOrder"] == ["config", "other"]


async def test_a_valid_edit_issues_the_next_revision_and_reaches_every_instance(
    kube: Kube,
) -> None:
    """Instances are brought to the new graph, without being touched themselves."""
    kind, namespace = unique("Edited"), await kube.namespace(unique("edited"))
    await serve(kube, greeter(kind))
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)

    edited = await serve(kube, greeter(kind, text="${schema.spec.message} again"))

    assert edited["status"]["lastIssuedRevision"] == 2
    assert await numbers(kube, kind.lower()) == [1, 2]
    await kube.until(CONFIGMAPS, "one", lambda c: c["data"]["text"] == "hello again", namespace)
    await kube.until(
        endpoint(kind), "one", lambda o: o["status"].get("text") == "hello again", namespace
    )


async def test_an_invalid_edit_keeps_the_old_service(kube: Kube) -> None:
    """No revision; the conditions tell what to mend; instances go on; going back heals."""
    kind, namespace = unique("Spoiled"), await kube.namespace(unique("spoiled"))
    name = kind.lower()
    await serve(kube, greeter(kind))
    await kube.apply(instance(kind, "old", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "old", is_ready, namespace)
    child = await kube.get(CONFIGMAPS, "old", namespace)
    assert child is not None

    await kube.apply(greeter(kind, text="${schema.spec.mesage}"))

    spoiled = await until_says(kube, name, "GraphAccepted", "False", "mesage")
    status = spoiled["status"]
    assert status["state"] == "Inactive"
    assert "topologicalOrder" not in status
    assert "resources" not in status
    assert condition(spoiled, "Ready")["reason"] == "InvalidResourceGraph"
    assert condition(spoiled, "Ready")["observedGeneration"] == 2
    resolved = condition(spoiled, "GraphRevisionsResolved")
    assert (resolved["status"], resolved["observedGeneration"]) == ("True", 2)
    for kept in ("KindReady", "ControllerReady"):
        assert condition(spoiled, kept)["status"] == "True"
        assert condition(spoiled, kept)["observedGeneration"] == 1
    assert await numbers(kube, name) == [1]
    await kube.apply(instance(kind, "new", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "new", is_ready, namespace)
    untouched = await kube.get(CONFIGMAPS, "old", namespace)
    assert untouched is not None
    assert untouched["metadata"]["resourceVersion"] == child["metadata"]["resourceVersion"]

    mended = await serve(kube, greeter(kind))

    assert mended["status"]["state"] == "Active"
    assert await numbers(kube, name) == [1]


async def test_going_back_to_an_earlier_text_issues_a_new_revision(kube: Kube) -> None:
    """Only the latest revision is compared with; this is the way to roll back."""
    kind = unique("Back")
    await serve(kube, greeter(kind))
    await serve(kube, greeter(kind, text="b"))

    await serve(kube, greeter(kind))

    found = await revisions(kube, kind.lower())
    hashes = [r["metadata"]["labels"]["kro.run/graph-revision-hash"] for r in found]
    assert [r["spec"]["revision"] for r in found] == [1, 2, 3]
    assert hashes[0] == hashes[2] != hashes[1]


async def test_rapid_edits_leave_no_gaps_and_end_at_the_last_text(kube: Kube) -> None:
    """Edits in between may be skipped; the latest revision is the current spec."""
    kind, namespace = unique("Rapid"), await kube.namespace(unique("rapid"))
    await serve(kube, greeter(kind))
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))

    for round_ in range(12):
        await kube.apply(greeter(kind, text=f"round {round_}"))

    settled = await kube.until(DEFINITIONS, kind.lower(), is_ready)
    found = await revisions(kube, kind.lower())
    issued = [r["spec"]["revision"] for r in found]
    assert issued == list(range(issued[0], issued[-1] + 1))
    assert settled["status"]["lastIssuedRevision"] == issued[-1]
    assert found[-1]["spec"]["snapshot"]["spec"] == settled["spec"]
    await kube.until(CONFIGMAPS, "one", lambda c: c["data"]["text"] == "round 11", namespace)


async def test_retention_keeps_the_latest_five(kube: Kube) -> None:
    """Older revisions go as new ones come; the one in service stays, Ready does not waver."""
    kind = unique("Retained")
    for round_ in range(7):
        await serve(kube, greeter(kind, text=f"round {round_}"))

    await kube.until_gone(REVISIONS, f"{kind.lower()}-r00002")

    assert await numbers(kube, kind.lower()) == [3, 4, 5, 6, 7]


async def test_a_definition_without_spec_says_so_and_can_be_deleted(kube: Kube) -> None:
    """Q17: admission lets it pass, so the condition has to tell."""
    name = unique("empty")
    await kube.apply(
        {
            "apiVersion": "kro.run/v1alpha1",
            "kind": "ResourceGraphDefinition",
            "metadata": {"name": name},
        }
    )

    refused = await until_says(kube, name, "GraphAccepted", "False", "spec")

    assert refused["status"]["state"] == "Inactive"
    await kube.delete(DEFINITIONS, name)
    await kube.until_gone(DEFINITIONS, name)


async def test_a_name_that_cannot_be_a_label_is_refused_in_words(kube: Kube) -> None:
    """Q18: admission lets it pass; the condition says how long a name may be."""
    kind = unique("Long")
    name = f"{kind.lower()}-{'x' * 63}"

    await kube.apply(greeter(kind, name=name))

    refused = await until_says(kube, name, "GraphAccepted", "False", "63")
    assert "metadata.name" in condition(refused, "GraphAccepted")["message"]
    assert await numbers(kube, name) == []
    await kube.delete(DEFINITIONS, name)
    await kube.until_gone(DEFINITIONS, name)


async def test_only_the_spec_and_the_annotation_wake_a_definition(kube: Kube) -> None:
    """A label is none of our business: the status stays as it is, to the version."""
    kind = unique("Quiet")
    served = await serve(kube, greeter(kind))
    before = served["metadata"]["resourceVersion"]

    labelled = await kube.merge(DEFINITIONS, kind.lower(), {"metadata": {"labels": {"team": "a"}}})
    await serve(kube, greeter(unique("Later")))  # whatever the label had caused is over by then

    found: Json | None = await kube.get(DEFINITIONS, kind.lower())
    assert found is not None
    assert before != labelled["metadata"]["resourceVersion"]
    assert found["metadata"]["resourceVersion"] == labelled["metadata"]["resourceVersion"]


@pytest.mark.parametrize("depth", [210, 300, 5000])
async def test_a_definition_of_any_depth_is_refused_in_words(
    kube: Kube, cluster: Any, depth: int
) -> None:
    """The API server keeps it; no parser reads the deepest ones; others must not notice."""
    kind = unique("Deep")
    text = json.dumps(greeter(kind)).replace(
        '"${schema.spec.message}"', '{"a":' * depth + "1" + "}" * depth
    )

    kubectl(cluster.kubeconfig, "create", "--validate=false", "-f", "-", stdin=text)

    await kube.until(
        DEFINITIONS,
        kind.lower(),
        lambda d: "nested deeper than" in condition(d, "GraphAccepted").get("message", ""),
    )
    await serve(kube, greeter(unique("Neighbour")))
    await kube.delete(DEFINITIONS, kind.lower())
    await kube.until_gone(DEFINITIONS, kind.lower())
