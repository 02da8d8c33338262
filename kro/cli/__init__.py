"""The `kro` command: one module a command.

`kro controller` is told apart before anything else is imported: its flags are Go's, and the
process that runs for months should not carry the libraries of the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["controller"]:
        from kro.cli.controller import run

        return run(given[1:])
    from kro.cli.app import run_app

    return run_app(given)
