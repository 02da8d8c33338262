"""Whether a kind is watched: who is told, and that nobody waits for it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kro.controllers.access import Need
from kro.controllers.definition.crds import GeneratedCrds
from kro.controllers.definition.kind import RECHECK_S, SYNC_S, GeneratedKind
from kro.controllers.definition.serving import ServedKinds
from kro.controllers.definition.status import CONTROLLER_READY, Report
from kro.controllers.preflight import Preflight
from kro.graph import Graph, build
from kro.refs import GVR, JsonObject
from kro.runtime import CheckAgain, InformerState, Outcome, Settled
from kro.schema import BundledSchemas
from support.clock import FakeClock
from support.generated import greeter
from support.kube import CONFIGMAPS

SHOPS = GVR("kro.run", "v1alpha1", "shops")
CONFIG = Need(group="", resource="configmaps", verbs=frozenset({"watch"}))
RULE = 'add to its ClusterRole: {apiGroups: [""], resources: ["configmaps"], verbs: ["watch"]}'


class _Informed:
    def __init__(self, gvr: GVR, state: InformerState = InformerState.SYNCED) -> None:
        self.gvr, self.state, self.problem = gvr, state, ""

    def become(self, state: InformerState, problem: str = "") -> None:
        self.state, self.problem = state, problem


class _World:
    """One generated kind with one child's kind; informers and rights are set by the test."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.own, self.child = _Informed(SHOPS), _Informed(CONFIGMAPS)
        self.lacking: tuple[Need, ...] = ()
        self.retried: list[GVR] = []
        self.swept: list[GVR] = []
        self.kind = GeneratedKind(
            crds=cast("GeneratedCrds", None),
            served=cast("ServedKinds", self),
            preflight=cast("Preflight", self),
            retry=self.retried.append,
            clock=self.clock,
            progress_s=3.0,
        )
        self.graph: Graph = build("shop", greeter("Shop")["spec"], BundledSchemas())
        self.conditions: list[Any] = []

    # what ServedKinds and Preflight do

    def watches(self, gvr: GVR) -> tuple[_Informed, ...]:
        assert gvr == SHOPS
        return (self.own, self.child)

    def sweep(self, gvr: GVR) -> None:
        self.swept.append(gvr)

    async def missing(self, definition: str, needs: tuple[Need, ...]) -> tuple[Need, ...]:
        assert definition == "shop"
        return self.lacking

    async def look(self) -> tuple[Outcome, Report]:
        """Make one pass's look at the kind."""
        definition: JsonObject = {
            "metadata": {"name": "shop", "generation": 1, "creationTimestamp": "t"},
            "status": {"conditions": self.conditions},
        }
        report = Report.of(definition, now="2026-01-01T00:00:00Z")
        outcome = await self.kind.watch(report, self.graph)
        if not report.deferred:
            self.conditions = report.conditions.wire()
        return outcome, report


def _said(report: Report) -> tuple[str, str, str]:
    found = report.conditions.get(CONTROLLER_READY)
    assert found is not None
    return found.status, str(found.reason), found.message or ""


async def test_a_kind_that_is_watched_is_running() -> None:
    """And there is nothing to look for again."""
    outcome, report = await _World().look()

    assert outcome == Settled()
    assert _said(report) == ("True", "Running", "controller is running")


@pytest.mark.parametrize("which", ["own", "child"])
@pytest.mark.parametrize("state", [InformerState.LOADING, InformerState.ABSENT])
async def test_nobody_waits_while_a_kind_is_loaded(which: str, state: InformerState) -> None:
    """The look ends at once and writes nothing; its end is an event, the timer a safety net."""
    world = _World()
    informed: _Informed = getattr(world, which)
    informed.become(state)
    started = world.clock.now()

    outcome, report = await world.look()

    assert report.deferred
    assert isinstance(outcome, CheckAgain)
    assert outcome.after_s == SYNC_S
    assert world.clock.now() == started

    await world.clock.advance(10)
    informed.become(InformerState.SYNCED)
    outcome, report = await world.look()
    assert outcome == Settled()
    assert _said(report) == ("True", "Running", "controller is running")


