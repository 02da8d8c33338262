"""Diagrams as one HTML page: inline SVG, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from kro.cli.diagram import Box, Diagram
from kro.cli.layout import Layout, Place, lay_out

_WIDTH, _HEIGHT = 220.0, 64.0
_GAP, _LAYER = 36.0, 124.0
_MARGIN = 20.0
_LONGEST = 28
"""Characters of a line in a box; the rest is in the tooltip."""

_TIP = """\
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" \
orient="auto-start-reverse"><path d="M0 0 10 5 0 10z"/></marker></defs>"""
_STYLE = """
  :root { color-scheme: light dark; --line: #64748b; --box: #f1f5f9; --text: #0f172a;
    --soft: #475569; --page: #ffffff; --accent: #2563eb; }
  @media (prefers-color-scheme: dark) { :root { --line: #94a3b8; --box: #1e293b; --text: #e2e8f0;
    --soft: #94a3b8; --page: #0f172a; --accent: #60a5fa; } }
  body { margin: 2rem; background: var(--page); color: var(--text);
    font: 15px/1.5 system-ui, sans-serif; }
  h1 { font-size: 1.4rem; margin: 0; }
  p { color: var(--soft); margin: .25rem 0 1rem; }
  figure { margin: 0 0 3rem; overflow-x: auto; }
  rect { fill: var(--box); stroke: var(--line); stroke-width: 1.5; }
  .conditional rect { stroke: var(--accent); }
  .external rect { stroke-dasharray: 6 4; }
  path { fill: none; stroke: var(--line); stroke-width: 1.5; }
  marker path { fill: var(--line); stroke: none; }
  text { fill: var(--text); text-anchor: middle; }
  .kind { fill: var(--soft); font-size: 12px; }
"""


def as_page(diagrams: Sequence[Diagram]) -> str:
    """Return the page with all diagrams, one below the other."""
    title = escape(", ".join(diagram.name for diagram in diagrams))
    figures = "\n".join(_figure(diagram) for diagram in diagrams)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{figures}\n"
        "</body>\n</html>\n"
    )


def _figure(diagram: Diagram) -> str:
    order = " → ".join(box.id for box in diagram.boxes)
    return (
        f"<h1>{escape(diagram.name)}</h1>\n"
        f"<p>{escape(diagram.kind)}: {escape(order) or 'no resources'}</p>\n"
        f"<figure>\n{_svg(diagram)}\n</figure>"
    )


def _svg(diagram: Diagram) -> str:
    layout = lay_out({box.id: box.depends_on for box in diagram.boxes}, width=_WIDTH, gap=_GAP)
    right = max((place.x + place.width / 2 for place in layout.boxes.values()), default=0.0)
    right = max([right, *(point.x for arrow in layout.arrows for point in arrow)])
    width = right + 2 * _MARGIN
    height = (layout.layers - 1) * _LAYER + _HEIGHT + 2 * _MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"'
    parts = [f'{head} aria-label="{escape(diagram.name)}">', _TIP]
    parts += [_arrow(points) for points in layout.arrows]
    parts += [_box(box, layout) for box in diagram.boxes]
    return "\n".join([*parts, "</svg>"])


def _box(box: Box, layout: Layout) -> str:
    place = layout.boxes[box.id]
    x, y = place.x - _WIDTH / 2 + _MARGIN, _top(place)
    center = place.x + _MARGIN
    title = f"{box.number}. {box.id}"
    notes = f" · {', '.join(box.notes)}" if box.notes else ""
    classes = " ".join(dict.fromkeys(word for note in box.notes for word in note.split()))
    whole = f"{title}: {box.api_version} {box.kind}{notes}"
    kind, shadow = box.kind + notes, ""
    if "collection" in classes:
        shadow = (
            f'<rect x="{x + 5:.1f}" y="{y - 5:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        )
    return (
        f'<g class="{classes}"><title>{escape(whole)}</title>{shadow}'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<text x="{center:.1f}" y="{y + 27:.1f}">{_shown(title)}</text>'
        f'<text class="kind" x="{center:.1f}" y="{y + 47:.1f}">{_shown(kind, 34)}</text>'
        "</g>"
    )


def _arrow(points: Sequence[Place]) -> str:
    x, y = points[0].x + _MARGIN, _top(points[0]) + _HEIGHT
    path = [f"M{x:.1f} {y:.1f}"]
    for point in points[1:]:
        next_x, next_y = point.x + _MARGIN, _top(point)
        middle = (y + next_y) / 2
        path.append(f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
        if point is not points[-1]:
            y += _HEIGHT
            path.append(f"L{x:.1f} {y:.1f}")
    return f'<path d="{" ".join(path)}" marker-end="url(#tip)"/>'


def _top(place: Place) -> float:
    return place.layer * _LAYER + _MARGIN


def _shown(text: str, longest: int = _LONGEST) -> str:
    return escape(text if len(text) <= longest else text[: longest - 1] + "…")
