"""What a process finds when it starts: its own work, another's, and what was orphaned meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from kro.controllers.crd import is_established
from kro.graph import spec_hash
from support.audit import log_of
from support.generated import (
    REVISIONS,
    crd_name,
    greeter,
    numbers,
    revisions,
    serve,
    served_crd,
    until_says,
    using,
)
from support.kube import CONFIGMAPS, CRDS, DEFINITIONS, Json, Kube, condition, is_ready
from support.manifests import endpoint, instance, unique
from support.operator import Operator, Surroundings


@pytest.fixture
def process(private_cluster: Surroundings) -> Iterator[Operator]:
    """A controller of this test alone, not yet started."""
    operator = Operator(private_cluster.controller_kubeconfig, private_cluster.log)
    try:
        yield operator
    finally:
        operator.stop()


@pytest_asyncio.fixture
async def user(private_cluster: Surroundings) -> AsyncIterator[Kube]:
    """An administrator of the cluster that the process works on."""
    async with Kube(private_cluster.kubeconfig) as kube:
        yield kube


async def test_a_restart_changes_nothing(
    process: Operator, user: Kube, private_cluster: Surroundings
) -> None:
    """What is Active stays so, untouched, and is served at once; not one write is made."""
    kinds = [unique("Steady") for _ in range(3)]
    namespace = await user.namespace(unique("steady"))
    process.start()
    await process.ready()
    for kind in kinds:
        await serve(user, greeter(kind))
        await user.apply(instance(kind, f"{kind.lower()}-1", namespace), gvr=endpoint(kind))
        await user.until(endpoint(kind), f"{kind.lower()}-1", is_ready, namespace)
    process.stop()
    log = log_of(private_cluster)

    process.start()
    await process.ready()

    newcomer = unique("Newcomer")
    await serve(user, greeter(newcomer))
    for kind in kinds:
        await user.apply(instance(kind, f"{kind.lower()}-2", namespace), gvr=endpoint(kind))
        await user.until(endpoint(kind), f"{kind.lower()}-2", is_ready, namespace)
        assert await numbers(user, kind.lower()) == [1]
    new = (newcomer.lower(), *(f"{kind.lower()}-2" for kind in kinds))
    written = [str(write) for write in log.writes()]
    assert [w for w in written if not any(name in w for name in new)] == []


async def test_an_edit_made_meanwhile_is_taken_up(process: Operator, user: Kube) -> None:
    """And where the edit is bad, the last good revision serves on after the restart too."""
    good, bad, namespace = unique("Good"), unique("Bad"), await user.namespace(unique("edits"))
    process.start()
    await process.ready()
    for kind in (good, bad):
        await serve(user, greeter(kind))
    process.kill()
    await user.apply(greeter(good, text="new"))
    await user.apply(greeter(bad, text="${schema.spec.mesage}"))

    process.start()
    await process.ready()

    await user.until(DEFINITIONS, good.lower(), is_ready)
    await until_says(user, bad.lower(), "GraphAccepted", "False", "mesage")
    for kind, text in ((good, "new"), (bad, "hello")):
        await user.apply(instance(kind, text, namespace), gvr=endpoint(kind))
        found = await user.until(endpoint(kind), text, is_ready, namespace)
        assert found["status"]["text"] == text


async def test_a_revision_that_no_longer_compiles_stops_its_instances_until_it_does(
    process: Operator, user: Kube
) -> None:
    """The kind that it used went while we were away: Failed; it heals when the kind is back."""
    inner, outer = unique("Lost"), unique("Loser")
    namespace = await user.namespace(unique("lost"))
    process.start()
    await process.ready()
    await serve(user, greeter(inner))
    await serve(user, using(outer, inner, message="a"))
    process.kill()
    await user.merge(DEFINITIONS, inner.lower(), {"metadata": {"finalizers": []}})
    await user.delete(DEFINITIONS, inner.lower())
    await user.until_gone(DEFINITIONS, inner.lower())
    await user.delete(CRDS, crd_name(inner))
    await user.until_gone(CRDS, crd_name(inner))

    process.start()
    await process.ready()

    failed = await until_says(user, outer.lower(), "GraphRevisionsResolved", "False")
    text = "latest graph revision 1 failed compilation"
    for kind in ("GraphRevisionsResolved", "GraphAccepted"):
        assert condition(failed, kind)["message"] == text
    assert failed["status"]["state"] == "Inactive"
    assert failed["status"]["topologicalOrder"] == ["inner"]
    await user.apply(instance(outer, "one", namespace), gvr=endpoint(outer))
    stopped = await user.until(
        endpoint(outer),
        "one",
        lambda o: condition(o, "GraphResolved").get("status") == "False",
        namespace,
    )
    assert "revision 1 failed" in condition(stopped, "GraphResolved")["message"]
    assert stopped["status"]["state"] == "ERROR"
    await user.apply(greeter(inner))
    for kind in (inner, outer):
        await user.until(DEFINITIONS, kind.lower(), is_ready)
    assert await numbers(user, outer.lower()) == [1]
    await user.until(endpoint(outer), "one", is_ready, namespace)


async def test_a_failed_revision_is_followed_by_the_next_edit(
    process: Operator, user: Kube
) -> None:
    """The hash no longer matches, so the new spec is checked and issued."""
    inner, outer = unique("Broken"), unique("Mended")
    process.start()
    await process.ready()
    await serve(user, greeter(inner))
    await serve(user, using(outer, inner, message="a"))
    process.kill()
    await user.delete(CRDS, crd_name(inner))
    shrunk = greeter(inner)
    shrunk["spec"]["schema"]["spec"] = {"other": "string"}
    shrunk["spec"]["resources"] = []
    shrunk["spec"]["schema"].pop("status")
    await user.apply(shrunk)
    process.start()
    await process.ready()
    await until_says(user, outer.lower(), "GraphRevisionsResolved", "False")

    await user.apply(using(outer, inner, other="b"), gvr=DEFINITIONS)

    await user.until(DEFINITIONS, outer.lower(), is_ready)
    assert await numbers(user, outer.lower()) == [1, 2]


async def test_instances_left_by_a_deleted_definition_finish_after_a_restart(
    process: Operator, user: Kube
) -> None:
    """Design D9, across processes: the CRD alone tells that its instances need somebody."""
    kind, namespace = unique("Left"), await user.namespace(unique("left"))
    process.start()
    await process.ready()
    await serve(user, greeter(kind))
    await user.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await user.until(endpoint(kind), "one", is_ready, namespace)
    await user.delete(DEFINITIONS, kind.lower())
    await user.until_gone(DEFINITIONS, kind.lower())
    process.kill()
    await user.delete(endpoint(kind), "one", namespace)

    process.start()

    await user.until_gone(endpoint(kind), "one", namespace)
    assert await user.get(CONFIGMAPS, "one", namespace) is None


async def test_a_broken_definition_does_not_strand_the_instances_of_its_predecessor(
    process: Operator, user: Kube
) -> None:
    """Same name, no revision left, a spec that does not build: the retained kind can be emptied."""
    kind, namespace = unique("Heirless"), await user.namespace(unique("heirless"))
    process.start()
    await process.ready()
    await serve(user, greeter(kind))
    await user.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await user.until(endpoint(kind), "one", is_ready, namespace)
    await user.delete(DEFINITIONS, kind.lower())
    await user.until_gone(DEFINITIONS, kind.lower())
    await user.delete(REVISIONS, f"{kind.lower()}-r00001")
    await user.until_gone(REVISIONS, f"{kind.lower()}-r00001")
    process.kill()
    await user.apply(greeter(kind, text="${nothing}"))

    process.start()
    await process.ready()
    await until_says(user, kind.lower(), "GraphAccepted", "False", "nothing")
    await user.delete(endpoint(kind), "one", namespace)

    await user.until_gone(endpoint(kind), "one", namespace)


async def test_with_crd_deletion_allowed_everything_goes(
    private_cluster: Surroundings, user: Kube
) -> None:
    """CRD, instances and their objects, in order and without anybody's help."""
    kind, namespace = unique("Wiped"), await user.namespace(unique("wiped"))
    second = f"{kind.lower()}-second"
    flags = ["--allow-crd-deletion"]
    with Operator(private_cluster.controller_kubeconfig, private_cluster.log, flags=flags) as wiper:
        await wiper.ready()
        await serve(user, greeter(kind))
        await user.apply(greeter(kind, name=second))
        await until_says(user, second, "KindReady", "False", "owned by another")
        for name in ("one", "two"):
            await user.apply(instance(kind, name, namespace), gvr=endpoint(kind))
            await user.until(endpoint(kind), name, is_ready, namespace)
        loser = f"{kind.lower()}-third"
        await user.apply(greeter(kind, name=loser))
        await until_says(user, loser, "KindReady", "False", "owned by another")
        await user.delete(DEFINITIONS, loser)
        await user.until_gone(DEFINITIONS, loser)
        crd = await served_crd(user, kind)
        assert "deletionTimestamp" not in crd["metadata"]

        await user.delete(DEFINITIONS, kind.lower())

        await user.until_gone(DEFINITIONS, kind.lower())
        await user.until(DEFINITIONS, second, is_ready)
        renewed = await served_crd(user, kind)
        assert renewed["metadata"]["uid"] != crd["metadata"]["uid"]
        for name in ("one", "two"):
            assert await user.get(endpoint(kind), name, namespace) is None
            assert await user.get(CONFIGMAPS, name, namespace) is None


