"""How long to wait after a failure: by key, by stream, and by all together."""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kro.runtime.clock import Clock

K = TypeVar("K", bound=Hashable)


def retry_delay(failures: int, *, base_s: float, cap_s: float) -> float:
    """Return how long a key waits after its `failures`-th failure in a row, counted from 1.

    Units: seconds; doubles from `base_s`, never above `cap_s`.
    Source: the per-item exponential limiter of client-go 0.36.
    """
    exponent = min(max(failures - 1, 0), 63)
    return min(base_s * float(2**exponent), cap_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffSettings:
    """How failing keys of one controller wait.

    Units: seconds, and failures a second for the bucket.
    Source: spec "Controller runtime" P-086, P-087.
    """

    base_s: float = 0.2
    cap_s: float = 1000.0
    jitter: float = 0.1
    rate: float = 10.0
    burst: int = 100


class KeyBackoff(Generic[K]):
    """Counts the failures of each key in a row and says how long it waits.

    Holds one small number for each failing key, none for the others.
    """

    def __init__(self, settings: BackoffSettings, *, seed: random.Random | None = None) -> None:
        self._settings = settings
        self._random = seed or random.Random()
        self._failures: dict[K, int] = {}

    def __len__(self) -> int:
        """Return how many keys are failing."""
        return len(self._failures)

    def failed(self, key: K) -> float:
        """Count one more failure and return the seconds until the next try."""
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        delay = retry_delay(failures, base_s=self._settings.base_s, cap_s=self._settings.cap_s)
        return delay * self._random.uniform(1 - self._settings.jitter, 1 + self._settings.jitter)

    def failures(self, key: K) -> int:
        """Return how often the key failed in a row."""
        return self._failures.get(key, 0)

    def at_least(self, failures: int) -> int:
        """Return how many keys have failed that often in a row."""
        return sum(1 for count in self._failures.values() if count >= failures)

    def forget(self, key: K) -> None:
        """Start the key's count from zero again."""
        self._failures.pop(key, None)


class Bucket:
    """A token bucket whose tokens may be taken in advance: it answers with a delay, never blocks.

    Source: spec "Controller runtime" P-087.
    """

    def __init__(self, clock: Clock, *, rate: float, burst: int) -> None:
        self._clock, self._rate, self._burst = clock, rate, float(burst)
        self._tokens, self._filled_at = float(burst), clock.now()

    def take(self) -> float:
        """Take one token and return the seconds until it is there."""
        now = self._clock.now()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)


class StreamBackoff:
    """The waits of one reflector: doubling, widely jittered, forgotten after a healthy while.

    Source: spec "Controller runtime" P-019: 0.8 s doubling to 30 s, uniform in [d, 2d), reset
    after two minutes without a failure.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        base_s: float = 0.8,
        cap_s: float = 30.0,
        reset_s: float = 120.0,
        seed: random.Random | None = None,
    ) -> None:
        self._clock, self._base_s, self._cap_s, self._reset_s = clock, base_s, cap_s, reset_s
        self._random = seed or random.Random()
        self._failures, self._last_at = 0, clock.now()

    def failed(self, *, at_least_s: float = 0.0, at_most_s: float | None = None) -> float:
        """Return the seconds to wait now: after `at_least_s`, which a server may have asked for."""
        now = self._clock.now()
        if now - self._last_at > self._reset_s:
            self._failures = 0
        self._failures += 1
        delay = retry_delay(self._failures, base_s=self._base_s, cap_s=self._cap_s)
        delay = max(delay * self._random.uniform(1, 2), at_least_s)
        if at_most_s is not None:
            delay = min(delay, at_most_s)
        self._last_at = now + delay
        return delay

    def reset(self) -> None:
        """Start from the shortest wait again."""
        self._failures = 0
