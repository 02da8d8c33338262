"""What the API server would refuse when a generated CRD is written, found before it is.

The schema that SimpleSchema yields is structural by construction, so only what an author can
get wrong is looked at: defaults against their own schema, list types and their keys, transition
rules where old and new elements cannot be told apart, names, columns, labels, size. CEL rules
are handed out to the layer that can compile them. Source: simpleschema.md §8.1, checked against
the CRD validation of apiextensions 0.36.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from kro.errors import SchemaError
from kro.refs import JsonObject, JsonValue
from kro.schema.literals import quoted
from kro.schema.markers import LIST_MAP_KEYS, LIST_TYPE, VALIDATIONS
from kro.schema.paths import child
from kro.schema.values import unknown_fields, validate_value

MAX_CRD_BYTES: Final = 1_500_000
"""Room for a CRD in etcd's default limit of 1.5 MiB, its own metadata and status aside."""
MAX_ANNOTATION_BYTES: Final = 256 * 1024

_STRING_LITERAL: Final = re.compile(
    r'[rR]?(?:""".*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\')', re.DOTALL
)
_OLD_SELF: Final = re.compile(r"(?<![\w.])oldSelf\b")

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = (
    "int32",
    "int64",
    "float",
    "double",
    "byte",
    "date",
    "date-time",
    "password",
)
_APPROVAL: Final = "api-approved.kubernetes.io"


