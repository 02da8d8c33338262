"""How expressions write the names of properties (spec: cel.md §3.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kro.cel.parser import RESERVED

KEYWORDS: Final = RESERVED | {"true", "false", "null", "in"}
_REACHABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-/]*\Z")
_ESCAPES: Final[Mapping[str, str]] = {
    "__": "__underscores__",
    ".": "__dot__",
    "-": "__dash__",
    "/": "__slash__",
}
_ESCAPED: Final = re.compile(r"__|[.\-/]")
_UNESCAPES: Final[Mapping[str, str]] = {escape: text for text, escape in _ESCAPES.items()}
_UNESCAPED: Final = re.compile("|".join(_UNESCAPES))


def escape_field(name: str) -> str | None:
    """Return how expressions write a property, None if they cannot."""
    if name in KEYWORDS:
        return f"__{name}__"
    if not _REACHABLE.match(name):
        return None
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], name)


def unescape_field(field: str) -> str:
    """Return the property that a field of an expression stands for."""
    if "__" not in field:
        return field
    if field.startswith("__") and field.endswith("__") and field[2:-2] in KEYWORDS:
        return field[2:-2]
    return _UNESCAPED.sub(lambda found: _UNESCAPES[found[0]], field)
