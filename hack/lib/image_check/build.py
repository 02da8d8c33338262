"""Runs the Dockerfile's steps in a scratch folder, which stands for the root of the file system.

Every stage is made at the same place and moved away when it is done, for what it makes (the
scripts of a virtual environment, byte code) knows where it stands. The base image is this machine:
its Python, its shell.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from image_check.dockerfile import (
    Ignored,
    Stage,
    Step,
    absolute_folders,
    entrypoint,
    expand,
    pairs,
    read_dockerfile,
)
from image_check.errors import ImageError

PASSED_ON: Final = re.compile(r"(PIP|SSL|CURL|REQUESTS)_\w+|(?i:https?|no)_proxy|HOME|LANG|TMPDIR")
"""Of this machine's environment: how it reaches the registry of packages."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Image:
    """What was built."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    user: str = ""


class Builder:
    """Builds the stages in their order.

    Args:
        context: the folder that COPY copies from.
        scratch: an empty folder.
        python: stands for the `python` of the base image.
    """

    def __init__(self, context: Path, scratch: Path, *, python: Path, say: Say) -> None:
        self._context, self._scratch, self._say = context, scratch, say
        self._stages = read_dockerfile(context / "Dockerfile")
        self._ignored = Ignored((context / ".dockerignore").read_text())
        self._folders = absolute_folders(self._stages)
        self._root = scratch / "root"
        self._done: dict[str, Path] = {}
        self._machine = {k: v for k, v in os.environ.items() if PASSED_ON.fullmatch(k)}
        base = scratch / "base"
        base.mkdir()
        for name in ("python", "python3"):
            (base / name).symlink_to(python)
        self._path = f"{base}:/usr/local/bin:/usr/bin:/bin"

    def build(self) -> Image:
        """Return the last stage, built.

        Raises:
            ImageError: a step failed; what it said is shown above.
        """
        for stage in self._stages[:-1]:
            self._build(stage)
            self._done[stage.name] = self._scratch / f"stage-{stage.name}"
            self._root.rename(self._done[stage.name])
        return self._build(self._stages[-1])

    def _build(self, stage: Stage) -> Image:
        if stage.base in self._done:
            raise ImageError(f"FROM {stage.base}: a stage on another stage is not known here")
        self._root.mkdir()
        image = Image(self._root, {"PATH": self._path})
        folder = self._root
        for step in stage.steps:
            self._say(f"{stage.name or 'image'}: {step}")
            match step.word:
                case "ENV":
                    given = pairs(step, image.environment)
                    image.environment |= {k: self._moved(v) for k, v in given.items()}
                case "WORKDIR":
                    folder = self._place(step.text, folder)
                    folder.mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(step, folder)
                case "RUN":
                    self._run(step, folder, image)
                case "USER":
                    image.user = step.text
                case "ENTRYPOINT":
                    image.entrypoint = entrypoint(step)
        return image

    def _run(self, step: Step, folder: Path, image: Image) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", self._moved(step.text)],
            cwd=folder,
            env={**self._machine, **image.environment},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode != 0:
            raise ImageError(f"Dockerfile:{step.line}: {step} ended with {done.returncode}")

    def _copy(self, step: Step, folder: Path) -> None:
        words = expand(step.text, {}).split()
        stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
        if stage and stage not in self._done:
            raise ImageError(f"Dockerfile:{step.line}: there is no stage {stage!r} before")
        *sources, target = words
        place = self._place(target, folder)
        for name in sources:
            source = (self._done[stage] if stage else self._context) / name.lstrip("/")
            if not source.exists():
                raise ImageError(f"Dockerfile:{step.line}: there is no {name}")
            into_folder = target.endswith("/") or len(sources) > 1
            if source.is_dir():  # its content, not the folder itself, as Docker has it
                self._copy_tree(source, place, filtered=not stage)
            elif not stage and self._ignored(PurePosixPath(name)):
                raise ImageError(f"Dockerfile:{step.line}: .dockerignore keeps {name} out")
            else:
                goal = place / source.name if into_folder else place
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, goal)

    def _copy_tree(self, source: Path, target: Path, *, filtered: bool) -> None:
        def out(folder: str, names: list[str]) -> list[str]:
            if not filtered:
                return []
            inside = PurePosixPath(Path(folder).relative_to(self._context))
            return [name for name in names if self._ignored(inside / name)]

        shutil.copytree(source, target, ignore=out, symlinks=True, dirs_exist_ok=True)

    def _place(self, text: str, folder: Path) -> Path:
        path = PurePosixPath(text)
        return self._root / path.relative_to("/") if path.is_absolute() else folder / path

    def _moved(self, text: str) -> str:
        """Return the text with the image's folders where they are here."""
        for folder in self._folders:
            whole = rf"(?<![\w./-]){re.escape(folder)}(?![\w.-])"
            text = re.sub(whole, lambda found: f"{self._root}{found.group()}", text)
        return text
