"""The controller under test as a process of its own, started, killed and read like a user's.

`Operator` runs `kro controller` against a kubeconfig. It is a process and no coroutine, because
what tests do to it (SIGKILL at any moment, a hang, a restart) cannot be done to a task.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 30.0


class OperatorError(Exception):
    """The controller did not start or ended by itself; the message ends with its last lines."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a test's controller runs: a cluster with kro's CRDs, and the file of its lines."""

    kubeconfig: Path
    controller_kubeconfig: Path
    audit_log: Path | None
    controller_user: str
    log: Path


class Operator:
    """One `kro controller` process; leaving the block stops it.

    Args:
        kubeconfig: which cluster, and as whom.
        log: the file that its lines are appended to, over all restarts.
        flags: further flags of `kro controller`.
        open_files: how many files it may have open, if that is to be limited.
        stderr: a descriptor that its lines go to in place of the file.
    """

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *,
        flags: Sequence[str] = (),
        open_files: int | None = None,
        stderr: int | None = None,
    ) -> None:
        self.kubeconfig = kubeconfig
        self.log = log
        self.flags = tuple(flags)
        self._open_files, self._stderr = open_files, stderr
        self.health_port = _free_port()
        self.metrics_port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def command(self) -> list[str]:
        """The command line, as a user would write it."""
        return [
            sys.executable,
            "-m",
            "kro",
            "controller",
            f"--kubeconfig={self.kubeconfig}",
            f"--health-probe-bind-address=127.0.0.1:{self.health_port}",
            f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
            *self.flags,
        ]

    @property
    def pid(self) -> int:
        """The process's id; it must be running."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process; `ready` tells when it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._limits(), *self.command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log if self._stderr is None else self._stderr,
            )

    def kill(self) -> None:
        """End the process at once, as a lost machine would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        os.kill(self.pid, number)

    def stop(self, timeout_s: float = 20.0) -> int:
        """Ask the process to end, and return its exit code."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.terminate()
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise OperatorError(f"did not end within {timeout_s} s\n{self.last_lines()}") from None

    def wait_exit(self, timeout_s: float = 20.0) -> int:
        """Wait until the process has ended by itself, and return its exit code."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    async def ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the controller says that it is ready.

        Raises:
            OperatorError: it ended, or was not ready in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not await asyncio.to_thread(self._answers):
                    assert self._process is not None
                    if self._process.poll() is not None:
                        raise OperatorError(
                            f"ended with {self._process.returncode}\n{self.last_lines()}"
                        )
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise OperatorError(f"not ready after {timeout_s} s\n{self.last_lines()}") from None

    def metrics(self) -> str:
        """Return what the metrics endpoint says."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5
        ) as answer:
            return str(answer.read().decode())

    def last_lines(self, count: int = 30) -> str:
        """Return the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-count:])

    def says(self, path: str) -> tuple[int, str]:
        """Return status and text of a probe: `healthz`, `readyz`."""
        url = f"http://127.0.0.1:{self.health_port}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def _limits(self) -> list[str]:
        if self._open_files is None:
            return []
        return ["sh", "-c", f'ulimit -n {self._open_files} && exec "$@"', "sh"]

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self.health_port}/readyz"
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2) as a:
            return bool(a.status == 200)
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
