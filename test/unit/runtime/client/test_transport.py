"""Requests under faults: what is repeated, what is refused, and what never leaks."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from kro.errors import ClusterError
from kro.refs import GVR, NamespacedName
from kro.runtime.client import (
    AlreadyExistsError,
    BadRequestError,
    Client,
    ClientError,
    ConflictError,
    ConnectionLostError,
    ExpiredError,
    ForbiddenError,
    GoneError,
    InvalidError,
    Limits,
    MethodNotAllowedError,
    NotAcceptableError,
    NotFoundError,
    NotLeadingError,
    NotServedError,
    Origin,
    ProtocolError,
    RedirectError,
    RequestTimeoutError,
    RequestTooLargeError,
    ResourceVersionTooLargeError,
    ServerError,
    ServerTimeoutError,
    ServiceUnavailableError,
    TooLargeError,
    TooManyRequestsError,
    Transport,
    UnauthorizedError,
    UnencodableError,
    UnreachableError,
    acting_for,
)
from kro.runtime.client.credentials import StaticCredentials, TokenFile
from unit.runtime.client.conftest import Rig

THINGS = GVR("example.com", "v1", "things")
NAME = NamespacedName("ns", "web")
THING = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "web"}}
SECRET = "s3cr3t-token-of-the-test"


def found(obj: object = THING) -> web.Response:
    """Return an answer with an object."""
    return web.json_response(obj)


def refusal(
    code: int,
    reason: str = "",
    *,
    retry_after: str = "",
    details: dict[str, object] | None = None,
) -> web.Response:
    """Return an error as the API server writes it."""
    status = {"kind": "Status", "status": "Failure", "code": code, "reason": reason}
    if details is not None:
        status["details"] = details
    headers = {"Retry-After": retry_after} if retry_after else {}
    return web.json_response(status, status=code, headers=headers)


def text(code: int, body: str = "no", *, retry_after: str = "") -> web.Response:
    """Return an error as the filters in front of the API server write it."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return web.Response(status=code, text=body, headers=headers)


async def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    """Begin an answer and cut it."""
    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Content-Length": "1000"}
    )
    await response.prepare(request)
    await response.write(b'{"kind":')
    assert request.transport is not None
    request.transport.close()
    return response


async def hang(request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


Call = Callable[[Client], "asyncio.Future[object]"]

GET = pytest.param(lambda c: c.get(THINGS, NAME), id="get")
LIST = pytest.param(lambda c: c.list(THINGS), id="list")
APPLY = pytest.param(lambda c: c.apply(THINGS, NAME, THING, field_manager="m"), id="apply")
DELETE_ONE = pytest.param(lambda c: c.delete(THINGS, NAME, uid="u"), id="delete of an identity")
DELETE = pytest.param(lambda c: c.delete(THINGS, NAME), id="delete")
CREATE = pytest.param(lambda c: c.create(THINGS, THING, namespace="ns"), id="create")
UPDATE = pytest.param(lambda c: c.update(THINGS, NAME, THING), id="update")
PATCH = pytest.param(lambda c: c.patch(THINGS, NAME, {"a": 1}), id="patch")
REPEATABLE = [GET, LIST, APPLY, DELETE_ONE]
ONCE_ONLY = [DELETE, CREATE, UPDATE, PATCH]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(refusal(400, "BadRequest"), BadRequestError, id="400"),
        pytest.param(refusal(401, "Unauthorized"), UnauthorizedError, id="401"),
        pytest.param(refusal(403, "Forbidden"), ForbiddenError, id="403"),
        pytest.param(refusal(404, "NotFound", details={"name": "x"}), NotFoundError, id="404"),
        pytest.param(text(404, "404 page not found"), NotServedError, id="404 of no endpoint"),
        pytest.param(refusal(405), MethodNotAllowedError, id="405"),
        pytest.param(refusal(406), NotAcceptableError, id="406"),
        pytest.param(refusal(409, "Conflict"), ConflictError, id="409"),
        pytest.param(refusal(409, "AlreadyExists"), AlreadyExistsError, id="409 taken"),
        pytest.param(refusal(410, "Gone"), GoneError, id="410"),
        pytest.param(refusal(410, "Expired"), ExpiredError, id="410 expired"),
        pytest.param(refusal(413), RequestTooLargeError, id="413"),
        pytest.param(refusal(415), NotAcceptableError, id="415"),
        pytest.param(refusal(422, "Invalid"), InvalidError, id="422"),
        pytest.param(refusal(500), ServerError, id="500"),
        pytest.param(text(502, "<html>"), ServerError, id="502"),
        pytest.param(refusal(503), ServiceUnavailableError, id="503"),
        pytest.param(refusal(504, "Timeout"), ServerTimeoutError, id="504"),
        pytest.param(refusal(500, "ServerTimeout"), ServerTimeoutError, id="500 timeout"),
        pytest.param(
            refusal(504, "Timeout", details={"causes": [{"reason": "ResourceVersionTooLarge"}]}),
            ResourceVersionTooLargeError,
            id="504 too new",
        ),
        pytest.param(
            web.Response(status=409, body=b"{not json", content_type="application/json"),
            ConflictError,
            id="broken Status",
        ),
    ],
)
async def test_every_refusal_has_its_class(
    rig: Rig, answer: web.Response, error: type[ClientError]
) -> None:
    """The status code decides, a Status refines, and text is never read as data."""
    rig.server.script(answer)

    with pytest.raises(error) as raised:
        await rig.client.get(THINGS, NAME)

    assert type(raised.value) is error
    assert isinstance(raised.value, ClusterError)
    assert len(rig.server.requests) == 1


