"""All manifests of one call, judged together: definitions, what they generate, instances of that.

Definitions may use each other's kinds whatever the order of the files. A definition that is broken
does not break those that use its kind: they see it as untyped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from kro.cli.documents import Document, read_documents
from kro.cli.kinds import CRD_GROUP_KIND, ManifestSchemas
from kro.cli.places import find
from kro.cli.report import Diagnostic, has_errors, in_order
from kro.cli.rules import RuleChecker
from kro.cli.structure import judge, object_schema
from kro.errors import AuthorError, AuthorErrors, DefinitionError
from kro.graph import Gates, Graph, build, required_kinds
from kro.names import DEFINITION_KIND, KRO_GROUP
from kro.refs import GVK, GVR, JsonObject, JsonValue, Mapped
from kro.schema import (
    OBJECT_META,
    BundledSchemas,
    ChainedSchemas,
    CrdSchemas,
    KnownSchemas,
    SchemaNotFound,
    Schemas,
    crd_gvk,
    definition_crd,
    plural,
)

_FORMER_KIND: Final = "ResourceGroup"
_UNTYPED: Final[JsonObject] = {
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {"metadata": OBJECT_META},
}


class FetchSchemas(Protocol):
    """Asks a cluster for the schemas of some kinds."""

    def __call__(self, kinds: Sequence[GVK], /) -> Schemas:
        """Return what the cluster knows of the kinds."""
        ...


@dataclass(slots=True)
class Definition:
    """A ResourceGraphDefinition of a file."""

    document: Document
    gvk: GVK
    """Of the kind it generates."""
    spec: JsonValue
    """With the defaults of the definition's own CRD."""
    errors: list[Diagnostic] = field(default_factory=list)
    shape: list[Diagnostic] = field(default_factory=list)
    """What the CRD says to values that the builder may say better."""
    graph: Graph | None = None

    def settle(self, found: Sequence[Diagnostic]) -> None:
        """Add what the builder says, and of the CRD's errors those that it does not speak of."""
        told = {diagnostic.path for diagnostic in self.errors}
        spoken = {diagnostic.path for diagnostic in found}
        self.errors += [one for one in self.shape if one.path not in spoken]
        self.errors += [one for one in found if one.path not in told]
        self.shape = []


@dataclass(slots=True)
class Instance:
    """An object of a kind that a definition of the same call generates."""

    document: Document
    definition: Definition
    value: JsonObject
    """With defaults."""
    errors: list[Diagnostic]


@dataclass(slots=True)
class Workspace:
    """What a call works on, and everything that is wrong with it, in the order of the files."""

    definitions: list[Definition]
    instances: list[Instance]
    unchecked: list[Document]
    """Instances of definitions that are broken."""
    diagnostics: list[Diagnostic]

    @property
    def broken(self) -> bool:
        """Whether anything has to be changed."""
        return has_errors(self.diagnostics)


def open_workspace(
    names: Sequence[str],
    *,
    crds: Sequence[str] = (),
    gates: Gates | None = None,
    fetch: FetchSchemas | None = None,
) -> Workspace:
    """Read and judge the manifests of all files.

    Args:
        names: files, folders, `-`.
        crds: files and folders with CRDs of kinds that the definitions use.
        gates: feature gates; none by default.
        fetch: asks a cluster; without it the kinds of a current Kubernetes are known.

    Raises:
        UsageError: a file cannot be read.
        ClusterError: the cluster cannot be asked.
    """
    documents, found = read_documents(names)
    return judge_documents(documents, found, crds=crds, gates=gates, fetch=fetch)


def judge_documents(
    documents: Sequence[Document],
    found: list[Diagnostic],
    *,
    crds: Sequence[str] = (),
    gates: Gates | None = None,
    fetch: FetchSchemas | None = None,
) -> Workspace:
    """Judge documents that have been read; `found` is what is wrong with their YAML."""
    manifests = ManifestSchemas()
    if crds:
        others, faults = read_documents(crds)
        found.extend(faults)
        for document in others:
            if _is_crd(document):
                found.extend(manifests.add(document))
    return _Judge(manifests, gates or Gates(), fetch).judge(documents, found)


