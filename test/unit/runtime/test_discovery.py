"""Discovery: how few requests it makes, and how little one broken group costs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from kro.refs import GVK, GVR, GroupKind, Mapped
from kro.runtime.client import (
    Client,
    NotServedError,
    ProtocolError,
    RedirectError,
    ServiceUnavailableError,
    Status,
    status_error,
)
from kro.runtime.discovery import Discovery, KindNotServedError

THING = GVK("example.com", "v1", "Thing")
THINGS = GVR("example.com", "v1", "things")
VERBS = ["get", "list", "watch"]


@dataclass
class FakeClient(Client):
    """Answers raw reads from a table: a JSON value, bytes, or an error to raise."""

    answers: dict[str, object]
    paths: list[str] = field(default_factory=list)

    async def read(self, path: str, **options: object) -> bytes:
        """Return what the table says; a path that it lacks is not served."""
        self.paths.append(path)
        await asyncio.sleep(0)
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            raise NotServedError(404, Status(code=404))
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


@dataclass
class Hand:
    """A clock turned by hand."""

    now_s: float = 0.0

    def now(self) -> float:
        return self.now_s


def aggregated(*groups: dict[str, Any]) -> dict[str, Any]:
    """Return an aggregated discovery answer."""
    return {"kind": "APIGroupDiscoveryList", "items": list(groups)}


def group(name: str, *versions: dict[str, Any]) -> dict[str, Any]:
    """Return one group of it."""
    return {"metadata": {"name": name}, "versions": list(versions)}


def version(name: str, *kinds: str, freshness: str = "Current") -> dict[str, Any]:
    """Return one version of a group, with a namespaced resource a kind."""
    return {
        "version": name,
        "freshness": freshness,
        "resources": [
            {
                "resource": f"{kind.lower()}s",
                "responseKind": {"group": "", "version": "", "kind": kind},
                "scope": "Namespaced",
                "verbs": VERBS,
            }
            for kind in kinds
        ],
    }


def plain(*kinds: str) -> dict[str, Any]:
    """Return the answer of one group version, with a subresource that is no kind of its own."""
    return {
        "kind": "APIResourceList",
        "resources": [
            each
            for kind in kinds
            for each in (
                {"name": f"{kind.lower()}s", "kind": kind, "namespaced": True, "verbs": VERBS},
                {"name": f"{kind.lower()}s/scale", "kind": "Scale", "group": "autoscaling",
                 "version": "v1", "namespaced": True, "verbs": ["get"]},
            )
        ],
    }  # fmt: skip


MODERN: dict[str, object] = {
    "/api": aggregated(group("", version("v1", "Pod"))),
    "/apis": aggregated(
        group("example.com", version("v1", "Thing"), version("v1beta1", "Thing", "Old")),
        group("broken.io", version("v1", freshness="Stale")),
    ),
}
LEGACY: dict[str, object] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {
                "name": "example.com",
                "versions": [{"version": "v1beta1"}, {"version": "v1"}],
                "preferredVersion": {"version": "v1"},
            }
        ],
    },
    "/api/v1": plain("Pod"),
    "/apis/example.com/v1": plain("Thing"),
    "/apis/example.com/v1beta1": plain("Thing", "Old"),
}


@pytest.mark.parametrize("answers", [MODERN, LEGACY], ids=["aggregated", "legacy"])
async def test_kinds_are_found_by_either_form(answers: dict[str, object]) -> None:
    """Old servers answer group version by group version, new ones all at once."""
    client = FakeClient(dict(answers))
    discovery = Discovery(client)

    assert await discovery.mapping(THING) == Mapped(THINGS, True)
    assert await discovery.kind(GVR("", "v1", "pods")) == (GVK("", "v1", "Pod"), True)
    assert (await discovery.mapping_of(GroupKind("example.com", "Thing")))[0] == THING
    assert (await discovery.mapping_of(GroupKind("example.com", "Old")))[0].version == "v1beta1"
    assert await discovery.verbs(THINGS) == set(VERBS)
    with pytest.raises(KindNotServedError):
        await discovery.mapping(GVK("example.com", "v1", "Scale"))
    if answers is MODERN:
        # The plain answer is needed for the kind that the aggregated one lacks, alone.
        assert client.paths == ["/api", "/apis"]


async def test_one_broken_group_hides_no_other() -> None:
    """A group whose server is down fails for those who ask for it, as an error, not as absent."""
    client = FakeClient(dict(MODERN))
    client.answers["/apis/broken.io/v1"] = status_error(503, None)
    discovery = Discovery(client)

    with pytest.raises(ServiceUnavailableError):
        await discovery.mapping(GVK("broken.io", "v1", "X"))
    assert await discovery.mapping(THING) == Mapped(THINGS, True)

    client.answers["/apis/broken.io/v1"] = plain("X")
    assert (await discovery.mapping(GVK("broken.io", "v1", "X"))).gvr.resource == "xs"


async def test_misses_are_asked_for_at_most_every_five_seconds() -> None:
    """A definition that names a kind which is not there is no load on the API server."""
    client, clock = FakeClient(dict(MODERN)), Hand()
    discovery = Discovery(client, now=clock.now)
    missing = GVK("example.com", "v1", "Missing")

    for _ in range(140):
        clock.now_s += 0.1
        with pytest.raises(KindNotServedError):
            await discovery.mapping(missing)

    assert client.paths.count("/apis/example.com/v1") == 2


async def test_forgetting_asks_again_at_once_and_for_one_group_only() -> None:
    """A CRD event makes its group's kinds current; nothing else is read again."""
    client, clock = FakeClient(dict(MODERN)), Hand()
    discovery = Discovery(client, now=clock.now)
    late = GVK("example.com", "v1", "Late")
    with pytest.raises(KindNotServedError):
        await discovery.mapping(late)

    client.answers["/apis/example.com/v1"] = plain("Thing", "Late")
    discovery.forget("example.com")
    client.paths.clear()

    assert (await discovery.mapping(late)).gvr == GVR("example.com", "v1", "lates")
    assert discovery.known(THING) == Mapped(THINGS, True)
    assert discovery.known(GVK("", "v1", "Pod")) is not None
    assert client.paths == ["/apis/example.com/v1"]

    client.answers["/apis/example.com/v1"] = None
    discovery.forget("example.com", "v1")
    assert discovery.known(late) is None
    assert not await discovery.is_served(THINGS)


