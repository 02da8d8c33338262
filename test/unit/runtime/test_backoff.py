from __future__ import annotations

import random

import pytest

from kro.runtime.backoff import BackoffSettings, Bucket, KeyBackoff, StreamBackoff, retry_delay
from support.clock import FakeClock


@pytest.mark.parametrize(
    ("failures", "delay"),
    [
        pytest.param(1, 0.2, id="first"),
        pytest.param(2, 0.4, id="doubles"),
        pytest.param(13, 819.2, id="last below the cap"),
        pytest.param(14, 1000.0, id="cap"),
        pytest.param(10_000, 1000.0, id="for ever"),
    ],
)
def test_delay_doubles_up_to_the_cap(failures: int, delay: float) -> None:
    """P-086: 200 ms doubling to 1000 s."""
    assert retry_delay(failures, base_s=0.2, cap_s=1000.0) == pytest.approx(delay)


def test_keys_wait_longer_each_time_and_forget_on_success() -> None:
    """P-086: ±10 % around the exponential."""
    backoff: KeyBackoff[str] = KeyBackoff(BackoffSettings(), seed=random.Random(1))

    waits = [backoff.failed("a") for _ in range(5)]
    backoff.forget("a")

    for wait, exact in zip(waits, (0.2, 0.4, 0.8, 1.6, 3.2), strict=True):
        assert 0.9 * exact <= wait <= 1.1 * exact
    assert backoff.failed("a") <= 0.22
    assert len(backoff) == 1


def test_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    """P-087."""
    clock = FakeClock()
    bucket = Bucket(clock, rate=10.0, burst=100)

    waits = [bucket.take() for _ in range(110)]
    clock.turn(10.0)

    assert max(waits[:100]) == 0
    assert waits[-1] == pytest.approx(1.0)
    assert bucket.take() == 0


def test_stream_waits_double_with_jitter_and_forget_after_two_healthy_minutes() -> None:
    """P-019: 0.8 s doubling to 30 s, uniform in [d, 2d)."""
    clock = FakeClock()
    backoff = StreamBackoff(clock, seed=random.Random(3))

    waits = []
    for _ in range(8):
        waits.append(backoff.failed())
        clock.turn(waits[-1])
    clock.turn(121.0)
    after = backoff.failed()

    for wait, base in zip(waits, (0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0), strict=True):
        assert base <= wait < 2 * base
    assert after < 1.6


def test_stream_waits_at_least_what_the_server_asks_for() -> None:
    backoff = StreamBackoff(FakeClock(), seed=random.Random(3))

    assert backoff.failed(at_least_s=17.0) == 17.0


def test_a_hundred_reflectors_that_fail_together_do_not_come_back_together() -> None:
    """P-019: no two attempts in the same 10 ms more often than chance has it."""
    clock = FakeClock()

    waits = [StreamBackoff(clock, seed=random.Random(seed)).failed() for seed in range(100)]

    fullest = max(sum(1 for w in waits if int(w * 100) == slot) for slot in range(80, 160))
    assert fullest <= 7
