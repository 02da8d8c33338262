"""Taking a finalizer off: whatever others write meanwhile, and what the store shows afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime import Event, release_finalizer
from kro.runtime.client import Client, ConflictError, NotFoundError, Status
from kro.runtime.finalizer import ATTEMPTS
from support.apiserver import CONFIGMAPS
from support.informers import World

OURS, THEIRS = "example.com/ours", "example.com/theirs"
NAME = NamespacedName("default", "it")


@dataclass
class Writes(Client):
    """Answers patches and reads of one object as an API server would; a test may step between."""

    live: JsonObject | None
    meanwhile: Callable[[], None] = lambda: None
    """Called before each patch is judged."""
    patches: list[Any] = field(default_factory=list)

    async def patch(self, gvr: GVR, name: NamespacedName, body: Any, **options: Any) -> JsonObject:
        """Merge a patch of the metadata if its preconditions hold."""
        self.patches.append(body)
        self.meanwhile()
        if self.live is None:
            raise NotFoundError(404, Status(code=404))
        wanted, metadata = _metadata(body), _metadata(self.live)
        if any(wanted[key] != metadata[key] for key in ("uid", "resourceVersion")):
            raise ConflictError(409, Status(code=409))
        version = str(int(metadata["resourceVersion"]) + 1)
        self.live = {**self.live, "metadata": {**metadata, **wanted, "resourceVersion": version}}
        return self.live

    async def get(  # type: ignore[override]  # never asked for another shape
        self, gvr: GVR, name: NamespacedName, **options: Any
    ) -> JsonObject:
        """Return the object as it is now."""
        if self.live is None:
            raise NotFoundError(404, Status(code=404))
        return self.live

    def touch(self, **metadata: Any) -> None:
        """Change the object as somebody else would."""
        assert self.live is not None
        before = _metadata(self.live)
        version = str(int(before["resourceVersion"]) + 1)
        self.live = {**self.live, "metadata": {**before, "resourceVersion": version, **metadata}}


def _metadata(obj: JsonObject) -> dict[str, Any]:
    metadata = obj["metadata"]
    assert isinstance(metadata, dict)
    return metadata


def going(world: World, *finalizers: str) -> JsonObject:
    """Return an object that is being deleted, as the server has it."""
    obj = world.server.put("it", gvr=CONFIGMAPS)
    metadata = _metadata(obj) | {"deletionTimestamp": "t", "finalizers": [*finalizers]}
    return {**obj, "metadata": metadata}


@pytest.mark.parametrize("others", [[], [THEIRS]], ids=["the last one", "one of two"])
async def test_store_shows_the_end_at_once(others: list[str]) -> None:
    """Without its last finalizer the object is gone; with one of others it only lost ours."""
    world = World()
    obj = going(world, OURS, *others)
    heard: list[Event] = []
    with world.informers.watch(CONFIGMAPS) as store:
        async with world.running():
            store.add_handler(heard.append)
            client = Writes(obj)
            await release_finalizer(client, obj, OURS, store=store, writer="me")
            live = store.get(NAME)
            assert (None if live is None else _metadata(live)["finalizers"]) == (others or None)
            assert heard[-1].writer == "me"
            assert len(client.patches) == 1


async def test_collision_is_met_with_a_fresh_copy() -> None:
    """A finalizer that came meanwhile stays: the list that is written is the one that was read."""
    world = World()
    obj = going(world, OURS)
    client = Writes(obj)

    def once() -> None:
        client.meanwhile = lambda: None
        client.touch(finalizers=[OURS, THEIRS])

    client.meanwhile = once
    with world.informers.watch(CONFIGMAPS) as store:
        async with world.running():
            await release_finalizer(client, obj, OURS, store=store)
            assert client.live is not None
            assert _metadata(client.live)["finalizers"] == [THEIRS]


async def test_endless_collisions_are_told() -> None:
    """After some attempts the pass is left to its backoff."""
    world = World()
    obj = going(world, OURS)
    client = Writes(obj)
    client.meanwhile = client.touch
    with world.informers.watch(CONFIGMAPS) as store:
        async with world.running():
            with pytest.raises(ConflictError):
                await release_finalizer(client, obj, OURS, store=store)
            assert len(client.patches) == ATTEMPTS


@pytest.mark.parametrize("successor", [True, False], ids=["another one", "nothing"])
async def test_object_that_went_meanwhile_is_left_alone(successor: bool) -> None:
    """Neither its absence nor another object of its name is a failure, and nothing is written."""
    world = World()
    obj = going(world, OURS)
    client = Writes(obj)
    client.touch(uid="another")
    if not successor:
        client.live = None
    left = client.live
    with world.informers.watch(CONFIGMAPS) as store:
        async with world.running():
            await release_finalizer(client, obj, OURS, store=store)
            assert client.live is left
            assert len(client.patches) == 1
