"""One snapshot of queues and informers replaces the other."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from kro.metrics.sampled import Sampled
from kro.runtime.sampling import ControllerSample, InformerSample


def controller(name: str, *, queue: str = "q", unfinished: float = 1.0) -> ControllerSample:
    """Return a sample of one controller."""
    return ControllerSample(name, queue, 3.0, unfinished, unfinished / 2, 4, 5, 6)


def test_queues_of_one_name_are_one() -> None:
    """All generated kinds share one queue in the reference: ages add up, the longest counts."""
    registry, sampled = CollectorRegistry(), Sampled()
    registry.register(sampled)

    sampled.show([controller("a"), controller("b", unfinished=8.0)], [])

    labels = {"name": "q", "controller": "q"}
    unfinished = registry.get_sample_value("workqueue_unfinished_work_seconds", labels)
    longest = registry.get_sample_value("workqueue_longest_running_processor_seconds", labels)
    assert (unfinished, longest) == (9.0, 4.0)
    assert registry.get_sample_value("kro_runtime_queue_oldest_seconds", {"controller": "b"}) == 3.0


def test_what_is_gone_has_no_series_any_more() -> None:
    """P-151: and what never heard of the server has no age."""
    registry, sampled = CollectorRegistry(), Sampled()
    registry.register(sampled)
    sampled.show([controller("a")], [InformerSample("pods", 1.0, 2, 3)])

    sampled.show([], [InformerSample("webs", None, 0, 1)])

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("kro_runtime_stuck_keys", controller="a") is None
    assert value("kro_runtime_informer_objects", gvr="pods") is None
    assert value("kro_runtime_informer_staleness_seconds", gvr="webs") is None
    assert value("kro_runtime_informer_holds", gvr="webs") == 1
