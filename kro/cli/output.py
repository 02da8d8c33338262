"""What commands print: manifests as YAML or JSON, and what is wrong with their input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from kro.cli.report import Diagnostic, Severity, as_text
from kro.cli.scalars import ScalarError, plain
from kro.refs import JsonObject, JsonValue

_WORDS = frozenset(("", "y", "Y", "n", "N", "=", "<<"))


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts of several lines as blocks, and repeats what is shared instead of naming it."""

    def ignore_aliases(self, data: object) -> bool:
        """Return that anchors are never used."""
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    style = None
    if "\n" in text and text.strip() and not text.startswith((" ", "\n")):
        style = "|"
    elif _needs_quotes(text):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _needs_quotes(text: str) -> bool:
    """Return whether some reader of YAML would take a plain text for something else."""
    try:
        return text in _WORDS or plain(text) != text
    except ScalarError:
        return True


_Dumper.add_representer(str, _represent_text)


def to_yaml(value: JsonValue) -> str:
    """Return one YAML document, keys in the order they have."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=False,
    )
    return text.removesuffix("...\n")


def to_json(value: JsonValue) -> str:
    """Return indented JSON, keys in the order they have."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def print_objects(objects: Sequence[JsonObject], fmt: str) -> None:
    """Print manifests: several as YAML documents, or as the items of a JSON `List`."""
    if fmt == "yaml":
        write("---\n".join(to_yaml(manifest) for manifest in objects))
    elif len(objects) == 1:
        write(to_json(objects[0]))
    else:
        items: list[JsonValue] = [*objects]
        write(to_json({"apiVersion": "v1", "kind": "List", "items": items}))


def print_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Print what is wrong, for people, and how much it is."""
    if diagnostics:
        complain(as_text(diagnostics))
        complain(count_text(diagnostics))


def count_text(diagnostics: Iterable[Diagnostic]) -> str:
    """Return `2 errors, 1 warning`."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = ((severity, severities.count(severity)) for severity in Severity)
    return ", ".join(
        f"{count} {severity.value}{'s' if count > 1 else ''}" for severity, count in counts if count
    )


def write(text: str) -> None:
    """Write to the standard output."""
    sys.stdout.write(text)


def complain(text: str) -> None:
    """Write a line to the standard error."""
    sys.stderr.write(text + "\n")
