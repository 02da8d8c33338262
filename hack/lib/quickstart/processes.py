"""Child processes that end with us, with all that they started.

Each leads a process group of its own. So Ctrl-C in the terminal reaches this program alone, which
ends the others in the right order, and a child is ended together with its own children.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def start_group(
    command: Sequence[str],
    *,
    stdout: Any,
    stderr: Any,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start the command in the project's folder, with nothing to read."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=_die_with_parent(),  # noqa: PLW1509  there is one thread here, and stays one
    )


def end_group(process: subprocess.Popen[bytes]) -> None:
    """The process and what it started are gone, and were not asked."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _die_with_parent() -> Callable[[], object] | None:
    """Return what a child runs first so that it gets SIGTERM even if we are killed.

    Source: prctl(2), PR_SET_PDEATHSIG; there is nothing like it outside Linux.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    return lambda: libc.prctl(1, signal.SIGTERM, 0, 0, 0)
