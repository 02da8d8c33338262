"""Processes that outlive the command that started them, and can be found again safely.

A process id alone is no name: the system gives it to another process later. Together with the
moment that process started it is one, so nothing that is not ours is ever signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Those that this very process started: only their parent can see that they are dead."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, for as long as the machine runs and after."""

    pid: int
    started: str
    """The kernel's word for the moment it started; never parsed."""


def spawn(argv: Sequence[str], *, log: Path, cwd: Path) -> ProcessId:
    """Start a process in a session of its own, so that Ctrl-C in the terminal passes it by."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    return identify(child.pid)


def identify(pid: int) -> ProcessId:
    """Return the full name of the process that has that id now; never alive if none has."""
    return ProcessId(pid, _started(pid) or "")


def is_alive(process: ProcessId) -> bool:
    """Return whether that very process still runs; a zombie does not."""
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
        return False
    return bool(process.started) and _started(process.pid) == process.started


def kill(process: ProcessId, *, within_s: float = 10.0) -> None:
    """The process is gone. What it served is thrown away, so it is not asked to finish."""
    if is_alive(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + within_s
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    child = _children.pop(process.pid, None)
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1.0)  # it may have gone between a look at it and a look at /proc


def _started(pid: int) -> str | None:
    """Return when the process with that id started, or None if none runs."""
    stat = Path("/proc") / str(pid) / "stat"
    if Path("/proc/self/stat").exists():
        try:
            # The name in parentheses may hold anything; the fields after it are fixed (proc(5)).
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # A killed process shows as a zombie while threads of it still hold ports and files.
        is_gone = fields[0] in "ZX" and int(fields[17]) <= 1
        return None if is_gone else f"{boot}/{fields[19]}"
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return None if len(answer) < 2 or answer[0].startswith("Z") else answer[1].strip()
