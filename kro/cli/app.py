"""The command line but for `kro controller`: which commands there are, and the exit code.

Exit codes: 0 well, 1 what the author wrote cannot work (or the cluster could not be asked), 2 the
command line is wrong. Commands import what they work with when they run: the help of one command
costs nothing of another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, ParamSpec

import typer

from kro.cli import options, validate
from kro.errors import ClusterError
from kro.settings import UsageError

_P = ParamSpec("_P")


def build_app() -> typer.Typer:
    """Return the command line with all its commands."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_whole)
    app.command("validate")(_ending(validate.validate))
    return app


def _whole(
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Has no effect; accepted as in kro (Go).")
    ] = False,
) -> None:
    """Kube Resource Orchestrator: check, render and convert definitions without a cluster."""


def run_app(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    try:
        build_app()(list(arguments) or ["--help"], prog_name="kro")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except UsageError as error:
        print(f"kro: {error}", file=sys.stderr)
        return 2
    except ClusterError as error:
        print(f"kro: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read us has had enough; Python must not try to flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _ending(command: Callable[_P, int]) -> Callable[_P, None]:
    """Return the command such that its result becomes the exit code."""

    @wraps(command)
    def run(*given: _P.args, **named: _P.kwargs) -> None:
        raise typer.Exit(command(*given, **named))

    return run
