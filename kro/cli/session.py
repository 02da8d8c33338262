"""Variables, their types, and expressions over them: what `kro cel` and its prompt work with."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence

from kro.cel import (
    DYN,
    OMIT,
    CelType,
    Environment,
    Expression,
    Pending,
    list_of,
    parse_template,
    schema_type,
    wrap,
)
from kro.cli import options as arguments
from kro.cli.documents import Document, read_documents
from kro.cli.kinds import CRD_GROUP_KIND, ManifestSchemas
from kro.cli.output import complain, print_diagnostics, to_json, to_yaml, write
from kro.cli.report import Diagnostic, printable
from kro.cli.structure import object_schema
from kro.cli.workspace import open_workspace
from kro.errors import AuthorError, AuthorErrors, EvaluationError
from kro.graph import build
from kro.graph.evaluation import wire_number
from kro.names import DEFINITION_KIND
from kro.refs import GVK, JsonObject, JsonValue
from kro.schema import BundledSchemas, ChainedSchemas, SchemaNotFound, Schemas, instance_schema
from kro.settings import UsageError

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SHOWN = 400
"""Characters of a value in a trace."""


class Session:
    """Variables that may be added, and one expression after the other over them."""

    def __init__(self, *, omit: bool = False) -> None:
        self._environment = Environment(omit=omit)
        self._types: dict[str, CelType] = {}
        self._bindings: dict[str, object] = {}

    @property
    def types(self) -> Mapping[str, CelType]:
        """The type of every variable."""
        return self._types

    def define(self, name: str, value: JsonValue, type_: CelType | None) -> None:
        """Add a variable, or replace it."""
        self._types[name] = type_ or DYN
        self._bindings[name] = value if type_ is None else wrap(value, type_)
        self._environment = self._environment.extend({name: self._types[name]})

    def declare(self, name: str, type_: CelType) -> None:
        """Add a variable that has a type and no value."""
        self._types[name] = type_
        self._environment = self._environment.extend({name: type_})

    def compile(self, text: str) -> Expression | None:
        """Return the compiled expression; None, when it is wrong and that has been printed."""
        try:
            return self._environment.compile(parse_template(text) or text)
        except AuthorErrors as errors:
            for error in errors.exceptions:
                if isinstance(error, AuthorError):
                    _complain(error, error.hint)
        except AuthorError as error:
            _complain(error, error.hint)
        return None

    def evaluate(self, text: str) -> tuple[bool, JsonValue]:
        """Return whether there is a value, and the value; what is wrong is printed."""
        expression = self.compile(text)
        if expression is None:
            return False, None
        try:
            value = expression.evaluate(self._bindings)
        except EvaluationError as error:
            _complain(error)
            return False, None
        if isinstance(value, Pending):
            complain(printable(f"pending: {value.problem}\n{value.excerpt.render()}"))
            return False, None
        return True, _without_omit(value)

    def print_value(self, text: str, fmt: str) -> int:
        """Print the value of an expression; return the exit code."""
        done, value = self.evaluate(text)
        if done:
            try:
                value = wire_number(value)
            except EvaluationError as error:
                _complain(error)
                return 1
            write(to_json(value) if fmt == "json" else to_yaml(value))
        return 0 if done else 1

    def print_type(self, text: str) -> int:
        """Print the type of an expression; return the exit code."""
        expression = self.compile(text)
        if expression is None:
            return 1
        write(printable(str(expression.type)) + "\n")
        return 0

    def print_trace(self, text: str) -> bool:
        """Print every sub-expression with its value; return whether the expression is right."""
        expression = self.compile(text)
        if expression is None:
            return False
        for step in expression.trace(self._bindings):
            shown = f"error: {step.failure}" if step.failure else _shown(step.value)
            source = " ".join(step.source.split())
            complain(printable(f"{source}  =>  {shown}"))
        return True


def read_session(options: Namespace) -> Session | None:
    """Return a session with the variables of the command line.

    None, when a file is wrong and that has been printed.

    Raises:
        UsageError: a variable is misspelt, or a file cannot be read.
        ClusterError: the cluster cannot be asked.
    """
    reader = _Reader(options)
    session = Session(omit=arguments.gates(options).omit)
    types = {name: reader.type_in(name, file) for name, file in _pairs("--schema", options.schema)}
    for name, file in _pairs("--var", options.var):
        documents = reader.read([file])
        known = types.pop(name, None)
        found = [(one.value, known or reader.type_of(one)) for one in documents]
        if len(found) == 1:
            session.define(name, *found[0])
        else:
            of = {type_ for _, type_ in found}
            one = next(iter(of)) if len(of) == 1 else None
            session.define(name, [value for value, _ in found], list_of(one) if one else None)
    for name, text in _pairs("--value", options.value):
        try:
            session.define(name, json.loads(text), types.pop(name, None))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"--value {name}: {text!r:.60} is no JSON: {error}") from error
    for name, type_ in types.items():
        if type_ is not None:
            session.declare(name, type_)
    if reader.diagnostics:
        print_diagnostics(reader.diagnostics)
        return None
    return session


class _Reader:
    """Reads objects and the schemas of their kinds."""

    def __init__(self, options: Namespace) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._gates = arguments.gates(options)
        self._fetch = arguments.schemas_of(options)
        manifests = ManifestSchemas()
        for document in self.read(options.crds):
            if document.gvk and (document.gvk.group, document.gvk.kind) == CRD_GROUP_KIND:
                self.diagnostics.extend(manifests.add(document))
        self._schemas: Schemas = ChainedSchemas(manifests, BundledSchemas())
        self._manifests = manifests
        self._generated: dict[GVK, CelType | None] = {}
        if options.crds:
            for definition in open_workspace(options.crds, gates=self._gates).definitions:
                self.diagnostics.extend(definition.errors)
                if definition.graph is not None:
                    crd = definition.graph.crd
                    self._generated[definition.gvk] = schema_type(
                        object_schema(crd), "__type_schema"
                    )

    def read(self, names: Sequence[str]) -> list[Document]:
        documents, found = read_documents(names)
        self.diagnostics.extend(found)
        return documents

    def type_of(self, document: Document) -> CelType | None:
        """Return the type of a manifest by its kind, None if the kind is not known."""
        gvk = document.gvk
        if gvk is None:
            return None
        if gvk in self._generated:
            return self._generated[gvk]
        try:
            if self._fetch is not None:
                schema = ChainedSchemas(self._manifests, self._fetch([gvk])).schema(gvk)
            else:
                schema = self._schemas.schema(gvk)
        except SchemaNotFound:
            return None
        return schema_type(schema, f"__type_{gvk.kind}")

    def type_in(self, name: str, file: str) -> CelType | None:
        """Return the type that a schema, a CRD or a definition in a file gives to a variable."""
        for document in self.read([file]):
            schema = self._schema_in(document)
            if schema is not None:
                return schema_type(schema, f"__type_{name}")
        return None

    def _schema_in(self, document: Document) -> JsonObject | None:
        gvk = document.gvk
        if gvk is None:
            return document.manifest
        if (gvk.group, gvk.kind) == CRD_GROUP_KIND:
            return object_schema(document.manifest)
        if gvk.kind == DEFINITION_KIND:
            try:
                graph = build(document.name, document.manifest.get("spec"), self._schemas)
            except AuthorErrors as errors:
                self.diagnostics.extend(
                    document.diagnose(error)
                    for error in errors.exceptions
                    if isinstance(error, AuthorError)
                )
                return None
            return instance_schema(graph.crd)
        try:
            return self._schemas.schema(gvk)
        except SchemaNotFound as error:
            self.diagnostics.append(document.diagnose(error.at("kind")))
            return None


def _pairs(flag: str, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise UsageError(f"{flag} {text}: write {flag} NAME=…")
        if not _NAME.fullmatch(name):
            raise UsageError(f"{flag} {text}: {name!r} cannot be the name of a variable")
        yield name, value


def _without_omit(value: object) -> JsonValue:
    match value:
        case dict():
            return {key: _without_omit(item) for key, item in value.items() if item is not OMIT}
        case list():
            return [_without_omit(item) for item in value if item is not OMIT]
    return None if value is OMIT else value  # type: ignore[return-value]


def _shown(value: object) -> str:
    text = json.dumps(_without_omit(value), ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _complain(error: AuthorError | EvaluationError, hint: str = "") -> None:
    place = f"{error.excerpt.line}:{error.excerpt.column + 1}: " if error.excerpt else ""
    text = f"{place}{error.problem}" + (f" ({hint})" if hint else "")
    if error.excerpt is not None:
        text += "\n" + error.excerpt.render()
    complain(printable(text))
