"""A graph as a drawing sees it, and the two languages that draw by themselves."""

from __future__ import annotations

from dataclasses import dataclass

from kro.graph import Graph, Node, NodeKind
from kro.refs import JsonObject, JsonValue

_NOTES = {
    NodeKind.COLLECTION: "collection",
    NodeKind.EXTERNAL: "external",
    NodeKind.EXTERNAL_COLLECTION: "external collection",
}


@dataclass(frozen=True, slots=True)
class Box:
    """One resource in a drawing."""

    id: str
    number: int
    """Position in the apply order, from 1."""
    kind: str
    api_version: str
    notes: tuple[str, ...]
    """What sets it apart: `collection`, `external`, `conditional`."""
    depends_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diagram:
    """One definition's drawing; `boxes` are in apply order."""

    name: str
    kind: str
    boxes: tuple[Box, ...]


def read_diagram(graph: Graph) -> Diagram:
    """Return what is drawn of a graph."""
    rank = {id_: number for number, id_ in enumerate(graph.order)}
    boxes = tuple(
        Box(
            id=id_,
            number=rank[id_] + 1,
            kind=graph.nodes[id_].gvk.kind,
            api_version=graph.nodes[id_].gvk.api_version,
            notes=tuple(_notes(graph.nodes[id_])),
            depends_on=tuple(sorted(graph.nodes[id_].depends_on, key=rank.__getitem__)),
        )
        for id_ in graph.order
    )
    return Diagram(graph.name, graph.instance.gvk.kind, boxes)


def as_mermaid(diagram: Diagram) -> str:
    """Return the drawing in Mermaid's language."""
    lines = ["---", f"title: {_quoted(diagram.name)}", "---", "flowchart TD"]
    names = {box.id: f"n{box.number}" for box in diagram.boxes}
    for box in diagram.boxes:
        left, right = ('[["', '"]]') if "collection" in " ".join(box.notes) else ('["', '"]')
        label = "<br/>".join(_mermaid(line) for line in _label(box))
        lines.append(f"  {names[box.id]}{left}{label}{right}")
    lines += [
        f"  {names[id_]} --> {names[box.id]}" for box in diagram.boxes for id_ in box.depends_on
    ]
    external = [names[box.id] for box in diagram.boxes if any("external" in n for n in box.notes)]
    if external:
        lines.append("  classDef external stroke-dasharray: 4 4")
        lines.append(f"  class {','.join(external)} external")
    return "\n".join(lines) + "\n"


def as_dot(diagram: Diagram) -> str:
    """Return the drawing in Graphviz's language."""
    lines = [
        f"digraph {_quoted(diagram.name)} {{",
        f"  label={_quoted(diagram.name)};",
        '  labelloc="t";',
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
    ]
    for box in diagram.boxes:
        style = ', style="rounded,dashed"' if any("external" in n for n in box.notes) else ""
        peripheries = ", peripheries=2" if any("collection" in n for n in box.notes) else ""
        label = "\\n".join(_quoted(line)[1:-1] for line in _label(box))
        lines.append(f'  {_quoted(box.id)} [label="{label}"{style}{peripheries}];')
    lines += [
        f"  {_quoted(id_)} -> {_quoted(box.id)};" for box in diagram.boxes for id_ in box.depends_on
    ]
    return "\n".join([*lines, "}"]) + "\n"


def as_data(diagram: Diagram) -> JsonObject:
    """Return the graph for programs.

    Shape: {name, kind, topologicalOrder: [id], nodes: [{id, order, apiVersion, kind, notes,
    dependsOn}]}.
    """
    nodes: list[JsonValue] = [
        {
            "id": box.id,
            "order": box.number,
            "apiVersion": box.api_version,
            "kind": box.kind,
            "notes": [*box.notes],
            "dependsOn": [*box.depends_on],
        }
        for box in diagram.boxes
    ]
    return {
        "name": diagram.name,
        "kind": diagram.kind,
        "topologicalOrder": [box.id for box in diagram.boxes],
        "nodes": nodes,
    }


def _notes(node: Node) -> list[str]:
    notes = [_NOTES[node.kind]] if node.kind in _NOTES else []
    if node.include_when:
        notes.append("conditional")
    return notes


def _label(box: Box) -> list[str]:
    lines = [f"{box.number}. {box.id}", box.kind]
    if box.notes:
        lines.append(f"({', '.join(box.notes)})")
    return lines


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _mermaid(text: str) -> str:
    """Return a text in which Mermaid sees neither markup nor the end of the label."""
    entities = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
    return "".join(entities.get(character, character) for character in text.replace("\n", " "))
