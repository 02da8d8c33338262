"""Pseudo-random values that depend on their seed alone: `random.seededString`, `random.seededInt`.

They are stable for ever: names of objects in users' clusters hang on them.

Source: kro's `random` library; spec: cel.md §2.10.
"""

from __future__ import annotations

import hashlib
from typing import Final

from kro.cel.budget import charge
from kro.cel.celtypes import INT, STRING
from kro.cel.failures import Failure
from kro.cel.functions import Library, free, function

_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_WORD: Final = 4


def _digest(seed: str) -> bytes:
    charge(len(seed))
    return hashlib.sha256(seed.encode("utf-8", "replace")).digest()


def seeded_string(length: int, seed: str) -> str:
    """Return `length` characters of `0-9a-z`, one for each 32-bit word of the seed's SHA-256.

    The hash has eight words, so the text repeats with period eight.

    Raises:
        Failure: the length is not positive.
    """
    if length <= 0:
        raise Failure("random.seededString length must be positive")
    charge(length)
    digest = _digest(seed)
    period = "".join(
        _ALPHABET[int.from_bytes(digest[at : at + _WORD], "big") % len(_ALPHABET)]
        for at in range(0, len(digest), _WORD)
    )
    return (period * (length // len(period) + 1))[:length]


def seeded_int(low: int, high: int, seed: str) -> int:
    """Return an integer in [low, high).

    Raises:
        Failure: the range is empty.
    """
    if low >= high:
        raise Failure("random.seededInt min must be less than max")
    drawn = int.from_bytes(_digest(seed)[:8], "big") % (high - low)
    return low + drawn


LIBRARY: Final = Library(
    "kro.random",
    functions=(
        function(
            "random.seededString",
            [free("random_seeded_string", INT, STRING, result=STRING, call=seeded_string)],
        ),
        function(
            "random.seededInt",
            [free("random_seeded_int", INT, INT, STRING, result=INT, call=seeded_int)],
        ),
    ),
)
