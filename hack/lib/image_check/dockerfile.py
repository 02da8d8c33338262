"""Reads the Dockerfile, as far as ours goes, and refuses what it does not know.

An instruction that is passed over here would be one that the image has and this check does not.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from image_check.errors import ImageError

KNOWN: Final = frozenset(
    ("ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "EXPOSE", "ENTRYPOINT"),
)
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, its continued lines joined."""

    line: int
    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.word} {self.text}"


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands between two FROM."""

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)


def read_dockerfile(path: Path) -> list[Stage]:
    """Return the stages in their order; the last one is the image.

    Raises:
        ImageError: an instruction that is not known here.
    """
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for step in _steps(path.read_text()):
        where = f"{path.name}:{step.line}"
        if step.word == "FROM":
            base, *alias = expand(step.text, arguments).split()
            if alias and (len(alias) != 2 or alias[0].upper() != "AS"):
                raise ImageError(f"{where}: cannot read {step}")
            stages.append(Stage(alias[1] if alias else "", base))
        elif step.word == "ARG" and not stages:
            name, _, default = step.text.partition("=")
            arguments[name] = default
        elif step.word not in KNOWN:
            raise ImageError(f"{where}: hack/image-check has no {step.word}; keep the steps plain")
        elif not stages:
            raise ImageError(f"{where}: {step.word} stands before the first FROM")
        else:
            stages[-1].steps.append(step)
    if not stages:
        raise ImageError(f"{path.name} has no FROM")
    return stages


def _steps(text: str) -> Iterator[Step]:
    parts: list[str] = []
    begun = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not parts):
            continue
        begun = begun if parts else number
        goes_on = line.rstrip().endswith("\\")
        parts.append(line.strip().removesuffix("\\").strip())
        if not goes_on:
            word, _, rest = " ".join(parts).partition(" ")
            yield Step(begun, word.upper(), rest.strip())
            parts = []


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with `$NAME` and `${NAME}` filled in; what is not set is nothing."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), text)


def pairs(step: Step, variables: Mapping[str, str]) -> dict[str, str]:
    """Return name → value of ENV and LABEL."""
    found = {}
    for part in shlex.split(step.text):
        name, equals, value = part.partition("=")
        if not equals:
            raise ImageError(f"line {step.line}: write {step.word} NAME=value, not {part!r}")
        found[name] = expand(value, variables)
    return found


def entrypoint(step: Step) -> list[str]:
    """Return the command of an ENTRYPOINT in its JSON form, which starts no shell."""
    try:
        command = json.loads(step.text)
    except ValueError:
        raise ImageError(f"line {step.line}: ENTRYPOINT must be a JSON list") from None
    return [str(part) for part in command]


def absolute_folders(stages: list[Stage]) -> list[str]:
    """Return every absolute folder that steps work in or copy to, longest first."""
    found = set()
    for step in (step for stage in stages for step in stage.steps):
        if step.word in ("WORKDIR", "COPY"):
            target = PurePosixPath(step.text.split()[-1])
            if target.is_absolute():
                found.add(str(target))
    return sorted(found, key=len, reverse=True)


class Ignored:
    """What .dockerignore keeps out of the build.

    Source: patterns in order, the last that matches decides, `!` lets in again; a pattern also
    stands for what is below it. `*` and `?` are for one level, `**` for any number.
    """

    def __init__(self, text: str) -> None:
        self._patterns: list[tuple[re.Pattern[str], bool]] = []
        for line in text.splitlines():
            pattern = line.strip()
            if pattern and not pattern.startswith("#"):
                keeps = pattern.startswith("!")
                self._patterns.append((_compiled(pattern.removeprefix("!")), keeps))

    def __call__(self, path: PurePosixPath) -> bool:
        """Whether the path, relative to the context, stays out."""
        candidates = [str(p) for p in (path, *path.parents) if str(p) != "."]
        out = False
        for pattern, keeps in self._patterns:
            if any(pattern.fullmatch(candidate) for candidate in candidates):
                out = not keeps
        return out


def _compiled(pattern: str) -> re.Pattern[str]:
    quoted = re.escape(pattern.strip("/"))
    for glob, meaning in (
        (r"\*\*/", "(?:.*/)?"),
        (r"\*\*", ".*"),
        (r"\*", "[^/]*"),
        (r"\?", "[^/]"),
    ):
        quoted = quoted.replace(glob, meaning)
    return re.compile(quoted)
