"""The arithmetic of leadership: what a Lease says, who may take it, and until when one leads.

Pure: instants come in as numbers of one clock, which also runs while the machine sleeps.

Source: spec "Controller runtime" P-124 to P-135; the record of client-go 0.36, so that either
implementation keeps the other out.
"""

from __future__ import annotations

import copy
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
        if not 0 < self.retry_period_s * ACQUIRE_JITTER < self.renew_deadline_s:
            raise ValueError("the renew deadline must be longer than 1.2 retry periods")
        if not self.renew_deadline_s < self.lease_duration_s:
            raise ValueError("the lease duration must be longer than the renew deadline")
        if self.lease_duration_s < 1:
            raise ValueError("the lease duration must be at least one second")


ACQUIRE_JITTER = 1.2
"""An attempt to acquire comes 1 to 2.2 retry periods after the last, at random."""


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
    if not holder:
        return True
    wait_s = duration_s if duration_s >= 1 else settings.lease_duration_s
    return now - state.since >= wait_s


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
            "leaseDurationSeconds": int(settings.lease_duration_s),
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
    spec["leaseDurationSeconds"] = int(settings.lease_duration_s)
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


def _spec(lease: JsonObject) -> JsonObject:
    spec = lease.get("spec")
    return spec if isinstance(spec, dict) else {}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
