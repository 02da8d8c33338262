"""Options that several commands have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from kro.settings import FeatureGateError, Settings, UsageError

if TYPE_CHECKING:
    from kro import graph
    from kro.cli.cluster import ClusterSchemas

Paths: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE]...", help="Files, folders, or - for the standard input."),
]
Files: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "-f", "--file", metavar="FILE", help="A file, a folder, or - for the standard input."
    ),
]
Crds: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--crds", metavar="DIR", help="A file or folder with CRDs of kinds in use."),
]
Cluster: TypeAlias = Annotated[
    bool,
    typer.Option("--cluster", help="Use the schemas of the current context's cluster."),
]
Kubeconfig: TypeAlias = Annotated[
    str, typer.Option("--kubeconfig", metavar="FILE", help="The kubeconfig that --cluster uses.")
]
Context: TypeAlias = Annotated[
    str, typer.Option("--context", metavar="NAME", help="The context that --cluster uses.")
]
FeatureGates: TypeAlias = Annotated[
    str,
    typer.Option(
        "--feature-gates",
        metavar="NAME=BOOL,...",
        help="Gates as the controller has them, such as CELOmitFunction=true.",
    ),
]


def inputs(paths: list[str] | None, files: list[str] | None, *, command: str) -> list[str]:
    """Return the files that the command line names, in order.

    Raises:
        UsageError: there are none.
    """
    names = [*(paths or ()), *(files or ())]
    if not names:
        raise UsageError(f"{command} needs a file: kro {command} -f FILE")
    return names


def chosen(given: str, allowed: tuple[str, ...]) -> str:
    """Return the output format, the first one by default.

    Raises:
        UsageError: it is none of the allowed ones.
    """
    if not given:
        return allowed[0]
    if given.lower() not in allowed:
        raise UsageError(f"unsupported format {given!r}: use {', '.join(allowed)}")
    return given.lower()


def gates(given: str) -> graph.Gates:
    """Return what the feature gates admit in definitions.

    Raises:
        UsageError: a gate does not exist, or has no boolean.
    """
    from kro.graph import Gates

    if not given:
        return Gates()
    try:
        return Gates(omit=Settings(feature_gates=given).gates().CELOmitFunction)
    except FeatureGateError as error:
        raise UsageError(f"--feature-gates: {error}") from error


def schemas_of(
    command: typer.Context, cluster: bool, kubeconfig: str, context: str
) -> ClusterSchemas | None:
    """Return what asks the cluster for schemas, if one is to be asked.

    Before the command, `--kubeconfig` and `--context` mean the same as behind it.
    """
    if not cluster:
        return None
    from kro.cli.cluster import ClusterSchemas

    whole = command.find_root().params
    return ClusterSchemas(
        kubeconfig or str(whole.get("kubeconfig") or ""),
        context or str(whole.get("context") or ""),
    )