@pytest.mark.parametrize("call", [*REPEATABLE, *ONCE_ONLY])
async def test_a_throttled_request_waits_as_told(rig: Rig, call: Call) -> None:
    """429 means that nothing was done, so every request is made again, never too early."""
    rig.server.script(text(429, retry_after="3"), text(429, retry_after="3"), found())

    await call(rig.client)

    assert len(rig.server.requests) == 3
    assert len(rig.pauses) == 2
    assert all(3 <= pause <= 3.6 for pause in rig.pauses)
    assert [code for _, code in rig.observer.retries] == ["429", "429"]


async def test_throttling_without_a_time_backs_off(rig: Rig) -> None:
    """The overload filter's plain 429 counts as one second, and more when it goes on."""
    rig.server.script(text(429))

    with pytest.raises(TooManyRequestsError):
        await rig.client.apply(THINGS, NAME, THING, field_manager="m")

    assert len(rig.server.requests) == 10
    assert rig.pauses[0] >= 1
    assert rig.pauses[-1] > 10
    assert max(rig.pauses) <= 72


@pytest.mark.parametrize("call", REPEATABLE)
async def test_a_busy_server_is_asked_again_where_twice_is_once(rig: Rig, call: Call) -> None:
    """503 with `Retry-After` is repeated for what may be repeated."""
    rig.server.script(refusal(503, retry_after="2"), found())

    await call(rig.client)

    assert len(rig.server.requests) == 2
    assert rig.pauses[0] >= 2


@pytest.mark.parametrize("call", ONCE_ONLY)
async def test_a_busy_server_is_not_asked_again_otherwise(rig: Rig, call: Call) -> None:
    """A write that may have been done is the caller's to look after, and says so."""
    rig.server.script(refusal(503, retry_after="2"), found())

    with pytest.raises(ServiceUnavailableError) as raised:
        await call(rig.client)

    assert raised.value.ambiguous
    assert len(rig.server.requests) == 1


@pytest.mark.parametrize("call", REPEATABLE)
async def test_a_lost_connection_is_replaced_where_twice_is_once(rig: Rig, call: Call) -> None:
    """Mostly it was kept alive and just closed: a fresh one is tried at once."""
    rig.server.script(drop, found())

    await call(rig.client)

    assert len(rig.server.requests) == 2
    assert rig.pauses == []


@pytest.mark.parametrize("call", ONCE_ONLY)
async def test_a_lost_connection_is_ambiguous_otherwise(rig: Rig, call: Call) -> None:
    """The caller learns that the write may have happened; it is never sent twice."""
    rig.server.script(found(), drop)
    await rig.client.get(THINGS, NAME)

    with pytest.raises(ConnectionLostError) as raised:
        await call(rig.client)

    assert raised.value.ambiguous
    assert len(rig.server.requests) == 2


