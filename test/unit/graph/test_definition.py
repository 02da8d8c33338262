"""The outer shape of a definition."""

from __future__ import annotations

from typing import Any

import pytest

from kro.graph import required_kinds
from kro.refs import GVK
from support.definitions import config_map, widget


def test_required_kinds_are_those_that_resources_name() -> None:
    """Templates and external references, in source order, each once."""
    spec: Any = {
        "resources": [
            widget("a"),
            config_map("b"),
            widget("c"),
            {"id": "d", "externalRef": {"apiVersion": "apps/v1", "kind": "Deployment"}},
        ]
    }

    assert required_kinds(spec) == (
        GVK("test.dev", "v1", "Widget"),
        GVK("", "v1", "ConfigMap"),
        GVK("apps", "v1", "Deployment"),
    )


@pytest.mark.parametrize(
    "spec",
    [
        None,
        [],
        {"resources": "x"},
        {"resources": [None, 3, "x", [], {}]},
        {"resources": [{"template": []}, {"externalRef": "x"}]},
        {"resources": [{"template": {"apiVersion": 1, "kind": "A"}}]},
        {"resources": [{"template": {"apiVersion": "v1", "kind": "${schema.kind}"}}]},
        {"resources": [{"template": {"apiVersion": "${schema.apiVersion}", "kind": "A"}}]},
        {"resources": [{"template": {"apiVersion": "a/b/c", "kind": "A"}}]},
        {"resources": [{"template": {"apiVersion": "v1", "kind": "A" * 64}}]},
        {"resources": [{"template": {"apiVersion": "v1", "kind": "Ünit"}}]},
    ],
    ids=repr,
)
def test_kind_that_cannot_be_read_is_left_out(spec: Any) -> None:
    """Asking for kinds never fails; `build` says what is wrong."""
    assert required_kinds(spec) == ()
