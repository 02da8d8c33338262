"""SimpleSchema: the documents `spec` and `types` of a definition → the OpenAPI schema of `spec`.

Three steps over the custom types, then one over `spec`: parse every field's type part; order the
types by what they refer to; build their schemas, markers included. Each step goes on after an
error, and what depends on something broken is left out silently, so that every message stands for
one mistake.

A custom type is inlined wherever it is used. The copies share their subtrees and their size is
counted instead of built, so a definition that doubles a type thirty times costs nothing and is
refused with a sentence. Source: simpleschema.md §1-3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from kro.errors import AuthorErrors, SchemaError
from kro.refs import JsonObject, JsonValue
from kro.schema.fieldtext import (
    Marker,
    TextError,
    TypeText,
    excerpt,
    lex_markers,
    parse_type,
    split,
)
from kro.schema.literals import INT64_MAX, INT64_MIN, shortened
from kro.schema.markers import MARKER_NAMES, Draft, apply_markers
from kro.schema.paths import child
from kro.schema.suggest import nearest

MAX_DEPTH: Final = 100
"""How deep a schema may nest, so that every walk over it fits the stack."""
MAX_FIELDS: Final = 100_000
"""Fields in both documents together; YAML anchors can spell billions in a few lines."""
MAX_WEIGHT: Final = 3 * 1024 * 1024
"""Bytes of JSON, roughly, that the schema may have: the largest request an API server reads."""

_SCALARS: Final = {
    "string": "string",
    "integer": "integer",
    "boolean": "boolean",
    "float": "number",
}
_OTHER_NAMES: Final = {
    "int": "integer",
    "int32": "integer",
    "int64": "integer",
    "long": "integer",
    "bool": "boolean",
    "str": "string",
    "text": "string",
    "number": "float",
    "double": "float",
    "any": "object",
    "dict": "map[string]string",
    "map": "map[string]string",
    "list": "[]string",
    "array": "[]string",
}


@dataclass(frozen=True, slots=True)
class _Text:
    """A field text whose type part has been read."""

    text: str
    type: TypeText
    markers_at: int | None
    path: str
    prefix: str


@dataclass(frozen=True, slots=True)
class _Struct:
    """A mapping of fields; broken ones are None."""

    fields: Mapping[str, _Entry | None]
    path: str
    prefix: str


_Entry = _Text | _Struct


@dataclass(frozen=True, slots=True)
class _Built:
    """A finished schema and what inlining it costs."""

    schema: JsonObject
    depth: int
    weight: int
    required: int = 0
    """How often a field whose whole type this is appears in its parent's `required`."""


_BROKEN: Final = _Built({"x-kubernetes-int-or-string": True}, 1, 0)
"""Stands for a field whose type is not known because of an error reported already: it is `dyn`."""