async def test_a_failed_start_is_repeated() -> None:
    """Without the first answer nothing is known, and nothing is believed to be absent."""
    client = FakeClient({**MODERN, "/apis": status_error(500, None)})
    discovery = Discovery(client)
    for _ in range(2):
        with pytest.raises(Exception, match="500"):
            await discovery.mapping(THING)

    client.answers["/apis"] = MODERN["/apis"]

    assert await discovery.mapping(THING) == Mapped(THINGS, True)


@pytest.mark.parametrize("answer", [b"<html>", b'{"items": 3}', b"[]"])
async def test_an_answer_that_is_none_is_an_error(answer: bytes) -> None:
    """Garbage is told from absence."""
    discovery = Discovery(FakeClient({**MODERN, "/apis": answer}))

    with pytest.raises(ProtocolError):
        await discovery.mapping(THING)


async def test_look_ups_at_once_share_their_requests() -> None:
    """However many ask for one thing at the same time, it is read once."""
    client = FakeClient(dict(LEGACY))
    discovery = Discovery(client)

    await asyncio.gather(*(discovery.mapping(THING) for _ in range(100)))

    assert client.paths == ["/api", "/apis", "/apis/example.com/v1"]


async def test_a_cancelled_look_up_spoils_nothing() -> None:
    """Whoever waits behind a look-up that is given up does it himself."""
    discovery = Discovery(FakeClient(dict(LEGACY)))
    for steps in range(8):
        task = asyncio.create_task(discovery.mapping(THING))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert await discovery.mapping(THING) == Mapped(THINGS, True)