async def test_an_answer_that_had_begun_is_repeated_for_reads_only(rig: Rig) -> None:
    """After the first byte of an answer an apply counts as done, perhaps."""
    rig.server.script(half, found(), half)

    await rig.client.get(THINGS, NAME)
    with pytest.raises(ConnectionLostError):
        await rig.client.apply(THINGS, NAME, THING, field_manager="m")

    assert len(rig.server.requests) == 3


async def test_a_reader_with_a_pace_of_its_own_is_not_held(rig: Rig) -> None:
    """`retry=False` raises at once, with the time that the server asked for."""
    rig.server.script(text(429, retry_after="7"))

    with pytest.raises(TooManyRequestsError) as raised:
        await rig.client.list(THINGS, retry=False)

    assert raised.value.retry_after_s == 7
    assert rig.pauses == []


@pytest.mark.parametrize("retry", [True, False])
async def test_the_storage_of_a_new_kind_is_asked_again_at_once(rig: Rig, retry: bool) -> None:
    """A list that comes some milliseconds too early waits for milliseconds, not for a second."""
    starting = refusal(429, "TooManyRequests", retry_after="1", details={"retryAfterSeconds": 1})
    rig.server.script(starting, starting, starting, web.json_response({"kind": "ThingList"}))

    page = await rig.client.list(THINGS, retry=retry)

    assert page.items == []
    assert sum(rig.pauses) < 0.1
    assert len(rig.server.requests) == 4


async def test_a_storage_that_does_not_start_is_given_up(rig: Rig) -> None:
    """After most of a second the server's own time counts."""
    starting = refusal(429, "TooManyRequests", retry_after="1", details={"retryAfterSeconds": 1})
    rig.server.script(starting)

    with pytest.raises(TooManyRequestsError):
        await rig.client.list(THINGS, retry=False)
    with pytest.raises(TooManyRequestsError):
        async with rig.client.watch(THINGS):
            pass

    assert sum(rig.pauses) < 1.5


async def test_an_unreachable_server_says_where(rig: Rig) -> None:
    """Nobody listening is told from a lost connection, and nothing was sent."""
    client = rig.connect(server="http://127.0.0.1:1")

    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1") as raised:
        await client.create(THINGS, THING, namespace="ns")

    assert not raised.value.ambiguous
    assert rig.observer.attempts == [("POST", "create", "<error>")]
    await client.aclose()


async def test_a_server_that_hangs_is_given_up(rig: Rig) -> None:
    """Every request has a total, after which a write is ambiguous."""
    client = rig.connect(limits=Limits(total_s=0.05))
    rig.server.script(hang)

    with pytest.raises(RequestTimeoutError) as raised:
        await client.create(THINGS, THING, namespace="ns")

    assert raised.value.ambiguous
    await client.aclose()


async def test_a_full_pool_makes_waiters_fail_in_time(rig: Rig) -> None:
    """Waiting for a connection has a limit of its own, and nothing was sent."""
    client = rig.connect(limits=Limits(connections=1, total_s=30, pool_s=0.2, connect_s=0.4))
    arrived = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hang(request)

    rig.server.script(hold)
    first = asyncio.create_task(client.get(THINGS, NAME))
    await asyncio.wait_for(arrived.wait(), 5)

    with pytest.raises(UnreachableError):
        await client.create(THINGS, THING, namespace="ns")

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert len(rig.server.requests) == 1
    await client.aclose()


async def test_redirects_are_refused_and_see_no_token(rig: Rig) -> None:
    """Wherever a redirect leads, the credentials stay home."""
    client = rig.connect(credentials=lambda: StaticCredentials.bearer(SECRET))
    rig.server.script(web.Response(status=307, headers={"Location": f"{rig.server.url}/elsewhere"}))

    with pytest.raises(RedirectError):
        await client.get(THINGS, NAME)

    assert len(rig.server.requests) == 1
    await client.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(web.Response(text="<html>", content_type="text/html"), id="web page"),
        pytest.param(web.Response(text="ok"), id="text"),
        pytest.param(web.Response(text="[1]", content_type="application/json"), id="no object"),
        pytest.param(web.Response(text='{"a":', content_type="application/json"), id="half"),
        pytest.param(
            web.Response(
                body=b"no gzip",
                content_type="application/json",
                headers={"Content-Encoding": "gzip"},
            ),
            id="broken compression",
        ),
    ],
)
async def test_an_answer_that_is_none_is_a_transport_error(rig: Rig, answer: web.Response) -> None:
    """Status 200 alone makes no object."""
    rig.server.script(answer)

    with pytest.raises((ProtocolError, ConnectionLostError)):
        await rig.client.get(THINGS, NAME)


