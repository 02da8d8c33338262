"""The client against a real API server: requests, errors, watch streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client import (
    AlreadyExistsError,
    Bookmark,
    Change,
    ChangeType,
    Client,
    ConflictError,
    InvalidError,
    NotFoundError,
    NotServedError,
    PatchKind,
    Propagation,
    ResourceVersionTooLargeError,
    Transport,
    WatchStream,
    load_config,
)

CONFIG_MAPS = GVR("", "v1", "configmaps")
NAMESPACES = GVR("", "v1", "namespaces")
MANAGER = "test-client"


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    """A client of the administrator."""
    client = Client(Transport(load_config(str(kubeconfig)), user_agent="kro/test"))
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def namespace(client: Client) -> AsyncIterator[str]:
    """A namespace for one test."""
    name = f"client-{uuid4().hex[:8]}"
    await client.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    try:
        yield name
    finally:
        await client.delete(NAMESPACES, NamespacedName("", name))


def config_map(name: str, **data: str) -> JsonObject:
    """Return a ConfigMap to write."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"test": "client"}},
        "data": dict(data),
    }


def metadata(obj: JsonObject) -> JsonObject:
    """Return the metadata of an object."""
    found = obj["metadata"]
    assert isinstance(found, dict)
    return found


async def changes(
    stream: WatchStream[JsonObject], count: int
) -> list[tuple[ChangeType, object, object]]:
    """Return type, name and data of the next changes of a stream."""
    seen: list[tuple[ChangeType, object, object]] = []
    async with asyncio.timeout(20):
        async for events in stream:
            seen += [
                (event.type, metadata(event.object)["name"], event.object.get("data"))
                for event in events
                if isinstance(event, Change)
            ]
            if len(seen) >= count:
                break
    return seen


async def test_an_object_lives_from_apply_to_delete(client: Client, namespace: str) -> None:
    """Apply creates and changes, get reads, delete removes, and then it is not found."""
    name = NamespacedName(namespace, "web")

    applied = await client.apply(CONFIG_MAPS, name, config_map("web", a="1"), field_manager=MANAGER)
    again = await client.apply(
        CONFIG_MAPS, name, config_map("web", a="2", b="3"), field_manager=MANAGER
    )
    read = await client.get(CONFIG_MAPS, name)

    assert metadata(applied)["uid"] == metadata(again)["uid"]
    assert read == again
    assert read["data"] == {"a": "2", "b": "3"}

    await client.delete(CONFIG_MAPS, name, uid=str(metadata(read)["uid"]))

    with pytest.raises(NotFoundError) as missing:
        await client.get(CONFIG_MAPS, name)
    assert missing.value.status.details is not None
    assert missing.value.status.details.name == "web"


async def test_every_way_to_write(client: Client, namespace: str) -> None:
    """Create, merge patch, JSON patch and update each change what they say."""
    name = NamespacedName(namespace, "web")
    await client.create(CONFIG_MAPS, config_map("web", a="1"), namespace=namespace)

    merged = await client.patch(CONFIG_MAPS, name, {"data": {"b": "2"}})
    assert merged["data"] == {"a": "1", "b": "2"}

    patched = await client.patch(
        CONFIG_MAPS, name, [{"op": "remove", "path": "/data/a"}], kind=PatchKind.JSON
    )
    assert patched["data"] == {"b": "2"}

    patched["data"] = {"c": "3"}
    updated = await client.update(CONFIG_MAPS, name, patched)
    assert updated["data"] == {"c": "3"}


async def test_conflicts_say_what_they_are(client: Client, namespace: str) -> None:
    """A taken name, a stale version, a foreign field and a wrong UID are told apart by class."""
    name = NamespacedName(namespace, "web")
    created = await client.create(CONFIG_MAPS, config_map("web", a="1"), namespace=namespace)

    with pytest.raises(AlreadyExistsError):
        await client.create(CONFIG_MAPS, config_map("web"), namespace=namespace)

    await client.patch(CONFIG_MAPS, name, {"data": {"a": "2"}})
    with pytest.raises(ConflictError):
        await client.update(CONFIG_MAPS, name, created)
    with pytest.raises(ConflictError) as foreign:
        await client.apply(
            CONFIG_MAPS, name, config_map("web", a="9"), field_manager=MANAGER, force=False
        )
    assert [cause.reason for cause in foreign.value.causes] == ["FieldManagerConflict"]
    with pytest.raises(ConflictError):
        await client.delete(CONFIG_MAPS, name, uid="00000000-0000-0000-0000-000000000000")


async def test_refusals_carry_their_causes(client: Client, namespace: str) -> None:
    """What breaks the schema names the field; a kind that is not served is no missing object."""
    with pytest.raises(InvalidError) as invalid:
        await client.create(CONFIG_MAPS, config_map("Not A Name"), namespace=namespace)
    assert [cause.field for cause in invalid.value.causes] == ["metadata.name"]

    with pytest.raises(NotServedError):
        await client.list(GVR("nowhere.example", "v1", "things"))
    with pytest.raises(NotServedError):
        await client.list(GVR("apps", "v1", "things"))


