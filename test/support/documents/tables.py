"""Tables of the documents that list what the code knows better: the two are held together.

A table below `<!-- checked: NAME -->` is given to the rule of that name, which yields how the table
differs. Rules compare the whole set of names, so that what is new in the code is missed in the
table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any, Final

import yaml

from kro import names
from kro.cel.budget import LIMIT
from kro.cel.lexer import MAX_CODE_POINTS
from kro.cel.parser import MAX_DEPTH
from kro.cli.app import COMMANDS
from kro.graph.validate import RESERVED_WORDS
from kro.metrics.catalogue import SECTIONS, Family
from kro.schema.markers import MARKER_NAMES
from kro.settings import FeatureGates, Settings, usage
from support.documents.blocks import ROOT, Table
from support.documents.messages import is_part, is_said


def problems(table: Table) -> Iterator[str]:
    """Yield how a table differs from what the code says."""
    rule = _RULES.get(table.name)
    if rule is None:
        yield f"there is no rule {table.name}; there are {', '.join(sorted(_RULES))}"
    else:
        yield from rule(table)


def _same(table: Table, known: Iterable[str], what: str) -> Iterator[str]:
    shown, wanted = [row[0] for row in table.rows], set(known)
    for name in shown:
        if name not in wanted:
            yield f"there is no {what} {name}"
    for name in sorted(wanted.difference(shown)):
        yield f"{what} {name} is missing"
    for name in sorted({name for name in shown if shown.count(name) > 1}):
        yield f"{name} stands there twice"


def _flags(table: Table) -> Iterator[str]:
    """Flag, default, what it does."""
    flags = {f"--{flag.metadata['flag']}": flag for flag in fields(Settings)}
    yield from _same(table, flags, "flag")
    shown = re.findall(r"^  (--\S+).*\n.*?(?: \(default (\S+)\))?$", usage(), re.MULTILINE)
    defaults = dict(shown)
    for flag, default, *_ in table.rows:
        if flag in flags and default != defaults.get(flag, ""):
            yield f"{flag}: the default is {defaults[flag]!r}, and not {default!r}"


def _gates(table: Table) -> Iterator[str]:
    yield from _same(table, FeatureGates().as_dict(), "feature gate")


def _values(table: Table) -> Iterator[str]:
    """Value, default, what it does; helm/README.md has them all, a table may have some."""
    text = (ROOT / "helm" / "values.yaml").read_text(encoding="utf-8")
    leaves = dict(_leaves(yaml.safe_load(text)))
    for path, default, *_ in table.rows:
        if path not in leaves:
            yield f"the chart has no value {path}"
        elif default != _shown(leaves[path]):
            yield f"{path}: the default is {_shown(leaves[path])!r}, and not {default!r}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _shown(value: Any) -> str:
    """Return a default as the tables write it: as JSON in one line."""
    return json.dumps(value)


def _metrics(table: Table) -> Iterator[str]:
    """Metric, type, labels, meaning: one table for each section of the catalogue, in its order."""
    titles = [section for section in SECTIONS if section.families[0].name == table.rows[0][0]]
    if not titles:
        yield f"no section of the catalogue begins with {table.rows[0][0]}"
        return
    wanted = [_metric_row(family) for family in titles[0].families]
    for row in wanted:
        if row not in table.rows:
            name, kind, labels, meaning = row
            yield f"there should be: | `{name}` | {kind} | {labels} | {meaning} |"
    for row in table.rows:
        if row not in wanted:
            yield f"{row[0]} is another one, or none"


def _metric_row(family: Family) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    plain = labels.strip("`") if len(family.labels) == 1 else labels
    return (family.name, str(family.type), plain, family.meaning)


def _alerts(table: Table) -> Iterator[str]:
    """Alert, severity, summary, runbook, link: one table for each group of the rules."""
    text = (ROOT / "config" / "prometheus" / "rules.yaml").read_text(encoding="utf-8")
    first = table.rows[0][0]
    groups = [g for g in yaml.safe_load(text)["groups"] if g["rules"][0]["alert"] == first]
    if not groups:
        yield f"no group of the rules begins with {first}"
        return
    wanted = [_alert_row(rule) for rule in groups[0]["rules"]]
    for row in wanted:
        if row not in table.rows:
            yield f"there should be: | `{row[0]}` | {' | '.join(row[1:])} |"
    for row in table.rows:
        if row not in wanted:
            yield f"{row[0]} is another one, or none"


def _alert_row(rule: Any) -> tuple[str, ...]:
    told = rule["annotations"]
    url = told["runbook_url"].removeprefix("docs/")
    link = f"[{url.partition('#')[0].removesuffix('.md')}]({url})"
    return (rule["alert"], rule["labels"]["severity"], told["summary"], told["runbook"], link)


def _labels(table: Table) -> Iterator[str]:
    """The labels of children."""
    instance = {value for key, value in vars(names).items() if key.startswith("INSTANCE_")}
    other = {names.OWNED, names.KRO_VERSION, names.NODE_ID, names.MANAGED_BY}
    collection = {names.COLLECTION_INDEX, names.COLLECTION_SIZE}
    yield from _same(table, instance | other | collection | {names.APPLYSET_PART_OF}, "label")


def _reserved(table: Table) -> Iterator[str]:
    shown = {word for row in table.rows for word in re.findall(r"`([^`]+)`", row[1])}
    if shown != RESERVED_WORDS:
        yield f"differs in {', '.join(sorted(shown ^ RESERVED_WORDS))}"


def _markers(table: Table) -> Iterator[str]:
    shown = {name for row in table.rows for name in re.findall(r"`?(\w+)`?", row[0])}
    if shown != MARKER_NAMES:
        yield f"differs in {', '.join(sorted(shown ^ MARKER_NAMES))}"


def _commands(table: Table) -> Iterator[str]:
    yield from _same(table, (f"kro {name}" for name in COMMANDS if name != "controller"), "command")


def _limits(table: Table) -> Iterator[str]:
    """What, limit, beyond it: the figures of expressions, in the order of the constants."""
    wanted = (MAX_CODE_POINTS, MAX_DEPTH, MAX_DEPTH + 1, LIMIT)
    for row, figure in zip(table.rows, wanted, strict=True):
        if not row[1].startswith(f"{figure:,}"):
            yield f"{row[0]}: the limit is {figure:,}, and not {row[1]}"


def _conditions(table: Table) -> Iterator[str]:
    """Condition, status, reason, when: type and reason must be words of the code."""
    for kind, _, reason, *_ in table.rows:
        for word in (kind, reason):
            if word and not is_said(word, whole=True):
                yield f"no code says {word}"


def _messages(table: Table) -> Iterator[str]:
    """Message, what to do: every piece of a message is said by the code."""
    for text, *_ in table.rows:
        for piece in re.split(r"…|[\"\[\]]|a -> b -> a", text):
            fragment = piece.strip(" :'.")
            if len(fragment) > 3 and not is_part(fragment):
                yield f"no code says {fragment!r}"


_RULES: Final[dict[str, Callable[[Table], Iterator[str]]]] = {
    "alerts": _alerts,
    "commands": _commands,
    "conditions": _conditions,
    "flags": _flags,
    "gates": _gates,
    "labels": _labels,
    "limits": _limits,
    "markers": _markers,
    "messages": _messages,
    "metrics": _metrics,
    "reserved": _reserved,
    "values": _values,
}
