"""SimpleSchema documents: the OpenAPI schema of `spec`, or an error.

Where kro (Go) accepts what the API server then refuses, our own check must refuse it; rules in CEL
are the business of the graph builder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conformance.suite import Case, Mismatch
from kro.errors import AuthorErrors
from kro.schema import build_spec_schema, check_spec_schema

SUITE = "simpleschema"
FILE = "simpleschema.yaml"


def load(document: Any) -> Iterable[Case]:
    """Return the cases of the file."""
    return [Case(entry["name"], entry) for entry in document]


def run(case: Case) -> None:
    """Convert the documents of a case and compare."""
    data = case.data
    fragment = data.get("error_contains")
    try:
        schema = build_spec_schema(data["input"], data.get("types"))
    except AuthorErrors as errors:
        if fragment is None:
            raise Mismatch(f"rejected: {errors}") from errors
        if fragment not in str(errors):
            raise Mismatch(f"no error contains {fragment!r}:\n{errors}") from errors
        return
    if fragment is not None:
        raise Mismatch(f"accepted; an error should contain {fragment!r}")
    if schema != data["expect"]:
        raise Mismatch(f"got {schema}, expected {data['expect']}")
    refused = data.get("apiserver_rejects", "")
    found = check_spec_schema(data["input"], schema)
    if found and not refused:
        raise Mismatch(f"the API server accepts it, our check says: {found[0]}")
    if refused and not found and "x-kubernetes-validations" not in refused:
        raise Mismatch(f"accepted by our check; the API server says: {refused}")
