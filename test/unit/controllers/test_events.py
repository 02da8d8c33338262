"""Which events of CRDs and revisions wake which passes."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable

import orjson
import pytest

from kro.controllers.crd import CRDS
from kro.controllers.events import crd_moved, enqueue_concerned
from kro.refs import JsonObject, NamespacedName
from kro.runtime import CheckAgain, Controller, Event, LoopClock, Outcome, Stored
from kro.runtime.stored import decoder, strip


def _crd(**changes: object) -> JsonObject:
    crd: JsonObject = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "shops.kro.run", "uid": "u", "resourceVersion": "1", "generation": 1},
        "status": {"conditions": []},
    }
    return {**crd, **changes}  # type: ignore[dict-item]  # tests change what they like


def _with(kind: str, status: str, message: str = "") -> JsonObject:
    condition: JsonObject = {"type": kind, "status": status, "message": message}
    return _crd(status={"conditions": [condition]})


def _labelled() -> JsonObject:
    crd = copy.deepcopy(_crd())
    crd["metadata"] = {**crd["metadata"], "labels": {"a": "b"}}  # type: ignore[dict-item]
    return crd


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        pytest.param(None, _crd(), True, id="came"),
        pytest.param(_crd(), None, True, id="went"),
        pytest.param(_crd(), _with("Established", "True"), True, id="is served"),
        pytest.param(_crd(), _with("NamesAccepted", "False", "taken"), True, id="names refused"),
        pytest.param(_crd(), _with("NamesAccepted", "True"), False, id="names accepted"),
        pytest.param(_crd(), _with("Established", "False"), False, id="is not served yet"),
        pytest.param(_crd(), _labelled(), True, id="labels"),
        pytest.param(_crd(), _crd(), False, id="nothing"),
    ],
)
def test_only_what_definitions_look_at_counts(
    old: JsonObject | None, new: JsonObject | None, moved: bool
) -> None:
    """The API server writes a CRD's status several times before it serves the kind."""
    assert crd_moved(old, new) is moved


async def _never(name: NamespacedName) -> Outcome:
    return CheckAgain(after_s=1.0)


def _stored() -> Stored:
    return decoder(strip)(orjson.dumps(_crd()))


def _both(stored: Stored) -> Iterable[NamespacedName]:
    return [NamespacedName("", "writer"), NamespacedName("", "other")]


@pytest.mark.parametrize(("writer", "woken"), [(None, 2), (NamespacedName("", "writer"), 1)])
async def test_an_own_write_wakes_everybody_else(writer: object, woken: int) -> None:
    """The pass that made it has the answer already."""
    controller = Controller("test", _never, clock=LoopClock())
    handle = enqueue_concerned(controller, _both)

    handle(Event(CRDS, None, _stored(), writer=writer))

    await asyncio.sleep(0)
    assert controller.depth == woken
