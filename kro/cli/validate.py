"""`kro validate`: definitions, and instances of what they generate.

Source: spec "API surface and operations" §10.1.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from kro.cli import options as arguments

DESCRIPTION = """\
Check ResourceGraphDefinitions, and instances against the definitions given with them. Every error
comes with its place in the file.

No cluster is needed. Kinds that are not built in come from --crds, from CRDs and other definitions
among the files, or with --cluster from a cluster.
"""
GO_WORD = "rgd"
"""`kro validate rgd -f FILE` is how kro (Go) spells it."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    arguments.add_files(parser)
    arguments.add_output(parser, "text", "json", "yaml")
    arguments.add_schemas(parser)


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the verdicts; return 1 if something has to be changed."""
    if options.paths[:1] == [GO_WORD]:
        del options.paths[0]
    elif not options.paths and not options.file:
        parser.print_help()
        return 0
    names = arguments.inputs(options, "validate")
    fmt = arguments.output_format(options)

    from kro.cli.output import print_diagnostics, to_json, to_yaml, write
    from kro.cli.validation import report, verdicts
    from kro.cli.workspace import open_workspace

    workspace = open_workspace(
        names,
        crds=options.crds,
        gates=arguments.gates(options),
        fetch=arguments.schemas_of(options),
    )
    if fmt == "text":
        for line in verdicts(workspace):
            write(line + "\n")
        print_diagnostics(workspace.diagnostics)
    else:
        write((to_json if fmt == "json" else to_yaml)(report(workspace)))
    return 1 if workspace.broken else 0