@dataclass(frozen=True, slots=True)
class Validation:
    """One CEL rule of the generated schema: what it says and the type it speaks about."""

    path: str
    """The field that carries it, relative to `spec.schema`."""
    index: int
    rule: str
    message: str
    schema: JsonObject
    """The type of `self`, and of `oldSelf` where the rule names it."""
    uses_old_self: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A node of the schema and how the author finds it.

    `path` is as deep as the author's document goes; `inside` leads on from there through items,
    map values and the fields of custom types.
    """

    path: str
    inside: str
    schema: JsonObject
    document: JsonValue
    correlatable: bool = True
    defaults_apply: bool = True

    def error(self, problem: str, hint: str = "") -> SchemaError:
        """Return the problem as an author error at this place."""
        where = f"in {self.inside}: " if self.inside else ""
        return SchemaError(where + problem, path=self.path, hint=hint)

    def children(self) -> Iterator[_Place]:
        """Yield the nodes below this one, in the order of the schema."""
        named = self.document if isinstance(self.document, dict) else None
        for name, schema in _mapping(self.schema.get("properties")).items():
            below = _mapping(schema)
            if named is not None:
                path, inside = child(self.path, name), ""
            else:
                path, inside = self.path, child(self.inside, name)
            document = named.get(name) if named is not None else None
            yield _Place(path, inside, below, document, self.correlatable, self.defaults_apply)
        for key, sign in (("items", "[]"), ("additionalProperties", "{}")):
            if isinstance(schema := self.schema.get(key), dict):
                is_list = key == "items"
                correlatable = self.correlatable and (
                    not is_list or self.schema.get(LIST_TYPE) == "map"
                )
                applies = self.defaults_apply and is_list
                yield _Place(self.path, self.inside + sign, schema, None, correlatable, applies)


def check_spec_schema(spec: JsonValue, schema: JsonObject) -> list[SchemaError]:
    """Return what the API server would refuse in the schema of `spec`, CEL rules' texts aside.

    Args:
        spec: the author's document, which the paths of the errors follow.
        schema: what `build_spec_schema` made of it.
    """
    return [
        error
        for place in _places(spec, schema)
        for error in (*_default_errors(place), *_list_errors(place), *_transition_errors(place))
    ]


def validations(spec: JsonValue, schema: JsonObject) -> Iterator[Validation]:
    """Yield every CEL rule of the schema of `spec`, in the order of the schema."""
    for place in _places(spec, schema):
        for index, (rule, message) in enumerate(_rules(place.schema)):
            yield Validation(place.path, index, rule, message, place.schema, uses_old_self(rule))


def uses_old_self(rule: str) -> bool:
    """Return whether a rule speaks of the value before an update."""
    return _OLD_SELF.search(_STRING_LITERAL.sub('""', rule)) is not None


def check_crd(crd: JsonObject) -> list[SchemaError]:
    """Return what else the API server would refuse in a generated CRD.

    Names, group, version, printer columns, labels and annotations, and the size of the whole;
    paths lead to where the definition says it.
    """
    spec, metadata = _mapping(crd.get("spec")), _mapping(crd.get("metadata"))
    versions = spec.get("versions")
    version = _mapping(versions[0]) if isinstance(versions, list) and versions else {}
    errors = [
        *_group_errors(str(spec.get("group", "")), metadata),
        *_name_errors(_mapping(spec.get("names")), str(version.get("name", ""))),
        *_column_errors(version.get("additionalPrinterColumns")),
        *_label_errors(_mapping(metadata.get("labels"))),
        *_annotation_errors(_mapping(metadata.get("annotations"))),
    ]
    size = len(orjson.dumps(crd))
    if size > MAX_CRD_BYTES:
        problem = f"the generated CRD has {size} bytes, more than the API server can store"
        hint = f"at most {MAX_CRD_BYTES}; custom types are copied wherever they are used"
        errors.append(SchemaError(problem, path="spec.schema", hint=hint))
    return errors


def _places(spec: JsonValue, schema: JsonObject) -> Iterator[_Place]:
    stack = [_Place("spec", "", schema, spec if isinstance(spec, dict) else {})]
    while stack:
        place = stack.pop()
        yield place
        stack.extend(reversed(list(place.children())))


def _default_errors(place: _Place) -> Iterator[SchemaError]:
    default = place.schema.get("default")
    if default is None or not place.defaults_apply:
        return
    for path in unknown_fields(default, place.schema, "default"):
        yield place.error(
            f"{path} is no field of its type", "the API server accepts no such default"
        )
    for error in validate_value(default, place.schema, "default"):
        yield place.error(f"{error.path} {error.problem}")


def _list_errors(place: _Place) -> Iterator[SchemaError]:
    schema = place.schema
    items = _mapping(schema.get("items"))
    match schema.get(LIST_TYPE):
        case "set":
            held = items.get(LIST_TYPE, "atomic")
            if items.get("type") == "object":
                yield place.error(
                    "a set (uniqueItems=true, listType=set) cannot hold objects",
                    "use listType=map with listMapKey",
                )
            elif items.get("type") == "array" and held != "atomic":
                yield place.error(f"a set cannot hold lists of listType {held}")
        case "map":
            yield from _list_map_errors(place, items)


def _list_map_errors(place: _Place, items: JsonObject) -> Iterator[SchemaError]:
    keys = place.schema.get(LIST_MAP_KEYS)
    if not isinstance(keys, list) or not keys:
        yield place.error("listType=map needs a listMapKey", "add listMapKey=<field>")
        keys = []
    if items.get("type") != "object":
        yield place.error(
            f"the items of listType=map must be objects, not {items.get('type')}",
            "write [] and the name of a type under types",
        )
        return
    fields, required = _mapping(items.get("properties")), items.get("required")
    for key in keys:
        name = str(key)
        if name not in fields:
            known = ", ".join(list(fields)[:10]) or "none"
            yield place.error(
                f"listMapKey {quoted(name)} is no field of the items", f"fields: {known}"
            )
            continue
        field = _mapping(fields[name])
        if field.get("type") in ("array", "object"):
            yield place.error(f"listMapKey {quoted(name)} must be a scalar field")
        is_required = isinstance(required, list) and name in required
        if not is_required and field.get("default") is None:
            yield place.error(
                f"listMapKey {quoted(name)} must be a required field or have a default",
                f"add required=true to {name}",
            )


def _transition_errors(place: _Place) -> Iterator[SchemaError]:
    if place.correlatable:
        return
    for rule, _ in _rules(place.schema):
        if uses_old_self(rule):
            marker = "immutable" if rule == "self == oldSelf" else "a validation with oldSelf"
            yield place.error(
                f"{marker} cannot be used inside the elements of an ordinary list",
                "mark the list itself, or make it listType=map with a listMapKey",
            )
            return


def _rules(schema: JsonObject) -> Iterator[tuple[str, str]]:
    rules = schema.get(VALIDATIONS)
    for rule in rules if isinstance(rules, list) else ():
        if isinstance(rule, dict):
            yield str(rule.get("rule", "")), str(rule.get("message", ""))


def _group_errors(group: str, metadata: JsonObject) -> Iterator[SchemaError]:
    path = "spec.schema.group"
    if not _SUBDOMAIN.fullmatch(group) or len(group) > 253 or "." not in group:
        yield SchemaError(
            f"{quoted(group)} is no API group",
            path=path,
            hint="write a lower-case domain with at least one dot, such as apps.example.com",
        )
    elif group.endswith((".k8s.io", ".kubernetes.io")):
        approval = _mapping(metadata.get("annotations")).get(_APPROVAL)
        if not _is_approval(approval):
            yield SchemaError(
                f"{quoted(group)} is a group of the Kubernetes community, which need approval",
                path=path,
                hint=f"use a domain of your own, or set the annotation {_APPROVAL}",
            )


def _is_approval(value: JsonValue) -> bool:
    if not isinstance(value, str):
        return False
    return value.startswith("unapproved") or re.match(r"https?://[^/]", value) is not None


def _name_errors(names: JsonObject, version: str) -> Iterator[SchemaError]:
    kind = str(names.get("kind", ""))
    if not _is_label(kind.lower()):
        hint = "letters and digits, at most 59 of them, a letter first"
        yield SchemaError(f"{quoted(kind)} is no kind", path="spec.schema.kind", hint=hint)
    elif len(kind) + len("List") > 63 or len(str(names.get("plural", ""))) > 63:
        problem = "the name of its lists or its plural exceeds 63 characters"
        yield SchemaError(problem, path="spec.schema.kind", hint="shorten the kind")
    if not _is_label(version):
        hint = "such as v1alpha1"
        yield SchemaError(
            f"{quoted(version)} is no version", path="spec.schema.apiVersion", hint=hint
        )
    for key in ("shortNames", "categories"):
        listed = names.get(key)
        for index, name in enumerate(listed if isinstance(listed, list) else ()):
            if not _is_label(str(name)):
                yield SchemaError(
                    f"{quoted(str(name))} is not allowed here",
                    path=f"spec.schema.{key}[{index}]",
                    hint="lower-case letters, digits and -, a letter first",
                )


def _is_label(text: str) -> bool:
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def _column_errors(columns: JsonValue) -> Iterator[SchemaError]:
    for index, item in enumerate(columns if isinstance(columns, list) else ()):
        column, path = _mapping(item), f"spec.schema.additionalPrinterColumns[{index}]"
        if not column.get("name"):
            yield SchemaError("a printer column needs a name", path=f"{path}.name")
        if column.get("type") not in _COLUMN_TYPES:
            problem = f"{quoted(str(column.get('type', '')))} is no type of a printer column"
            yield SchemaError(problem, path=f"{path}.type", hint=", ".join(_COLUMN_TYPES))
        form = column.get("format")
        if form and form not in _COLUMN_FORMATS:
            problem = f"{quoted(str(form))} is no format of a printer column"
            yield SchemaError(problem, path=f"{path}.format", hint=", ".join(_COLUMN_FORMATS))
        if not str(column.get("jsonPath", "")).startswith("."):
            problem = "a printer column's jsonPath starts with a dot"
            yield SchemaError(problem, path=f"{path}.jsonPath", hint="such as .spec.replicas")


def _label_errors(labels: JsonObject) -> Iterator[SchemaError]:
    for key, value in labels.items():
        path = child("spec.schema.metadata.labels", key)
        yield from _key_errors(key, path, "label")
        if not isinstance(value, str) or (
            value and (len(value) > 63 or not _QUALIFIED.fullmatch(value))
        ):
            hint = "at most 63 letters, digits, -, _ and ., a letter or digit at both ends"
            yield SchemaError("the value is no label value", path=path, hint=hint)


def _annotation_errors(annotations: JsonObject) -> Iterator[SchemaError]:
    size = 0
    for key, value in annotations.items():
        path = child("spec.schema.metadata.annotations", key)
        yield from _key_errors(key.lower(), path, "annotation")
        if not isinstance(value, str):
            yield SchemaError("the value of an annotation is a string", path=path)
            continue
        size += len(key.encode()) + len(value.encode())
    if size > MAX_ANNOTATION_BYTES:
        problem = f"all annotations together exceed {MAX_ANNOTATION_BYTES} bytes"
        yield SchemaError(problem, path="spec.schema.metadata.annotations")


def _key_errors(key: str, path: str, what: str) -> Iterator[SchemaError]:
    prefix, slash, name = key.rpartition("/")
    sound_prefix = not slash or (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix) is not None)
    if not sound_prefix or len(name) > 63 or not _QUALIFIED.fullmatch(name):
        hint = "a name of letters, digits, -, _ and ., after an optional domain and /"
        yield SchemaError(f"{quoted(key)} is no key of {_article(what)}", path=path, hint=hint)


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
