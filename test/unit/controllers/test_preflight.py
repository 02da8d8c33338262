"""What the controller may do, asked as seldom as can be."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from kro.controllers.access import Need
from kro.controllers.preflight import (
    ACCESS_REVIEWS,
    BAD_FOR_S,
    CHECKS_LIMIT,
    GOOD_FOR_S,
    RULES_REVIEWS,
    TOLD_FOR_S,
    Preflight,
    Rights,
)
from kro.errors import ClusterError
from kro.refs import GVR, JsonObject, JsonValue
from kro.runtime.client import Client, ForbiddenError, NotLeadingError, Status, StatusDetails
from support.clock import FakeClock

DEPLOYMENTS = Need(group="apps", resource="deployments", verbs=frozenset({"list", "watch"}))
STATUS = Need(group="kro.run", resource="shops/status", verbs=frozenset({"update"}))


def _rule(group: str, resource: str, *verbs: str, **more: JsonValue) -> JsonObject:
    return {"apiGroups": [group], "resources": [resource], "verbs": [*verbs], **more}


class _Server:
    """Answers reviews as an API server with these rules."""

    def __init__(self, *rules: JsonObject, incomplete: bool = False) -> None:
        self.rules = rules
        self.incomplete = incomplete
        self.elsewhere: set[tuple[str, str, str]] = set()
        """What another authorizer allows: group, resource, verb."""
        self.fault: ClusterError | None = None
        self.asked: list[GVR] = []
        self.attributes: list[JsonValue] = []

    async def create(self, gvr: GVR, body: JsonObject) -> JsonObject:
        self.asked.append(gvr)
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        spec = cast("JsonObject", body["spec"])
        if gvr == RULES_REVIEWS:
            assert spec["namespace"]
            rules: list[JsonValue] = [*self.rules]
            return {"status": {"resourceRules": rules, "incomplete": self.incomplete}}
        assert gvr == ACCESS_REVIEWS
        asked = cast("dict[str, str]", spec["resourceAttributes"])
        self.attributes.append(spec["resourceAttributes"])
        place = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        return {"status": {"allowed": (asked["group"], place, asked["verb"]) in self.elsewhere}}


class _World:
    def __init__(self, *rules: JsonObject, incomplete: bool = False) -> None:
        self.clock = FakeClock()
        self.server = _Server(*rules, incomplete=incomplete)
        self.preflight = Preflight(client=cast("Client", self.server), clock=self.clock)

    async def missing(self, *needs: Need, of: str = "shop") -> dict[str, set[str]]:
        found = await self.preflight.missing(of, needs)
        return {str(need): set(need.verbs) for need in found}

    @property
    def requests(self) -> int:
        return len(self.server.asked)


@pytest.mark.parametrize(
    ("rule", "need", "missing"),
    [
        pytest.param(_rule("*", "*", "*"), DEPLOYMENTS, set(), id="everything"),
        pytest.param(_rule("*", "*", "*"), STATUS, set(), id="everything, subresources too"),
        pytest.param(_rule("apps", "*", "list"), DEPLOYMENTS, {"watch"}, id="one verb"),
        pytest.param(
            _rule("", "deployments", "*"), DEPLOYMENTS, {"list", "watch"}, id="another group"
        ),
        pytest.param(
            _rule("apps", "deployments", "list", "watch"), DEPLOYMENTS, set(), id="exactly"
        ),
        pytest.param(
            _rule("apps", "deployments/status", "*"),
            DEPLOYMENTS,
            {"list", "watch"},
            id="a subresource is not the resource",
        ),
        pytest.param(
            _rule("kro.run", "shops", "*"), STATUS, {"update"}, id="nor the other way round"
        ),
        pytest.param(_rule("kro.run", "*/status", "update"), STATUS, set(), id="any status"),
        pytest.param(
            _rule("apps", "deployments", "*", resourceNames=["web"]),
            DEPLOYMENTS,
            {"list", "watch"},
            id="single objects are not the kind",
        ),
        pytest.param(
            _rule("apps", "deployments", "*", resourceNames=[]), DEPLOYMENTS, set(), id="no names"
        ),
    ],
)
def test_rules_grant_what_rbac_grants_by_them(
    rule: JsonObject, need: Need, missing: set[str]
) -> None:
    """As the API server's RBAC authorizer matches rules."""
    rights = Rights.parse({"status": {"resourceRules": [rule]}})

    found = rights.missing([need])

    assert {verb for each in found for verb in each.verbs} == missing