# taking over from kro (Go)


async def test_a_cluster_of_kro_go_is_taken_over_without_a_new_revision(
    process: Operator, user: Kube, private_cluster: Surroundings
) -> None:
    """Its revisions and CRDs are served as they are; instances stay, with their objects."""
    kind, namespace = unique("Taken"), await user.namespace(unique("taken"))
    name = kind.lower()
    await _as_kro_go_left_it(user, kind)
    log = log_of(private_cluster)

    process.start()
    await process.ready()

    await user.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await user.until(endpoint(kind), "one", is_ready, namespace)
    found = await user.get(DEFINITIONS, name)
    assert found is not None
    assert found["status"]["state"] == "Active"
    assert found["status"]["lastIssuedRevision"] == 4
    assert is_ready(found)
    written = [str(write) for write in log.writes()]
    assert [w for w in written if "graphrevisions" in w] == []
    crd = await served_crd(user, kind)
    assert crd["metadata"]["generation"] == 1, "its schema was written again"
    assert [r["spec"]["revision"] for r in await revisions(user, name)] == [3, 4]
    await serve(user, greeter(kind, text="ours"))
    assert await numbers(user, name) == [3, 4, 5]


async def _as_kro_go_left_it(user: Kube, kind: str) -> None:
    """Make the objects of a definition as kro (Go) v0.9 writes them, after its third edit."""
    name = kind.lower()
    written: Json = await user.client.create(
        DEFINITIONS,
        {**greeter(kind), "metadata": {"name": name, "finalizers": ["kro.run/finalizer"]}},
    )
    for number, text in ((3, "older"), (4, "")):
        spec = written["spec"] if not text else {**greeter(kind, text=text)["spec"]}
        await _revision_of_kro_go(user, written, number, spec)
    labels = {
        "kro.run/owned": "true",
        "kro.run/kro-version": "v0.9.3",
        "kro.run/resource-graph-definition-id": written["metadata"]["uid"],
        "kro.run/resource-graph-definition-name": name,
    }
    await user.client.create(CRDS, _crd_of_kro_go(kind, labels))
    await user.until(CRDS, crd_name(kind), is_established)
    rows = [
        ("GraphAccepted", "Valid", "resource graph and schema are valid"),
        ("GraphRevisionsResolved", "Resolved", "revision 4 compiled and active"),
        ("KindReady", "Ready", f"kind {kind} has been accepted and ready"),
        ("ControllerReady", "Running", "controller is running"),
        ("Ready", "Ready", ""),
    ]
    status = {
        "state": "Active",
        "lastIssuedRevision": 4,
        "topologicalOrder": ["config"],
        "conditions": [_condition(*row, at=written) for row in rows],
    }
    await user.merge(DEFINITIONS, name, {"status": status}, subresource="status")


