"""`omit()`: the sentinel that removes the field or the list element it lands in.

It is a library of its own because a feature gate decides whether an environment has it.

Source: spec: cel.md §2.10, §5.5.
"""

from __future__ import annotations

from typing import Final

from kro.cel.celtypes import DYN
from kro.cel.functions import Library, free, function
from kro.cel.values import OMIT

LIBRARY: Final = Library(
    "kro.omit",
    functions=(function("omit", [free("kro_omit", result=DYN, call=lambda: OMIT)]),),
)
