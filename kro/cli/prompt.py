"""The prompt of `kro cel`: one expression after the other over the same variables."""

from __future__ import annotations

from importlib.util import find_spec

from kro.cli.output import write
from kro.cli.session import Session

_HELP = """\
EXPR              evaluate an expression
:type EXPR        print its type
:trace EXPR       print every sub-expression with its value
:let NAME = EXPR  keep a value in a variable
:vars             list the variables with their types
:quit             end (also Ctrl-D)
"""


def prompt(session: Session, fmt: str) -> int:
    """Read and run lines until the user ends it."""
    if find_spec("readline"):
        import readline  # noqa: F401  # gives `input` its editing and history
    write("CEL expressions; :help lists the commands.\n")
    while True:
        try:
            line = input("cel> ").strip()
        except EOFError:
            write("\n")
            return 0
        except KeyboardInterrupt:
            write("\n")
            continue
        if line in (":quit", ":q", ":exit"):
            return 0
        if line:
            run_line(session, line, fmt)


def run_line(session: Session, line: str, fmt: str) -> None:
    """Run one line of the prompt."""
    word, _, rest = line.partition(" ")
    match word:
        case ":help":
            write(_HELP)
        case ":type":
            session.print_type(rest)
        case ":trace":
            session.print_trace(rest)
        case ":vars":
            for name, type_ in session.types.items():
                write(f"{name}: {type_}\n")
        case ":let":
            name, _, expression = (part.strip() for part in rest.partition("="))
            if not name.isidentifier() or not expression:
                write("write :let NAME = EXPR\n")
                return
            done, value = session.evaluate(expression)
            if done:
                session.define(name, value, None)
        case _ if word.startswith(":"):
            write(f"there is no command {word}; :help lists them\n")
        case _:
            session.print_value(line, fmt)
