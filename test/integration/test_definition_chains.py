"""Definitions whose resources are kinds of other definitions: found, changed, and gone again."""

from __future__ import annotations

import pytest

from support.generated import crd_name, greeter, numbers, serve, served_crd, until_says, using
from support.kube import CRDS, DEFINITIONS, Kube, is_ready
from support.manifests import endpoint, instance, unique

pytestmark = pytest.mark.usefixtures("operator")


async def test_a_chain_comes_up_in_any_order(kube: Kube) -> None:
    """Each link waits for the one below, woken by its CRD: no polling, no back-off to sit out."""
    first, second, third = unique("Third"), unique("Second"), unique("First")
    namespace = await kube.namespace(unique("links"))
    await kube.apply(using(third, second, message="${schema.spec.message}"), gvr=DEFINITIONS)
    await kube.apply(using(second, first, message="${schema.spec.message}"), gvr=DEFINITIONS)
    await until_says(kube, third.lower(), "GraphAccepted", "False", "schema not found")
    await until_says(kube, second.lower(), "GraphAccepted", "False", "schema not found")

    await kube.apply(greeter(first))

    for kind in (first, second, third):
        await kube.until(DEFINITIONS, kind.lower(), is_ready, timeout_s=10)
    await kube.apply(instance(third, "one", namespace, {"message": "deep"}), gvr=endpoint(third))
    await kube.until(
        endpoint(first), "one", lambda o: o.get("status", {}).get("text") == "deep", namespace
    )


async def test_a_field_that_a_used_kind_gains_wakes_the_definition_that_needs_it(
    kube: Kube,
) -> None:
    """A change of the CRD is an event, and its schema is the one that is served then."""
    inner, outer = unique("Gains"), unique("Needs")
    await serve(kube, greeter(inner))
    await kube.apply(using(outer, inner, colour="red"), gvr=DEFINITIONS)
    await until_says(kube, outer.lower(), "GraphAccepted", "False", "colour")
    grown = greeter(inner)
    grown["spec"]["schema"]["spec"]["colour"] = "string | default=blue"

    await serve(kube, grown)

    await kube.until(DEFINITIONS, outer.lower(), is_ready)


async def test_a_used_kind_that_vanishes_leaves_the_definition_in_service(kube: Kube) -> None:
    """What was compiled serves on; the next edit is checked against what there is."""
    inner, outer = unique("Vanishes"), unique("Stays")
    await serve(kube, greeter(inner))
    await serve(kube, using(outer, inner, message="a"))
    await kube.delete(DEFINITIONS, inner.lower())
    await kube.until_gone(DEFINITIONS, inner.lower())

    await kube.delete(CRDS, crd_name(inner))
    await kube.until_gone(CRDS, crd_name(inner))

    await serve(kube, greeter(unique("Meanwhile")))
    found = await kube.get(DEFINITIONS, outer.lower())
    assert found is not None
    assert is_ready(found)
    assert found["status"]["state"] == "Active"
    await kube.apply(using(outer, inner, message="b"), gvr=DEFINITIONS)
    await until_says(kube, outer.lower(), "GraphAccepted", "False", "schema not found")
    assert await numbers(kube, outer.lower()) == [1]
    await serve(kube, greeter(inner))
    await kube.until(DEFINITIONS, outer.lower(), is_ready)


async def test_a_definition_may_use_its_own_kind(kube: Kube) -> None:
    """Q11: once its CRD exists, nothing forbids it."""
    kind = unique("Self")
    await serve(kube, greeter(kind))
    wanted = using(kind, kind, message="again")
    wanted["spec"]["resources"][0]["includeWhen"] = ['${schema.spec.message == "recurse"}']
    wanted["spec"]["schema"] = greeter(kind)["spec"]["schema"]
    wanted["spec"]["schema"].pop("status")
    wanted["metadata"]["annotations"] = {"kro.run/allow-breaking-changes": "true"}

    served = await serve(kube, wanted)

    assert served["status"]["state"] == "Active"
    settled = (await served_crd(kube, kind))["metadata"]["resourceVersion"]
    await serve(kube, greeter(unique("Meanwhile")))
    assert (await served_crd(kube, kind))["metadata"]["resourceVersion"] == settled


async def test_two_definitions_may_use_each_other(kube: Kube) -> None:
    """A loop between kinds is no loop in a graph, and it settles."""
    one, other = unique("Hen"), unique("Egg")
    await serve(kube, greeter(one))
    await serve(kube, using(other, one, message="a"))
    looped = greeter(one)
    looped["spec"]["resources"].append(using(one, other)["spec"]["resources"][0])
    looped["spec"]["resources"][1]["includeWhen"] = ['${schema.spec.message == "recurse"}']

    await serve(kube, looped)

    for kind in (one, other):
        await kube.until(DEFINITIONS, kind.lower(), is_ready)
    assert await numbers(kube, one.lower()) == [1, 2]
    assert await numbers(kube, other.lower()) == [1]
