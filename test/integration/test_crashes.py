"""A controller that is killed at any moment leaves nothing half-done: the next one finishes."""

from __future__ import annotations

import pytest

from support.kube import CONFIGMAPS, DEFINITIONS, Kube, is_ready
from support.manifests import chain, endpoint, instance, unique
from support.operator import Operator, Surroundings

LENGTH = 5


@pytest.mark.parametrize("moment", range(LENGTH))
async def test_killed_while_creating(private_cluster: Surroundings, moment: int) -> None:
    """SIGKILL as soon as the nth child exists: all are there in the end, none was made twice."""
    kind = unique("Crash")
    async with Kube(private_cluster.kubeconfig) as kube:
        namespace = await kube.namespace(unique("crash"))
        process = Operator(
            private_cluster.controller_kubeconfig,
            private_cluster.log,
        )
        with process:
            await process.ready()
            await kube.apply(chain(kind, LENGTH))
            await kube.until(DEFINITIONS, kind.lower(), is_ready)
            await kube.apply(instance(kind, "one", namespace, {"v": "x"}), gvr=endpoint(kind))
            early = await kube.until(CONFIGMAPS, f"one-{moment}", bool, namespace)
            process.kill()

            process.start()

            await kube.until(endpoint(kind), "one", is_ready, namespace)
            last = await kube.get(CONFIGMAPS, f"one-{LENGTH - 1}", namespace)
            assert last is not None
            assert last["data"] == {"v": "x"}
            same = await kube.get(CONFIGMAPS, f"one-{moment}", namespace)
            assert same is not None
            assert same["metadata"]["uid"] == early["metadata"]["uid"]
            await kube.delete(DEFINITIONS, kind.lower())
            await kube.until_gone(DEFINITIONS, kind.lower())


@pytest.mark.parametrize("moment", range(LENGTH))
async def test_killed_while_deleting(private_cluster: Surroundings, moment: int) -> None:
    """SIGKILL as soon as the nth last child is gone: instance and children go, in reverse order."""
    kind = unique("Crash")
    async with Kube(private_cluster.kubeconfig) as kube:
        namespace = await kube.namespace(unique("crash"))
        process = Operator(
            private_cluster.controller_kubeconfig,
            private_cluster.log,
        )
        with process:
            await process.ready()
            await kube.apply(chain(kind, LENGTH))
            await kube.until(DEFINITIONS, kind.lower(), is_ready)
            await kube.apply(instance(kind, "one", namespace, {"v": "x"}), gvr=endpoint(kind))
            await kube.until(endpoint(kind), "one", is_ready, namespace)
            await kube.delete(endpoint(kind), "one", namespace)
            await kube.until_gone(CONFIGMAPS, f"one-{LENGTH - 1 - moment}", namespace)
            process.kill()

            process.start()

            await kube.until_gone(endpoint(kind), "one", namespace)
            page = await kube.client.list(CONFIGMAPS, namespace=namespace)
            assert page.items == []
            await kube.delete(DEFINITIONS, kind.lower())
            await kube.until_gone(DEFINITIONS, kind.lower())
