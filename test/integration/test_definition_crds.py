"""The generated CRD: repaired, refused, handed over, and what others may do to it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from support.generated import crd_name, greeter, serve, served_crd, until_says
from support.kube import CRDS, DEFINITIONS, Json, Kube, condition, is_ready
from support.manifests import definition, endpoint, instance, unique

pytestmark = pytest.mark.usefixtures("operator")

ALLOW = {"metadata": {"annotations": {"kro.run/allow-breaking-changes": "true"}}}


def _fields(crd: Json) -> Json:
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields: Json = root["properties"]["spec"]["properties"]
    return fields


def _fields_patch(crd: Json, change: Any) -> Json:
    versions = copy.deepcopy(crd["spec"]["versions"])
    root = versions[0]["schema"]["openAPIV3Schema"]
    change(root["properties"]["spec"])
    return {"spec": {"versions": versions}}


def _foreign(kind: str, *, name: str = "", **names: Any) -> Json:
    """Return a CRD that is none of kro's, of group kro.run unless the name says otherwise."""
    plural, _, group = (name or crd_name(kind)).partition(".")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural, "kind": kind, **names},
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }


async def _gone(kube: Kube, name: str) -> None:
    await kube.delete(CRDS, name)
    await kube.until_gone(CRDS, name)


async def test_a_field_removed_by_hand_comes_back(kube: Kube) -> None:
    """An event of the CRD is enough; to add an optional field breaks nothing."""
    kind = unique("Pruned")
    await serve(kube, greeter(kind))
    crd = await served_crd(kube, kind)

    patch = _fields_patch(crd, lambda spec: spec["properties"].pop("copies"))
    await kube.merge(CRDS, crd["metadata"]["name"], patch)

    await kube.until(CRDS, crd["metadata"]["name"], lambda c: "copies" in _fields(c))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)


async def test_a_field_added_by_hand_is_refused_until_the_author_permits_its_removal(
    kube: Kube,
) -> None:
    """Instances may hold the field by now; to take it away would lose what they say."""
    kind = unique("Grown")
    await serve(kube, greeter(kind))
    crd = await served_crd(kube, kind)
    patch = _fields_patch(crd, lambda spec: spec["properties"].update(x={"type": "string"}))

    await kube.merge(CRDS, crd["metadata"]["name"], patch)

    refused = await until_says(kube, kind.lower(), "KindReady", "False", "breaking")
    message = condition(refused, "KindReady")["message"]
    assert f"cannot update CRD {crd_name(kind)}: breaking changes detected" in message
    assert "Property x was removed" in message
    assert refused["status"]["state"] == "Inactive"
    await kube.merge(DEFINITIONS, kind.lower(), ALLOW)
    await kube.until(CRDS, crd["metadata"]["name"], lambda c: "x" not in _fields(c))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)


async def test_a_required_field_removed_by_hand_is_refused_too(kube: Kube) -> None:
    """To add it again is a newly required field without default, which is breaking."""
    kind = unique("Needed")
    wanted = greeter(kind)
    wanted["spec"]["schema"]["spec"]["owner"] = "string | required=true"
    await serve(kube, wanted)
    crd = await served_crd(kube, kind)

    def forget(spec: Json) -> None:
        spec["properties"].pop("owner")
        spec["required"] = [name for name in spec["required"] if name != "owner"]

    await kube.merge(CRDS, crd["metadata"]["name"], _fields_patch(crd, forget))

    await until_says(kube, kind.lower(), "KindReady", "False", "breaking")