class _Judge:
    def __init__(
        self, manifests: ManifestSchemas, gates: Gates, fetch: FetchSchemas | None
    ) -> None:
        self._manifests = manifests
        self._gates = gates
        self._fetch = fetch
        self._definition_schema = object_schema(definition_crd())
        self._definition_gvk = crd_gvk(definition_crd())
        self._definition_rules = RuleChecker()
        self._schemas: dict[GVK, JsonObject] = {}
        self._mappings: dict[GVK, Mapped] = {}

    def judge(self, documents: Sequence[Document], found: list[Diagnostic]) -> Workspace:
        definitions: list[Definition] = []
        rest: list[Document] = []
        for document in documents:
            if document.gvk == self._definition_gvk:
                definitions.append(self._read_definition(document))
            elif _is_crd(document):
                found.extend(self._manifests.add(document))
            else:
                rest.append(document)
        self._check_names(definitions)
        self._build(definitions)
        by_kind: dict[GVK, Definition] = {}
        for definition in definitions:
            by_kind.setdefault(definition.gvk, definition)
            found.extend(definition.errors)
        instances, unchecked = self._check_instances(rest, by_kind, found)
        return Workspace(definitions, instances, unchecked, in_order(found))

    def _read_definition(self, document: Document) -> Definition:
        judged = judge(
            document.manifest, self._definition_schema, self._definition_rules, namespaced=False
        )
        spec = judged.value.get("spec")
        schema = spec.get("schema") if isinstance(spec, dict) else None
        parts = schema if isinstance(schema, dict) else {}
        group, version, kind = (
            str(parts.get(key) or "") for key in ("group", "apiVersion", "kind")
        )
        definition = Definition(document, GVK(group, version, kind), spec)
        for error in judged.errors:
            stands = find(document.root, error.path).whole
            (definition.shape if stands else definition.errors).append(document.diagnose(error))
        definition.errors.extend(document.diagnose(e) for e in judged.unknown)
        return definition

    def _check_names(self, definitions: Sequence[Definition]) -> None:
        kinds: dict[GVK, Document] = {}
        names: dict[str, Document] = {}
        for definition in definitions:
            document = definition.document
            for value, known, path, what in (
                (definition.gvk, kinds, "spec.schema.kind", "kind is generated"),
                (document.name, names, "metadata.name", "name is taken"),
            ):
                earlier = known.setdefault(value, document)  # type: ignore[arg-type]
                if earlier is not document and document.name and definition.gvk.kind:
                    line, _ = earlier.text.position(earlier.root.start)
                    problem = f"the {what} by the definition in {earlier.text.name}:{line}"
                    definition.errors.append(document.diagnose(DefinitionError(problem, path=path)))

    def _build(self, definitions: Sequence[Definition]) -> None:
        """Build every graph, after those whose kinds it uses."""
        generated = {definition.gvk: definition for definition in reversed(definitions)}
        needs = {
            id(definition): {
                kind: generated[kind]
                for kind in required_kinds(definition.spec)
                if kind in generated
            }
            for definition in definitions
        }
        schemas = self._sources(definitions, generated)
        waiting = list(definitions)
        while waiting:
            free = [
                definition
                for definition in waiting
                if not any(other in waiting for other in needs[id(definition)].values())
            ]
            if not free:
                free = [definition for definition in waiting if _in_cycle(definition, needs)]
                for definition in free:
                    self._report_cycle(definition, needs[id(definition)])
                for definition in free:
                    self._know_untyped(definition)
            for definition in free:
                self._build_one(definition, schemas)
            waiting = [definition for definition in waiting if definition not in free]

    def _sources(
        self, definitions: Sequence[Definition], generated: dict[GVK, Definition]
    ) -> Schemas:
        """Return where schemas come from: generated kinds first, which become known one by one."""
        known = KnownSchemas(self._schemas, self._mappings)
        if self._fetch is None:
            return ChainedSchemas(known, self._manifests, BundledSchemas())
        wanted: dict[GVK, None] = {}
        for definition in definitions:
            for kind in required_kinds(definition.spec):
                if kind not in generated:
                    wanted[kind] = None
        return ChainedSchemas(known, self._manifests, self._fetch(tuple(wanted)))

    def _build_one(self, definition: Definition, schemas: Schemas) -> None:
        document, gvk = definition.document, definition.gvk
        try:
            graph = build(document.name, definition.spec, schemas, gates=self._gates)
        except AuthorErrors as errors:
            definition.settle([document.diagnose(self._hinted(one)) for one in _each(errors)])
            self._know_untyped(definition)
            return
        definition.settle(())
        definition.graph = graph
        made = CrdSchemas([graph.crd])
        self._schemas.setdefault(gvk, made.schema(gvk))
        self._mappings.setdefault(gvk, made.mapping(gvk))

    def _hinted(self, error: AuthorError) -> AuthorError:
        """Return an error with what to do about a kind that is not known here."""
        if not isinstance(error, SchemaNotFound) or error.hint or self._fetch is not None:
            return error
        hint = "if it is a custom kind, give its CRD with --crds, or use --cluster"
        return DefinitionError(error.problem, path=error.path, excerpt=error.excerpt, hint=hint)

    def _know_untyped(self, definition: Definition) -> None:
        """Let others use the kind of a definition without a graph."""
        gvk = definition.gvk
        if gvk in self._manifests:
            return
        schema = definition.spec.get("schema") if isinstance(definition.spec, dict) else None
        cluster = isinstance(schema, dict) and schema.get("scope") == "Cluster"
        resource = plural(gvk.kind) if gvk.kind else ""
        self._schemas.setdefault(gvk, _UNTYPED)
        self._mappings.setdefault(gvk, Mapped(GVR(gvk.group, gvk.version, resource), not cluster))

    def _report_cycle(self, definition: Definition, needs: dict[GVK, Definition]) -> None:
        """A kind that is needed before it can exist would stay unknown in a cluster, too.

        If its CRD is among the files, it exists.
        """
        resources = definition.spec.get("resources") if isinstance(definition.spec, dict) else None
        for index, resource in enumerate(resources if isinstance(resources, list) else ()):
            for part in ("template", "externalRef"):
                manifest = resource.get(part) if isinstance(resource, dict) else None
                if not isinstance(manifest, dict):
                    continue
                gvk = GVK.of(str(manifest.get("apiVersion")), str(manifest.get("kind")))
                if gvk in needs and needs[gvk].graph is None and gvk not in self._manifests:
                    other = needs[gvk].document
                    who = "itself" if needs[gvk] is definition else f"definition {other.name}"
                    error = DefinitionError(
                        f"{gvk.kind} is generated by {who}, which needs {definition.gvk.kind} "
                        "to be there before",
                        path=f"spec.resources[{index}].{part}.kind",
                        hint="break the cycle between the definitions",
                    )
                    definition.errors.append(definition.document.diagnose(error))

    def _check_instances(
        self,
        documents: Sequence[Document],
        by_kind: dict[GVK, Definition],
        found: list[Diagnostic],
    ) -> tuple[list[Instance], list[Document]]:
        instances: list[Instance] = []
        unchecked: list[Document] = []
        rules: dict[GVK, RuleChecker] = {}
        schemas: dict[GVK, JsonObject] = {}
        groups = {KRO_GROUP, *(kind.group for kind in by_kind)}
        for document in documents:
            gvk = document.gvk
            if gvk is None or gvk not in by_kind:
                error = _stranger(document, gvk, groups, by_kind)
                if error is not None:
                    found.append(document.diagnose(error))
                continue
            definition = by_kind[gvk]
            graph = definition.graph
            if graph is None:
                unchecked.append(document)
                continue
            schema = schemas.setdefault(gvk, object_schema(graph.crd))
            judged = judge(
                document.manifest,
                schema,
                rules.setdefault(gvk, RuleChecker()),
                namespaced=graph.instance.mapped.namespaced,
            )
            errors = [document.diagnose(error) for error in judged.errors]
            errors += [document.diagnose(error) for error in judged.unknown]
            found.extend(errors)
            instances.append(Instance(document, definition, judged.value, errors))
        return instances, unchecked


