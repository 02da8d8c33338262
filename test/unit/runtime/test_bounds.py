"""P-150: every container that something keeps is bounded, or keyed by what lives; here is the list.

A new one needs a line below that says why it cannot grow for ever.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import kro.runtime

ROOT = Path(kro.runtime.__file__).parent

GROWING = frozenset(
    {"set", "dict", "list", "deque", "WeakSet", "defaultdict", "Counter", "OrderedDict", "Queue"}
)

BOUNDS = {
    "backoff.KeyBackoff._failures": "a key that fails, until it succeeds or its object is gone",
    "client.config.kubeconfig.Kubeconfig._named": "what stands in the file",
    "client.limiter.TokenBucket._line": "a waiting request",
    "client.pool.Pool._sessions": "a session in use, and the current one",
    "client.pool.Pool._sockets": "an open socket, held weakly",
    "client.transport.Transport._warned": "at most _WARNINGS_KEPT",
    "client.watch.Framer._held": "at most the line cap and one read",
    "controller.Controller._passes": "a running pass",
    "controller.Controller._traced": "a minute's bugs by place",
    "coordinator.Coordinator._entries": "a declared object or selection",
    "coordinator.Coordinator._listeners": "an instance with declarations",
    "coordinator.Coordinator._narrowed": "a resource with single watched objects",
    "coordinator.Coordinator._watches": "a declared resource and scope",
    "coordinator.Cycle._loose": "a pass's declarations",
    "coordinator._Listener.committed": "an instance's declarations",
    "coordinator._Listener.pending": "a pass's declarations",
    "discovery.Discovery._locks": "an API group that was asked for",
    "discovery.Discovery._served": "a version of such a group",
    "discovery.Discovery._versions": "an API group that was asked for",
    "informer.Informers._shared": "an informer with owners, or lingering",
    "line_writer.LineWriter._waiting": "at most LINES and CHARACTERS",
    "manager.Manager._tasks": "a part",
    "openapi.OpenAPIDocument._components": "a schema of the document",
    "openapi.OpenAPIDocuments._documents": "a group version that was asked for",
    "openapi.OpenAPIDocuments._index": "a group version that is served",
    "openapi.OpenAPIDocuments._locks": "a group version that was asked for",
    "recorder.Recorder._told": "at most REMEMBERED",
    "registry.Registry._crashes": "at most CRASHES_TO_FAIL",
    "registry.Registry._leaving": "a micro-controller that drains",
    "registry.Registry._live": "a generated kind",
    "routing.RoutingTable._by_equality": "an entry",
    "routing.RoutingTable._names": "an entry",
    "routing.RoutingTable._selectors": "an entry",
    "routing.RoutingTable._unindexed": "an entry",
    "routing._Watched.listeners": "an instance",
    "server.HttpServer._handlers": "an address",
    "server._Listener._tasks": "at most _CONNECTIONS",
    "shared_informer.SharedInformer._doubts": "a write without an answer whose event is awaited",
    "shared_informer.SharedInformer.owners": "a hold",
    "shared_informer.SharedInformer.registrations": "a handler",
    "shared_informer.SharedInformer.relists": "a reason",
    "slots.Slots._line": "somebody who waits: one a controller",
    "store.Store._early": "an own write during a load",
    "store.Store._gone": "an own deletion whose event is awaited, until the next load",
    "store.Store._indexes": "an index",
    "store.Store._objects": "an object",
    "store.Store._own": "an own write whose event is awaited, until the next load",
    "store._Index.names": "an object",
    "workqueue.WorkQueue._delayed": "a key that is due",
    "workqueue.WorkQueue._dirty": "a leased key",
    "workqueue.WorkQueue._heap": "at most twice the keys that are due, and 64",
    "workqueue.WorkQueue._leased": "a leased key",
    "workqueue.WorkQueue._waiting": "a key in line",
}


def test_every_container_is_bounded_or_keyed_by_what_lives() -> None:
    """P-150."""
    assert dict.fromkeys(sorted(containers()), "") == dict.fromkeys(sorted(BOUNDS), "")


def containers() -> Iterator[str]:
    """Yield `module.Class.attribute` of every container that begins empty and is kept."""
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for each in ast.walk(ast.parse(path.read_text())):
            if isinstance(each, ast.ClassDef):
                for statement in ast.walk(each):
                    if (name := _kept(statement)) is not None:
                        yield f"{module}.{each.name}.{name}"


def _kept(statement: ast.AST) -> str | None:
    if isinstance(statement, ast.Assign):
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        return None
    mine = isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"
    return target.attr if isinstance(target, ast.Attribute) and mine and _grows(value) else None


def _grows(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        made = value.func.value if isinstance(value.func, ast.Subscript) else value.func
        return ast.unparse(made).rpartition(".")[2] in GROWING
    if isinstance(value, ast.Dict):
        return not value.keys
    return isinstance(value, ast.List | ast.Set) and not value.elts
