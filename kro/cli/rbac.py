"""`kro rbac`: the least ClusterRole with which the controller can serve some definitions.

What a definition needs is computed by `kro.controllers.access`, which the controller asks too when
it looks whether it lacks rights. Comments of the YAML output say what each rule is for.

Source: spec "API surface and operations" §9.4.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from kro.cli import options as arguments
from kro.settings import UsageError

if TYPE_CHECKING:
    from kro.controllers.access import Need, Rule
    from kro.graph import Graph
    from kro.refs import JsonObject

DESCRIPTION = """\
Print the least ClusterRole with which the controller can serve ResourceGraphDefinitions: what it
does with the generated kinds, with the kinds of their resources, and with external references. What
it needs for itself is in the chart.

The role carries the label by which the chart's controller role takes its rules over when rbac.mode
is aggregation. With --no-aggregate it has none, and has to be bound to the controller's
ServiceAccount.
"""
_SEGMENT: Final = re.compile(r"[^/%]+")
_WIDTH: Final = 100


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    arguments.add_files(parser)
    arguments.add_output(parser, "yaml", "json")
    parser.add_argument(
        "--name",
        default="",
        metavar="NAME",
        help="name of the ClusterRole (default: kro:DEFINITION, of several kro:definitions)",
    )
    parser.add_argument(
        "--aggregate",
        action=BooleanOptionalAction,
        default=True,
        help="let the chart's controller role take the rules over (default: yes)",
    )
    arguments.add_schemas(parser)


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the ClusterRole; return 1 if a definition is broken."""
    fmt = arguments.output_format(options)
    _check_name(options.name)

    from kro.cli.generated import open_definitions
    from kro.cli.output import complain, print_objects, write
    from kro.controllers.access import cluster_role, grants_of, needs_of, owner_needs_of, rules_of

    graphs = open_definitions(options, "rbac")
    if graphs is None:
        return 1
    name = options.name or _name_for(graphs)
    _check_name(name)
    rules = rules_of(
        need for graph in graphs for need in (*needs_of(graph), *owner_needs_of(graph))
    )
    grants = {
        verb: rules_of(need for graph in graphs for need in grants_of(graph, verb))
        for verb in ("escalate", "bind")
    }
    role = cluster_role(name, rules, aggregate=options.aggregate)
    if fmt == "json":
        print_objects([role], fmt)
        for line in _granting(grants):
            complain(line)
    else:
        write(_as_yaml(role, rules, grants, aggregate=options.aggregate))
    return 0


def _name_for(graphs: Sequence[Graph]) -> str:
    names = {graph.name for graph in graphs}
    return f"kro:{names.pop() or 'definition'}" if len(names) == 1 else "kro:definitions"


def _check_name(name: str) -> None:
    """Hold a name to what the API server takes for one.

    Raises:
        UsageError: it takes something else.
    """
    if name and (not _SEGMENT.fullmatch(name) or name in (".", "..") or not name.isprintable()):
        raise UsageError(
            f"--name {name!r}: a ClusterRole's name is not . or .. and holds no /, no % and no "
            "control characters"
        )


def _as_yaml(
    role: JsonObject,
    rules: Sequence[Rule],
    grants: Mapping[str, Sequence[Rule]],
    *,
    aggregate: bool,
) -> str:
    from kro.cli.output import to_yaml

    head = {key: value for key, value in role.items() if key != "rules"}
    parts = [] if aggregate else ["# Bind it to the controller's ServiceAccount.\n"]
    parts += [to_yaml(head), "rules:\n"]
    for rule in rules:
        for need in rule.needs:
            parts.append(_comment(_reason(need)))
        parts.append("- " + "\n  ".join(rule.lines()) + "\n")
    parts += [_comment(line) for line in _granting(grants)]
    return "".join(parts)


def _reason(need: Need) -> str:
    from kro.controllers.access import reasons_of

    return f"{need.resource}: {reasons_of(need)}"


def _granting(grants: Mapping[str, Sequence[Rule]]) -> Iterator[str]:
    """Yield what to do about definitions that write roles or bindings."""
    for verb, rules in grants.items():
        does = "writes" if verb == "escalate" else "binds"
        for rule in rules:
            for need in rule.needs:
                yield _reason(need)
            yield (
                f"Roles that kro {does} may grant only what kro itself may do. Add that to the "
                "rules above, or, which lets it grant anything:"
            )
            yield f"- {rule.inline()}"


def _comment(text: str) -> str:
    """Return a text as lines of comment; whatever it holds, it does not leave them."""
    from kro.cli.report import printable

    line = printable(" ".join(text.split()))
    if line.startswith("- "):  # a rule, to be copied
        return f"# {line}\n"
    lines = wrap(line, _WIDTH - 2, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)
