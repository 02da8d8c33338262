"""When an apply need not be sent."""

from __future__ import annotations

import copy
from typing import Any

from kro.controllers.instance.memory import ChildKey, Memory
from kro.refs import GVR, NamespacedName

INSTANCE = NamespacedName("team-a", "web")
KEY: ChildKey = (GVR("", "v1", "configmaps"), NamespacedName("team-a", "web"))
DESIRED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "web", "labels": {"cpu": "1000m"}},
    "data": {"a": "1"},
}
ANSWER: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "web",
        "uid": "u1",
        "resourceVersion": "5",
        "labels": {"cpu": "1"},  # the server may write a value in another way
        "managedFields": [
            {
                "manager": "kro.run/applyset",
                "operation": "Apply",
                "apiVersion": "v1",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:cpu": {}}},
                    "f:data": {"f:a": {}},
                },
            }
        ],
    },
    "data": {"a": "1"},
}


def remembered() -> Memory:
    """Return a memory in which DESIRED was applied with ANSWER."""
    memory = Memory()
    memory.note(INSTANCE, KEY, DESIRED, ANSWER)
    return memory


def moved(**data: str) -> dict[str, Any]:
    """Return ANSWER in a later version, with other data if given."""
    later = copy.deepcopy(ANSWER)
    later["metadata"]["resourceVersion"] = "9"
    later["data"] |= data
    return later


def test_same_desired_on_the_version_it_produced_needs_no_apply() -> None:
    """What was applied to this version is in it."""
    assert remembered().holds(INSTANCE, KEY, DESIRED, ANSWER)


def test_later_version_with_our_part_unchanged_needs_no_apply() -> None:
    """Somebody wrote a status or an annotation; what we own is as we left it."""
    memory = remembered()
    later = moved(theirs="x")
    later["metadata"]["annotations"] = {"note": "theirs"}
    assert memory.holds(INSTANCE, KEY, DESIRED, later)
    assert memory.holds(INSTANCE, KEY, DESIRED, later)


def test_later_version_with_our_part_changed_needs_an_apply() -> None:
    """A changed value shows even when ownership did not move."""
    assert not remembered().holds(INSTANCE, KEY, DESIRED, moved(a="2"))


def test_lost_ownership_needs_an_apply() -> None:
    """A field that another manager took may change under us at any time."""
    taken = moved()
    del taken["metadata"]["managedFields"][0]["fieldsV1"]["f:data"]
    assert not remembered().holds(INSTANCE, KEY, DESIRED, taken)


def test_another_desired_object_needs_an_apply() -> None:
    """What was remembered is about one desired object only."""
    other = {**DESIRED, "data": {"a": "2"}}
    assert not remembered().holds(INSTANCE, KEY, other, ANSWER)


def test_recreated_object_needs_an_apply() -> None:
    """Another uid is another object, whatever it holds."""
    recreated = copy.deepcopy(ANSWER)
    recreated["metadata"]["uid"] = "u2"
    assert not remembered().holds(INSTANCE, KEY, DESIRED, recreated)


def test_values_that_cannot_be_seen_need_an_apply_in_every_new_version() -> None:
    """`stringData` is ours but never shown: any change might be one of it."""
    secret = copy.deepcopy(ANSWER)
    fields = secret["metadata"]["managedFields"][0]["fieldsV1"]
    fields["f:stringData"] = {"f:k": {}}
    memory = Memory()
    memory.note(INSTANCE, KEY, DESIRED, secret)
    assert memory.holds(INSTANCE, KEY, DESIRED, secret)
    later = copy.deepcopy(secret)
    later["metadata"]["resourceVersion"] = "9"
    assert not memory.holds(INSTANCE, KEY, DESIRED, later)


def test_new_process_finds_out_by_comparing() -> None:
    """After a restart nothing is remembered; equal values and ownership do as well."""
    plain = copy.deepcopy(ANSWER)
    plain["metadata"]["labels"]["cpu"] = "1000m"
    assert Memory().holds(INSTANCE, KEY, DESIRED, plain)
    assert not Memory().holds(INSTANCE, KEY, DESIRED, ANSWER)


def test_only_current_children_are_remembered() -> None:
    """What an instance does not want any more takes no memory."""
    memory = remembered()
    memory.keep_only(INSTANCE, [])
    assert not memory.holds(INSTANCE, KEY, DESIRED, ANSWER)


def test_failures_are_counted_until_one_succeeds_or_an_edit() -> None:
    """How long to wait depends on how often the present spec has failed."""
    memory, name = Memory(), NamespacedName("team-a", "x")
    assert [memory.failed(name, 1), memory.failed(name, 1)] == [1, 2]
    assert memory.failed(name, 2) == 1
    memory.succeeded(name)
    assert memory.failed(name, 2) == 1


def test_what_cannot_be_written_is_never_taken_for_written() -> None:
    """Such an object is held by nothing, not even by what was remembered of another one."""
    impossible = {**DESIRED, "data": {"a": "\udc00"}}
    assert not remembered().holds(INSTANCE, KEY, impossible, ANSWER)
