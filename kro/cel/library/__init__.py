"""The functions of expressions: one module a family, each declared as a `Library`.

`KRO` is what kro's environment has besides the standard functions; `EXTENSIONS` are libraries that
it lacks on purpose and that the conformance suite of the language exercises (spec: cel.md §2.11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kro.cel.functions import Library
from kro.cel.library import (
    conditions,
    encoders,
    extended_math,
    formatting,
    json_text,
    lists,
    maps,
    network,
    omission,
    optionals,
    quantities,
    regex,
    seeded,
    semver,
    standard,
    strings,
    type_names,
    urls,
)
from kro.cel.library.conditions import CONDITION, RUNTIME, RUNTIME_VALUE, Condition

__all__ = [
    "CONDITION",
    "CONDITIONS",
    "EXTENSIONS",
    "KRO",
    "OMIT_LIBRARY",
    "RUNTIME",
    "RUNTIME_VALUE",
    "STANDARD",
    "Condition",
]

STANDARD: Final[Library] = standard.LIBRARY
CONDITIONS: Final[Library] = conditions.LIBRARY
OMIT_LIBRARY: Final[Library] = omission.LIBRARY

KRO: Final[tuple[Library, ...]] = (
    optionals.LIBRARY,
    strings.LIBRARY,
    formatting.LIBRARY,
    lists.LISTS,
    encoders.BASE64,
    lists.KUBERNETES,
    regex.LIBRARY,
    urls.LIBRARY,
    quantities.LIBRARY,
    network.LIBRARY,
    semver.LIBRARY,
    encoders.HASH,
    json_text.LIBRARY,
    seeded.LIBRARY,
    maps.LIBRARY,
    lists.KRO,
    CONDITIONS,
)

EXTENSIONS: Final[Mapping[str, Library]] = {
    "math": extended_math.EXTENSION,
    "network": network.EXTENSION,
    "strings": strings.STRICT,
    "type-names": type_names.EXTENSION,
}
"""One whose `Library.name` is that of a library in `KRO` stands in for it, whole."""