@pytest.mark.parametrize("answer", [{}, {"status": None}, {"status": {"resourceRules": "x"}}])
def test_an_answer_without_rules_grants_nothing(answer: JsonObject) -> None:
    """Garbage is no right."""
    assert Rights.parse(answer).missing([STATUS]) == (STATUS,)


async def test_a_definition_of_300_kinds_costs_one_request_and_the_next_one_none() -> None:
    """The review lists all rules at once, and holds for as long as nothing is missing."""
    world = _World(_rule("*", "*", "*"))
    many = [
        Need(group="g", resource=f"kind{at}s", verbs=frozenset({"get", "watch"}))
        for at in range(300)
    ]

    first = await world.missing(*many)
    second = await world.missing(DEPLOYMENTS, of="other")
    await world.clock.advance(GOOD_FOR_S - 1)
    third = await world.missing(*many)

    assert (first, second, third) == ({}, {}, {})
    assert world.requests == 1

    await world.clock.advance(2)
    await world.missing(*many)
    assert world.requests == 2


async def test_calls_at_the_same_time_share_one_review() -> None:
    """All definitions of a start come together."""
    world = _World(_rule("*", "*", "*"))

    await asyncio.gather(*(world.missing(STATUS, of=f"d{at}") for at in range(50)))

    assert world.requests == 1


async def test_a_right_that_was_granted_just_before_is_not_reported_as_missing() -> None:
    """Who grants first and defines then reads nothing wrong, however young the last review is."""
    world = _World()
    assert await world.missing(STATUS, of="one") == {"shops/status.kro.run": {"update"}}
    await world.clock.advance(0.5)
    world.server.rules = (_rule("apps", "deployments", "*"),)

    assert await world.missing(DEPLOYMENTS, of="two") == {}


async def test_what_is_missing_is_looked_for_again_and_no_more_often_than_it_should() -> None:
    """Any number of definitions that lack something share the reviews."""
    world = _World()
    for at in range(20):
        await world.missing(STATUS, of=f"d{at}")
    before = world.requests
    await world.clock.advance(BAD_FOR_S + 1)

    for at in range(20):
        assert await world.missing(STATUS, of=f"d{at}")
    assert world.requests == before + 1

    await world.clock.advance(BAD_FOR_S + 1)
    world.server.rules = (_rule("*", "*", "*"),)
    for at in range(20):
        assert await world.missing(STATUS, of=f"d{at}") == {}
    assert world.requests == before + 2


async def test_a_refused_watch_casts_doubt_on_what_was_granted() -> None:
    """A right that was taken away is seen at the next look, not after ten minutes."""
    world = _World(_rule("*", "*", "*"))
    await world.missing(STATUS)
    world.server.rules = ()
    await world.clock.advance(BAD_FOR_S + 1)

    world.preflight.doubt()

    assert await world.missing(STATUS) == {"shops/status.kro.run": {"update"}}


async def test_where_rules_cannot_be_listed_single_rights_are_asked() -> None:
    """And only those that no rule grants; a right that a webhook gives is a right."""
    world = _World(_rule("apps", "deployments", "list"), incomplete=True)
    world.server.elsewhere = {("apps", "deployments", "watch")}

    missing = await world.missing(DEPLOYMENTS, STATUS)

    assert missing == {"shops/status.kro.run": {"update"}}
    assert world.server.attributes == [
        {"group": "apps", "resource": "deployments", "verb": "watch"},
        {"group": "kro.run", "resource": "shops", "subresource": "status", "verb": "update"},
    ]


