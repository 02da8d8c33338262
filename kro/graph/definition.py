"""A definition's spec as the author wrote it, its outer shape checked, nothing resolved.

The API server checks that shape too, but definitions also come from files. What does not have it
is reported and then treated as absent, so that the rest is still examined.

Source: spec graph-and-rgd-controller.md §1.1, §2.1, §2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kro.graph.problems import Problems
from kro.graph.revision import DEFAULT_GROUP, DEFAULT_SCOPE
from kro.refs import GVK, JsonObject, JsonValue

CRD_KIND = GVK("apiextensions.k8s.io", "v1", "CustomResourceDefinition")

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text that should hold an expression, and where it stands."""

    text: str
    path: str
    name: str = ""
    """Of a forEach entry: the iterator."""
    reported: bool = False
    """Whether what stands here is no text, and was reported as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item of `spec.resources`.

    Shape: `template` is the manifest (for an external reference the synthetic one), or None when
    the author gave none that can be examined; `template_path` is where it stands in the text.
    """

    index: int
    id: str
    path: str
    template: JsonObject | None
    template_path: str
    external: bool
    for_each: tuple[Text, ...]
    include_when: tuple[Text, ...]
    ready_when: tuple[Text, ...]

    @property
    def by_selector(self) -> bool:
        """Whether an external reference names its objects by selector, even by an empty one."""
        metadata = self.template.get("metadata") if self.template else None
        return self.external and isinstance(metadata, dict) and "selector" in metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A definition's spec with the defaults of its CRD filled in."""

    schema: JsonObject
    """`spec.schema` with group and scope."""
    has_schema: bool
    """Whether there is one at all."""
    entries: tuple[Entry, ...]

    @property
    def cluster_scoped(self) -> bool:
        """Whether instances live outside of namespaces."""
        return self.schema["scope"] == "Cluster"


def required_kinds(spec: JsonValue) -> tuple[GVK, ...]:
    """Return the kinds that the resources name, in source order, each once.

    A kind that cannot be read (absent, no text, an expression) is left out: `build` reports it.
    """
    kinds: dict[GVK, None] = {}
    resources = spec.get("resources") if isinstance(spec, dict) else None
    for resource in resources if isinstance(resources, list) else ():
        if isinstance(resource, dict):
            for source in (resource.get("template"), resource.get("externalRef")):
                gvk = literal_gvk(source)
                if gvk is not None:
                    kinds[gvk] = None
    return tuple(kinds)


def literal_gvk(source: JsonValue) -> GVK | None:
    """Return the kind that a manifest or an external reference names, if it is a possible one."""
    if not isinstance(source, dict):
        return None
    api_version, kind = source.get("apiVersion"), source.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    if not is_api_version(api_version) or not is_kind(kind) or "${" in api_version:
        return None
    return GVK.of(api_version, kind)


def is_api_version(text: str) -> bool:
    """Return whether a text is `version` or `group/version`."""
    return text.count("/") <= 1


def is_kind(text: str) -> bool:
    """Return whether a kind's lower-case form is a DNS-1035 label."""
    return len(text) <= 63 and _DNS_1035.fullmatch(text.lower()) is not None and text.isascii()


