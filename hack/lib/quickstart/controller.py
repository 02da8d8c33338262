"""The controller as a process of its own, as a person would start it."""

from __future__ import annotations

import http.client
import signal
import subprocess
import time
from pathlib import Path

from quickstart.errors import QuickstartError
from quickstart.processes import ROOT, end_group, start_group
from support.controlplane.plane import free_ports, tail

READY_WITHIN_S = 30.0
END_WITHIN_S = 30.0
POLL_S = 0.05


class Controller:
    """`kro controller` on one cluster, its log in a file of its own.

    Probes and metrics listen on free ports of the loopback interface.
    """

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self.kubeconfig = kubeconfig
        self.log = log
        self.health_port, self.metrics_port = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self._was_ready = False

    @property
    def command(self) -> list[str]:
        return [
            ".venv/bin/kro",
            "controller",
            f"--kubeconfig={self.kubeconfig}",
            f"--health-probe-bind-address=127.0.0.1:{self.health_port}",
            f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
        ]

    def start(self) -> None:
        """It runs and says that it is ready.

        Raises:
            QuickstartError: it ended, or was not ready in time.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        program = str(ROOT / self.command[0])
        with self.log.open("wb") as log:
            self._process = start_group([program, *self.command[1:]], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise QuickstartError(f"the controller is not ready after {READY_WITHIN_S:.0f} s")
            time.sleep(POLL_S)
        self._was_ready = True

    def check(self) -> None:
        """Return if it was not started, was stopped, or runs.

        Raises:
            QuickstartError: it ended by itself.
        """
        if self._process is not None and self._process.poll() is not None:
            raise QuickstartError(f"the controller ended by itself with {self._process.returncode}")

    def watch(self) -> None:
        """Return never; a signal interrupts it.

        Raises:
            QuickstartError: it ended by itself.
        """
        assert self._process is not None
        self._process.wait()
        self.check()

    def stop(self) -> None:
        """It has ended, in its own time.

        Raises:
            QuickstartError: it had to be killed, or did not end as one that was asked to.
        """
        if self._process is None or self._process.poll() is not None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            code = process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            end_group(process)
            raise QuickstartError(
                f"the controller did not end within {END_WITHIN_S:.0f} s of SIGTERM"
            ) from None
        if code != 0 and (self._was_ready or code != -signal.SIGTERM):
            raise QuickstartError(f"the controller ended with {code} on SIGTERM")

    def last_lines(self) -> str:
        return tail(self.log)

    def _is_ready(self) -> bool:
        # http.client takes no proxy from the environment, which has no place on loopback.
        connection = http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
