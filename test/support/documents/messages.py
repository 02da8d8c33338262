"""Texts that the controller prints, found in the code that makes them.

A text is *said* by the code if a string of it fits: what an f-string fills in stands for anything.
At least half of the text must be the string's own, so that a string of little else than places to
fill in proves nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from kro.metrics import Metrics
from kro.metrics.catalogue import FAMILIES
from support.documents.blocks import ROOT

_SHARE: Final = 0.5
_SHORTEST: Final = 8


class _Said(NamedTuple):
    """One string of the code."""

    pattern: re.Pattern[str]
    literal: int
    """How many characters of it are its own."""


def is_said(text: str, *, whole: bool = False) -> bool:
    """Return whether some string of the code makes this text; `<…>` in it stands for anything.

    Args:
        whole: the text is a word that stands in the code by itself.
    """
    if whole:
        return text in _words()
    if text in _said_by_crds():
        return True
    own = len(re.sub(r"<[^<>]*>", "", text))
    return any(said.literal >= _SHARE * own and said.pattern.fullmatch(text) for said in _strings())


def is_part(fragment: str) -> bool:
    """Return whether a literal piece of some string of the code holds the fragment."""
    return any(fragment in word for word in _words())


def _sources() -> list[Path]:
    return sorted((ROOT / "kro").rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _constants(path: Path) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def _strings() -> tuple[_Said, ...]:
    found = {}
    for path in _sources():
        for node in ast.walk(_tree(path)):
            parts = _parts(node)
            literal = sum(map(len, filter(None, parts)))
            if literal >= _SHORTEST:
                pattern = "".join(".+" if part is None else re.escape(part) for part in parts)
                if parts[-1] is not None and parts[-1].endswith(": "):
                    pattern += ".+"  # the beginning of a message: why follows
                found[pattern] = _Said(re.compile(pattern, re.DOTALL), literal)
    return tuple(found.values())


def _parts(node: ast.AST) -> list[str | None]:
    """Return the pieces of a string, None where something is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return [part for value in values for part in (_parts(value) or [None])]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, other = _parts(left), _parts(right)
            return [*(one or [None]), *(other or [None])] if one or other else []
    return []


@cache
def _words() -> frozenset[str]:
    return frozenset(text for path in _sources() for text in _constants(path))


@cache
def metric_names() -> frozenset[str]:
    """Return the names of the metrics as they are exposed, without the suffixes of histograms."""
    names = set(FAMILIES)
    for metric in Metrics().registry.collect():
        names.add(f"{metric.name}_total" if metric.type == "counter" else metric.name)
    return frozenset(names)


@cache
def _said_by_crds() -> frozenset[str]:
    """Return what the API server says where kro's own CRDs are not kept to."""
    found = set()
    for path in sorted((ROOT / "config" / "crd").glob("*.yaml")):
        found |= set(re.findall(r"^ *message: (.*)$", path.read_text(), re.MULTILINE))
    return frozenset(found)
