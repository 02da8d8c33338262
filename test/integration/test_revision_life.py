"""Revisions that others write, delete, orphan or hold: which one counts, which number is next."""

from __future__ import annotations

import copy

import pytest

from support.generated import REVISIONS, greeter, numbers, revisions, serve, until_says
from support.kube import CONFIGMAPS, DEFINITIONS, Json, Kube, condition, is_ready
from support.manifests import endpoint, instance, unique

pytestmark = pytest.mark.usefixtures("operator")


def _by_hand(definition: Json, number: int, spec: Json) -> Json:
    """Return a revision as somebody writes it who only knows the API."""
    name = definition["metadata"]["name"]
    return {
        "apiVersion": "internal.kro.run/v1alpha1",
        "kind": "GraphRevision",
        "metadata": {"name": f"{name}-r{number:05}"},
        "spec": {"revision": number, "snapshot": {"name": name, "generation": 1, "spec": spec}},
    }


async def _deleted(kube: Kube, *names: str) -> None:
    for name in names:
        await kube.delete(REVISIONS, name)
    for name in names:
        await kube.until_gone(REVISIONS, name)


async def test_the_latest_revision_deleted_by_hand_is_issued_again_above_its_number(
    kube: Kube,
) -> None:
    """The older one that is left says something else, and numbers are never used twice."""
    kind = unique("Hand")
    await serve(kube, greeter(kind))
    await serve(kube, greeter(kind, text="b"))

    await _deleted(kube, f"{kind.lower()}-r00002")

    await kube.until(REVISIONS, f"{kind.lower()}-r00003", is_ready)
    settled = await kube.until(
        DEFINITIONS,
        kind.lower(),
        lambda d: is_ready(d) and d["status"]["lastIssuedRevision"] == 3,
    )
    assert settled["status"]["state"] == "Active"
    assert await numbers(kube, kind.lower()) == [1, 3]


async def test_an_older_revision_that_says_the_same_serves_when_the_latest_goes(
    kube: Kube,
) -> None:
    """The latest one that is left counts; on a match nothing is issued, the high mark stays."""
    kind, namespace = unique("Older"), await kube.namespace(unique("older"))
    name = kind.lower()
    served = await serve(kube, greeter(kind))
    other = copy.deepcopy(served["spec"])
    other["resources"][0]["template"]["data"]["text"] = "by hand"
    await kube.client.create(REVISIONS, _by_hand(served, 2, other))
    await kube.until(REVISIONS, f"{name}-r00003", is_ready)

    await _deleted(kube, f"{name}-r00002")
    await _deleted(kube, f"{name}-r00003")

    back = await kube.until(
        DEFINITIONS,
        name,
        lambda d: (
            is_ready(d) and "revision 1 " in condition(d, "GraphRevisionsResolved")["message"]
        ),
    )
    assert back["status"]["lastIssuedRevision"] == 3
    assert await numbers(kube, name) == [1]
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)


async def test_all_revisions_deleted_by_hand_are_followed_by_the_next_number(kube: Kube) -> None:
    """Instances stay as they are meanwhile."""
    kind, namespace = unique("All"), await kube.namespace(unique("all"))
    name = kind.lower()
    await serve(kube, greeter(kind))
    await serve(kube, greeter(kind, text="b"))
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)
    child = await kube.get(CONFIGMAPS, "one", namespace)

    await _deleted(kube, f"{name}-r00001", f"{name}-r00002")

    await kube.until(REVISIONS, f"{name}-r00003", is_ready)
    await kube.until(
        DEFINITIONS, name, lambda d: is_ready(d) and d["status"]["lastIssuedRevision"] == 3
    )
    assert await numbers(kube, name) == [3]
    assert await kube.get(CONFIGMAPS, "one", namespace) == child


