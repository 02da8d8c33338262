"""Builds one Go command from a pinned module, telling how far it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from support.controlplane.errors import ControlPlaneError

GO_VERSION = "1.26"
PROGRESS_EVERY_S = 15.0


def build(
    *,
    module: Path,
    package: str,
    version_flags: Sequence[str],
    into: Path,
    label: str,
    say: Callable[[str], None],
) -> Path:
    """Return the path of the built command, inside `into`.

    Raises:
        ControlPlaneError: Go failed; its last lines are in the message.
    """
    for name in ("go.mod", "go.sum"):
        shutil.copy(module / name, into / name)
    target = into / "command"
    linker = " ".join(["-s", "-w", *(f"-X {flag}" for flag in version_flags)])
    command = ["go", "build", "-v", "-mod=readonly", "-trimpath", "-ldflags", linker]
    # The caller's own settings for Go (proxy, caches, toolchain) hold; only those that would
    # change what is built, or look for a checkout around it, do not.
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false", "GOWORK": "off", "CGO_ENABLED": "0"}
    say(f"building {label} with Go (minutes when nothing is cached, seconds otherwise)")
    started = time.monotonic()
    progress = _Progress()
    with subprocess.Popen(
        [*command, "-o", str(target), package],
        cwd=into,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        reader = threading.Thread(target=progress.read, args=(process.stderr,), daemon=True)
        reader.start()
        try:
            while (code := _wait(process)) is None:
                say(f"  {label}: {time.monotonic() - started:.0f} s, {progress}")
        except BaseException:
            process.kill()
            raise
        finally:
            reader.join()
    if code != 0:
        words = "\n".join(progress.tail)
        raise ControlPlaneError(f"Go could not build {label} (it ended with {code}):\n{words}")
    say(f"built {label} in {time.monotonic() - started:.0f} s")
    return target


def _wait(process: subprocess.Popen[str]) -> int | None:
    """Return how it ended, or None when it is time to tell of progress."""
    try:
        return process.wait(PROGRESS_EVERY_S)
    except subprocess.TimeoutExpired:
        return None


class _Progress:
    """What `go build -v` has said so far: one line a module fetched, one a package compiled."""

    def __init__(self) -> None:
        self.modules = 0
        self.packages = 0
        self.tail: deque[str] = deque(maxlen=20)

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            text = line.rstrip()
            if text.startswith("go: downloading"):
                self.modules += 1
            elif text and " " not in text:
                self.packages += 1
            else:  # what is left when it fails is what went wrong
                self.tail.append(text)

    def __str__(self) -> str:
        return f"{self.modules} modules fetched, {self.packages} packages compiled"