async def test_a_kind_that_cannot_be_loaded_in_time_did_not_start() -> None:
    """The reason of kro (Go), with what the informer knows; it is looked at again."""
    world = _World()
    world.own.become(InformerState.LOADING, "the conversion webhook does not answer")
    await world.look()
    await world.clock.advance(SYNC_S)

    outcome, report = await world.look()

    status, reason, message = _said(report)
    assert (status, reason) == ("False", "FailedToStart")
    assert message == (
        f"add parent handler {SHOPS}: cache sync timeout for {SHOPS}: "
        "the conversion webhook does not answer"
    )
    assert isinstance(outcome, CheckAgain)
    assert outcome.after_s == RECHECK_S


@pytest.mark.parametrize(
    ("state", "told"),
    [
        pytest.param(InformerState.LOADING, f"cache sync timeout for {CONFIGMAPS}: why", id="late"),
        pytest.param(InformerState.ABSENT, f"{CONFIGMAPS} is not served", id="gone"),
    ],
)
async def test_a_child_kind_that_does_not_come_is_told_and_blocks_nothing(
    state: InformerState, told: str
) -> None:
    """The definition serves what it can: F-42."""
    world = _World()
    world.child.become(state, "why")
    await world.look()
    await world.clock.advance(SYNC_S)

    outcome, report = await world.look()

    assert _said(report) == ("True", "Running", f"controller is running\n{told}")
    assert isinstance(outcome, CheckAgain)


async def test_a_forbidden_child_kind_is_told_at_once_with_the_rule_to_add() -> None:
    """F-41: the definition is active; there is nothing to wait for."""
    world = _World()
    world.child.become(InformerState.FORBIDDEN, "configmaps is forbidden")
    world.lacking = (CONFIG,)

    outcome, report = await world.look()

    assert _said(report) == (
        "True",
        "Running",
        f"controller is running\nthe controller may not watch configmaps: {RULE}",
    )
    assert report.conditions.is_true(CONTROLLER_READY)
    assert isinstance(outcome, CheckAgain)
    assert outcome.after_s == RECHECK_S


async def test_a_refusal_that_rights_do_not_explain_is_told_in_the_servers_words() -> None:
    """Such as credentials that have expired."""
    world = _World()
    world.child.become(InformerState.FORBIDDEN, "Unauthorized")

    _, report = await world.look()

    assert (
        _said(report)[2] == f"controller is running\n{CONFIGMAPS} may not be watched: Unauthorized"
    )


async def test_a_forbidden_kind_of_its_own_keeps_the_definition_from_starting() -> None:
    """Its instances cannot be seen; the rule is told."""
    world = _World()
    world.own.become(InformerState.FORBIDDEN, "shops.kro.run is forbidden")
    world.lacking = (Need(group="kro.run", resource="shops", verbs=frozenset({"list", "watch"})),)

    _, report = await world.look()

    status, reason, message = _said(report)
    assert (status, reason) == ("False", "FailedToStart")
    assert "shops.kro.run is forbidden\nthe controller may not list, watch shops.kro.run" in message


async def test_a_right_that_was_granted_is_used_at_once_and_the_message_goes() -> None:
    """Refused informers try again, and instances that failed for it get a pass."""
    world = _World()
    world.lacking = (CONFIG, Need(group="", resource="secrets", verbs=frozenset({"get"})))
    await world.look()
    assert (world.retried, world.swept) == ([], [])

    world.lacking = world.lacking[:1]
    _, partly = await world.look()
    assert "secrets" not in _said(partly)[2]
    assert world.swept == [SHOPS]
    assert set(world.retried) == {SHOPS, CONFIGMAPS}

    world.lacking = ()
    outcome, report = await world.look()
    assert outcome == Settled()
    assert _said(report)[2] == "controller is running"


async def test_a_right_that_stays_missing_changes_nothing() -> None:
    """Looking again and again writes nothing and wakes nobody."""
    world = _World()
    world.lacking = (CONFIG,)
    _, first = await world.look()
    before = first.conditions.wire()

    for _ in range(5):
        await world.clock.advance(RECHECK_S)
        _, report = await world.look()

    assert report.conditions.wire() == before
    assert (world.retried, world.swept) == ([], [])
