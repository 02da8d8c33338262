"""The rules about names, identity, scope and metadata: everything that needs no expression.

Source: spec graph-and-rgd-controller.md §2.2-2.6, §2.11 (names of iterators).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kro import names
from kro.graph import fieldpath
from kro.graph.definition import Definition, Entry, is_api_version, is_kind
from kro.graph.node import Limits
from kro.graph.problems import Problems
from kro.refs import GVK, JsonObject, JsonValue, Mapped
from kro.schema import SchemaNotFound, Schemas

_RESERVED = """
    apiVersion context dependency dependencies each externalRef externalReference externalRefs
    externalReferences graph instance item items kind kro metadata namespace object resource
    resourcegraphdefinition resourceGraphDefinition resources root runtime schema self
    serviceAccountName spec status this variables vars version
    true false null in as break const continue else for function if import let loop package
    return var void while
"""
RESERVED_WORDS = frozenset(_RESERVED.split())
"""Words that are neither ids nor iterators."""

KIND_PATH = "spec.schema.kind"

_KIND = re.compile(r"[A-Z][a-zA-Z0-9]*")
_ID = re.compile(r"[a-z][a-zA-Z0-9]*")
_LITERAL = "apiVersion and kind are read as they are: no expression can stand there"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedKind:
    """What the API server knows about the kind of a template."""

    gvk: GVK
    schema: JsonObject
    mapped: Mapped


def check_names(definition: Definition, limits: Limits, problems: Problems) -> None:
    """Report kinds, ids and iterators that are misspelt, reserved or taken."""
    if definition.has_schema:
        _check_kind(str(definition.schema["kind"]), problems)
    seen: set[str] = set()
    for entry in definition.entries:
        path = f"{entry.path}.id"
        if entry.id in RESERVED_WORDS:
            problems.definition(
                f"naming convention violation: id {entry.id} is a reserved keyword in KRO", path
            )
        elif not _ID.fullmatch(entry.id):
            problems.definition(
                f"naming convention violation: id {entry.id} is not a valid KRO resource id: "
                "must be lower camelCase",
                path,
                hint=_camel_hint(entry.id),
            )
        if entry.id in seen:
            problems.definition(
                f"naming convention violation: found duplicate resource IDs {entry.id}", path
            )
        seen.add(entry.id)
    for entry in definition.entries:
        _check_iterators(entry, seen, limits, problems)


def _check_kind(kind: str, problems: Problems) -> None:
    if not _KIND.fullmatch(kind):
        camel = "".join(p[0].upper() + p[1:] for p in re.split(r"[^a-zA-Z0-9]+", kind) if p)
        problems.definition(
            f"naming convention violation: kind '{kind}' is not a valid KRO kind name: "
            "must be UpperCamelCase",
            KIND_PATH,
            hint=f'write "{camel}"' if _KIND.fullmatch(camel) else "",
        )


def _check_iterators(entry: Entry, ids: set[str], limits: Limits, problems: Problems) -> None:
    where = f'resource "{entry.id}": '
    if len(entry.for_each) > limits.dimensions:
        problems.definition(
            f"{where}forEach cannot have more than {limits.dimensions} dimensions, "
            f"got {len(entry.for_each)}",
            f"{entry.path}.forEach",
        )
    seen: set[str] = set()
    for dimension in entry.for_each:
        name = f'forEach iterator name "{dimension.name}"'
        if not _ID.fullmatch(dimension.name):
            problems.definition(
                f"{where}{name} is not valid: must be lowerCamelCase",
                dimension.path,
                hint=_camel_hint(dimension.name),
            )
        elif dimension.name in RESERVED_WORDS:
            problems.definition(f"{where}{name} is a reserved keyword", dimension.path)
        elif dimension.name in ids:
            problems.definition(f"{where}{name} conflicts with resource ID", dimension.path)
        if dimension.name in seen:
            problems.definition(f"{where}duplicate {name}", dimension.path)
        seen.add(dimension.name)


def _camel_hint(word: str) -> str:
    parts = [part for part in re.split(r"[^a-zA-Z0-9]+", word) if part]
    camel = "".join(part if i == 0 else part[0].upper() + part[1:] for i, part in enumerate(parts))
    camel = camel[:1].lower() + camel[1:]
    usable = _ID.fullmatch(camel) and camel not in RESERVED_WORDS and len(camel) <= 63
    return f'write "{camel}"' if usable else ""


def resolve_kind(
    entry: Entry, definition: Definition, schemas: Schemas, problems: Problems
) -> ResolvedKind | None:
    """Return what is known about the kind of an entry's template, after checking its identity.

    None, with the reason reported, when there is no such kind.
    """
    template = entry.template
    if template is None:
        return None
    gvk = _read_gvk(entry, template, problems)
    if gvk is None:
        return None
    try:
        schema = schemas.schema(gvk)
        mapped = schemas.mapping(gvk)
    except SchemaNotFound as error:
        problems.add(_not_found(error, entry, gvk))
        return None
    _check_scope(entry, template, definition, mapped.namespaced, problems)
    _check_owned_metadata(entry, template, problems)
    return ResolvedKind(gvk=gvk, schema=schema, mapped=mapped)


def _read_gvk(entry: Entry, template: JsonObject, problems: Problems) -> GVK | None:
    invalid = f"resource {entry.id} is not a valid Kubernetes object: "
    texts: list[str] = []
    for key in ("apiVersion", "kind"):
        value = template.get(key)
        if key not in template:
            problems.definition(f"{invalid}{key} field not found", f"{entry.template_path}.{key}")
        elif not isinstance(value, str):
            problems.definition(
                f"{invalid}{key} field is not a string", f"{entry.template_path}.{key}"
            )
        else:
            texts.append(value)
    if "metadata" not in template:
        problems.definition(f"{invalid}metadata field not found", f"{entry.template_path}.metadata")
    elif not isinstance(template["metadata"], dict):
        problems.definition(
            f"{invalid}metadata field is not a map", f"{entry.template_path}.metadata"
        )
    if len(texts) < 2:
        return None
    api_version, kind = texts
    extract = f"failed to extract GVK from resource {entry.id}: "
    if not is_api_version(api_version):
        problems.definition(
            f'{extract}invalid apiVersion format "{api_version}"',
            f"{entry.template_path}.apiVersion",
            hint="write version or group/version",
        )
    if not is_kind(kind):
        problems.definition(
            f'{extract}invalid kind "{kind}": letters, digits and dashes, beginning with a letter, '
            "at most 63 (must be a valid DNS-1035 label when lowercased)",
            f"{entry.template_path}.kind",
            hint=_LITERAL if "${" in kind else "",
        )
    if not is_api_version(api_version) or not is_kind(kind):
        return None
    return GVK.of(api_version, kind)


def _not_found(error: SchemaNotFound, entry: Entry, gvk: GVK) -> SchemaNotFound:
    step, part = "get schema", "kind"
    if error.problem.startswith("no matches"):
        step = "get REST mapping"
    elif "version kind" not in error.problem:
        part = "apiVersion"
    return SchemaNotFound(
        f"failed to {step} for resource {entry.id}: {error.problem}",
        gvk=gvk,
        path=f"{entry.template_path}.{part}",
        hint=_LITERAL if "${" in gvk.api_version else error.hint,
    )


def _check_scope(
    entry: Entry,
    template: JsonObject,
    definition: Definition,
    namespaced: bool,
    problems: Problems,
) -> None:
    metadata = template.get("metadata")
    if not isinstance(metadata, dict):
        return
    path = f"{entry.template_path}.metadata.namespace"
    if not namespaced:
        if "namespace" in metadata:
            problems.definition(
                f'resource "{entry.id}" is cluster-scoped and must not set metadata.namespace', path
            )
    elif definition.cluster_scoped and not entry.by_selector:
        namespace = metadata.get("namespace")
        if not isinstance(namespace, str) or not namespace.strip():
            problems.definition(
                f'resource "{entry.id}" is namespaced and must set metadata.namespace when the '
                "instance CRD is cluster-scoped",
                path,
            )


def _check_owned_metadata(entry: Entry, template: JsonObject, problems: Problems) -> None:
    metadata = template.get("metadata")
    for field, word in (("labels", "label"), ("annotations", "annotation")):
        keys: JsonValue = metadata.get(field) if isinstance(metadata, dict) else None
        for key in sorted(keys) if isinstance(keys, dict) else ():
            for prefix in names.RESERVED_PREFIXES:
                if key.startswith(prefix):
                    problems.definition(
                        f'invalid {word} for resource "{entry.id}". {word}s with prefix "{prefix}" '
                        "are reserved for internal use",
                        fieldpath.below(entry.template_path, ("metadata", field, key)),
                    )