async def test_bodies_have_a_cap_after_decompression(rig: Rig) -> None:
    """A small body that unpacks to a huge one is given up on the way."""
    client = rig.connect(limits=Limits(body_bytes=100_000))
    body = gzip.compress(b'{"a":"' + b"x" * 10_000_000 + b'"}')
    assert len(body) < 100_000
    rig.server.script(
        web.Response(
            body=body, content_type="application/json", headers={"Content-Encoding": "gzip"}
        )
    )

    with pytest.raises(TooLargeError):
        await client.get(THINGS, NAME)

    await client.aclose()


async def test_compressed_lists_are_read(rig: Rig) -> None:
    """Requests ask for gzip and understand it."""
    body = gzip.compress(json.dumps({"kind": "ThingList", "items": [THING]}).encode())
    rig.server.script(
        web.Response(
            body=body, content_type="application/json", headers={"Content-Encoding": "gzip"}
        )
    )

    page = await rig.client.list(THINGS)

    assert page.items == [THING]
    assert rig.server.requests[0].headers["Accept-Encoding"] == "gzip"


async def test_no_error_holds_a_secret(rig: Rig) -> None:
    """Not even when a server echoes what it was sent."""
    client = rig.connect(credentials=lambda: StaticCredentials.bearer(SECRET))

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400, text=f"bad header: {request.headers['Authorization']}")

    errors: list[BaseException] = []
    for script in (echo, drop, half, hang):
        rig.server.script(script)
        quick = rig.connect(
            limits=Limits(total_s=0.05),
            credentials=lambda: StaticCredentials.bearer(SECRET),
        )
        with pytest.raises(ClientError) as raised:
            await quick.create(THINGS, {"data": {"password": SECRET}}, namespace="ns")
        errors.append(raised.value)
        await quick.aclose()

    for error in errors:
        cause: BaseException | None = error
        while cause is not None:
            assert SECRET not in f"{cause} {cause!r} {cause.args}"
            cause = cause.__cause__
    assert SECRET not in repr(rig.config)
    await client.aclose()


async def test_a_refused_token_is_read_again_once(rig: Rig, tmp_path: Path) -> None:
    """A rotated token file heals a 401 without a failed call; without rotation it stays one."""
    file = tmp_path / "token"
    file.write_text("old\n")
    client = rig.connect(credentials=lambda: TokenFile(str(file)))

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer new":
            return found()
        file.write_text("new\n")
        return refusal(401, "Unauthorized")

    rig.server.script(guarded)
    assert await client.create(THINGS, THING, namespace="ns") == THING
    assert [code for _, _, code in rig.observer.attempts] == ["401", "200"]

    rig.server.script(refusal(401, "Unauthorized"))
    with pytest.raises(UnauthorizedError):
        await client.get(THINGS, NAME)
    assert [code for _, _, code in rig.observer.attempts] == ["401", "200", "401"]
    await client.aclose()


async def test_writes_ask_the_gate_before_every_attempt(rig: Rig) -> None:
    """A closed gate sends nothing, a gate that closes during a retry stops it; reads pass."""

    class Gate:
        def __init__(self) -> None:
            self.left = 2

        def permit(self) -> float:
            self.left -= 1
            if self.left < 0:
                raise NotLeadingError("closed")
            return 5.0

    gate = Gate()
    client = Client(rig.client._transport, gate=gate)
    rig.server.script(text(429, retry_after="1"))

    with pytest.raises(NotLeadingError):
        await client.apply(THINGS, NAME, THING, field_manager="m")
    assert len(rig.server.requests) == 2

    with pytest.raises(NotLeadingError):
        await client.create(THINGS, THING)
    with pytest.raises(NotLeadingError):
        await client.update(THINGS, NAME, THING)
    with pytest.raises(NotLeadingError):
        await client.patch(THINGS, NAME, THING)
    with pytest.raises(NotLeadingError):
        await client.delete(THINGS, NAME)
    assert len(rig.server.requests) == 2

    rig.server.script(found())
    assert await client.get(THINGS, NAME) == THING