async def _revision_of_kro_go(user: Kube, owner: Json, number: int, spec: Json) -> None:
    name = owner["metadata"]["name"]
    revision: Json = await user.client.create(
        REVISIONS,
        {
            "apiVersion": "internal.kro.run/v1alpha1",
            "kind": "GraphRevision",
            "metadata": {
                "name": f"{name}-r{number:05}",
                "finalizers": ["kro.run/finalizer"],
                "labels": {
                    "kro.run/owned": "true",
                    "kro.run/kro-version": "v0.9.3",
                    "kro.run/resource-graph-definition-name": name,
                    "kro.run/graph-revision-hash": spec_hash(spec),
                },
                "ownerReferences": [
                    {
                        "apiVersion": "kro.run/v1alpha1",
                        "kind": "ResourceGraphDefinition",
                        "name": name,
                        "uid": owner["metadata"]["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": {
                "revision": number,
                "snapshot": {"name": name, "generation": number, "spec": spec},
            },
        },
    )
    verified = ("GraphVerified", "Verified", "graph revision compiled and verified")
    status = {
        "topologicalOrder": ["config"],
        "conditions": [
            _condition(*verified, at=revision),
            _condition("Ready", "Ready", "", at=revision),
        ],
    }
    await user.merge(
        REVISIONS, revision["metadata"]["name"], {"status": status}, subresource="status"
    )


def _condition(kind: str, reason: str, message: str, *, at: Json) -> Json:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": at["metadata"]["creationTimestamp"],
        "observedGeneration": at["metadata"]["generation"],
    }


def _crd_of_kro_go(kind: str, labels: Json) -> Json:
    """Return the CRD that kro (Go) generates for `greeter`; spec: API surface §3."""
    text = {"type": "string"}
    conditions = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "lastTransitionTime": text,
                "message": text,
                "observedGeneration": {"type": "integer"},
                "reason": text,
                "status": text,
                "type": text,
            },
        },
    }
    columns = [
        {
            "name": "State",
            "type": "string",
            "description": "The state of a ResourceGraphDefinition instance",
            "jsonPath": ".status.state",
        },
        {
            "name": "Ready",
            "type": "string",
            "description": "Whether a ResourceGraphDefinition instance is ready",
            "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
        },
        {
            "name": "Age",
            "type": "date",
            "description": "Age of the resource",
            "jsonPath": ".metadata.creationTimestamp",
        },
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": crd_name(kind), "labels": labels},
        "spec": {
            "group": "kro.run",
            "scope": "Namespaced",
            "names": {
                "plural": endpoint(kind).resource,
                "singular": kind.lower(),
                "kind": kind,
                "listKind": f"{kind}List",
            },
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "apiVersion": text,
                                "kind": text,
                                "metadata": {"type": "object"},
                                "spec": {
                                    "type": "object",
                                    "default": {},
                                    "properties": {
                                        "message": {"type": "string", "default": "hello"},
                                        "copies": {"type": "integer", "default": 1},
                                    },
                                },
                                "status": {
                                    "type": "object",
                                    "properties": {
                                        "state": text,
                                        "conditions": conditions,
                                        "text": text,
                                    },
                                },
                            },
                        }
                    },
                }
            ],
        },
    }
