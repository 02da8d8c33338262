"""The author errors of one build, gathered and put into the order of the text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kro.errors import AuthorError, AuthorErrors, DefinitionError
from kro.schema import nearest

MAX_ERRORS = 300
"""A build that has found so many stops looking for more."""

_ORDER = (
    *("schema", "resources"),
    *("kind", "apiVersion", "group", "scope", "types", "spec", "status"),
    *("id", "template", "externalRef", "forEach", "includeWhen", "readyWhen"),
)
"""Fields in the order in which a definition is read; all others come behind, by name."""
_RANK = {name: i for i, name in enumerate(_ORDER)}
_SEGMENT = re.compile(r'\[(\d+)\]|\["([^"]*)"\]|([^.\[]+)')


class Problems:
    """Collects author errors, so that an author fixes a list and not a loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        """Of the definition."""
        self._found: dict[tuple[str, str], AuthorError] = {}

    def add(self, error: AuthorError) -> None:
        """Keep an error; one that says the same about the same place is kept once.

        Raises:
            AuthorErrors: there are `MAX_ERRORS` by now. Looking for more would cost time that the
                author's input decides, and help nobody.
        """
        self._found.setdefault((error.path, error.problem), error)
        if len(self._found) >= MAX_ERRORS:
            self.raise_all()

    def definition(self, problem: str, path: str, *, hint: str = "") -> None:
        """Keep an error in the structure of the definition."""
        self.add(DefinitionError(problem, path=path, hint=hint))

    def extend(self, errors: Iterable[AuthorError]) -> None:
        """Keep several errors."""
        for error in errors:
            self.add(error)

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_all(self) -> None:
        """Raise what was found: in the order in which a definition is read."""
        if self._found:
            errors = sorted(self._found.values(), key=lambda error: _place(error.path))
            count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
            raise AuthorErrors(f"resource graph definition {self._name!r} has {count}", errors)


def _place(path: str) -> list[tuple[int, str]]:
    """Return the key that sorts paths as a definition is read."""
    key: list[tuple[int, str]] = []
    for depth, (position, quoted, name) in enumerate(_SEGMENT.findall(path)):
        if position:
            key.append((int(position), ""))
        else:
            rank = _RANK.get(name, len(_RANK)) if depth < 4 else 0
            key.append((rank, name or quoted))
    return key


def each(errors: AuthorErrors) -> list[AuthorError]:
    """Return the errors of a group, which holds no further groups."""
    return [error for error in errors.exceptions if isinstance(error, AuthorError)]


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the nearest candidate, or nothing when none is near."""
    near = nearest(word, (candidate for candidate in candidates if candidate != word))
    return f'did you mean "{near}"?' if near else ""