@dataclass(slots=True)
class _Builder:
    errors: list[SchemaError] = field(default_factory=list)
    types: dict[str, _Built | None] = field(default_factory=dict)
    """None: broken, and reported where it broke."""
    stage: str = ""
    """What every problem starts with: which type is parsed or built; empty for `spec`."""
    positions: dict[str, int] = field(default_factory=dict)
    """The place of each path in the order of the text."""

    # ---- step 1: parse

    def parse(self, value: JsonValue, path: str, prefix: str, depth: int = 0) -> _Entry | None:
        """Return the entry that a YAML value spells; None when it is broken."""
        self.positions.setdefault(path, len(self.positions))
        if len(self.positions) > MAX_FIELDS:
            return None
        if isinstance(value, str):
            part, markers_at = split(value)
            try:
                kind = parse_type(part)
            except TextError as error:
                self.report(error, value, path, prefix)
                return None
            return _Text(value, kind, markers_at, path, prefix)
        if isinstance(value, dict):
            if depth == MAX_DEPTH:
                self.add(f"fields nest deeper than {MAX_DEPTH} levels", path, prefix)
                return None
            fields = {
                name: self.parse(item, child(path, name), f"{prefix}field {name}: ", depth + 1)
                for name, item in value.items()
            }
            return _Struct(fields, path, prefix)
        problem = f"unexpected type: {_type_name(value)}"
        hint = 'write a type such as "string", or a mapping of fields'
        if isinstance(value, list):
            hint = "for a list write []string, or [] and the name of a type under types"
        self.add(problem, path, prefix, hint)
        return None

    def add(self, problem: str, path: str, prefix: str, hint: str = "") -> None:
        """Add an error about a whole field."""
        problem = self.stage + prefix + problem
        self.errors.append(SchemaError(problem, path=path, hint=hint))

    def report(self, error: TextError, text: str, path: str, prefix: str) -> None:
        """Add what is wrong with a field text."""
        problem = self.stage + prefix + error.problem
        shown = excerpt(text, error.offset) if text.strip() else None
        self.errors.append(SchemaError(problem, path=path, excerpt=shown, hint=error.hint))

    # ---- step 2: order

    def order(self, entries: Mapping[str, _Entry | None]) -> list[str]:
        """Return the types, each after those it refers to; report the references that fail.

        Those whose references fail come last. Every type is None in `self.types` from now on.
        """
        needs: dict[str, set[str]] = {}
        for name, entry in entries.items():
            self.types[name] = None
            if entry is not None:
                needs[name] = self.references(name, entry, entries)
        order: list[str] = []
        done: set[str] = set()
        users: dict[str, list[str]] = {}
        open_needs = {name: len(wanted) for name, wanted in needs.items()}
        for name, wanted in needs.items():
            for other in wanted:
                users.setdefault(other, []).append(name)
        ready = sorted((name for name, count in open_needs.items() if not count), reverse=True)
        while ready:
            name = ready.pop()
            order.append(name)
            done.add(name)
            for user in sorted(users.get(name, ()), reverse=True):
                open_needs[user] -= 1
                if not open_needs[user]:
                    ready.append(user)
        self.report_cycles(
            {
                name: {other for other in wanted if other not in done}
                for name, wanted in needs.items()
                if name not in done
            }
        )
        return order + sorted(needs.keys() - done)

    def references(
        self, name: str, entry: _Entry, entries: Mapping[str, _Entry | None]
    ) -> set[str]:
        """Return the types an entry refers to; a failing reference is reported and its own kind.

        A type with a failing reference gets the empty name among its needs: nothing provides it,
        so the type stays unbuilt.
        """
        found: set[str] = set()
        for text in _texts(entry):
            other = text.type.name
            if other in _SCALARS or other == "object":
                continue
            problem = hint = ""
            if other == name:
                problem, hint = "self references are not allowed", "a type cannot hold itself"
            elif other not in entries:
                problem, hint = f"node {shortened(other)} does not exist", _hint(other, entries)
                problem += ": no such type under types"
            else:
                found.add(other)
                continue
            shown = excerpt(text.text, text.type.column)
            self.errors.append(SchemaError(problem, path=text.path, excerpt=shown, hint=hint))
            found.add("")
        return found

    def report_cycles(self, stuck: Mapping[str, set[str]]) -> None:
        """Report each cycle among the types that could not be ordered, once."""
        visited: set[str] = set()
        for start in sorted(stuck):
            walk: dict[str, int] = {}
            name = start
            while name in stuck and name not in visited:
                visited.add(name)
                walk[name] = len(walk)
                # Prefer a step that stays among the stuck types: others are reported already.
                name = min((n for n in stuck[name] if n in stuck), default="")
            if name in walk:
                cycle = [*list(walk)[walk[name] :], name]
                shown = " -> ".join(cycle) if len(cycle) <= 30 else f"{name} -> … -> {name}"
                self.errors.append(
                    SchemaError(
                        f"cyclic dependency in type {name}: graph contains a cycle: {shown}",
                        path=child("types", name),
                        hint="a type cannot hold itself, not even through others",
                    )
                )

    # ---- steps 3 and 4: build

    def build(self, entry: _Entry) -> _Built | None:
        """Return the entry's schema, broken fields in it as untyped; None when it has no type."""
        if isinstance(entry, _Text):
            return self.build_text(entry)
        properties: dict[str, JsonValue] = {}
        required: list[str] = []
        depth, weight = 0, 20
        for name, item in entry.fields.items():
            built = (self.build(item) if item is not None else None) or _BROKEN
            properties[name] = built.schema
            required += [name] * built.required
            depth = max(depth, built.depth)
            weight += built.weight + len(name) + 4
        schema: JsonObject = {"type": "object"}
        if properties:
            schema["properties"] = properties
        if required:
            schema["required"] = [*sorted(required)]
        elif any("default" in item for item in properties.values() if isinstance(item, dict)):
            schema["default"] = {}
        return self.bounded(_Built(schema, depth + 1, weight), entry)

    def build_text(self, entry: _Text) -> _Built | None:
        markers: list[Marker] = []
        wrong: list[TextError] = []
        if entry.markers_at is not None:
            markers, wrong = lex_markers(entry.text, entry.markers_at, MARKER_NAMES)
        base = self.resolve(entry.type, wrong)
        if base is not None:
            draft = Draft(base.schema)
            wrong += apply_markers(draft, markers)
        for error in sorted(wrong, key=lambda error: error.offset):
            self.report(error, entry.text, entry.path, entry.prefix)
        if base is None or wrong:
            return base
        weight = base.weight + sum(len(marker.value) + 20 for marker in markers)
        built = _Built(draft.schema, base.depth, weight, base.required + draft.required)
        return self.bounded(built, entry)

    def resolve(self, kind: TypeText, wrong: list[TextError]) -> _Built | None:
        """Return the schema of a type text before its markers, and add to `wrong` if unknown."""
        name = kind.name
        if name in _SCALARS:
            built: _Built | None = _Built({"type": _SCALARS[name]}, 1, 20)
        elif name == "object":
            schema: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            built = _Built(schema, 1, 60)
        elif name in self.types or self.stage:
            built = self.types.get(name)  # a type's unknown references are reported already
        else:
            problem = f"unknown type: {shortened(name)}"
            wrong.append(TextError(problem, kind.column, _hint(name, self.types)))
            return None
        if built is None:
            return None
        for prefix in reversed(kind.prefixes):
            outer: JsonObject = (
                {"type": "array", "items": built.schema}
                if prefix == "[]"
                else {"type": "object", "additionalProperties": built.schema}
            )
            built = _Built(outer, built.depth + 1, built.weight + 30)
        return built

    def bounded(self, built: _Built, entry: _Entry) -> _Built | None:
        problem = ""
        if built.depth > MAX_DEPTH:
            problem = f"the schema nests deeper than {MAX_DEPTH} levels"
        elif built.weight > MAX_WEIGHT:
            problem = f"the schema is larger than {MAX_WEIGHT // (1024 * 1024)} MiB"
        if not problem:
            return built
        self.add(
            problem, entry.path, entry.prefix, "custom types are copied wherever they are used"
        )
        return None


