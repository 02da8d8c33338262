"""`kro validate`: definitions, and instances of what they generate.

Source: spec "API surface and operations" §10.1.
"""

from __future__ import annotations

from typing import Annotated

import typer

from kro.cli import options

_GO_WORD = "rgd"
"""`kro validate rgd -f FILE` is how kro (Go) spells it."""


def validate(
    context: typer.Context,
    paths: options.Paths = None,
    file: options.Files = None,
    crds: options.Crds = None,
    output: Annotated[
        str, typer.Option("-o", "--output", "--format", help="text, json or yaml.")
    ] = "text",
    cluster: options.Cluster = False,
    kubeconfig: options.Kubeconfig = "",
    kube_context: options.Context = "",
    feature_gates: options.FeatureGates = "",
) -> int:
    """Check definitions, and instances against the definitions given with them.

    Every error comes with its place in the file. No cluster is needed. Kinds that are not built in
    come from --crds, from other definitions of the same call, or with --cluster from a cluster.
    """
    from kro.cli.output import print_diagnostics, to_json, to_yaml, write
    from kro.cli.validation import report, verdicts
    from kro.cli.workspace import open_workspace

    given = list(paths or ())
    if given[:1] == [_GO_WORD]:
        del given[0]
    elif not given and not file:
        typer.echo(context.get_help())
        return 0
    names = options.inputs(given, file, command="validate")
    fmt = options.chosen(output, ("text", "json", "yaml"))
    workspace = open_workspace(
        names,
        crds=crds or (),
        gates=options.gates(feature_gates),
        fetch=options.schemas_of(context, cluster, kubeconfig, kube_context),
    )
    found = report(workspace)
    if fmt != "text":
        write((to_json if fmt == "json" else to_yaml)(found))
    else:
        for line in verdicts(workspace):
            write(line + "\n")
        print_diagnostics(workspace.diagnostics)
    return 1 if workspace.broken else 0
