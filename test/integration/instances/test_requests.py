# ruff: noqa: E501 - definitions stand here as authors write them
"""What a pass costs in requests, and what an instance says while it has no graph (scenario G-19).

Source: spec instance-runtime.md §10.G; design.md D5, D8.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from kro.controllers.instance import InstanceSettings, Serving, Unavailable
from kro.refs import NamespacedName
from kro.runtime import CheckAgain, Settled
from support.inprocess import InProcess, in_process
from support.kube import CONFIGMAPS, condition
from support.lab import Lab, state

ONE = """
schema: {kind: One, spec: {v: string}, status: {v: "${cm.data.v}"}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "${schema.spec.v}"}}
"""
CHAIN = "schema: {kind: Chain, spec: {v: string}}\nresources:" + "".join(
    f"""
- id: n{at}
  template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: "${{schema.metadata.name}}-{at}"}}, data: {{v: "{f"${{n{at - 1}.data.v}}" if at else "${schema.spec.v}"}"}}}}"""
    for at in range(10)
)
MANY = """
schema: {kind: Many, spec: {n: integer}}
resources:
- id: cms
  forEach: [{i: "${lists.range(schema.spec.n)}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${string(i)}"}}
"""

READER = """
schema: {kind: Reader, spec: {}}
resources:
- id: src
  externalRef: {apiVersion: v1, kind: ConfigMap, metadata: {name: ext}}
