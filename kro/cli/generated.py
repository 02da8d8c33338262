"""What the `generate` commands have in common: graphs of the definitions in some files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from kro import __version__
from kro.cli import options as arguments
from kro.cli.output import print_diagnostics
from kro.cli.report import Diagnostic
from kro.cli.rules import RuleChecker
from kro.cli.structure import judge, object_schema
from kro.cli.workspace import open_workspace
from kro.graph import Graph
from kro.refs import JsonObject

CLI_VERSION = "kro.run/cli-version"
"""Annotation of a CRD that the command line printed."""


def open_definitions(options: Namespace, command: str) -> list[Graph] | None:
    """Return the graphs of all definitions; None, when something is wrong and has been printed.

    Raises:
        UsageError: no file is named, or one cannot be read.
        ClusterError: the cluster cannot be asked.
    """
    names = arguments.inputs(options, command)
    workspace = open_workspace(
        names,
        crds=options.crds,
        gates=arguments.gates(options),
        fetch=arguments.schemas_of(options),
    )
    if not workspace.broken and not workspace.definitions:
        workspace.diagnostics.append(
            Diagnostic(message=f"no ResourceGraphDefinition in {', '.join(names)}")
        )
    if workspace.broken:
        print_diagnostics(workspace.diagnostics)
        return None
    return [definition.graph for definition in workspace.definitions if definition.graph]


def crd_manifest(graph: Graph) -> JsonObject:
    """Return the generated CRD with the mark that it comes from the command line."""
    metadata = graph.crd["metadata"]
    assert isinstance(metadata, dict)
    annotations = metadata.get("annotations")
    own = annotations if isinstance(annotations, dict) else {}
    marked: JsonObject = {**metadata, "annotations": {**own, CLI_VERSION: __version__}}
    return {**graph.crd, "metadata": marked}


def shortcomings(graph: Graph, sample: JsonObject) -> Iterator[str]:
    """Yield why the API server would not take a sample as it is."""
    judged = judge(
        sample,
        object_schema(graph.crd),
        RuleChecker(),
        namespaced=graph.instance.mapped.namespaced,
    )
    for error in judged.errors:
        yield f"{error.path}: {error.problem}"
