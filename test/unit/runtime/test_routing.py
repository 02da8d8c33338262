from __future__ import annotations

import random
import time

import orjson
import pytest

from kro.refs import NamespacedName
from kro.runtime import LabelSelector, Stored
from kro.runtime.routing import ByName, BySelector, RoutingTable


def thing(name: str, namespace: str = "default", **labels: str) -> Stored:
    return Stored.of(
        orjson.dumps({"metadata": {"name": name, "namespace": namespace, "labels": labels}})
    )


def by_name(name: str, namespace: str = "default") -> ByName:
    return ByName(NamespacedName(namespace, name))


def by_selector(text: str, namespace: str = "") -> BySelector:
    return BySelector(namespace, LabelSelector.parse(text))


def test_names_match_exactly_and_per_namespace() -> None:
    """P-076: a cluster-scoped object has the empty namespace."""
    table: RoutingTable[str] = RoutingTable()
    table.add(by_name("a"), "one")
    table.add(by_name("a", ""), "cluster")

    assert list(table.route(None, thing("a"))) == ["one"]
    assert list(table.route(None, thing("a", ""))) == ["cluster"]
    assert list(table.route(None, thing("b"))) == []


def test_selectors_match_per_namespace_or_everywhere() -> None:
    """P-076."""
    table: RoutingTable[str] = RoutingTable()
    table.add(by_selector("app=x"), "all")
    table.add(by_selector("app=x", "default"), "default")
    table.add(by_selector("app=x", "other"), "other")

    assert list(table.route(None, thing("a", app="x"))) == ["all", "default"]


def test_an_object_that_leaves_a_selection_is_heard_of() -> None:
    """P-075: by its old labels."""
    table: RoutingTable[str] = RoutingTable()
    table.add(by_selector("app=x"), "one")

    assert list(table.route(thing("a", app="x"), thing("a", app="y"))) == ["one"]
    assert list(table.route(thing("a", app="x"), None)) == ["one"]


def test_a_listener_with_several_reasons_hears_once() -> None:
    """P-074."""
    table: RoutingTable[str] = RoutingTable()
    table.add(by_name("a"), "one")
    table.add(by_selector("app=x"), "one")
    table.add(by_selector("app"), "one")

    assert list(table.route(None, thing("a", app="x"))) == ["one"]


def test_reasons_are_counted() -> None:
    table: RoutingTable[str] = RoutingTable()
    table.add(by_selector("app=x"), "one")
    table.add(by_selector("app=x"), "one")
    table.drop(by_selector("app=x"), "one")

    still = list(table.route(None, thing("a", app="x")))
    table.drop(by_selector("app=x"), "one")

    assert still == ["one"]
    assert list(table.route(None, thing("a", app="x"))) == []
    assert len(table) == 0
    assert table._by_equality == {}


SELECTORS = ["", "app=x", "app=y", "app", "!app", "app in (x,y)", "app=x,tier=1", "tier!=1", "tier"]


@pytest.mark.parametrize("seed", range(10))
def test_random_tables_agree_with_a_linear_scan(seed: int) -> None:
    """P-074 to P-077: 1 000 tables."""
    chance = random.Random(seed)
    for _ in range(100):
        table: RoutingTable[int] = RoutingTable()
        entries: list[tuple[ByName | BySelector, int]] = []
        for _ in range(chance.randint(1, 40)):
            if entries and chance.random() < 0.3:
                entry = entries.pop(chance.randrange(len(entries)))
                table.drop(*entry)
                continue
            where = (
                by_name(chance.choice("ab"), chance.choice(["", "default"]))
                if chance.random() < 0.4
                else by_selector(chance.choice(SELECTORS), chance.choice(["", "default"]))
            )
            entries.append((where, chance.randrange(6)))
            table.add(*entries[-1])
        for _ in range(5):
            sides = [_random_thing(chance) for _ in range(2)]
            sides[1] = thing("a", "default", **sides[1].labels())
            sides[0] = thing("a", "default", **sides[0].labels())
            old, new = sides if chance.random() < 0.6 else (None, sides[1])

            assert set(table.route(old, new)) == _scan(entries, old, new)
        assert set(table.listeners()) == {listener for _, listener in entries}
        assert len(table) == len(entries)


def _random_thing(chance: random.Random) -> Stored:
    labels = {}
    if chance.random() < 0.7:
        labels["app"] = chance.choice("xyz")
    if chance.random() < 0.5:
        labels["tier"] = chance.choice("12")
    return thing("a", **labels)


def _scan(
    entries: list[tuple[ByName | BySelector, int]], old: Stored | None, new: Stored | None
) -> set[int]:
    found = set()
    for where, listener in entries:
        for side in (old, new):
            if side is None:
                continue
            match where:
                case ByName(name):
                    hit = name == side.name
                case BySelector(namespace, selector):
                    hit = namespace in ("", side.name.namespace) and selector.matches(side.labels())
            if hit:
                found.add(listener)
    return found


def test_five_thousand_selectors_cost_no_scan() -> None:
    """P-077: a generous bound on a shared machine; the benchmark says how much it is."""
    table: RoutingTable[int] = RoutingTable()
    for at in range(5000):
        table.add(by_selector(f"kro.run/instance-id=uid-{at},kro.run/node-id=n"), at)
    event = thing("a", **{"kro.run/instance-id": "uid-77", "kro.run/node-id": "n", "app": "x"})

    start = time.perf_counter()
    for _ in range(1000):
        found = table.route(None, event)
    took_s = time.perf_counter() - start

    assert list(found) == [77]
    assert took_s / 1000 < 200e-6