- id: copy
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-copy"}, data: {v: "${src.data.v}"}}
"""
ELSEWHERE = """
schema: {kind: Elsewhere, spec: {ns: string}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}", namespace: "${schema.spec.ns}"}}
"""


@pytest_asyncio.fixture
async def stage(cluster: Any) -> AsyncIterator[tuple[InProcess, Lab]]:
    """A controller in this process and a lab for it."""
    async with in_process(cluster.kubeconfig) as opened:
        yield opened


async def quiet(controller: InProcess) -> dict[str, int]:
    """Return the requests up to a moment of silence."""
    seen = controller.requests.take()
    while True:
        await asyncio.sleep(0.4)  # long enough for any event that is on its way
        more = controller.requests.take()
        if not more:
            return dict(seen)
        seen += more


async def test_one_child_costs_four_requests(stage: tuple[InProcess, Lab]) -> None:
    """Finalizer, inventory, child, status; an edit costs two, drift one, deletion two."""
    controller, lab = stage
    await controller.serve(lab, ONE)
    await quiet(controller)
    await lab.create("One", "x", {"v": "1"})
    await lab.settled("One", "x")
    assert await quiet(controller) == {"apply ones": 2, "apply configmaps": 1, "update ones": 1}
    await lab.edit("One", "x", v="2")
    await lab.settled("One", "x")
    assert await quiet(controller) == {"apply configmaps": 1, "update ones": 1}
    await lab.edit_cm("x", v="drift")
    await lab.until_cm("x", lambda cm: cm["data"]["v"] == "2")
    assert await quiet(controller) == {"apply configmaps": 1}
    await lab.kube.delete(CONFIGMAPS, "x", lab.namespace)
    await lab.until_cm("x")
    assert await quiet(controller) == {"apply configmaps": 1}
    await lab.delete("One", "x")
    await lab.gone("One", "x")
    assert await quiet(controller) == {"delete configmaps": 1, "patch ones": 1}
    assert set(controller.forgotten.names) == {NamespacedName(lab.namespace, "x")}


async def test_chain_costs_one_request_a_link(stage: tuple[InProcess, Lab]) -> None:
    """Depth costs no passes: ten applies, two writes of metadata, one status."""
    controller, lab = stage
    await controller.serve(lab, CHAIN)
    await quiet(controller)
    await lab.create("Chain", "x", {"v": "1"})
    await lab.settled("Chain", "x")
    assert await quiet(controller) == {
        "apply chains": 2,
        "apply configmaps": 10,
        "update chains": 1,
    }


async def test_settled_pass_costs_nothing(stage: tuple[InProcess, Lab]) -> None:
    """Neither a read nor a write, however often it is repeated, and for changes of others."""
    controller, lab = stage
    graph = await controller.serve(lab, CHAIN)
    await lab.create("Chain", "x", {"v": "1"})
    await lab.settled("Chain", "x")
    await quiet(controller)
    for _ in range(3):
        await controller.settle(graph.instance.mapped.gvr, NamespacedName(lab.namespace, "x"))
    patch = {"metadata": {"annotations": {"theirs": "1"}}}
    await lab.kube.merge(CONFIGMAPS, "x-3", patch, lab.namespace)
    assert await quiet(controller) == {}


async def test_scaling_a_collection_costs_its_items(stage: tuple[InProcess, Lab]) -> None:
    """Pruning lists nothing: what is there is known."""
    controller, lab = stage
    await controller.serve(lab, MANY)
    await quiet(controller)
    await lab.create("Many", "x", {"n": 20})
    await lab.settled("Many", "x")
    assert await quiet(controller) == {
        "apply manies": 2,
        "apply configmaps": 20,
        "update manies": 1,
    }
    await lab.edit("Many", "x", n=5)
    await lab.settled("Many", "x")
    assert await quiet(controller) == {
        "apply configmaps": 5,  # their size label changes
        "delete configmaps": 15,
        "update manies": 1,
    }


async def test_refusals_are_retried_less_and_less_often(cluster: Any) -> None:
    """Nothing tells when a namespace comes, so it is looked for; an edit begins anew."""
    settings = InstanceSettings(requeue_s=100)
    async with in_process(cluster.kubeconfig, settings) as (controller, lab):
        graph = await controller.serve(lab, ELSEWHERE)
        gvr, name = graph.instance.mapped.gvr, NamespacedName(lab.namespace, "x")

        async def pause_s() -> float:
            await quiet(controller)  # its own pass is over: two at once would not be told apart
            outcome = await controller.settle(gvr, name)
            assert isinstance(outcome, CheckAgain)
            return outcome.after_s

        await lab.create("Elsewhere", "x", {"ns": f"{lab.namespace}-later"})
        await lab.says("Elsewhere", "x", "not found", state="ERROR")
        pauses = [await pause_s() for _ in range(8)]
        assert pauses == [100, 100, 100, 100, 200, 400, 500, 500]
        await lab.edit("Elsewhere", "x", ns=f"{lab.namespace}-never")
        await lab.says("Elsewhere", "x", f"{lab.namespace}-never", state="ERROR")
        assert await pause_s() == 100
        await lab.kube.namespace(f"{lab.namespace}-never")
        assert await controller.settle(gvr, name) == Settled()
        await lab.settled("Elsewhere", "x")


async def test_without_an_interval_only_events_wake(cluster: Any) -> None:
    """Neither a wait nor a failure is looked at again by itself; what is waited for is an event."""
    settings = InstanceSettings(requeue_s=0)
    async with in_process(cluster.kubeconfig, settings) as (controller, lab):
        graph = await controller.serve(lab, READER)
        gvr, name = graph.instance.mapped.gvr, NamespacedName(lab.namespace, "x")
        await lab.create("Reader", "x")
        await lab.says("Reader", "x", "waiting for external reference")
        await quiet(controller)  # its own pass is over: two at once would not be told apart
        assert await controller.settle(gvr, name) == Settled()
        await lab.put_cm("ext", {"v": "1"})
        await lab.settled("Reader", "x")
        await lab.deny(lab.namespace, suffix="-copy", text="no copies")
        await lab.put_cm("ext", {"v": "2"})
        await lab.says("Reader", "x", "no copies", state="ERROR")
        await quiet(controller)
        assert await controller.settle(gvr, name) == Settled()
        await lab.allow(lab.namespace)
        controller.explain(gvr, Unavailable("latest issued graph revision 7 is pending"))
        await lab.until(
            "Reader", "x", lambda obj: "revision 7" in condition(obj, "GraphResolved")["message"]
        )
        await quiet(controller)
        assert await controller.settle(gvr, name) == CheckAgain(
            after_s=60.0, why="latest issued graph revision 7 is pending"
        )


async def test_g_19_no_graph_keeps_the_rest_of_the_status(stage: tuple[InProcess, Lab]) -> None:
    """The condition says which revision is the matter; what was projected stays."""
    controller, lab = stage
    graph = await controller.serve(lab, ONE)
    gvr = graph.instance.mapped.gvr
    await lab.create("One", "x", {"v": "1"})
    await lab.settled("One", "x")
    for why in ("is pending", "failed"):
        text = f"latest issued graph revision 7 {why}"
        controller.explain(gvr, Unavailable(text, retry=why == "is pending"))
        live = await lab.says("One", "x", text, state="ERROR")
        found = condition(live, "GraphResolved")
        assert (found["status"], found["reason"]) == ("False", "ResolutionFailed")
        assert live["status"]["v"] == "1"
    serving = Serving(graph=graph, definition_name="in-process", definition_uid="u-1")
    controller.explain(gvr, serving)
    await lab.settled("One", "x")


async def test_without_a_definition_only_deletion_is_done(stage: tuple[InProcess, Lab]) -> None:
    """A kind that is served no more still lets its instances go."""
    controller, lab = stage
    graph = await controller.serve(lab, ONE)
    await lab.create("One", "x", {"v": "1"})
    await lab.settled("One", "x")
    controller.explain(graph.instance.mapped.gvr, None)
    await lab.edit("One", "x", v="2")

    async def untouched() -> bool:
        cm = await lab.cm("x")
        live = await lab.get("One", "x")
        return cm is not None and cm["data"]["v"] == "1" and state(live) == "ACTIVE"

    await lab.stays(untouched)
    await lab.delete("One", "x")
    await lab.gone("One", "x")
    assert await lab.cm("x") is None
