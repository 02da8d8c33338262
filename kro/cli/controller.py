"""`kro controller`: parse flags, set up logs, run until told to stop.

Exit codes: 0 after a clean stop, 1 on a failure, 2 on a wrong command line.
Source: spec "API surface and operations" §7.1, §7.3.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from kro.settings import (
    FeatureGateError,
    HelpRequested,
    Settings,
    UsageError,
    parse_flags,
    usage,
)


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
    from kro import logs

    logs.configure(
        encoder=settings.log_encoder or ("console" if settings.log_devel else "json"),
        verbosity=_verbosity(settings),
        time_encoding=settings.log_time_encoding,
    )
    log = logs.get_logger("setup")
    try:
        gates = settings.gates()
    except FeatureGateError as error:
        log.error("cannot use the feature gates", problem=str(error))
        return 1
    log.info("feature gates", **gates.as_dict())
    from kro.wiring import run_controller

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(run_controller(settings))


def _verbosity(settings: Settings) -> int:
    if settings.log_level is not None:
        return settings.log_level
    return 1 if settings.log_devel else 0


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
