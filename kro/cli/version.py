"""`kro version`."""

from __future__ import annotations

import platform
from argparse import ArgumentParser, Namespace

from kro import __version__
from kro.cli import options as arguments

DESCRIPTION = "Print the version of kro and of the Kubernetes whose kinds are built in."


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    arguments.add_output(parser, "text", "json", "yaml")


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the versions."""
    fmt = arguments.output_format(options)

    from kro.cli.output import to_json, to_yaml, write
    from kro.schema import BundledSchemas

    kubernetes = BundledSchemas().kubernetes_version
    if fmt == "text":
        write(f"kro {__version__} (Kubernetes {kubernetes}, Python {platform.python_version()})\n")
        return 0
    versions = {"kro": __version__, "kubernetes": kubernetes, "python": platform.python_version()}
    write(to_json({**versions}) if fmt == "json" else to_yaml({**versions}))
    return 0
