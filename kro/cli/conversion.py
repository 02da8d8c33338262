"""ResourceGroups become ResourceGraphDefinitions, by edits of the author's text.

Renamed since: the kind, `spec.definition` (with `spec.kind` and `spec.apiVersion` beside it, now
inside `spec.schema`), of a resource `name` (id), `definition` (template), `conditions`
(includeWhen) and `readyOn` (readyWhen). In expressions, `spec` and `metadata` of the instance now
stand behind `schema`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kro.cel import scan
from kro.cli.documents import Document, diagnose
from kro.cli.places import Text, character_offsets
from kro.cli.report import Diagnostic, Severity
from kro.cli.workspace import FetchSchemas, judge_documents
from kro.cli.yaml_nodes import Node, read_nodes
from kro.errors import ExpressionError
from kro.graph import Gates
from kro.names import DEFINITION_KIND, KRO_GROUP
from kro.settings import UsageError

FORMER_KIND: Final = "ResourceGroup"
_API_VERSION: Final = f"{KRO_GROUP}/v1alpha1"
_RESOURCE_KEYS: Final = {
    "name": "id",
    "definition": "template",
    "conditions": "includeWhen",
    "readyOn": "readyWhen",
}
_SCHEMA_KEYS: Final = frozenset(
    ("apiVersion", "kind", "group", "scope", "spec", "types", "status", "metadata", "shortNames",
     "categories", "additionalPrinterColumns")
)  # fmt: skip
_SPEC_KEYS: Final = frozenset(("schema", "definition", "resources", "kind", "apiVersion"))
_FORMER_ROOTS: Final = re.compile(r"""(?<![\w.$'"])(?=(?:spec|metadata)\s*(?:\.|\[))""")
_LITERAL: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")


@dataclass(frozen=True, slots=True, order=True)
class _Edit:
    start: int
    end: int
    new: str


def convert_text(text: Text, documents: Sequence[Document]) -> tuple[Text, list[Diagnostic]]:
    """Return the converted file, and what of it could not be converted."""
    edits: list[_Edit] = []
    notes: list[Diagnostic] = []
    found = False
    for document in documents:
        gvk = document.gvk
        if gvk is not None and gvk.kind == FORMER_KIND:
            found = True
            _Conversion(document, edits, notes).run()
    if not found:
        problem = f"there is no {FORMER_KIND} in the file; it stays as it is"
        notes.append(Diagnostic(file=text.name, message=problem, severity=Severity.WARNING))
    return Text(text.name, _edited(text.content, edits)), notes


def verify(
    text: Text,
    *,
    crds: Sequence[str],
    gates: Gates,
    fetch: FetchSchemas | None,
) -> list[Diagnostic]:
    """Return what is wrong with the definitions of a converted file; places are in its new text."""
    roots, faults = read_nodes(text.content)
    documents = [Document(text, root, explicit=False) for root in roots]
    definitions = [one for one in documents if one.gvk and one.gvk.kind == DEFINITION_KIND]
    found = [diagnose(text, fault.offset, fault.problem) for fault in faults]
    return judge_documents(definitions, found, crds=crds, gates=gates, fetch=fetch).diagnostics


def write_back(before: Text, after: Text) -> None:
    """Write a file if it has changed.

    Raises:
        UsageError: it cannot be written.
    """
    if before.content == after.content:
        return
    try:
        Path(before.name).write_text(after.content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{before.name}: {error.strerror or error}") from error


class _Conversion:
    def __init__(self, document: Document, edits: list[_Edit], notes: list[Diagnostic]) -> None:
        self._text = document.text
        self._content = document.text.content
        self._root = document.root
        self._edits = edits
        self._notes = notes

    def run(self) -> None:
        top = _entries(self._root)
        self._replace_value(top["kind"][1], DEFINITION_KIND)
        if top["apiVersion"][1].value != _API_VERSION:
            self._replace_value(top["apiVersion"][1], _API_VERSION)
        if "status" in top:
            self._drop(
                self._root, "status", "status", "is written by the controller", Severity.WARNING
            )
        if "spec" in top:
            self._convert_spec(top["spec"][1])

    def _convert_spec(self, node: Node) -> None:
        spec = _entries(node)
        if "definition" in spec and "schema" not in spec:
            self._rename_key(spec["definition"][0], "definition", "schema")
            self._move_identity(node, spec["definition"][1])
        schema = spec.get("schema") or spec.get("definition")
        if schema is not None:
            for key in _entries(schema[1]):
                if key not in _SCHEMA_KEYS:
                    self._drop(schema[1], key, f"spec.schema.{key}", "has no counterpart")
            if "status" in _entries(schema[1]):
                self._convert_expressions(_entries(schema[1])["status"][1])
        for key in spec:
            if key not in _SPEC_KEYS:
                self._drop(node, key, f"spec.{key}", "has no counterpart")
        resources = spec["resources"][1].children if "resources" in spec else None
        for resource in resources if isinstance(resources, list) else ():
            entries = _entries(resource)
            for key, new in _RESOURCE_KEYS.items():
                if key in entries and new not in entries:
                    self._rename_key(entries[key][0], key, new)
            self._convert_expressions(resource)

    def _move_identity(self, spec: Node, schema: Node) -> None:
        """Put `kind` and `apiVersion`, which stood beside the definition, into the schema."""
        entries = _entries(spec)
        moved = [
            key for key in ("apiVersion", "kind") if key in entries and key not in _entries(schema)
        ]
        if not moved:
            return
        lines = [f"{key}: {self._source(entries[key][1])}" for key in moved]
        for key in moved:
            self._cut(spec, key)
        if self._content[schema.start] == "{":
            self._edits.append(_Edit(schema.start + 1, schema.start + 1, ", ".join(lines) + ", "))
        elif schema.children:
            indent = " " * (self._text.position(schema.start)[1] - 1)
            inserted = "".join(f"{line}\n{indent}" for line in lines)
            self._edits.append(_Edit(schema.start, schema.start, inserted))

    def _convert_expressions(self, node: Node) -> None:
        """Put `schema.` before what expressions read of the instance."""
        work = [node]
        while work:
            one = work.pop()
            if isinstance(one.children, dict):
                work.extend(child for _, child in one.children.values())
            elif isinstance(one.children, list):
                work.extend(one.children)
            elif isinstance(one.value, str) and "${" in one.value:
                offsets = list(character_offsets(self._content, one))
                for index in _instance_reads(one.value):
                    if index < len(offsets):
                        place = offsets[index]
                        self._edits.append(_Edit(place, place, "schema."))

    # edits

    def _source(self, node: Node) -> str:
        return self._content[node.start : node.end].rstrip() if node.children is None else ""

    def _replace_value(self, node: Node, new: str) -> None:
        self._edits.append(_Edit(node.start, node.start + len(self._source(node)), new))

    def _rename_key(self, start: int, old: str, new: str) -> None:
        quote = self._content[start] if self._content[start] in "\"'" else ""
        self._edits.append(_Edit(start, start + len(old) + 2 * len(quote), f"{quote}{new}{quote}"))

    def _drop(
        self, holder: Node, key: str, path: str, why: str, severity: Severity = Severity.ERROR
    ) -> None:
        start = _entries(holder)[key][0]
        note = diagnose(self._text, start, f"{why}: left out", path=path, severity=severity)
        self._notes.append(note)
        self._cut(holder, key)

    def _cut(self, holder: Node, key: str) -> None:
        """Remove an entry; comments above it and below it stay."""
        start, node = _entries(holder)[key]
        end = start + len(_without_trailing(self._content[start : node.end]))
        if self._content[holder.start] == "{":
            comma = re.compile(r"\s*,\s*").match(self._content, end)
            self._edits.append(_Edit(start, comma.end() if comma else end, ""))
            return
        line_start = self._content.rfind("\n", 0, start) + 1
        line_end = self._content.find("\n", end)
        line_end = len(self._content) if line_end < 0 else line_end + 1
        if self._content[line_start:start].strip():  # the first key of a list's item
            following = re.compile(r"\s*").match(self._content, line_end)
            self._edits.append(_Edit(start, following.end() if following else line_end, ""))
        else:
            self._edits.append(_Edit(line_start, line_end, ""))


def _entries(node: Node) -> dict[str, tuple[int, Node]]:
    return node.children if isinstance(node.children, dict) else {}


def _without_trailing(text: str) -> str:
    """Return the text of an entry without the comments and blank lines that follow it."""
    lines = text.rstrip().split("\n")
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return "\n".join(lines).rstrip()


def _instance_reads(text: str) -> Iterator[int]:
    """Yield where the expressions of a text begin to speak of the instance."""
    try:
        matches = scan(text)
    except ExpressionError:
        return
    for match in matches:
        literals = [found.span() for found in _LITERAL.finditer(match.source)]
        for found in _FORMER_ROOTS.finditer(match.source):
            if not any(start <= found.start() < end for start, end in literals):
                yield match.start + 2 + found.start()


def _edited(content: str, edits: Sequence[_Edit]) -> str:
    parts: list[str] = []
    position = 0
    for edit in sorted(set(edits)):
        if edit.start < position:
            continue  # within something that is cut
        parts += [content[position : edit.start], edit.new]
        position = edit.end
    return "".join([*parts, content[position:]])
