"""`kro cel`: type-check and evaluate an expression against objects in files."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from kro.cli import options as arguments
from kro.settings import UsageError

DESCRIPTION = """\
Type-check and evaluate a CEL expression, with the functions that definitions have. A text with
${...} in it is a string template, as in a definition. Without an expression, it is read from the
standard input; at a terminal, a prompt opens.

  kro cel 'schema.spec.name + "-x"' --var schema=instance.yaml
  kro cel 'deploy.status.replicas > 1' --var deploy=deployment.yaml --type

Objects of known kinds are typed by their schema, as the controller types them: built-in kinds,
those of --crds, and those of definitions given with --crds. All other values are dyn.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("expression", nargs="?", metavar="EXPR", help="the expression; - for stdin")
    parser.add_argument(
        "--var",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a variable with the object in a YAML or JSON file; several documents are a list",
    )
    parser.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="a variable with a value given in place: --value n=3",
    )
    parser.add_argument(
        "--schema",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="type a variable by the OpenAPI schema, the CRD or the definition in a file",
    )
    parser.add_argument("--type", action="store_true", help="print the type, do not evaluate")
    parser.add_argument(
        "--trace", action="store_true", help="print every sub-expression with its value"
    )
    arguments.add_output(parser, "json", "yaml")
    arguments.add_schemas(parser)


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the value; return 1 if there is none."""
    fmt = arguments.output_format(options)
    given = options.expression
    interactive = given is None and sys.stdin.isatty()

    from kro.cli.session import Session, read_session

    session: Session | None = read_session(options)
    if session is None:
        return 1
    if interactive:
        from kro.cli.prompt import prompt

        return prompt(session, fmt)
    if given is None or given == "-":
        given = sys.stdin.read().strip()
        if not given:
            raise UsageError("cel needs an expression: kro cel EXPR")
    if options.type:
        return session.print_type(given)
    if options.trace and not session.print_trace(given):
        return 1
    return session.print_value(given, fmt)