async def test_changes_that_break_nothing_reach_the_crd_whatever_they_are(kube: Kube) -> None:
    """Q12, mended: printer columns, validations, map values, short names and labels too."""
    kind = unique("Detail")
    await serve(kube, greeter(kind))
    wanted = greeter(kind)
    schema = wanted["spec"]["schema"]
    schema["additionalPrinterColumns"] = [
        {"name": "Message", "type": "string", "jsonPath": ".spec.message"}
    ]
    schema["spec"]["copies"] = 'integer | default=1 validation="self < 100"'
    schema["shortNames"] = [f"s{kind.lower()}"]
    schema["metadata"] = {"labels": {"team": "a"}, "annotations": {"note": "b"}}

    await serve(kube, wanted)

    crd = await served_crd(kube, kind)
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    assert "Message" in [column["name"] for column in columns]
    assert _fields(crd)["copies"]["x-kubernetes-validations"][0]["rule"] == "self < 100"
    assert crd["spec"]["names"]["shortNames"] == [f"s{kind.lower()}"]
    assert crd["metadata"]["labels"]["team"] == "a"
    assert crd["metadata"]["annotations"]["note"] == "b"
    settled = crd["metadata"]["resourceVersion"]
    await kube.merge(DEFINITIONS, kind.lower(), ALLOW)
    await kube.merge(DEFINITIONS, kind.lower(), {"spec": {"schema": {"metadata": None}}})
    await kube.until(DEFINITIONS, kind.lower(), is_ready)
    again = await served_crd(kube, kind)
    assert again["metadata"]["resourceVersion"] == settled  # dropped labels stay, as merged ones do
    assert again["metadata"]["labels"]["team"] == "a"


async def test_a_crd_deleted_by_hand_is_made_again_and_served(kube: Kube) -> None:
    """Its instances went with it, in order; new ones are served as before."""
    kind, namespace = unique("Renewed"), await kube.namespace(unique("renewed"))
    await serve(kube, greeter(kind))
    await kube.apply(instance(kind, "old", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "old", is_ready, namespace)
    before = await served_crd(kube, kind)

    await kube.delete(CRDS, crd_name(kind))

    await kube.until(
        CRDS, crd_name(kind), lambda c: c["metadata"]["uid"] != before["metadata"]["uid"]
    )
    served = await kube.until(DEFINITIONS, kind.lower(), is_ready)
    assert served["status"]["state"] == "Active"
    await kube.apply(instance(kind, "new", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "new", is_ready, namespace)
    assert await kube.get(endpoint(kind), "old", namespace) is None


async def test_a_crd_without_its_labels_is_no_longer_ours_until_they_are_back(kube: Kube) -> None:
    """Who takes the labels off takes the CRD away from kro."""
    kind = unique("Unlabelled")
    await serve(kube, greeter(kind))
    crd = await served_crd(kube, kind)
    labels = crd["metadata"]["labels"]

    await kube.merge(CRDS, crd_name(kind), {"metadata": {"labels": dict.fromkeys(labels)}})

    await until_says(kube, kind.lower(), "KindReady", "False", "not owned by KRO")
    await kube.merge(CRDS, crd_name(kind), {"metadata": {"labels": labels}})
    await kube.until(DEFINITIONS, kind.lower(), is_ready)


async def test_a_foreign_crd_is_left_alone_and_taken_over_when_it_is_handed_over(
    kube: Kube,
) -> None:
    """The message says which labels hand it over, and the labels wake the definition."""
    kind, namespace = unique("Foreign"), await kube.namespace(unique("foreign"))
    foreign = await kube.client.create(CRDS, _foreign(kind))

    await kube.apply(greeter(kind))

    await until_says(kube, kind.lower(), "KindReady", "False", "not owned by KRO")
    found = await served_crd(kube, kind)
    assert found["spec"] == foreign["spec"]
    owned = {
        "kro.run/owned": "true",
        "kro.run/resource-graph-definition-name": kind.lower(),
    }
    await kube.merge(CRDS, crd_name(kind), {"metadata": {"labels": owned}})
    await kube.until(DEFINITIONS, kind.lower(), is_ready)
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)


async def test_a_kind_is_free_again_when_the_foreign_crd_is_gone(kube: Kube) -> None:
    """The deletion of the CRD that stood in the way is the event that brings the definition on."""
    kind = unique("Freed")
    await kube.client.create(CRDS, _foreign(f"Other{kind}", name=crd_name(kind)))
    await kube.apply(greeter(kind))
    await until_says(kube, kind.lower(), "KindReady", "False", "not owned by KRO")

    await _gone(kube, crd_name(kind))

    await kube.until(DEFINITIONS, kind.lower(), is_ready)


async def test_a_short_name_that_is_taken_is_reported_and_accepted_when_free(kube: Kube) -> None:
    """A new kind whose names the API server refuses is not served: the condition says why."""
    kind, other = unique("Named"), unique("Holder")
    short = f"sn{kind.lower()}"
    holder = _foreign(other, shortNames=[short])
    await kube.client.create(CRDS, holder)
    await kube.until(CRDS, crd_name(other), lambda c: "shortNames" in c["status"]["acceptedNames"])
    wanted = greeter(kind)
    wanted["spec"]["schema"]["shortNames"] = [short]

    await kube.apply(wanted)

    refused = await until_says(kube, kind.lower(), "KindReady", "False", short)
    assert refused["status"]["state"] == "Inactive"
    assert condition(refused, "ControllerReady")["status"] == "Unknown"
    await _gone(kube, crd_name(other))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)


