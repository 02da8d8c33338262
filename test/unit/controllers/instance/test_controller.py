"""Which changes of an instance deserve a pass, and what a pass does that comes too early."""

from __future__ import annotations

from typing import Any

import pytest

from kro import names
from kro.controllers.instance import Claims, InstanceController, InstanceSettings
from kro.refs import GVK, GVR, Mapped, NamespacedName
from kro.runtime import Coordinator, Discovery, Settled
from kro.runtime.client import Client, Transport
from kro.runtime.client.config import ClusterConfig
from support.informers import World

THING = GVK("example.com", "v1", "Thing")
MAPPED = Mapped(GVR("example.com", "v1", "things"), namespaced=True)


def thing(*, generation: int = 1, **metadata: Any) -> Any:
    """Return an instance as it is stored."""
    return {"metadata": {"name": "x", "uid": "u", "generation": generation, **metadata}}


def suspended(word: str) -> Any:
    """Return an instance with the annotation that suspends."""
    return thing(annotations={names.RECONCILE: word})


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(None, thing(), True, id="it comes"),
        pytest.param(thing(), None, True, id="it goes"),
        pytest.param(thing(), thing(generation=2), True, id="another spec"),
        pytest.param(thing(), thing(labels={"a": "b"}), False, id="a label"),
        pytest.param(thing(), suspended("suspended"), True, id="suspended"),
        pytest.param(suspended("Disabled"), thing(), True, id="resumed"),
        pytest.param(suspended("suspended"), suspended("disabled"), False, id="another word"),
        pytest.param(
            thing(finalizers=["a", names.FINALIZER]),
            thing(finalizers=["a"]),
            True,
            id="our finalizer is taken away",
        ),
        pytest.param(
            thing(finalizers=[names.FINALIZER, "a"]),
            thing(finalizers=[names.FINALIZER]),
            False,
            id="a finalizer of others is taken away",
        ),
    ],
)
def test_what_deserves_a_pass(old: Any, new: Any, wanted: bool) -> None:
    """The spec, the end, suspension, and what a deletion would need; nothing else."""
    assert InstanceController.wants(old, new) is wanted


async def test_pass_before_the_instances_are_loaded_does_nothing() -> None:
    """An event of a child may come first: the load brings every instance that there is."""
    world = World()
    client = Client(Transport(ClusterConfig(server="http://127.0.0.1:1"), user_agent="test"))
    controller = InstanceController(
        gvk=THING,
        mapped=MAPPED,
        client=client,
        informers=world.informers,
        coordinator=Coordinator(
            informers=world.informers, enqueue=lambda *_: None, clock=world.clock
        ),
        discovery=Discovery(client),
        clock=world.clock,
        claims=Claims(),
        settings=InstanceSettings(),
    )
    assert await controller.reconcile(NamespacedName("team-a", "x")) == Settled()
    controller.close()
    await client.aclose()
