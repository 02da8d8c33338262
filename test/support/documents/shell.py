"""A reader's shell, in which the commands of a page run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from support.controlplane import ensure_tool
from support.documents.blocks import ROOT, Block
from support.documents.transcript import differs, entries

TIMEOUT_S: Final = 150


class Shell:
    """`kro` and `kubectl` are on the path, KUBECONFIG is set, and a folder is the current one.

    Commands have nothing in common but the folder, so a page cannot set variables.

    Args:
        programs: an empty folder, for the two programs.
    """

    def __init__(self, kubeconfig: Path, *, folder: Path, programs: Path) -> None:
        (programs / "kubectl").symlink_to(ensure_tool("kubectl", say=print))
        kro = shutil.which("kro", path=str(ROOT / ".venv" / "bin")) or shutil.which("kro")
        assert kro is not None, "kro is not installed"
        (programs / "kro").symlink_to(kro)
        self._folder = folder
        self._environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "KUBECONFIG": str(kubeconfig),
        }

    def run(self, command: str) -> tuple[str, int]:
        """Return what the command prints, on both streams, and its exit code."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return done.stdout, done.returncode

    def follow(self, block: Block) -> None:
        """Run the commands of a block in order.

        Raises:
            AssertionError: one prints something else than is shown, or, where nothing is shown,
                fails.
        """
        for entry in entries(block):
            where = f"{block.place}, line {entry.line}: {entry.command}"
            output, code = self.run(entry.command)
            if not entry.shown:
                assert code == 0, f"{where}\n{output}"
            elif difference := differs(entry.shown, output):
                raise AssertionError(f"{where}\n{difference}")
