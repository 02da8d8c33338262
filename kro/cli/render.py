"""`kro render`: what an instance would apply."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from kro.cli import options as arguments

DESCRIPTION = """\
Print the manifests that the instances among the files would apply, wave by wave: a wave depends
only on waves before it. What cannot be known before the apply is marked as such. The labels that
the controller adds to every object are not shown.

With --observed, objects that are there already (as `kubectl get -o yaml` prints them) are seen by
expressions; external references are found only among them.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    arguments.add_files(parser)
    arguments.add_output(parser, "yaml", "json")
    parser.add_argument(
        "--observed",
        action="append",
        default=[],
        metavar="DIR",
        help="file or folder with objects that exist already; repeatable",
    )
    arguments.add_schemas(parser)


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the manifests; return 1 if a file or an expression is wrong."""
    names = arguments.inputs(options, "render")
    fmt = arguments.output_format(options)

    from kro.cli.observed import read_observed
    from kro.cli.output import print_diagnostics, to_json, write
    from kro.cli.preview import preview
    from kro.cli.preview_text import as_data, as_manifests
    from kro.cli.report import Diagnostic
    from kro.cli.workspace import open_workspace

    workspace = open_workspace(
        names,
        crds=options.crds,
        gates=arguments.gates(options),
        fetch=arguments.schemas_of(options),
    )
    if not workspace.broken and not workspace.instances:
        problem = "no instance of a definition among the files: give both with -f"
        workspace.diagnostics.append(Diagnostic(message=problem))
    observed = read_observed(options.observed, workspace.diagnostics)
    previews = [] if workspace.broken else [preview(one, observed) for one in workspace.instances]
    found = [*workspace.diagnostics, *(error for one in previews for error in one.errors)]
    if found:
        print_diagnostics(found)
        return 1
    if fmt == "json":
        write(to_json([as_data(one) for one in previews]))
    else:
        write("".join(as_manifests(one) for one in previews))
    return 0
