"""Sentences about nodes and objects that end up in condition messages.

Users' scripts match fragments of them, so their wording is part of the behaviour.

Source: spec instance-runtime.md §1, §3-5.
"""

from __future__ import annotations

from kro.cel import Expression
from kro.refs import GVK, GVR, JsonObject, NamespacedName

PENDING_SUFFIX = " (data pending)"
WAITING_SUFFIX = " (waiting for readiness)"


def quoted(text: str) -> str:
    """Return the text in double quotes, inner quotes and backslashes escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def shown(expression: Expression) -> str:
    """Return the expression in quotes: the CEL between the braces, or the whole template."""
    template = expression.template
    return quoted(template.matches[0].source if template.standalone else template.text)


def gvr_text(gvr: GVR) -> str:
    """Return `apps/v1, Resource=deployments`; the core group leaves `/v1, Resource=…`."""
    return f"{gvr.group}/{gvr.version}, Resource={gvr.resource}"


def gvk_text(gvk: GVK) -> str:
    """Return `apps/v1, Kind=Deployment`; the core group leaves `/v1, Kind=…`."""
    return f"{gvk.group}/{gvk.version}, Kind={gvk.kind}"


def name_of(manifest: JsonObject) -> NamespacedName:
    """Return namespace and name of a manifest whose metadata was checked."""
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)
    return NamespacedName(str(metadata.get("namespace") or ""), str(metadata["name"]))


def object_text(manifest: JsonObject) -> str:
    """Return `Deployment team-a/web`."""
    return f"{manifest.get('kind')} {name_of(manifest)}"