def _is_crd(document: Document) -> bool:
    gvk = document.gvk
    return gvk is not None and (gvk.group, gvk.kind) == CRD_GROUP_KIND


def _stranger(
    document: Document, gvk: GVK | None, groups: set[str], by_kind: dict[GVK, Definition]
) -> AuthorError | None:
    """Return what is wrong with a document that no definition of the call is about, if anything."""
    if gvk is None:
        if not document.explicit:
            return None
        what = "apiVersion" if not document.manifest.get("apiVersion") else "kind"
        return DefinitionError("a manifest has apiVersion and kind", path=what)
    if gvk.kind == DEFINITION_KIND:
        hint = f"write apiVersion: {KRO_GROUP}/v1alpha1"
        return DefinitionError(
            f"there is no {DEFINITION_KIND} in {gvk.api_version}", path="apiVersion", hint=hint
        )
    if gvk.group not in groups:
        return None
    if gvk.kind == _FORMER_KIND:
        problem = f"{_FORMER_KIND} is the former name of {DEFINITION_KIND}"
        return DefinitionError(problem, path="kind", hint="`kro convert` rewrites the file")
    versions = [kind.version for kind in by_kind if kind.group_kind == gvk.group_kind]
    if versions:
        problem = f"its definition generates {gvk.kind} in version {versions[0]}"
        return DefinitionError(problem, path="apiVersion")
    hint = "give the file of its ResourceGraphDefinition, too"
    return DefinitionError(f"no definition of {gvk.kind} is given", path="kind", hint=hint)


def _in_cycle(definition: Definition, needs: dict[int, dict[GVK, Definition]]) -> bool:
    """Return whether a definition needs itself in the end."""
    work = list(needs[id(definition)].values())
    seen: set[int] = set()
    while work:
        other = work.pop()
        if other is definition:
            return True
        if id(other) not in seen:
            seen.add(id(other))
            work.extend(needs[id(other)].values())
    return False


def _each(errors: AuthorErrors) -> list[AuthorError]:
    return [error for error in errors.exceptions if isinstance(error, AuthorError)]