async def test_an_object_with_a_finalizer_is_returned_when_its_deletion_begins(
    client: Client, namespace: str
) -> None:
    """The answer to a delete tells an object that waits from one that is gone."""
    name = NamespacedName(namespace, "held")
    held = config_map("held")
    metadata(held)["finalizers"] = ["example.com/hold"]
    await client.create(CONFIG_MAPS, held, namespace=namespace)

    answer = await client.delete(CONFIG_MAPS, name, propagation=Propagation.BACKGROUND)
    assert metadata(answer)["deletionTimestamp"]

    await client.patch(CONFIG_MAPS, name, {"metadata": {"finalizers": None}})
    with pytest.raises(NotFoundError):
        await client.get(CONFIG_MAPS, name)


async def test_pages_follow_one_snapshot(client: Client, namespace: str) -> None:
    """All pages carry one cursor, and items of built-in kinds say what they are."""
    for index in range(7):
        await client.create(CONFIG_MAPS, config_map(f"c{index}"), namespace=namespace)

    pages = [
        page
        async for page in client.pages(
            CONFIG_MAPS, namespace=namespace, limit=3, label_selector="test=client"
        )
    ]

    assert [len(page.items) for page in pages] == [3, 3, 1]
    assert len({page.resource_version for page in pages}) == 1
    assert {str(item["kind"]) for page in pages for item in page.items} == {"ConfigMap"}
    whole = await client.list_all(CONFIG_MAPS, namespace=namespace, label_selector="test=client")
    assert whole.items == [item for page in pages for item in page.items]


async def test_metadata_only_leaves_the_rest_out(client: Client, namespace: str) -> None:
    """The partial form carries metadata alone, in get and in list."""
    await client.create(CONFIG_MAPS, config_map("web", a="1"), namespace=namespace)

    one = await client.get(CONFIG_MAPS, NamespacedName(namespace, "web"), metadata_only=True)
    page = await client.list(CONFIG_MAPS, namespace=namespace, metadata_only=True)

    assert "data" not in one
    assert metadata(one)["name"] == "web"
    assert all("data" not in item for item in page.items)


async def test_a_watch_continues_a_list(client: Client, namespace: str) -> None:
    """What happens after the list arrives once each, in order, with the last state of the gone."""
    name = NamespacedName(namespace, "web")
    page = await client.list(CONFIG_MAPS, namespace=namespace)

    async with client.watch(
        CONFIG_MAPS, namespace=namespace, resource_version=page.resource_version, timeout_s=60
    ) as stream:
        await client.create(CONFIG_MAPS, config_map("web", a="1"), namespace=namespace)
        await client.patch(CONFIG_MAPS, name, {"data": {"a": "2"}})
        await client.delete(CONFIG_MAPS, name)
        seen = await changes(stream, 3)

    assert seen == [
        (ChangeType.ADDED, "web", {"a": "1"}),
        (ChangeType.MODIFIED, "web", {"a": "2"}),
        (ChangeType.DELETED, "web", {"a": "2"}),
    ]


async def test_a_streamed_list_ends_with_its_bookmark(client: Client, namespace: str) -> None:
    """With initial events the present comes first, then a bookmark; the same stream goes on."""
    for index in range(3):
        await client.create(CONFIG_MAPS, config_map(f"c{index}"), namespace=namespace)
    names: list[object] = []

    async with client.watch(
        CONFIG_MAPS, namespace=namespace, send_initial_events=True, timeout_s=60
    ) as stream:
        async with asyncio.timeout(20):
            ended = False
            async for events in stream:
                for event in events:
                    match event:
                        case Bookmark(initial_events_end=True):
                            ended = True
                        case Change(object=obj):
                            names.append(metadata(obj)["name"])
                if ended:
                    break
        await client.create(CONFIG_MAPS, config_map("late"), namespace=namespace)
        later = await changes(stream, 1)

    assert sorted(str(name) for name in names if name != "kube-root-ca.crt") == ["c0", "c1", "c2"]
    assert later == [(ChangeType.ADDED, "late", None)]


async def test_a_watch_that_the_server_ends_just_ends(client: Client, namespace: str) -> None:
    """The server's own time limit is a clean end, no error."""
    page = await client.list(CONFIG_MAPS, namespace=namespace)

    async with client.watch(
        CONFIG_MAPS, namespace=namespace, resource_version=page.resource_version, timeout_s=1
    ) as stream:
        async for _ in stream:
            pass

    assert stream.cause == "closed"


async def test_a_cursor_from_the_future_has_its_own_error(client: Client, namespace: str) -> None:
    """A resource version that the server never saw is neither expired nor a plain timeout."""
    with pytest.raises(ResourceVersionTooLargeError):
        await client.list(
            CONFIG_MAPS,
            namespace=namespace,
            resource_version="999999999",
            resource_version_match="NotOlderThan",
            retry=False,
        )


async def test_cancelled_requests_leave_the_client_usable(client: Client, namespace: str) -> None:
    """Cancelling in the middle costs a connection, never the client."""
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.0005):
                await client.list(CONFIG_MAPS)

    assert await client.get(NAMESPACES, NamespacedName("", namespace))
