"""One expression at its place: which names it may use there, and what it must give.

Names are checked on the parsed expression before types are known; an expression whose names are
wrong is not type-checked, so that one mistake is told once.

Source: spec cel.md §3.6, §4; graph-and-rgd-controller.md §2.8, §2.11-2.17, §3.3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kro.cel import Ast, Environment, Expression, References, Template, parse_template
from kro.errors import AuthorErrors, Excerpt, ExpressionError
from kro.graph.definition import Text
from kro.graph.node import INSTANCE_ID
from kro.graph.problems import Problems, did_you_mean, each

OMIT_MISPLACED = "omit() can only be used in resource template expressions"
OMIT_GATED = "omit() requires the CELOmitFunction feature gate to be enabled"

_SPECIAL = ("each", "runtime")
_SHOWN = 8
"""How many known names a hint lists."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A parsed expression whose names are in order."""

    template: Template
    path: str
    """Where it stands in the definition."""
    ast: Ast
    references: References

    @property
    def names(self) -> tuple[str, ...]:
        """Known identifiers that it refers to, in order of first use."""
        return self.references.names

    def place(self, name: str) -> Excerpt | None:
        """Return where the expression first uses `name`."""
        return self.references.places.get(name)


def shown(template: Template) -> str:
    """Return the text that messages show: the CEL between the braces, or the whole template."""
    return template.matches[0].source if template.standalone else template.text


class Inspector:
    """Parses expressions and checks their names against those of the definition."""

    def __init__(
        self, environment: Environment, ids: Iterable[str], problems: Problems, *, omit: bool
    ) -> None:
        self._environment = environment
        self._ids = frozenset(ids)
        self._problems = problems
        self._omit = omit

    def standalone(self, text: Text, where: str) -> Template | None:
        """Return a text that must be exactly one expression; what it is instead is reported."""
        try:
            template = parse_template(text.text)
        except ExpressionError as error:
            self._add(where + error.problem, text.path, error.excerpt)
            return None
        if template is not None and template.standalone:
            return template
        stripped = text.text.strip()
        hint = f"write ${{{stripped}}}"
        if template is not None:
            hint = "nothing may stand around ${...}, white space and line ends neither"
        elif not stripped or "${" in stripped:
            hint = "write ${expression}"
        self._add(f"{where}only standalone expressions are allowed", text.path, hint=hint)
        return None

    def inspect_free(
        self,
        template: Template,
        path: str,
        *,
        owner: str,
        where: str,
        iterators: Collection[str] = (),
    ) -> Inspected | None:
        """Check an expression that makes dependencies: template field, forEach, includeWhen.

        It may use `schema`, other resources and the iterators given.
        """
        known = self._ids | {INSTANCE_ID, *_SPECIAL, *iterators}
        found = self._parse(template, path, f"{where}failed to inspect expression: ", known)
        if found is None:
            return None
        references = found.references
        wrong: list[tuple[str, str, str]] = []
        if references.uses_omit and not self._omit:
            wrong.append((OMIT_GATED, "omit()", ""))
        for name in references.names:
            if name == "runtime":
                problem = "runtime is only available in status.conditions expressions"
                wrong.append((where + problem, name, ""))
            elif name == "each":
                hint = "each is one object of a collection, in its readyWhen"
                wrong.append((f"{where}node each does not exist", name, hint))
            elif name == owner and name not in iterators:
                problem = f'{where}node "{owner}": self references are not allowed'
                wrong.append((problem, name, ""))
        for name in references.unknown:
            hint = self._hint(name, known)
            wrong.append((f"{where}references unknown identifiers: [{name}]", name, hint))
        wrong.extend(self._unknown_functions(references, where))
        return self._report(found, wrong)

    def inspect_restricted(
        self,
        template: Template,
        path: str,
        *,
        where: str,
        allowed: Collection[str],
        hint: str = "",
    ) -> Inspected | None:
        """Check an expression that may use the names in `allowed` and nothing else."""
        known = self._ids | {INSTANCE_ID, *_SPECIAL}
        found = self._parse(template, path, where, known)
        if found is None:
            return None
        references = found.references
        unknown = f"{where}references unknown identifiers: "
        wrong = [
            (f"{unknown}[{name}]", name, hint) for name in references.names if name not in allowed
        ]
        if references.unknown:
            first = references.unknown[0]
            listed = " ".join(references.unknown)
            wrong.append((f"{unknown}[{listed}]", first, self._hint(first, allowed)))
        wrong.extend(self._unknown_functions(references, where))
        if references.uses_omit:
            wrong.append((f"{where}{OMIT_MISPLACED}", "omit()", ""))
        return self._report(found, wrong)

    def _parse(
        self, template: Template, path: str, where: str, known: Collection[str]
    ) -> Inspected | None:
        try:
            ast = self._environment.parse(template)
        except AuthorErrors as errors:
            for error in each(errors):
                problem = f"{where}parse error: {error.problem}"
                self._add(problem, path, error.excerpt, error.hint or _quote_hint(template))
            return None
        return Inspected(template, path, ast, self._environment.references(ast, known))

    def _unknown_functions(self, references: References, where: str) -> list[tuple[str, str, str]]:
        names = [name for name in references.unknown_functions if name != "omit"]  # told as such
        if not names:
            return []
        listed = " ".join(f"{{{name}}}" for name in names)
        return [(f"{where}uses unknown functions: [{listed}]", names[0], "")]

    def _hint(self, name: str, candidates: Iterable[str]) -> str:
        if name in ("self", "instance", "spec", "metadata", "this"):
            tail = "" if name in ("self", "instance", "this") else f".{name}"
            return f"the instance is schema: write schema{tail}"
        usable = [candidate for candidate in candidates if candidate not in _SPECIAL]
        return did_you_mean(name, usable) or _known(usable)

    def _report(self, found: Inspected, wrong: list[tuple[str, str, str]]) -> Inspected | None:
        for problem, name, hint in wrong:
            self._add(problem, found.path, found.place(name), hint)
        return None if wrong else found

    def _add(self, problem: str, path: str, excerpt: Excerpt | None = None, hint: str = "") -> None:
        self._problems.add(ExpressionError(problem, path=path, excerpt=excerpt, hint=hint))


def _known(names: Iterable[str]) -> str:
    listed = sorted(names, key=lambda name: (name != INSTANCE_ID, name))
    more = ", …" if len(listed) > _SHOWN else ""
    return f"known here: {', '.join(listed[:_SHOWN])}{more}"


def _quote_hint(template: Template) -> str:
    """Return what to do about a brace in single quotes, which ends an expression too early."""
    if any(match.source.count("'") % 2 for match in template.matches):
        return 'only double quotes protect braces: write "}"'
    return ""


def compile_expression(
    environment: Environment, found: Inspected, where: str, problems: Problems
) -> Expression | None:
    """Return the type-checked, compiled expression; type errors are reported behind `where`."""
    try:
        return environment.compile(found.ast)
    except AuthorErrors as errors:
        for error in each(errors):
            problems.add(
                ExpressionError(
                    f"{where}{error.problem}",
                    path=found.path,
                    excerpt=error.excerpt,
                    hint=error.hint,
                )
            )
        return None


def places(found: Iterable[Inspected]) -> Mapping[str, Inspected]:
    """Return, by name, the first expression that refers to it."""
    first: dict[str, Inspected] = {}
    for expression in found:
        for name in expression.names:
            first.setdefault(name, expression)
    return first