def build_spec_schema(spec: JsonValue, types: JsonValue) -> JsonObject:
    """Return the OpenAPI schema of an instance's `spec`.

    Subtrees are shared between the uses of a custom type: the result must not be mutated.

    Raises:
        AuthorErrors: with every error of both documents, those of `types` first, each with its
            path relative to `spec.schema` (`spec.a.b`, `types.T.x`).
    """
    schema, errors = read_spec_schema(spec, types)
    if errors:
        raise AuthorErrors("the schema of the definition is not valid", errors)
    return schema


def read_spec_schema(spec: JsonValue, types: JsonValue) -> tuple[JsonObject, list[SchemaError]]:
    """Return what `build_spec_schema` returns, and what it raises.

    With errors the schema is good for type-checking what reads it, so that those who wrote both
    learn of everything at once: fields whose type is not known accept and give anything.
    """
    builder = _Builder()
    entries: dict[str, _Entry | None] = {}
    if types is not None and not isinstance(types, dict):
        builder.errors.append(_not_a_mapping("predefined types", "types", types))
    elif types:
        for name, value in types.items():
            builder.stage = f"parsing type {name}: "
            entries[name] = builder.parse(value, child("types", name), "")
    for name in builder.order(entries):
        entry = entries[name]
        if entry is not None:
            builder.stage = f"building schema for {name}: "
            builder.types[name] = builder.build(entry)
    builder.stage = ""
    built: _Built | None = None
    if spec is not None and not isinstance(spec, dict):
        builder.errors.append(_not_a_mapping("spec schema", "spec", spec))
    elif (root := builder.parse(spec or {}, "spec", "")) is not None:
        built = builder.build(root)
    if len(builder.positions) > MAX_FIELDS:
        builder.errors.append(SchemaError(f"more than {MAX_FIELDS} fields", path="spec"))
    builder.errors.sort(key=lambda error: builder.positions.get(error.path, 0))
    return (built or _BROKEN).schema, builder.errors


def _texts(entry: _Entry) -> Iterator[_Text]:
    if isinstance(entry, _Text):
        yield entry
        return
    for item in entry.fields.values():
        if item is not None:
            yield from _texts(item)


def _hint(name: str, types: Mapping[str, object]) -> str:
    """Return what the author of an unknown type name may have meant."""
    lowered = name.casefold().strip()
    if lowered in _OTHER_NAMES:
        return f"write {_OTHER_NAMES[lowered]}"
    if name.endswith("[]"):
        return f"write []{name[:-2]}"
    if name.endswith("?"):
        return "fields are optional unless marked required=true"
    if name.startswith(("[", "map")):
        return "write [] and map[string] without spaces"
    near = nearest(name, [*_SCALARS, "object", *types])
    if near:
        return f"did you mean {near}?"
    return "write string, integer, boolean, float, object, or the name of a type under types"


def _not_a_mapping(what: str, path: str, value: JsonValue) -> SchemaError:
    problem = f"failed to unmarshal {what}: expected a mapping, got {_type_name(value)}"
    return SchemaError(problem, path=path)


def _type_name(value: JsonValue) -> str:
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int64" if INT64_MIN <= value <= INT64_MAX else "float64"
        case float():
            return "float64"
        case list():
            return "[]interface {}"
        case dict():
            return "map[string]interface {}"
        case _:
            return "string"
