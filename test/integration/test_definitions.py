"""What an author sees: a definition that works is served, one that does not says why and heals."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kro.runtime.client import InvalidError
from support.kube import CONFIGMAPS, CRDS, DEFINITIONS, Json, Kube, condition, is_ready
from support.manifests import configmap, definition, endpoint, instance, unique
from support.operator import Operator

pytestmark = pytest.mark.usefixtures("operator")


def _greeter(kind: str) -> Json:
    return definition(
        kind,
        [
            configmap(
                "config", name="${schema.metadata.name}", data={"text": "${schema.spec.message}"}
            )
        ],
        spec={"message": "string | default=hello", "copies": "integer | default=1"},
        status={"text": "${config.data.text}"},
    )


def _with_resource(kind: str, resource: Json) -> Json:
    broken = _greeter(kind)
    broken["spec"]["resources"].append(resource)
    return broken


def _deployment(**spec: Any) -> Json:
    return {
        "id": "deployment",
        "template": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "${schema.metadata.name}"},
            "spec": {
                "selector": {"matchLabels": {"app": "x"}},
                "template": {
                    "metadata": {"labels": {"app": "x"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
                **spec,
            },
        },
    }


def _unknown_field(kind: str) -> Json:
    return _with_resource(kind, _deployment(replicaz=1))


def _misspelled_reference(kind: str) -> Json:
    broken = _with_resource(kind, _deployment())
    broken["spec"]["resources"].append(
        configmap("other", name="${schema.metadata.name}-2", data={"n": "${deploymnt.spec}"})
    )
    return broken


def _wrong_type(kind: str) -> Json:
    return _with_resource(kind, _deployment(replicas="${schema.spec.message}"))


def _cycle(kind: str) -> Json:
    broken = _greeter(kind)
    broken["spec"]["resources"] += [
        configmap("a", name="${schema.metadata.name}-a", data={"v": "${b.data.v}"}),
        configmap("b", name="${schema.metadata.name}-b", data={"v": "${a.data.v}"}),
    ]
    return broken


def _missing_kind(kind: str) -> Json:
    return _with_resource(
        kind,
        {
            "id": "bucket",
            "template": {
                "apiVersion": "storage.example.com/v1",
                "kind": "Bucket",
                "metadata": {"name": "b"},
            },
        },
    )


def _syntax_error(kind: str) -> Json:
    broken = _greeter(kind)
    broken["spec"]["resources"][0]["template"]["data"]["text"] = "${schema.spec.message +}"
    return broken


BAD = [
    pytest.param(
        _unknown_field,
        ["spec.resources[1].template.spec.replicaz", "replicas"],
        id="unknown field",
    ),
    pytest.param(
        _misspelled_reference,
        ["spec.resources[2].template.data.n", "deploymnt", "deployment", "^"],
        id="misspelled reference",
    ),
    pytest.param(
        _wrong_type,
        ["spec.resources[1].template.spec.replicas", "schema.spec.message", "string", "int"],
        id="wrong type",
    ),
    pytest.param(_cycle, ["graph contains a cycle", "a -> b -> a"], id="cycle"),
    pytest.param(
        _missing_kind,
        ["spec.resources[1]", "storage.example.com/v1", "schema not found"],
        id="missing kind",
    ),
    pytest.param(
        _syntax_error,
        ["spec.resources[0].template.data.text", "schema.spec.message +", "^"],
        id="syntax error",
    ),
]


@pytest.mark.parametrize(("break_it", "fragments"), BAD)
async def test_a_bad_definition_says_why_and_heals_when_it_is_mended(
    kube: Kube, break_it: Any, fragments: list[str]
) -> None:
    """The condition names path, expression and reason; no restart is needed; others go on."""
    kind = unique("Bad")
    name = kind.lower()

    await kube.apply(break_it(kind))

    refused = await kube.until(
        DEFINITIONS, name, lambda d: condition(d, "GraphAccepted").get("status") == "False"
    )
    message = condition(refused, "GraphAccepted")["message"]
    assert [f for f in fragments if f not in message] == [], message
    assert refused["status"]["state"] == "Inactive"
    assert condition(refused, "Ready")["status"] == "False"

    neighbour = unique("Neighbour")
    await kube.apply(_greeter(neighbour))
    await kube.until(DEFINITIONS, neighbour.lower(), is_ready)

    await kube.apply(_greeter(kind))

    mended = await kube.until(DEFINITIONS, name, is_ready)
    assert mended["status"]["state"] == "Active"
    for definition_name in (name, neighbour.lower()):
        await kube.delete(DEFINITIONS, definition_name)
        await kube.until_gone(DEFINITIONS, definition_name)


async def test_a_definition_becomes_an_api(kube: Kube) -> None:
    """Conditions, state, order and dependencies tell that the kind is served."""
    kind = unique("Served")
    wanted = _greeter(kind)
    wanted["spec"]["resources"].insert(
        0,
        configmap("after", name="${schema.metadata.name}-after", data={"t": "${config.data.text}"}),
    )

    await kube.apply(wanted)

    served = await kube.until(DEFINITIONS, kind.lower(), is_ready)
    status = served["status"]
    assert status["state"] == "Active"
    assert status["topologicalOrder"] == ["config", "after"]
    assert status["resources"] == [{"id": "after", "dependencies": [{"id": "config"}]}]
    assert served["metadata"]["finalizers"] == ["kro.run/finalizer"]
    assert [c["type"] for c in status["conditions"]][-1] == "Ready"
    crd = await kube.get(CRDS, f"{endpoint(kind).resource}.kro.run")
    assert crd is not None
    assert crd["metadata"]["labels"]["kro.run/resource-graph-definition-name"] == kind.lower()


async def test_an_instance_created_the_moment_a_definition_is_ready_is_served(kube: Kube) -> None:
    """Ready means served and watched."""
    kind, namespace = unique("Prompt"), await kube.namespace(unique("prompt"))
    await kube.apply(_greeter(kind))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)

    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))

    found = await kube.until(endpoint(kind), "one", is_ready, namespace, timeout_s=5)
    assert found["status"]["state"] == "ACTIVE"
    assert found["status"]["text"] == "hello"
    assert await kube.get(CONFIGMAPS, "one", namespace) is not None


async def test_the_generated_api_refuses_a_wrong_type(kube: Kube) -> None:
    """The API server itself answers with the path and the expected type."""
    kind, namespace = unique("Typed"), await kube.namespace(unique("typed"))
    await kube.apply(_greeter(kind))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)

    with pytest.raises(InvalidError, match=r"spec\.copies") as refused:
        await kube.client.create(
            endpoint(kind),
            instance(kind, "one", namespace, {"copies": "many"}),
            namespace=namespace,
        )

    assert "integer" in str(refused.value)


async def test_a_second_definition_of_a_kind_is_refused_and_harms_nothing(kube: Kube) -> None:
    """The first keeps the kind, also when the second is deleted."""
    kind, namespace = unique("Claimed"), await kube.namespace(unique("claimed"))
    await kube.apply(_greeter(kind))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)
    second = copy.deepcopy(_greeter(kind))
    second["metadata"]["name"] = f"{kind.lower()}-second"

    await kube.apply(second)

    refused = await kube.until(
        DEFINITIONS,
        second["metadata"]["name"],
        lambda d: condition(d, "KindReady").get("status") == "False",
    )
    assert "owned by another" in condition(refused, "KindReady")["message"]
    await kube.delete(DEFINITIONS, second["metadata"]["name"])
    await kube.until_gone(DEFINITIONS, second["metadata"]["name"])
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)


async def test_a_kind_that_appears_later_wakes_the_definition_that_needs_it(kube: Kube) -> None:
    """Chaining: a definition may use another's kind, whichever is created first; no polling."""
    inner, outer = unique("Inner"), unique("Outer")
    namespace = await kube.namespace(unique("chained"))
    await kube.apply(
        definition(
            outer,
            [
                {
                    "id": "inner",
                    "template": {
                        "apiVersion": "kro.run/v1alpha1",
                        "kind": inner,
                        "metadata": {"name": "${schema.metadata.name}"},
                        "spec": {"message": "${schema.spec.message}"},
                    },
                }
            ],
            spec={"message": "string"},
            status={"text": "${inner.status.text}"},
        )
    )
    await kube.until(
        DEFINITIONS,
        outer.lower(),
        lambda d: "schema not found" in condition(d, "GraphAccepted").get("message", ""),
    )

    await kube.apply(_greeter(inner))

    await kube.until(DEFINITIONS, outer.lower(), is_ready, timeout_s=10)
    await kube.apply(instance(outer, "one", namespace, {"message": "hi"}), gvr=endpoint(outer))
    found = await kube.until(
        endpoint(outer), "one", lambda o: o.get("status", {}).get("text") == "hi", namespace
    )
    assert found["status"]["text"] == "hi"


