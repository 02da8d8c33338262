"""What has to be undone in the end, last thing first."""

from __future__ import annotations

from collections.abc import Callable

from quickstart.errors import QuickstartError
from quickstart.screen import Screen
from support.controlplane import ControlPlaneError


class Undo:
    """Collects, while things are done, how each is undone. Nothing in it runs twice."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], object]]] = []

    def push(self, what: str, action: Callable[[], object]) -> None:
        """Have the action run in the end; call it before what it undoes is begun."""
        self._steps.append((what, action))

    def run(self, screen: Screen) -> list[str]:
        """Undo all, show it, and return what did not work. One failure does not stop the others."""
        failures = []
        with screen.step("Clean up") as step:
            while self._steps:
                what, action = self._steps.pop()
                try:
                    action()
                except (QuickstartError, ControlPlaneError, OSError) as error:
                    failures.append(f"{what}: {error}")
                    screen.note(f"not {what}: {error}")
                else:
                    screen.note(what)
            step.is_good = not failures
            step.result = "something went wrong" if failures else "nothing is left behind"
        return failures
