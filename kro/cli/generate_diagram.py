"""`kro generate diagram`: a definition's graph as a page, as Mermaid, as DOT or as data.

Source: spec "API surface and operations" §10.1.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from kro.cli import options as arguments

DESCRIPTION = """\
Draw the graph of a ResourceGraphDefinition: one node per resource, arrows from what is needed to
what needs it. The page is one file that loads nothing from elsewhere.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    arguments.add_files(parser)
    arguments.add_output(parser, "html", "mermaid", "dot", "json", "yaml")
    arguments.add_schemas(parser)


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the diagrams; return 1 if a definition is broken."""
    fmt = arguments.output_format(options)

    from kro.cli.diagram import as_data, as_dot, as_mermaid, read_diagram
    from kro.cli.diagram_page import as_page
    from kro.cli.generated import open_definitions
    from kro.cli.output import print_objects, write

    graphs = open_definitions(options, "generate diagram")
    if graphs is None:
        return 1
    diagrams = [read_diagram(graph) for graph in graphs]
    match fmt:
        case "html":
            write(as_page(diagrams))
        case "mermaid":
            write("\n".join(map(as_mermaid, diagrams)))
        case "dot":
            write("\n".join(map(as_dot, diagrams)))
        case _:
            print_objects([as_data(diagram) for diagram in diagrams], fmt)
    return 0