async def test_a_deleted_crd_is_made_again(kube: Kube) -> None:
    """The generated CRD is repaired like any other object of kro's."""
    kind = unique("Repaired")
    name = f"{endpoint(kind).resource}.kro.run"
    await kube.apply(_greeter(kind))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)
    before = await kube.get(CRDS, name)
    assert before is not None

    await kube.delete(CRDS, name)

    await kube.until(CRDS, name, lambda c: c["metadata"]["uid"] != before["metadata"]["uid"])


async def test_instances_finish_after_their_definition_is_gone(kube: Kube) -> None:
    """Design D9: a definition deleted first does not strand its instances."""
    kind, namespace = unique("Orphaned"), await kube.namespace(unique("orphaned"))
    await kube.apply(_greeter(kind))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)
    await kube.apply(instance(kind, "one", namespace), gvr=endpoint(kind))
    await kube.until(endpoint(kind), "one", is_ready, namespace)

    await kube.delete(DEFINITIONS, kind.lower())
    await kube.until_gone(DEFINITIONS, kind.lower())
    assert await kube.get(CONFIGMAPS, "one", namespace) is not None
    await kube.delete(endpoint(kind), "one", namespace)

    await kube.until_gone(endpoint(kind), "one", namespace)
    assert await kube.get(CONFIGMAPS, "one", namespace) is None


