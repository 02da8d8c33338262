"""`console` blocks: commands behind `$`, below each what it prints.

What is printed is compared line by line: `…` stands for any part of a line, a line of `…` alone for
any number of lines, and runs of spaces are one space, as the width of columns is nobody's promise.
A command below which nothing is shown must succeed; what it prints does not matter then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from support.documents.blocks import Block

GAP: Final = "…"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command and what the page shows below it."""

    line: int
    command: str
    shown: tuple[str, ...]


def entries(block: Block) -> list[Entry]:
    """Return the commands of a block; one that ends in a backslash goes on in the next line.

    Raises:
        AssertionError: the block begins with something else than a command.
    """
    found: list[tuple[int, list[str], list[str]]] = []
    goes_on = False
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ ") or goes_on:
            part = line if goes_on else line[2:]
            if goes_on:
                found[-1][1].append(part.strip())
            else:
                found.append((number, [part], []))
            goes_on = part.endswith("\\")
            if goes_on:
                found[-1][1][-1] = found[-1][1][-1].removesuffix("\\").strip()
            continue
        assert found, f"{block.place}: the block does not begin with `$ `"
        found[-1][2].append(line)
    assert found, f"{block.place}: there is no command"
    return [Entry(number, " ".join(command), _trimmed(out)) for number, command, out in found]


def differs(shown: tuple[str, ...], printed: str) -> str:
    """Return how what is printed differs from what is shown, or nothing."""
    runs: list[list[re.Pattern[str]]] = [[]]
    for line in shown:
        if line.strip() == GAP:
            runs.append([])
        else:
            parts = map(re.escape, _squeezed(line).split(GAP))
            runs[-1].append(re.compile(".*".join(parts)))
    lines = [_squeezed(line) for line in _trimmed(printed.splitlines())]
    if _fit(runs, lines):
        return ""
    return f"shown:\n{chr(10).join(shown)}\nprinted:\n{printed}"


def _fit(runs: list[list[re.Pattern[str]]], lines: list[str]) -> bool:
    """Return whether the lines are these runs, with anything between two of them."""
    *before, last = runs
    at = 0
    for number, run in enumerate(before):
        starts = range(at, len(lines) - len(run) + 1) if number else (0,)
        found = next((start for start in starts if _holds(run, lines, start)), None)
        if found is None:
            return False
        at = found + len(run)
    end = len(lines) - len(last)
    return end >= at and (bool(before) or end == 0) and _holds(last, lines, end)


def _holds(run: list[re.Pattern[str]], lines: list[str], start: int) -> bool:
    part = lines[start : start + len(run)]
    return len(part) == len(run) and all(
        pattern.fullmatch(line) for pattern, line in zip(run, part, strict=True)
    )


def _squeezed(line: str) -> str:
    """Return the line with its indentation, and single spaces within."""
    body = line.lstrip(" ")
    return line[: len(line) - len(body)] + re.sub(r" {2,}", " ", body).rstrip()


def _trimmed(lines: list[str]) -> tuple[str, ...]:
    """Return the lines without empty ones at both ends."""
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    while kept and not kept[0].strip():
        kept.pop(0)
    return tuple(kept)
