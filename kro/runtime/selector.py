"""Label selectors as the API server reads them: parse, match, print.

Source: Kubernetes label selectors (`metav1.LabelSelector` and its query string form).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self


class Operator(StrEnum):
    """How a requirement compares."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "!"


class SelectorError(ValueError):
    """The text is no label selector; the message says where."""


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One comparison of one label. `values` is sorted, and empty for EXISTS and ABSENT."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels meet it. An absent label meets NOT_IN."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.ABSENT:
                return value is None

    def __str__(self) -> str:
        """Return it as a query string says it."""
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case Operator.NOT_IN if len(self.values) == 1:
                return f"{self.key}!={self.values[0]}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({','.join(self.values)})"
            case Operator.EXISTS:
                return self.key
            case Operator.ABSENT:
                return f"!{self.key}"


_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<absent>!\s*(?P<absent_key>[^\s=!,()<>]+))
      | (?P<key>[^\s=!,()<>]+)
        (?: \s*(?P<equal>==|=|!=)\s*(?P<value>[^\s=!,()<>]*)
          | \s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\)
        )?
    )\s*(?:,|$)""",
    re.VERBOSE,
)
_OPERATORS: Final = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.ABSENT,
}


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of requirements, sorted; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the selector that a query string names.

        Raises:
            SelectorError: the text is none.
        """
        requirements: list[Requirement] = []
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                raise SelectorError(f"{text!r} is no label selector from {text[position:]!r} on")
            requirements.append(_requirement(token))
            position = token.end()
        if text.rstrip().endswith(","):
            raise SelectorError(f"{text!r} is no label selector: nothing follows the last comma")
        return cls(tuple(sorted(set(requirements))))

    @classmethod
    def of(
        cls,
        match_labels: Mapping[str, str] | None = None,
        match_expressions: Sequence[Mapping[str, object]] = (),
    ) -> Self:
        """Return the selector of a `matchLabels`/`matchExpressions` pair.

        Raises:
            SelectorError: an operator is unknown, or has too few or too many values.
        """
        requirements = [
            Requirement(key, Operator.IN, (value,)) for key, value in (match_labels or {}).items()
        ]
        for expression in match_expressions:
            name = str(expression.get("operator", ""))
            operator = _OPERATORS.get(name)
            if operator is None:
                raise SelectorError(
                    f"unknown operator {name!r}; write In, NotIn, Exists or DoesNotExist"
                )
            listed = expression.get("values") or ()
            values = tuple(sorted({str(value) for value in _iterate(listed)}))
            if (operator in (Operator.IN, Operator.NOT_IN)) != bool(values):
                raise SelectorError(
                    f"operator {name} with {len(values)} values; In and NotIn need some, "
                    "Exists and DoesNotExist take none"
                )
            requirements.append(Requirement(str(expression.get("key", "")), operator, values))
        return cls(tuple(sorted(set(requirements))))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def equality(self) -> tuple[str, str] | None:
        """Return one label and value that every match must carry, or None when there is none."""
        for requirement in self.requirements:
            if requirement.operator is Operator.IN and len(requirement.values) == 1:
                return requirement.key, requirement.values[0]
        return None

    def __str__(self) -> str:
        """Return the canonical query string: equal selectors print alike."""
        return ",".join(str(requirement) for requirement in self.requirements)


def _iterate(values: object) -> Iterable[object]:
    if isinstance(values, list | tuple):
        return values
    raise SelectorError(f"values must be a list, not {values!r}")


def _requirement(token: re.Match[str]) -> Requirement:
    if token["absent"]:
        return Requirement(token["absent_key"], Operator.ABSENT)
    key = token["key"]
    if token["equal"]:
        operator = Operator.NOT_IN if token["equal"] == "!=" else Operator.IN
        return Requirement(key, operator, (token["value"],))
    if token["set"]:
        values = tuple(sorted({value.strip() for value in token["values"].split(",")}))
        return Requirement(key, Operator(token["set"]), values)
    return Requirement(key, Operator.EXISTS)
