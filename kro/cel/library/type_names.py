"""The names of types as values: `type(x) == int`. kro's environment has none (spec: cel.md §2.11).

Source: the CEL language definition; the conformance suite exercises it.
"""

from __future__ import annotations

from typing import Final

from kro.cel.celtypes import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    LIST_DYN,
    MAP_DYN,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    optional_of,
    type_of,
)
from kro.cel.functions import Library
from kro.cel.values import TypeValue

_TYPES: Final = (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    LIST_DYN,
    MAP_DYN,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    optional_of(DYN),
    type_of(DYN),
)

EXTENSION: Final = Library(
    "cel.types",
    variables={described.name: type_of(described) for described in _TYPES},
    constants={described.name: TypeValue(described.name) for described in _TYPES},
)
