"""`kro controller`: parse flags, set up logs, run until told to stop.

Exit codes: 0 after a clean stop, 1 on a failure, 2 on a wrong command line.
Source: spec "API surface and operations" §7.1, §7.3.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kro.settings import (
    FeatureGateError,
    HelpRequested,
    Settings,
    UsageError,
    parse_flags,
    usage,
)

if TYPE_CHECKING:
    from kro.runtime import LineWriter

UNSAMPLED: Final = 2
"""From which verbosity on every line is written, however often it comes."""


def run(arguments: Sequence[str]) -> int:
    """Run the controller and return the exit code."""
    try:
        settings = parse_flags(arguments)
    except HelpRequested:
        print(usage())
        return 0
    except UsageError as error:
        print(error, file=sys.stderr)
        print(usage(), file=sys.stderr)
        return 2
    with _born_frozen():
        from kro import process  # noqa: F401 - loads all that the process will ever need
        from kro.runtime import LineWriter

    with LineWriter(sys.stderr) as lines:
        return _run(settings, lines)


@contextmanager
def _born_frozen() -> Iterator[None]:
    """Keep the collector away, now and later, from what is made in the block.

    Modules stay; looking for garbage among them takes a tenth of the start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run(settings: Settings, lines: LineWriter) -> int:
    from kro import logs
    from kro.process import run_controller

    logs.configure(
        encoder=settings.log_encoder or ("console" if settings.log_devel else "json"),
        verbosity=settings.verbosity,
        time_encoding=settings.log_time_encoding,
        traces_from=settings.traces_from,
        sampled=not settings.log_devel and settings.verbosity < UNSAMPLED,
        stream=lines,
        dropped=lambda: lines.dropped(),  # noqa: PLW0108 - replaced once there are metrics
    )
    log = logs.get_logger("setup")
    lines.recovered = lambda count: log.warning("log lines were dropped", count=count)
    try:
        gates = settings.gates()
    except FeatureGateError as error:
        log.error("cannot use the feature gates", error=str(error))
        return 1
    log.info("feature gates", **gates.as_dict())
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(run_controller(settings, lines=lines))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        from kro.runtime.client import shrink_tls_buffers

        shrink_tls_buffers()
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
