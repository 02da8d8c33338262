from __future__ import annotations

import gc
import random
import tracemalloc

import orjson
import pytest

from kro.refs import JsonObject, NamespacedName
from kro.runtime import LabelSelector, NotSyncedError, Stored, by_label
from kro.runtime.store import Delta, Store
from kro.runtime.versions import at_least


def thing(name: str, version: int, *, uid: str = "", **labels: str) -> Stored:
    obj: JsonObject = {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "labels": {**labels},
        }
    }
    return Stored.of(orjson.dumps(obj))


def named(name: str) -> NamespacedName:
    return NamespacedName("default", name)


@pytest.fixture
def store() -> Store:
    store = Store()
    store.replace([thing("a", 1, app="x"), thing("b", 2, app="y")], "10")
    return store


def test_reading_before_the_load_is_an_error() -> None:
    """P-041."""
    with pytest.raises(NotSyncedError):
        Store().get(named("a"))


def test_a_list_replaces_everything_and_tells_the_difference(store: Store) -> None:
    """P-006, P-045: delete for vanished, add for new, update for changed, nothing for equal."""
    kept = store.stored(named("b"))
    new, changed = thing("c", 12), thing("d", 13)
    store.put(thing("d", 11))

    deltas = store.replace([thing("b", 2, app="y"), new, changed], "20")

    a = [delta for delta in deltas if delta.old is not None and delta.new is None]
    assert [(delta.old.name.name, delta.missed) for delta in a if delta.old] == [("a", True)]
    assert Delta(None, new) in deltas
    assert len(deltas) == 3
    assert store.stored(named("b")) is kept
    assert store.cursor == "20"


def test_events_are_applied_tolerantly(store: Store) -> None:
    """P-016: known is changed, unknown is added, an unknown deletion is nothing."""
    added = store.put(thing("new", 11))
    changed = store.put(thing("new", 12))
    again = store.put(thing("new", 12))
    unknown = store.remove(thing("ghost", 13))
    gone = store.remove(thing("new", 14))

    assert [delta.old for delta in added] == [None]
    assert [bool(delta.old and delta.new) for delta in changed] == [True]
    assert (again, unknown) == ([], [])
    assert [delta.new for delta in gone] == [None]


def test_another_uid_under_the_same_name_is_a_deletion_and_an_addition(store: Store) -> None:
    """P-046."""
    new = thing("a", 11, uid="other")

    deltas = store.put(new)

    assert [(delta.new, delta.missed) for delta in deltas] == [(None, True), (new, False)]


def test_indexes_follow_every_change(store: Store) -> None:
    store.add_indexes({"app": by_label("app")})
    store.put(thing("c", 11, app="x"))
    store.put(thing("a", 12, app="y"))
    store.remove(thing("b", 13))

    def names(value: str) -> list[object]:
        found = store.by_index("app", value)
        return [obj["metadata"]["name"] for obj in found if isinstance(obj["metadata"], dict)]

    assert (names("x"), names("y"), names("z")) == (["c"], ["a"], [])


def test_lists_select_by_namespace_and_labels(store: Store) -> None:
    assert len(store.list(selector=LabelSelector.parse("app=x"))) == 1
    assert store.list(namespace="elsewhere") == []
    assert store.keys() == [named("a"), named("b")]


def test_an_own_write_is_seen_at_once_and_its_echo_is_silent(store: Store) -> None:
    """P-058."""
    mine = thing("a", 15)

    first = store.observe(mine)
    echo = store.put(thing("a", 15))

    assert first is not None
    assert [delta.new for delta in first] == [mine]
    assert echo == []


def test_an_older_event_does_not_undo_an_own_write(store: Store) -> None:
    """P-058: never older than what is there."""
    store.observe(thing("a", 15))

    older = store.put(thing("a", 12))
    newer = store.put(thing("a", 16))

    assert older == []
    assert len(newer) == 1


def test_a_late_answer_does_not_bring_back_what_was_deleted_since(store: Store) -> None:
    store.remove(thing("a", 20))

    assert store.observe(thing("a", 15)) is None
    assert store.stored(named("a")) is None


def test_a_list_that_is_older_than_an_own_write_keeps_it(store: Store) -> None:
    """P-058: never "absent, create it" from a store older than our own last write."""
    store.observe(thing("mine", 25))

    store.replace([thing("a", 1)], "20")
    kept = store.stored(named("mine"))
    store.replace([thing("a", 1)], "30")

    assert kept is not None
    assert store.stored(named("mine")) is None


def test_a_server_that_was_restored_is_believed(store: Store) -> None:
    """P-011: no comparison may keep what the server does not have any more."""
    store.observe(thing("mine", 25))

    store.replace([thing("a", 1)], "5")

    assert store.keys() == [named("a")]
    assert store.cursor == "5"


def test_what_we_deleted_is_gone_at_once_and_stays_gone(store: Store) -> None:
    gone = store.forget(named("a"), "uid-a")
    late = store.put(thing("a", 12))
    last = store.remove(thing("a", 13))
    anew = store.put(thing("a", 14, uid="other"))

    assert [delta.new for delta in gone] == [None]
    assert (late, last) == ([], [])
    assert len(anew) == 1


