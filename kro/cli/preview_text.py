"""Previews as YAML with comments for people, and as data for programs."""

from __future__ import annotations

from collections.abc import Iterator

from kro.cli.output import to_yaml
from kro.cli.preview import Preview, Rendered
from kro.cli.report import printable
from kro.refs import JsonObject, JsonValue


def as_manifests(preview: Preview) -> str:
    """Return all manifests as YAML documents; comments name node and wave."""
    parts = [f"# {_title(preview)}\n"]
    wave = 0
    for rendered in preview.nodes:
        heading = ""
        if rendered.wave != wave:
            wave = rendered.wave
            heading = f"# wave {wave}\n"
        comment = heading + "".join(f"# {line}\n" for line in _comments(rendered))
        if rendered.included is False or rendered.node.kind.is_external or not rendered.manifests:
            parts.append(printable(comment))
            continue
        for number, manifest in enumerate(rendered.manifests):
            head = printable(comment) if number == 0 else ""
            parts.append(f"---\n{head}{to_yaml(manifest)}")
    return "".join(parts)


def as_data(preview: Preview) -> JsonObject:
    """Return the same for programs.

    Shape: {instance: {apiVersion, kind, name, namespace}, nodes: [{id, wave, kind, included,
    atOnce, dependsOn, unknown: [path], manifests}]}; `included` is null where it cannot be known.
    """
    metadata = preview.instance["metadata"]
    assert isinstance(metadata, dict)
    nodes: list[JsonValue] = [_node(rendered) for rendered in preview.nodes]
    return {
        "instance": {
            "apiVersion": preview.instance["apiVersion"],
            "kind": preview.instance["kind"],
            "name": metadata.get("name"),
            "namespace": metadata.get("namespace"),
        },
        "nodes": nodes,
    }


def _node(rendered: Rendered) -> JsonObject:
    node = rendered.node
    return {
        "id": node.id,
        "wave": rendered.wave,
        "kind": node.kind.value,
        "included": rendered.included,
        "atOnce": rendered.at_once,
        "dependsOn": [*sorted(node.depends_on)],
        "unknown": [*dict.fromkeys(rendered.unknown)],
        "manifests": [*rendered.manifests],
    }


def _title(preview: Preview) -> str:
    metadata = preview.instance["metadata"]
    assert isinstance(metadata, dict)
    names = [str(metadata[key]) for key in ("namespace", "name") if metadata.get(key)]
    return printable(f"{preview.instance['kind']} {'/'.join(names)}")


def _comments(rendered: Rendered) -> Iterator[str]:
    node = rendered.node
    if rendered.included is False:
        yield f"{node.id} is left out: its includeWhen, or that of a node it needs, is false"
        return
    if node.kind.is_external:
        missing = ", which is not among the observed objects" if rendered.missing else ""
        yield f"{node.id} reads {node.gvk.kind} ({node.gvk.api_version}){missing}"
        return
    yield f"{node.id}{'' if rendered.at_once else ': ' + _waits(rendered)}"
    if rendered.included is None:
        yield "perhaps left out: its includeWhen is known after apply"
    if rendered.open_size:
        yield "one object for each item of a list that is known after apply"
    elif node.kind.is_collection and not rendered.manifests:
        yield "a collection without objects"


def _waits(rendered: Rendered) -> str:
    needed = sorted(rendered.node.depends_on)
    return f"after {', '.join(needed)}" if needed else "known after apply"
