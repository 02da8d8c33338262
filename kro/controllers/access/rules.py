"""Rights as the rules of a ClusterRole, and as the sentence that says which are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import orjson

from kro.controllers.access.needs import RBAC_GROUP, Need, merged
from kro.refs import JsonObject, JsonValue

AGGREGATE: Final = "rbac.kro.run/aggregate-to-controller"
"""Label of a ClusterRole whose rules the chart's aggregated role takes over."""

_ORDER: Final = ("get", "list", "watch", "create", "update", "patch", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a ClusterRole: the same verbs on resources of one group."""

    group: str
    needs: tuple[Need, ...]
    """By resource; all have the same verbs."""

    @property
    def verbs(self) -> list[str]:
        """The verbs in the order in which people write them."""
        return in_order(self.needs[0].verbs)

    def manifest(self) -> JsonObject:
        """Return the rule as RBAC takes it."""
        return {
            "apiGroups": [self.group],
            "resources": [need.resource for need in self.needs],
            "verbs": list[JsonValue](self.verbs),
        }

    def inline(self) -> str:
        """Return the rule on one line, which is YAML too."""
        return "{" + ", ".join(self.lines()) + "}"

    def lines(self) -> list[str]:
        """Return the rule as three lines of YAML."""
        return [f"{key}: {_listed(value)}" for key, value in self.manifest().items()]


def rules_of(needs: Iterable[Need]) -> tuple[Rule, ...]:
    """Return the fewest rules that grant exactly these needs, in an order that is always the same.

    A rule covers one group: resources of several would be granted in each of them.
    """
    found: dict[tuple[str, frozenset[str]], list[Need]] = {}
    for need in merged(needs):
        found.setdefault((need.group, need.verbs), []).append(need)
    rules = [Rule(group=group, needs=tuple(of)) for (group, _), of in found.items()]
    return tuple(sorted(rules, key=lambda rule: (rule.group, rule.needs[0].resource)))


def cluster_role(name: str, rules: Iterable[Rule], *, aggregate: bool) -> JsonObject:
    """Return the ClusterRole with these rules; with `aggregate`, the chart's role takes it over."""
    metadata: JsonObject = {"name": name}
    if aggregate:
        metadata["labels"] = {AGGREGATE: "true"}
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": [rule.manifest() for rule in rules],
    }


def denial(needs: Iterable[Need]) -> str:
    """Return which rights are missing and the rules that grant them, a line each; or nothing."""
    return "\n".join(
        f"the controller may not {', '.join(rule.verbs)} "
        f"{', '.join(str(need) for need in rule.needs)}: "
        f"add to its ClusterRole: {rule.inline()}"
        for rule in rules_of(need for need in needs if need.verbs)
    )


def in_order(verbs: Iterable[str]) -> list[str]:
    """Return verbs as people write them: first those that read."""
    return sorted(verbs, key=lambda verb: (_ORDER.index(verb) if verb in _ORDER else 99, verb))


def _listed(value: JsonValue) -> str:
    """Return a list of texts as YAML and JSON write it on one line."""
    return orjson.dumps(value).decode().replace('","', '", "')
