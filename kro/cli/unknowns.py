"""What expressions read that only a cluster can tell.

Judged by the text of an expression: a path that it reads, `deployment.status.replicas`, against the
paths that are unknown. Evaluation alone would not do: with a fallback for missing data, such as
`orValue`, it gives a value that is not the one a cluster will give.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from kro.cel import Expression
from kro.graph import FieldPath

SERVER_SET: Final[tuple[FieldPath, ...]] = (
    ("status",),
    ("metadata", "uid"),
    ("metadata", "resourceVersion"),
    ("metadata", "generation"),
    ("metadata", "creationTimestamp"),
)
"""What the author of a manifest does not write."""

_ACCESS: Final = re.compile(
    r"""\s*(?:
        \.\s*\??\s*(?P<name>[A-Za-z_]\w*)
      | \[\s*\??\s*(?:"(?P<double>[^"\\]*)"|'(?P<single>[^'\\]*)'|(?P<index>\d{1,9}))\s*\]
    )""",
    re.VERBOSE,
)
_POSITION: Final = re.compile(r"\s*\[\s*[A-Za-z_]\w*\s*\]")
_SIZE: Final = re.compile(r"(?<![\w.])size\s*\(\s*\Z")
_CLOSED: Final = re.compile(r"\s*\)")
_STATUS: Final = re.compile(r"\.\s*\??\s*status\b")
_NOTHING: Final[FieldPath] = ("*",)
"""A path that no object has."""


class Unknowns:
    """For each variable, the paths below which its value is not known."""

    def __init__(self) -> None:
        self._paths: dict[str, tuple[FieldPath, ...]] = {}

    def put(self, variable: str, paths: Iterable[FieldPath]) -> None:
        """Note what is unknown of a variable; the empty path is all of it."""
        self._paths[variable] = tuple(paths)

    def of(self, variable: str) -> tuple[FieldPath, ...]:
        """Return what is unknown of a variable."""
        return self._paths.get(variable, ())

    def forget(self, variable: str) -> None:
        """Take a variable for known: it is out of scope."""
        del self._paths[variable]

    def touched_by(self, expression: Expression) -> bool:
        """Return whether the value of an expression may depend on something unknown."""
        source = expression.template.source
        return any(
            _overlap(path, unknown)
            for variable, paths in self._paths.items()
            if paths and variable in source
            for path in _reads(source, variable)
            for unknown in paths
        )


def _reads(source: str, variable: str) -> Iterator[FieldPath]:
    """Yield the paths that an expression reads of a variable, as far as its text shows them.

    What a macro's iterator reads, as in `pods.map(p, p.status.podIP)`, is not followed: the text
    reads the status if it says so anywhere, else nothing that could be unknown.
    """
    for found in re.finditer(rf"(?<![\w.]){re.escape(variable)}\b", source):
        path: list[str | int] = []
        position = found.end()
        before = source[max(0, found.start() - 8) : found.start()]
        if _SIZE.search(before) and _CLOSED.match(source, position):
            yield _NOTHING  # how many there are is not what they are
            continue
        if at := _POSITION.match(source, position):  # objects are not indexed, so a collection
            path.append(0)
            position = at.end()
        while access := _ACCESS.match(source, position):
            index = access["index"]
            path.append(
                int(index)
                if index
                else access["name"] or access["double"] or access["single"] or ""
            )
            position = access.end()
        if path and source[position:].lstrip().startswith("("):
            path.pop()  # the name of a function
            if not path:
                yield ("status",) if _STATUS.search(source) else _NOTHING
                continue
        yield tuple(path)


def _overlap(path: FieldPath, unknown: FieldPath) -> bool:
    """Return whether reading `path` touches `unknown`; the position in a collection is skipped."""
    read = path[1:] if path and isinstance(path[0], int) else path
    size = min(len(read), len(unknown))
    return read[:size] == unknown[:size]
