"""What `kro validate` says about a workspace."""

from __future__ import annotations

from collections.abc import Iterator

from kro.cli.documents import Document
from kro.cli.report import Diagnostic, as_data, has_errors, printable
from kro.cli.workspace import Workspace
from kro.names import DEFINITION_KIND
from kro.refs import JsonObject, JsonValue


def verdicts(workspace: Workspace) -> Iterator[str]:
    """Yield a line for every manifest that is right, and for those that could not be judged."""
    misread = _misread(workspace)
    for definition in workspace.definitions:
        if definition.document.text.name in misread:
            continue
        if definition.graph is not None and not has_errors(definition.errors):
            count = len(definition.graph.nodes)
            resources = f"{count} resource{'' if count == 1 else 's'}"
            yield _line(definition.document, DEFINITION_KIND, f"is valid ({resources})")
    for instance in workspace.instances:
        if instance.document.text.name not in misread and not has_errors(instance.errors):
            kind = str(instance.value.get("kind"))
            yield _line(instance.document, kind, "is valid")
    for document in workspace.unchecked:
        yield _line(
            document,
            str(document.manifest.get("kind")),
            "was not checked: its definition is broken",
        )


def report(workspace: Workspace) -> JsonObject:
    """Return the same for programs.

    Shape: {valid, manifests: [{file, line, kind, name, valid}], diagnostics: [{file, line, column,
    path, severity, message, hint, source}]}; `valid` is null where nothing could be judged.
    """
    misread = _misread(workspace)
    manifests: list[JsonValue] = [
        _entry(definition.document, not has_errors(definition.errors), misread)
        for definition in workspace.definitions
    ]
    manifests += [
        _entry(instance.document, not has_errors(instance.errors), misread)
        for instance in workspace.instances
    ]
    manifests += [_entry(document, None, misread) for document in workspace.unchecked]
    diagnostics: list[Diagnostic] = workspace.diagnostics
    return {
        "valid": not workspace.broken,
        "manifests": manifests,
        "diagnostics": as_data(diagnostics),
    }


def _line(document: Document, kind: str, verdict: str) -> str:
    return printable(f"{document.text.name}: {kind} {document.name} {verdict}")


def _misread(workspace: Workspace) -> set[str]:
    """Return the files whose YAML is wrong: their manifests may say something else."""
    return {found.file for found in workspace.diagnostics if not found.path}


def _entry(document: Document, valid: bool | None, misread: set[str]) -> JsonObject:
    if document.text.name in misread and valid:
        valid = False
    line, _ = document.text.position(document.root.start)
    return {
        "file": document.text.name,
        "line": line,
        "kind": str(document.manifest.get("kind")),
        "name": document.name,
        "valid": valid,
    }
