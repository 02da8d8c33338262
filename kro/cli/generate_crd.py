"""`kro generate crd`: the CRD that a definition generates, as the controller would write it.

Source: spec "API surface and operations" §10.1.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from kro.cli import options as arguments

DESCRIPTION = """\
Print the CustomResourceDefinition that a ResourceGraphDefinition generates: ready for kubectl. The
labels by which the controller knows its own CRDs are not there.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    arguments.add_files(parser)
    arguments.add_output(parser, "yaml", "json")
    arguments.add_schemas(parser)


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the CRDs; return 1 if a definition is broken."""
    fmt = arguments.output_format(options)

    from kro.cli.generated import crd_manifest, open_definitions
    from kro.cli.output import print_objects

    graphs = open_definitions(options, "generate crd")
    if graphs is None:
        return 1
    print_objects([crd_manifest(graph) for graph in graphs], fmt)
    return 0
