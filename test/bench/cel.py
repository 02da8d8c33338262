"""How fast expressions are compiled and evaluated, beside celpy's evaluator and cel-expr-python."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import celpy
from cel_expr_python import cel
from celpy.adapter import json_to_cel

from kro.cel import DYN, Environment, Expression, schema_type, wrap
from kro.refs import GVK
from kro.schema.bundled import BundledSchemas

NUMBERS: Final = list(range(1000))
OBJECTS: Final = [{"name": f"n{i}", "ready": i == 99, "port": i} for i in range(100)]
INSTANCE: Final[dict[str, Any]] = {
    "apiVersion": "kro.run/v1alpha1",
    "kind": "App",
    "metadata": {"name": "web", "namespace": "prod"},
    "spec": {"name": "web", "replicas": 3, "region": "eu"},
}
INSTANCE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        "spec": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "replicas": {"type": "integer"},
                "region": {"type": "string"},
            },
        },
    },
}
DEPLOYMENT: Final[dict[str, Any]] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "prod",
        "generation": 4,
        "uid": "6f1c3f0e-8a39-4c3e-9a57-0d2a4e1f7b11",
        "labels": {"app": "web", "kro.run/owned": "true"},
        "creationTimestamp": "2026-08-01T10:00:00Z",
    },
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "nginx:1.27",
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "resources": {"limits": {"cpu": "500m", "memory": "128Mi"}},
                    },
                    {"name": "sidecar", "image": "envoy:1.31"},
                ],
                "restartPolicy": "Always",
            },
        },
    },
    "status": {
        "observedGeneration": 4,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "conditions": [
            {
                "type": "Available",
                "status": "True",
                "reason": "MinimumReplicasAvailable",
                "lastUpdateTime": "2026-08-01T10:01:00Z",
                "lastTransitionTime": "2026-08-01T10:01:00Z",
            },
            {
                "type": "Progressing",
                "status": "True",
                "reason": "NewReplicaSetAvailable",
                "lastUpdateTime": "2026-08-01T10:01:00Z",
                "lastTransitionTime": "2026-08-01T10:00:00Z",
            },
        ],
    },
}
CASES: Final = {
    "field path": "schema.spec.name",
    "template of three parts": '"app-" + schema.spec.name + "-" + schema.spec.region + "-v1"',
    "ternary with comparisons": (
        "schema.spec.replicas > 5 ? 'large' : schema.spec.replicas > 2 ? 'medium' : 'small'"
    ),
    "map over 1,000": "numbers.map(n, n * 2)",
    "filter over 1,000": "numbers.filter(n, n % 2 == 0)",
    "exists over 100 objects": "objects.exists(o, o.ready && o.port > 50)",
    "regex": "schema.spec.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "deep status projection": (
        "{'ready': deploy.status.readyReplicas == deploy.spec.replicas,"
        " 'available': deploy.status.conditions.exists("
        "c, c.type == 'Available' && c.status == 'True'),"
        " 'images': deploy.spec.template.spec.containers.map(c, c.image),"
        " 'summary': deploy.metadata.name + ': ' + string(deploy.status.readyReplicas) + '/'"
        " + string(deploy.spec.replicas)}"
    ),
}
"""Expressions that all three implementations understand."""

VARIABLES: Final[dict[str, Any]] = {
    "schema": INSTANCE,
    "numbers": NUMBERS,
    "objects": OBJECTS,
    "deploy": DEPLOYMENT,
}


@dataclass(frozen=True, slots=True)
class Row:
    """Microseconds for one evaluation, and for kro's compilation."""

    name: str
    plain: float
    """kro over plain data, all dyn: what the others do."""
    typed: float
    """kro over data with schemas: what the controller does."""
    native: float
    """cel-expr-python, given Python data."""
    celpy: float
    compiled: float
    environment: float


def measured(work: Callable[[], object], *, repeat: int = 5) -> float:
    """Return the CPU microseconds of one call, the best of several runs."""
    timer = timeit.Timer(work, timer=time.process_time)
    number, _ = timer.autorange()
    return min(timer.repeat(repeat, number)) / number * 1e6


def typed_environment() -> tuple[Environment, dict[str, Any]]:
    """Return the environment and bindings that a graph would have."""
    schema = BundledSchemas().schema(GVK("apps", "v1", "Deployment"))
    deployment = schema_type(schema, "__type_deploy")
    instance = schema_type(INSTANCE_SCHEMA, "__type_schema")
    assert deployment is not None
    assert instance is not None
    types = {"schema": instance, "deploy": deployment, "numbers": DYN, "objects": DYN}
    bindings = {name: wrap(value, types[name]) for name, value in VARIABLES.items()}
    return Environment(types), bindings


def rows() -> list[Row]:
    """Measure all cases."""
    dynamic = Environment(dict.fromkeys(VARIABLES, DYN))
    typed, bindings = typed_environment()
    native = cel.NewEnv(variables=dict.fromkeys(VARIABLES, cel.Type.DYN))
    slow = celpy.Environment()
    activation = {name: json_to_cel(value) for name, value in VARIABLES.items()}
    found: list[Row] = []
    for name, source in CASES.items():
        ours: Expression = dynamic.compile(source)
        ours_typed = typed.compile(source)
        theirs = native.compile(source)
        program = slow.program(slow.compile(source))
        expected = ours.evaluate(VARIABLES)
        assert expected == ours_typed.evaluate(bindings), source
        found.append(
            Row(
                name,
                measured(lambda ours=ours: ours.evaluate(VARIABLES)),  # type: ignore[misc]
                measured(lambda ours=ours_typed: ours.evaluate(bindings)),  # type: ignore[misc]
                measured(lambda theirs=theirs: theirs.eval(data=VARIABLES).value()),  # type: ignore[misc]
                measured(lambda program=program: program.evaluate(activation), repeat=2),  # type: ignore[misc]
                measured(lambda source=source: typed.compile(source)),  # type: ignore[misc]
                measured(lambda: typed.extend({"item": DYN})),
            )
        )
    return found


def main(arguments: list[str]) -> int:
    """Print one line a case, and what the aims ask for."""
    parser = argparse.ArgumentParser(prog="hack/bench cel", description=__doc__)
    parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    print(
        f"{'microseconds':26} {'kro':>9} {'kro typed':>9} {'cel-expr':>9} {'celpy':>10} "
        f"{'celpy/kro':>9} {'expr/kro':>9} {'compile':>9}"
    )
    results = rows()
    for row in results:
        print(
            f"{row.name:26} {row.plain:9.2f} {row.typed:9.2f} {row.native:9.2f} {row.celpy:10.1f} "
            f"{row.celpy / row.plain:8.0f}x {row.native / row.plain:8.1f}x {row.compiled:9.0f}"
        )
    print(
        f"least: {min(row.celpy / row.plain for row in results):.0f}x celpy, "
        f"{min(row.native / row.plain for row in results):.1f}x cel-expr-python; "
        f"longest compilation {max(row.compiled for row in results) / 1000:.2f} ms; "
        f"environment extended in {min(row.environment for row in results):.1f} microseconds"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
