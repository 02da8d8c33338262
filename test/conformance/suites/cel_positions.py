"""Where expressions may stand: one definition per case, built and evaluated against a fixture."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from conformance.suite import Case, Mismatch
from kro.errors import AuthorErrors
from kro.graph import Gates, Graph, build
from kro.graph.evaluation import (
    Frame,
    Look,
    Looked,
    NodeState,
    Outcome,
    Seen,
    Verdict,
    evaluate_conditions,
    project,
)
from kro.refs import GVK, GVR, Mapped
from kro.schema import KnownSchemas, Schemas

SUITE = "cel-positions"
FILE = "cel-positions.yaml"


def load(document: Any) -> Iterable[Case]:
    """Return the cases, each with the fixture of the file."""
    for entry in document["cases"]:
        yield Case(entry["name"], (document["fixture"], entry))


def run(case: Case) -> None:
    """Build the definition of the case, evaluate its position, and compare."""
    fixture, data = case.data
    try:
        graph = build("positions", _spec(fixture, data), _schemas(fixture), gates=Gates(omit=True))
    except AuthorErrors as errors:
        _expect_error("compile", str(errors), data)
        return
    if data.get("error") == "compile":
        raise Mismatch("accepted")
    if "expect_schema" in data:
        crd: Any = graph.crd
        root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        _same("schema", root["properties"]["status"]["properties"]["a"], data["expect_schema"])
    _evaluate(graph, fixture, data)


def _evaluate(graph: Graph, fixture: Any, data: Any) -> None:
    instance = fixture["instance"]
    frame = Frame(graph, instance)
    rendered = _perform(frame, fixture["observed"])
    outcome = frame.outcome()
    match data["position"]:
        case "template":
            if _reached(outcome, data):
                spec = rendered["w"][0].get("spec") or {}
                _field(spec, data["field"], "expect_omitted", data)
        case "forEach":
            if _reached(outcome, data):
                names = [manifest["metadata"]["name"] for manifest in rendered.get("c", ())]
                _same("names", names, data["expect_names"])
        case "includeWhen":
            if _reached(outcome, data):
                included = outcome.states["c"] is not NodeState.SKIPPED
                _same("included", included, data["expect_included"])
        case "readyWhen":
            if outcome.states["x"] is NodeState.ERROR:
                _expect_error("runtime", outcome.message, data)
            else:
                ready = outcome.states["x"] is NodeState.SYNCED
                _same("ready", ready, data["expect_ready"])
        case "status":
            projection = project(graph, frame.bindings)
            if projection.errors:
                _expect_error("runtime", str(projection.errors[0]), data)
            else:
                _field(projection.fields, "a", "expect_unset", data)
        case _:
            _compare_conditions(graph, instance, frame.bindings, data)


def _perform(frame: Frame, observed: Any) -> dict[str, list[Any]]:
    """Answer every step: what is observed is as it shall be, all else becomes what is desired."""
    rendered: dict[str, list[Any]] = {}
    while steps := frame.next_steps():
        answers = []
        for step in steps:
            if not isinstance(step, Look):
                raise Mismatch(f"an unexpected step: {step}")
            rendered[step.node.id] = list(step.desired)
            live = observed.get(step.node.id, step.desired)
            seen = tuple(Seen(manifest, holds=True) for manifest in live)
            answers.append(Looked(step.node.id, seen))
        frame.record(answers)
    return rendered


def _reached(outcome: Outcome, data: Any) -> bool:
    """Return whether the position has a value; otherwise its failure is what the case expects."""
    if outcome.verdict in (Verdict.BROKEN, Verdict.CONFLICTING):
        _expect_error("runtime", outcome.message, data)
        return False
    if outcome.verdict is Verdict.UNRESOLVED:
        _expect_error("pending", outcome.message, data)
        return False
    if "error" in data:
        raise Mismatch(f"evaluated to the end; expected {data['error']}")
    return True


def _compare_conditions(
    graph: Graph, instance: Any, bindings: Mapping[str, object], data: Any
) -> None:
    declared = evaluate_conditions(graph, instance, bindings, ())
    found = [
        {"type": c.type, "status": c.status, "reason": c.reason, "message": c.message}
        for c in declared.conditions
    ]
    absent = dict.fromkeys(("type", "status", "reason", "message"), "")
    wanted = [{**absent, **entry} for entry in data["expect_conditions"]]
    _same("conditions", found, wanted)
    _same("incomplete", not declared.complete, data["incomplete"])
    _same("degraded", bool(declared.errors), data.get("degraded", False))
    if "error_contains" in data:
        _contains("\n".join(str(error) for error in declared.errors), data["error_contains"])


def _field(holder: Any, name: str, absent: str, data: Any) -> None:
    if "error" in data:
        raise Mismatch(f"evaluated to {holder.get(name)!r}; expected {data['error']}")
    if data.get(absent):
        _same("presence", name in holder, False)
    else:
        _same("presence", name in holder, True)
        _same("value", holder[name], data["expect"])


def _expect_error(kind: str, text: str, data: Any) -> None:
    if data.get("error") != kind:
        raise Mismatch(f"{kind} error instead of {data.get('error') or 'a value'}: {text}")
    _contains(text, data.get("error_contains", ""))


def _contains(text: str, fragment: str) -> None:
    if fragment not in text:
        raise Mismatch(f"no error contains {fragment!r}: {text}")


def _same(what: str, got: object, wanted: object) -> None:
    if got != wanted or isinstance(got, bool) is not isinstance(wanted, bool):
        raise Mismatch(f"{what}: got {got!r}, expected {wanted!r}")


def _spec(fixture: Any, data: Any) -> Any:
    position, value = data["position"], data["value"]
    instance = fixture["instance"]
    group, _, version = instance["apiVersion"].rpartition("/")
    schema: dict[str, Any] = {
        "kind": instance["kind"],
        "apiVersion": version,
        "group": group,
        "spec": fixture["instance_schema_simple"],
    }
    resource = copy.deepcopy(fixture["resource_x"])
    resources = [resource]
    match position:
        case "status":
            schema["status"] = {"a": value}
        case "conditions":
            schema["status"] = {"conditions": value}
        case "readyWhen":
            resource["readyWhen"] = [value]
        case _:
            extra = copy.deepcopy(fixture["resource_per_position"][position])
            if position == "template":
                extra["template"]["spec"] = {data["field"]: value}
            elif position == "forEach":
                extra["forEach"] = [{"t": value}]
            else:
                extra["includeWhen"] = [value]
            resources.append(extra)
    return {"schema": schema, "resources": resources}


def _schemas(fixture: Any) -> Schemas:
    schemas: dict[GVK, Any] = {}
    mappings: dict[GVK, Mapped] = {}
    for text, schema in fixture["kinds"].items():
        group, version, kind = text.split("/")
        gvk = GVK(group, version, kind)
        schemas[gvk] = schema
        mappings[gvk] = Mapped(GVR(group, version, f"{kind.lower()}s"), namespaced=True)
    return KnownSchemas(schemas, mappings)
