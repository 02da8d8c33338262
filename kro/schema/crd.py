"""The generated CustomResourceDefinition: names, body, printer columns, injected status fields.

Source: simpleschema.md §4.7 and §5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kro.refs import GVK, GVR, JsonObject, JsonValue, Mapped
from kro.schema.plural import plural

_STRING: Final[JsonObject] = {"type": "string"}
_TIME: Final[JsonObject] = {"type": "string", "format": "date-time"}
_STRINGS: Final[JsonObject] = {"type": "object", "additionalProperties": _STRING}

_META_FIELDS: Final[JsonObject] = {
    "annotations": _STRINGS,
    "creationTimestamp": _TIME,
    "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
    "deletionTimestamp": _TIME,
    "finalizers": {"type": "array", "items": _STRING},
    "generateName": _STRING,
    "generation": {"type": "integer", "format": "int64"},
    "labels": _STRINGS,
    "managedFields": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "apiVersion": _STRING,
                "fieldsType": _STRING,
                "fieldsV1": {"type": "object"},
                "manager": _STRING,
                "operation": _STRING,
                "subresource": _STRING,
                "time": _TIME,
            },
        },
    },
    "name": _STRING,
    "namespace": _STRING,
    "ownerReferences": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "apiVersion": _STRING,
                "blockOwnerDeletion": {"type": "boolean"},
                "controller": {"type": "boolean"},
                "kind": _STRING,
                "name": _STRING,
                "uid": _STRING,
            },
        },
    },
    "resourceVersion": _STRING,
    "selfLink": _STRING,
    "uid": _STRING,
}

OBJECT_META: Final[JsonObject] = {"type": "object", "properties": _META_FIELDS}
"""`metadata` as the API server serves it, for schemas that leave it out."""

_CLUSTER_META: Final[JsonObject] = {
    "type": "object",
    "properties": {name: meta for name, meta in _META_FIELDS.items() if name != "namespace"},
}

_INJECTED_STATUS: Final[JsonObject] = {
    "state": _STRING,
    "conditions": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "type": _STRING,
                "status": _STRING,
                "reason": _STRING,
                "message": _STRING,
                "lastTransitionTime": _STRING,
                "observedGeneration": {"type": "integer"},
            },
        },
    },
}

_DEFAULT_COLUMNS: Final[list[JsonValue]] = [
    {
        "name": "State",
        "type": "string",
        "description": "The state of a ResourceGraphDefinition instance",
        "jsonPath": ".status.state",
    },
    {
        "name": "Ready",
        "type": "string",
        "description": "Whether a ResourceGraphDefinition instance is ready",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
    },
    {
        "name": "Age",
        "type": "date",
        "description": "Age of the resource",
        "jsonPath": ".metadata.creationTimestamp",
    },
]


def synthesize_crd(
    schema: Mapping[str, JsonValue], spec_schema: JsonObject, status_schema: JsonObject | None
) -> JsonObject:
    """Return the CRD of a definition, without kro's own labels.

    Args:
        schema: `spec.schema` of the definition, after the defaults of the definition's own CRD.
        spec_schema: the OpenAPI schema of `spec`.
        status_schema: the schema inferred from the status block; None when there is none.
            `state` and `conditions` are added where they are absent.

    Shape: parts of the arguments and of constants are shared; the result must not be mutated.
    """
    kind, group = str(schema.get("kind", "")), str(schema.get("group", ""))
    names: JsonObject = {
        "plural": plural(kind),
        "singular": kind.lower(),
        "kind": kind,
        "listKind": f"{kind}List",
    }
    for key in ("shortNames", "categories"):
        if listed := schema.get(key):
            names[key] = listed
    metadata: JsonObject = {"name": f"{names['plural']}.{group}"}
    author = schema.get("metadata")
    for key in ("labels", "annotations"):
        if isinstance(author, dict) and (entries := author.get(key)):
            metadata[key] = entries
    version: JsonObject = {
        "name": str(schema.get("apiVersion", "")),
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(spec_schema, status_schema)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(schema.get("additionalPrinterColumns")),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": group,
            "names": names,
            "scope": "Cluster" if schema.get("scope") == "Cluster" else "Namespaced",
            "versions": [version],
        },
    }


def instance_schema(crd: JsonObject) -> JsonObject:
    """Return the type of the variable `schema`: the CRD's, without status, with full metadata."""
    spec, version = _spec(crd), _version(crd)
    root = _mapping(_mapping(version.get("schema")).get("openAPIV3Schema"))
    properties = dict(_mapping(root.get("properties")))
    properties.pop("status", None)
    properties["metadata"] = _meta(spec)
    return {**root, "properties": properties}


def object_schema(crd: JsonObject, version: JsonObject) -> JsonObject:
    """Return the schema of a CRD's kind in one version, with full metadata, status included."""
    root = _mapping(_mapping(version.get("schema")).get("openAPIV3Schema"))
    properties: JsonObject = {
        "apiVersion": _STRING,
        "kind": _STRING,
        **_mapping(root.get("properties")),
        "metadata": OBJECT_META,
    }
    return {**root, "type": "object", "properties": properties}


def crd_gvk(crd: JsonObject) -> GVK:
    """Return the kind that a CRD defines, in its first version."""
    spec = _spec(crd)
    kind = str(_mapping(spec.get("names")).get("kind", ""))
    return GVK(str(spec.get("group", "")), str(_version(crd).get("name", "")), kind)


def crd_mapped(crd: JsonObject) -> Mapped:
    """Return where the API server serves a CRD's kind, in its first version."""
    spec = _spec(crd)
    resource = str(_mapping(spec.get("names")).get("plural", ""))
    gvr = GVR(str(spec.get("group", "")), str(_version(crd).get("name", "")), resource)
    return Mapped(gvr, spec.get("scope") != "Cluster")


def _root(spec_schema: JsonObject, status_schema: JsonObject | None) -> JsonObject:
    inferred = status_schema or {}
    status: JsonObject = {
        **inferred,
        "type": "object",
        "properties": {**_INJECTED_STATUS, **_mapping(inferred.get("properties"))},
    }
    return {
        "type": "object",
        "properties": {
            "apiVersion": _STRING,
            "kind": _STRING,
            "metadata": {"type": "object"},
            "spec": spec_schema,
            "status": status,
        },
    }


def _columns(columns: JsonValue) -> list[JsonValue]:
    if not isinstance(columns, list) or not columns:
        return _DEFAULT_COLUMNS
    return [
        {
            key: value
            for key, value in column.items()
            if value or key in ("name", "type", "jsonPath")
        }
        if isinstance(column, dict)
        else column
        for column in columns
    ]


def _meta(spec: JsonObject) -> JsonObject:
    return _CLUSTER_META if spec.get("scope") == "Cluster" else OBJECT_META


def _spec(crd: JsonObject) -> JsonObject:
    return _mapping(crd.get("spec"))


def _version(crd: JsonObject) -> JsonObject:
    versions = _spec(crd).get("versions")
    return _mapping(versions[0]) if isinstance(versions, list) and versions else {}


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
