"""PromQL, read as far as is needed to know what a query asks for.

Every token must have a place in the grammar below, so a query that this accepts is well formed but
for types of functions' arguments; what is found is held against the catalogue by the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<number>\d+(?:\.\d+)?(?:[smhdwy](?![a-zA-Z]))?)
    | (?P<variable>\$\w+)
    | (?P<name>[a-zA-Z_:][\w:]*)
    | (?P<operator>=~|!~|!=|==|>=|<=|[-+*/%^><=(){}\[\],])""",
    re.VERBOSE,
)
AGGREGATIONS: Final = frozenset({"sum", "max", "min", "avg", "count", "topk"})
RATES: Final = frozenset({"rate", "increase", "irate"})
FUNCTIONS: Final = RATES | {"histogram_quantile", "absent", "clamp_min", "scalar", "time"}
_JOINS: Final = frozenset({"and", "or", "unless"})
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<="})


class QueryError(Exception):
    """The text is no query, as far as this reads them."""


@dataclass(frozen=True, slots=True)
class Selected:
    """One selection of series: a name, the labels that its matchers name, and in which function."""

    name: str
    matched: frozenset[str]
    ranged: bool
    within: str
    """The function around it; empty for none."""


@dataclass(slots=True)
class Query:
    """What a query asks for."""

    selected: list[Selected] = field(default_factory=list)
    grouped: list[tuple[frozenset[str], frozenset[str]]] = field(default_factory=list)
    """Labels that an aggregation or a join names, with the names of the metrics below it."""


def parse(text: str) -> Query:
    """Return what the query asks for.

    Raises:
        QueryError: a token has no place.
    """
    parser = _Parser(text)
    parser.expression("")
    if parser.token:
        raise QueryError(f"{parser.token!r} is left over in {text!r}")
    return parser.query


class _Parser:
    def __init__(self, text: str) -> None:
        self.query = Query()
        self._text = text
        self._tokens = _tokens(text)
        self.kind, self.token = "", ""
        self._next()

    def expression(self, within: str) -> frozenset[str]:
        """Read operands with operators between them; return the metrics below."""
        below = self._operand(within)
        while self.token in _JOINS or self.token in _ARITHMETIC:
            self._next()
            labels = self._labels() if self._takes("on", "ignoring") else None
            right = self._operand(within)
            if labels is not None:
                self.query.grouped.append((labels, below))
                self.query.grouped.append((labels, right))
            below |= right
        return below

    def _operand(self, within: str) -> frozenset[str]:
        if self._takes("("):
            below = self.expression(within)
            self._expect(")")
            return below
        if self.kind == "number":
            self._next()
            return frozenset()
        if self.kind != "name":
            raise QueryError(f"{self.token!r} in {self._text!r}")
        name = self.token
        self._next()
        if name in AGGREGATIONS:
            return self._aggregation()
        if name in FUNCTIONS and self.token == "(":
            return self._call(name)
        return self._selection(name, within)

    def _aggregation(self) -> frozenset[str]:
        labels = self._labels() if self._takes("by", "without") else frozenset()
        self._expect("(")
        below = self.expression("")
        self._expect(")")
        self.query.grouped.append((labels, below))
        return below

    def _call(self, name: str) -> frozenset[str]:
        self._expect("(")
        below: frozenset[str] = frozenset()
        while self.token != ")":
            below |= self.expression(name)
            if not self._takes(","):
                break
        self._expect(")")
        return below

    def _selection(self, name: str, within: str) -> frozenset[str]:
        matched: set[str] = set()
        if self._takes("{"):
            while self.token != "}":
                matched.add(self._name())
                if self.token not in {"=", "!=", "=~", "!~"}:
                    raise QueryError(f"{self.token!r} is no matcher in {self._text!r}")
                self._next()
                if self.kind != "text":
                    raise QueryError(f"{self.token!r} is no text in {self._text!r}")
                self._next()
                if not self._takes(","):
                    break
            self._expect("}")
        ranged = self._takes("[")
        if ranged:
            if self.kind not in ("number", "variable"):
                raise QueryError(f"{self.token!r} is no range in {self._text!r}")
            self._next()
            self._expect("]")
        self.query.selected.append(Selected(name, frozenset(matched), ranged, within))
        return frozenset({name})

    def _labels(self) -> frozenset[str]:
        self._expect("(")
        labels = set()
        while self.token != ")":
            labels.add(self._name())
            if not self._takes(","):
                break
        self._expect(")")
        return frozenset(labels)

    def _name(self) -> str:
        if self.kind != "name":
            raise QueryError(f"{self.token!r} is no name in {self._text!r}")
        name = self.token
        self._next()
        return name

    def _takes(self, *tokens: str) -> bool:
        if self.token in tokens and self.kind in ("name", "operator"):
            self._next()
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._takes(token):
            raise QueryError(f"{token!r} is expected and not {self.token!r} in {self._text!r}")

    def _next(self) -> None:
        self.kind, self.token = next(self._tokens, ("", ""))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise QueryError(f"{text[at:]!r} begins with no token")
        at = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found.group()
