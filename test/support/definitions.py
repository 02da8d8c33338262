"""Definitions for tests: a few kinds with small schemas, and builders of what authors write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from kro.errors import AuthorError, AuthorErrors
from kro.graph import Gates, Graph, Limits, build
from kro.graph.problems import each
from kro.refs import GVK, GVR, JsonObject, Mapped
from kro.schema import OBJECT_META, KnownSchemas

STRING: JsonObject = {"type": "string"}
INTEGER: JsonObject = {"type": "integer"}
OPEN: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def record(**properties: JsonObject) -> JsonObject:
    """Return the schema of an object with these properties."""
    return {"type": "object", "properties": dict(properties)}


def mapping_of(value: JsonObject | bool) -> JsonObject:
    """Return the schema of an object whose values are all alike."""
    return {"type": "object", "additionalProperties": value}


def list_of(items: JsonObject) -> JsonObject:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def kind_schema(**properties: JsonObject) -> JsonObject:
    """Return the schema of a kind with these fields beside the usual ones."""
    return record(apiVersion=STRING, kind=STRING, metadata=OBJECT_META, **properties)


CONDITION = record(type=STRING, status=STRING, reason=STRING, message=STRING)
WIDGET_SPEC = record(
    name=STRING,
    count=INTEGER,
    ratio={"type": "number"},
    on={"type": "boolean"},
    tags=list_of(STRING),
    ports=list_of(record(port=INTEGER, name=STRING)),
    labels=mapping_of(STRING),
    anything=mapping_of(True),
    open=OPEN,
    openWithFields={**OPEN, "properties": {"known": STRING}},
    port={"x-kubernetes-int-or-string": True, "anyOf": [INTEGER, STRING]},
    quantity={"oneOf": [STRING, {"type": "number"}]},
    choice={"anyOf": [{"required": ["a"]}, STRING]},
    bare={"x-kubernetes-int-or-string": True},
    noItems={"type": "array"},
)

_KINDS: dict[GVK, tuple[str, bool, JsonObject]] = {
    GVK("", "v1", "ConfigMap"): ("configmaps", True, kind_schema(data=mapping_of(STRING))),
    GVK("", "v1", "Secret"): (
        "secrets",
        True,
        kind_schema(
            data=mapping_of({"type": "string", "format": "byte"}), stringData=mapping_of(STRING)
        ),
    ),
    GVK("", "v1", "Namespace"): ("namespaces", False, kind_schema(spec=record())),
    GVK("test.dev", "v1", "Widget"): (
        "widgets",
        True,
        kind_schema(
            spec=WIDGET_SPEC,
            status=record(phase=STRING, ready=INTEGER, conditions=list_of(CONDITION)),
        ),
    ),
    GVK("apiextensions.k8s.io", "v1", "CustomResourceDefinition"): (
        "customresourcedefinitions",
        False,
        kind_schema(spec=record(group=STRING)),
    ),
}

SCHEMAS = KnownSchemas(
    {gvk: schema for gvk, (_, _, schema) in _KINDS.items()},
    {
        gvk: Mapped(GVR(gvk.group, gvk.version, plural), namespaced)
        for gvk, (plural, namespaced, _) in _KINDS.items()
    },
)
"""ConfigMap, Secret, Namespace, CustomResourceDefinition, and test.dev/v1 Widget."""

SPEC: JsonObject = {
    "name": "string",
    "count": "integer",
    "on": "boolean",
    "tags": "[]string",
    "labels": "map[string]string",
    "free": "object",
}


def definition(*resources: object, status: object = None, **schema: object) -> Any:
    """Return the spec of a definition of the kind App with these resources."""
    block: dict[str, object] = {"apiVersion": "v1alpha1", "kind": "App", "spec": SPEC, **schema}
    if status is not None:
        block["status"] = status
    return {"schema": block, "resources": list(resources)}


def config_map(id_: str, *, name: str = "", data: object = None, **entry: object) -> Any:
    """Return a resource with a ConfigMap as its template."""
    template: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name or id_},
    }
    if data is not None:
        template["data"] = data
    return {"id": id_, "template": template, **entry}


def widget(id_: str, *, spec: object = None, name: str = "", **entry: object) -> Any:
    """Return a resource with a Widget as its template."""
    template: dict[str, object] = {
        "apiVersion": "test.dev/v1",
        "kind": "Widget",
        "metadata": {"name": name or id_},
    }
    if spec is not None:
        template["spec"] = spec
    return {"id": id_, "template": template, **entry}


def compiled(spec: Any, *, limits: Limits | None = None, omit: bool = False) -> Graph:
    """Return the graph of a definition that is all right."""
    return build("app", spec, SCHEMAS, limits=limits or Limits(), gates=Gates(omit=omit))


def errors_of(
    spec: Any, *, limits: Limits | None = None, omit: bool = False
) -> tuple[AuthorError, ...]:
    """Return the errors of a definition that is not."""
    with pytest.raises(AuthorErrors) as caught:
        compiled(spec, limits=limits, omit=omit)
    return tuple(each(caught.value))


def problems_of(spec: Any, *, omit: bool = False) -> Iterable[str]:
    """Return `path: problem` of each error of a definition."""
    return [f"{error.path}: {error.problem}" for error in errors_of(spec, omit=omit)]
