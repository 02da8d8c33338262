"""A manifest against the schema of its CRD, as the API server would judge it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kro.cli.rules import RuleChecker
from kro.errors import AuthorError, DefinitionError, UnknownFieldError
from kro.refs import JsonObject, JsonValue
from kro.schema import OBJECT_META, apply_defaults, nearest, unknown_fields, validate_value

_SEGMENT: Final = re.compile(r'\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.\[\]]+)')
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_LIMIT: Final = 63
"""Of definitions and instances: their names become values of labels."""


MAX_ERRORS: Final = 100
"""Of one sort, for one manifest; more are counted."""


@dataclass(slots=True)
class Judged:
    """A manifest after the API server's defaults, and what is wrong with it."""

    value: JsonObject
    errors: list[AuthorError] = field(default_factory=list)
    unknown: list[AuthorError] = field(default_factory=list)
    """Fields that do not exist; the place of each is its key."""


def object_schema(crd: JsonObject) -> JsonObject:
    """Return the schema of a CRD's objects in its first version, with the full ObjectMeta."""
    spec = _mapping(crd.get("spec"))
    versions = spec.get("versions")
    version = _mapping(versions[0]) if isinstance(versions, list) and versions else {}
    root = _mapping(_mapping(version.get("schema")).get("openAPIV3Schema"))
    return {**root, "properties": {**_mapping(root.get("properties")), "metadata": OBJECT_META}}


def judge(
    manifest: JsonObject, schema: JsonObject, rules: RuleChecker, *, namespaced: bool
) -> Judged:
    """Return what the API server would say to creating the object.

    Args:
        manifest: as the author wrote it; it is not changed.
        schema: as `object_schema` returns it.
        rules: of the same CRD.
        namespaced: whether objects of the kind live in namespaces.
    """
    defaulted = apply_defaults(manifest, schema)
    assert isinstance(defaulted, dict)
    judged = Judged(defaulted)
    judged.errors.extend(_first(validate_value(defaulted, schema)))
    judged.errors.extend(_metadata_errors(manifest, namespaced=namespaced))
    broken = [error.path for error in judged.errors]
    judged.errors.extend(_first(rules.check(defaulted, schema, broken=broken)))
    paths = unknown_fields(manifest, schema)
    metadata = manifest.get("metadata")
    if isinstance(metadata, dict):
        served = {key: value for key, value in metadata.items() if key != "managedFields"}
        paths += unknown_fields(served, OBJECT_META, "metadata")
    judged.unknown.extend(
        _unknown(path, schema)
        for path in paths[:MAX_ERRORS]
        if not any(path.startswith((f"{place}.", f"{place}[")) for place in broken)
    )
    if len(paths) > MAX_ERRORS:
        judged.unknown.append(_more(len(paths) - MAX_ERRORS, paths[MAX_ERRORS]))
    return judged


def _first(errors: Sequence[AuthorError]) -> list[AuthorError]:
    """Return so many errors that somebody may read them."""
    if len(errors) <= MAX_ERRORS:
        return list(errors)
    return [*errors[:MAX_ERRORS], _more(len(errors) - MAX_ERRORS, errors[MAX_ERRORS].path)]


def _more(count: int, path: str) -> AuthorError:
    return DefinitionError(f"{count} more errors of this sort are not shown", path=path)


def _metadata_errors(manifest: JsonObject, *, namespaced: bool) -> list[AuthorError]:
    metadata = manifest.get("metadata")
    if metadata is None:
        return [DefinitionError("is required", path="metadata.name")]
    if not isinstance(metadata, dict):
        return []
    errors: list[AuthorError] = []
    name = metadata.get("name")
    if name is None or name == "":
        if not metadata.get("generateName"):
            errors.append(DefinitionError("is required", path="metadata.name"))
    elif isinstance(name, str):
        if len(name) > _NAME_LIMIT:
            problem = f"must have at most {_NAME_LIMIT} characters, has {len(name)}"
            hint = "the name becomes the value of labels"
            errors.append(DefinitionError(problem, path="metadata.name", hint=hint))
        if not _SUBDOMAIN.fullmatch(name):
            problem = "must consist of lower-case letters, digits, dashes and dots"
            errors.append(DefinitionError(problem, path="metadata.name"))
    if metadata.get("namespace") and not namespaced:
        problem = "objects of this kind live outside of namespaces"
        errors.append(DefinitionError(problem, path="metadata.namespace", hint="leave it out"))
    return errors


def _unknown(path: str, schema: JsonObject) -> AuthorError:
    names = [
        int(position) if position else json.loads(quoted) if quoted else plain
        for position, quoted, plain in _SEGMENT.findall(path)
    ]
    holder: JsonValue = schema
    for name in names[:-1]:
        holder = _below(_mapping(holder), name)
    field_name = str(names[-1]) if names else path
    near = nearest(field_name, _mapping(_mapping(holder).get("properties")))
    hint = f'did you mean "{near}"?' if near else ""
    if field_name == "dependsOn" and not near:  # as other tools have it
        hint = "a resource depends on those that its expressions refer to"
    return UnknownFieldError(f'unknown field "{field_name:.80}"', path=path, hint=hint)


def _below(schema: JsonObject, name: str | int) -> JsonValue:
    if isinstance(name, int):
        return schema.get("items")
    return _mapping(schema.get("properties")).get(name, schema.get("additionalProperties"))


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