def type_name(value: JsonValue) -> str:
    """Return what people call the JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "list"
        case _:
            return "object"


def read_definition(spec: JsonValue, problems: Problems) -> Definition:
    """Return the definition that `spec` spells; what is misshapen is reported and left out."""
    if not isinstance(spec, dict):
        problems.definition(
            "the definition has no spec" if spec is None else f"must be an object, got {_a(spec)}",
            "spec",
            hint="write spec.schema and spec.resources",
        )
        spec = {}
    elif not isinstance(spec.get("schema"), dict):
        found = spec.get("schema")
        problems.definition(
            "is required" if found is None else f"must be an object, got {_a(found)}",
            "spec.schema",
            hint="it names the kind that the definition serves",
        )
    given = spec.get("schema")
    schema = dict(given) if isinstance(given, dict) else {}
    for key, default in (("group", DEFAULT_GROUP), ("scope", DEFAULT_SCOPE)):
        schema[key] = _text(schema, key, "spec.schema", problems) or default
    schema["kind"] = _text(schema, "kind", "spec.schema", problems)
    schema["apiVersion"] = _text(schema, "apiVersion", "spec.schema", problems)
    for key in ("shortNames", "categories"):
        texts = [text.text for text in _texts(schema, key, "spec.schema", problems)]
        schema[key] = list[JsonValue](texts)
    _check_columns(schema, problems)
    _check_metadata(schema, problems)
    resources = _list(spec, "resources", "spec", problems, hint="begin each with `- id:`")
    entries: list[Entry] = []
    for index, resource in enumerate(resources):
        path = f"spec.resources[{index}]"
        if isinstance(resource, dict):
            entries.append(_read_entry(index, resource, path, problems))
        else:
            problems.definition(f"must be an object, got {_a(resource)}", path)
    return Definition(schema=schema, has_schema=isinstance(given, dict), entries=tuple(entries))


def _read_entry(index: int, resource: JsonObject, path: str, problems: Problems) -> Entry:
    id_ = _text(resource, "id", path, problems)
    external = resource.get("externalRef")
    given = resource.get("template")
    for_each = tuple(_read_for_each(resource, path, problems))
    combination = f'invalid combination of resource fields: resource "{id_}": '
    if external is None and given is None:
        problems.definition(
            f"{combination}exactly one of template or externalRef must be provided", path
        )
    elif external is not None and given is not None:
        problems.definition(f"{combination}cannot use externalRef with template", path)
    if external is not None and for_each:
        problems.definition(
            f"{combination}cannot use externalRef with forEach",
            f"{path}.forEach",
            hint="a selector refers to several objects",
        )
    template: JsonObject | None = None
    template_path = f"{path}.template"
    if given is not None:
        if isinstance(given, dict):
            template = given
        else:
            problems.definition(
                f"failed to unmarshal resource {id_}: the template must be an object, "
                f"got {_a(given)}",
                template_path,
            )
    elif external is not None:
        template_path = f"{path}.externalRef"
        template = _read_external(external, template_path, problems)
    return Entry(
        index=index,
        id=id_,
        path=path,
        template=template,
        template_path=template_path,
        external=external is not None and given is None,
        for_each=for_each,
        include_when=_texts(resource, "includeWhen", path, problems),
        ready_when=_texts(resource, "readyWhen", path, problems),
    )


def _read_for_each(resource: JsonObject, path: str, problems: Problems) -> Iterator[Text]:
    dimensions = resource.get("forEach")
    if isinstance(dimensions, dict):
        problems.definition(
            "must be a list, got an object",
            f"{path}.forEach",
            hint="each iterator is an entry of its own: begin it with a dash",
        )
        for name in dimensions:
            yield Text(text="", path=f"{path}.forEach.{name}", name=name, reported=True)
        return
    for i, dimension in enumerate(_list(resource, "forEach", path, problems)):
        place = f"{path}.forEach[{i}]"
        if not isinstance(dimension, dict) or len(dimension) != 1:
            problems.definition(
                "each forEach entry is one iterator with its expression",
                place,
                hint="write `- name: ${expression}`",
            )
            continue
        [(name, text)] = dimension.items()
        if isinstance(text, str):
            yield Text(text=text, path=f"{place}.{name}", name=name)
        else:
            problems.definition(
                f"must be an expression that gives a list, got {_a(text)}",
                f"{place}.{name}",
                hint="a fixed list is written ${['a', 'b']}",
            )
            yield Text(text="", path=f"{place}.{name}", name=name, reported=True)


def _read_external(external: JsonValue, path: str, problems: Problems) -> JsonObject | None:
    if not isinstance(external, dict):
        problems.definition(f"must be an object, got {_a(external)}", path)
        return None
    metadata = external.get("metadata")
    template: JsonObject = {
        key: external[key] for key in ("apiVersion", "kind") if external.get(key) is not None
    }
    if not isinstance(metadata, dict):
        if metadata is not None:
            problems.definition(f"must be an object, got {_a(metadata)}", f"{path}.metadata")
        else:
            template["metadata"] = {}
        return template
    inner: JsonObject = {}
    for key in ("name", "namespace"):
        text = _text(metadata, key, f"{path}.metadata", problems)
        if text:
            inner[key] = text
    selector = metadata.get("selector")
    if isinstance(selector, dict):
        inner["selector"] = _read_selector(selector, f"{path}.metadata.selector", problems)
    elif selector is not None:
        problems.definition(
            f"must be an object, got {_a(selector)}",
            f"{path}.metadata.selector",
            hint="write matchLabels or matchExpressions below it",
        )
    elif "name" not in inner:
        problems.definition("exactly one of name or selector must be provided", f"{path}.metadata")
    template["metadata"] = inner
    return template


def _read_selector(selector: JsonObject, path: str, problems: Problems) -> JsonObject:
    read: JsonObject = {}
    labels = selector.get("matchLabels")
    if isinstance(labels, dict):
        for key, value in labels.items():
            if not isinstance(value, str):
                problems.definition(
                    f"must be a string, got {_a(value)}", f"{path}.matchLabels.{key}"
                )
        read["matchLabels"] = labels
    elif labels is not None:
        problems.definition(f"must be an object, got {_a(labels)}", f"{path}.matchLabels")
    expressions = _list(selector, "matchExpressions", path, problems)
    for i, expression in enumerate(expressions):
        place = f"{path}.matchExpressions[{i}]"
        if isinstance(expression, dict):
            for key in ("key", "operator"):
                if not _text(expression, key, place, problems):
                    problems.definition("is required", f"{place}.{key}")
            _texts(expression, "values", place, problems)
        else:
            problems.definition(f"must be an object, got {_a(expression)}", place)
    if expressions:
        read["matchExpressions"] = expressions
    return read


def _check_columns(schema: JsonObject, problems: Problems) -> None:
    columns = _list(schema, "additionalPrinterColumns", "spec.schema", problems)
    kept: list[JsonValue] = []
    for i, column in enumerate(columns):
        place = f"spec.schema.additionalPrinterColumns[{i}]"
        if not isinstance(column, dict):
            problems.definition(f"must be an object, got {_a(column)}", place)
            continue
        priority = column.get("priority")
        if priority is not None and (not isinstance(priority, int) or isinstance(priority, bool)):
            problems.definition(f"must be an integer, got {_a(priority)}", f"{place}.priority")
            continue
        before = bool(problems)
        for key in ("name", "type", "jsonPath", "format", "description"):
            _text(column, key, place, problems)
        if before or not problems:
            kept.append(column)
    if columns or schema.get("additionalPrinterColumns") is not None:
        schema["additionalPrinterColumns"] = kept


def _check_metadata(schema: JsonObject, problems: Problems) -> None:
    metadata = schema.get("metadata")
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        problems.definition(f"must be an object, got {_a(metadata)}", "spec.schema.metadata")
        del schema["metadata"]
        return
    kept: JsonObject = {}
    for key in ("labels", "annotations"):
        values = metadata.get(key)
        place = f"spec.schema.metadata.{key}"
        if isinstance(values, dict):
            kept[key] = {name: value for name, value in values.items() if isinstance(value, str)}
            for name, value in values.items():
                if not isinstance(value, str):
                    problems.definition(f"must be a string, got {_a(value)}", f"{place}.{name}")
        elif values is not None:
            problems.definition(f"must be an object, got {_a(values)}", place)
    schema["metadata"] = kept


def _text(holder: JsonObject, key: str, path: str, problems: Problems) -> str:
    value = holder.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        problems.definition(f"must be a string, got {_a(value)}", f"{path}.{key}")
        return ""
    return value


def _list(
    holder: JsonObject, key: str, path: str, problems: Problems, *, hint: str = ""
) -> list[JsonValue]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        problems.definition(f"must be a list, got {_a(value)}", f"{path}.{key}", hint=hint)
        return []
    return value


def _texts(holder: JsonObject, key: str, path: str, problems: Problems) -> tuple[Text, ...]:
    texts: list[Text] = []
    for i, item in enumerate(_list(holder, key, path, problems)):
        place = f"{path}.{key}[{i}]"
        if isinstance(item, str):
            texts.append(Text(text=item, path=place))
        else:
            problems.definition(f"must be a string, got {_a(item)}", place)
    return tuple(texts)


def _a(value: JsonValue) -> str:
    name = type_name(value)
    return name if name == "null" else f"an {name}" if name[0] in "aeiou" else f"a {name}"