async def test_a_write_ends_before_its_permit(rig: Rig) -> None:
    """The gate's time is the request's time."""

    class Closing:
        def permit(self) -> float:
            return 0.05

    client = Client(rig.client._transport, gate=Closing())
    rig.server.script(hang)

    async with asyncio.timeout(5):
        with pytest.raises(RequestTimeoutError):
            await client.apply(THINGS, NAME, THING, field_manager="m")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../../secrets", "a%2fb", "x/../../api/v1/secrets/y"]
)
async def test_a_name_never_becomes_another_path(rig: Rig, name: str) -> None:
    """What cannot be the name of an object is refused before anything is sent."""
    rig.server.script(found())

    for place in (NamespacedName("ns", name), NamespacedName(name or "..", "web")):
        with pytest.raises(BadRequestError):
            await rig.client.get(THINGS, place)
    with pytest.raises(BadRequestError):
        await rig.client.read("@evil.example/x")

    assert rig.server.requests == []


async def test_odd_names_are_encoded(rig: Rig) -> None:
    """RBAC names hold colons, and a question mark starts no query."""
    rig.server.script(found())

    await rig.client.get(
        GVR("rbac.authorization.k8s.io", "v1", "clusterroles"),
        NamespacedName("", "system:node?x=1"),
    )

    request = rig.server.requests[0]
    assert request.path == "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node?x=1"
    assert not request.query


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"a": 2**70}, id="huge integer"),
        pytest.param({"a": "\ud800"}, id="half a surrogate pair"),
        pytest.param({1: "a"}, id="key that is no string"),
        pytest.param({"a": object()}, id="no JSON"),
    ],
)
async def test_what_is_no_json_is_refused_before_it_is_sent(
    rig: Rig, body: dict[str, object]
) -> None:
    """The error is one of the client's, and nothing went out."""
    with pytest.raises(UnencodableError):
        await rig.client.apply(THINGS, NAME, body, field_manager="m")

    assert rig.server.requests == []


@pytest.mark.parametrize(
    "number",
    ["0", "-1", "9223372036854775807", "-9223372036854775808", "1.0", "0.5", "1e3", "1e-7"],
)
async def test_numbers_survive(rig: Rig, number: str) -> None:
    """Integers are exact, floats stay floats, there and back."""
    sent = '{"kind":"Thing","a":' + number + "}"
    rig.server.script(web.Response(text=sent, content_type="application/json"))

    got = await rig.client.get(THINGS, NAME)
    await rig.client.update(THINGS, NAME, got)

    assert isinstance(got["a"], float if set(number) & set(".e") else int)
    assert json.loads(rig.server.bodies[-1]) == json.loads(sent)
    assert json.loads(rig.server.bodies[-1], parse_float=str, parse_int=int)["a"] is not None


async def test_an_integer_beyond_64_bit_does_not_crash(rig: Rig) -> None:
    """It becomes a float, as in Go."""
    rig.server.script(
        web.Response(text='{"a":123456789012345678901}', content_type="application/json")
    )

    assert (await rig.client.get(THINGS, NAME))["a"] == pytest.approx(1.2345678901234568e20)


