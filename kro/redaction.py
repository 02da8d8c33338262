"""How a message is kept from telling what a Secret holds.

The API server, its webhooks and expressions quote what they cannot work with, and their words go
into conditions, logs and errors. What a Secret holds is known where that happens, so exactly that
is looked for, as it is stored and decoded; the rest of the message stays, for it says what is
wrong.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Final

HIDDEN: Final = "<redacted>"
_SHORT: Final = 4
"""Shorter values are common words or numbers: they are taken out only where they stand alone."""
_LONG: Final = 16
"""Longer ones may have been cut when they were quoted."""
_HOLDERS: Final = ("data", "stringData")
_AROUND: Final = (('"', '"'), ("'", "'"), ("`", "`"), (":", "}"), (":", ","))


def contents(secrets: Iterable[object]) -> list[str]:
    """Return every text and number in the data of Secrets, longest first.

    Each is there as it is, decoded from base64 where it can be, and encoded, as the API server does
    with `stringData`; those of several lines also line by line.
    """
    found: set[str] = set()
    for secret in secrets:
        if isinstance(secret, dict):
            for holder in _HOLDERS:
                found.update(_leaves(secret.get(holder)))
    return sorted(found, key=len, reverse=True)


def hide(message: str, quotes: Iterable[str]) -> str:
    """Return the message without any of the quotes, which are given longest first."""
    for quote in quotes:
        if len(quote) >= _LONG:
            message = _without_beginnings(message, quote)
        elif len(quote) >= _SHORT:
            message = message.replace(quote, HIDDEN)
        else:
            for left, right in _AROUND:
                message = message.replace(f"{left}{quote}{right}", f"{left}{HIDDEN}{right}")
    return message


def _without_beginnings(message: str, quote: str) -> str:
    at = message.find(quote[:_LONG])
    while at >= 0:
        length = _LONG
        while message[at + length : at + length + 1] == quote[length : length + 1] != "":
            length += 1
        message = message[:at] + HIDDEN + message[at + length :]
        at = message.find(quote[:_LONG], at + len(HIDDEN))
    return message


def _leaves(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif not isinstance(value, bool) and value is not None:
            text = str(value)
            for each in (text, base64.b64encode(text.encode()).decode(), *_decoded(text)):
                yield from (part for part in (each, *_lines(each)) if part)


def _decoded(text: str) -> Iterator[str]:
    try:
        yield base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a text of several: quoted, it has no line breaks any more."""
    lines = text.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _SHORT)
