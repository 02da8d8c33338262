"""The command line but for `kro controller`: which commands there are, and the exit code.

Exit codes: 0 well, 1 what the author wrote cannot work (or the cluster could not be asked), 2 the
command line is wrong.

A command is a module with `DESCRIPTION`, `add_arguments` and `run`; only the one that runs is
imported. Parsing is argparse's: typer (0.29, with the pydantic that it loads) took some 150 ms of
CPU time and 12 MiB to read the arguments of `kro validate`, half of what the whole command takes.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from kro.errors import ClusterError
from kro.settings import UsageError

COMMANDS: Final = {
    "controller": "run the controller (its own flags: kro controller --help)",
    "validate": "check definitions and instances",
    "generate crd": "print the CRD that a definition generates",
    "generate instance": "print a sample instance of a definition",
    "generate diagram": "draw a definition's graph",
    "rbac": "print the ClusterRole that definitions need",
    "render": "print what an instance would apply, wave by wave",
    "convert": "turn manifests of kro 0.1 into ResourceGraphDefinitions",
    "cel": "evaluate an expression",
    "completion": "print a script that completes commands in a shell",
    "version": "print the version",
}
_DESCRIPTION: Final = "Kube Resource Orchestrator: check, render and convert without a cluster."
_WIDTH: Final = 100


class Command(Protocol):
    """What the module of a command holds."""

    DESCRIPTION: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what the command takes."""
        ...

    def run(self, options: Namespace, parser: ArgumentParser) -> int:
        """Do it and return the exit code."""
        ...


def run_app(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    try:
        return _run(arguments)
    except SystemExit as end:  # argparse's way to end: after help, or a wrong command line
        return end.code if isinstance(end.code, int) else 2
    except UsageError as error:
        print(f"kro: {error}", file=sys.stderr)
        return 2
    except ClusterError as error:
        print(f"kro: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has had enough; Python must not try to flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parser_of(name: str) -> tuple[ArgumentParser, Command]:
    """Return the parser of a command, and its module."""
    module = name.replace(" ", "_")
    command = cast("Command", import_module(f"kro.cli.{module}"))
    parser = ArgumentParser(
        prog=f"kro {name}",
        description=command.DESCRIPTION,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    parser.set_defaults(command=name)
    return parser, command


class _Help(RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=_WIDTH)


def _run(arguments: Sequence[str]) -> int:
    flags, words = _split(arguments)
    if flags.help or not words:
        print(_help(""))
        return 0
    known = {name.split()[0] for name in COMMANDS}
    first = words[0]
    if first == "__complete":  # what the scripts of `kro completion` call
        from kro.cli.completion import candidates

        print("\n".join(candidates(words[1:])))
        return 0
    if first == "help":
        return _run([*words[1:3], "--help"]) if words[1:] else _run(["--help"])
    if first not in known:
        raise UsageError(f"there is no command {first!r}: use one of {', '.join(sorted(known))}")
    name = first
    rest = words[1:]
    if first not in COMMANDS:
        if not rest or rest[0] in ("-h", "--help"):
            print(_help(first))
            return 0
        name = f"{first} {rest[0]}"
        if name not in COMMANDS:
            below = ", ".join(word.split()[1] for word in COMMANDS if word.startswith(f"{first} "))
            raise UsageError(f"there is no command {name!r}: use {first} with one of {below}")
        rest = rest[1:]
    parser, command = parser_of(name)
    options = parser.parse_intermixed_args(rest)
    for flag in ("kubeconfig", "context"):
        if not getattr(options, flag, ""):
            setattr(options, flag, getattr(flags, flag))
    return command.run(options, parser)


def _split(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Return the flags before the command, and the command with all that follows."""
    from kro.cli.options import add_context

    parser = ArgumentParser(prog="kro", add_help=False, allow_abbrev=False)
    add_context(parser)
    parser.add_argument("-h", "--help", action="store_true")
    end = 0
    while end < len(arguments) and arguments[end].startswith("-"):
        takes_value = arguments[end] in ("--kubeconfig", "--context")
        end += 2 if takes_value else 1
    return parser.parse_args(arguments[:end]), list(arguments[end:])


def _help(group: str) -> str:
    """Return the list of commands, of all or of a group."""
    shown = {name: text for name, text in COMMANDS.items() if name.startswith(group)}
    width = max(map(len, shown))
    lines = [f"usage: kro {group + ' ' if group else ''}COMMAND [OPTION]...", "", _DESCRIPTION, ""]
    lines += [f"  {name:<{width}}  {text}" for name, text in shown.items()]
    lines += ["", "kro COMMAND --help tells more about a command."]
    return "\n".join(lines)
