"""Random SimpleSchema documents that kro accepts; the API server may still refuse some of them."""

from __future__ import annotations

import json
import random
from typing import Any

SCALARS = ("string", "integer", "boolean", "float")
WORDS = ("red", "green", "blue", "a-b", "x.y", "naïve", "9")


class Author:
    """Writes documents at random: the same seed gives the same documents.

    Args:
        careless: how likely a default is one that does not fit its field, between 0 and 1.
    """

    def __init__(self, seed: int, *, careless: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.careless = careless
        self.types: dict[str, Any] = {}

    def documents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return `spec` and `types`."""
        for index in range(self.random.randint(0, 4)):
            name = f"{self.random.choice(('Port', 'Disk Size', 'Row', 'Key'))}{index}"
            if self.random.random() < 0.5:
                self.types[name] = self.fields(2)
            else:
                self.types[name] = self.text()
        return self.fields(0), self.types

    def fields(self, depth: int) -> dict[str, Any]:
        """Return a mapping of fields."""
        names = self.random.sample(
            ["a", "b", "port", "my-key", "x.y", "metadata", "kind", "items", "0", "", "Zoo"],
            self.random.randint(0, 4),
        )
        return {name: self.field(depth) for name in names}

    def field(self, depth: int) -> Any:
        """Return a field: a text or, not too deep, a mapping."""
        if depth < 3 and self.random.random() < 0.25:
            return self.fields(depth + 1)
        return self.text()

    def text(self) -> str:
        """Return a field text with markers that suit its type."""
        kind = self.random.choice((*SCALARS, *SCALARS, "object", *self.types))
        if self.random.random() < 0.4:
            kind = self.random.choice(("[]", "map[string]", "[][]", "[]map[string]")) + kind
        markers = self.markers(kind)
        return f"{kind} | {' '.join(markers)}" if markers else kind

    def markers(self, kind: str) -> list[str]:
        """Return a few markers for a type text."""
        chance = self.random.random
        markers = []
        if chance() < 0.2:
            markers.append("required=true")
        if chance() < 0.2:
            markers.append('description="one | two, \\"three\\""')
        if kind in ("integer", "float") and chance() < 0.4:
            markers += [f"minimum={self.random.randint(-5, 5)}", "maximum=1e3"]
        if kind == "integer" and chance() < 0.2:
            markers.append('enum="1,2,300"')
        if kind == "string" and chance() < 0.3:
            markers += [f"minLength={self.random.randint(0, 2)}", "maxLength=12"]
        if kind == "string" and chance() < 0.2:
            markers.append(r'pattern="^[a-z\\d.-]*$"')
        if kind == "string" and chance() < 0.2:
            markers.append(f'enum="{",".join(WORDS)}"')
        if kind in SCALARS and chance() < 0.1:
            markers.append("immutable=true")
        if kind.startswith("[]"):
            if chance() < 0.3:
                markers.append(f"maxItems={self.random.randint(1, 9)}")
            if chance() < 0.2:
                markers.append("uniqueItems=true")
            elif chance() < 0.2:
                key = self.random.choice(("a", "b", "port"))
                markers += ["listType=map", f"listMapKey={key}"]
        if chance() < 0.4:
            markers.append(f"default={self.default(kind)}")
        return markers

    def default(self, kind: str) -> str:
        """Return the value of a default marker: one that fits unless the author is careless."""
        if kind.startswith("[]"):
            value: Any = [self.loose()] if self.random.random() < self.careless else []
        elif kind == "integer":
            value = self.random.choice((1, 2, 300)) if self.fits() else -77
        elif kind == "float":
            value = self.random.choice((1.5, 2, 1e2)) if self.fits() else 1e30
        elif kind == "boolean":
            value = self.fits()
        elif kind == "string":
            return json.dumps(self.random.choice(("red", "blue", "green")) if self.fits() else "Ü")
        else:
            value = {} if self.fits() else {"a": self.loose(), "nobody": None}
        return json.dumps(value)

    def fits(self) -> bool:
        """Return whether the author takes care this time."""
        return self.random.random() >= self.careless

    def loose(self) -> Any:
        """Return any small JSON value."""
        return self.random.choice((None, True, 0, 1.0, 2.5, "red", [], [1], {}, {"a": 1}))
