"""Rights as rules of a ClusterRole."""

from __future__ import annotations

import yaml

from kro.controllers.access import Need, cluster_role, denial, rules_of


def _need(resource: str, *verbs: str, group: str = "") -> Need:
    return Need(group=group, resource=resource, verbs=frozenset(verbs))


def test_rules_are_the_fewest_and_always_in_the_same_order() -> None:
    """Resources of one group with the same verbs share a rule; groups never do."""
    needs = [
        _need("services", "get", "list"),
        _need("deployments", "get", "list", group="apps"),
        _need("secrets", "list", "get"),
        _need("configmaps", "delete", "watch", "get"),
        _need("secrets", "get"),
    ]

    rules = rules_of(needs)

    assert rules == rules_of(reversed(needs))
    assert [rule.inline() for rule in rules] == [
        '{apiGroups: [""], resources: ["configmaps"], verbs: ["get", "watch", "delete"]}',
        '{apiGroups: [""], resources: ["secrets", "services"], verbs: ["get", "list"]}',
        '{apiGroups: ["apps"], resources: ["deployments"], verbs: ["get", "list"]}',
    ]
    assert [yaml.safe_load(rule.inline()) for rule in rules] == [rule.manifest() for rule in rules]


def test_a_denial_holds_a_line_for_each_rule_to_add() -> None:
    """What may not be done, and the rule as it can be copied; needs without verbs are fulfilled."""
    text = denial(
        [
            _need("deployments", "watch", "list", group="apps"),
            _need("secrets"),
            _need("shops/status", "update", group="kro.run"),
        ]
    )

    assert text.splitlines() == [
        (
            "the controller may not list, watch deployments.apps: add to its ClusterRole: "
            '{apiGroups: ["apps"], resources: ["deployments"], verbs: ["list", "watch"]}'
        ),
        (
            "the controller may not update shops/status.kro.run: add to its ClusterRole: "
            '{apiGroups: ["kro.run"], resources: ["shops/status"], verbs: ["update"]}'
        ),
    ]
    assert denial([]) == ""


def test_the_role_is_taken_over_by_the_charts_when_it_has_the_label() -> None:
    """Spec §9.4: `rbac.kro.run/aggregate-to-controller: "true"`."""
    rules = rules_of([_need("secrets", "get")])

    labelled = cluster_role("kro:shop", rules, aggregate=True)

    assert labelled["metadata"] == {
        "name": "kro:shop",
        "labels": {"rbac.kro.run/aggregate-to-controller": "true"},
    }
    assert cluster_role("x", rules, aggregate=False)["metadata"] == {"name": "x"}