async def test_the_second_definition_of_a_kind_gets_it_when_it_is_handed_over(kube: Kube) -> None:
    """Refused under another name, even when the first is gone; its label is what counts."""
    kind, namespace = unique("Heir"), await kube.namespace(unique("heir"))
    await serve(kube, greeter(kind))
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)
    second = f"{kind.lower()}-second"
    await kube.apply(greeter(kind, name=second))
    refused = await until_says(kube, second, "KindReady", "False", "owned by another")
    assert f"ResourceGraphDefinition {kind.lower()}" in condition(refused, "KindReady")["message"]
    await kube.delete(DEFINITIONS, kind.lower())
    await kube.until_gone(DEFINITIONS, kind.lower())

    handed = {"kro.run/resource-graph-definition-name": second}
    await kube.merge(CRDS, crd_name(kind), {"metadata": {"labels": handed}})

    served = await kube.until(DEFINITIONS, second, is_ready)
    found = await kube.until(
        endpoint(kind),
        "one",
        lambda o: o["metadata"]["labels"]["kro.run/resource-graph-definition-name"] == second,
        namespace,
    )
    owner = found["metadata"]["labels"]["kro.run/resource-graph-definition-id"]
    assert owner == served["metadata"]["uid"]


async def test_another_version_of_a_retained_kind_is_a_breaking_change(kube: Kube) -> None:
    """A definition re-created with another version or scope does not wreck what is stored."""
    kind, namespace = unique("Versioned"), await kube.namespace(unique("versioned"))
    await serve(kube, greeter(kind))
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)
    await kube.delete(DEFINITIONS, kind.lower())
    await kube.until_gone(DEFINITIONS, kind.lower())
    newer = greeter(kind)
    newer["spec"]["schema"]["apiVersion"] = "v1beta1"

    await kube.apply(newer)

    await until_says(kube, kind.lower(), "KindReady", "False", "breaking")
    await kube.delete(endpoint(kind), "one", namespace)
    await kube.until_gone(endpoint(kind), "one", namespace)


async def test_another_scope_of_a_retained_kind_is_refused(kube: Kube) -> None:
    """The API server does not change a CRD's scope; its own words say so."""
    kind = unique("Scoped")
    await serve(kube, greeter(kind))
    await kube.delete(DEFINITIONS, kind.lower())
    await kube.until_gone(DEFINITIONS, kind.lower())
    wanted = definition(kind, [], spec=greeter(kind)["spec"]["schema"]["spec"], scope="Cluster")

    await kube.apply(wanted)

    refused = await until_says(kube, kind.lower(), "KindReady", "False")
    message = condition(refused, "KindReady")["message"]
    assert "breaking" in message or "immutable" in message, message
