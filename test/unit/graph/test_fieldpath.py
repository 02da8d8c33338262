"""Field paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.graph import FieldPath, FieldPathError, fieldpath
from kro.refs import JsonValue

names = st.text(alphabet=st.characters(codec="utf-8", exclude_characters='[]"'), max_size=8)
paths = st.lists(st.one_of(names, st.integers(0, 99)), max_size=6).map(tuple)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param((), "", id="nothing"),
        pytest.param(("spec", "replicas"), "spec.replicas", id="names"),
        pytest.param(("spec", "ports", 0, "port"), "spec.ports[0].port", id="position"),
        pytest.param(("a", 0, 1), "a[0][1]", id="list of lists"),
        pytest.param(("metadata", "labels", "a.b/c"), 'metadata.labels["a.b/c"]', id="dot"),
        pytest.param(("", "x"), '[""].x', id="empty name"),
    ],
)
def test_path_and_text_say_the_same(path: FieldPath, text: str) -> None:
    """Names are joined by dots; positions, dots and empty names are in brackets (cel.md §1.5)."""
    assert fieldpath.join(path) == text
    assert fieldpath.parse(text) == path


@given(paths)
def test_text_of_a_path_parses_back(path: FieldPath) -> None:
    """Only names with brackets or quotes do not survive."""
    assert fieldpath.parse(fieldpath.join(path)) == path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "a[x]",
            "failed to parse path a[x]: invalid array index 'x' at position 2",
            id="no number",
        ),
        pytest.param("a[", "unterminated array index", id="bracket stays open"),
        pytest.param('a["b', "unterminated quote", id="quote stays open"),
        pytest.param('["a".b"]', "expected ']'", id="quote inside a quoted name"),
        pytest.param("a[]", "invalid array index ''", id="no index"),
    ],
)
def test_what_is_no_path_is_told(text: str, problem: str) -> None:
    """The path language has no escapes."""
    with pytest.raises(FieldPathError) as caught:
        fieldpath.parse(text)

    assert problem in str(caught.value)


def test_path_is_put_behind_a_base() -> None:
    """A position follows without a dot."""
    assert fieldpath.below("spec.x", ("a", 0)) == "spec.x.a[0]"
    assert fieldpath.below("spec.x", (0,)) == "spec.x[0]"
    assert fieldpath.below("spec.x", ("a.b",)) == 'spec.x["a.b"]'
    assert fieldpath.below("spec.x", ()) == "spec.x"


def test_value_is_read_and_replaced_at_a_path() -> None:
    """A path reaches through objects and lists."""
    manifest: JsonValue = {"spec": {"ports": [{"port": 1}, {"port": 2}]}}

    fieldpath.replace(manifest, ("spec", "ports", 1, "port"), 80)

    assert fieldpath.get(manifest, ("spec", "ports", 1, "port")) == 80
    assert fieldpath.get(manifest, ("spec", "ports", 0)) == {"port": 1}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(("spec", "nope"), id="no such name"),
        pytest.param(("spec", "list", 3), id="beyond the end"),
        pytest.param(("spec", "list", "name"), id="name in a list"),
        pytest.param(("spec", 0), id="position in an object"),
        pytest.param((), id="nothing"),
    ],
)
def test_only_what_is_there_can_be_replaced(path: FieldPath) -> None:
    """The path of an expression always exists in its template."""
    with pytest.raises(LookupError):
        fieldpath.replace({"spec": {"list": [1]}}, path, 1)


def test_value_is_assembled_from_its_fields() -> None:
    """A status grows from nothing; a hole in the middle of a list is null."""
    fields: list[tuple[FieldPath, object]] = [
        (("a", "b"), 1),
        (("list", 0, "x"), 2),
        (("list", 2, "y"), 3),
        (("a", "c.d"), 4),
    ]

    assembled = fieldpath.assemble(fields)  # type: ignore[arg-type]

    assert assembled == {"a": {"b": 1, "c.d": 4}, "list": [{"x": 2}, None, {"y": 3}]}
    assert fieldpath.assemble([]) == {}