async def test_items_of_lists_say_what_they_are(rig: Rig) -> None:
    """Built-in lists leave type and version out of their items; custom ones do not."""
    bare = {"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}
    rig.server.script(web.json_response(bare), web.json_response({**bare, "items": [THING, THING]}))
    pods = GVR("", "v1", "pods")

    assert (await rig.client.list(pods)).items == [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    ]
    assert (await rig.client.list(pods)).items == [THING, THING]


async def test_a_list_that_expires_between_pages_starts_again(rig: Rig) -> None:
    """No item of the first attempt is mixed into the second."""
    first = {"metadata": {"resourceVersion": "1", "continue": "t"}, "items": [THING, THING]}
    second = {"metadata": {"resourceVersion": "9"}, "items": [THING]}
    rig.server.script(web.json_response(first), refusal(410, "Expired"), web.json_response(second))

    page = await rig.client.list_all(THINGS)

    assert (page.items, page.resource_version) == ([THING], "9")


async def test_warnings_are_told_once(rig: Rig) -> None:
    """The same words about the same thing are no news."""
    headers = {"Warning": '299 - "v1beta1 is deprecated"'}
    rig.server.script(web.json_response(THING, headers=headers))

    for _ in range(3):
        await rig.client.get(THINGS, NAME)

    assert rig.observer.warnings == ["v1beta1 is deprecated"]


async def test_what_is_sent(rig: Rig) -> None:
    """Methods, media types and parameters are those that the API server wants."""
    rig.server.script(found())

    await rig.client.apply(THINGS, NAME, THING, field_manager="m", subresource="status")
    await rig.client.delete(THINGS, NAME, uid="u", resource_version="7")

    apply, delete = rig.server.requests
    assert (apply.method, apply.path) == (
        "PATCH",
        "/apis/example.com/v1/namespaces/ns/things/web/status",
    )
    assert apply.headers["Content-Type"] == "application/apply-patch+yaml"
    assert apply.headers["User-Agent"] == "kro/test"
    assert dict(apply.query) == {"fieldManager": "m", "force": "true"}
    assert json.loads(rig.server.bodies[0]) == THING
    assert json.loads(rig.server.bodies[1])["preconditions"] == {
        "uid": "u",
        "resourceVersion": "7",
    }
    assert delete.headers["Content-Type"] == "application/json"


async def test_a_projection_that_the_server_ignores_is_no_error(rig: Rig) -> None:
    """F-31: whole objects come where metadata alone was asked for."""
    rig.server.script(
        web.json_response(
            {"kind": "ThingList", "metadata": {}, "items": [THING | {"spec": {"a": 1}}]}
        )
    )
    page = await rig.client.list(THINGS, metadata_only=True)

    assert "PartialObjectMetadataList" in rig.server.requests[0].headers["Accept"]
    assert page.items[0]["metadata"] == THING["metadata"]


async def test_requests_name_their_origin_where_that_is_wanted(rig: Rig) -> None:
    """P-153: the API server's audit log then tells which pass sent a request."""
    rig.server.script(found())
    tagged = Client(Transport(rig.config, user_agent="kro/test", tagged=True))
    with acting_for(Origin("pass-1")):
        await asyncio.create_task(rig.client.get(THINGS, NAME))
        await asyncio.create_task(tagged.get(THINGS, NAME))
    await tagged.get(THINGS, NAME)
    await tagged.aclose()

    agents = [request.headers["User-Agent"] for request in rig.server.requests]
    assert agents == ["kro/test", "kro/test (pass-1)", "kro/test"]


async def test_a_large_object_is_written(rig: Rig) -> None:
    """Megabytes go out in pieces, complete."""
    rig.server.script(found())
    body = {"kind": "Thing", "data": {"a": "x" * 2_000_000}}

    await rig.client.apply(THINGS, NAME, body, field_manager="m")

    assert json.loads(rig.server.bodies[0]) == body


async def test_connections_are_retired_by_age(rig: Rig) -> None:
    """New requests use new connections after a while; those in flight finish."""
    client = rig.connect(limits=Limits(connection_age_s=0.0))
    ports: list[object] = []

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return found()

    rig.server.script(note)
    for _ in range(3):
        await client.get(THINGS, NAME)

    assert len(set(ports)) == 3
    await client.aclose()


async def test_cancelled_calls_leak_nothing(rig: Rig) -> None:
    """After any number of cancellations the pool is whole again."""
    client = rig.connect(limits=Limits(connections=2))
    rig.server.script(hang)
    for _ in range(10):
        task = asyncio.create_task(client.get(THINGS, NAME))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    rig.server.script(found())

    assert await client.get(THINGS, NAME) == THING
    await client.aclose()


async def test_the_client_side_limit_holds_requests_and_not_watches(rig: Rig) -> None:
    """With a limit set every request passes it, and says how long that took."""
    client = rig.connect(limits=Limits(qps=20, burst=1))
    rig.server.script(found())

    await asyncio.gather(*(client.get(THINGS, NAME) for _ in range(5)))
    async with client.watch(THINGS):
        pass

    waits = sorted(rig.observer.waits)
    assert len(waits) == 5
    assert waits[0] == 0
    assert waits[-1] > 0.15
    await client.aclose()
