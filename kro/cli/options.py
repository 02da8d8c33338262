"""Arguments that several commands have in common."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from kro.settings import FeatureGateError, Settings, UsageError

if TYPE_CHECKING:
    from kro.cli.cluster import ClusterSchemas
    from kro.graph import Gates


def add_files(parser: ArgumentParser) -> None:
    """Let files be named as arguments and behind `-f`."""
    parser.add_argument(
        "paths", nargs="*", metavar="FILE", help="files, folders, or - for the standard input"
    )
    parser.add_argument(
        "-f", "--file", action="append", default=[], metavar="FILE", help="the same; repeatable"
    )


def add_output(parser: ArgumentParser, *formats: str) -> None:
    """Let the format of the output be chosen; the first one is the default."""
    parser.add_argument(
        "-o",
        "--output",
        "--format",
        default=formats[0],
        metavar="|".join(formats),
        help="format of the output (default: %(default)s)",
    )
    parser.set_defaults(formats=formats)


def add_schemas(parser: ArgumentParser) -> None:
    """Let the sources of schemas, and what definitions may contain, be chosen."""
    parser.add_argument(
        "--crds",
        action="append",
        default=[],
        metavar="DIR",
        help="file or folder with CRDs of kinds that the definitions use; repeatable",
    )
    parser.add_argument(
        "--cluster", action="store_true", help="use the schemas of the current context's cluster"
    )
    add_context(parser)
    parser.add_argument(
        "--feature-gates",
        default="",
        metavar="NAME=BOOL,...",
        help="gates as the controller has them, such as CELOmitFunction=true",
    )


def add_context(parser: ArgumentParser) -> None:
    """Accept the flags that every command of kro (Go) has."""
    parser.add_argument(
        "--kubeconfig", default="", metavar="FILE", help="the kubeconfig that --cluster uses"
    )
    parser.add_argument(
        "--context", default="", metavar="NAME", help="the context that --cluster uses"
    )
    parser.add_argument("--verbose", action="store_true", help="has no effect, as in kro (Go)")


def inputs(options: Namespace, command: str) -> list[str]:
    """Return the files that the command line names, in order.

    Raises:
        UsageError: there are none.
    """
    names = [*options.paths, *options.file]
    if not names:
        raise UsageError(f"{command} needs a file: kro {command} -f FILE")
    return names


def output_format(options: Namespace) -> str:
    """Return the chosen format.

    Raises:
        UsageError: the command has no such format.
    """
    chosen = str(options.output).lower()
    if chosen not in options.formats:
        allowed = ", ".join(options.formats)
        raise UsageError(f"unsupported format {options.output!r}: use one of {allowed}")
    return chosen


def gates(options: Namespace) -> Gates:
    """Return what the feature gates admit in definitions.

    Raises:
        UsageError: a gate does not exist, or has no boolean.
    """
    from kro.graph import Gates

    try:
        found = Settings(feature_gates=options.feature_gates).gates()
    except FeatureGateError as error:
        raise UsageError(f"--feature-gates: {error}") from error
    return Gates(omit=found.CELOmitFunction)


def schemas_of(options: Namespace) -> ClusterSchemas | None:
    """Return what asks the cluster for schemas, if one is to be asked."""
    if not options.cluster:
        return None
    from kro.cli.cluster import ClusterSchemas

    return ClusterSchemas(options.kubeconfig, options.context)
