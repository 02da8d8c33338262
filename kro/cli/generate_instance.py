"""`kro generate instance`: a sample object of the kind that a definition generates.

Source: spec "API surface and operations" §10.1.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from kro.cli import options as arguments

DESCRIPTION = """\
Print a sample instance of a ResourceGraphDefinition. Every field is there: with its default, with
one of the values it may have, or with a dummy. What the sample could not get right is told.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    arguments.add_files(parser)
    arguments.add_output(parser, "yaml", "json")
    arguments.add_schemas(parser)


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the samples; return 1 if a definition is broken."""
    fmt = arguments.output_format(options)

    from kro.cli.generated import open_definitions, shortcomings
    from kro.cli.output import complain, print_objects
    from kro.cli.sample import sample_instance

    graphs = open_definitions(options, "generate instance")
    if graphs is None:
        return 1
    samples = [sample_instance(graph.crd) for graph in graphs]
    print_objects(samples, fmt)
    for graph, sample in zip(graphs, samples, strict=True):
        for problem in shortcomings(graph, sample):
            complain(f"{graph.instance.gvk.kind}: edit the sample: {problem}")
    return 0