async def test_a_breaking_change_waits_for_its_annotation(kube: Kube) -> None:
    """The CRD keeps its schema until the author permits the change."""
    kind = unique("Broken")
    await kube.apply(_greeter(kind))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)
    changed = _greeter(kind)
    del changed["spec"]["schema"]["spec"]["copies"]

    await kube.apply(changed)

    refused = await kube.until(
        DEFINITIONS,
        kind.lower(),
        lambda d: condition(d, "KindReady").get("status") == "False",
    )
    assert "breaking" in condition(refused, "KindReady")["message"]
    await kube.merge(
        DEFINITIONS,
        kind.lower(),
        {"metadata": {"annotations": {"kro.run/allow-breaking-changes": "true"}}},
    )
    await kube.until(DEFINITIONS, kind.lower(), is_ready)


async def test_an_unknown_flag_is_a_usage_error(tmp_path: Any, cluster: Any) -> None:
    """The command line is checked before anything is done."""
    process = Operator(cluster.kubeconfig, tmp_path / "log", flags=["--nope"])
    process.start()

    assert process.wait_exit() == 2
    assert "flag provided but not defined: -nope" in process.last_lines(1000)


async def test_deleting_a_definition_keeps_its_crd(kube: Kube) -> None:
    """Without --allow-crd-deletion, the CRD and with it all instances stay."""
    kind = unique("Kept")
    await kube.apply(_greeter(kind))
    await kube.until(DEFINITIONS, kind.lower(), is_ready)

    await kube.delete(DEFINITIONS, kind.lower())

    await kube.until_gone(DEFINITIONS, kind.lower())
    assert await kube.get(CRDS, f"{endpoint(kind).resource}.kro.run") is not None
