"""Changes between two schemas: verdict, type, path, values and report text.

One text is deliberately another than the recorded one: a required property that was added is
called required, not optional (spec: simpleschema.md §6.4 and §8.2, row 13).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conformance.suite import Case, Mismatch
from kro.schema import Change, compare_schemas

SUITE = "simpleschema-compat"
FILE = "simpleschema-compat.yaml"


def load(document: Any) -> Iterable[Case]:
    """Return the cases of the file."""
    return [Case(entry["name"], entry) for entry in document]


def run(case: Case) -> None:
    """Compare the schemas of a case."""
    data = case.data
    found = compare_schemas(_numbers(data["old"]), _numbers(data["new"]))
    _same("breaking", _rows(found.breaking), _wanted(data["breaking"]))
    _same("compatible", _rows(found.compatible), _wanted(data["compatible"]))
    if "summary" in data:
        summary, renamed = data["summary"], {}
        for row in data["breaking"]:
            renamed[row[4]] = _wanted([row])[0][4]
        for text, better in renamed.items():
            summary = summary.replace(text, better)
        _same("summary", found.summary(), summary)


def _rows(changes: Iterable[Change]) -> list[list[str]]:
    return sorted([c.path, c.type, c.old, c.new, c.description] for c in changes)


def _wanted(rows: list[list[str]]) -> list[list[str]]:
    return sorted(
        [path, kind, old, new, text.replace("Optional", "Required", 1)]
        if kind == "PROPERTY_ADDED" and new == "required=true"
        else [path, kind, old, new, text]
        for path, kind, old, new, text in rows
    )


def _numbers(value: Any) -> Any:
    """Return the schema with limits such as `1e+21` as numbers: YAML 1.1 reads them as texts."""
    if isinstance(value, dict):
        return {
            key: float(item)
            if key in ("minimum", "maximum") and isinstance(item, str)
            else _numbers(item)
            for key, item in value.items()
        }
    return [_numbers(item) for item in value] if isinstance(value, list) else value


def _same(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Mismatch(f"{what}: got {got}, expected {wanted}")
