"""The parts of requirements.lock that the image is built with and that it holds.

The whole lock also names what kro is tested with. Each part is the closure of some packages: uv
writes below every package which others it is there for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

IMAGE_LOCK: Final = "requirements-image.lock"
BUILD_LOCK: Final = "requirements-build.lock"
LOCK: Final = "requirements.lock"

_ENTRY: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")
_MARK: Final = """\
# {what}
# Generated from requirements.lock by hack/generate; do not edit.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One package of a lock."""

    name: str
    text: str
    """Its lines, hashes included."""
    via: frozenset[str]
    """The packages that require it."""


def image_lock(root: Path) -> str:
    """Return the packages that the controller runs with, its faster event loop included."""
    project = _project(root)["project"]
    roots = [*project["dependencies"], *project["optional-dependencies"]["uvloop"]]
    return _closure(root, roots, "Every package in the controller's image.")


def build_lock(root: Path) -> str:
    """Return the packages that make kro's wheel."""
    requires = _project(root)["build-system"]["requires"]
    return _closure(root, requires, "Every package that makes kro's wheel.")


def read_lock(text: str) -> list[Entry]:
    """Return the entries in their order."""
    blocks: list[list[str]] = []
    for line in text.splitlines(keepends=True):
        if _ENTRY.match(line):
            blocks.append([])
        elif not blocks:
            continue  # the head of the file
        blocks[-1].append(line)
    return [_entry(block) for block in blocks]


def normal(requirement: str) -> str:
    """Return a requirement's package as locks write it.

    Source: PEP 503, PEP 508.
    """
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    if found is None:
        raise ValueError(f"{requirement!r} is no requirement")
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def _closure(root: Path, roots: Iterable[str], what: str) -> str:
    entries = read_lock((root / LOCK).read_text())
    chosen = {normal(requirement) for requirement in roots}
    missing = chosen - {entry.name for entry in entries}
    if missing:
        raise ValueError(f"{LOCK} lacks {', '.join(sorted(missing))}: run hack/lock")
    while more := {e.name for e in entries if e.via & chosen} - chosen:
        chosen |= more
    return _MARK.format(what=what) + "".join(e.text for e in entries if e.name in chosen)


def _entry(block: list[str]) -> Entry:
    """Return the entry; its `# via` comments, which speak of the whole lock, are read and left."""
    comments = [line.strip().removeprefix("#").strip() for line in block if "#" in line]
    via = (comment.removeprefix("via").strip() for comment in comments)
    text = "".join(line for line in block if not line.lstrip().startswith("#"))
    return Entry(normal(block[0]), text, frozenset(name for name in via if name))


def _project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())
