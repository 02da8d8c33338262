from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.refs import JsonObject, NamespacedName
from kro.runtime.stored import (
    LAST_APPLIED,
    Stored,
    Transform,
    keep_managed_fields,
    on_object,
    strip,
)

ENTRIES: list[JsonObject] = [
    {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}},
    {"manager": "mine", "operation": "Apply", "fieldsV1": {"f:data": {"f:a,]}": {}}}},
]


def text(**metadata: object) -> bytes:
    return orjson.dumps(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": "n", **metadata},
            "data": {"x": '"managedFields":[{"manager":"kubectl"}]'},
        }
    )


def test_what_every_event_needs_is_decoded_once() -> None:
    stored = Stored.of(
        text(
            uid="u",
            resourceVersion="7",
            generation=3,
            deletionTimestamp="2026-01-01T00:00:00Z",
            labels={"app": "web"},
        )
    )

    assert stored.name == NamespacedName("n", "a")
    assert (stored.uid, stored.resource_version) == ("u", "7")
    assert (stored.generation, stored.deleting) == (3, True)
    assert (stored.label("app"), stored.label("x"), stored.labels()) == (
        "web",
        None,
        {"app": "web"},
    )


def test_a_reader_cannot_change_what_is_stored() -> None:
    """P-047."""
    stored = Stored.of(text(labels={"app": "web"}))

    read = stored.object()
    read["data"] = None
    read["metadata"] = {}

    assert stored.object()["data"] is not None


def test_repeated_labels_are_shared() -> None:
    """P-050."""
    one = Stored.of(text(labels={"some/label": "some-value"}))
    other = Stored.of(text(labels={"some/label": "some-value"}))

    for mine, theirs in zip(one.flat_labels, other.flat_labels, strict=True):
        assert mine is theirs
    assert one.name.namespace is other.name.namespace


@pytest.mark.parametrize("after", [{}, {"zzz": 1}], ids=["last field", "in the middle"])
def test_managed_fields_are_never_stored(after: JsonObject) -> None:
    """P-048: cut out of the text where they stand; nothing else changes."""
    data = text(managedFields=ENTRIES, **after)

    expected = orjson.loads(data)
    del expected["metadata"]["managedFields"]
    assert orjson.loads(strip(data)) == expected


def test_entries_of_wanted_managers_stay() -> None:
    """D5: who owns what must be known of our own field manager."""
    kept = orjson.loads(keep_managed_fields("mine")(text(managedFields=ENTRIES, zzz=1)))

    assert kept["metadata"]["managedFields"] == ENTRIES[1:]
    assert kept["metadata"]["zzz"] == 1


def test_the_same_managers_give_the_same_transform() -> None:
    assert keep_managed_fields("a") is keep_managed_fields("a")


def test_a_second_field_with_the_same_content_is_left_alone() -> None:
    data = orjson.dumps(
        {
            "a": {"managedFields": ENTRIES},
            "metadata": {"managedFields": ENTRIES, "name": "a"},
        }
    )

    assert orjson.loads(strip(data)) == {
        "a": {"managedFields": ENTRIES},
        "metadata": {"name": "a"},
    }


def test_indented_text_is_stripped_too() -> None:
    data = orjson.dumps(orjson.loads(text(managedFields=ENTRIES)), option=orjson.OPT_INDENT_2)

    assert "managedFields" not in orjson.loads(strip(data))["metadata"]


def test_last_applied_configuration_is_never_stored() -> None:
    """P-048."""
    only = strip(text(annotations={LAST_APPLIED: "{}"}))
    other = strip(text(annotations={LAST_APPLIED: "{}", "mine": "x"}, managedFields=ENTRIES))

    assert "annotations" not in orjson.loads(only)["metadata"]
    assert orjson.loads(other)["metadata"]["annotations"] == {"mine": "x"}


def test_a_function_over_the_decoded_object_is_a_transform() -> None:
    def shorten(obj: JsonObject) -> JsonObject:
        return {key: value for key, value in obj.items() if key != "data"}

    assert "data" not in Stored.of(on_object(shorten)(text())).object()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"metadata":{}}', b"<html>", b'"x"'])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Stored.of(data)


@pytest.mark.parametrize("depth", [300, 900, 5000, 100_000])
@pytest.mark.parametrize("transform", [strip, keep_managed_fields("mine"), on_object(dict)])
def test_what_is_nested_too_deep_is_refused_and_never_a_crash(
    depth: int, transform: Transform
) -> None:
    """P-018: anybody may make such an object; it is an error of a class that is known."""
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    annotations = b'{"' + LAST_APPLIED.encode() + b'":"{}"}'
    data = b'{"metadata":{"name":"a","annotations":' + annotations + b'},"spec":' + deep + b"}"

    with pytest.raises((ValueError, RecursionError)):
        Stored.of(transform(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    extra=JSON,
    entries=st.lists(
        st.fixed_dictionaries({"manager": st.sampled_from(["mine", "x"]), "f": JSON}), max_size=4
    ),
)
def test_stripping_changes_nothing_but_managed_fields(
    extra: object, entries: list[JsonObject]
) -> None:
    """P-048, for any content around and inside."""
    data = text(aaa=extra, managedFields=entries, zzz=extra)

    expected = orjson.loads(data)
    kept = [entry for entry in entries if entry["manager"] == "mine"]
    del expected["metadata"]["managedFields"]
    assert orjson.loads(strip(data)) == expected
    if kept:
        expected["metadata"]["managedFields"] = kept
    assert orjson.loads(keep_managed_fields("mine")(data)) == expected