def schema(kind: str, **properties: object) -> dict[str, Any]:
    """Return an OpenAPI component that describes a kind."""
    return {
        "type": "object",
        "properties": dict(properties),
        "x-kubernetes-group-version-kind": [
            {"group": "example.com", "version": "v1", "kind": kind}
        ],
    }


def ref(name: str) -> dict[str, Any]:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def document(**schemas: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document."""
    return {"openapi": "3.0.0", "paths": {"/x": {}}, "components": {"schemas": dict(schemas)}}


def index(url: str) -> dict[str, Any]:
    """Return the index with one document."""
    return {"paths": {"apis/example.com/v1": {"serverRelativeURL": url}}}


async def test_only_what_a_kind_refers_to_is_decoded() -> None:
    """The closure holds all that is referred to, however deep or circular, and no more."""
    client = FakeClient(
        {
            "/openapi/v3": index("/doc?hash=1"),
            "/doc?hash=1": document(
                T=schema("Thing", a={"allOf": [ref("A")]}, gone=ref("Nowhere")),
                A={"items": ref("B")},
                B={"properties": {"again": ref("A"), "self": ref("B")}},
                C=schema("Other"),
            ),
        }
    )
    discovery = Discovery(client)

    part = await discovery.schema_document(THING)

    assert part is not None
    assert isinstance(part["components"], dict)
    assert isinstance(part["components"]["schemas"], dict)
    assert set(part["components"]["schemas"]) == {"T", "A", "B"}
    found = await discovery.openapi("example.com", "v1")
    assert found is not None
    assert found.kinds == {THING, GVK("example.com", "v1", "Other")}
    assert (await found.whole())["openapi"] == "3.0.0"
    assert client.paths == ["/openapi/v3", "/doc?hash=1"]


async def test_documents_are_read_again_when_their_hash_changes() -> None:
    """The index is believed for ten seconds, or until a CRD changed; the hash decides the rest."""
    client, clock = FakeClient({"/openapi/v3": index("/doc?hash=1")}), Hand()
    client.answers["/doc?hash=1"] = document(T=schema("Thing"))
    client.answers["/doc?hash=2"] = document(T=schema("Thing", new={"type": "string"}))
    discovery = Discovery(client, now=clock.now)
    await discovery.openapi("example.com", "v1")

    clock.now_s = 11.0
    await discovery.openapi("example.com", "v1")
    assert client.paths == ["/openapi/v3", "/doc?hash=1", "/openapi/v3"]

    client.answers["/openapi/v3"] = index("/doc?hash=2")
    discovery.forget("example.com")
    part = await discovery.schema_document(THING)
    assert "new" in json.dumps(part)


async def test_a_document_that_changed_after_the_index_is_found() -> None:
    """The API server redirects an old hash, which we never follow: the index is read again."""
    client = FakeClient({"/openapi/v3": index("/doc?hash=1")})
    discovery = Discovery(client, now=Hand().now)
    client.answers["/doc?hash=1"] = RedirectError("moved")

    with pytest.raises(RedirectError):
        await discovery.openapi("example.com", "v1")
    assert client.paths.count("/openapi/v3") == 2


async def test_a_schema_that_is_published_late_is_looked_for_every_second() -> None:
    """A kind that is served and not described yet costs one small request a second."""
    client, clock = FakeClient({"/openapi/v3": index("/doc?hash=1")}), Hand()
    client.answers["/doc?hash=1"] = document(C=schema("Other"))
    discovery = Discovery(client, now=clock.now)

    for _ in range(50):
        clock.now_s += 0.1
        assert await discovery.schema_document(THING) is None
    assert client.paths.count("/openapi/v3") <= 6

    client.answers["/openapi/v3"] = index("/doc?hash=2")
    client.answers["/doc?hash=2"] = document(T=schema("Thing"))
    clock.now_s += 1.0
    assert await discovery.schema_document(THING) is not None
