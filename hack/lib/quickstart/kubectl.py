"""kubectl on one cluster: shown as a person would type it, and watched while it waits."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from quickstart.errors import QuickstartError
from quickstart.processes import end_group, start_group
from quickstart.screen import Screen

T = TypeVar("T")

WAIT_S = 120.0
"""How long anything may take; a real cluster has to pull an image."""
POLL_S = 0.1
LOG_LINE = re.compile(r"[EWI]\d{4} ")
READY = "--for=condition=Ready"


class Kubectl:
    """Runs kubectl in the project's folder with the cluster's kubeconfig.

    Args:
        scope: arguments that every command starts with, such as a namespace.
    """

    def __init__(
        self, program: Path, kubeconfig: Path, *, screen: Screen, scope: tuple[str, ...] = ()
    ) -> None:
        self.program = program
        self.kubeconfig = kubeconfig
        self.scope = scope
        self._screen = screen
        self.guard: Callable[[], None] = lambda: None
        """Called again and again while a command runs: raises when waiting has become futile."""

    def line(self, *arguments: str) -> str:
        """Return the command as a person would type it."""
        return shlex.join(["kubectl", *self.scope, *arguments])

    def show(self, *arguments: str) -> str:
        """Show the command, run it, show and return what it says."""
        self._screen.command(self.line(*arguments))
        output = self(*arguments)
        self._screen.output(output)
        return output

    def __call__(self, *arguments: str) -> str:
        """Run the command and return what it says.

        Raises:
            QuickstartError: it failed; the message is its own.
        """
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            while True:
                try:
                    output, problem = process.communicate(timeout=POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    self.guard()
        except BaseException:
            end_group(process)
            raise
        if process.returncode != 0:
            raise QuickstartError(f"{self.line(*arguments)}: {_said(problem)}")
        return str(output.decode(errors="replace"))

    def start(self, *arguments: str, stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
        """Start the command and return its process, which leads a group of its own."""
        return start_group(
            [str(self.program), *self.scope, *arguments],
            environment={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdout=stdout,
            stderr=stderr,
        )

    def wait(self, target: str, condition: str = READY) -> None:
        """Wait until the condition, in kubectl's own words, holds for what the object is now.

        Raises:
            QuickstartError: not in time; says which conditions the object has instead.
        """
        try:
            self("wait", target, condition, f"--timeout={WAIT_S:.0f}s")
        except QuickstartError as error:
            raise QuickstartError(f"{error}{self._conditions(target)}") from error

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        """Look until there is something to see, and return it.

        Raises:
            QuickstartError: not in time.
        """
        deadline = time.monotonic() + WAIT_S
        while True:
            seen = look()
            if seen is not None:
                return seen
            if time.monotonic() > deadline:
                raise QuickstartError(f"waited {WAIT_S:.0f} s in vain for {what}")
            self.guard()
            time.sleep(POLL_S)

    def field(self, target: str, path: str) -> str:
        """Return a field of the object, empty if there is none or no such object."""
        return self("get", target, "--ignore-not-found", f"--output=jsonpath={{{path}}}")

    def is_there(self, target: str) -> bool:
        return bool(self("get", target, "--ignore-not-found", "--output=name").strip())

    def _conditions(self, target: str) -> str:
        """Return what the object's conditions complain of, a line each."""
        try:
            text = self.field(target, ".status.conditions")
        except QuickstartError:
            return ""
        return "".join(
            f"\n  {each['type']}={each['status']} {each.get('reason', '')}: "
            f"{each.get('message', '')}"
            for each in json.loads(text or "[]")
            if each["status"] != "True"
        )


def _said(problem: bytes) -> str:
    """Return kubectl's message without the log lines of its client library before it."""
    lines = problem.decode(errors="replace").strip().splitlines()
    return "\n".join(line for line in lines if not LOG_LINE.match(line)) or "\n".join(lines)