async def test_a_revision_that_does_not_compile_fails_and_the_spec_is_issued_after_it(
    kube: Kube,
) -> None:
    """Whatever somebody writes into a revision, the definition's own spec has the last word."""
    kind, namespace = unique("Rotten"), await kube.namespace(unique("rotten"))
    name = kind.lower()
    served = await serve(kube, greeter(kind))
    broken = copy.deepcopy(served["spec"])
    broken["resources"][0]["template"]["data"]["text"] = "${nothing.of.the.kind}"

    await kube.client.create(REVISIONS, _by_hand(served, 7, broken))

    failed = await kube.until(
        REVISIONS, f"{name}-r00007", lambda r: condition(r, "Ready").get("status") == "False"
    )
    message = condition(failed, "GraphVerified")["message"]
    assert condition(failed, "GraphVerified")["reason"] == "InvalidGraph"
    assert f'failed to compile graph revision "{name}-r00007"' in message
    assert "nothing" in message
    assert "topologicalOrder" not in failed["status"]
    settled = await kube.until(
        DEFINITIONS, name, lambda d: is_ready(d) and d["status"]["lastIssuedRevision"] == 8
    )
    assert settled["status"]["state"] == "Active"
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)


async def test_a_definition_that_comes_back_adopts_its_orphaned_revisions(kube: Kube) -> None:
    """Deleted with cascade=orphan: the name groups them; nothing new is issued, numbers go on."""
    kind = unique("Orphan")
    name = kind.lower()
    await serve(kube, greeter(kind))
    first = await serve(kube, greeter(kind, text="b"))
    await kube.delete(DEFINITIONS, name)
    await kube.until_gone(DEFINITIONS, name)
    await kube.merge(
        REVISIONS,
        f"{name}-r00001",
        {"metadata": {"ownerReferences": [_foreign_owner()]}},
    )

    second = await serve(kube, greeter(kind, text="b"))

    uid = second["metadata"]["uid"]
    assert uid != first["metadata"]["uid"]
    assert second["status"]["lastIssuedRevision"] == 2
    older, newer = await revisions(kube, name)
    assert [o["uid"] for o in newer["metadata"]["ownerReferences"]] == [uid]
    assert older["metadata"]["ownerReferences"][0] == _foreign_owner()
    assert older["metadata"]["ownerReferences"][1]["uid"] == uid
    await serve(kube, greeter(kind, text="c"))
    assert await numbers(kube, name) == [1, 2, 3]


def _foreign_owner() -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "u-0"}


async def test_a_definition_that_comes_back_waits_for_revisions_that_go(kube: Kube) -> None:
    """Settlement: their numbers are open until they are gone; then it starts at one again."""
    kind = unique("Settling")
    name = kind.lower()
    await serve(kube, greeter(kind))
    held = {"metadata": {"finalizers": ["kro.run/finalizer", "test.example.com/hold"]}}
    await kube.merge(REVISIONS, f"{name}-r00001", held)
    await kube.delete(DEFINITIONS, name)
    await kube.until_gone(DEFINITIONS, name)
    await kube.delete(REVISIONS, f"{name}-r00001")

    await kube.apply(greeter(kind))

    waiting = await until_says(kube, name, "GraphRevisionsResolved", "Unknown", "settle")
    reason = condition(waiting, "GraphRevisionsResolved")["reason"]
    assert reason == "WaitingForGraphRevisionSettlement"
    await kube.until(
        REVISIONS,
        f"{name}-r00001",
        lambda r: r["metadata"]["finalizers"] == ["test.example.com/hold"],
    )
    await kube.merge(REVISIONS, f"{name}-r00001", {"metadata": {"finalizers": []}})
    settled = await kube.until(DEFINITIONS, name, is_ready)
    assert settled["status"]["lastIssuedRevision"] == 1
    assert await numbers(kube, name) == [1]


async def test_a_number_that_somebody_else_holds_is_reported_and_taken_when_free(
    kube: Kube,
) -> None:
    """A revision of another definition stands where ours would: nothing is written over."""
    kind = unique("Taken")
    name = kind.lower()
    other = _by_hand({"metadata": {"name": f"{name}-other"}}, 1, greeter(kind)["spec"])
    other["metadata"]["name"] = f"{name}-r00001"
    await kube.client.create(REVISIONS, other)

    await kube.apply(greeter(kind))

    await until_says(
        kube, name, "GraphAccepted", "False", f'creating graph revision "{name}-r00001"'
    )
    await kube.delete(REVISIONS, f"{name}-r00001")
    await kube.until(DEFINITIONS, name, is_ready)
    assert await numbers(kube, name) == [1]
