"""YAML of kinds that are not kro's own, and values of the chart.

Built-in kinds are held to the bundled schemas, as `kro validate` holds templates to them. Kinds of
other projects, which the documents show in passing, are held to the fields listed here; these stand
in the projects' own API references.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import yaml

from kro.refs import GVK
from kro.schema import (
    OBJECT_META,
    BundledSchemas,
    SchemaNotFound,
    definition_crd,
    plural,
    revision_crd,
    unknown_fields,
    validate_value,
)
from support.documents.blocks import ROOT

FOREIGN: Final[dict[tuple[str, str], frozenset[str]]] = {
    ("argoproj.io/v1alpha1", "Application"): frozenset(
        {
            "spec.project",
            "spec.destination.namespace",
            "spec.destination.server",
            "spec.source.path",
            "spec.source.repoURL",
            "spec.source.targetRevision",
            "spec.syncPolicy.automated.prune",
            "spec.syncPolicy.automated.selfHeal",
            "spec.syncPolicy.syncOptions[]",
            "spec.ignoreDifferences[].group",
            "spec.ignoreDifferences[].kind",
            "spec.ignoreDifferences[].jsonPointers[]",
        }
    ),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"): frozenset(
        {
            "spec.dependsOn[].name",
            "spec.healthCheckExprs[].apiVersion",
            "spec.healthCheckExprs[].current",
            "spec.healthCheckExprs[].failed",
            "spec.healthCheckExprs[].kind",
            "spec.interval",
            "spec.path",
            "spec.prune",
            "spec.sourceRef.kind",
            "spec.sourceRef.name",
            "spec.timeout",
            "spec.wait",
        }
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): frozenset({"spec.groups[].name"}),
}
"""apiVersion and kind -> the paths that may be set, besides metadata."""

SHORT_NAMES: Final = {
    "Pod": "po", "Service": "svc", "ConfigMap": "cm", "Namespace": "ns", "Deployment": "deploy",
    "ServiceAccount": "sa", "Ingress": "ing", "CustomResourceDefinition": "crd", "Event": "ev",
    "ResourceGraphDefinition": "rgd", "GraphRevision": "gr",
}  # fmt: skip


def problems(text: str) -> Iterator[str]:
    """Yield what is wrong with manifests of built-in and listed foreign kinds."""
    for manifest in yaml.safe_load_all(text):
        gvk = GVK.of_object(manifest)
        where = f"{gvk.kind} {manifest['metadata'].get('name', '')}"
        allowed = FOREIGN.get((gvk.api_version, gvk.kind))
        if allowed is not None:
            rest = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind")}
            metadata = rest.pop("metadata")
            for path in unknown_fields(metadata, OBJECT_META, "metadata"):
                yield f"{where}: there is no field {path}"
            for path in _leaves(rest):
                if path not in allowed:
                    yield f"{where}: {path} is not among the fields that are known to exist"
            continue
        try:
            schema = _bundled().schema(gvk)
        except SchemaNotFound:
            yield f"{where}: no schema; list its fields in {__name__}.FOREIGN"
            continue
        for path in unknown_fields(manifest, schema):
            yield f"{where}: there is no field {path}"
        for error in validate_value(manifest, schema):
            yield f"{where}: {error}"


def values_problems(text: str) -> Iterator[str]:
    """Yield the paths of values that the chart does not have."""
    chart = _chart_values()
    for path in _paths(yaml.safe_load(text) or {}, chart, ""):
        yield f"the chart has no value {path}"


def _paths(given: Any, chart: Any, path: str) -> Iterator[str]:
    if not isinstance(given, dict) or not given:
        return
    if chart == {}:
        return  # a map that users fill: labels, annotations, a selector
    for key, value in given.items():
        where = f"{path}.{key}" if path else str(key)
        if not isinstance(chart, dict) or key not in chart:
            yield where
        else:
            yield from _paths(value, chart[key], where)


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    match value:
        case dict():
            for key, part in value.items():
                yield from _leaves(part, f"{path}.{key}" if path else str(key))
        case list():
            for part in value:
                yield from _leaves(part, f"{path}[]")
        case _:
            yield path


def words_of(definition: Any) -> set[str]:
    """Return the words by which kubectl knows the kind that a definition generates."""
    kind = definition["spec"]["schema"]["kind"]
    names = definition["spec"]["schema"].get("shortNames", [])
    return {kind, kind.lower(), plural(kind), *names}


@cache
def kubectl_words() -> frozenset[str]:
    """Return the words by which kubectl knows built-in kinds and kro's own."""
    found = set()
    for gvk in _bundled().kinds():
        found |= {gvk.kind, gvk.kind.lower(), _bundled().mapping(gvk).gvr.resource}
    for crd in (definition_crd(), revision_crd()):
        names: Any = crd["spec"]
        found |= {names["names"]["kind"], names["names"]["singular"], names["names"]["plural"]}
    return frozenset(found | set(SHORT_NAMES.values()) | {"all", "application", "applications"})


@cache
def _bundled() -> BundledSchemas:
    return BundledSchemas()


def _chart_values() -> Any:
    return yaml.safe_load((ROOT / "helm" / "values.yaml").read_text(encoding="utf-8"))
