"""How long a definition takes to build, and how that grows with its resources.

    PYTHONPATH=. python test/bench/graph.py [--resources 10 100 300 1000] [--json]

Every resource is a Deployment with eleven expressions, chained to the one before it; the schemas
are the bundled ones. Figures are CPU time of the fastest of three builds.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from kro.graph import build
from kro.schema import BundledSchemas

REPEATS = 3


def definition(count: int) -> Any:
    """Return the spec of a definition with `count` resources."""
    return {
        "schema": {
            "apiVersion": "v1alpha1",
            "kind": "Bench",
            "spec": {
                "name": "string",
                "image": 'string | default="nginx"',
                "replicas": "integer | default=1",
                "on": "boolean | default=true",
            },
            "status": {f"ready{i}": f"${{node{i}.status.readyReplicas}}" for i in range(count)},
        },
        "resources": [_deployment(i) for i in range(count)],
    }


def _deployment(i: int) -> Any:
    labels = {"app": f"${{schema.spec.name}}-{i}"}
    before = f"${{node{i - 1}.metadata.name}}" if i else "${schema.metadata.name}"
    container = {
        "name": "web",
        "image": "${schema.spec.image}",
        "env": [{"name": "BEFORE", "value": before}],
    }
    return {
        "id": f"node{i}",
        "includeWhen": ["${schema.spec.on}"],
        "readyWhen": [f"${{node{i}.status.readyReplicas == node{i}.spec.replicas}}"],
        "template": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"${{schema.spec.name}}-{i}", "labels": labels},
            "spec": {
                "replicas": "${schema.spec.replicas}",
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    }


def measure(count: int) -> dict[str, float]:
    """Return the CPU seconds of one build, and milliseconds for each resource."""
    spec, schemas = definition(count), BundledSchemas()
    best = float("inf")
    for _ in range(REPEATS):
        start = time.process_time()
        build("bench", spec, schemas)
        best = min(best, time.process_time() - start)
    return {
        "resources": count,
        "cpu_s": round(best, 4),
        "ms_per_resource": round(best / count * 1000, 3),
    }


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--resources", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    options = parser.parse_args()
    rows = [measure(count) for count in options.resources]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'resources':>10} {'CPU s':>10} {'ms/resource':>12}")
    for row in rows:
        print(f"{row['resources']:>10} {row['cpu_s']:>10} {row['ms_per_resource']:>12}")


if __name__ == "__main__":
    main()
