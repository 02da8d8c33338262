"""The arithmetic of leadership: what a Lease says, who may take it, and until when one leads.

Pure: instants come in as numbers of one clock, which also runs while the machine sleeps.

Source: spec "Controller runtime" P-124 to P-135; the record of client-go 0.36, so that either
implementation keeps the other out.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

from kro.refs import JsonObject, JsonValue, NamespacedName


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSettings:
    """How leadership is kept and lost.

    Units: seconds. `lease_duration_s` is what others wait since they last saw the record change,
    `renew_deadline_s` how long a leader may go without success, `retry_period_s` the pause between
    attempts.
    """

    lease_duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0
    release: bool = True
    """Give the lease back on a clean exit."""

    def __post_init__(self) -> None:
        """Refuse settings under which two could lead."""
        lasts_s, renew_s, retry_s = (
            self.lease_duration_s,
            self.renew_deadline_s,
            self.retry_period_s,
        )
        if retry_s <= 0:
            raise ValueError(f"the retry period ({retry_s:g} s) must be longer than 0")
        if renew_s <= retry_s * RENEW_MARGIN:
            raise ValueError(
                f"the renew deadline ({renew_s:g} s) must be longer than"
                f" {RENEW_MARGIN} retry periods ({retry_s:g} s)"
            )
        if lasts_s <= renew_s:
            raise ValueError(
                f"the lease duration ({lasts_s:g} s) must be longer than the renew deadline"
                f" ({renew_s:g} s)"
            )
        if lasts_s < 1:
            raise ValueError(f"the lease duration ({lasts_s:g} s) must be at least 1 s")


RENEW_MARGIN = 1.2
"""How many retry periods must fit into the renew deadline: the condition of client-go."""
ACQUIRE_JITTER = 0.2
"""A standby looks at the lease every 1 to 1.2 retry periods, at random.

Client-go looks every 1 to 2.2: with the default durations a leader that vanished would be followed
after up to 23.8 s: 4.4 until its last renewal is seen, 15, and 4.4 until the next look.
"""


@dataclass(frozen=True, slots=True)
class Standby:
    """Somebody else may be leading: `record` was last seen to change at `since`."""

    record: str | None = None
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Leading:
    """We lead: the last renewal that succeeded was sent at `renewed`."""

    renewed: float


@dataclass(frozen=True, slots=True)
class Lost:
    """We led, and shall never again in this process."""

    why: str


State = Standby | Leading | Lost


@dataclass(frozen=True, slots=True)
class Renewed:
    """A write that makes or keeps us the holder succeeded; it was sent at `sent`."""

    sent: float


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody else's record was read at `at`; `record` identifies its content."""

    record: str
    at: float


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed, whatever the attempts did."""

    at: float


Signal = Renewed | Seen | Ticked


def step(state: State, signal: Signal, settings: LeaseSettings) -> State:
    """Every arrow of leadership."""
    match state, signal:
        case Lost(), _:
            return state
        case Leading(renewed), Renewed(sent) if sent - renewed >= settings.renew_deadline_s:
            return Lost("the renewal came too late")
        case _, Renewed(sent):
            return Leading(sent)
        case Leading(), Seen():
            return Lost("another process holds the lease")
        case Leading(renewed), Ticked(at) if at - renewed >= settings.renew_deadline_s:
            return Lost(f"no renewal succeeded for {settings.renew_deadline_s:g} s")
        case Standby(record), Seen(seen, at) if seen != record:
            return Standby(seen, at)
    return state


def may_take(
    state: Standby, holder: str, duration_s: float, now: float, settings: LeaseSettings
) -> bool:
    """Return whether the lease of `holder` counts as abandoned.

    A full duration must have passed since we last saw the record change, by our own clock: what
    the record says about time is never compared with it. A duration that no elector would write
    is ignored.
    """
    return not holder or now >= takeable_at(state, duration_s, settings)


def takeable_at(state: Standby, duration_s: float, settings: LeaseSettings) -> float:
    """Return when a lease of that duration counts as abandoned, should it not change before."""
    return state.since + (duration_s if duration_s >= 1 else settings.lease_duration_s)


def look_pause_s(
    now: float, takeable: float | None, settings: LeaseSettings, *, chance: float
) -> float:
    """Return how long a standby waits until it looks at the lease again.

    It looks when the lease may be taken, not a period later; each standby somewhat after that, so
    that several do not all write at once.

    Args:
        takeable: when it may be taken, if it does not change before; None if that is not known.
        chance: a random number from 0 to 1.
    """
    period_s = settings.retry_period_s
    spread_s = period_s * ACQUIRE_JITTER * chance
    # One that could be taken already was not to be had: then there is no hurry.
    until_s = takeable - now if takeable is not None and takeable > now else period_s
    return min(period_s, until_s) + spread_s


def holder_of(lease: JsonObject) -> str:
    """Return who holds a Lease object; nobody is the empty string."""
    return _text(_spec(lease).get("holderIdentity"))


def duration_of(lease: JsonObject) -> float:
    """Return the duration that a Lease object carries, 0 if none."""
    value = _spec(lease).get("leaseDurationSeconds")
    return float(value) if isinstance(value, int | float) else 0.0


def record_of(lease: JsonObject) -> str:
    """Return a text that changes whenever the holder renews, and with nothing else."""
    spec = _spec(lease)
    fields = ("holderIdentity", "renewTime", "acquireTime", "leaseTransitions")
    return "|".join(str(spec.get(field)) for field in (*fields, "leaseDurationSeconds"))


def new_lease(
    name: NamespacedName, identity: str, *, wall: str, settings: LeaseSettings
) -> JsonObject:
    """Return the Lease to create when there is none.

    Args:
        wall: the time of day, RFC 3339 with microseconds.
    """
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": name.namespace, "name": name.name},
        "spec": {
            "holderIdentity": identity,
            "leaseDurationSeconds": _whole_seconds(settings),
            "acquireTime": wall,
            "renewTime": wall,
            "leaseTransitions": 0,
        },
    }


def held_lease(
    lease: JsonObject, identity: str, *, wall: str, settings: LeaseSettings
) -> JsonObject:
    """Return the Lease as its holder `identity` writes it; unknown fields stay."""
    held = copy.deepcopy(lease)
    spec = _spec(held)
    if spec.get("holderIdentity") != identity:
        transitions = spec.get("leaseTransitions")
        spec["leaseTransitions"] = (transitions if isinstance(transitions, int) else 0) + 1
        spec["acquireTime"] = wall
    spec["holderIdentity"] = identity
    spec["leaseDurationSeconds"] = _whole_seconds(settings)
    spec["renewTime"] = wall
    held["spec"] = spec
    return held


def released_lease(lease: JsonObject, *, wall: str) -> JsonObject:
    """Return the Lease without a holder, free for the next at once."""
    released = copy.deepcopy(lease)
    spec = _spec(released)
    spec.update(
        {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": wall,
            "renewTime": wall,
        }
    )
    released["spec"] = spec
    return released


def _whole_seconds(settings: LeaseSettings) -> int:
    """Return the duration as the record can say it: never less, for others wait no longer."""
    return math.ceil(settings.lease_duration_s)


def _spec(lease: JsonObject) -> JsonObject:
    spec = lease.get("spec")
    return spec if isinstance(spec, dict) else {}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
