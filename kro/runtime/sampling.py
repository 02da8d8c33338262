"""A look once a second at what only the event loop may look at: queues, backoffs, informers.

A scrape comes in another thread and must not walk through what the loop is changing; so the loop
takes a snapshot, and the scrape shows that.

Source: spec "Controller runtime" 1.13 (workqueue gauges are refreshed, not computed), P-095, P-154.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from kro.refs import GVR
from kro.runtime.clock import Clock, sleep
from kro.runtime.controller import Controller
from kro.runtime.informer import Informers

SAMPLE_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class ControllerSample:
    """One controller and its queue at one moment. Units: seconds, keys."""

    name: str
    queue: str
    """Queues of one name are one queue to the reader."""
    oldest_s: float
    unfinished_s: float
    longest_s: float
    delayed: int
    backing_off: int
    stuck: int


@dataclass(frozen=True, slots=True)
class InformerSample:
    """All informers of one resource at one moment. Units: seconds."""

    resource: str
    staleness_s: float | None
    """Of the one that heard from the server least recently; None before any did."""
    objects: int
    holds: int


class Snapshots(Protocol):
    """Who is shown the samples."""

    def show(
        self, controllers: Sequence[ControllerSample], informers: Sequence[InformerSample]
    ) -> None:
        """Take these in place of the last ones."""
        ...


Watched: TypeAlias = tuple[str, str, Controller]
"""Label, name of the queue, and the controller itself."""


class Sampling:
    """Takes the snapshots.

    Args:
        controllers: returns those that live now.
        label: how a resource is called in what is shown.
    """

    def __init__(
        self,
        *,
        controllers: Callable[[], Iterable[Watched]],
        informers: Informers,
        label: Callable[[GVR], str],
        clock: Clock,
        shown: Snapshots,
    ) -> None:
        self._controllers, self._informers = controllers, informers
        self._label, self._clock, self._shown = label, clock, shown

    async def run(self) -> None:
        """Take one after the other until cancelled."""
        while True:
            self.take()
            await sleep(self._clock, SAMPLE_EVERY_S)

    def take(self) -> None:
        """Show how everything is now."""
        self._shown.show(
            [_of(label, queue, controller) for label, queue, controller in self._controllers()],
            self._of_informers(),
        )

    def _of_informers(self) -> list[InformerSample]:
        samples: dict[GVR, InformerSample] = {}
        for status in self._informers.states():
            known = samples.get(status.gvr)
            ages = [status.byte_age_s, known.staleness_s if known else None]
            samples[status.gvr] = InformerSample(
                self._label(status.gvr),
                max((age for age in ages if age is not None), default=None),
                status.objects + (known.objects if known else 0),
                status.holds + (known.holds if known else 0),
            )
        return list(samples.values())


def _of(label: str, queue: str, controller: Controller) -> ControllerSample:
    line = controller.queue
    return ControllerSample(
        label,
        queue,
        line.oldest_s(),
        line.unfinished_s(),
        line.longest_running_s(),
        line.delayed,
        controller.backing_off,
        controller.failing,
    )
