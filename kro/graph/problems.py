"""The author errors of one build, gathered and put into the order of the text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kro.errors import AuthorError, AuthorErrors, DefinitionError
from kro.schema import nearest

_RESOURCE = re.compile(r"spec\.resources\[(\d+)\]")


class Problems:
    """Collects author errors, so that an author fixes a list and not a loop."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], AuthorError] = {}

    def add(self, error: AuthorError) -> None:
        """Keep an error; one that says the same about the same place is kept once."""
        self._found.setdefault((error.path, error.problem), error)

    def definition(self, problem: str, path: str, *, hint: str = "") -> None:
        """Keep an error in the structure of the definition."""
        self.add(DefinitionError(problem, path=path, hint=hint))

    def extend(self, errors: Iterable[AuthorError]) -> None:
        """Keep several errors."""
        for error in errors:
            self.add(error)

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_all(self, name: str) -> None:
        """Raise what was found: first the schema's errors, then each resource's in source order."""
        if self._found:
            errors = sorted(self._found.values(), key=_place)
            count = len(errors)
            raise AuthorErrors(
                f"resource graph definition {name!r} has {count} error{'s' if count > 1 else ''}",
                errors,
            )


def _place(error: AuthorError) -> int:
    match = _RESOURCE.match(error.path)
    return int(match[1]) if match else -1


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the nearest candidate, or nothing when none is near."""
    near = nearest(word, (candidate for candidate in candidates if candidate != word))
    return f'did you mean "{near}"?' if near else ""