def test_another_object_of_that_name_is_not_forgotten(store: Store) -> None:
    assert store.forget(named("a"), "other") == []
    assert store.stored(named("a")) is not None


def test_an_own_write_during_the_load_is_not_lost() -> None:
    store = Store()

    early = store.observe(thing("mine", 25))
    deltas = store.replace([thing("a", 1)], "20")

    assert early is None
    assert len(deltas) == 2
    assert store.stored(named("mine")) is not None


def test_versions_that_cannot_be_compared_are_left_to_the_stream(store: Store) -> None:
    """P-012."""
    store.advance("opaque-cursor")

    assert store.observe(thing("a", 15)) is None


@pytest.mark.parametrize(
    ("version", "other", "answer"),
    [
        pytest.param("10", "9", True, id="as numbers, not as text"),
        pytest.param("9", "10", False, id="older"),
        pytest.param("9", "9", True, id="equal"),
        pytest.param("x", "x", True, id="equal and opaque"),
        pytest.param("x", "9", None, id="opaque"),
        pytest.param("09", "9", None, id="no number of the server's"),
        pytest.param("", "9", None, id="none"),
        pytest.param("9" * 30, "9" * 29, True, id="longer than any integer type"),
    ],
)
def test_ages_are_compared_in_one_place(version: str, other: str, answer: bool | None) -> None:
    """P-012."""
    assert at_least(version, other) is answer


def test_a_typical_child_costs_little_more_than_its_text() -> None:
    """P-049, D4: whole objects, with key and index share; the benchmark says how much."""
    count = 2000
    texts = [
        orjson.dumps(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": f"my-application-{at:06d}",
                    "namespace": f"team-{at % 20}",
                    "uid": f"5c1de7a6-9d2f-4c7d-8e0a-{at:012d}",
                    "resourceVersion": str(at + 1),
                    "labels": {f"kro.run/label-{n}": f"value-{at // 10}" for n in range(7)},
                },
                "data": {"text": "x" * 100},
            }
        )
        for at in range(count)
    ]
    size = sum(map(len, texts)) / count
    store = Store()
    store.add_indexes({"label": by_label("kro.run/label-1")})
    tracemalloc.start()
    store.replace((Stored.of(bytes(bytearray(text))) for text in texts), str(count))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert used / count <= size + 900
    assert used / count <= 1536


def test_a_collector_has_one_thing_to_look_at_for_each_object() -> None:
    """P-147: a full collection takes as long as there are things to look at, here the names."""
    count = 5000
    store = Store()
    gc.collect()
    before = len(gc.get_objects())
    store.replace([thing(f"t{at}", at + 1, app=f"a{at}") for at in range(count)], str(count))
    gc.collect()

    assert len(gc.get_objects()) - before <= 1.1 * count


@pytest.mark.parametrize("seed", range(10))
def test_random_histories_end_as_the_server_is(seed: int) -> None:
    """P-008, P-058: 5 000 histories with own writes, late events, late answers and relists."""
    chance = random.Random(seed)
    for _ in range(500):
        _random_history(chance)


def _random_history(chance: random.Random) -> None:  # noqa: C901 - one flat choice of moves
    version, uids = 10, 0
    server: dict[str, Stored] = {}
    events: list[tuple[str, Stored]] = []
    answers: list[tuple[str, Stored]] = []
    heard: dict[NamespacedName, Stored] = {}
    store = Store()
    store.add_indexes({"app": by_label("app")})

    def hear(deltas: list[Delta] | None) -> None:
        for old, new, _ in deltas or ():
            before = heard.get((new or old).name)  # type: ignore[union-attr]  # one is there
            assert before == old, "a handler's last state is the next delta's old state"
            if new is not None:
                heard[new.name] = new
            elif old is not None:
                del heard[old.name]

    def deliver(count: int) -> None:
        for kind, stored in events[:count]:
            hear(store.remove(stored) if kind == "gone" else store.put(stored))
        del events[:count]

    hear(store.replace([], "10"))
    for _ in range(chance.randint(5, 40)):
        name = chance.choice("abc")
        version += 1
        match chance.randrange(7):
            case 0 | 1 | 2:
                uids += name not in server
                uid = server[name].uid if name in server else f"{name}-{uids}"
                server[name] = thing(name, version, uid=uid, app=chance.choice("xy"))
                events.append(("there", server[name]))
                if chance.random() < 0.6:
                    answers.append(("there", server[name]))
            case 3 if name in server:
                last = server.pop(name)
                events.append(("gone", thing(name, version, uid=last.uid)))
                if chance.random() < 0.6:
                    answers.append(("gone", last))
            case 4:
                deliver(chance.randint(1, 3))
            case 5 if answers:
                kind, stored = answers.pop(chance.randrange(len(answers)))
                if kind == "there":
                    hear(store.observe(stored))
                else:
                    hear(store.forget(stored.name, stored.uid))
            case 6 if chance.random() < 0.3:
                events.clear()
                hear(store.replace(list(server.values()), str(version)))
    deliver(len(events))

    expected = {stored.name: stored for stored in server.values()}
    assert {name: store.stored(name) for name in store.keys()} == expected  # noqa: SIM118
    assert heard == expected
    for value in "xy":
        assert len(store.by_index("app", value)) == sum(
            1 for stored in server.values() if stored.label("app") == value
        )