async def test_single_rights_are_asked_in_bounded_number_and_once() -> None:
    """What was not asked is not known, and so not reported."""
    world = _World(incomplete=True)
    many = [
        Need(group="g", resource=f"kind{at:03}s", verbs=frozenset({"get"})) for at in range(300)
    ]

    missing = await world.missing(*many)

    assert len(missing) == CHECKS_LIMIT
    assert world.server.asked.count(ACCESS_REVIEWS) == CHECKS_LIMIT
    assert await world.missing(*many) == missing
    assert world.server.asked.count(ACCESS_REVIEWS) == CHECKS_LIMIT


async def test_an_api_server_that_does_not_tell_leaves_everything_open() -> None:
    """The preflight warns; it never stands in the way."""
    world = _World()
    world.server.fault = ClusterError("no such resource")

    assert await world.missing(STATUS) == {}
    assert await world.missing(STATUS) == {}
    assert world.requests == 1


async def test_who_no_longer_leads_is_told_so() -> None:
    """The pass has to end then; a missing answer would be no reason."""
    world = _World()
    world.server.fault = NotLeadingError("not leading")

    with pytest.raises(NotLeadingError):
        await world.missing(STATUS)


def _forbidden(group: str, resource: str) -> ForbiddenError:
    details = StatusDetails(group=group, kind=resource, name="web")
    return ForbiddenError(403, Status(message=f"{resource} is forbidden", details=details))


async def test_a_refused_request_is_explained_by_the_rule_that_is_missing() -> None:
    """The server's words first; what wraps the refusal is explained as well."""
    world = _World()
    await world.missing(DEPLOYMENTS, STATUS)
    wrapped = ClusterError("cannot write: forbidden")
    wrapped.__cause__ = _forbidden("kro.run", "shops")

    direct = await world.preflight.explain(_forbidden("apps", "deployments"))
    through = await world.preflight.explain(wrapped)

    assert direct.splitlines() == [
        "deployments is forbidden",
        (
            "the controller may not list, watch deployments.apps: add to its ClusterRole: "
            '{apiGroups: ["apps"], resources: ["deployments"], verbs: ["list", "watch"]}'
        ),
    ]
    assert "may not update shops/status.kro.run" in through


async def test_a_refusal_that_is_not_about_rights_gets_no_rule() -> None:
    """An admission plug-in answers 403 too: the rights decide, not the number."""
    world = _World(_rule("*", "*", "*"))
    await world.missing(DEPLOYMENTS)

    admission = await world.preflight.explain(_forbidden("apps", "deployments"))
    other = await world.preflight.explain(ClusterError("timed out"))
    unknown = await world.preflight.explain(_forbidden("apps", "daemonsets"))

    assert (admission, other) == ("deployments is forbidden", "timed out")
    assert unknown == "daemonsets is forbidden"


async def test_refusals_do_not_make_a_storm_of_reviews() -> None:
    """However many instances admission refuses, and however often: one review in a while."""
    world = _World(_rule("*", "*", "*"))
    await world.missing(DEPLOYMENTS)

    for _ in range(20):
        for _ in range(50):
            await world.preflight.explain(_forbidden("apps", "deployments"))
        await world.clock.advance(3)

    assert world.requests <= 1 + 60 / TOLD_FOR_S


async def test_a_definition_that_is_gone_explains_nothing_any_more() -> None:
    """Its needs are dropped with it."""
    world = _World()
    await world.missing(DEPLOYMENTS)

    world.preflight.forget("shop")

    assert await world.preflight.explain(_forbidden("apps", "deployments")) == (
        "deployments is forbidden"
    )
